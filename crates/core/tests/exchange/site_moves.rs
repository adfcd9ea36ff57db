//! The move of a site from tables in the registry to a database of its own, and back: the same rows, never two places in force, and no cut that
//! leaves the site anywhere else than in one of them.

use rusqlite::{Connection, MAIN_DB};
use tenants_core::Step;
use tenants_core::sql::{Database, Rows, Value};
use tenants_core::task::moves::{Ordered, Place, SiteMove};
use tenants_core::task::orphans::{self, OrphanDrop, OrphanList};
use tenants_core::task::stats::{Failed, Refresh, Report, Which};
use tenants_core::task::{Run, TaskError};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;

use crate::ask::{Ask, delete, delete_with_tables, get, install, new_tenant, patch, reset};
use crate::host::{Got, Host, TaskStep, WaitsForBatch as _};
use crate::site_databases::{apart, tables as apart_tables};

const MODE: &str = "CHEVERETO_TENANTS_DB_ISOLATION_MODE";

/// The tables of a site, with the columns in the order of the primary key.
pub(crate) const TABLES: [(&str, &str); 13] = [
    ("users", "id"),
    ("settings", "name"),
    ("jobs", "name"),
    ("storages", "id"),
    ("categories", "id"),
    ("albums", "id"),
    ("files", "id"),
    ("tags", "id"),
    ("tagged", "tag_id, file_id"),
    ("likes", "id"),
    ("pages", "id"),
    ("login_providers", "id"),
    ("connections", "provider_id, subject"),
];

/// Rows of every table, with texts that JSON must escape, numbers beyond 2^53 and a hole in the ids. `?1` is the number of files.
const ROWS: [(&str, &str); 12] = [
    (
        "settings",
        "VALUES ('title', 'A \"site\" of \u{1F980}'), ('empty', ''), ('none', NULL), ('lines', 'a' || char(10) || 'b\\')",
    ),
    (
        "jobs",
        "VALUES ('clean', '2026-01-01 00:00:00', 9007199254740993)",
    ),
    ("storages", "VALUES (7, 's3', 'https://x', 1)"),
    ("categories", "VALUES (1, 'c', 'c'), (5, 'd', 'd')"),
    (
        "albums",
        "VALUES (1, NULL, 't', NULL, 0, 3, '2026-01-01 00:00:00')",
    ),
    (
        "files",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT i * 2, NULL, 1, NULL, NULL, 'f' || i, 'image/png', i, NULL, 9, 'ü', NULL, 0, '2026-01-01 00:00:00' FROM n",
    ),
    ("tags", "VALUES (1, 'x'), (2, 'y')"),
    ("tagged", "VALUES (2, 2), (1, 2), (1, 4)"),
    (
        "likes",
        "VALUES (1, 1, 2, NULL, 'now'), (2, 1, NULL, 1, 'now')",
    ),
    (
        "pages",
        "VALUES (1, 'a', 'A', printf('%.*c', 350000, 'é'), 1), (2, 'b', 'B', printf('%.*c', 350000, 'x'), 1), (3, 'c', 'C', printf('%.*c', 600000, 'y'), 0)",
    ),
    ("login_providers", "VALUES (1, 'g', 1)"),
    ("connections", "VALUES (1, 'b', 1), (1, 'a', 2)"),
];

fn a() -> TenantId {
    TenantId::parse("a").unwrap()
}

pub(crate) fn fill(db: &Connection, start: &str, files: i64) {
    for (table, rows) in ROWS {
        let text = format!("INSERT INTO \"{start}{table}\" {rows}");
        let values: &[Value] = if rows.contains("?1") {
            &[files.into()]
        } else {
            &[]
        };
        tenants_sqlite::query(db, &text, values).unwrap();
    }
}

fn rows(db: &Connection, start: &str) -> Vec<Rows> {
    let read = |(table, keys): (&str, &str)| {
        let text = format!("SELECT * FROM \"{start}{table}\" ORDER BY {keys}");
        tenants_sqlite::query(db, &text, &[]).unwrap()
    };
    TABLES.map(read).into()
}

fn in_registry(host: &Host) -> Vec<Rows> {
    rows(&host.db, "chv_a_")
}

fn in_database(host: &Host) -> Vec<Rows> {
    rows(&host.sites["a"], "chv_")
}

/// A host whose sites have a database each, with a site that was installed before.
fn older_site(files: i64) -> Host {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    fill(&host.db, "chv_a_", files);
    host.configure(&[(MODE, "database")]);
    host
}

/// The same with the site in its database.
fn newer_site(files: i64) -> Host {
    let mut host = apart();
    send(&mut host, &new_tenant("a"));
    send(&mut host, &install("a"));
    fill(&host.sites["a"], "chv_", files);
    host
}

/// The two moves: whether it is one into a database, and the place.
const MOVES: [(bool, Place); 2] = [(true, Place::Database), (false, Place::Tables)];

/// A host with a site at the place from which it is to be moved.
fn site_to_move(to_database: bool, files: i64) -> Host {
    if to_database {
        older_site(files)
    } else {
        newer_site(files)
    }
}

/// The rows of such a site.
fn rows_to_move(host: &Host, to_database: bool) -> Vec<Rows> {
    if to_database {
        in_registry(host)
    } else {
        in_database(host)
    }
}

/// Sends a request and runs all batches that it needs, on any database.
fn send(host: &mut Host, ask: &Ask) -> Got {
    let exchange = host.first(ask);
    host.finish_with(ask, exchange, |host, batch| host.run(batch))
}

fn place(host: &mut Host) -> Result<Place, TaskError> {
    let task = SiteMove::look(host.api.config().unwrap(), &a());
    run(host, task).map(|ordered| ordered.place)
}

fn order(host: &mut Host, to_database: bool) -> Result<Place, TaskError> {
    let task = ordered(host, to_database);
    run(host, task).map(|ordered| {
        assert!(!ordered.gave_up);
        ordered.place
    })
}

fn ordered(host: &Host, to_database: bool) -> SiteMove {
    let now = Timestamp::from_unix(host.now).unwrap();
    let run = Run::new("cli-1");
    SiteMove::begin(host.api.config().unwrap(), &a(), to_database, &run, &now)
}

fn run(host: &mut Host, mut task: SiteMove) -> Result<Ordered, TaskError> {
    loop {
        match host.step(task)? {
            TaskStep::Done(ordered) => return Ok(ordered),
            TaskStep::Run(next) => task = next,
        }
    }
}

/// The task of the cron trigger, a minute later than the last one.
fn cron_task(host: &mut Host, count: u32) -> Refresh {
    host.now += 60;
    let now = Timestamp::from_unix(host.now).unwrap();
    Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(count), 1)
}

fn cron(host: &mut Host) -> Report {
    let task = cron_task(host, 0);
    host.complete(task)
}

/// Runs the cron trigger until a site is in a place. Returns how often.
fn moved(host: &mut Host, to: Place) -> usize {
    for run in 0..50 {
        if place(host).unwrap() == to {
            return run;
        }
        assert_eq!(cron(host), Report::default());
    }
    panic!("the move has no end: {:?}", place(host));
}

/// Exactly one place has the site, whatever is left at the other one.
fn assert_in_force(host: &mut Host, expected: &[Rows]) {
    let state = host.one("SELECT (SELECT state FROM site_databases)");
    let (is_apart, has_tables) = (
        [Value::Integer(3), Value::Integer(5)].contains(&state),
        host.own_tables().iter().any(|name| name == "chv_a_users"),
    );
    assert!(is_apart || has_tables, "{state:?}");
    let found = if is_apart {
        in_database(host)
    } else {
        in_registry(host)
    };
    assert!(found == expected, "{state:?}");
    if state == Value::Integer(3) {
        assert!(
            !has_tables,
            "the tables are gone with the batch that puts the database in force"
        );
    }
}

#[test]
fn a_site_moves_there_and_back_with_every_row() {
    let mut host = older_site(12_000);
    let before = in_registry(&host);
    assert_eq!(before[6].len(), 12_000);
    assert_eq!(place(&mut host).unwrap(), Place::Tables);
    assert_eq!(order(&mut host, true).unwrap(), Place::ToDatabase);
    // Asking again is no second move.
    assert_eq!(order(&mut host, true).unwrap(), Place::ToDatabase);
    moved(&mut host, Place::Database);
    assert!(in_database(&host) == before);
    assert_eq!(host.own_tables(), Vec::<String>::new());
    assert_eq!(order(&mut host, true).unwrap(), Place::Database);

    assert_eq!(order(&mut host, false).unwrap(), Place::ToTables);
    moved(&mut host, Place::Tables);
    assert!(in_registry(&host) == before);
    assert_eq!(apart_tables(&host), Vec::<String>::new());
    let indexes =
        "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name LIKE 'chv_a_%_by_%'";
    assert_eq!(host.one(indexes), 3.into());
    let entries = host.sql(
        "SELECT action, subject FROM audit_log WHERE action = 'tenant.site_move'",
        &[],
    );
    assert_eq!(entries.len(), 2);
    // It goes on as if nothing had been.
    assert_eq!(send(&mut host, &reset("a")).status, 200);
    assert_eq!(send(&mut host, &delete_with_tables("a")).status, 204);
    assert_eq!(host.own_tables(), Vec::<String>::new());
}

#[test]
fn several_sites_wait_for_each_other() {
    let mut host = Host::new();
    let ids: Vec<String> = (0..7).map(|i| format!("s{i}")).collect();
    for id in &ids {
        host.expect(201, &new_tenant(id));
        host.expect(201, &install(id));
    }
    host.configure(&[(MODE, "database")]);
    for id in &ids {
        let now = Timestamp::from_unix(host.now).unwrap();
        let id = TenantId::parse(id).unwrap();
        let run = Run::new("cli-1");
        host.complete(SiteMove::begin(
            host.api.config().unwrap(),
            &id,
            true,
            &run,
            &now,
        ));
    }
    for _ in 0..5 {
        assert_eq!(cron(&mut host), Report::default());
    }
    let done = "SELECT count(*) FROM site_databases WHERE state = 3";
    assert_eq!(host.one(done), 7.into());
    assert_eq!(host.own_tables(), Vec::<String>::new());
}

#[test]
fn a_site_that_was_installed_before_works_as_it_did() {
    let mut host = older_site(3);
    for (status, ask) in [
        (409, install("a")),
        (200, get("/tenants/a")),
        (200, reset("a")),
        (200, reset("a").tried()),
        (200, reset("a").idempotency_key("k-1")),
        (200, reset("a").idempotency_key("k-1")),
        (
            404,
            patch("/tenants/a/user-password-reset", r#"{"username":"nobody"}"#),
        ),
        // Its tables stay, and the next tenant gets them.
        (204, delete("/tenants/a")),
    ] {
        let got = send(&mut host, &ask);
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
    }
    let found = host.complete(OrphanList::begin(host.api.config().unwrap()));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].tenant.as_str(), found[0].tables), ("a", 13));
    assert!(send(&mut host, &new_tenant("a")).json()["site"]["adopted"] == true);
    assert_eq!(send(&mut host, &install("a")).status, 409);
    // New sites have a database each. Both are counted.
    assert_eq!(send(&mut host, &new_tenant("b")).status, 201);
    assert_eq!(send(&mut host, &install("b")).status, 201);
    let task = cron_task(&mut host, 9);
    let report = host.complete(task);
    assert_eq!((report.counted, report.failed), (2, vec![]));
    assert_eq!(
        host.sql("SELECT stats ->> 'files' FROM tenants ORDER BY id", &[]),
        [[Value::Integer(3)], [Value::Integer(0)]]
    );
    assert!(
        !host.sites.contains_key("a"),
        "nobody asked for a database that it does not have"
    );
    assert_eq!(send(&mut host, &delete_with_tables("a")).status, 204);
    assert_eq!(host.own_tables(), Vec::<String>::new());
    // The tables of a deleted tenant are dropped by the task, too.
    let mut host = older_site(3);
    assert_eq!(send(&mut host, &delete("/tenants/a")).status, 204);
    let now = Timestamp::from_unix(host.now).unwrap();
    let drop = OrphanDrop::begin(
        host.api.config().unwrap(),
        orphans::Which::All,
        Run::new("cli-1"),
        &now,
        8,
    );
    assert_eq!(host.complete(drop).dropped.len(), 1);
    assert_eq!(host.own_tables(), Vec::<String>::new());
}

#[test]
fn only_an_installed_site_of_a_living_tenant_moves() {
    let mut host = apart();
    let none = order(&mut host, true).unwrap_err();
    assert_eq!(none.not_found(), Some("tenant"));
    send(&mut host, &new_tenant("a"));
    for to_database in [true, false] {
        let none = order(&mut host, to_database).unwrap_err();
        assert_eq!(
            none.not_found(),
            Some("site: nothing is installed for this tenant")
        );
    }
    assert_eq!(
        host.one("SELECT count(*) FROM audit_log WHERE action = 'tenant.site_move'"),
        0.into()
    );
    assert_eq!(send(&mut host, &install("a")).status, 201);
    assert_eq!(order(&mut host, true).unwrap(), Place::Database);
}

#[test]
fn a_site_that_is_moved_takes_no_writes() {
    for (to_database, to) in MOVES {
        let mut host = site_to_move(to_database, 3);
        // This one has been judged before the move begins.
        let (early, earlier) = (reset("a"), reset("a").idempotency_key("k-1"));
        let [early_exchange, earlier_exchange] = [&early, &earlier].map(|ask| {
            let exchange = host.first(ask);
            let rows = host.run(exchange.batch());
            match host.resumed(exchange, rows) {
                Step::Run(exchange) => exchange,
                Step::Done(answer) => panic!("{answer:?}"),
            }
        });
        order(&mut host, to_database).unwrap();
        for (ask, exchange) in [(early, early_exchange), (earlier, earlier_exchange)] {
            let got = host.finish_with(&ask, exchange, |host, batch| host.run(batch));
            assert_eq!(got.status, 503, "{got:?}");
        }
        for ask in [reset("a"), reset("a").idempotency_key("k-2")] {
            let got = send(&mut host, &ask);
            assert_eq!(got.status, 503, "{got:?}");
            assert!(got.header("retry-after").is_some());
        }
        assert_eq!(send(&mut host, &install("a")).status, 409);
        assert_eq!(send(&mut host, &get("/tenants/a")).status, 200);
        // Its statistics wait.
        let now = Timestamp::from_unix(host.now).unwrap();
        let one = Refresh::begin(host.api.config().unwrap(), &now, Which::One(a()), 1);
        assert!(host.step(one).unwrap_err().is_unavailable());
        moved(&mut host, to);
        assert_eq!(send(&mut host, &reset("a")).status, 200);
    }
}

/// Moves a site, and stops after so many batches of all runs. Returns whether there were so many.
fn cut(host: &mut Host, to: Place, at: usize) -> bool {
    let mut left = at;
    while place(host).unwrap() != to {
        let mut task = cron_task(host, 0);
        loop {
            if left == 0 {
                return true;
            }
            left -= 1;
            let rows = host.run(task.batch());
            match host.resume(task, rows).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(report) => {
                    assert_eq!(report, Report::default());
                    break;
                }
            }
        }
    }
    false
}

#[test]
fn a_move_that_is_cut_off_after_any_batch_goes_on() {
    for (to_database, to) in MOVES {
        let mut cuts = 0;
        for at in 0.. {
            let mut host = site_to_move(to_database, 5);
            let before = rows_to_move(&host, to_database);
            order(&mut host, to_database).unwrap();
            if !cut(&mut host, to, at) {
                break;
            }
            cuts += 1;
            assert_in_force(&mut host, &before);
            moved(&mut host, to);
            assert_in_force(&mut host, &before);
            // What is left of the old place goes, too.
            host.now += 180;
            assert_eq!(cron(&mut host), Report::default());
            let left = if to_database {
                host.own_tables()
            } else {
                apart_tables(&host)
            };
            assert_eq!(left, Vec::<String>::new(), "{at}");
            assert_eq!(host.one("SELECT count(*) FROM kept_sites"), 0.into());
        }
        assert!(cuts > 30, "{cuts}");
    }
}

#[test]
fn a_late_batch_of_a_run_that_was_given_up_changes_nothing() {
    for (to_database, to) in MOVES {
        let mut late = 0;
        'cuts: for at in 1..60 {
            let mut host = site_to_move(to_database, 5);
            let before = rows_to_move(&host, to_database);
            order(&mut host, to_database).unwrap();
            let mut task = cron_task(&mut host, 0);
            for _ in 0..at {
                let rows = host.run(task.batch());
                task = match host.resume(task, rows).unwrap() {
                    TaskStep::Run(next) => next,
                    TaskStep::Done(_) => break 'cuts,
                };
            }
            let batch = task.batch().clone();
            let is_of_site = matches!(batch.database(), Database::Site(_));
            moved(&mut host, to);
            // It fails, or it only reads.
            if host.run(&batch).is_err() || is_of_site {
                late += 1;
            }
            assert_in_force(&mut host, &before);
        }
        assert!(late > 5, "{late}");
    }
}

#[test]
fn a_site_that_is_dropped_while_it_moves_is_gone_at_both_places() {
    for (to_database, to) in MOVES {
        for at in [1, 3, 9, 20] {
            let mut host = site_to_move(to_database, 5);
            order(&mut host, to_database).unwrap();
            cut(&mut host, to, at);
            assert_eq!(send(&mut host, &delete_with_tables("a")).status, 204);
            host.now += 180;
            assert_eq!(cron(&mut host), Report::default());
            assert_eq!(host.own_tables(), Vec::<String>::new());
            assert_eq!(apart_tables(&host), Vec::<String>::new());
            assert_eq!(send(&mut host, &new_tenant("a")).status, 201);
            assert_eq!(send(&mut host, &install("a")).status, 201);
        }
    }
}

#[test]
fn a_copy_that_differs_never_comes_into_force() {
    let mut host = older_site(5);
    let before = in_registry(&host);
    order(&mut host, true).unwrap();
    cut(&mut host, Place::Database, 4);
    // Somebody wrote into the copy.
    let text = "INSERT INTO chv_tags (id, name) VALUES (8, 'm'), (9, 'n'), (10, 'o')";
    tenants_sqlite::query(&host.sites["a"], text, &[]).unwrap();
    let report = cron(&mut host);
    let [Failed { tenant, reason }] = &report.failed[..] else {
        panic!("{report:?}")
    };
    assert_eq!(tenant, "a");
    // It holds up no event and no look-up of a record.
    assert_eq!(
        (report.moves_failed, report.has_counted()),
        (1, report.counted > 0)
    );
    assert!(reason.contains("rows that the old one lacks"), "{reason}");
    assert_in_force(&mut host, &before);
}

#[test]
fn a_move_goes_on_each_minute_though_the_statistics_wait() {
    let mut host = older_site(3);
    for is_ordered in [false, true] {
        if is_ordered {
            order(&mut host, true).unwrap();
        }
        host.now += 60;
        let now = Timestamp::from_unix(host.now).unwrap();
        let task = Refresh::begin(host.api.config().unwrap(), &now, Which::Due(9), 1);
        let report = host.complete(task);
        assert_eq!(report.counted, u64::from(!is_ordered));
        assert_eq!(report.failed, []);
    }
    assert_eq!(place(&mut host).unwrap(), Place::Database);
}

/// The registry before a move, as a restore brings it back a minute later.
fn restore(host: &mut Host, backup: &[u8]) {
    host.db
        .deserialize_read_exact(MAIN_DB, backup, backup.len(), false)
        .unwrap();
    host.now += 60;
}

#[test]
fn a_move_that_is_ordered_after_a_restore_begins_with_an_empty_place() {
    for change in [
        "UPDATE chv_a_tags SET name = name || 'z'",
        "DELETE FROM chv_a_files WHERE id > 4",
        "INSERT INTO chv_a_tags (id, name) VALUES (-1, 'first'), (9, 'last')",
    ] {
        for at in 0..8 {
            let mut host = older_site(5);
            let backup = host.db.serialize(MAIN_DB).unwrap().to_vec();
            order(&mut host, true).unwrap();
            moved(&mut host, Place::Database);
            restore(&mut host, &backup);
            host.sql(change, &[]);
            let before = in_registry(&host);
            order(&mut host, true).unwrap();
            assert!(cut(&mut host, Place::Database, at));
            assert_in_force(&mut host, &before);
            moved(&mut host, Place::Database);
            assert_in_force(&mut host, &before);
        }
    }
}

/// An older Worker, whose configuration says `table`, may have made them.
#[test]
fn tables_that_are_not_in_force_are_no_part_of_a_copy() {
    for at in 0..8 {
        let mut host = newer_site(5);
        let before = in_database(&host);
        for text in [
            "CREATE TABLE chv_a_tags (id INTEGER PRIMARY KEY, name TEXT)",
            "INSERT INTO chv_a_tags VALUES (1, 'x'), (9, 'z')",
        ] {
            host.sql(text, &[]);
        }
        order(&mut host, false).unwrap();
        assert!(cut(&mut host, Place::Tables, at));
        moved(&mut host, Place::Tables);
        assert_in_force(&mut host, &before);
    }
}

#[test]
fn a_move_that_goes_on_keeps_what_it_has_copied() {
    for (to_database, to) in MOVES {
        let mut host = site_to_move(to_database, 5);
        order(&mut host, to_database).unwrap();
        assert!(cut(&mut host, to, 12));
        let mut copied = 0;
        while place(&mut host).unwrap() != to {
            let mut task = cron_task(&mut host, 0);
            loop {
                let batch = task.batch();
                if matches!(batch.database(), Database::Site(_)) == to_database {
                    let texts = || batch.statements().iter().map(|one| one.text());
                    assert!(texts().all(|text| !text.contains("DROP TABLE")));
                    copied += texts().filter(|text| text.contains("json_each")).count();
                }
                let rows = host.run(batch);
                match host.resume(task, rows).unwrap() {
                    TaskStep::Run(next) => task = next,
                    TaskStep::Done(report) => break assert_eq!(report, Report::default()),
                }
            }
        }
        assert!((6..14).contains(&copied), "{copied}");
    }
}

#[test]
fn an_order_in_the_other_direction_gives_a_move_up() {
    for (to_database, to) in MOVES {
        let back = if to_database {
            Place::Tables
        } else {
            Place::Database
        };
        for at in [0, 2, 5, 20] {
            let mut host = site_to_move(to_database, 5);
            let before = rows_to_move(&host, to_database);
            order(&mut host, to_database).unwrap();
            // The batch after these is under way when the move is given up.
            let mut task = cron_task(&mut host, 0);
            for _ in 0..at {
                task = host.step_on(task);
            }
            let late = task.batch().clone();
            let task = ordered(&host, !to_database);
            let given_up = run(&mut host, task).unwrap();
            assert_eq!((given_up.place, given_up.gave_up), (back, true));
            let is_refused = at > 0 && !to_database && late.database() == &Database::Registry;
            assert_eq!(host.run(&late).is_err(), is_refused, "{at}");
            assert_eq!(place(&mut host).unwrap(), back);
            assert_in_force(&mut host, &before);
            // It takes writes again.
            assert_eq!(send(&mut host, &reset("a")).status, 200);
            let entries = "SELECT count(*) FROM audit_log WHERE action = 'tenant.site_move'";
            assert_eq!(host.one(entries), 2.into());
            if at == 5 {
                // Another one begins at once, and finds nothing of the one before.
                let before = rows_to_move(&host, to_database);
                order(&mut host, to_database).unwrap();
                moved(&mut host, to);
                assert_in_force(&mut host, &before);
            } else {
                // Nothing is left of the copy.
                host.now += 180;
                assert_eq!(cron(&mut host), Report::default());
                let left = if to_database {
                    apart_tables(&host)
                } else {
                    host.own_tables()
                };
                assert_eq!(left, Vec::<String>::new(), "{at}");
                assert_eq!(host.one("SELECT count(*) FROM kept_sites"), 0.into());
            }
        }
    }
}

/// The move has ended after the first batch of the order has seen it.
#[test]
fn a_move_that_has_ended_is_not_given_up() {
    let mut host = newer_site(5);
    let before = in_database(&host);
    order(&mut host, false).unwrap();
    let task = ordered(&host, true);
    let task = host.step_on(task);
    moved(&mut host, Place::Tables);
    let rows = host.run(task.batch());
    assert!(host.resume(task, rows).is_err());
    assert_in_force(&mut host, &before);
}
