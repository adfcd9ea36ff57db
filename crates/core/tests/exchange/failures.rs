//! A database that fails (contract §3 and §12). Nobody knows whether a batch that failed was committed, so a write is tried once more, and is
//! made once however it fails. A read that fails is a 500 or a 503, and the caller can repeat it.

use std::iter::repeat;

use tenants_core::log::Level;
use tenants_core::sql::{Rows, Value};
use tenants_core::task::prepare::{MIGRATIONS, Preparation};
use tenants_core::{Answer, Context, Failure, Machine as _, Outcome, Step};

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post, put, reset,
};
use crate::filled::host_with_tables;
use crate::host::{Got, Host, TaskStep, WaitsForBatch as _, internal_error, problem};

const REASON: &str = "D1_ERROR: disk I/O error: SQLITE_IOERR";

/// A host with the plans `p`, which the tenant `a` has, and `r`.
pub(crate) fn filled() -> Host {
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
pub(crate) fn writes() -> Vec<(Ask, u16, u16)> {
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
        (
            put(
                "/tenants/b",
                r#"{"hostname":"b","is_enabled":true,"plan_id":"P","env":{"A":"hidden"}}"#,
            ),
            201,
            200,
        ),
        (
            put(
                "/tenants/A",
                r#"{"hostname":"c","is_enabled":true,"plan_id":"p","env":{"A":"hidden-a"}}"#,
            ),
            200,
            200,
        ),
        (
            put("/tenants-plans/q", r#"{"env":{"A":"hidden"}}"#),
            201,
            200,
        ),
        (put("/tenants-plans/p", r#"{"limits":{"L":"2"}}"#), 200, 200),
        // The response shows an `env` that only the database knows.
        (
            patch("/tenants/a", r#"{"hostname":"c","labels":{"l":"1"}}"#)
                .prefer("return=representation"),
            200,
            200,
        ),
        (
            patch("/tenants-plans/p", r#"{"external_id":"e-0"}"#).prefer("return=representation"),
            200,
            200,
        ),
    ]
}

fn audit_entries(host: &Host) -> i64 {
    match host.one("SELECT count(*) FROM audit_log") {
        Value::Integer(n) => n,
        other => panic!("{other:?}"),
    }
}

/// Where a batch breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Before its commit: nothing has changed.
    Before,
    /// After its commit. The database has the change, and nobody hears of it.
    After,
    /// Not at all.
    Whole,
}

/// Sends a request whose last batch, and those that follow it, break off as `cuts` says. Those after the last cut are whole.
fn cut(host: &mut Host, ask: &Ask, cuts: &[Cut]) -> Got {
    let exchange = host.exchange(ask);
    let mut cuts = cuts.iter().copied().chain(repeat(Cut::Whole));
    host.finish_with(ask, exchange, |host, batch| {
        match cuts.next().expect("it repeats") {
            Cut::Before => Err(REASON.into()),
            Cut::After => host.run(batch).and(Err(REASON.into())),
            Cut::Whole => host.run(batch),
        }
    })
}

/// The host after each write that nothing interrupts, and its response. Two hosts draw the same random bytes, so that tokens, nonces, salts
/// and hashes are the same, too.
fn whole(ask: &Ask, status: u16) -> (Host, Got) {
    let mut host = filled();
    let before = visible(&host);
    let got = host.expect(status, ask);
    assert_ne!(visible(&host), before, "{ask:?} writes");
    (host, got)
}

/// The rows of every table but the audit log.
fn visible(host: &Host) -> Vec<String> {
    let dump = host.dump();
    let lines = dump.lines().filter(|line| !line.starts_with("audit_log"));
    lines.map(str::to_owned).collect()
}

/// Whether the exchange looks why its batch failed before it tries again: these create tables, drop them, or use some that may not exist.
fn looks_first(ask: &Ask) -> bool {
    ask.target.ends_with("/install")
        || ask.target.ends_with("/user-password-reset")
        || (ask.method == "DELETE" && !ask.body.is_empty())
}

#[test]
fn a_write_that_breaks_off_once_is_made_once_and_is_the_success_that_it_was() {
    for (ask, first, again) in writes() {
        let (expected, answer) = whole(&ask, first);
        for at in [Cut::Before, Cut::After] {
            let mut host = filled();
            let entries = audit_entries(&host);
            let got = cut(&mut host, &ask, &[at]);
            assert_eq!(got.response, answer.response, "{at:?} {ask:?}");
            assert_eq!(
                got.cause(),
                format!("the first batch failed: {REASON}"),
                "{at:?} {ask:?}"
            );
            assert_eq!(got.log.level(), Level::Warn);
            assert_eq!(host.dump(), expected.dump(), "{at:?} {ask:?}");
            assert_eq!(audit_entries(&host), entries + 1);
            assert_eq!(host.ask(&ask).status, again, "{at:?} {ask:?}");
        }
    }
}

/// Every route that is no GET, so none can be left out. Its write is made once, and has its answer, whether the batch broke off before its commit
/// or after it.
#[test]
fn the_write_of_every_route_that_breaks_off_once_is_made_once() {
    for route in crate::scopes::asked_by_keys() {
        // POSTs that only read (the hostname of the example needs no proof), and one that only sends.
        let is_read = ["/verify", "/test"]
            .iter()
            .any(|end| route.path.ends_with(end));
        if route.method == "GET" || is_read {
            continue;
        }
        let ask = crate::scopes::example(&route);
        let mut whole = host_with_tables();
        let before = whole.dump();
        let answer = cut(&mut whole, &ask, &[]);
        assert!(answer.status < 300, "{ask:?}: {answer:?}");
        let expected = whole.dump();
        assert_ne!(expected, before, "{ask:?} writes");
        let entries = audit_entries(&whole);
        // Leases, renewals and statistics leave no entry.
        let is_logged = !["/lease", "/renew", "/stats"]
            .iter()
            .any(|end| ask.target.ends_with(end));
        assert_eq!(
            entries > audit_entries(&host_with_tables()),
            is_logged,
            "{ask:?}"
        );
        for at in [Cut::Before, Cut::After] {
            let mut host = host_with_tables();
            let got = cut(&mut host, &ask, &[at]);
            // Statistics that are stored already are not stored again, and not counted.
            if at == Cut::Before || !ask.target.ends_with("/stats") {
                assert_eq!(got.response, answer.response, "{at:?} {ask:?}");
            }
            assert_eq!(got.cause(), format!("the first batch failed: {REASON}"));
            assert_eq!(host.dump(), expected, "{at:?} {ask:?}");
        }
        let twice: &[Cut] = if looks_first(&ask) {
            &[Cut::Before, Cut::Whole, Cut::Before]
        } else {
            &[Cut::Before, Cut::Before]
        };
        let got = cut(&mut host_with_tables(), &ask, twice);
        assert_eq!(
            (got.status, got.header("retry-after")),
            (503, Some("1")),
            "{ask:?}"
        );
    }
}

/// The last try may be the one that breaks off, too: then nobody knows.
#[test]
fn a_write_that_breaks_off_twice_is_a_503_with_retry_after_and_is_made_once_at_most() {
    const DETAIL: &str = "the database failed, and may have made the change; try again in a moment";
    for (ask, first, again) in writes() {
        let (expected, _) = whole(&ask, first);
        let unchanged = filled().dump();
        for (cuts, is_made) in [
            ([Cut::Before, Cut::Before], false),
            ([Cut::Before, Cut::After], true),
            ([Cut::After, Cut::Before], true),
            ([Cut::After, Cut::After], true),
        ] {
            let mut host = filled();
            // The look between the two tries works.
            let looked = [cuts[0], Cut::Whole, cuts[1]];
            let cuts = if !looks_first(&ask) {
                &cuts[..]
            } else if cuts[0] == Cut::After && !ask.target.ends_with("reset") {
                // The look has found that the write was made.
                continue;
            } else {
                &looked[..]
            };
            let got = cut(&mut host, &ask, cuts);
            assert_eq!(got.status, 503, "{cuts:?} {ask:?}");
            assert_eq!(got.header("retry-after"), Some("1"));
            assert_eq!(
                got.body,
                problem(503, "Service Unavailable", DETAIL, "unavailable", "")
            );
            assert_eq!(
                got.cause(),
                format!("the database failed: {REASON}; and again: the database failed: {REASON}")
            );
            assert_eq!(got.log.level(), Level::Error);
            let now = if is_made {
                &expected.dump()
            } else {
                &unchanged
            };
            assert_eq!(&host.dump(), now, "{cuts:?} {ask:?}");
            let status = if is_made { again } else { first };
            assert_eq!(host.ask(&ask).status, status, "{cuts:?} {ask:?}");
        }
    }
}

/// The look between the two tries breaks off. It writes nothing, so only the first batch counts.
#[test]
fn a_look_that_breaks_off_is_a_503() {
    for (ask, first, again) in writes() {
        if !looks_first(&ask) {
            continue;
        }
        for (at, status) in [(Cut::Before, first), (Cut::After, again)] {
            let mut host = filled();
            let got = cut(&mut host, &ask, &[at, Cut::Before]);
            assert_eq!(got.status, 503, "{at:?} {ask:?}");
            assert_eq!(got.header("retry-after"), Some("1"));
            assert_eq!(host.ask(&ask).status, status, "{at:?} {ask:?}");
        }
    }
}

/// The first batch seemed to be lost, and was only late: it reaches the database after the second try, or right before it.
#[test]
fn a_first_batch_that_was_only_late_does_not_make_the_write_twice() {
    for (ask, first, again) in writes() {
        let (expected, answer) = whole(&ask, first);
        for is_before in [false, true] {
            let mut host = filled();
            let exchange = host.exchange(&ask);
            let late = exchange.batch().clone();
            let tries = if looks_first(&ask) { 3 } else { 2 };
            let mut n = 0;
            let got = host.finish_with(&ask, exchange, |host, batch| {
                n += 1;
                if n == 1 {
                    return Err(REASON.into());
                }
                if is_before && n == tries {
                    host.run(&late).unwrap();
                }
                host.run(batch)
            });
            assert_eq!(n, tries);
            if is_before && looks_first(&ask) && !ask.target.ends_with("reset") {
                // `CREATE TABLE` and `DROP TABLE` cannot look themselves, and what they wanted is there.
                assert_eq!(got.status, 503, "{ask:?}");
            } else {
                assert_eq!(got.response, answer.response, "{ask:?}");
            }
            assert_eq!(host.dump(), expected.dump(), "{ask:?}");
            if !is_before {
                // Whether it fails does not matter.
                let _ = host.run(&late);
                assert_eq!(host.dump(), expected.dump(), "{ask:?}");
            }
            assert_eq!(host.ask(&ask).status, again, "{ask:?}");
        }
    }
}

/// A key that is deleted, or a tenant that goes, between the two tries.
#[test]
fn a_second_try_is_judged_like_any_request() {
    for (ask, first, _) in writes() {
        let mut host = filled();
        let exchange = host.exchange(&ask);
        let mut n = 0;
        let got = host.finish_with(&ask, exchange, |host, batch| {
            n += 1;
            if n == 1 {
                return Err(REASON.into());
            }
            host.sql(
                "UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00'",
                &[],
            );
            host.run(batch)
        });
        assert_eq!(got.status, 401, "{ask:?}");
        host.sql("UPDATE api_keys SET deleted_at = NULL", &[]);
        host.expect(first, &ask);
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
        let got = cut(&mut host, &ask, &[]);
        assert_eq!(got.status, 503, "{ask:?}");
        assert_eq!(got.cause().matches("disk is full").count(), 2, "{got:?}");
        assert_eq!(host.dump(), before);
        host.sql("DROP TRIGGER full", &[]);
        host.expect(first, &ask);
    }
}

/// The token is what keeps the log to one entry: a batch that ignored it would fail.
#[test]
fn no_two_entries_of_the_log_share_a_token() {
    let mut host = filled();
    host.expect(201, &new_tenant("b"));
    assert_eq!(
        host.one("SELECT count(*) FROM audit_log WHERE length(token) = 22"),
        host.one("SELECT count(DISTINCT token) FROM audit_log")
    );
    let copied = tenants_sqlite::query(
        &host.db,
        "INSERT INTO audit_log (action, subject, request_id, created_at, token) \
         SELECT action, subject, request_id, created_at, token FROM audit_log",
        &[],
    );
    assert!(copied.unwrap_err().to_string().contains("UNIQUE"));
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
        let got = host.finish(&ask, exchange, Err(REASON.into()));
        assert_eq!(got.status, 500, "{ask:?}");
        assert_eq!(got.cause(), format!("the database failed: {REASON}"));
        if ask.method != "HEAD" {
            assert_eq!(got.body, internal_error());
        }
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

/// A database that is busy. A read is not tried again: its caller may do that.
#[test]
fn an_unavailable_database_is_a_503_with_retry_after_and_only_the_log_has_the_cause() {
    const CAUSE: &str = "the database is unavailable: database is locked";
    let reads = [get("/tenants"), get("/tenants/a"), post("/auth/verify", "")];
    let reads = reads.into_iter().map(|ask| {
        (
            ask,
            "the database is busy; try again in a moment",
            CAUSE.to_owned(),
        )
    });
    let writes = writes().into_iter().map(|(ask, ..)| {
        (
            ask,
            "the database failed, and may have made the change; try again in a moment",
            format!("{CAUSE}; and again: {CAUSE}"),
        )
    });
    for (ask, detail, cause) in reads.chain(writes) {
        let mut host = filled();
        let before = host.dump();
        let mut step = Step::Run(host.exchange(&ask));
        let mut batches = 0;
        let Answer { response, log, .. } = loop {
            let exchange = match step {
                Step::Run(exchange) => exchange,
                Step::Done(answer) => break answer,
            };
            batches += 1;
            let outcome = Outcome::Batch(Err(Failure::unavailable("database is locked")));
            let context = &mut Context {
                unix_seconds: host.now,
                random: host.random.as_mut(),
            };
            step = exchange.resume(outcome, context);
        };
        assert_eq!(batches, cause.matches("locked").count(), "{ask:?}");
        assert_eq!(response.status, 503, "{ask:?}");
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(
            &*response.body,
            problem(503, "Service Unavailable", detail, "unavailable", "")
        );
        assert_eq!(log.cause, Some(cause));
        assert_eq!(log.level(), Level::Error);
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
