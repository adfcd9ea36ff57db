//! `/keys` (contract §13): who may make, change, rotate and delete which keys.

use serde_json::{Value as Json, json};
use tenants_core::Step;
use tenants_core::task::Run;
use tenants_core::task::keys::KeyRotation;
use tenants_core::task::reseal::Reseal;
use tenants_core::value::clock::Timestamp;

use crate::ask::{Ask, delete, get, new_tenant, patch, post};
use crate::host::{Host, NOW, NOW_TEXT, SECRETS, WaitsForBatch as _};

/// 2026-08-18 23:16:57 and an hour.
const LATER: &str = "2026-08-19 00:16:57";

fn create(body: &Json) -> Ask {
    post("/keys", body.to_string())
}

fn rotate(id: i64, overlap: u32) -> Ask {
    let body = json!({"overlap_seconds": overlap});
    post(&format!("/keys/{id}/rotate"), body.to_string())
}

fn edit(id: i64, body: &Json) -> Ask {
    patch(&format!("/keys/{id}"), body.to_string())
}

fn key_of(answer: &Json) -> (i64, String) {
    let key = answer["api_key"].as_str().unwrap();
    (answer["id"].as_i64().unwrap(), key.into())
}

/// Makes a key, and returns its id and text.
fn made(host: &mut Host, body: &Json) -> (i64, String) {
    key_of(&host.json(201, &create(body)))
}

fn is_valid(host: &mut Host, key: &str) -> bool {
    match host.ask(&post("/auth/verify", "").key(key)).status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_key_is_made_shown_changed_and_deleted() {
    let mut host = Host::new();
    let got = host.expect(
        201,
        &create(&json!({"name": "reports", "scopes": ["tenants:read", "plans:read"], "expires_at": LATER})),
    );
    assert_eq!(got.header("location"), Some("/_/api/4/keys/2"));
    let mut body = got.json();
    let (id, key) = key_of(&body);
    body.as_object_mut().unwrap().remove("api_key");
    let shown = json!({
        "id": 2, "name": "reports", "scopes": ["tenants:read", "plans:read"], "bound": false, "created_at": NOW_TEXT,
        "expires_at": LATER, "last_used_at": null
    });
    assert_eq!(body, shown);
    host.expect(200, &get("/tenants").key(&key));
    host.expect(403, &new_tenant("a").key(&key));
    assert_eq!(host.json(200, &get("/keys/2")), shown);
    let own = json!({"id": 1, "name": "first", "scopes": ["*"], "bound": false, "created_at": "2026-01-02 03:04:05", "expires_at": null, "last_used_at": null});
    assert_eq!(host.json(200, &get("/keys")), json!([own, shown]));

    host.expect(204, &edit(id, &json!({"name": null, "expires_at": null})));
    let changed = host.json(200, &get("/keys/2"));
    assert_eq!(
        (&changed["name"], &changed["expires_at"]),
        (&Json::Null, &Json::Null)
    );
    host.expect(204, &delete("/keys/2"));
    assert!(!is_valid(&mut host, &key));
    host.expect(404, &get("/keys/2"));
    for gone in [
        delete("/keys/2"),
        edit(2, &json!({"name": "x"})),
        rotate(2, 0),
    ] {
        host.expect_first(404, &gone);
    }
    assert_eq!(host.json(200, &get("/keys")), json!([own]));
    let actions = host.sql("SELECT action, subject FROM audit_log ORDER BY id", &[]);
    let expected = ["create", "update", "delete"];
    assert_eq!(
        actions,
        expected.map(|name| vec![format!("api_key.{name}").into(), "2".into()])
    );
}

#[test]
fn a_caller_gives_away_only_scopes_that_it_has() {
    let mut host = Host::new();
    let (_, key) = made(
        &mut host,
        &json!({"scopes": ["keys", "tenants:write", "cell:eu"]}),
    );
    for scopes in [
        json!(["tenants:read"]),
        json!(["tenants:write", "keys"]),
        json!(["cell:eu"]),
    ] {
        host.expect(201, &create(&json!({"scopes": scopes})).key(&key));
    }
    for (scopes, missing) in [
        (json!(["*"]), json!(["*"])),
        (
            json!(["plans:read", "keys", "sites"]),
            json!(["plans:read", "sites"]),
        ),
        (json!(["cell:us"]), json!(["cell:us"])),
        (json!(["cells"]), json!(["cells"])),
    ] {
        let got = host.expect_first(403, &create(&json!({"scopes": scopes})).key(&key));
        assert_eq!(got.json()["scope"], missing);
        assert_eq!(got.json()["code"], "insufficient_scope");
    }
    // The first key has every scope, so this one may not touch it.
    for ask in [
        delete("/keys/1"),
        rotate(1, 60),
        edit(1, &json!({"name": "x"})),
    ] {
        let got = host.expect_first(403, &ask.key(&key));
        assert_eq!(got.json()["scope"], json!(["*"]));
    }
    host.expect(200, &get("/keys/1").key(&key));
}

#[test]
fn a_caller_makes_and_changes_only_keys_that_expire_no_later_than_its_own() {
    let mut host = Host::new();
    let (own, key) = made(&mut host, &json!({"scopes": ["*"], "expires_at": LATER}));
    let (other, _) = made(&mut host, &json!({"scopes": ["audit"]}));
    let refused = |host: &mut Host, ask: Ask| {
        let got = host.expect_first(403, &ask.key(&key));
        assert_eq!(got.json()["code"], "exceeds_own_key");
    };
    refused(&mut host, create(&json!({"scopes": ["audit"]})));
    refused(
        &mut host,
        create(&json!({"scopes": ["audit"], "expires_at": "2026-08-19 00:16:58"})),
    );
    for ask in [
        edit(own, &json!({"expires_at": null})),
        edit(own, &json!({"expires_at": "2026-08-19 00:16:58"})),
        // Its end lies after the caller's, whatever is changed.
        edit(other, &json!({"expires_at": LATER})),
        delete(&format!("/keys/{other}")),
        rotate(other, 0),
    ] {
        refused(&mut host, ask);
    }
    let (made, _) = key_of(&host.json(
        201,
        &create(&json!({"scopes": ["audit"], "expires_at": LATER})).key(&key),
    ));
    host.expect(
        204,
        &edit(made, &json!({"expires_at": "2026-08-19 00:00:00"})).key(&key),
    );
    host.expect(
        204,
        &edit(own, &json!({"expires_at": "2026-08-19 00:10:00"})).key(&key),
    );
}

#[test]
fn the_old_secret_stays_valid_for_the_overlap_and_no_longer() {
    let mut host = Host::new();
    let (id, first) = made(&mut host, &json!({"scopes": ["audit"]}));
    let body = host.json(200, &rotate(id, 3600));
    let (same, second) = key_of(&body);
    assert_eq!(same, id);
    assert_ne!(first, second);
    assert_eq!(body["scopes"], json!(["audit"]));
    for (now, old) in [(NOW, true), (NOW + 3599, true), (NOW + 3600, false)] {
        host.now = now;
        assert_eq!(is_valid(&mut host, &first), old, "{now}");
        assert!(is_valid(&mut host, &second));
    }
    // Only one old secret: the next rotation ends the first one, whatever is left of its overlap.
    host.now = NOW;
    let (_, third) = key_of(&host.json(200, &rotate(id, 604_800)));
    assert_eq!(
        [&first, &second, &third].map(|key| is_valid(&mut host, key)),
        [false, true, true]
    );
    // Without an overlap the old secret ends at once.
    let (_, fourth) = key_of(&host.json(200, &post(&format!("/keys/{id}/rotate"), "")));
    assert_eq!(
        [&second, &third, &fourth].map(|key| is_valid(&mut host, key)),
        [false, false, true]
    );
}

#[test]
fn no_overlap_outlives_the_key() {
    let mut host = Host::new();
    let (id, first) = made(
        &mut host,
        &json!({"scopes": ["audit"], "expires_at": LATER}),
    );
    let (_, second) = key_of(&host.json(200, &rotate(id, 604_800)));
    host.now = NOW + 3600;
    assert!(!is_valid(&mut host, &first) && !is_valid(&mut host, &second));
}

#[test]
fn a_key_rotates_itself_without_the_scope_and_with_an_overlap() {
    let mut host = Host::new();
    let (id, key) = made(&mut host, &json!({"scopes": ["audit"]}));
    for overlap in [0, 59] {
        let got = host.refuse(422, &rotate(id, overlap).key(&key));
        assert_eq!(got.named(), ["/overlap_seconds"]);
    }
    host.refuse(422, &post(&format!("/keys/{id}/rotate"), "").key(&key));
    // However many responses are lost, the secret that the caller has rotates again, and stays.
    let lost = [(); 2].map(|()| key_of(&host.json(200, &rotate(id, 60).key(&key))).1);
    let (_, last) = key_of(&host.json(200, &rotate(id, 60).key(&key)));
    assert_eq!(
        [&key, &lost[0], &lost[1], &last].map(|key| is_valid(&mut host, key)),
        [true, false, false, true]
    );
    host.now = NOW + 60;
    assert_eq!(
        [&key, &last].map(|key| is_valid(&mut host, key)),
        [false, true]
    );
    // After somebody else's rotation the old secret may be one that leaked: it must not throw the new one out.
    host.now = NOW;
    let (_, given) = key_of(&host.json(200, &rotate(id, 60)));
    let got = host.expect(403, &rotate(id, 604_800).key(&last));
    assert_eq!(got.json()["code"], "exceeds_own_key");
    assert_eq!(
        [&last, &given].map(|key| is_valid(&mut host, key)),
        [true, true]
    );
    let (_, last) = key_of(&host.json(200, &rotate(id, 60).key(&given)));
    host.expect(200, &rotate(id, 60).key(&given));
    assert!(!is_valid(&mut host, &last));
    // The same after a rotation at the command line: the one before was the key's own.
    let config = host.api.config().unwrap();
    let rotation = KeyRotation::begin(config, id, 604_800, Run::new("cli-1"), NOW).unwrap();
    let by_operator = host.complete(rotation).unwrap().key.text().to_owned();
    let current = host.one("SELECT previous_is_own FROM api_keys ORDER BY id DESC LIMIT 1");
    assert_eq!(current, 0.into());
    for old in [&given, &last] {
        let got = host.ask(&rotate(id, 604_800).key(old));
        assert!([401, 403].contains(&got.status), "{got:?}");
    }
    assert!(is_valid(&mut host, &by_operator));
    let last = by_operator;
    // Any other key needs the scope.
    let (other, _) = made(&mut host, &json!({"scopes": ["audit"]}));
    let got = host.expect_first(403, &rotate(other, 60).key(&last));
    assert_eq!(got.json()["scope"], json!(["keys"]));
}

#[test]
fn the_write_judges_again_what_may_have_changed() {
    for (body, change, status) in [
        (
            json!({"scopes": ["*"]}),
            "UPDATE api_keys SET expires_at = '2027-01-01 00:00:00' WHERE id = 1",
            403,
        ),
        (
            json!({"scopes": ["*"]}),
            "UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00' WHERE id = 1",
            401,
        ),
    ] {
        let mut host = Host::new();
        let exchange = host.exchange(&create(&body));
        host.sql(change, &[]);
        let before = host.dump();
        let rows = host.run(exchange.batch()).unwrap();
        let got = host.finish(&create(&body), exchange, Ok(rows));
        assert_eq!(got.status, status, "{change}: {got:?}");
        assert_eq!(host.dump(), before);
    }
    for ask in [
        delete("/keys/2"),
        rotate(2, 0),
        edit(2, &json!({"name": "x"})),
    ] {
        for (change, status) in [
            (
                "UPDATE api_keys SET expires_at = '2027-01-01 00:00:00' WHERE id = 1",
                403,
            ),
            (
                "UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00' WHERE id = 2",
                404,
            ),
        ] {
            let mut host = Host::new();
            made(&mut host, &json!({"scopes": ["audit"]}));
            host.expect_after(status, &ask, |host| drop(host.sql(change, &[])));
        }
    }
}

#[test]
fn a_change_that_changes_nothing_leaves_no_entry() {
    let mut host = Host::new();
    let (id, _) = made(
        &mut host,
        &json!({"name": "a", "scopes": ["audit"], "expires_at": LATER}),
    );
    let before = host.dump();
    for body in [
        json!({"name": "a"}),
        json!({"expires_at": LATER}),
        json!({"name": "a", "expires_at": LATER}),
    ] {
        host.expect(204, &edit(id, &body));
        assert_eq!(host.dump(), before);
    }
    // It is remembered all the same.
    let ask = edit(id, &json!({"name": "a"})).idempotency_key("k");
    host.expect(204, &ask);
    host.expect(204, &edit(id, &json!({"name": "b"})));
    let got = host.expect(204, &ask);
    assert!(got.header("idempotency-replayed").is_some(), "{got:?}");
    assert_eq!(host.json(200, &get(&format!("/keys/{id}")))["name"], "b");
}

/// Nobody knows whether a batch that failed was committed. The second try must not make a second key, and must answer the first one's.
#[test]
fn a_write_that_failed_after_its_commit_is_answered_once() {
    let mut host = Host::new();
    let (id, _) = made(&mut host, &json!({"scopes": ["audit"]}));
    for ask in [
        create(&json!({"scopes": ["audit"]})),
        edit(id, &json!({"name": "x"})),
        rotate(id, 0),
        delete(&format!("/keys/{id}")),
    ] {
        let count = |host: &Host| {
            host.one(
                "SELECT (SELECT count(*) FROM audit_log) * 1000 + (SELECT count(*) FROM api_keys)",
            )
        };
        let before = count(&host);
        let exchange = host.exchange(&ask);
        host.run(exchange.batch()).unwrap();
        let after = count(&host);
        assert_ne!(before, after);
        let again = host.ask_why(&ask, exchange, "the connection broke");
        let rows = host.run(again.batch()).unwrap();
        let got = host.finish_why(&ask, again, Ok(rows));
        assert!(got.status < 300, "{ask:?}: {got:?}");
        assert_eq!(count(&host), after, "{ask:?}");
        if got.status == 201 {
            assert!(is_valid(&mut host, &key_of(&got.json()).1));
        }
    }
}

/// Each reads the next id before any of them writes. Those whose id is taken take the next one.
#[test]
fn keys_that_are_created_at_once_get_ids_of_their_own() {
    let mut host = Host::new();
    let ask = create(&json!({"scopes": ["audit"]}));
    let mut waiting: Vec<_> = (0..10).map(|_| host.exchange(&ask)).collect();
    let mut ids = Vec::new();
    while !waiting.is_empty() {
        let mut next = Vec::new();
        for exchange in waiting {
            let rows = host.run(exchange.batch());
            match host.resumed(exchange, rows) {
                Step::Run(again) => next.push(again),
                step @ Step::Done(_) => {
                    let got = host.sent(&ask, step, false).unwrap();
                    assert_eq!(got.status, 201, "{got:?}");
                    let (id, key) = key_of(&got.json());
                    assert!(is_valid(&mut host, &key));
                    ids.push(id);
                }
            }
        }
        waiting = next;
    }
    assert_eq!(ids, (2..12).collect::<Vec<_>>());
    assert_eq!(host.one("SELECT count(*) FROM audit_log"), 10.into());
}

/// A lost answer to the creation of a key, or to its rotation, would leave a key that nobody knows.
#[test]
fn a_new_key_is_remembered_encrypted_and_survives_a_rotation_of_the_encryption_key() {
    let mut host = Host::new();
    let made = host.expect(
        201,
        &create(&json!({"scopes": ["audit"]})).idempotency_key("k-1"),
    );
    let (id, _) = key_of(&made.json());
    let rotated = host.expect(200, &rotate(id, 60).idempotency_key("k-2"));
    let own = post("/keys/1/rotate", r#"{"overlap_seconds":60}"#).idempotency_key("k-3");
    let own_rotated = host.expect(200, &own);
    host.expect(204, &edit(id, &json!({"name": "other"})));
    let stored = host.dump();
    for got in [&made, &rotated, &own_rotated] {
        assert!(
            !stored.contains(&key_of(&got.json()).1),
            "no key is stored in clear"
        );
    }
    for (ask, first) in [
        (
            create(&json!({"scopes": ["audit"]})).idempotency_key("k-1"),
            &made,
        ),
        (rotate(id, 60).idempotency_key("k-2"), &rotated),
        (own, &own_rotated),
    ] {
        let again = host.ask(&ask);
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(host.dump(), stored);

    const OTHER: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let key = SECRETS[2].1;
    host.configure(&[
        ("CHEVERETO_ENCRYPTION_KEY", OTHER),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", key),
    ]);
    let now = Timestamp::from_unix(host.now).unwrap();
    let config = host.api.config().unwrap();
    let task = Reseal::begin(config, &Run::new("cli-1"), &now, 10_000).unwrap();
    let report = host.complete(task);
    assert_eq!(report.after.answers.current, 3);
    let again = host.expect(200, &rotate(id, 60).idempotency_key("k-2"));
    assert_eq!(again.body, rotated.body);

    host.configure(&[
        ("CHEVERETO_ENCRYPTION_KEY", ""),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", ""),
    ]);
    let got = host.refuse(
        503,
        &create(&json!({"scopes": ["audit"]})).idempotency_key("k-4"),
    );
    assert_eq!(got.json()["code"], "not_configured");
}

#[test]
fn bodies_are_checked_by_field() {
    let mut host = Host::new();
    for (body, named) in [
        (json!({}), vec!["/scopes"]),
        (json!({"scopes": []}), vec!["/scopes"]),
        (json!({"scopes": "audit"}), vec!["/scopes"]),
        (json!({"scopes": ["audit", 7]}), vec!["/scopes/1"]),
        (json!({"scopes": ["audit", "x"]}), vec!["/scopes/1"]),
        (
            json!({"scopes": ["audit"], "name": "", "expires_at": "tomorrow"}),
            vec!["/expires_at", "/name"],
        ),
        (
            json!({"scopes": ["audit"], "expires_at": NOW_TEXT}),
            vec!["/expires_at"],
        ),
        (json!({"scopes": ["audit"], "id": 7}), vec!["/id"]),
    ] {
        let mut got = host.refuse(422, &create(&body)).named();
        got.sort();
        assert_eq!(got, named, "{body}");
    }
    for overlap in [
        json!(-1),
        json!(604_801),
        json!(1.5),
        json!("60"),
        json!(null),
    ] {
        let body = json!({"overlap_seconds": overlap}).to_string();
        let got = host.refuse(422, &post("/keys/2/rotate", body));
        assert_eq!(got.named(), ["/overlap_seconds"]);
    }
    let overlap = r#"{"overlap_seconds":60.0}"#;
    host.expect(200, &post("/keys/1/rotate", overlap));
    host.refuse(422, &patch("/keys/1", "{}"));
    for id in ["0", "01", "x", "-1", "1234567890123456"] {
        for ask in [
            get(&format!("/keys/{id}")),
            delete(&format!("/keys/{id}")),
            patch(&format!("/keys/{id}"), r#"{"name":"x"}"#),
            post(&format!("/keys/{id}/rotate"), ""),
        ] {
            assert_eq!(host.ask(&ask).status, 404, "{ask:?}");
        }
    }
}
