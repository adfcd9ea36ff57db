//! `suspend_at`, `delete_at` and `deletion_protection` (contract §16), and what the cron trigger carries out each minute.

use std::collections::BTreeSet;

use rusqlite::StatementStatus;
use serde_json::{Value as Json, json};

use tenants_core::sql::Value;
use tenants_core::task::stats::Report;

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_tenant, new_tenant_on, patch, post, put,
};
use crate::cells::host_with_cells;
use crate::costs::counted;
use crate::host::{Host, NOW, NOW_TEXT, WaitsForBatch as _};
use crate::statements::Group;

const SOON: &str = "2026-08-19 00:00:00";
/// The second of `SOON`, as seconds since 1970.
const END: i64 = 1_787_097_600;

impl Host {
    /// Runs the cron trigger with all of its work, as ten minutes after the run before.
    pub(crate) fn cron(&mut self) -> Report {
        self.sql("UPDATE registry SET upkeep_at = NULL", &[]);
        self.minute()
    }

    /// Runs the cron trigger.
    pub(crate) fn minute(&mut self) -> Report {
        let task = self.api.begin_stats(self.now).unwrap();
        self.complete(task)
    }
}

/// The statements of a minute, for the tests of statements, and the walks of their plans: the holds of a tenant.
pub(crate) fn work_of_each_minute(host: &mut Host) -> (Group, BTreeSet<String>) {
    let mut group = Group::new("the work of each minute");
    let task = host.api.begin_stats(host.now).unwrap();
    group.run(host, task.batch());
    (
        group,
        BTreeSet::from(["SCAN h VIRTUAL TABLE INDEX 1:".into()]),
    )
}

fn edit(body: &str) -> Ask {
    patch("/tenants/a", body)
}

fn tenant(host: &mut Host) -> Json {
    host.json(200, &get("/tenants/a"))
}

fn ends(host: &mut Host) -> Json {
    let tenant = tenant(host);
    json!([
        tenant["suspend_at"],
        tenant["delete_at"],
        tenant["deletion_protection"]
    ])
}

/// The newest entries, the oldest first.
fn entries(host: &Host, newest: i64) -> Vec<String> {
    let rows = host.sql(
        "SELECT action || ' ' || subject || ' ' || coalesce(detail, '-') || ' ' || coalesce(changed, '-') || ' ' || coalesce(key_id, substr(request_id, 1, 5)) \
         FROM (SELECT * FROM audit_log ORDER BY id DESC LIMIT ?1) ORDER BY id",
        &[newest.into()],
    );
    let text = |row: Vec<Value>| match row.into_iter().next() {
        Some(Value::Text(text)) => text,
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(text).collect()
}

fn host() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host
}

#[test]
fn bad_times_and_switches_are_refused_and_named() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_tenant("a"));
    for (body, pointer) in [
        (r#"{"suspend_at":"tomorrow"}"#, "/suspend_at"),
        // This second is not in the future.
        (r#"{"suspend_at":"2026-08-18 23:16:57"}"#, "/suspend_at"),
        (r#"{"delete_at":"2026-02-30 00:00:00"}"#, "/delete_at"),
        (r#"{"delete_at":7}"#, "/delete_at"),
        (r#"{"deletion_protection":1}"#, "/deletion_protection"),
        (r#"{"deletion_protection":null}"#, "/deletion_protection"),
    ] {
        let got = host.refuse(422, &edit(body));
        assert_eq!(got.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    // The legacy dialect does not know the members, and ignores what it does not know.
    let legacy = patch(
        "/tenants/a",
        r#"{"is_enabled":1,"delete_at":"2026-08-19 00:00:00"}"#,
    );
    host.expect(204, &legacy.legacy());
    assert_eq!(ends(&mut host), json!([null, null, false]));
}

#[test]
fn every_write_of_a_tenant_sets_keeps_and_removes_them() {
    let mut host = Host::new();
    let new =
        |more: &str| format!(r#"{{"id":"a","hostname":"a.example.com","is_enabled":true{more}}}"#);
    let made = host.expect(
        201,
        &post(
            "/tenants",
            new(&format!(
                r#","suspend_at":"{SOON}","deletion_protection":true"#
            )),
        ),
    );
    let read = host.expect(200, &get("/tenants/a"));
    assert_eq!(made.json(), read.json());
    assert_eq!(made.header("etag"), read.header("etag"));
    assert_eq!(ends(&mut host), json!([SOON, null, true]));

    host.expect(204, &edit(r#"{"delete_at":"2026-09-01 00:00:00"}"#));
    assert_eq!(
        entries(&host, 1),
        ["tenant.update a - delete_at 1"],
        "the names of what changed"
    );
    assert_eq!(ends(&mut host), json!([SOON, "2026-09-01 00:00:00", true]));
    // A PUT that does not know them keeps them, and one that does sets them.
    let plain = put("/tenants/a", new("").replace(r#""id":"a","#, ""));
    let before = host.dump();
    host.expect(200, &plain);
    assert_eq!(host.dump(), before);
    let full = new(r#","suspend_at":null,"deletion_protection":false"#);
    let full = put("/tenants/a", full.replace(r#""id":"a","#, ""));
    host.expect(200, &full);
    assert_eq!(
        entries(&host, 1),
        ["tenant.update a - suspend_at deletion_protection 1"]
    );
    let before = host.dump();
    host.expect(200, &full);
    assert_eq!(host.dump(), before);
    assert_eq!(ends(&mut host), json!([null, "2026-09-01 00:00:00", false]));
    host.expect(204, &edit(r#"{"delete_at":null}"#));
    assert_eq!(ends(&mut host), json!([null, null, false]));
    assert_eq!(
        host.json(
            200,
            &get("/tenants?fields=suspend_at,delete_at,deletion_protection")
        ),
        json!([{"suspend_at": null, "delete_at": null, "deletion_protection": false}])
    );
}

#[test]
fn nothing_deletes_a_protected_tenant() {
    for cell in [false, true] {
        let mut host = if cell {
            host_with_cells()
        } else {
            Host::legacy(&[])
        };
        if cell {
            host.expect(201, &new_tenant_on("a", "eu"));
        } else {
            host.expect(201, &new_tenant("a"));
            host.expect(201, &install("a"));
        }
        let tag = host.expect(200, &get("/tenants/a"));
        let tag = tag.header("etag").unwrap().to_owned();
        host.expect(204, &edit(r#"{"deletion_protection":true}"#));
        let before = host.dump();

        for ask in [
            delete("/tenants/a"),
            delete_with_tables("a"),
            delete("/tenants/A?validate_only=true"),
            delete("/tenants/a").legacy(),
        ] {
            if cell && ask.is_legacy() {
                continue;
            }
            // A batch that drops tables fails as a whole.
            let got = host.ask(&ask);
            assert_eq!(got.status, 409, "{ask:?}");
            assert_eq!(got.json()["code"], "deletion_protected", "{ask:?}");
        }
        host.expect(412, &delete("/tenants/a").if_match(&tag));
        assert_eq!(host.dump(), before);
        host.expect(204, &edit(r#"{"deletion_protection":false}"#));
        host.expect(204, &delete("/tenants/a"));
        host.expect(404, &get("/tenants/a"));
    }
}

/// A Worker that is older than the column inserts into the same view, or deletes the row.
#[test]
fn an_older_worker_does_not_delete_a_protected_tenant_either() {
    let mut host = host();
    host.expect(204, &edit(r#"{"deletion_protection":true}"#));
    for statement in [
        "INSERT INTO delete_tenant (request_id, now, key_stands, id_is_there, site_is_there, id) VALUES ('r', 'now', 1, 1, 0, 'a')",
        "DELETE FROM tenants WHERE id = 'a'",
    ] {
        let error = host.db.execute(statement, []).unwrap_err();
        assert!(error.to_string().contains("protected"), "{error}");
    }
    assert_eq!(tenant(&mut host)["id"], "a");
}

#[test]
fn the_cron_trigger_suspends_at_its_time_and_once() {
    let mut host = host();
    host.expect(204, &edit(&format!(r#"{{"suspend_at":"{SOON}"}}"#)));
    host.now = END - 1;
    host.minute();
    assert_eq!(tenant(&mut host)["served"], true);
    host.now = END;
    // `served` never reads the clock.
    assert_eq!(tenant(&mut host)["served"], true);
    host.minute();
    let got = tenant(&mut host);
    assert_eq!(got["served"], false);
    assert_eq!(
        got["holds"],
        json!({"non_payment": {"reason": format!("suspend_at {SOON}"), "message": null, "until": null}})
    );
    assert_eq!(got["suspend_at"], json!(null));
    assert_eq!(got["updated_at"], SOON);
    assert_eq!(
        entries(&host, 1),
        ["tenant.hold a non_payment holds suspend_at cron-"]
    );
    let after = host.dump();
    host.minute();
    host.now += 60;
    host.minute();
    assert_eq!(host.dump(), after);
    // A payment lifts it for good.
    host.expect(204, &delete("/tenants/a/holds/non_payment"));
    host.now += 60;
    host.minute();
    assert_eq!(tenant(&mut host)["served"], true);
}

#[test]
fn a_suspension_keeps_the_words_of_a_hold_that_is_there_and_takes_its_end() {
    let mut host = host();
    let hold = format!(r#"{{"reason":"invoice 7","message":"Paused","until":"{SOON}"}}"#);
    host.expect(204, &put("/tenants/a/holds/non_payment", &hold));
    let later = r#"{"reason":"move","until":"2027-01-01 00:00:00"}"#;
    host.expect(204, &put("/tenants/a/holds/maintenance", later));
    host.expect(204, &edit(r#"{"suspend_at":"2026-08-18 23:59:59"}"#));
    host.now = END - 1;
    host.minute();
    host.now = END + 60;
    host.minute();
    let holds = &tenant(&mut host)["holds"];
    assert_eq!(
        holds["non_payment"],
        json!({"reason": "invoice 7", "message": "Paused", "until": null})
    );
    assert_eq!(
        host.one("SELECT hold_until FROM tenants"),
        "2027-01-01 00:00:00".into()
    );
}

#[test]
fn the_cron_trigger_deletes_at_its_time_and_keeps_the_tables() {
    let mut host = host();
    host.expect(201, &install("a"));
    host.expect(201, &new_tenant("b"));
    let body = format!(r#"{{"delete_at":"{SOON}"}}"#);
    host.expect(204, &edit(&body));
    host.expect(204, &patch("/tenants/b", &body));
    host.now = END - 1;
    host.minute();
    host.expect(200, &get("/tenants/a"));
    host.now = END;
    host.minute();
    host.expect(404, &get("/tenants/a"));
    host.expect(404, &get("/tenants/b"));
    assert_eq!(
        entries(&host, 2),
        [
            "tenant.delete a tables_kept - cron-",
            "tenant.delete b - - cron-"
        ]
    );
    assert!(host.dump().contains("chv_a_users"));
    let after = host.dump();
    host.minute();
    assert_eq!(host.dump(), after);
    let events = host.json(200, &get("/events?type=tenant.deleted"));
    assert_eq!(events.as_array().unwrap().len(), 2);
}

#[test]
fn a_protected_tenant_waits_for_its_deletion_until_the_protection_is_lifted() {
    let mut host = host();
    host.expect(
        204,
        &edit(&format!(
            r#"{{"delete_at":"{SOON}","deletion_protection":true}}"#
        )),
    );
    host.now = END + 600;
    let before = host.dump();
    host.minute();
    let upkeep = host.one("SELECT upkeep_at FROM registry");
    assert_ne!(upkeep, Value::Null);
    assert_eq!(ends(&mut host), json!([null, SOON, true]));
    assert_eq!(before.matches("tenant.delete").count(), 0);
    host.expect(204, &edit(r#"{"deletion_protection":false}"#));
    host.minute();
    host.expect(404, &get("/tenants/a"));
}

#[test]
fn a_cells_feed_hears_of_both() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let body = format!(r#"{{"suspend_at":"{SOON}","delete_at":"2026-08-19 00:01:00"}}"#);
    host.expect(204, &edit(&body));
    let feed = |host: &mut Host, after: &str| {
        let page = host.json(200, &get(&format!("/cells/eu/tenants{after}")));
        let next = format!("?after={}", page["cursor"].as_str().unwrap());
        (page["tenants"][0].clone(), page["gone"].clone(), next)
    };
    let (first, _, next) = feed(&mut host, "");
    assert_eq!(first["is_enabled"], true);
    host.now = END;
    host.minute();
    let (held, _, next) = feed(&mut host, &next);
    assert_eq!(held["is_enabled"], false);
    host.now = END + 60;
    host.minute();
    let (none, gone, _) = feed(&mut host, &next);
    assert_eq!((none, gone), (Json::Null, json!(["a"])));
}

/// 250 tenants that are past both times.
fn many() -> Host {
    let mut host = host();
    host.expect(204, &edit(&format!(r#"{{"suspend_at":"{SOON}"}}"#)));
    host.sql(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 249) \
         INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, suspend_at) \
         SELECT 't-' || n, 't-' || n || '.example.com', 1, updated_at, updated_at, suspend_at FROM n, tenants WHERE id = 'a'",
        &[],
    );
    host
}

#[test]
fn many_are_carried_out_in_slices() {
    let mut host = many();
    host.now = END;
    let held = |host: &Host| host.one("SELECT count(*) FROM tenants WHERE holds IS NOT NULL");
    for expected in [200, 250, 250] {
        host.minute();
        assert_eq!(held(&host), Value::Integer(expected));
    }
    host.sql("UPDATE tenants SET delete_at = '2026-08-19 00:01:00'", &[]);
    host.now += 60;
    let left = |host: &Host| host.one("SELECT count(*) FROM tenants");
    for expected in [50, 0, 0] {
        host.minute();
        assert_eq!(left(&host), Value::Integer(expected));
    }
    let entries = host.one(
        "SELECT count(*) FROM audit_log WHERE key_id IS NULL AND action IN ('tenant.hold', 'tenant.delete')",
    );
    assert_eq!(entries, Value::Integer(500));
}

/// A failure before or after the commit leaves each tenant held once, whichever run comes next.
#[test]
fn a_run_that_is_cut_off_is_made_up_for() {
    for commits in [false, true] {
        let mut host = many();
        host.now = END;
        let task = host.api.begin_stats(host.now).unwrap();
        if commits {
            host.run(task.batch()).unwrap();
        }
        assert!(host.resume(task, Err("lost".into())).is_err());
        host.minute();
        host.minute();
        let held = host.one("SELECT count(*) FROM tenants WHERE holds IS NOT NULL");
        assert_eq!(held, Value::Integer(250));
        let entries = host.one("SELECT count(*) FROM audit_log WHERE action = 'tenant.hold'");
        assert_eq!(entries, Value::Integer(250));
    }
}

#[test]
fn the_rest_of_the_work_is_done_every_ten_minutes() {
    let mut host = host();
    host.expect(201, &install("a"));
    host.configure(&[("TENANTS_STATS_MIN_AGE", "0")]);
    let mut counts = Vec::new();
    for minute in 0..25 {
        // A few seconds early or late.
        host.now = NOW + 60 * minute + [0, 7, 1, 5, 0][usize::try_from(minute % 5).unwrap()];
        if host.minute().counted > 0 {
            counts.push(minute);
        }
    }
    assert_eq!(counts, [0, 10, 20]);
    // A clock that was ahead does not stop the work.
    host.now = NOW;
    host.minute();
    assert_eq!(host.one("SELECT upkeep_at FROM registry"), NOW_TEXT.into());
}

#[test]
fn an_idle_minute_writes_nothing_and_reads_no_tenant() {
    let mut host = many();
    host.now = NOW;
    host.minute();
    host.sql("UPDATE tenants SET suspend_at = '2030-01-01 00:00:00'", &[]);
    host.now = NOW + 60;
    let before = host.dump();
    let changes = host.db.total_changes();
    let task = host.api.begin_stats(host.now).unwrap();
    let [statement] = task.batch().statements() else {
        panic!("one statement");
    };
    let (text, values) = (statement.text().to_owned(), statement.values().to_vec());
    let steps = counted(&host.db, StatementStatus::VmStep, &text, &values);
    assert!(steps < 300, "{steps} steps");
    host.minute();
    assert_eq!(host.db.total_changes(), changes);
    assert_eq!(host.dump(), before);
}
