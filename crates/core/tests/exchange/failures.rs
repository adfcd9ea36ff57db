//! A database that fails (contract §3). If it fails before the commit, nothing has changed. If it fails after the commit, the whole
//! change is there, with its one audit entry. The response is a 500 both times, and the request can be repeated.

use tenants_core::sql::{Rows, Value};
use tenants_core::task::prepare::{MIGRATIONS, Preparation};
use tenants_core::{Answer, Context, Exchange, Failure, Machine as _, Outcome, Step};

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post, reset,
};
use crate::host::{Got, Host, TaskStep, WaitsForBatch as _, internal_error};

const REASON: &str = "D1_ERROR: disk I/O error: SQLITE_IOERR";

/// A host with the plans `p`, which the tenant `a` has, and `r`.
fn filled() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_plan("r"));
    host.expect(201, &new_tenant("a"));
    let body = r#"{"plan_id":"p","limits":{"A":"1"},"env":{"A":"hidden-a"}}"#;
    host.expect(204, &patch("/tenants/a", body));
    host.expect(201, &install("a"));
    host.expect(201, &new_tenant("not-yet"));
    host
}

/// Every route that writes, with the status of a first request and of a second one after the change.
fn writes() -> Vec<(Ask, u16, u16)> {
    vec![
        (install("not-yet"), 201, 409),
        (reset("a"), 200, 200),
        (delete_with_tables("not-yet"), 204, 404),
        (new_tenant("b"), 201, 409),
        (
            post(
                "/tenants",
                r#"{"id":"b","hostname":"b","is_enabled":true,"plan_id":"P","limits":{"A":"1"},"env":{"A":"hidden"}}"#,
            ),
            201,
            409,
        ),
        (
            patch(
                "/tenants/a",
                r#"{"hostname":"c","is_enabled":false,"plan_id":null,"limits":null,"env":{"A":"hidden"}}"#,
            ),
            204,
            204,
        ),
        (patch("/tenants/a", r#"{"plan_id":"R"}"#), 204, 204),
        (delete("/tenants/a"), 204, 404),
        (
            delete("/tenants/a").body(r#"{"drop_tables":true}"#),
            204,
            404,
        ),
        (new_plan("q"), 201, 409),
        (
            patch(
                "/tenants-plans/p",
                r#"{"limits":null,"env":{"A":"hidden"}}"#,
            ),
            204,
            204,
        ),
        (delete("/tenants-plans/p"), 204, 404),
    ]
}

/// Finishes an exchange whose last batch failed. If it asks why with one more batch, runs that one.
fn fail(host: &mut Host, ask: &Ask, exchange: Exchange, reason: &str) -> Got {
    if !asks_why(ask) {
        return host.finish(ask, exchange, Err(reason.into()));
    }
    let why = host.ask_why(ask, exchange, reason);
    let rows = host.run(why.batch());
    assert!(rows.is_ok(), "{rows:?}");
    host.finish_why(ask, why, rows)
}

/// Whether the exchange asks why its batch failed: these create tables, drop them, or use some that may not exist.
fn asks_why(ask: &Ask) -> bool {
    ask.target.ends_with("/install")
        || ask.target.ends_with("/user-password-reset")
        || (ask.method == "DELETE" && !ask.body.is_empty())
}

fn failed(host: &mut Host, ask: &Ask, exchange: Exchange, reason: &str) {
    let got = fail(host, ask, exchange, reason);
    assert_eq!(got.status, 500, "{ask:?}");
    assert_eq!(got.cause(), format!("the database failed: {reason}"));
    if ask.method != "HEAD" {
        assert_eq!(got.body, internal_error());
    }
}

fn audit_entries(host: &Host) -> i64 {
    match host.one("SELECT count(*) FROM audit_log") {
        Value::Integer(n) => n,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_before_the_commit_changes_nothing() {
    for (ask, first, again) in writes() {
        let mut host = filled();
        let before = host.dump();
        let exchange = host.exchange(&ask);
        host.sql("SAVEPOINT here", &[]);
        for statement in exchange.batch().statements() {
            host.sql(statement.text(), statement.values());
        }
        assert_ne!(host.dump(), before, "the batch writes");
        host.sql("ROLLBACK TO here", &[]);
        host.sql("RELEASE here", &[]);
        failed(&mut host, &ask, exchange, REASON);
        assert_eq!(host.dump(), before);
        host.expect(first, &ask);
        assert_eq!(host.ask(&ask).status, again, "{ask:?}");
    }
}

/// The audit entry is the last write of a batch or the first. If it fails, as on a full disk, the transaction rolls back the others.
#[test]
fn a_batch_whose_audit_entry_cannot_be_written_changes_nothing() {
    for (ask, first, _) in writes() {
        let mut host = filled();
        host.sql(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON audit_log \
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
            &[],
        );
        let before = host.dump();
        let exchange = host.exchange(&ask);
        let reason = host.run(exchange.batch()).unwrap_err();
        assert!(reason.contains("disk is full"), "{reason}");
        failed(&mut host, &ask, exchange, &reason);
        assert_eq!(host.dump(), before);
        host.sql("DROP TRIGGER full", &[]);
        host.expect(first, &ask);
    }
}

#[test]
fn a_failure_after_the_commit_leaves_the_whole_change_and_is_no_success() {
    for (ask, first, again) in writes() {
        // Both hosts draw the same random bytes, so that nonces, salts and hashes are the same, too.
        let mut whole = filled();
        let before = whole.dump();
        whole.expect(first, &ask);
        let visible = |dump: &str| -> Vec<String> {
            let lines = dump.lines().filter(|line| !line.starts_with("audit_log"));
            lines.map(str::to_owned).collect()
        };
        assert_ne!(visible(&whole.dump()), visible(&before), "{ask:?} writes");

        let mut host = filled();
        let entries = audit_entries(&host);
        let exchange = host.exchange(&ask);
        host.run(exchange.batch()).unwrap();
        // An exchange that asks why finds the state of after the change, as a repeated request would.
        let got = fail(&mut host, &ask, exchange, REASON);
        let state = if asks_why(&ask) && again >= 400 {
            again
        } else {
            500
        };
        assert_eq!(got.status, state, "{ask:?}");
        assert!(got.cause().contains(REASON), "{got:?}");
        assert_eq!(host.dump(), whole.dump(), "{ask:?}");
        assert_eq!(audit_entries(&host), entries + 1);
        assert_eq!(host.ask(&ask).status, again, "{ask:?}");
    }
}

#[test]
fn a_read_that_fails_is_a_500_and_no_empty_response() {
    for ask in [
        post("/auth/verify", ""),
        get("/tenants"),
        get("/tenants/a"),
        crate::ask::head("/tenants/a"),
        get("/tenants/nobody"),
        get("/tenants/_"),
        get("/tenants-plans"),
        get("/tenants-plans/p"),
    ] {
        let mut host = filled();
        let exchange = host.exchange(&ask);
        failed(&mut host, &ask, exchange, REASON);
        host.ask(&ask);
    }
}

/// All 40 exchanges begin before the first batch runs. SQLite knows no other way of running them at once.
#[test]
fn one_of_40_concurrent_creations_succeeds() {
    let creates: [fn(usize) -> Ask; 3] = [
        |n| {
            let body = format!(r#"{{"id":"same","hostname":"h{n}","is_enabled":true}}"#);
            post("/tenants", body)
        },
        |n| {
            let body = format!(r#"{{"id":"t{n}","hostname":"same","is_enabled":true}}"#);
            post("/tenants", body)
        },
        |_| new_plan("same"),
    ];
    for create in creates {
        let mut host = filled();
        let asks: Vec<Ask> = (0..40).map(create).collect();
        let begun: Vec<_> = asks.iter().map(|ask| host.exchange(ask)).collect();
        let mut statuses = Vec::new();
        for (ask, exchange) in asks.iter().zip(begun) {
            let rows: Vec<Rows> = host.run(exchange.batch()).unwrap();
            statuses.push(host.finish(ask, exchange, Ok(rows)).status);
        }
        assert_eq!(statuses[0], 201);
        assert_eq!(statuses[1..], [409; 39]);
    }
}

/// The first batch of a request that hashes a password only reads.
#[test]
fn a_first_batch_that_fails_is_a_500_and_changes_nothing() {
    for ask in [install("not-yet"), reset("a")] {
        let mut host = filled();
        let before = host.dump();
        let exchange = host.first(&ask);
        let got = host.finish(&ask, exchange, Err(REASON.into()));
        assert_eq!(got.status, 500);
        assert_eq!(got.cause(), format!("the database failed: {REASON}"));
        assert_eq!(got.body, internal_error());
        assert_eq!(host.dump(), before);
    }
}

/// The batch that asks why another one failed fails as well.
#[test]
fn two_failures_are_a_500_and_the_log_has_both_reasons() {
    for ask in [install("not-yet"), reset("a"), delete_with_tables("a")] {
        let mut host = filled();
        let exchange = host.exchange(&ask);
        let why = host.ask_why(&ask, exchange, REASON);
        let got = host.finish_why(&ask, why, Err("the network".into()));
        assert_eq!(got.status, 500);
        assert_eq!(
            got.cause(),
            format!("the database failed: {REASON}; and then: the network")
        );
    }
}

/// A database that is busy. Nothing asks why: the second batch would wait for the same lock.
#[test]
fn an_unavailable_database_is_a_503_with_retry_after_and_only_the_log_has_the_cause() {
    let reads = [get("/tenants"), get("/tenants/a"), post("/auth/verify", "")];
    let writes = writes().into_iter().map(|(ask, ..)| ask);
    for ask in reads.into_iter().chain(writes) {
        let mut host = filled();
        let before = host.dump();
        let exchange = host.exchange(&ask);
        let outcome = Outcome::Batch(Err(Failure::unavailable("database is locked")));
        let context = &mut Context {
            unix_seconds: host.now,
            random: host.random.as_mut(),
        };
        let Step::Done(Answer { response, log }) = exchange.resume(outcome, context) else {
            panic!("{ask:?} asks for another batch");
        };
        assert_eq!(response.status, 503, "{ask:?}");
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(
            &*response.body,
            r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the database is busy; try again in a moment","code":"unavailable","request_id":"r-1"}"#
        );
        assert_eq!(
            log.cause.as_deref(),
            Some("the database is unavailable: database is locked")
        );
        assert_eq!(log.level(), tenants_core::log::Level::Error);
        assert_eq!(host.dump(), before);
    }
}

/// Another process applies the migration first, so the batch fails. The preparation reads the record again and goes on.
#[test]
fn a_preparation_goes_on_if_another_process_was_faster() {
    let mut host = Host::new();
    let again = "DELETE FROM d1_migrations WHERE id = (SELECT max(id) FROM d1_migrations)";
    let last = MIGRATIONS[MIGRATIONS.len() - 1].name;
    host.sql(again, &[]);
    let task = host.step_on(Preparation::begin());
    host.sql(
        "INSERT INTO d1_migrations (name) VALUES (?1)",
        &[last.into()],
    );
    let failed = host.run(task.batch()).unwrap_err();
    assert!(failed.contains("UNIQUE"), "{failed}");
    let TaskStep::Run(task) = host.resume(task, Err(failed)).unwrap() else {
        panic!("the preparation did not read the record again");
    };
    assert_eq!(host.complete(task), Vec::<&str>::new());

    // The same failure, but nobody has applied the migration.
    host.sql(again, &[]);
    let task = host.step_on(Preparation::begin());
    let TaskStep::Run(task) = host.resume(task, Err("no space".into())).unwrap() else {
        panic!("the preparation did not read the record again");
    };
    let error = host.step(task).unwrap_err().to_string();
    assert_eq!(error, "the database failed: no space");
}
