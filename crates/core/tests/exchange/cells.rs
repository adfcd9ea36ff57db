//! Cells (contract §15): the operator's routes, and the cell of a tenant.

use serde_json::json;

use crate::ask::{delete, get, new_tenant, new_tenant_on, patch, post, put};
use crate::host::{Host, NOW_TEXT, WaitsForBatch as _};

/// A host with the cells `eu` and `us`.
pub(crate) fn host_with_cells() -> Host {
    host_with(&[])
}

/// The same, with these variables.
pub(crate) fn host_with(variables: &[(&'static str, &str)]) -> Host {
    let mut host = Host::legacy(variables);
    host.expect(201, &put("/cells/eu", r#"{"name":"Europe"}"#));
    host.expect(201, &put("/cells/us", "{}"));
    host
}

#[test]
fn a_put_makes_a_cell_and_changes_only_the_members_that_it_names() {
    let mut host = Host::new();
    let body = r#"{"name":"Europe","service":{"name":"php-eu","port":8080}}"#;
    let made = host.expect(201, &put("/cells/Eu-1", body));
    assert_eq!(made.header("location"), Some("/_/api/4/cells/Eu-1"));
    let mut cell = json!({
        "id": "Eu-1", "name": "Europe", "service": {"name": "php-eu", "port": 8080}, "accepting": true, "created_at": NOW_TEXT,
        "updated_at": NOW_TEXT, "tenants": 0, "jobs_waiting": 0, "last_seen_at": null, "agent_version": null, "cursor": null, "behind": 0
    });
    assert_eq!(made.json(), cell);
    host.now += 1;
    let changed = host.json(200, &put("/cells/EU-1", r#"{"accepting":false}"#));
    cell["accepting"] = false.into();
    cell["updated_at"] = "2026-08-18 23:16:58".into();
    assert_eq!(changed, cell);
    let changed = host.json(200, &put("/cells/eu-1", r#"{"service":null,"name":null}"#));
    cell["service"] = json!(null);
    cell["name"] = json!(null);
    assert_eq!(changed, cell);
    assert_eq!(host.json(200, &get("/cells/EU-1")), cell);
    assert_eq!(host.json(200, &get("/cells")), json!([cell]));
    host.expect(404, &get("/cells/us"));
    host.expect(404, &get("/cells/_"));
    host.expect(404, &delete("/cells/us"));
}

#[test]
fn a_put_that_changes_nothing_writes_nothing() {
    let mut host = host_with_cells();
    host.now += 60;
    let before = host.dump();
    let ask = put("/cells/eu", r#"{"name":"Europe","accepting":true}"#);
    let exchange = host.exchange(&ask);
    let rows = host.run(exchange.batch()).unwrap();
    let got = host.finish(&ask, exchange, Ok(rows));
    assert_eq!((got.status, host.dump() == before), (200, true));
    assert_eq!(got.json()["updated_at"], NOW_TEXT);
}

#[test]
fn wrong_members_of_a_cell_are_named() {
    let mut host = Host::new();
    for (body, named) in [
        (r#"{"name":""}"#, "/name"),
        (r#"{"service":"php"}"#, "/service"),
        (r#"{"service":{"name":"php"}}"#, "/service/port"),
        (r#"{"service":{"name":"a b","port":80}}"#, "/service/name"),
        (r#"{"service":{"name":"php","port":0}}"#, "/service/port"),
        (
            r#"{"service":{"name":"php","port":80,"x":1}}"#,
            "/service/x",
        ),
        (r#"{"accepting":1}"#, "/accepting"),
        (r#"{"id":"eu"}"#, "/id"),
    ] {
        assert_eq!(host.refuse(422, &put("/cells/eu", body)).named(), [named]);
    }
    assert_eq!(host.refuse(422, &put("/cells/-", "{}")).named(), ["/id"]);
}

#[test]
fn a_cell_in_use_is_not_deleted() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "EU"));
    let got = host.expect(409, &delete("/cells/eu"));
    assert_eq!(got.json()["code"], "cell_in_use");
    // The deleted tenant may come back to it.
    host.expect(204, &delete("/tenants/a"));
    host.expect(409, &delete("/cells/EU"));
    host.expect(200, &post("/tenants/a/restore", ""));
    assert_eq!(host.json(200, &get("/tenants/a"))["cell_id"], "eu");
    host.expect(204, &delete("/tenants/a"));
    host.now += 30 * 24 * 60 * 60 - 1;
    host.expect(409, &delete("/cells/EU"));
    host.now += 1;
    host.expect(204, &delete("/cells/EU"));
    host.expect(404, &get("/cells/eu"));
    host.expect(422, &new_tenant_on("a", "eu"));
}

#[test]
fn a_tenant_lives_on_a_cell_that_exists_and_takes_tenants() {
    let mut host = host_with_cells();
    let tenant = host.json(201, &new_tenant_on("a", "EU"));
    assert_eq!(tenant["cell_id"], "eu", "as the cell spells it");
    assert_eq!(tenant["site"], json!({"state": "none", "job_id": null}));
    assert_eq!(host.json(200, &get("/tenants/a")), tenant);
    assert_eq!(host.json(200, &get("/tenants?q=a"))[0], tenant);
    assert_eq!(host.json(200, &get("/cells/eu"))["tenants"], 1);
    host.expect(200, &put("/cells/us", r#"{"accepting":false}"#));
    for cell in ["us", "absent"] {
        let got = host.expect(422, &new_tenant_on("b", cell));
        assert_eq!(got.named(), ["/cell_id"]);
        let got = host.expect(
            422,
            &patch("/tenants/a", format!(r#"{{"cell_id":"{cell}"}}"#)),
        );
        assert_eq!(got.named(), ["/cell_id"]);
    }
    host.refuse(422, &new_tenant_on("b", "_"));
    // It may stay where it is.
    host.expect(200, &put("/cells/eu", r#"{"accepting":false}"#));
    host.expect(204, &patch("/tenants/a", r#"{"cell_id":"eu"}"#));
    host.expect(204, &patch("/tenants/a", r#"{"cell_id":null}"#));
    assert_eq!(host.json(200, &get("/tenants/a"))["cell_id"], json!(null));
}

#[test]
fn a_new_tenant_without_a_cell_has_the_default_one() {
    let mut host = host_with(&[("TENANTS_DEFAULT_CELL", "Eu")]);
    assert_eq!(host.json(201, &new_tenant("a"))["cell_id"], "eu");
    let body = r#"{"id":"b","hostname":"b","is_enabled":true,"cell_id":null}"#;
    assert_eq!(
        host.json(201, &post("/tenants", body))["cell_id"],
        json!(null)
    );
    let legacy = r#"{"tenant_id":"c","hostname":"c","is_enabled":1}"#;
    let got = host.expect(201, &post("/tenants", legacy).legacy());
    assert_eq!(got.json().get("cell_id"), None);
    assert_eq!(host.json(200, &get("/tenants/c"))["cell_id"], "eu");
    let mut host = Host::with(&[("TENANTS_DEFAULT_CELL", "absent")]);
    assert_eq!(host.expect(422, &new_tenant("a")).named(), ["/cell_id"]);
}

#[test]
fn the_cell_is_fixed_while_something_is_installed_and_changes_by_a_move() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    host.sql("UPDATE tenants SET site_state = 'installed'", &[]);
    let got = host.expect(409, &patch("/tenants/a", r#"{"cell_id":"us"}"#));
    assert_eq!(got.json()["code"], "cell_conflict");
    host.expect(204, &patch("/tenants/a", r#"{"cell_id":"eu","limits":{}}"#));
    let to = |cell: &str| post("/tenants/a/move", format!(r#"{{"cell_id":"{cell}"}}"#));
    let got = host.expect(409, &to("us"));
    assert!(got.body.contains("the tenant is enabled"), "{}", got.body);
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    assert_eq!(host.expect(422, &to("absent")).named(), ["/cell_id"]);
    host.expect(200, &put("/cells/us", r#"{"accepting":false}"#));
    host.expect(200, &put("/cells/eu", r#"{"accepting":false}"#));
    assert_eq!(
        host.expect(422, &to("us")).named(),
        ["/cell_id"],
        "it takes no tenants"
    );
    host.expect(204, &to("eu"));
    host.expect(200, &put("/cells/us", r#"{"accepting":true}"#));
    host.expect(204, &to("US"));
    let tenant = host.json(200, &get("/tenants/a"));
    assert_eq!(
        (&tenant["cell_id"], &tenant["site"]["state"]),
        (&json!("us"), &json!("installed"))
    );
    let before = host.dump();
    host.expect(204, &to("us"));
    assert_eq!(host.dump(), before);
    host.expect(204, &to("us").idempotency_key("same"));
    let again = host.expect(204, &to("us").idempotency_key("same"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    host.expect(404, &post("/tenants/b/move", r#"{"cell_id":"us"}"#));
    host.expect(201, &new_tenant("c"));
    let got = host.expect(409, &post("/tenants/c/move", r#"{"cell_id":"us"}"#));
    assert!(got.body.contains("no cell"), "{}", got.body);
}

#[test]
fn tables_in_this_database_fix_a_tenant_without_a_cell() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &crate::ask::install("a"));
    let site = json!({"state": "installed", "job_id": null});
    assert_eq!(host.json(200, &get("/tenants/a"))["site"], site);
    host.expect(409, &patch("/tenants/a", r#"{"cell_id":"eu"}"#));
    host.expect(204, &delete("/tenants/a"));
    let got = host.expect(409, &new_tenant_on("a", "eu"));
    assert_eq!(
        got.json()["code"],
        "site_exists",
        "the tables are not on the cell"
    );
    assert_eq!(host.json(201, &new_tenant("a"))["site"]["adopted"], true);
}
