//! Authentication (contract §2): keys and signatures. The database checks a key in the request's own batch.

use tenants_core::crypto::api_key::KeySecret;
use tenants_core::crypto::secret::Secret;

use crate::ask::{Ask, delete, get, head, new_plan, new_tenant, patch, post};
use crate::host::{Foreseen, Host, SECRETS, WaitsForBatch as _, problem};

fn unauthorized() -> String {
    problem(
        401,
        "Unauthorized",
        "a valid X-API-Key, and a valid X-Signature of the raw body, are required",
        "unauthorized",
        "",
    )
}

/// Every route that reads or writes, as a request that succeeds on a [`filled`] host.
pub(crate) fn every_route() -> Vec<Ask> {
    vec![
        post("/auth/verify", ""),
        get("/tenants"),
        get("/tenants?limit=1"),
        head("/tenants"),
        get("/tenants/a"),
        head("/tenants/a"),
        get("/tenants-plans"),
        get("/tenants-plans/p"),
        new_tenant("b"),
        patch("/tenants/a", r#"{"is_enabled":false}"#),
        patch(
            "/tenants/a",
            r#"{"hostname":"c.example.com","is_enabled":false,"plan_id":"P","limits":{"A":1},"env":{"A":"hidden"}}"#,
        ),
        patch("/tenants/a", r#"{"plan_id":null,"limits":null,"env":null}"#),
        delete("/tenants/a"),
        new_plan("q"),
        patch(
            "/tenants-plans/p",
            r#"{"limits":{"A":1},"env":{"A":"hidden"}}"#,
        ),
        patch("/tenants-plans/p", r#"{"limits":null,"env":null}"#),
        delete("/tenants-plans/p"),
        // No row can have this id, but the key is checked all the same.
        get("/tenants/a%20b"),
        patch("/tenants/_", r#"{"is_enabled":false}"#),
        delete("/tenants/_"),
        get("/tenants-plans/_"),
        patch("/tenants-plans/_", r#"{"limits":{}}"#),
        delete("/tenants-plans/_"),
    ]
}

/// A host with a plan `P`, and a tenant `a` that has it.
pub(crate) fn filled() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_plan("P"));
    host.expect(201, &new_tenant("a"));
    host.expect(204, &patch("/tenants/a", r#"{"plan_id":"P"}"#));
    host
}

#[test]
fn a_missing_malformed_or_forged_key_is_a_401_without_the_database() {
    let mut host = filled();
    let key = host.key.clone();
    let flipped = {
        let mut bytes = key.clone().into_bytes();
        bytes[20] ^= 1;
        String::from_utf8(bytes).unwrap()
    };
    let foreign = KeySecret::new(&Secret::new("another".into()))
        .issue(1, &mut Foreseen(7))
        .unwrap();
    for ask in every_route() {
        let mut causes = Vec::new();
        for (wrong, cause) in [
            (ask.clone().no_key(), "X-API-Key is missing"),
            (ask.clone().key(""), "X-API-Key is malformed"),
            (ask.clone().key("chv_1_x"), "X-API-Key is malformed"),
            (ask.clone().key(format!("{key} ")), "X-API-Key is malformed"),
            (ask.clone().key(flipped.as_str()), "X-API-Key is forged"),
            (ask.clone().key(foreign.text()), "X-API-Key is forged"),
            (
                ask.clone().key(key.replacen("_1_", "_2_", 1)),
                "X-API-Key is forged",
            ),
        ] {
            let got = host.refuse(401, &wrong);
            assert_eq!(got.cause(), cause);
            assert_eq!(got.log.key_id, None);
            causes.push(got);
        }
        for got in causes {
            let expected = if ask.method == "HEAD" {
                String::new()
            } else {
                unauthorized()
            };
            assert_eq!(got.body, expected);
        }
    }
}

#[test]
fn a_missing_or_wrong_signature_is_a_401_without_the_database() {
    let mut host = filled();
    for ask in every_route() {
        let right = host.sign(&ask.body);
        let other = host.sign(b"another body");
        for (wrong, cause) in [
            (ask.clone().no_signature(), "X-Signature is missing"),
            (ask.clone().signature(""), "X-Signature is malformed"),
            (
                ask.clone().signature(&right[2..]),
                "X-Signature is malformed",
            ),
            (
                ask.clone().signature(format!("sha256={right}")),
                "X-Signature is malformed",
            ),
            (
                ask.clone().signature(other),
                "X-Signature does not match this body",
            ),
        ] {
            let got = host.refuse(401, &wrong);
            assert_eq!(got.cause(), cause);
            assert_eq!(got.log.key_id, Some(host.key_id));
            if ask.method != "HEAD" {
                assert_eq!(got.body, unauthorized());
            }
        }
    }
    let upper = host.sign(b"").to_uppercase();
    host.expect(200, &get("/tenants").signature(upper));
}

/// The key is deleted, expires or vanishes after the signature check. The response tells nothing, and nothing is written.
#[test]
fn a_key_that_becomes_invalid_during_a_request_reads_and_writes_nothing() {
    let fates = [
        "UPDATE api_keys SET deleted_at = '2026-08-18 23:16:57'",
        "UPDATE api_keys SET deleted_at = '9999-12-31 23:59:59'",
        "UPDATE api_keys SET expires_at = '2026-08-18 23:16:57'",
        "UPDATE api_keys SET expires_at = '2001-01-01 00:00:00'",
        "UPDATE api_keys SET digest = 'another'",
        "UPDATE api_keys SET id = 77",
        "DELETE FROM api_keys",
    ];
    for fate in fates {
        for ask in every_route() {
            let mut host = filled();
            let got = host.expect_after(401, &ask, |host| {
                host.sql(fate, &[]);
            });
            assert_eq!(
                got.cause(),
                "X-API-Key is unknown, deleted or expired, or must sign in the other way"
            );
            assert_eq!(got.log.key_id, Some(host.key_id));
            if ask.method != "HEAD" {
                assert_eq!(got.body, unauthorized());
            }
        }
    }
}

/// A write that would fail for another reason does not tell an invalid key that reason.
#[test]
fn an_invalid_key_learns_nothing_about_the_data() {
    let mut host = filled();
    host.expect(201, &new_tenant("b"));
    let (_, dead) = host.issue("dead", Some("2026-08-18 23:16:57"));
    for ask in [
        new_tenant("a"),
        new_plan("p"),
        patch("/tenants/a", r#"{"hostname":"b.example.com"}"#),
        patch("/tenants/a", r#"{"plan_id":"nobody"}"#),
        patch("/tenants/nobody", r#"{"plan_id":"nobody"}"#),
        patch("/tenants-plans/nobody", r#"{"limits":{}}"#),
        get("/tenants/nobody"),
        delete("/tenants/nobody"),
        delete("/tenants-plans/nobody"),
    ] {
        let got = host.expect(401, &ask.key(dead.as_str()));
        assert_eq!(got.body, unauthorized());
    }
}

#[test]
fn a_key_is_valid_until_the_second_at_which_it_expires() {
    let mut host = Host::new();
    let (id, key) = host.issue("short", Some("2026-08-18 23:16:58"));
    let got = host.expect(200, &post("/auth/verify", "").key(key.as_str()));
    assert_eq!(
        got.body,
        format!(
            r#"{{"valid":true,"key":{{"id":{id},"name":"short","created_at":"2026-01-02 03:04:05","expires_at":"2026-08-18 23:16:58","scopes":["*"],"bound":false}}}}"#
        )
    );
    host.now += 1;
    host.expect(401, &post("/auth/verify", "").key(key));
}

#[test]
fn a_valid_key_is_shown_its_own_data() {
    let mut host = Host::new();
    let got = host.expect(200, &post("/auth/verify", ""));
    assert_eq!(
        got.body,
        r#"{"valid":true,"key":{"id":1,"name":"first","created_at":"2026-01-02 03:04:05","expires_at":null,"scopes":["*"],"bound":false}}"#
    );
    host.sql("UPDATE api_keys SET name = NULL", &[]);
    let got = host.expect(200, &post("/auth/verify", ""));
    assert!(got.body.contains(r#""name":null"#), "{}", got.body);
}

#[test]
fn a_deleted_key_does_not_affect_another() {
    let mut host = Host::new();
    let (second, key) = host.issue("second", None);
    host.sql(
        "UPDATE api_keys SET deleted_at = created_at WHERE id = ?1",
        &[host.key_id.into()],
    );
    host.expect(401, &get("/tenants"));
    let got = host.expect(201, &new_tenant("a").key(key));
    assert_eq!(got.log.key_id, Some(second));
}

#[test]
fn debug_output_shows_no_secret() {
    let mut host = filled();
    let exchange = host.exchange(&patch(
        "/tenants/a",
        r#"{"env":{"A":"hidden"},"limits":{"B":"clear"}}"#,
    ));
    let batch = exchange.batch();
    let printed = format!(
        "{exchange:?} {batch:?} {:?} {:?}",
        batch.statements(),
        host.api
    );
    assert!(printed.contains("INSERT INTO edit_tenant"), "{printed}");
    for (_, secret) in SECRETS {
        assert!(!printed.contains(secret), "{printed}");
    }
    for value in ["hidden", "clear", &host.secrets[3], &host.secrets[4]] {
        assert!(!printed.contains(value), "{value} in {printed}");
    }
}
