//! `POST /tenants/{id}/erase` (contract §16): everything of a tenant goes, wherever its tables are.

use serde_json::json;
use tenants_core::sql::Value;

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_tenant, new_tenant_on, patch, post, put,
    reset,
};
use crate::cells::host_with_cells;
use crate::cells_jobs::{drive, with_end};
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::site_databases::apart;

fn erase(id: &str) -> Ask {
    post(&format!("/tenants/{id}/erase"), "")
}

/// Sends a request and runs all batches that it needs.
fn send(host: &mut Host, ask: &Ask) -> Got {
    let exchange = host.first(ask);
    host.finish_with(ask, exchange, |host, batch| host.run(batch))
}

fn assert_erased(got: &Got) {
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(
        got.json(),
        json!({"erased": true, "not_reached": ["uploaded files", "backups"]})
    );
}

/// A tenant `a` with an `env`, a site and remembered secrets, and another one.
fn fill(host: &mut Host, cell: Option<&str>) {
    let cell = cell.map_or(String::new(), |cell| format!(r#","cell_id":"{cell}""#));
    let body = format!(
        r#"{{"id":"a","hostname":"a.example.com","is_enabled":true,"env":{{"A":"hidden"}}{cell}}}"#
    );
    assert_eq!(send(host, &post("/tenants", body)).status, 201);
    let shown = patch("/tenants/a", r#"{"labels":{"x":"y"}}"#)
        .prefer("return=representation")
        .idempotency_key("k-a");
    assert_eq!(send(host, &shown).status, 200);
    let other = r#"{"id":"b","hostname":"b.example.com","is_enabled":true,"env":{"A":"hidden"}}"#;
    assert_eq!(send(host, &post("/tenants", other)).status, 201);
    let shown = patch("/tenants/b", r#"{"labels":{"x":"y"}}"#)
        .prefer("return=representation")
        .idempotency_key("k-b");
    assert_eq!(send(host, &shown).status, 200);
}

/// Nothing of `a` is left but its audit entries, and all of `b`.
fn assert_gone(host: &mut Host) {
    assert_eq!(send(host, &get("/tenants/a")).status, 404);
    for (what, left) in [
        ("SELECT count(*) FROM tenants", 1),
        ("SELECT count(*) FROM deleted_tenants", 0),
        (
            "SELECT count(*) FROM idempotency WHERE secret IS NOT NULL",
            1,
        ),
        ("SELECT count(*) FROM cell_work WHERE input IS NOT NULL", 0),
        ("SELECT count(*) FROM kept_sites", 0),
        ("SELECT count(*) FROM site_databases WHERE state > 0", 0),
        (
            "SELECT count(*) FROM sqlite_master WHERE name GLOB 'chv_a_*'",
            0,
        ),
    ] {
        assert_eq!(host.one(what), Value::Integer(left), "{what}");
    }
    let entries = host.one("SELECT count(*) > 1 FROM audit_log WHERE subject = 'a'");
    assert_eq!(entries, Value::Integer(1));
    assert_eq!(send(host, &erase("a")).status, 404);
    assert_eq!(send(host, &post("/tenants/a/restore", "")).status, 404);
}

#[test]
fn a_tenant_goes_with_its_tables_living_or_deleted() {
    for is_apart in [false, true] {
        for is_deleted in [false, true] {
            let mut host = if is_apart { apart() } else { Host::new() };
            fill(&mut host, None);
            assert_eq!(send(&mut host, &install("a")).status, 201);
            let generated = patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#);
            let generated = generated.idempotency_key("k-g");
            assert_eq!(send(&mut host, &generated).status, 200);
            if is_deleted {
                assert_eq!(send(&mut host, &delete("/tenants/a")).status, 204);
            }
            let trial = send(&mut host, &post("/tenants/a/erase?validate_only=true", ""));
            assert_eq!(trial.json(), json!({"valid": true}));
            assert_erased(&send(&mut host, &erase("A")));
            assert_gone(&mut host);
        }
    }
}

#[test]
fn a_tenant_without_a_site_goes_too() {
    let mut host = Host::new();
    fill(&mut host, None);
    assert_eq!(send(&mut host, &delete("/tenants/a")).status, 204);
    assert_erased(&send(&mut host, &erase("a")));
    assert_gone(&mut host);
}

#[test]
fn a_cell_drops_the_tables_by_a_job() {
    for is_deleted in [false, true] {
        let mut host = host_with_cells();
        fill(&mut host, Some("eu"));
        assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
        let reset = reset("a").idempotency_key("k-r");
        assert_eq!(with_end(&mut host, &reset, "done").status, 200);
        if is_deleted {
            host.expect(204, &delete("/tenants/a"));
        }
        let got = with_end(&mut host, &erase("a"), "done");
        assert_erased(&got);
        assert_gone(&mut host);
    }
}

#[test]
fn a_protected_tenant_and_one_that_there_never_was_stay_as_they_are() {
    for cell in [None, Some("eu")] {
        let mut host = host_with_cells();
        fill(&mut host, cell);
        host.expect(204, &patch("/tenants/a", r#"{"deletion_protection":true}"#));
        let before = host.dump();
        for ask in [erase("a"), post("/tenants/a/erase?validate_only=true", "")] {
            let got = host.ask(&ask);
            assert_eq!(got.status, 409, "{got:?}");
            assert_eq!(got.json()["code"], "deletion_protected");
        }
        assert_eq!(host.ask(&erase("never")).status, 404);
        assert_eq!(host.dump(), before);
    }
}

#[test]
fn the_same_request_again_is_answered_as_before() {
    let mut host = Host::new();
    fill(&mut host, None);
    host.expect(201, &install("a"));
    let keyed = erase("a").idempotency_key("k-1");
    assert_erased(&send(&mut host, &keyed));
    let before = host.dump();
    let again = host.ask(&keyed);
    assert_erased(&again);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(host.dump(), before);
}

/// A failure before or after each commit, and the same request again: nothing is half-done.
#[test]
fn a_cut_leaves_all_or_nothing() {
    for is_deleted in [false, true] {
        for commits in [false, true] {
            let mut host = Host::new();
            fill(&mut host, None);
            host.expect(201, &install("a"));
            if is_deleted {
                host.expect(204, &delete("/tenants/a"));
            }
            let before = host.dump();
            let exchange = host.first(&erase("a"));
            if commits {
                host.run(exchange.batch()).unwrap();
            }
            drop(exchange);
            if commits {
                assert_gone(&mut host);
            } else {
                assert_eq!(host.dump(), before);
                assert_erased(&send(&mut host, &erase("a")));
                assert_gone(&mut host);
            }
        }
    }
}

#[test]
fn the_cells_tenants_of_others_stay() {
    let mut host = host_with_cells();
    fill(&mut host, Some("eu"));
    host.expect(201, &new_tenant_on("c", "eu"));
    assert_eq!(with_end(&mut host, &install("c"), "done").status, 201);
    with_end(&mut host, &erase("a"), "done");
    assert_eq!(
        host.json(200, &get("/tenants/c"))["site"]["state"],
        "installed"
    );
}

/// A request of each write that is about a tenant and remembers its answer, all with a key of their own. The tenant has no `env`, so no
/// answer is encrypted.
fn remembered_writes(id: &str) -> Vec<Ask> {
    let at = |below: &str| format!("/tenants/{id}{below}");
    let tenant = |enabled: bool| {
        format!(
            r#"{{"hostname":"{id}.example.com","is_enabled":{enabled},"external_id":"x-{id}"}}"#
        )
    };
    let hold = r#"{"reason":"words"}"#;
    let all = [
        new_tenant(id),
        put(&at(""), tenant(true)),
        put(&at(""), tenant(true)).prefer("return=minimal"),
        put(&at(""), tenant(false)),
        patch(&at(""), r#"{"labels":{"x":"y"}}"#),
        patch(&at(""), r#"{"labels":{"x":"z"}}"#).prefer("return=representation"),
        put(&at("/holds/abuse"), hold),
        put(&at("/holds/abuse"), hold),
        delete(&at("/holds/abuse")),
        put(
            &at(&format!("/hostnames/{id}2.example.com")),
            r#"{"kind":"alias"}"#,
        ),
        put(
            &at(&format!("/hostnames/{id}2.example.com")),
            r#"{"kind":"alias"}"#,
        ),
        delete(&at(&format!("/hostnames/{id}2.example.com"))),
        install(id),
        reset(id),
        delete(&at("")),
        post(&at("/restore"), ""),
        patch(&at(""), r#"{"limits":{"L":"1"}}"#).prefer("return=representation"),
        delete(&at("")),
    ];
    let keyed = |(n, ask): (usize, Ask)| ask.idempotency_key(format!("k-{id}-{n}"));
    all.into_iter().enumerate().map(keyed).collect()
}

#[test]
fn no_remembered_answer_about_the_tenant_is_left_whatever_was_written() {
    for is_apart in [false, true] {
        let mut host = if is_apart { apart() } else { Host::new() };
        let mut count = 0;
        for id in ["a", "b"] {
            for ask in remembered_writes(id) {
                let got = send(&mut host, &ask);
                assert!(got.status < 300, "{ask:?}: {got:?}");
                count += 1;
            }
        }
        let left = "SELECT count(*) FROM idempotency";
        assert_eq!(host.one(left), Value::Integer(count));
        let keyed = erase("A").idempotency_key("k-erase");
        assert_erased(&send(&mut host, &keyed));
        // Those of `b`, and the erasure's own.
        assert_eq!(host.one(left), Value::Integer(count / 2 + 1));
        assert_eq!(
            host.one("SELECT count(*) FROM idempotency WHERE key GLOB 'k-a-*'"),
            Value::Integer(0)
        );
        let again = send(&mut host, &keyed);
        assert_erased(&again);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
}

#[test]
fn a_request_that_showed_the_tenant_is_judged_anew_after_the_erasure() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    let shown = patch("/tenants/A", r#"{"labels":{"x":"y"}}"#)
        .prefer("return=representation")
        .idempotency_key("k");
    host.expect(200, &shown);
    assert_erased(&send(&mut host, &erase("a")));
    host.expect(404, &shown);
}

#[test]
fn no_remembered_answer_about_the_tenant_of_a_cell_is_left() {
    let mut host = host_with_cells();
    let keyed = |ask: Ask, key: &str| ask.idempotency_key(key);
    host.expect(201, &keyed(new_tenant_on("a", "eu"), "k-1"));
    let ask = keyed(install("a"), "k-2");
    assert_eq!(with_end(&mut host, &ask, "done").status, 201);
    host.expect(
        204,
        &keyed(
            put("/tenants/a/holds/maintenance", r#"{"reason":"r"}"#),
            "k-3",
        ),
    );
    let moved = post("/tenants/a/move", r#"{"cell_id":"us"}"#);
    host.expect(204, &keyed(moved, "k-4"));
    let moved = post("/tenants/a/move", r#"{"cell_id":"eu"}"#);
    host.expect(204, &keyed(moved, "k-5"));
    assert_eq!(
        host.one("SELECT count(*) FROM idempotency"),
        Value::Integer(5)
    );
    let keyed = keyed(erase("a"), "k-6");
    assert_erased(&with_end(&mut host, &keyed, "done"));
    assert_eq!(
        host.one("SELECT group_concat(key) FROM idempotency"),
        "k-6".into()
    );
}

/// The cell has the tables still: the erasure takes the id again, however the tenant went.
#[test]
fn an_erasure_whose_job_failed_can_be_repeated() {
    for keyed in [false, true] {
        for by_erasure in [false, true] {
            let mut host = host_with_cells();
            fill(&mut host, Some("eu"));
            assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
            let ask = if keyed {
                erase("a").idempotency_key("k-e")
            } else {
                erase("a")
            };
            let first = if by_erasure {
                ask.clone()
            } else {
                delete_with_tables("a")
            };
            assert_eq!(with_end(&mut host, &first, "failed").status, 502);
            assert_eq!(
                host.one("SELECT count(*) FROM kept_sites WHERE job_id IS NULL"),
                Value::Integer(1)
            );
            let trial = send(&mut host, &post("/tenants/a/erase?validate_only=true", ""));
            assert_eq!(trial.json(), json!({"valid": true}));
            assert_erased(&with_end(&mut host, &ask, "done"));
            assert_gone(&mut host);
        }
    }
}

/// A deletion at a cell takes the place of an earlier deletion of the id, also if its job fails: nobody brings the earlier tenant back over the later
/// one's tables, and an erasure reaches the cell that has them.
#[test]
fn a_deletion_at_a_cell_whose_job_failed_replaces_an_earlier_deletion() {
    for earlier in [None, Some("eu"), Some("us")] {
        let mut host = host_with_cells();
        host.expect(201, &new_tenant_at("a", earlier));
        host.expect(204, &delete("/tenants/a"));
        host.expect(201, &new_tenant_at("A", Some("eu")));
        host.sql("UPDATE tenants SET site_state = 'installed'", &[]);
        assert_eq!(
            with_end(&mut host, &delete_with_tables("a"), "failed").status,
            502
        );
        host.expect(404, &post("/tenants/a/restore", ""));
        assert_eq!(host.json(200, &get("/tenants?deleted=true")), json!([]));
        assert_erased(&with_end(&mut host, &erase("a"), "done"));
        for table in ["tenants", "deleted_tenants", "kept_sites"] {
            let left = host.one(&format!("SELECT count(*) FROM {table}"));
            assert_eq!(left, Value::Integer(0), "{table}, {earlier:?}");
        }
    }
}

fn new_tenant_at(id: &str, cell: Option<&str>) -> Ask {
    cell.map_or_else(|| new_tenant(id), |cell| new_tenant_on(id, cell))
}

#[test]
fn tables_that_a_deleted_tenant_has_left_go_after_the_time_to_restore_it() {
    let mut host = host_with_cells();
    fill(&mut host, Some("eu"));
    assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
    host.expect(204, &delete("/tenants/a"));
    host.sql("DELETE FROM deleted_tenants", &[]);
    assert_erased(&with_end(&mut host, &erase("A"), "done"));
    assert_gone(&mut host);
}

/// The job of the first erasure is under way: it drops the tables, and nothing else does.
#[test]
fn an_erasure_under_way_is_not_begun_twice() {
    let mut host = host_with_cells();
    fill(&mut host, Some("eu"));
    assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
    assert_eq!(drive(&mut host, &erase("a"), |_, _| false).status, 202);
    let before = host.dump();
    assert_eq!(send(&mut host, &erase("a")).status, 404);
    assert_eq!(host.dump(), before);
}
