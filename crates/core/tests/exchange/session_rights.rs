//! What a session of the console may do (contract §20): its scopes, other sessions, keys, and the entries that it leaves.

use serde_json::{Value as Json, json};
use tenants_core::value::scope::Scopes;

use crate::ask::{delete, get, new_tenant, patch, post};
use crate::sessions::{Console, assert_over, code, host};

#[test]
fn a_session_may_have_fewer_scopes_than_its_key_and_never_more() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    let console = Console::with(&mut host, r#"{"scopes":["tenants:read","audit"]}"#);
    let shown = host.json(200, &console.ask(Console::own("GET")));
    assert_eq!(shown["scopes"], json!(["tenants:read", "audit"]));
    let verified = host.json(200, &console.ask(post("/auth/verify", "")));
    assert_eq!(verified["key"]["scopes"], json!(["tenants:read", "audit"]));
    host.expect(200, &console.ask(get("/tenants/a")));
    host.expect(200, &console.ask(get("/audit")));
    for ask in [new_tenant("b"), get("/tenants-plans"), Console::all()] {
        let got = host.ask(&console.ask(ask));
        assert_eq!((got.status, code(&got)), (403, json!("insufficient_scope")));
    }
    // Bad scopes, and such as the key lacks.
    for (own, body, errors) in [
        (
            &["tenants:write"][..],
            r#"{"scopes":["tenants:read","keys","tenants:write","*"]}"#,
            &["/scopes/1", "/scopes/3"][..],
        ),
        (&["keys"], r#"{"scopes":["cell:eu"]}"#, &["/scopes/0"]),
        (&["*"], r#"{"scopes":[]}"#, &["/scopes"]),
        (&["*"], r#"{"scopes":["all"]}"#, &["/scopes/0"]),
        (&["*"], r#"{"scope":["*"]}"#, &["/scope"]),
    ] {
        let (ask, console) = Console::asking(&mut host, body);
        let scopes = Scopes::parse(own.iter().copied()).unwrap();
        host.sql(
            "UPDATE api_keys SET scopes = ?1, permits = ?2 WHERE id = ?3",
            &[
                scopes.to_stored().into(),
                scopes.permits().into(),
                console.key_id.into(),
            ],
        );
        let got = host.ask(&ask);
        assert_eq!(got.status, 422, "{got:?}");
        assert_eq!(got.named(), errors, "{body}");
    }
}

#[test]
fn living_sessions_are_listed_and_ended_by_keys_that_may_do_as_much() {
    let mut host = host();
    let first = Console::with(&mut host, r#"{"scopes":["keys"]}"#);
    host.now += 1;
    let second = Console::new(&mut host);
    let listed = host.json(200, &first.ask(Console::all()));
    assert_eq!(
        listed,
        json!([
            {"id": first.id, "key": {"id": first.key_id, "name": "bound"}, "scopes": ["keys"], "created_at": "2026-08-18 23:16:57",
             "last_used_at": "2026-08-18 23:16:57", "expires_at": "2026-08-19 07:16:57", "current": true},
            {"id": second.id, "key": {"id": second.key_id, "name": "bound"}, "scopes": ["*"], "created_at": "2026-08-18 23:16:58",
             "last_used_at": "2026-08-18 23:16:58", "expires_at": "2026-08-19 07:16:58", "current": false},
        ])
    );
    let got = host.ask(&first.ask(Console::one("DELETE", &second.id)));
    assert_eq!((got.status, code(&got)), (403, json!("exceeds_own_key")));
    for id in ["x", "0123456789ABCDEF", "0123456789abcdef"] {
        host.expect(404, &second.ask(Console::one("DELETE", id)));
    }
    // The first session ends by the second, and the second by a key.
    let got = host.expect(204, &second.ask(Console::one("DELETE", &first.id)));
    assert_eq!(got.header("set-cookie"), None);
    assert_over(&host.ask(&first.ask(Console::all())));
    host.expect(404, &second.ask(Console::one("DELETE", &first.id)));
    let listed = host.json(200, &second.ask(Console::all()));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    host.expect(204, &Console::one("DELETE", &second.id));
    assert_eq!(host.json(200, &Console::all()), json!([]));
    let key = host.issue_scoped(&["tenants:write", "audit"]);
    assert_eq!(host.ask(&Console::all().key(key)).status, 403);
    // One's own, by its id.
    let third = Console::new(&mut host);
    let got = host.expect(204, &third.ask(Console::one("DELETE", &third.id)));
    assert!(got.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn the_audit_log_says_which_session_wrote_what() {
    let mut host = host();
    let console = Console::new(&mut host);
    host.expect(201, &console.ask(new_tenant("a")));
    host.expect(
        204,
        &console.ask(patch("/tenants/a", r#"{"is_enabled":false}"#)),
    );
    host.expect(204, &delete("/tenants/a"));
    host.expect(204, &console.ask(Console::own("DELETE")));
    let entries = host.json(200, &get("/audit"));
    let told: Vec<Json> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|e| json!([e["action"], e["subject"], e["key_id"], e["session_id"]]))
        .collect();
    let (id, key) = (&console.id, console.key_id);
    assert_eq!(
        told,
        [
            json!(["session.create", id, key, null]),
            json!(["tenant.create", "a", key, id]),
            json!(["tenant.update", "a", key, id]),
            json!(["tenant.delete", "a", host.key_id, null]),
            json!(["session.delete", id, key, id]),
        ]
    );
    let types = host.json(200, &get("/events"));
    let types: Vec<&str> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["type"].as_str().unwrap())
        .collect();
    assert_eq!(types[0], "session.created");
    assert_eq!(types[4], "session.deleted");
}

/// A session with fewer scopes than its key must not get at a key that has more: neither by a new one, nor by the rotation of its own, nor by a
/// response that its key got before.
#[test]
fn a_session_makes_changes_and_rotates_only_keys_that_may_do_no_more_than_itself() {
    let mut host = host();
    let console = Console::with(&mut host, r#"{"scopes":["keys","tenants:read"]}"#);
    for (body, status) in [
        (r#"{"scopes":["*"],"bound":true}"#, 403),
        (r#"{"scopes":["tenants:write"],"bound":true}"#, 403),
        (r#"{"scopes":["tenants:read"]}"#, 403),
        (r#"{"scopes":["tenants:read"],"bound":true}"#, 201),
    ] {
        let got = host.ask(&console.ask(post("/keys", body)));
        assert_eq!(got.status, status, "{body}: {got:?}");
    }
    let own = format!("/keys/{}", console.key_id);
    for ask in [
        post(&format!("{own}/rotate"), r#"{"overlap_seconds":60}"#),
        patch(&own, r#"{"name":"mine"}"#),
        delete(&own),
        delete("/keys/1"),
    ] {
        let got = host.ask(&console.ask(ask));
        assert_eq!(
            (got.status, code(&got)),
            (403, json!("insufficient_scope")),
            "{got:?}"
        );
    }
    let reader = Console::with(&mut host, r#"{"scopes":["tenants:read"]}"#);
    let rotate = post(
        &format!("/keys/{}/rotate", reader.key_id),
        r#"{"overlap_seconds":60}"#,
    );
    assert_eq!(host.ask(&reader.ask(rotate)).status, 403);

    // A response that the key itself got, under the same Idempotency-Key.
    let (ask, all) = Console::asking(&mut host, "");
    let got = host.expect(201, &ask);
    let all = all.signed_in(&got);
    let make = post("/keys", r#"{"scopes":["*"],"bound":true}"#).idempotency_key("k-1");
    host.expect(201, &all.ask(make.clone()));
    host.sql(
        "UPDATE console_sessions SET scopes = 'keys', permits = 256 WHERE id = ?1",
        &[all.id.as_str().into()],
    );
    assert_eq!(host.ask(&all.ask(make)).status, 403);
    host.sql(
        "UPDATE console_sessions SET scopes = '*', permits = -1 WHERE id = ?1",
        &[all.id.as_str().into()],
    );
    let rotate = post(
        &format!("/keys/{}/rotate", all.key_id),
        r#"{"overlap_seconds":600}"#,
    );
    let got = host.expect(200, &all.ask(rotate));
    assert!(got.json()["signing_secret"].is_string());
    // The rotation of its key has ended it.
    assert_over(&host.ask(&all.ask(get("/tenants"))));
}
