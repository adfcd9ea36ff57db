//! Bound keys of `/keys` and of the operator's tasks (contract §13).

use serde_json::json;
use tenants_core::crypto::message::SigningSecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::task::Run;
use tenants_core::task::keys::{CreatedKey, KeyCreation, KeyRotation};
use tenants_core::value::scope::Scopes;
use tenants_core::wire::signed::{self, Unsigned};

use crate::ask::{Ask, delete, get, new_tenant, patch, post};
use crate::host::{Foreseen, Host};

/// A bound key and its signing secret, as the API or a task showed them.
struct Bound(String, SigningSecret);

impl Bound {
    fn new(key: &str, secret: &str) -> Self {
        Self(key.into(), SigningSecret::new(&Secret::new(secret.into())))
    }

    fn of_task(created: &CreatedKey) -> Self {
        let secret = created.signing_secret.as_ref().unwrap();
        Self::new(created.key.text(), secret.text())
    }

    /// Makes or rotates a key, with a caller's own way to sign.
    fn made(host: &mut Host, status: u16, ask: &Ask) -> Self {
        let made = host.json(status, ask);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        assert_eq!(made["bound"], json!(true));
        assert_eq!(text("signing_secret").len(), 64);
        Self::new(&text("api_key"), &text("signing_secret"))
    }

    fn sign(&self, host: &Host, ask: Ask) -> Ask {
        let mut ask = ask.key(self.0.as_str()).no_signature();
        let headers = signed::sign(
            &self.1,
            &Unsigned {
                method: &ask.method,
                origin: ask.origin.as_deref().unwrap(),
                target: &ask.target,
                key: &self.0,
                headers: &[],
                body: &ask.body,
                nonce: None,
            },
            host.now,
        );
        ask.signature_input = Some(headers.signature_input);
        ask.message_signature = Some(headers.signature);
        ask.content_digest = headers.content_digest;
        ask
    }
}

fn create(body: &serde_json::Value) -> Ask {
    post("/keys", body.to_string())
}

#[test]
fn a_bound_key_is_made_with_its_signing_secret_which_is_shown_once() {
    let mut host = Host::new();
    let ask = create(&json!({"scopes": ["tenants:read"], "bound": true}));
    let key = Bound::made(&mut host, 201, &ask);
    host.expect(200, &key.sign(&host, get("/tenants")));
    host.expect(403, &key.sign(&host, new_tenant("a")));
    host.expect(401, &get("/tenants").key(key.0.as_str()));
    let shown = host.json(200, &get("/keys/2"));
    assert_eq!(shown["bound"], json!(true));
    assert_eq!(shown.get("signing_secret"), None);
    let verified = host.json(200, &key.sign(&host, post("/auth/verify", "")));
    assert_eq!(verified["key"]["bound"], json!(true));
    assert_eq!(verified["key"]["scopes"], json!(["tenants:read"]));
    let row = "SELECT is_bound, substr(digest, 1, 6) FROM api_keys WHERE id = 2";
    assert_eq!(host.sql(row, &[]), [vec![1.into(), "bound:".into()]]);
    // An ordinary key has no such secret, and `bound` is a boolean.
    let ordinary = host.json(201, &create(&json!({"scopes": ["*"], "bound": false})));
    assert_eq!(ordinary.get("signing_secret"), None);
    let got = host.refuse(422, &create(&json!({"scopes": ["*"], "bound": 1})));
    assert_eq!(got.named(), ["/bound"]);
    // It never changes.
    let got = host.refuse(422, &patch("/keys/2", r#"{"bound":false}"#));
    assert_eq!(got.named(), ["/bound"]);
}

#[test]
fn a_bound_key_is_rotated_with_its_signing_secret() {
    let mut host = Host::new();
    let ask = create(&json!({"scopes": ["*"], "bound": true}));
    let old = Bound::made(&mut host, 201, &ask);
    let ask = post("/keys/2/rotate", r#"{"overlap_seconds":60}"#);
    let ask = old.sign(&host, ask);
    let new = Bound::made(&mut host, 200, &ask);
    host.expect(200, &new.sign(&host, get("/tenants")));
    host.expect(200, &old.sign(&host, get("/tenants")));
    let crossed = Bound(new.0.clone(), old.1.clone());
    host.refuse(401, &crossed.sign(&host, get("/tenants")));
    for key in [&old, &new] {
        host.expect(401, &get("/tenants").key(key.0.as_str()));
    }
    host.now += 60;
    host.expect(401, &old.sign(&host, get("/tenants")));
    host.expect(200, &new.sign(&host, get("/tenants")));
}

#[test]
fn a_bound_caller_makes_and_changes_bound_keys_only() {
    let mut host = Host::new();
    let ask = create(&json!({"scopes": ["*"], "bound": true}));
    let caller = Bound::made(&mut host, 201, &ask);
    let ask = create(&json!({"scopes": ["tenants:read"], "bound": true}));
    let ask = caller.sign(&host, ask);
    Bound::made(&mut host, 201, &ask);
    for ask in [
        create(&json!({"scopes": ["tenants:read"]})),
        patch("/keys/1", r#"{"name":"x"}"#),
        delete("/keys/1"),
        post("/keys/1/rotate", r#"{"overlap_seconds":60}"#),
    ] {
        let got = host.expect_first(403, &caller.sign(&host, ask));
        assert_eq!(got.json()["code"], "exceeds_own_key");
    }
    host.expect(204, &caller.sign(&host, delete("/keys/3")));
    // A key that is not bound may make and delete either.
    host.expect(204, &delete("/keys/2"));
}

#[test]
fn an_operator_makes_and_rotates_bound_keys() {
    let mut host = Host::new();
    let config = |host: &Host| host.api.config().unwrap().clone();
    let creation = KeyCreation::begin(&config(&host), None, None, host.now, &mut Foreseen(3));
    let scopes = Scopes::parse(["tenants:read"]).unwrap();
    let creation = creation.unwrap().bound(true).with_scopes(scopes);
    let created = host.complete(creation);
    let old = Bound::of_task(&created);
    host.expect(200, &old.sign(&host, get("/tenants")));
    host.expect(401, &get("/tenants").key(old.0.as_str()));

    let rotate = |host: &mut Host, id, overlap| {
        let run = Run::new("r-9");
        let rotation = KeyRotation::begin(&config(host), id, overlap, run, host.now);
        host.complete(rotation.unwrap())
    };
    let rotated = rotate(&mut host, 2, 10).unwrap();
    let new = Bound::of_task(&rotated);
    host.expect(200, &new.sign(&host, get("/tenants")));
    host.expect(403, &new.sign(&host, new_tenant("a")));
    host.expect(200, &old.sign(&host, get("/tenants")));
    host.now += 10;
    host.expect(401, &old.sign(&host, get("/tenants")));

    // Without an overlap the secret before ends at once.
    let ordinary = rotate(&mut host, 1, 0).unwrap();
    assert!(ordinary.signing_secret.is_none());
    host.expect(401, &get("/tenants"));
    host.expect(200, &get("/tenants").key(ordinary.key.text()));
    assert!(rotate(&mut host, 9, 0).is_none());
    host.sql(
        "UPDATE api_keys SET deleted_at = created_at WHERE id = 2",
        &[],
    );
    assert!(rotate(&mut host, 2, 0).is_none());
    let entries = host.sql(
        "SELECT action, subject, request_id FROM audit_log WHERE action = 'api_key.rotate'",
        &[],
    );
    let entry = |id: &str| vec!["api_key.rotate".into(), id.into(), "r-9".into()];
    assert_eq!(entries, [entry("2"), entry("1")]);
}
