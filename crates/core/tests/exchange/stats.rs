//! Statistics, counted on SQLite: the meaning of each counter, the order of the tenants, and sites that cannot be counted.

use std::collections::BTreeSet;

use serde_json::json;
use tenants_core::sql::Value;
use tenants_core::task::deliver::MOST_QUERIES;
use tenants_core::task::stats::{Refresh, Report, Which};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;

use crate::ask::{delete, delete_with_tables, get, install, new_tenant};
use crate::host::{Host, NOW, TaskError, TaskStep, WaitsForBatch as _};

fn begin(host: &Host, now: i64, which: Which, slice: u32) -> Refresh {
    let now = Timestamp::from_unix(now).unwrap();
    Refresh::begin(host.api.config().unwrap(), &now, which, slice)
}

/// Runs a task to its end. Returns its report and the number of statements.
fn run(host: &mut Host, mut task: Refresh) -> (Result<Report, TaskError>, usize) {
    let mut statements = 0;
    loop {
        statements += task.batch().statements().len();
        let rows = host.run(task.batch());
        match host.resume(task, rows) {
            Ok(TaskStep::Run(next)) => task = next,
            Ok(TaskStep::Done(report)) => return (Ok(report), statements),
            Err(error) => return (Err(error), statements),
        }
    }
}

fn refresh(host: &mut Host, now: i64, tenants: u32, slice: u32) -> Report {
    let task = begin(host, now, Which::Oldest(tenants), slice);
    let (report, statements) = run(host, task);
    assert!(statements <= 8 + 2 * usize::try_from(tenants).unwrap() + 1);
    report.unwrap()
}

fn one(host: &mut Host, id: &str) -> Result<Report, TaskError> {
    let task = begin(host, NOW + 60, Which::One(TenantId::parse(id).unwrap()), 1);
    run(host, task).0
}

/// Counted once in a test, a tenant may be counted again at once.
const AT_ONCE: (&str, &str) = ("TENANTS_STATS_MIN_AGE", "0");

/// A host with tenants of these ids, with tables and without users, since hashing a password is slow.
fn with_tables(ids: &[String]) -> Host {
    let mut host = Host::with(&[AT_ONCE]);
    host.expect(201, &new_tenant("template"));
    let exchange = host.exchange(&install("template"));
    let texts: Vec<String> = exchange
        .batch()
        .statements()
        .iter()
        .map(|s| s.text().to_owned())
        .collect();
    host.sql("DELETE FROM tenants", &[]);
    host.sql("BEGIN", &[]);
    for id in ids {
        host.sql(
            "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES (?1, ?1, 1, '', '')",
            &[id.as_str().into()],
        );
        for text in texts.iter().filter(|text| text.starts_with("CREATE ")) {
            let text = text.replace(
                "chv_template_",
                &format!("chv_{}_", id.to_ascii_lowercase()),
            );
            host.sql(&text, &[]);
        }
    }
    host.sql("COMMIT", &[]);
    host
}

/// A host with `count` tenants whose tables have their own names and share one content. Creating thousands of tables one by one takes
/// SQLite minutes, since each walks through all existing ones.
fn with_shared_tables(count: usize) -> Host {
    let host = with_tables(&["template".into()]);
    let ids = "WITH RECURSIVE ids(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM ids WHERE id < ?1)";
    let last: Value = i64::try_from(count - 1).unwrap().into();
    host.db
        .pragma_update(None, "writable_schema", true)
        .unwrap();
    let copy = |column: &str| format!("replace({column}, 'template', 't-' || id)");
    host.sql(
        &format!(
            "{ids} INSERT INTO sqlite_master SELECT type, {}, {}, rootpage, {} FROM ids, sqlite_master WHERE name LIKE '%template%'",
            copy("name"), copy("tbl_name"), copy("sql")
        ),
        std::slice::from_ref(&last),
    );
    host.db
        .pragma_update(None, "writable_schema", "reset")
        .unwrap();
    host.sql(
        &format!(
            "{ids} INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT 'T-' || id, id, 1, '', '' FROM ids"
        ),
        &[last],
    );
    host.sql("DELETE FROM tenants WHERE id = 'template'", &[]);
    host
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("T-{n}")).collect()
}

fn counted_at(host: &Host, time: i64) -> BTreeSet<String> {
    let time = Timestamp::from_unix(time).unwrap();
    let rows = host.sql(
        "SELECT id FROM tenants WHERE last_job_at = ?1",
        &[time.as_str().into()],
    );
    rows.iter().map(|row| format!("{:?}", row[0])).collect()
}

#[test]
fn each_counter_counts_its_rows() {
    let mut host = Host::with(&[AT_ONCE]);
    host.expect(201, &new_tenant("Full-1"));
    host.expect(201, &install("Full-1"));
    let before = host.json(200, &get("/tenants/full-1"));
    host.configure(&[("TENANTS_DEVELOPMENT", "true")]);
    let traefik = get("/config/traefik").no_key().from("::1");
    let tag = |host: &mut Host| host.expect(200, &traefik).header("etag").map(str::to_owned);
    let tag_before = tag(&mut host);
    assert!(tag_before.is_some());
    let entries = host.one("SELECT count(*) FROM audit_log");
    let t = |table: &str| format!("\"chv_full-1_{table}\"");
    for (sql, times) in [
        (format!("INSERT INTO {} (name) VALUES (?1)", t("tags")), 2),
        (
            format!(
                "INSERT INTO {} (name, media_type, size_bytes, views, created_at) VALUES (?1, '', 1000, 7, '')",
                t("files")
            ),
            3,
        ),
        (
            format!(
                "INSERT INTO {} (url_key, title, body, is_active) VALUES (?1, '', '', 0)",
                t("pages")
            ),
            4,
        ),
        (
            format!(
                "INSERT INTO {} (username, email, password_hash, is_admin, is_manager, created_at) VALUES (?1, ?1, '', 0, 0, '')",
                t("users")
            ),
            5,
        ),
        (
            format!(
                "INSERT INTO {} (username, email, password_hash, is_admin, is_manager, created_at) VALUES ('m' || ?1, 'm' || ?1, '', 0, 1, '')",
                t("users")
            ),
            6,
        ),
        (
            format!(
                "INSERT INTO {} (title, is_private, views, created_at) VALUES ('', 0, 11, '')",
                t("albums")
            ),
            7,
        ),
        (
            format!(
                "INSERT INTO {} (name, url, is_active) VALUES ('', '', 1)",
                t("storages")
            ),
            8,
        ),
        (
            format!(
                "INSERT INTO {} (name, last_ran_at, duration_s) VALUES (?1, '', 5)",
                t("jobs")
            ),
            9,
        ),
        (
            format!(
                "INSERT INTO {} (name, url_key) VALUES ('', ?1)",
                t("categories")
            ),
            10,
        ),
        (
            format!(
                "INSERT INTO {} (user_id, file_id, created_at) VALUES (?1, 1, '')",
                t("likes")
            ),
            11,
        ),
        (
            format!(
                "INSERT INTO {} (user_id, album_id, created_at) VALUES (?1, 1, '')",
                t("likes")
            ),
            12,
        ),
        (
            format!(
                "INSERT INTO {} (name, is_enabled) VALUES (?1, 1)",
                t("login_providers")
            ),
            13,
        ),
    ] {
        let takes = sql.contains("?1");
        for n in 0..times {
            let n: Value = if sql.contains("user_id") {
                i64::from(n).into()
            } else {
                n.to_string().into()
            };
            host.sql(&sql, if takes { std::slice::from_ref(&n) } else { &[] });
        }
    }
    assert_eq!(
        refresh(&mut host, NOW + 60, 5, 8),
        Report {
            counted: 1,
            ..Report::default()
        }
    );
    let after = host.json(200, &get("/tenants/full-1"));
    assert_eq!(
        after["stats"],
        json!({
            "tags": 2, "files": 3, "pages": 4, "users": 12, "admins": 1, "albums": 7, "managers": 6, "storages": 8, "cron_time": 45,
            "categories": 10, "file_likes": 11, "file_views": 21, "album_likes": 12, "album_views": 77, "storage_used": 3000,
            "login_providers": 13
        })
    );
    assert_eq!(after["last_job_at"], "2026-08-18 23:17:57");
    assert_eq!(after["updated_at"], before["updated_at"]);
    assert_eq!(host.one("SELECT count(*) FROM audit_log"), entries);
    assert_eq!(tag(&mut host), tag_before, "Traefik need not read it again");
    // Deleted rows are not counted.
    host.sql(&format!("DELETE FROM {}", t("files")), &[]);
    refresh(&mut host, NOW + 120, 5, 8);
    let after = host.json(200, &get("/tenants/full-1"));
    assert_eq!(after["stats"]["files"], 0);
    assert_eq!(after["stats"]["storage_used"], 0);
}

#[test]
fn sums_beyond_2_to_the_53_are_exact() {
    let mut host = with_tables(&["a".into()]);
    let file = "INSERT INTO chv_a_files (name, media_type, size_bytes, views, created_at) VALUES ('', '', ?1, ?2, '')";
    for (size, views) in [("9007199254740992", "9223372036854775806"), ("1", "1")] {
        host.sql(&file.replace("?1", size).replace("?2", views), &[]);
    }
    host.sql("INSERT INTO chv_a_albums (title, is_private, views, created_at) VALUES ('', 0, 9007199254740995, '')", &[]);
    assert_eq!(refresh(&mut host, NOW, 1, 1).counted, 1);
    for path in ["/tenants/a", "/tenants"] {
        let body = host.expect(200, &get(path)).body;
        for exact in [
            r#""storage_used":9007199254740993,"#,
            r#""file_views":9223372036854775807,"#,
            r#""album_views":9007199254740995,"#,
        ] {
            assert!(body.contains(exact), "{body}");
        }
    }
}

#[test]
fn tenants_never_counted_come_first_and_then_those_with_the_oldest_turn() {
    let mut host = with_tables(&ids(6));
    let turn = |id: &str, at: Option<&str>| {
        host.sql(
            "UPDATE tenants SET stats_turn_at = ?2 WHERE id = ?1",
            &[id.into(), at.into()],
        );
    };
    turn("t-0", Some("2026-01-03 00:00:00"));
    turn("t-1", None);
    turn("t-2", Some("2026-01-01 00:00:00"));
    turn("t-3", Some("2026-01-02 00:00:00"));
    turn("t-4", None);
    turn("t-5", Some("2026-01-04 00:00:00"));
    let mut seen = Vec::new();
    for n in 1..=3 {
        assert_eq!(refresh(&mut host, NOW + n, 2, 8).counted, 2);
        seen.push(counted_at(&host, NOW + n));
    }
    let set = |ids: [&str; 2]| ids.map(|id| format!("{:?}", Value::from(id))).into();
    assert_eq!(
        seen,
        [
            set(["T-1", "T-4"]),
            set(["T-2", "T-3"]),
            set(["T-0", "T-5"])
        ]
    );
    assert_eq!(refresh(&mut host, NOW + 4, 2, 8).counted, 2);
    assert_eq!(counted_at(&host, NOW + 4), set(["T-1", "T-4"]));
}

#[test]
fn tenants_without_a_site_have_no_turn() {
    let mut host = with_tables(&ids(2));
    for id in ["none", "other"] {
        host.expect(201, &new_tenant(id));
    }
    host.expect(204, &delete("/tenants/t-1"));
    assert_eq!(
        refresh(&mut host, NOW, 10, 8),
        Report {
            counted: 1,
            ..Report::default()
        }
    );
    assert_eq!(
        host.one("SELECT count(*) FROM tenants WHERE stats_turn_at IS NULL"),
        Value::Integer(2)
    );
    assert!(host.json(200, &get("/tenants/none"))["last_job_at"].is_null());
    // The tenant is created again, finds its tables and is counted.
    host.expect(201, &new_tenant("T-1"));
    assert_eq!(refresh(&mut host, NOW + 1, 1, 8).counted, 1);
    assert_eq!(
        host.json(200, &get("/tenants/t-1"))["last_job_at"],
        "2026-08-18 23:16:58"
    );
}

#[test]
fn successive_runs_cover_thousands_of_tenants() {
    const TENANTS: usize = 2_000;
    const RUN: u32 = 100;
    let mut host = with_shared_tables(TENANTS);
    let mut seen = BTreeSet::new();
    let runs = i64::try_from(TENANTS).unwrap() / i64::from(RUN);
    for n in 0..runs {
        let report = refresh(&mut host, NOW + n, RUN, 8);
        assert_eq!(
            report,
            Report {
                counted: RUN.into(),
                ..Report::default()
            }
        );
        let counted = counted_at(&host, NOW + n);
        assert_eq!(counted.len(), usize::try_from(RUN).unwrap());
        assert!(
            counted.iter().all(|id| seen.insert(id.clone())),
            "counted twice before all had their turn"
        );
    }
    assert_eq!(seen.len(), TENANTS);
    let first = counted_at(&host, NOW);
    refresh(&mut host, NOW + runs, RUN, 8);
    assert_eq!(
        counted_at(&host, NOW + runs),
        first,
        "then the first ones again"
    );
}

#[test]
fn a_site_that_cannot_be_counted_stops_no_other_and_loses_its_turn() {
    let mut host = with_tables(&ids(12));
    for id in ["t-3", "t-4", "t-9"] {
        host.sql(
            &format!("INSERT INTO \"chv_{id}_tags\" (name) VALUES ('x')"),
            &[],
        );
    }
    refresh(&mut host, NOW, 12, 8);
    // A missing table, a table with other columns, and a sum beyond 64 bits.
    host.sql("DROP TABLE \"chv_t-3_files\"", &[]);
    host.sql("DROP TABLE \"chv_t-4_likes\"", &[]);
    host.sql("CREATE TABLE \"chv_t-4_likes\" (x TEXT)", &[]);
    for _ in 0..2 {
        host.sql("INSERT INTO \"chv_t-9_albums\" (title, is_private, views, created_at) VALUES ('', 0, 9223372036854775807, '')", &[]);
    }
    let task = begin(&host, NOW + 60, Which::Oldest(12), 8);
    let (report, statements) = run(&mut host, task);
    let report = report.unwrap();
    assert_eq!(report.counted, 9);
    // Seven statements end and delete what is past its time, and one chooses. Two slices, of 8 and of 4 tenants, fail, and each tenant is counted
    // again alone. One statement looks up whether those that could not be counted are gone.
    assert_eq!(statements, 8 + 2 * 12 + 1);
    let mut failed: Vec<(&str, bool)> = report
        .failed
        .iter()
        .map(|f| {
            (
                f.tenant.as_str(),
                ["chv_t-3_files", "file_id", "integer overflow"]
                    .iter()
                    .any(|why| f.reason.contains(why)),
            )
        })
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, [("T-3", true), ("T-4", true), ("T-9", true)]);
    // The counters and the time of the run before stay.
    let broken = host.json(200, &get("/tenants/t-3"));
    assert_eq!(broken["stats"]["tags"], 1);
    assert_eq!(broken["last_job_at"], "2026-08-18 23:16:57");
    // A new tenant goes first, and then the others in their order: a failure does not put a tenant first.
    host.sql(
        "CREATE TABLE chv_new_users (is_admin INTEGER, is_manager INTEGER)",
        &[],
    );
    host.expect(201, &new_tenant("new"));
    let report = refresh(&mut host, NOW + 120, 1, 8);
    assert_eq!(report.failed[0].tenant, "new");
    host.sql("UPDATE tenants SET stats_turn_at = '2026-08-18 23:17:56' WHERE id IN ('t-0', 't-1', 't-2')", &[]);
    assert_eq!(
        refresh(&mut host, NOW + 180, 3, 8),
        Report {
            counted: 3,
            ..Report::default()
        }
    );
}

/// The turn is stored with the choice, so that a tenant whose counting kills the host is not first again.
#[test]
fn the_tenants_of_an_interrupted_run_have_had_their_turn() {
    let mut host = with_tables(&ids(4));
    let task = begin(&host, NOW, Which::Oldest(2), 1);
    let task = host.step_on(task);
    assert_eq!(task.progress(), (0, 2));
    drop(task);
    assert_eq!(refresh(&mut host, NOW + 1, 2, 8).counted, 2);
    let others: BTreeSet<String> = ["T-2", "T-3"]
        .map(|id| format!("{:?}", Value::from(id)))
        .into();
    assert_eq!(counted_at(&host, NOW + 1), others);
}

#[test]
fn a_tenant_that_is_deleted_meanwhile_is_no_failure() {
    let mut host = with_tables(&ids(3));
    let task = begin(&host, NOW, Which::Oldest(3), 8);
    let task = host.step_on(task);
    host.expect(204, &delete("/tenants/t-1"));
    let (report, _) = run(&mut host, task);
    assert_eq!(
        report.unwrap(),
        Report {
            counted: 2,
            gone: 1,
            ..Report::default()
        }
    );
}

#[test]
fn a_tenant_whose_tables_are_dropped_meanwhile_is_gone_and_has_no_further_turn() {
    for counted_before in [false, true] {
        let mut host = with_tables(&ids(6));
        if counted_before {
            assert_eq!(refresh(&mut host, NOW - 60, 6, 8).counted, 6);
        }
        let task = begin(&host, NOW, Which::Oldest(6), 8);
        let task = host.step_on(task);
        // With the tenant, without it, and one table only, which is a fault.
        host.expect(204, &delete_with_tables("t-1"));
        let own = host.own_tables();
        for table in own.iter().filter(|name| name.starts_with("chv_t-2_")) {
            host.sql(&format!("DROP TABLE IF EXISTS \"{table}\""), &[]);
        }
        host.sql("DROP TABLE \"chv_t-4_files\"", &[]);
        let (report, statements) = run(&mut host, task);
        let report = report.unwrap();
        assert_eq!((report.counted, report.gone), (3, 2));
        let failed: Vec<&str> = report.failed.iter().map(|f| f.tenant.as_str()).collect();
        assert_eq!(failed, ["T-4"]);
        // Tenants that were never counted have no slice that could fail.
        let twice = if counted_before { 6 } else { 0 };
        assert_eq!(statements, 6 + twice + 1, "and one lookup");
        assert_eq!(
            host.sql("SELECT id FROM tenants WHERE has_site = 0", &[]),
            [[Value::from("T-2")]]
        );
        assert_eq!(refresh(&mut host, NOW + 60, 6, 8).counted, 3);
    }
}

#[test]
fn failures_stay_failures_if_the_database_cannot_look_the_tenants_up() {
    let mut host = with_tables(&ids(2));
    let task = begin(&host, NOW, Which::Oldest(2), 8);
    let task = host.step_on(task);
    host.sql("DROP TABLE \"chv_t-0_users\"", &[]);
    let mut task = host.resume(task, Err("first".into())).unwrap();
    let report = loop {
        match task {
            TaskStep::Run(next) => task = host.resume(next, Err("disk".into())).unwrap(),
            TaskStep::Done(report) => break report,
        }
    };
    let mut failed: Vec<(&str, &str)> = report
        .failed
        .iter()
        .map(|f| (f.tenant.as_str(), f.reason.as_str()))
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, [("T-0", "disk"), ("T-1", "first")]);
    assert_eq!(report.gone, 0);
}

#[test]
fn large_tenants_and_those_never_counted_have_a_batch_of_their_own() {
    let mut host = with_tables(&ids(9));
    let batches_of = |host: &mut Host, now, which| {
        let mut sizes = Vec::new();
        let mut task = begin(host, now, which, 8);
        task = host.step_on(task);
        loop {
            sizes.push(task.batch().statements().len());
            match host.step(task).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(report) => {
                    assert_eq!((report.counted, report.failed.len()), (9, 0));
                    return sizes;
                }
            }
        }
    };
    let batches = |host: &mut Host, now| batches_of(host, now, Which::Oldest(9));
    assert_eq!(batches(&mut host, NOW), [1; 9], "never counted");
    host.sql("UPDATE tenants SET stats = NULL", &[]);
    let all = batches_of(&mut host, NOW, Which::All);
    assert_eq!(all, [8, 1], "never counted, at the command line");
    let files = |count: i64, id: &str| {
        host.sql(
            &format!(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
                 INSERT INTO \"chv_{id}_files\" (name, media_type, size_bytes, created_at) SELECT '', '', 1, '' FROM c"
            ),
            &[count.into()],
        );
    };
    files(10_000, "t-3");
    files(9_999, "t-5");
    host.sql("INSERT INTO \"chv_t-5_tags\" (name) VALUES ('a')", &[]);
    files(9_999, "t-7");
    host.sql("INSERT INTO \"chv_t-7_albums\" (title, is_private, created_at) VALUES ('a', 0, ''), ('b', 0, '')", &[]);
    // The size is the one of the last count.
    assert_eq!(batches(&mut host, NOW + 1), [8, 1], "all were small");
    assert_eq!(batches(&mut host, NOW + 2), [8, 1], "one is large");
    // Stored statistics that cannot be read, or that are larger than any number.
    host.sql("UPDATE tenants SET stats = 'broken' WHERE id = 't-1'", &[]);
    host.sql(
        "UPDATE tenants SET stats = json_set(stats, '$.files', 9223372036854775807, '$.tags', 9) WHERE id = 't-2'",
        &[],
    );
    host.sql("UPDATE tenants SET stats = '{}' WHERE id = 't-4'", &[]);
    assert_eq!(batches(&mut host, NOW + 3), [5, 1, 1, 1, 1]);
}

#[test]
fn no_tenant_is_counted_again_within_the_minimum_age() {
    let mut host = with_tables(&ids(3));
    host.configure(&[("TENANTS_STATS_MIN_AGE", "")]);
    let counted = |host: &mut Host, now| {
        host.now = now;
        host.cron().counted
    };
    assert_eq!(counted(&mut host, NOW), 3);
    assert_eq!(counted(&mut host, NOW + 3_599), 0);
    // A new tenant need not wait, and is the only one that is counted.
    host.expect(201, &new_tenant("new"));
    host.expect(201, &install("new"));
    assert_eq!(counted(&mut host, NOW + 3_599), 1);
    assert_eq!(counted(&mut host, NOW + 3_600), 3);
    host.configure(&[("TENANTS_STATS_MIN_AGE", "86400")]);
    assert_eq!(counted(&mut host, NOW + 3_600 + 86_399), 1);
    assert_eq!(counted(&mut host, NOW + 3_600 + 86_400), 3);
    // An operator does not wait.
    host.configure(&[("TENANTS_STATS_MIN_AGE", "4294967295")]);
    assert_eq!(counted(&mut host, NOW + 3_600 + 86_400), 0);
    assert_eq!(one(&mut host, "t-1").unwrap().counted, 1);
    let task = begin(&host, NOW + 3_600 + 86_400, Which::All, 8);
    assert_eq!(run(&mut host, task).0.unwrap().counted, 4);
}

/// Tables that another service created, or that a changed prefix leads to again.
#[test]
fn an_operators_count_finds_every_site_and_marks_those_that_are_gone() {
    let mut host = with_tables(&ids(4));
    host.sql("UPDATE tenants SET has_site = 0 WHERE id <> 't-3'", &[]);
    let own = host.own_tables();
    for table in own.iter().filter(|name| name.contains("_t-3_")) {
        host.sql(&format!("DROP TABLE IF EXISTS \"{table}\""), &[]);
    }
    assert_eq!(one(&mut host, "t-0").unwrap().counted, 1);
    let has_site = |host: &Host| {
        let rows = host.sql("SELECT has_site FROM tenants ORDER BY id", &[]);
        rows.concat()
    };
    let flags = |all: [i64; 4]| all.map(Value::Integer);
    assert_eq!(has_site(&host), flags([1, 0, 0, 1]));
    let task = begin(&host, NOW + 60, Which::All, 8);
    let report = run(&mut host, task).0.unwrap();
    assert_eq!((report.counted, report.gone), (3, 0));
    assert_eq!(has_site(&host), flags([1, 1, 1, 0]));
    // A site that is installed later is counted in the next run.
    host.expect(201, &install("t-3"));
    let task = begin(&host, NOW + 61, Which::Oldest(1), 8);
    run(&mut host, task).0.unwrap();
    assert_eq!(
        counted_at(&host, NOW + 61),
        [format!("{:?}", Value::from("T-3"))].into()
    );
}

#[test]
fn one_tenant_is_counted_by_its_id() {
    let mut host = with_tables(&ids(3));
    host.expect(201, &new_tenant("none"));
    assert_eq!(
        one(&mut host, "t-1").unwrap(),
        Report {
            counted: 1,
            ..Report::default()
        }
    );
    let counted: BTreeSet<String> = [format!("{:?}", Value::from("T-1"))].into();
    assert_eq!(counted_at(&host, NOW + 60), counted);
    assert_eq!(
        one(&mut host, "nobody").unwrap_err().not_found(),
        Some("tenant")
    );
    let error = one(&mut host, "NONE").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no such site: nothing is installed for this tenant"
    );
    host.sql("DROP TABLE \"chv_t-2_jobs\"", &[]);
    assert_eq!(one(&mut host, "T-2").unwrap().failed[0].tenant, "T-2");
}

#[test]
fn a_failed_batch_is_run_again_for_each_tenant_alone() {
    let mut host = with_tables(&ids(3));
    let task = begin(&host, NOW, Which::Oldest(3), 8);
    let error = host.resume(task, Err("disk".into())).unwrap_err();
    assert_eq!(error.to_string(), "the database failed: disk");
    refresh(&mut host, NOW, 3, 8);
    let task = begin(&host, NOW + 1, Which::Oldest(3), 8);
    let mut task = host.step_on(task);
    let mut batches = 0;
    let report = loop {
        batches += 1;
        match host.resume(task, Err("disk".into())).unwrap() {
            TaskStep::Run(next) => task = next,
            TaskStep::Done(report) => break report,
        }
    };
    assert_eq!(batches, 1 + 3 + 1, "a slice, each of it, and the lookup");
    assert_eq!((report.counted, report.failed.len()), (0, 3));
    // Rows that the statement cannot return.
    let task = begin(&host, NOW, Which::Oldest(3), 8);
    assert!(
        host.resume(task, Ok(vec![vec![vec![Value::Null]]]))
            .is_err()
    );
    let task = begin(&host, NOW, Which::Oldest(3), 8);
    assert!(host.resume(task, Ok(vec![])).is_err());
}

/// D1's free plan allows 50 queries in one call of a Worker, and the paid one 1,000.
#[test]
fn a_run_in_which_every_tenant_fails_stays_within_the_queries_that_d1_allows() {
    let default = Host::new().api.config().unwrap().stats_per_run();
    for (tenants, most) in [(default, 50), (499, 1000)] {
        let mut host = with_shared_tables(usize::try_from(tenants).unwrap());
        // Statistics of before, so that tenants are counted in slices first.
        host.sql(
            "UPDATE tenants SET stats = '{\"files\":0,\"albums\":0,\"users\":0,\"tags\":0,\"categories\":0,\"pages\":0,\"file_likes\":0,\"album_likes\":0}'",
            &[],
        );
        let mut task = begin(&host, NOW, Which::Oldest(tenants), 8);
        let mut statements = task.batch().statements().len();
        let rows = host.run(task.batch());
        task = match host.resume(task, rows).unwrap() {
            TaskStep::Run(next) => next,
            TaskStep::Done(report) => panic!("{report:?}"),
        };
        let report = loop {
            statements += task.batch().statements().len();
            match host.resume(task, Err("disk".into())).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(report) => break report,
            }
        };
        assert_eq!(
            report.failed.len(),
            usize::try_from(tenants.min(490)).unwrap()
        );
        assert!(statements > most - 20 && statements <= most, "{statements}");
    }
}

/// The events of webhooks and the records of hostnames follow in the same call.
#[test]
fn a_run_that_counts_nothing_leaves_the_queries_for_what_follows_it() {
    let mut host = Host::with(&[("TENANTS_AUDIT_DAYS", "30")]);
    let mut queries_at = |now| {
        let mut task = begin(&host, now, Which::Due(19), 8);
        let mut queries = 0;
        loop {
            queries += task.batch().statements().len();
            let rows = host.run(task.batch());
            match host.resume(task, rows).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(report) => {
                    assert!(!report.has_counted());
                    return queries;
                }
            }
        }
    };
    // Records are looked up with two.
    assert_eq!(queries_at(NOW) + MOST_QUERIES + 2, 50);
    // A minute later only what is past its time is due.
    assert_eq!(queries_at(NOW + 60), 1);
}

#[test]
fn a_malformed_stored_id_is_reported() {
    let mut host = with_tables(&["a".into()]);
    host.sql("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES ('a b', 'x', 1, '', '')", &[]);
    host.sql("CREATE TABLE \"chv_a b_users\" (x TEXT)", &[]);
    let report = refresh(&mut host, NOW, 5, 8);
    assert_eq!((report.counted, report.failed.len()), (1, 1));
    assert!(
        report.failed[0].reason.contains("`a b`"),
        "{:?}",
        report.failed
    );
}

#[test]
fn a_run_of_the_cron_trigger_counts_as_many_tenants_as_configured() {
    let mut host = with_tables(&ids(30));
    let counted = |host: &mut Host, now| {
        host.now = now;
        host.cron().counted
    };
    assert_eq!(counted(&mut host, NOW), 19);
    host.configure(&[("TENANTS_STATS_PER_RUN", "7")]);
    assert_eq!(counted(&mut host, NOW + 1), 7);
    assert_eq!(counted_at(&host, NOW + 1).len(), 7);
    assert!(host.api.begin_stats(i64::MAX).is_err());
    host.configure(&[("TENANTS_STATS_PER_RUN", "none")]);
    let error = host.api.begin_stats(NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "TENANTS_STATS_PER_RUN: expected a whole number; got `none`"
    );
}
