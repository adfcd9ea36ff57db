//! Deleted tenants: the list of those that can be brought back, `POST /tenants/{id}/restore`, and what is wiped (contract §16).

use serde_json::{Value as Json, json};
use tenants_core::sql::Value;

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, new_tenant_on, patch,
    post, put,
};
use crate::cells::host_with_cells;
use crate::host::Host;

const DAY: i64 = 24 * 60 * 60;

fn restore(id: &str) -> Ask {
    post(&format!("/tenants/{id}/restore"), "")
}

/// A host with a tenant that has everything.
fn full() -> (Host, Json) {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    let body = r#"{"id":"Acme","hostname":"acme.example.com","is_enabled":true,"plan_id":"p","external_id":"C-1","labels":{"tier":"gold"},
        "limits":{"L":"1"},"env":{"SECRET":"s3cret"},"suspend_at":"2027-01-01 00:00:00"}"#;
    host.expect(201, &post("/tenants", body));
    host.expect(201, &install("Acme"));
    let hold = r#"{"reason":"r","until":"2026-12-01 00:00:00"}"#;
    host.expect(204, &put("/tenants/acme/holds/abuse", hold));
    let tenant = host.json(200, &get("/tenants/acme"));
    (host, tenant)
}

/// Adds a deleted tenant.
pub(crate) fn add_deleted(host: &Host) {
    host.sql(
        "INSERT INTO deleted_tenants (id, hostname, is_enabled, env, created_at, updated_at, has_site, labels, revision, deleted_at) \
         SELECT 'deleted', 'deleted.example.com', 1, NULL, created_at, created_at, 0, '{}', 1, created_at FROM tenants WHERE id = 'a'",
        &[],
    );
}

/// The requests of holds and of deleted tenants, for the tests of statements.
pub(crate) fn requests_of_holds() -> Vec<(&'static str, Ask, &'static [&'static str])> {
    vec![
        (
            "PUT /tenants/{id}/holds/{kind}",
            put("/tenants/a/holds/abuse", r#"{"reason":"r"}"#),
            &[],
        ),
        (
            "DELETE /tenants/{id}/holds/{kind}, with an Idempotency-Key",
            delete("/tenants/on-eu/holds/admin").idempotency_key("k-9"),
            &[],
        ),
        (
            "GET /tenants?deleted=true",
            get("/tenants?deleted=true"),
            &[],
        ),
        (
            "POST /tenants/{id}/erase",
            post("/tenants/a/erase", ""),
            &[
                "SCAN idempotency USING INDEX idempotency_by_secret",
                "SCAN json_each VIRTUAL TABLE INDEX 1:",
            ],
        ),
        (
            "POST /tenants/{id}/restore, with an Idempotency-Key",
            restore("deleted").idempotency_key("k-r"),
            &[
                "SCAN h VIRTUAL TABLE INDEX 1:",
                "SCAN json_each VIRTUAL TABLE INDEX 1:",
            ],
        ),
    ]
}

fn listed(host: &mut Host) -> Json {
    host.json(200, &get("/tenants?deleted=true"))
}

#[test]
fn what_cannot_be_brought_back_is_a_404() {
    let (mut host, _) = full();
    for id in ["acme", "never", "_"] {
        let got = host.expect(404, &restore(id));
        assert_eq!(
            got.json()["detail"],
            "there is no such deleted tenant that can be brought back"
        );
    }
    host.refuse(400, &post("/tenants/acme/restore", "{}"));
    for query in ["deleted=yes", "deleted=true&q=a", "deleted=true&count=true"] {
        host.refuse(422, &get(&format!("/tenants?{query}")));
    }
    // The tables are gone, and what an earlier tenant of the id had as well.
    host.expect(204, &delete("/tenants/acme"));
    host.expect(201, &new_tenant("acme"));
    assert_eq!(listed(&mut host).as_array().unwrap().len(), 1);
    assert_eq!(host.ask(&delete_with_tables("acme")).status, 204);
    assert_eq!(listed(&mut host), json!([]));
    host.expect(404, &restore("acme"));
}

#[test]
fn a_tenant_comes_back_with_everything_after_29_days() {
    let (mut host, before) = full();
    host.expect(204, &delete("/tenants/acme"));
    host.expect(404, &get("/tenants/acme"));
    assert_eq!(host.json(200, &get("/tenants")), json!([]));
    let trial = host.json(200, &post("/tenants/acme/restore?validate_only=true", ""));
    assert_eq!(trial, json!({"valid": true}));
    let deleted_at = host.one("SELECT deleted_at FROM deleted_tenants");
    let mut expected = before.clone();
    let Value::Text(deleted_at) = deleted_at else {
        panic!("a time");
    };
    expected["deleted_at"] = deleted_at.into();
    assert_eq!(listed(&mut host), json!([expected]));

    host.now += 29 * DAY;
    host.cron();
    // A PUT of the same id is a new tenant, so the deleted one waits.
    let got = host.expect(200, &restore("ACME"));
    let after = host.expect(200, &get("/tenants/acme"));
    assert_eq!(got.json(), after.json());
    assert_eq!(got.header("etag"), after.header("etag"));
    let mut expected = before;
    expected["updated_at"] = after.json()["updated_at"].clone();
    assert_eq!(after.json(), expected);
    assert_eq!(listed(&mut host), json!([]));
    assert_eq!(
        host.json(200, &get("/tenants?label=tier:gold&fields=id")),
        json!([{"id": "Acme"}])
    );
    host.expect(404, &restore("acme"));
    assert_eq!(
        host.one("SELECT group_concat(hold_until) FROM tenants"),
        "2026-12-01 00:00:00".into()
    );
    assert_eq!(
        host.one("SELECT action || ' ' || subject || ' ' || key_id FROM audit_log ORDER BY id DESC LIMIT 1"),
        "tenant.restore acme 1".into()
    );
    let events = host.json(200, &get("/events?type=tenant.restored"));
    assert_eq!(events.as_array().unwrap().len(), 1);
}

#[test]
fn after_31_days_it_is_gone_with_what_was_encrypted() {
    let (mut host, _) = full();
    host.expect(204, &delete("/tenants/acme"));
    host.now += 30 * DAY;
    // The clock decides, before the cron trigger does.
    assert_eq!(listed(&mut host), json!([]));
    host.expect(404, &restore("acme"));
    assert_eq!(
        host.one("SELECT count(*) FROM deleted_tenants WHERE env IS NOT NULL"),
        Value::Integer(1)
    );
    host.now += DAY;
    host.minute();
    assert_eq!(
        host.one("SELECT count(*) FROM deleted_tenants"),
        Value::Integer(0)
    );
    let after = host.dump();
    host.minute();
    assert_eq!(host.dump(), after);
}

#[test]
fn the_days_are_the_operators() {
    for (days, status) in [("0", 404), ("1", 200)] {
        let (mut host, _) = full();
        host.configure(&[("TENANTS_RESTORE_DAYS", days)]);
        host.expect(204, &delete("/tenants/acme"));
        host.now += DAY - 1;
        assert_eq!(host.ask(&restore("acme")).status, status, "{days}");
    }
}

#[test]
fn a_conflict_names_everything_that_was_taken_meanwhile() {
    let (mut host, _) = full();
    host.expect(204, &delete("/tenants/acme"));
    host.expect(201, &new_tenant("acme"));
    let taken =
        r#"{"id":"other","hostname":"x.example.com","is_enabled":true,"external_id":"C-1"}"#;
    host.expect(201, &post("/tenants", taken));
    let got = host.expect(409, &restore("acme"));
    assert_eq!(
        got.json()["errors"],
        json!([
            {"pointer": "/id", "detail": "`acme` is taken", "holder": "acme"},
            {"pointer": "/hostname", "detail": "`acme.example.com` is taken", "holder": "acme"},
            {"pointer": "/external_id", "detail": "`C-1` is taken", "holder": "other"}
        ])
    );
    // A newer deletion takes the place of the older one.
    host.expect(204, &delete("/tenants/acme"));
    assert_eq!(listed(&mut host)[0]["plan_id"], json!(null));
    host.expect(200, &restore("acme"));
}

#[test]
fn its_further_hostnames_come_back_or_are_named() {
    let (mut host, _) = full();
    for (name, kind) in [("b.example.com", "alias"), ("c.example.com", "redirect")] {
        let body = format!(r#"{{"kind":"{kind}"}}"#);
        host.expect(201, &put(&format!("/tenants/acme/hostnames/{name}"), body));
    }
    let before = host.json(200, &get("/tenants/acme/hostnames"));
    host.expect(204, &delete("/tenants/acme"));
    host.expect(
        201,
        &post(
            "/tenants",
            r#"{"id":"other","hostname":"b.example.com","is_enabled":true}"#,
        ),
    );
    host.expect(
        201,
        &put(
            "/tenants/other/hostnames/acme.example.com",
            r#"{"kind":"alias"}"#,
        ),
    );
    let got = host.expect(409, &restore("acme"));
    assert_eq!(
        got.json()["errors"],
        json!([
            {"pointer": "/hostname", "detail": "`acme.example.com` is taken", "holder": "other"},
            {"pointer": "/hostname", "detail": "`b.example.com` is taken", "holder": "other"}
        ])
    );
    host.expect(204, &delete("/tenants/other"));
    host.expect(200, &restore("acme"));
    assert_eq!(host.json(200, &get("/tenants/acme/hostnames")), before);
}

#[test]
fn a_plan_that_is_gone_does_not_come_back() {
    let (mut host, _) = full();
    host.expect(204, &delete("/tenants/acme"));
    host.expect(204, &delete("/tenants-plans/P"));
    // Another plan may have its id by then.
    host.expect(201, &new_plan("P"));
    assert_eq!(host.json(200, &restore("acme"))["plan_id"], json!(null));
}

#[test]
fn the_same_request_again_is_answered_as_before() {
    let (mut host, _) = full();
    host.expect(204, &delete("/tenants/acme"));
    let keyed = restore("acme").idempotency_key("k-1");
    let first = host.expect(200, &keyed);
    assert_eq!(first.json()["env"], json!({"SECRET": "s3cret"}));
    host.expect(204, &patch("/tenants/acme", r#"{"is_enabled":false}"#));
    let before = host.dump();
    let again = host.expect(200, &keyed);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    assert_eq!(host.dump(), before);
}

#[test]
fn a_list_of_deleted_tenants_has_pages() {
    let mut host = Host::new();
    for id in ["a", "b", "c"] {
        host.expect(201, &new_tenant(id));
        host.expect(204, &delete(&format!("/tenants/{id}")));
    }
    let got = host.expect(200, &get("/tenants?deleted=true&limit=2"));
    assert_eq!(got.json().as_array().unwrap().len(), 2);
    let link = got.header("link").unwrap();
    assert!(
        link.contains("after=b") && link.contains("deleted=true"),
        "{link}"
    );
    let got = host.json(200, &get("/tenants?deleted=true&limit=2&after=b"));
    assert_eq!(got[0]["id"], "c");
    host.expect(200, &get("/tenants?deleted=false"));
}

#[test]
fn the_deletion_of_the_cron_trigger_can_be_undone() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(
        204,
        &patch("/tenants/a", r#"{"delete_at":"2026-08-19 00:00:00"}"#),
    );
    host.now += DAY;
    host.minute();
    let back = host.json(200, &restore("a"));
    assert_eq!(back["delete_at"], json!(null), "it would be deleted again");
    host.minute();
    host.expect(200, &get("/tenants/a"));
}

#[test]
fn a_site_of_a_cell_goes_and_comes_back() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    host.sql("UPDATE tenants SET site_state = 'installed'", &[]);
    let feed = |host: &mut Host, after: &str| {
        let page = host.json(200, &get(&format!("/cells/eu/tenants{after}")));
        let next = format!("?after={}", page["cursor"].as_str().unwrap());
        (page["tenants"][0].clone(), page["gone"].clone(), next)
    };
    let (first, _, next) = feed(&mut host, "");
    host.expect(204, &delete("/tenants/a"));
    let (none, gone, next) = feed(&mut host, &next);
    assert_eq!((none, gone), (Json::Null, json!(["a"])));
    assert_eq!(host.json(200, &restore("a"))["site"]["state"], "installed");
    let (back, gone, _) = feed(&mut host, &next);
    assert_eq!(back["hostname"], first["hostname"]);
    assert_eq!(back["is_enabled"], true);
    assert_eq!(gone, json!([]));
    assert_eq!(
        host.one("SELECT count(*) FROM kept_sites"),
        Value::Integer(0)
    );
}

/// An older Worker deletes through the same view, and its rows can be brought back.
#[test]
fn the_deletion_of_an_older_worker_can_be_undone() {
    let (mut host, before) = full();
    host.sql(
        "INSERT INTO delete_tenant (key_id, request_id, now, key_stands, id_is_there, site_is_there, id) \
         VALUES (1, 'r', '2026-08-18 23:16:57', 1, 1, 1, 'acme')",
        &[],
    );
    host.expect(404, &get("/tenants/acme"));
    assert_eq!(host.json(200, &restore("acme"))["env"], before["env"]);
}
