//! The legacy dialect (contract §1): the same rules and data under other names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::Signer as _;
use serde_json::json;
use sha2::{Digest as _, Sha512};

use crate::ask::{Ask, LEGACY_BASE, delete, delete_with_tables, get, head, install, patch, post};
use crate::host::{Host, NOW, NOW_TEXT, legacy_key, problem, without_errors};

const SUCCESSOR: &str = r#">; rel="successor-version""#;

fn new_tenant() -> Ask {
    post(
        "/tenants",
        r#"{"tenant_id":"Abc","hostname":"Abc.example.com","is_enabled":1,"plan_id":"p","limits":{"L":2},"env":{"E":"hidden"}}"#,
    )
    .legacy()
}

fn new_plan(fields: &str) -> Ask {
    post(
        "/tenants-plans",
        format!(r#"{{"plan_id":"P","name":"The plan"{fields}}}"#),
    )
    .legacy()
}

#[test]
fn the_legacy_dialect_has_its_own_routes_and_no_others() {
    let mut host = Host::legacy(&[]);
    for (path, methods) in [
        ("/tenants", "POST"),
        ("/tenants/a", "GET, HEAD, PATCH, DELETE"),
        ("/tenants-plans", "GET, HEAD, POST"),
        ("/tenants-plans/a", "GET, HEAD, PATCH, DELETE"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let got = host.ask(&Ask::new(method, format!("{LEGACY_BASE}{path}")).no_key());
            if methods.split(", ").any(|m| m == method) {
                assert_eq!(got.status, 401, "{method} {path}");
            } else {
                assert_eq!(got.status, 405, "{method} {path}");
                assert_eq!(got.header("allow"), Some(methods));
            }
        }
    }
    for path in [
        "",
        "/",
        "/auth/verify",
        "/config/traefik",
        "/tenants/a/install",
        "/tenants/a/user-password-reset",
        "/tenants/",
        "/nothing",
    ] {
        for method in ["GET", "POST", "PATCH"] {
            let got = host.refuse(404, &Ask::new(method, format!("{LEGACY_BASE}{path}")));
            assert!(!got.log.legacy, "{path}");
        }
    }
}

#[test]
fn legacy_routes_are_a_404_if_no_verifying_key_is_configured() {
    let mut host = Host::new();
    let expected = problem(404, "Not Found", "no route has this path", "not_found", "");
    let expected = without_errors(&expected);
    for (method, path) in [
        ("POST", "/tenants"),
        ("PUT", "/tenants"),
        ("GET", "/tenants/a"),
        ("GET", "/tenants-plans"),
        ("DELETE", "/tenants-plans/a"),
    ] {
        let got = host.refuse(404, &Ask::new(method, format!("{LEGACY_BASE}{path}")));
        assert!(got.log.legacy);
        assert_eq!(got.body, expected);
    }
}

#[test]
fn a_tenant_is_read_and_written_under_legacy_names() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan(""));
    let got = host.expect(201, &new_tenant());
    let expected = format!(
        r#"{{"tenant_id":"Abc","hostname":"abc.example.com","is_enabled":1,"created_at":"{NOW_TEXT}","updated_at":"{NOW_TEXT}","plan_id":"P","limits":{{"L":"2"}},"env":{{"E":"hidden"}},"stats":"#
    );
    assert!(got.body.starts_with(&expected), "{}", got.body);
    assert!(got.body.ends_with(r#","last_job_at":null}"#));
    assert_eq!(got.header("location"), Some("/api/4/_/tenants/Abc"));
    let link = format!("</_/api/4/tenants{SUCCESSOR}");
    assert_eq!(got.header("link"), Some(link.as_str()));

    let read = host.expect(200, &get("/tenants/aBC").legacy());
    assert_eq!(read.body, got.body);
    let link = format!("</_/api/4/tenants/aBC{SUCCESSOR}");
    assert_eq!(read.header("link"), Some(link.as_str()));
    host.expect(200, &head("/tenants/aBC").legacy());

    // Both dialects share their data: the current one shows the same values under its own names.
    let mut current = host.json(200, &get("/tenants/abc"));
    let fields = current.as_object_mut().unwrap();
    let id = fields.insert("tenant_id".into(), fields["id"].clone());
    assert_eq!(id, None);
    fields.remove("id");
    assert_eq!(fields.remove("external_id"), Some(json!(null)));
    assert_eq!(fields.remove("labels"), Some(json!({})));
    assert_eq!(fields.remove("cell_id"), Some(json!(null)));
    let site = json!({"state": "none", "job_id": null});
    assert_eq!(fields.remove("site"), Some(site));
    assert_eq!(fields.remove("served"), Some(json!(true)));
    assert_eq!(fields.remove("holds"), Some(json!({})));
    assert_eq!(fields.remove("suspend_at"), Some(json!(null)));
    assert_eq!(fields.remove("delete_at"), Some(json!(null)));
    assert_eq!(fields.remove("deletion_protection"), Some(json!(false)));
    assert_eq!(
        fields.insert("is_enabled".into(), json!(1)),
        Some(json!(true))
    );
    assert_eq!(current, read.json());

    for (value, enabled) in [
        ("0", json!(0)),
        ("1", json!(1)),
        ("false", json!(0)),
        ("true", json!(1)),
    ] {
        let body = format!(r#"{{"is_enabled":{value}}}"#);
        host.expect(204, &patch("/tenants/abc", body).legacy());
        assert_eq!(
            host.json(200, &get("/tenants/abc").legacy())["is_enabled"],
            enabled
        );
        assert_eq!(
            host.json(200, &get("/tenants/abc"))["is_enabled"],
            json!(enabled == 1)
        );
    }
    let body = r#"{"hostname":"new.example.com","plan_id":"","limits":null,"env":{"F":"hidden"}}"#;
    host.expect(204, &patch("/tenants/abc", body).legacy());
    let got = host.json(200, &get("/tenants/abc").legacy());
    assert_eq!(got["hostname"], "new.example.com");
    assert_eq!(
        (&got["plan_id"], &got["limits"]),
        (&json!(null), &json!({}))
    );
    assert_eq!(got["env"], json!({"F": "hidden"}));
    host.expect(204, &delete("/tenants/abc").legacy());
    host.expect(404, &get("/tenants/abc").legacy());
    host.expect(404, &get("/tenants/abc"));
}

/// `drop_tables` belongs to the current dialect. A legacy DELETE has no body.
#[test]
fn a_legacy_delete_drops_no_tables() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &crate::ask::new_tenant("a"));
    host.expect(201, &install("a"));
    let tables = host.own_tables();
    assert!(!tables.is_empty());
    host.refuse(400, &delete_with_tables("a").legacy());
    host.expect(204, &delete("/tenants/a").legacy());
    assert_eq!(host.own_tables(), tables);
}

#[test]
fn a_plan_has_a_name_and_may_have_a_description() {
    let mut host = Host::legacy(&[]);
    for (given, shown) in [
        ("", r#""description":null,"limits":null,"env":null"#),
        (
            r#","description":null,"limits":{"L":1},"env":{}"#,
            r#""description":null,"limits":{"L":"1"},"env":{}"#,
        ),
        (
            r#","description":"","limits":null"#,
            r#""description":"","limits":null,"env":null"#,
        ),
        (
            r#","description":"Für alle\n🐘","env":{"E":"hidden"}"#,
            r#""description":"Für alle\n🐘","limits":null,"env":{"E":"hidden"}"#,
        ),
    ] {
        let got = host.expect(201, &new_plan(given));
        let expected = format!(
            r#"{{"plan_id":"P","name":"The plan",{shown},"created_at":"{NOW_TEXT}","updated_at":"{NOW_TEXT}"}}"#
        );
        assert_eq!(got.body, expected);
        assert_eq!(got.header("location"), Some("/api/4/_/tenants-plans/P"));
        assert_eq!(
            host.expect(200, &get("/tenants-plans/p").legacy()).body,
            expected
        );
        let list = host.expect(200, &get("/tenants-plans").legacy());
        assert_eq!(list.body, format!("[{expected}]"));
        let current = host.json(200, &get("/tenants-plans/p"));
        assert_eq!(current["id"], "P");
        assert!(current.get("name").is_none() && current.get("description").is_none());
        host.expect(204, &delete("/tenants-plans/P").legacy());
    }
}

#[test]
fn a_description_of_more_bytes_than_a_row_may_have_is_a_422() {
    let mut host = Host::legacy(&[]);
    let longest = format!("'{}", "x".repeat(7_998));
    let create = |description: &str| new_plan(&format!(r#","description":"{description}""#));
    let got = host.expect(422, &create(&format!("{longest}x")));
    assert!(
        got.body.contains(r#""pointer":"/description","detail":"expected at most 8000 bytes, where an apostrophe and a line end count twice; got 8001""#),
        "{}",
        got.body
    );
    let made = host.json(201, &create(&longest));
    assert_eq!(made["description"], longest);
}

#[test]
fn a_plans_name_and_description_survive_edits_in_the_current_dialect() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan(r#","description":"kept""#));
    host.now = NOW + 1;
    host.expect(
        204,
        &patch("/tenants-plans/p", r#"{"limits":{"L":1},"env":null}"#),
    );
    let got = host.json(200, &get("/tenants-plans/p").legacy());
    assert_eq!(
        (&got["name"], &got["description"]),
        (&json!("The plan"), &json!("kept"))
    );
    for (body, name, description) in [
        (r#"{"name":"N"}"#, "N", json!("kept")),
        (r#"{"description":"d","unknown":[{}]}"#, "N", json!("d")),
        (r#"{"limits":{}}"#, "N", json!("d")),
        (r#"{"description":null,"name":"M"}"#, "M", json!(null)),
    ] {
        host.expect(204, &patch("/tenants-plans/P", body).legacy());
        let got = host.json(200, &get("/tenants-plans/p").legacy());
        assert_eq!(
            (&got["name"], &got["description"]),
            (&json!(name), &description),
            "{body}"
        );
        assert_eq!(got["plan_id"], "P");
    }
}

#[test]
fn a_plan_without_a_name_is_shown_under_its_id() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &post("/tenants-plans", r#"{"id":"Nameless"}"#));
    let got = host.json(200, &get("/tenants-plans/nameless").legacy());
    assert_eq!(
        (&got["plan_id"], &got["name"]),
        (&json!("Nameless"), &json!("Nameless"))
    );
    assert_eq!(
        host.json(200, &get("/tenants-plans").legacy())[0]["name"],
        "Nameless"
    );
}

#[test]
fn every_wrong_field_is_reported_under_the_name_that_the_caller_sent() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan(""));
    host.expect(201, &new_tenant());
    let long = "é".repeat(256);
    for (ask, named) in [
        (
            post("/tenants", "{}"),
            &["/tenant_id", "/hostname", "/is_enabled"][..],
        ),
        // The two names of the identifier must not contradict each other.
        (
            post(
                "/tenants",
                r#"{"id":"x","tenant_id":"y","hostname":"x","is_enabled":true}"#,
            ),
            &["/tenant_id"],
        ),
        (
            post("/tenants-plans", r#"{"plan_id":"q","id":1,"name":"Q"}"#),
            &["/plan_id"],
        ),
        (
            post(
                "/tenants",
                r#"{"id":"a b","hostname":"x","is_enabled":true}"#,
            ),
            &["/tenant_id"],
        ),
        (
            post(
                "/tenants",
                r#"{"tenant_id":"a b","hostname":"_","is_enabled":2,"plan_id":"-","limits":{"a":1},"env":["x"]}"#,
            ),
            &[
                "/tenant_id",
                "/hostname",
                "/is_enabled",
                "/plan_id",
                "/limits/a",
                "/env",
            ],
        ),
        (patch("/tenants/abc", "{}"), &[""]),
        (
            patch(
                "/tenants/abc",
                r#"{"tenant_id":"other","id":"other","unknown":1}"#,
            ),
            &[""],
        ),
        (
            patch("/tenants/abc", r#"{"is_enabled":null}"#),
            &["/is_enabled"],
        ),
        (post("/tenants-plans", "{}"), &["/plan_id", "/name"]),
        (
            post(
                "/tenants-plans",
                r#"{"plan_id":"_","name":"","description":1}"#,
            ),
            &["/plan_id", "/name", "/description"],
        ),
        (
            post(
                "/tenants-plans",
                &*format!(r#"{{"description":"d","name":"{long}"}}"#),
            ),
            &["/plan_id", "/name"],
        ),
        (patch("/tenants-plans/p", "{}"), &[""]),
        (patch("/tenants-plans/p", r#"{"plan_id":"q"}"#), &[""]),
        (
            patch("/tenants-plans/p", r#"{"name":null,"description":false}"#),
            &["/name", "/description"],
        ),
        (
            patch("/tenants-plans/p", r#"{"name":"a\u0000b"}"#),
            &["/name"],
        ),
        (get("/tenants-plans?limit=0"), &["limit"]),
    ] {
        assert_eq!(host.refuse(422, &ask.legacy()).named(), named);
    }
    for value in ["2", "-0", "1.0", "\"1\"", "null", "[]"] {
        let body = format!(r#"{{"is_enabled":{value}}}"#);
        let got = host.refuse(422, &patch("/tenants/abc", body).legacy());
        let detail = got.json()["errors"][0]["detail"].to_string();
        assert!(
            detail.starts_with("\"expected 1 or 0, or true or false; got "),
            "{detail}"
        );
    }
    let got = host.refuse(422, &patch("/tenants-plans/p", "{}").legacy());
    assert_eq!(
        got.json()["errors"][0]["detail"],
        "expected at least one of name, description, limits, env"
    );

    let got = host.expect(409, &new_tenant());
    assert_eq!(got.named(), ["/tenant_id", "/hostname"]);
    assert_eq!(got.json()["detail"], "already taken: tenant_id, hostname");
    let got = host.expect(409, &new_plan(""));
    assert_eq!(got.named(), ["/plan_id"]);
    assert_eq!(got.json()["detail"], "already taken: plan_id");
    let missing = patch("/tenants/abc", r#"{"plan_id":"missing"}"#).legacy();
    assert_eq!(host.expect(422, &missing).named(), ["/plan_id"]);
    // 255 characters are not 255 bytes.
    let longest = "é".repeat(255);
    host.expect(
        204,
        &patch("/tenants-plans/p", format!(r#"{{"name":"{longest}"}}"#)).legacy(),
    );
}

/// Chevereto's documentation once had `id` in this dialect, too.
#[test]
fn the_identifier_may_be_under_either_name() {
    for (tenant, plan) in [
        (r#""id":"T""#, r#""id":"P""#),
        (r#""id":"T","tenant_id":"T""#, r#""plan_id":"P","id":"P""#),
    ] {
        let mut host = Host::legacy(&[]);
        let body = format!(r#"{{{plan},"name":"The plan","limits":[],"env":[]}}"#);
        let got = host.json(201, &post("/tenants-plans", body).legacy());
        assert_eq!(got["plan_id"], "P");
        assert_eq!((&got["limits"], &got["env"]), (&json!({}), &json!({})));
        let body = format!(r#"{{{tenant},"hostname":"t.example","is_enabled":1,"env":[]}}"#);
        let got = host.json(201, &post("/tenants", body).legacy());
        assert_eq!(got["tenant_id"], "T");
        assert_eq!(got["env"], json!({}));
    }
}

#[test]
fn a_page_of_plans_links_to_the_next_and_to_the_successor() {
    let mut host = Host::legacy(&[]);
    for id in ["a", "b", "c"] {
        host.expect(201, &post("/tenants-plans", format!(r#"{{"id":"{id}"}}"#)));
    }
    let got = host.expect(200, &get("/tenants-plans?limit=2").legacy());
    let link = format!(
        r#"</api/4/_/tenants-plans?limit=2&after=b>; rel="next", </_/api/4/tenants-plans{SUCCESSOR}"#
    );
    assert_eq!(got.header("link"), Some(link.as_str()));
    let got = host.expect(200, &get("/tenants-plans?limit=2&after=b").legacy());
    let link = format!("</_/api/4/tenants-plans{SUCCESSOR}");
    assert_eq!(got.header("link"), Some(link.as_str()));
}

#[test]
fn every_refusal_carries_the_deprecation_headers() {
    let mut host = Host::legacy(&[("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "192.0.2.1")]);
    let ask = post("/tenants", "[]").legacy().signature("x");
    // `Host` checks the headers of each response.
    host.refuse(403, &ask);
    let ask = ask.from("192.0.2.1");
    host.refuse(401, &ask.clone().no_key());
    host.refuse(413, &ask.clone().too_large());
    let got = host.refuse(401, &ask.clone().no_signature());
    assert_eq!(got.cause(), "X-Signature is missing");
    assert_eq!(
        host.refuse(401, &ask.clone()).cause(),
        "X-Signature is malformed"
    );
    let signed = |body: &str| STANDARD.encode(legacy_key().sign(body.as_bytes()).to_bytes());
    let got = host.refuse(401, &ask.clone().signature(signed("{}")));
    assert_eq!(got.cause(), "X-Signature does not match this body");
    let ask = ask.signature(signed("[]"));
    host.refuse(415, &ask.clone().content_type("text/plain"));
    host.refuse(400, &ask);
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &get("/tenants/a").legacy().from("192.0.2.1"));
    host.configure(&[("CHEVERETO_TENANTS_API_KEY_SECRET", "")]);
    host.refuse(503, &get("/tenants/a").legacy().from("192.0.2.1"));
}

/// The legacy dialect works without a request secret.
#[test]
fn neither_dialect_takes_the_signature_of_the_other() {
    let mut host = Host::legacy(&[]);
    let body = r#"{"plan_id":"p","name":"P"}"#;
    let current = host.sign(body.as_bytes());
    let ask = post("/tenants-plans", body).legacy();
    assert_eq!(
        host.refuse(401, &ask.clone().signature(current)).cause(),
        "X-Signature is malformed"
    );
    let legacy = STANDARD.encode(legacy_key().sign(b"").to_bytes());
    host.refuse(401, &get("/tenants").signature(legacy));
    host.configure(&[("CHEVERETO_TENANTS_API_REQUEST_SECRET", "")]);
    host.refuse(503, &get("/tenants"));
    host.expect(201, &ask);
}

#[test]
fn each_of_several_verifying_keys_verifies() {
    let old = hex::encode(legacy_key().verifying_key().as_bytes());
    let new = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let mut host = Host::new();
    let ask = get("/tenants-plans").legacy();
    for (keys, status) in [
        (old.clone(), 200),
        (format!("{old}\n{new}"), 200),
        (format!("{new}\n{old}\n"), 200),
        (new.into(), 401),
    ] {
        host.configure(&[("CHEVERETO_TENANTS_PUBLIC_KEY", &keys)]);
        assert_eq!(host.ask(&ask).status, status, "{keys}");
    }
}

#[test]
fn the_log_names_a_verifying_key_that_does_not_parse() {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_PUBLIC_KEY", "ssh-ed25519 nonsense")]);
    for ask in [get("/tenants"), get("/tenants/a").legacy()] {
        let got = host.refuse(503, &ask);
        assert_eq!(
            got.cause(),
            "CHEVERETO_TENANTS_PUBLIC_KEY: line 1: expected an Ed25519 key; got another kind"
        );
    }
}

/// L, the order of the group, little endian (RFC 8032 §5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Lax verification would accept these forms, too, besides the only valid one.
#[test]
fn a_changed_form_of_a_valid_signature_is_refused() {
    let mut host = Host::legacy(&[]);
    let key = legacy_key();
    for body in ["", "x", r#"{"plan_id":"p"}"#] {
        let ask = get("/tenants-plans").body(body).legacy();
        let good = key.sign(body.as_bytes()).to_bytes();
        host.expect(200, &ask.clone().signature(STANDARD.encode(good)));

        // S + L is the same scalar modulo L.
        let mut malleable = good;
        let mut carry = 0;
        for (byte, order) in malleable[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert_ne!(malleable, good);
        host.refuse(401, &ask.clone().signature(STANDARD.encode(malleable)));

        // R is the identity, which has a small order, and S = k·a. The equation holds, so lax verification accepts it.
        let mut r = [0; 32];
        r[0] = 1;
        let k = Sha512::new()
            .chain_update(r)
            .chain_update(key.verifying_key().as_bytes())
            .chain_update(body)
            .finalize();
        let s = Scalar::from_bytes_mod_order_wide(&k.into()) * key.to_scalar();
        let mut small = [0; 64];
        small[..32].copy_from_slice(&r);
        small[32..].copy_from_slice(s.as_bytes());
        let signature = ed25519_dalek::Signature::from_bytes(&small);
        let lax =
            ed25519_dalek::Verifier::verify(&key.verifying_key(), body.as_bytes(), &signature);
        assert!(lax.is_ok(), "lax verification accepts it");
        host.refuse(401, &ask.clone().signature(STANDARD.encode(small)));
    }
}
