//! `/tenants-plans` and `/tenants-plans/{id}` (contract §4, §6).

use tenants_core::sql::Value;

use crate::ask::{delete, get, new_plan, new_tenant, patch, post};
use crate::host::{Host, NOW, NOW_TEXT, problem};

#[test]
fn an_unknown_plan_is_a_404() {
    let mut host = Host::new();
    host.expect(201, &new_plan("abc"));
    host.expect(201, &new_tenant("tenant"));
    let expected = problem(404, "Not Found", "there is no such plan", "not_found", "");
    let too_long = "a".repeat(65);
    for id in ["nobody", "ab", "abcd", "a%62c", "_", "tenant", &too_long] {
        let path = format!("/tenants-plans/{id}");
        assert_eq!(host.expect(404, &get(&path)).body, expected);
        assert_eq!(
            host.expect(404, &patch(&path, r#"{"limits":{}}"#)).body,
            expected
        );
        let sealed = patch(&path, r#"{"env":{"A":"hidden"}}"#);
        assert_eq!(host.expect(404, &sealed).body, expected);
        assert_eq!(host.expect(404, &delete(&path)).body, expected);
    }
}

#[test]
fn all_wrong_fields_are_reported_at_once() {
    let mut host = Host::new();
    for (body, named) in [
        ("{}", &["/id"][..]),
        (
            r#"{"id":"a b","limits":[1],"env":"hidden","a/b":1}"#,
            &["/id", "/limits", "/env", "/a~1b"],
        ),
        (r#"{"id":"a","name":"A"}"#, &["/name"]),
        (r#"{"id":"a","description":null}"#, &["/description"]),
        (
            r#"{"id":null,"limits":{"a":1,"A":[]},"env":{"B":null}}"#,
            &["/id", "/limits/a", "/limits/A", "/env/B"],
        ),
    ] {
        assert_eq!(
            host.refuse(422, &post("/tenants-plans", body)).named(),
            named
        );
    }
    host.expect(201, &new_plan("a"));
    for (body, named) in [
        (
            r#"{"limits":1,"env":[{}],"id":"b"}"#,
            &["/limits", "/env", "/id"][..],
        ),
        (r#"{"id":"a"}"#, &["/id"]),
    ] {
        assert_eq!(
            host.refuse(422, &patch("/tenants-plans/a", body)).named(),
            named
        );
    }
    let got = host.refuse(422, &patch("/tenants-plans/a", "{}"));
    assert_eq!(
        got.json()["errors"].to_string(),
        r#"[{"detail":"expected at least one of external_id, labels, limits, env","pointer":""}]"#
    );
}

#[test]
fn a_taken_id_is_a_409() {
    let mut host = Host::new();
    host.expect(201, &new_plan("Taken"));
    for id in ["Taken", "tAKEN"] {
        let got = host.expect(409, &new_plan(id));
        let errors =
            format!(r#"[{{"pointer":"/id","detail":"`{id}` is taken","holder":"Taken"}}]"#);
        assert_eq!(
            got.body,
            problem(409, "Conflict", "already taken: id", "conflict", &errors)
        );
    }
    host.expect(201, &new_tenant("taken"));
}

#[test]
fn a_created_plan_is_returned_whole() {
    let mut host = Host::new();
    for (given, shown) in [
        ("", r#""limits":null,"env":null"#),
        (
            r#","limits":null,"env":null"#,
            r#""limits":null,"env":null"#,
        ),
        (r#","limits":{},"env":{}"#, r#""limits":{},"env":{}"#),
        (r#","env":{}"#, r#""limits":null,"env":{}"#),
        // A PHP client writes an empty map like this.
        (r#","limits":[],"env":[ ]"#, r#""limits":{},"env":{}"#),
        (
            r#","env":{"B":"hidden","A":1.0},"limits":{"D":false}"#,
            r#""limits":{"D":"false"},"env":{"A":"1.0","B":"hidden"}"#,
        ),
    ] {
        let got = host.expect(
            201,
            &post("/tenants-plans", format!(r#"{{"id":"Abc"{given}}}"#)),
        );
        let expected = format!(
            r#"{{"id":"Abc","external_id":null,"labels":{{}},{shown},"created_at":"{NOW_TEXT}","updated_at":"{NOW_TEXT}"}}"#
        );
        assert_eq!(got.body, expected);
        assert_eq!(got.header("location"), Some("/_/api/4/tenants-plans/Abc"));
        assert_eq!(host.expect(200, &get("/tenants-plans/aBC")).body, expected);
        let list = host.expect(200, &get("/tenants-plans")).body;
        assert_eq!(list, format!("[{expected}]"));
        host.expect(204, &delete("/tenants-plans/abc"));
    }
    assert_eq!(
        host.sql("SELECT DISTINCT action, subject FROM audit_log", &[]),
        [
            ["plan.create".into(), "abc".into()],
            ["plan.delete".into(), "abc".into()]
        ]
    );
}

#[test]
fn a_patch_changes_only_the_fields_that_it_names() {
    for (body, shown) in [
        (
            r#"{"limits":{"X":1}}"#,
            r#""limits":{"X":"1"},"env":{"E":"hidden-plan"}"#,
        ),
        (
            r#"{"limits":{}}"#,
            r#""limits":{},"env":{"E":"hidden-plan"}"#,
        ),
        (
            r#"{"limits":null}"#,
            r#""limits":null,"env":{"E":"hidden-plan"}"#,
        ),
        (
            r#"{"env":{"Y":"hidden"}}"#,
            r#""limits":{"L":"1"},"env":{"Y":"hidden"}"#,
        ),
        (r#"{"env":{}}"#, r#""limits":{"L":"1"},"env":{}"#),
        (r#"{"env":[]}"#, r#""limits":{"L":"1"},"env":{}"#),
        (r#"{"env":null}"#, r#""limits":{"L":"1"},"env":null"#),
        (r#"{"env":null,"limits":{}}"#, r#""limits":{},"env":null"#),
    ] {
        let mut host = Host::new();
        host.expect(201, &new_plan("Abc"));
        host.expect(201, &new_plan("other"));
        let other = host.expect(200, &get("/tenants-plans/other")).body;
        host.now = NOW + 1;
        host.expect(204, &patch("/tenants-plans/aBC", body));
        assert_eq!(
            host.expect(200, &get("/tenants-plans/abc")).body,
            format!(
                r#"{{"id":"Abc","external_id":null,"labels":{{}},{shown},"created_at":"{NOW_TEXT}","updated_at":"2026-08-18 23:16:58"}}"#
            )
        );
        assert_eq!(host.expect(200, &get("/tenants-plans/other")).body, other);
        assert_eq!(
            host.sql(
                "SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 1",
                &[]
            ),
            [["plan.update".into(), "abc".into()]]
        );
    }
}

/// With foreign keys enforced and without: not every host enforces them.
#[test]
fn the_tenants_of_a_deleted_plan_stay_without_a_plan() {
    for enforced in [true, false] {
        let mut host = Host::new();
        host.db
            .pragma_update(None, "foreign_keys", enforced)
            .unwrap();
        host.expect(201, &new_plan("Doomed"));
        host.expect(201, &new_plan("other"));
        for (id, plan) in [("a", "doomed"), ("b", "DOOMED"), ("c", "other")] {
            host.expect(201, &new_tenant(id));
            let body = format!(r#"{{"plan_id":"{plan}","env":{{"A":"hidden"}}}}"#);
            host.expect(204, &patch(&format!("/tenants/{id}"), body));
        }
        let before = host.json(200, &get("/tenants/a"));
        host.now = NOW + 60;
        host.expect(204, &delete("/tenants-plans/dOOMED"));
        let mut expected = before;
        expected["plan_id"] = serde_json::Value::Null;
        assert_eq!(host.json(200, &get("/tenants/a")), expected);
        assert!(host.json(200, &get("/tenants/b"))["plan_id"].is_null());
        assert_eq!(host.json(200, &get("/tenants/c"))["plan_id"], "other");
        host.expect(404, &delete("/tenants-plans/Doomed"));
        assert_eq!(
            host.one("SELECT count(*) FROM audit_log WHERE action = 'plan.delete'"),
            Value::Integer(1)
        );
    }
}
