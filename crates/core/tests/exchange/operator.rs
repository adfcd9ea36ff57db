//! Tasks of an operator: the state of the service, and the tables that deleted tenants have left.

use tenants_core::VERSION;
use tenants_core::sql::Value;
use tenants_core::task::orphans::{Orphan, OrphanDrop, OrphanList, Report as Dropped, Which};
use tenants_core::task::prepare::MIGRATIONS;
use tenants_core::task::reseal::Unreadable;
use tenants_core::task::status::{Registry, Report, SchemaState, Status, Webhooks};
use tenants_core::task::{Operator, Run};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;

use crate::ask::{delete, get, install, new_plan, new_tenant, patch, post};
use crate::host::{Host, NOW, NOW_TEXT, TaskError, TaskStep, WaitsForBatch as _};

const DAY: i64 = 24 * 60 * 60;

fn status(host: &mut Host) -> Report {
    let task = Status::begin(host.api.config().unwrap(), host.now).unwrap();
    host.complete(task)
}

fn registry(host: &mut Host) -> Registry {
    status(host).registry.unwrap()
}

#[test]
fn the_status_of_a_new_service_has_one_key_and_nothing_else() {
    assert!(VERSION.starts_with(|c: char| c.is_ascii_digit()));
    let mut host = Host::new();
    assert_eq!(
        status(&mut host),
        Report {
            schema: SchemaState::Current {
                newest: MIGRATIONS[MIGRATIONS.len() - 1].name
            },
            registry: Some(Registry {
                tenants: 0,
                enabled: 0,
                plans: 0,
                keys: 1,
                expiring: Vec::new(),
                late_statistics: 0,
                audit_entries: 0,
                webhooks: Webhooks::default(),
                sites_under_way: None,
                unreadable: Some(Vec::new()),
            })
        }
    );
}

#[test]
fn the_status_counts_tenants_plans_keys_and_entries() {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    for id in ["a", "b", "c"] {
        host.expect(201, &new_tenant(id));
    }
    host.expect(204, &patch("/tenants/b", r#"{"is_enabled":false}"#));
    host.issue("expired", Some(NOW_TEXT));
    host.issue("later", Some("9999-12-31 23:59:59"));
    host.issue("deleted", None);
    host.sql(
        "UPDATE api_keys SET deleted_at = '' WHERE name = 'deleted'",
        &[],
    );
    let registry = registry(&mut host);
    assert_eq!(
        (registry.tenants, registry.enabled, registry.plans),
        (3, 2, 1)
    );
    assert_eq!((registry.keys, registry.audit_entries), (2, 5));
}

#[test]
fn keys_are_named_from_30_days_before_they_expire_until_they_have_expired() {
    let mut host = Host::new();
    let at = |seconds: i64| Timestamp::from_unix(NOW + seconds).unwrap();
    for (name, seconds) in [
        ("last day", 30 * DAY),
        ("a second later", 30 * DAY + 1),
        ("now", 0),
        ("next", 1),
    ] {
        host.issue(name, Some(at(seconds).as_str()));
    }
    let (id, _) = host.issue("deleted", Some(at(DAY).as_str()));
    host.sql(
        "UPDATE api_keys SET deleted_at = '' WHERE id = ?1",
        &[id.into()],
    );
    let expiring = registry(&mut host).expiring;
    let names: Vec<_> = expiring.iter().map(|key| key.name.as_deref()).collect();
    assert_eq!(names, [Some("next"), Some("last day")]);
}

#[test]
fn statistics_are_late_a_day_after_they_may_be_counted_again() {
    let mut host = Host::with(&[("TENANTS_STATS_MIN_AGE", "600")]);
    for id in ["a", "b", "c"] {
        host.expect(201, &new_tenant(id));
    }
    host.sql("UPDATE tenants SET has_site = id <> 'c'", &[]);
    let counted = "UPDATE tenants SET last_job_at = ?1 WHERE id = 'a'";
    host.sql(counted, &[NOW_TEXT.into()]);
    let mut late_after = |seconds: i64| {
        host.now = NOW + seconds;
        registry(&mut host).late_statistics
    };
    assert_eq!(late_after(DAY + 600), 0);
    assert_eq!(late_after(DAY + 601), 2);
    host.sql(
        "UPDATE tenants SET last_job_at = '2026-08-20 00:00:00'",
        &[],
    );
    assert_eq!(registry(&mut host).late_statistics, 0);
}

#[test]
fn rows_that_do_not_decrypt_are_named_if_the_key_is_configured() {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    for n in 0..12 {
        host.expect(201, &new_tenant(&format!("t{n:02}")));
    }
    host.sql(
        "UPDATE tenants SET env = (SELECT env FROM tenants_plans) WHERE id IN ('t00', 't11')",
        &[],
    );
    host.expect(
        201,
        &post("/tenants-plans", r#"{"id":"q","env":{"A":"hidden"}}"#),
    );
    host.sql("UPDATE tenants_plans SET env = 'x' WHERE id = 'q'", &[]);
    let forged = "does not open: it was changed, or moved here from another place";
    let unreadable = |place: &str, reason| Unreadable {
        place: place.into(),
        reason,
    };
    assert_eq!(
        registry(&mut host).unreadable,
        Some(vec![
            unreadable("tenants/t00/env", forged),
            unreadable("tenants/t11/env", forged),
            unreadable("tenants_plans/q/env", "is not a sealed text"),
        ])
    );
    host.configure(&[("CHEVERETO_ENCRYPTION_KEY", "")]);
    assert_eq!(registry(&mut host).unreadable, None);
}

/// Each batch costs an operator seconds.
#[test]
fn the_status_is_two_batches_and_more_only_for_long_tables() {
    let mut host = Host::new();
    let batches = |host: &mut Host| {
        let mut task = Status::begin(host.api.config().unwrap(), host.now).unwrap();
        for batches in 1.. {
            match host.step(task).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(report) => {
                    return (batches, report.registry.unwrap().unreadable.unwrap());
                }
            }
        }
        unreachable!("a task that does not end")
    };
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    assert_eq!(batches(&mut host), (2, Vec::new()));

    let copy = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                INSERT INTO tenants (id, hostname, is_enabled, env, created_at, updated_at) \
                SELECT printf('t%05d', i), printf('t%05d.example.com', i), 1, ?2, '', '' FROM n";
    let copy = |host: &mut Host, rows: i64, env: String| {
        host.sql("DELETE FROM tenants", &[]);
        host.sql(copy, &[rows.into(), env.into()]);
    };
    // Both bounds of a slice, with the row that reaches them and one more.
    for (rows, bytes, expected) in [
        (4_999, 1, 2),
        (5_000, 1, 3),
        (5_001, 1, 3),
        (10_001, 1, 4),
        (10, 99_999, 2),
        (10, 100_000, 3),
        (25, 100_000, 4),
    ] {
        copy(&mut host, rows, "x".repeat(bytes));
        let (batches, unreadable) = batches(&mut host);
        let read = i64::try_from(unreadable.len()).unwrap();
        assert_eq!((batches, read), (expected, rows), "{bytes} bytes");
    }
}

#[test]
fn a_schema_that_is_behind_ends_the_status_and_a_newer_one_does_not() {
    let mut host = Host::new();
    let last = MIGRATIONS[MIGRATIONS.len() - 1].name;
    host.sql(
        "INSERT INTO d1_migrations (name) VALUES ('9999_later.sql')",
        &[],
    );
    let newer = status(&mut host);
    let unknown = "9999_later.sql".into();
    assert_eq!(newer.schema, SchemaState::Newer { unknown });
    assert_eq!(newer.registry.map(|registry| registry.keys), Some(1));

    host.sql(
        "DELETE FROM d1_migrations WHERE name IN ('9999_later.sql', ?1)",
        &[last.into()],
    );
    assert_eq!(
        status(&mut host),
        Report {
            schema: SchemaState::Behind { lacks: last },
            registry: None
        }
    );
}

fn orphans(host: &mut Host) -> Vec<(String, u64)> {
    let task = OrphanList::begin(host.api.config().unwrap());
    let found = host.complete(task);
    found.into_iter().map(pair).collect()
}

fn pair(orphan: Orphan) -> (String, u64) {
    assert!(!orphan.own_database);
    (orphan.tenant.to_string(), orphan.tables)
}

fn begin_drop(host: &Host, which: Which) -> OrphanDrop {
    let run = Run::new("cli-1").by(Operator::parse("me@host").unwrap());
    let now = Timestamp::parse(NOW_TEXT).unwrap();
    OrphanDrop::begin(host.api.config().unwrap(), which, run, &now, 30)
}

fn these(ids: &[&str]) -> Which {
    Which::These(ids.iter().map(|id| TenantId::parse(id).unwrap()).collect())
}

/// Tenants of which `A`, `a_b` and `users` were deleted and have left their tables, and `a-b` was not.
fn host_with_orphans() -> Host {
    let mut host = Host::new();
    for id in ["A", "a_b", "a-b", "users"] {
        host.expect(201, &new_tenant(id));
        host.expect(201, &install(id));
    }
    for id in ["a", "a_b", "users"] {
        host.expect(204, &delete(&format!("/tenants/{id}")));
    }
    // Tables of somebody else.
    for name in [
        "chv_a_x",
        "chv_users",
        "chv__users",
        "chv_a",
        "other_a_users",
        "chv_A.b_users",
    ] {
        host.sql(&format!("CREATE TABLE \"{name}\" (a)"), &[]);
    }
    host
}

#[test]
fn the_tables_of_deleted_tenants_are_found_by_their_exact_names() {
    assert_eq!(orphans(&mut Host::new()), []);
    let mut host = host_with_orphans();
    let before = host.dump();
    let found = |id: &str, tables| (id.to_owned(), tables);
    assert_eq!(
        orphans(&mut host),
        [found("a", 13), found("a_b", 13), found("users", 13)]
    );
    assert_eq!(host.dump(), before);
    host.sql("DROP TABLE chv_a_users", &[]);
    host.expect(201, &new_tenant("A_B"));
    assert_eq!(orphans(&mut host), [found("a", 12), found("users", 13)]);
    host.configure(&[("CHEVERETO_DB_TABLE_PREFIX", "other_")]);
    assert_eq!(orphans(&mut host), [found("a", 1)]);
}

#[test]
fn the_chosen_orphans_are_dropped_with_an_entry_each_and_nothing_else_is() {
    let mut host = host_with_orphans();
    let tables = |host: &Host| host.one("SELECT count(*) FROM sqlite_master WHERE type = 'table'");
    let Value::Integer(before) = tables(&host) else {
        panic!("a count")
    };
    let task = begin_drop(&host, these(&["A_b"]));
    let Dropped { dropped, failed } = host.complete(task);
    let dropped: Vec<_> = dropped.into_iter().map(pair).collect();
    assert_eq!((dropped, failed), (vec![("a_b".into(), 13)], vec![]));
    assert_eq!(tables(&host), Value::Integer(before - 13));

    let task = begin_drop(&host, Which::All);
    assert_eq!(host.complete(task).dropped.len(), 2);
    assert_eq!(orphans(&mut host), []);
    assert_eq!(tables(&host), Value::Integer(before - 39));
    host.expect(200, &get("/tenants/a-b"));
    let entries = host.sql(
        "SELECT subject, key_id, request_id, operator, detail FROM audit_log \
         WHERE action = 'tenant.drop_tables' ORDER BY id",
        &[],
    );
    let entry = |subject: &str| {
        [
            subject.into(),
            Value::Null,
            "cli-1".into(),
            "me@host".into(),
            "tables_dropped".into(),
        ]
    };
    assert_eq!(entries, [entry("a_b"), entry("a"), entry("users")]);
    let task = begin_drop(&host, Which::All);
    assert_eq!(host.complete(task), Dropped::default());
}

#[test]
fn nothing_is_dropped_if_one_of_the_ids_has_no_orphans() {
    for ids in [&["a", "nobody"][..], &["a-b", "a"]] {
        let mut host = host_with_orphans();
        let before = host.dump();
        let task = begin_drop(&host, these(ids));
        let error: TaskError = host.step(task).unwrap_err();
        assert!(error.not_found().is_some(), "{error}");
        assert_eq!(host.dump(), before);
    }
}

/// Somebody creates a tenant with the id of an orphan, and so takes its tables over, after the task has found them.
#[test]
fn the_tables_of_a_tenant_that_is_created_meanwhile_stay() {
    let mut host = host_with_orphans();
    let mut task = begin_drop(&host, Which::All);
    let rows = host.run(task.batch());
    let TaskStep::Run(next) = host.resume(task, rows).unwrap() else {
        panic!("nothing to drop");
    };
    task = next;
    assert_eq!(task.progress(), (0, 3));
    host.expect(201, &new_tenant("A"));
    let before = host.own_tables();
    let rows = host.run(task.batch());
    let reason = rows.clone().unwrap_err();
    assert!(reason.contains("NOT NULL"), "{reason}");
    let TaskStep::Run(task) = host.resume(task, rows).unwrap() else {
        panic!("each of them once more");
    };
    assert_eq!(task.progress(), (0, 3));
    assert_eq!(host.own_tables(), before);
    let rows = host.run(task.batch());
    assert!(rows.is_err());
    let TaskStep::Run(task) = host.resume(task, rows).unwrap() else {
        panic!("two more to drop");
    };
    assert_eq!(task.progress(), (1, 3));
    let report = host.complete(task);
    let [failed] = report.failed.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(failed.tenant, "a");
    assert!(failed.reason.contains("NOT NULL"), "{failed:?}");
    assert_eq!(report.dropped.len(), 2);
    let kept = host.own_tables();
    let has = |name: &str| kept.iter().any(|kept| kept == name);
    assert_eq!(
        ["chv_a_users", "chv_a_b_users", "chv_users_users"].map(has),
        [true, false, false]
    );
}
