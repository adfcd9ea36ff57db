//! `PATCH` and `DELETE /tenants/{id}` (contract §4, §5).

use serde_json::{Value as Json, json};

use crate::ask::{delete, get, new_plan, new_tenant, patch, post};
use crate::host::{Host, NOW, NOW_TEXT, problem};

/// A host with a tenant `Abc` that has every field, the plans `P` and `Q`, and another tenant.
fn filled() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_plan("P"));
    host.expect(201, &new_plan("Q"));
    host.expect(201, &new_tenant("other"));
    let body = r#"{"id":"Abc","hostname":"abc.example.com","is_enabled":true,"plan_id":"P","limits":{"A":"1","B":"2"},"env":{"C":"hidden-3","D":"hidden-4"}}"#;
    host.expect(201, &post("/tenants", body));
    host
}

/// Edits `Abc` a minute later and returns the fields that changed.
fn edited(host: &mut Host, body: &str) -> Json {
    let before = host.json(200, &get("/tenants/Abc"));
    host.now = NOW + 60;
    let got = host.expect(204, &patch("/tenants/aBC", body));
    assert_eq!(got.header("location"), None);
    let after = host.json(200, &get("/tenants/Abc"));
    assert_eq!(after["updated_at"], "2026-08-18 23:17:57");
    let changed = after.as_object().unwrap().iter();
    changed
        .filter(|(name, value)| *name != "updated_at" && before[*name] != **value)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// D1 refuses a statement of more than 100,000 bytes, and its export writes a row as one statement.
#[test]
fn limits_and_env_of_more_bytes_than_a_row_may_have_are_a_422() {
    let mut host = filled();
    // `{"A":""}` has 8 bytes.
    let text = |bytes: usize| "x".repeat(bytes - 8);
    let (limits, env) = (text(20_000), text(40_000));
    // Together they are longer than a request may be.
    let largest = [
        format!(r#"{{"limits":{{"A":"{limits}"}}}}"#),
        format!(r#"{{"env":{{"A":"hidden{}"}}}}"#, &env[6..]),
    ];
    for path in ["/tenants/Abc", "/tenants-plans/P"] {
        for body in &largest {
            host.expect(204, &patch(path, body.as_str()));
        }
        let longest = host.json(200, &get(path));
        for (body, pointer, detail) in [
            (
                format!(r#"{{"limits":{{"A":"{limits}x"}}}}"#),
                "/limits",
                "expected at most 20000 bytes of JSON, where an apostrophe counts twice; got 20001",
            ),
            (
                format!(r#"{{"limits":{{"A":"{}'"}}}}"#, &limits[1..]),
                "/limits",
                "expected at most 20000 bytes of JSON, where an apostrophe counts twice; got 20001",
            ),
            (
                format!(r#"{{"env":{{"A":"hidden{}x"}}}}"#, &env[6..]),
                "/env",
                "expected at most 40000 bytes of JSON; got 40001",
            ),
        ] {
            let errors = host.json(422, &patch(path, body))["errors"].take();
            assert_eq!(errors, json!([{"pointer": pointer, "detail": detail}]));
        }
        assert_eq!(host.json(200, &get(path)), longest);
    }
}

/// An older version took longer maps.
#[test]
fn longer_maps_that_are_stored_already_are_shown_and_survive_an_edit() {
    let mut host = filled();
    let limits = format!(r#"{{"A":"{}"}}"#, "x".repeat(60_000));
    host.sql(
        "UPDATE tenants SET limits = ?1 WHERE id = 'Abc'",
        &[limits.as_str().into()],
    );
    let changed = edited(&mut host, r#"{"is_enabled":false}"#);
    assert_eq!(changed, json!({"is_enabled": false, "served": false}));
    let shown = host.json(200, &get("/tenants/Abc"));
    assert_eq!(shown["limits"].to_string(), limits);
}

#[test]
fn an_unknown_tenant_is_a_404() {
    let mut host = filled();
    let expected = problem(404, "Not Found", "there is no such tenant", "not_found", "");
    for id in ["nobody", "ab", "Abcd", "a%62c", "_", "a'b"] {
        let path = format!("/tenants/{id}");
        for body in [
            r#"{"is_enabled":true}"#,
            r#"{"hostname":"other.example.com"}"#,
            r#"{"plan_id":"nobody"}"#,
            r#"{"env":{"A":"hidden"}}"#,
        ] {
            assert_eq!(host.expect(404, &patch(&path, body)).body, expected);
        }
        assert_eq!(host.expect(404, &delete(&path)).body, expected);
        let drop = delete(&path).body(r#"{"drop_tables":true}"#);
        assert_eq!(host.ask(&drop).body, expected);
    }
}

#[test]
fn a_patch_without_a_field_is_a_422() {
    let mut host = filled();
    let got = host.refuse(422, &patch("/tenants/Abc", "{}"));
    assert_eq!(
        got.body,
        problem(
            422,
            "Unprocessable Content",
            "one field is not as expected",
            "invalid",
            r#"[{"pointer":"","detail":"expected at least one of hostname, is_enabled, plan_id, external_id, labels, limits, env, cell_id, suspend_at, delete_at, deletion_protection"}]"#
        )
    );
}

#[test]
fn all_wrong_fields_are_reported_at_once() {
    let mut host = filled();
    for (body, named) in [
        (
            r#"{"hostname":"a b","is_enabled":1,"plan_id":1,"limits":[{}],"env":"hidden","nope":1}"#,
            &[
                "/hostname",
                "/is_enabled",
                "/plan_id",
                "/limits",
                "/env",
                "/nope",
            ][..],
        ),
        (
            r#"{"hostname":null,"is_enabled":null,"limits":null}"#,
            &["/hostname", "/is_enabled"],
        ),
        (
            r#"{"hostname":"","plan_id":"a b"}"#,
            &["/hostname", "/plan_id"],
        ),
        (r#"{"hostname":"LOCALHOST"}"#, &["/hostname"]),
        (r#"{"id":"Abc","is_enabled":true}"#, &["/id"]),
        (
            r#"{"stats":{},"created_at":""}"#,
            &["/stats", "/created_at"],
        ),
        (
            r#"{"limits":{"a":"1","A/":"1"},"env":{"m~":"hidden","B":"hidden\u0000"}}"#,
            &["/limits/a", "/limits/A~1", "/env/m~0", "/env/B"],
        ),
    ] {
        assert_eq!(
            host.refuse(422, &patch("/tenants/Abc", body)).named(),
            named
        );
    }
}

#[test]
fn the_hostname_of_another_tenant_is_a_409_and_the_own_is_not() {
    let mut host = filled();
    for hostname in ["other.example.com", "OTHER.example.com"] {
        let body = format!(r#"{{"hostname":"{hostname}","is_enabled":false}}"#);
        let got = host.expect(409, &patch("/tenants/Abc", body));
        assert_eq!(
            got.body,
            problem(
                409,
                "Conflict",
                "already taken: hostname",
                "conflict",
                r#"[{"pointer":"/hostname","detail":"`other.example.com` is taken","holder":"other"}]"#
            )
        );
    }
    let own = r#"{"hostname":"ABC.example.com"}"#;
    assert_eq!(edited(&mut host, own).to_string(), "{}");
}

#[test]
fn a_plan_that_is_unknown_or_deleted_during_the_request_is_a_422() {
    let mut host = filled();
    let body = r#"{"plan_id":"nobody","hostname":"other.example.com"}"#;
    let got = host.expect(422, &patch("/tenants/Abc", body));
    assert_eq!(
        got.body,
        problem(
            422,
            "Unprocessable Content",
            "one field is not as expected",
            "invalid",
            r#"[{"pointer":"/plan_id","detail":"expected a plan that exists; got `nobody`"}]"#
        )
    );
    let ask = patch("/tenants/Abc", r#"{"plan_id":"q","is_enabled":false}"#);
    let got = host.expect_after(422, &ask, |host| {
        host.sql("DELETE FROM tenants_plans WHERE id = 'Q'", &[]);
    });
    assert_eq!(got.named(), ["/plan_id"]);
}

#[test]
fn a_hostname_that_is_taken_during_the_request_is_a_409() {
    let mut host = filled();
    let ask = patch("/tenants/Abc", r#"{"hostname":"new.example.com"}"#);
    host.expect_after(409, &ask, |host| {
        host.sql(
            "UPDATE tenants SET hostname = 'new.example.com' WHERE id = 'other'",
            &[],
        );
    });
}

#[test]
fn a_patch_changes_only_the_fields_that_it_names() {
    for (body, expected) in [
        (
            r#"{"hostname":"Moved.example.com"}"#,
            r#"{"hostname":"moved.example.com"}"#,
        ),
        (
            r#"{"is_enabled":false}"#,
            r#"{"is_enabled":false,"served":false}"#,
        ),
        (r#"{"is_enabled":true}"#, "{}"),
        (r#"{"plan_id":"q"}"#, r#"{"plan_id":"Q"}"#),
        (r#"{"plan_id":"p"}"#, "{}"),
        (r#"{"plan_id":null}"#, r#"{"plan_id":null}"#),
        (r#"{"plan_id":""}"#, r#"{"plan_id":null}"#),
        (r#"{"limits":{"X":5}}"#, r#"{"limits":{"X":"5"}}"#),
        (r#"{"limits":{}}"#, r#"{"limits":{}}"#),
        (r#"{"limits":null}"#, r#"{"limits":{}}"#),
        (r#"{"env":{"Y":"hidden"}}"#, r#"{"env":{"Y":"hidden"}}"#),
        (r#"{"env":{}}"#, r#"{"env":{}}"#),
        (r#"{"env":null}"#, r#"{"env":{}}"#),
        (
            r#"{"env":{"Y":"hidden"},"limits":{},"plan_id":"Q","is_enabled":false,"hostname":"m.example.com"}"#,
            r#"{"env":{"Y":"hidden"},"hostname":"m.example.com","is_enabled":false,"limits":{},"plan_id":"Q","served":false}"#,
        ),
    ] {
        let mut host = filled();
        assert_eq!(edited(&mut host, body).to_string(), expected, "{body}");
        assert_eq!(
            host.sql(
                "SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 1",
                &[]
            ),
            [["tenant.update".into(), "abc".into()]]
        );
        let other = host.json(200, &get("/tenants/other"));
        assert_eq!(other["updated_at"], NOW_TEXT);
    }
}

#[test]
fn the_id_and_hostname_of_a_deleted_tenant_are_free_again() {
    for (n, body) in [
        "",
        "{}",
        r#"{"drop_tables":true}"#,
        r#"{"drop_tables":false}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let mut host = filled();
        host.expect(204, &delete("/tenants/aBC").body(body));
        assert_eq!(
            host.sql(
                "SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 1",
                &[]
            ),
            [["tenant.delete".into(), "abc".into()]]
        );
        host.expect(404, &get("/tenants/Abc"));
        assert_eq!(host.ask(&delete("/tenants/Abc").body(body)).status, 404);
        host.expect(200, &get("/tenants/other"));
        host.expect(200, &get("/tenants-plans/P"));
        let made = host.json(201, &new_tenant(if n == 0 { "Abc" } else { "abC" }));
        assert_eq!(made["env"].to_string(), "{}");
    }
}

#[test]
fn the_body_of_a_delete_is_checked_if_there_is_one() {
    let mut host = filled();
    let path = "/tenants/Abc";
    for (body, named) in [
        (r#"{"drop_tables":1}"#, "/drop_tables"),
        (r#"{"drop_tables":null}"#, "/drop_tables"),
        (r#"{"drop_tables":"true"}"#, "/drop_tables"),
        (r#"{"drop":true}"#, "/drop"),
    ] {
        assert_eq!(host.refuse(422, &delete(path).body(body)).named(), [named]);
    }
    host.refuse(400, &delete(path).body("x"));
    host.refuse(400, &delete(path).body("[]"));
    host.refuse(415, &delete(path).body("{}").no_content_type());
    host.expect(204, &delete(path).content_type("text/plain"));
}
