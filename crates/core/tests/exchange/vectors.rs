//! The vectors of `tests/vectors`, which run on every host.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use tenants_core::crypto::seal::{Place, Sealer, SealingKey};
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::{RequestSecret, SignatureError};
use tenants_core::value::address::AddressList;
use tenants_core::{Random, RandomUnavailable};

use crate::ask::{get, post};
use crate::host::Host;

fn vectors(name: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let text = fs::read_to_string(path.join(name).with_extension("json")).unwrap();
    let list: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert!(!list.is_empty(), "{name}");
    list
}

/// Sends each value in a field of a body. The API refuses it at that field or returns the expected value.
fn of_field(name: &str, path: &str, field: &str, body: impl Fn(&Json) -> Json) {
    for vector in vectors(name) {
        let mut host = Host::new();
        let got = host.ask(&post(path, body(&vector["value"]).to_string()));
        if vector["expect"].is_null() {
            assert_eq!(got.status, 422, "{vector}");
            assert_eq!(got.named(), [format!("/{field}")], "{vector}");
        } else {
            assert_eq!(got.status, 201, "{vector}");
            assert_eq!(got.json()[field], vector["expect"], "{vector}");
        }
    }
}

#[test]
fn hostnames_are_read_as_the_vectors_say() {
    of_field(
        "hostnames",
        "/tenants",
        "hostname",
        |value| json!({"id": "a", "hostname": value, "is_enabled": true}),
    );
}

#[test]
fn tenant_ids_are_read_as_the_vectors_say() {
    of_field(
        "tenant_ids",
        "/tenants",
        "id",
        |value| json!({"id": value, "hostname": "a", "is_enabled": true}),
    );
}

#[test]
fn plan_ids_are_read_as_the_vectors_say() {
    of_field(
        "plan_ids",
        "/tenants-plans",
        "id",
        |value| json!({"id": value}),
    );
}

#[test]
fn variable_names_are_read_as_the_vectors_say() {
    for field in ["limits", "env"] {
        for vector in vectors("variable_names") {
            let name = vector["value"].as_str().unwrap();
            let mut host = Host::new();
            let body = json!({"id": "a", field: {name: "hidden"}});
            let body = body
                .to_string()
                .replace("hidden", if field == "env" { "hidden" } else { "x" });
            let got = host.ask(&post("/tenants-plans", body));
            if let Some(expected) = vector["expect"].as_str() {
                assert_eq!(got.status, 201, "{vector}");
                let map = got.json()[field].clone();
                let names: Vec<&String> = map.as_object().unwrap().keys().collect();
                assert_eq!(names, [expected], "{vector}");
            } else {
                assert_eq!(got.status, 422, "{vector}");
                let token = name.replace('~', "~0").replace('/', "~1");
                assert_eq!(got.named(), [format!("/{field}/{token}")], "{vector}");
            }
        }
    }
}

#[test]
fn allow_lists_match_as_the_vectors_say() {
    for vector in vectors("allow_list") {
        let list = vector["list"].as_str().unwrap();
        let address = vector["address"].as_str().unwrap();
        let allowed = vector["allowed"].as_bool().unwrap();
        assert_eq!(
            AddressList::parse(list).unwrap().contains(address),
            allowed,
            "{vector}"
        );
        let list: &'static str = list.to_owned().leak();
        let mut host = Host::with(&[("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", list)]);
        let got = host.ask(&get("/tenants").from(address));
        assert_eq!(got.status, if allowed { 200 } else { 403 }, "{vector}");
    }
}

#[test]
fn signatures_match_the_vectors() {
    for vector in vectors("signatures") {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let secret = RequestSecret::new(&Secret::new(text("secret")));
        let (body, signature) = (text("body"), text("signature"));
        assert_eq!(secret.sign(body.as_bytes()), signature, "{vector}");
        assert_eq!(secret.verify(&signature, body.as_bytes()), Ok(()));
        assert_eq!(
            secret.verify(&signature, format!("{body} ").as_bytes()),
            Err(SignatureError::Wrong)
        );
    }
}

#[test]
fn legacy_signatures_match_the_vectors() {
    for vector in vectors("legacy_signatures") {
        let text = |name: &str| vector[name].as_str().unwrap();
        let mut host = Host::with(&[("CHEVERETO_TENANTS_PUBLIC_KEY", text("key"))]);
        let ask = get("/tenants-plans")
            .legacy()
            .signature(text("signature"))
            .body(text("body"));
        host.expect(200, &ask);
        host.refuse(401, &ask.body(format!("{} ", text("body"))));
    }
}

/// Fills a nonce with given bytes.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

#[test]
fn encrypted_texts_match_the_vectors() {
    for vector in vectors("sealed") {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let key = STANDARD.decode(text("key")).unwrap();
        let sealer = Sealer::new(SealingKey::new(&key.try_into().unwrap()), None);
        let row = text("row");
        let place = Place {
            table: text("table").leak(),
            row: &row,
            column: text("column").leak(),
        };
        let nonce = &mut Fixed(hex::decode(text("nonce")).unwrap());
        assert_eq!(
            sealer.seal(place, &text("plain"), nonce),
            Ok(text("sealed")),
            "{vector}"
        );
        assert_eq!(
            *sealer.open(place, &text("sealed")).unwrap(),
            text("plain"),
            "{vector}"
        );
    }
}
