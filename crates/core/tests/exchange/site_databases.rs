//! A database for each tenant's site: the same answers as with tables in the registry, and no cut between two databases that leaves something
//! half-done.

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use tenants_core::sql::{Batch, Database, Rows, Value};
use tenants_core::task::Run;
use tenants_core::task::orphans::{self, OrphanDrop, OrphanList};
use tenants_core::task::stats::{Refresh, Report, Which};
use tenants_core::task::status::Status;
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;
use tenants_core::{Exchange, Step};

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_tenant, new_tenant_on, patch, post, put,
    reset,
};
use crate::host::{Got, Host, NOW, SECRETS, TaskStep, WaitsForBatch as _};
use crate::site_moves::{TABLES, fill};

const APART: (&str, &str) = ("CHEVERETO_TENANTS_DB_ISOLATION_MODE", "database");

pub(crate) fn apart() -> Host {
    Host::with(&[APART])
}

/// Sends a request and runs all batches that it needs.
fn send(host: &mut Host, ask: &Ask) -> Got {
    let exchange = host.first(ask);
    host.finish_with(ask, exchange, |host, batch| host.run(batch))
}

fn expect(host: &mut Host, status: u16, ask: &Ask) -> Got {
    let got = send(host, ask);
    assert_eq!(got.status, status, "{ask:?}: {got:?}");
    got
}

/// A run of the cron trigger that counts nothing.
pub(crate) fn end_what_was_cut_off(host: &mut Host) {
    let now = Timestamp::from_unix(host.now + 60 * 60).unwrap();
    let task = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(0), 1);
    assert_eq!(host.complete(task), Report::default());
}

/// A run of the statistics. `None`: that of the cron trigger, an hour later.
fn count(host: &mut Host, id: Option<&str>) -> Report {
    let (which, now) = match id {
        Some(id) => (Which::One(TenantId::parse(id).unwrap()), NOW),
        None => (Which::Oldest(9), NOW + 60 * 60),
    };
    let now = Timestamp::from_unix(now).unwrap();
    let mut task = Refresh::begin(host.api.config().unwrap(), &now, which, 2);
    loop {
        let rows = host.run(task.batch());
        match host.resume(task, rows).unwrap() {
            TaskStep::Run(next) => task = next,
            TaskStep::Done(report) => return report,
        }
    }
}

/// The names of all tables of all sites, under the names that they would have in the registry.
pub(crate) fn tables(host: &Host) -> Vec<String> {
    let mut all = Vec::new();
    for (id, db) in &host.sites {
        let text = "SELECT name FROM sqlite_master WHERE substr(name, 1, 4) = 'chv_'";
        for row in tenants_sqlite::query(db, text, &[]).unwrap() {
            let Value::Text(name) = &row[0] else {
                panic!("{row:?}")
            };
            all.push(name.replacen("chv_", &format!("chv_{id}_"), 1));
        }
    }
    all.sort();
    all
}

/// A statement of the test on the site `a`.
fn site(host: &Host, text: &str) -> Rows {
    tenants_sqlite::query(&host.sites["a"], text, &[]).unwrap()
}

/// The users of the site `a`, and their passwords' hashes.
fn users(host: &Host) -> Rows {
    site(
        host,
        "SELECT username, password_hash FROM chv_users ORDER BY 1",
    )
}

fn state(host: &Host) -> Value {
    host.one("SELECT max(state) FROM site_databases")
}

/// Nothing is left half-done.
fn assert_at_rest(host: &Host) {
    let rows = host.sql("SELECT * FROM site_databases WHERE state IN (1, 2)", &[]);
    assert_eq!(rows, Rows::new());
    assert_eq!(host.one("SELECT count(*) FROM kept_sites"), 0.into());
    let text = "SELECT count(*) FROM tenants WHERE site_state IS NOT NULL";
    assert_eq!(host.one(text), 0.into());
}

#[test]
fn a_sites_life_has_the_same_answers_as_with_tables_in_the_registry() {
    let mut with_tables = Host::new();
    let mut host = apart();
    let generated = || patch("/tenants/a/user-password-reset", r#"{"username":"Admin"}"#);
    for (status, ask) in [
        (404, install("a")),
        (201, new_tenant("a")),
        (404, reset("a")),
        (200, install("a").tried()),
        (201, install("A")),
        (409, install("a")),
        (409, install("a").tried()),
        (200, get("/tenants/a")),
        (200, get("/tenants")),
        (200, reset("a")),
        (200, reset("A").tried()),
        (
            404,
            patch("/tenants/a/user-password-reset", r#"{"username":"nobody"}"#),
        ),
        (200, generated()),
        (200, generated().idempotency_key("k-1")),
        (200, generated().idempotency_key("k-1")),
        (200, put("/cells/eu", "{}")),
        (409, patch("/tenants/a", r#"{"cell_id":"eu"}"#)),
        (204, patch("/tenants/a", r#"{"is_enabled":false}"#)),
        // The tables stay, and the next tenant gets them.
        (204, delete("/tenants/a")),
        (201, new_tenant("a")),
        (409, install("a")),
        (200, reset("a")),
        (200, delete_with_tables("a").tried()),
        (204, delete_with_tables("a")),
        (404, delete_with_tables("a")),
        (201, new_tenant("a")),
        (200, get("/tenants/a")),
        (404, reset("a")),
        (201, install("a").idempotency_key("k-2")),
        (201, install("a").idempotency_key("k-2")),
        (204, delete_with_tables("a").idempotency_key("k-3")),
        (204, delete_with_tables("a").idempotency_key("k-3")),
        (201, new_tenant("b")),
        // Nothing is there to drop.
        (204, delete_with_tables("b")),
    ] {
        let got = expect(&mut host, status.max(got_status(&ask)), &ask);
        let expected = send(&mut with_tables, &ask);
        assert_eq!(got.status, expected.status, "{ask:?}");
        if !ask.body.ends_with(br#""username":"Admin"}"#) {
            assert_eq!(got.body, expected.body, "{ask:?}");
        }
        assert_eq!(got.response.headers, expected.response.headers, "{ask:?}");
        assert_eq!(got.log.cause, expected.log.cause);
        assert_eq!(tables(&host), with_tables.own_tables(), "{ask:?}");
        assert!(host.own_tables().is_empty(), "none is in the registry");
        assert_at_rest(&host);
    }
    let log = "SELECT key_id, action, subject, request_id, detail FROM audit_log ORDER BY id";
    assert_eq!(host.sql(log, &[]), with_tables.sql(log, &[]));
}

/// A cell that is new is a 201.
fn got_status(ask: &Ask) -> u16 {
    if ask.method == "PUT" { 201 } else { 0 }
}

#[test]
fn statistics_are_counted_in_the_site_and_stored_in_the_registry() {
    let mut host = apart();
    for id in ["a", "b", "c"] {
        expect(&mut host, 201, &new_tenant(id));
        expect(&mut host, 201, &install(id));
    }
    site(&host, "INSERT INTO chv_tags (name) VALUES ('x'), ('y')");
    let b = &host.sites["b"];
    tenants_sqlite::query(b, "DROP TABLE chv_tags", &[]).unwrap();
    let report = count(&mut host, None);
    assert_eq!((report.counted, report.gone), (2, 0));
    assert_eq!((report.failed.len(), report.moves_failed), (1, 0));
    assert_eq!(report.failed[0].tenant, "b");
    let tags = "SELECT stats ->> 'tags' FROM tenants ORDER BY id";
    assert_eq!(
        host.sql(tags, &[]),
        [[Value::Integer(2)], [Value::Null], [Value::Integer(0)]]
    );
    // A count that is older than the stored one changes nothing, though it comes later.
    site(&host, "INSERT INTO chv_tags (name) VALUES ('z')");
    let newer = host.one("SELECT last_job_at FROM tenants WHERE id = 'a'");
    assert_eq!(count(&mut host, Some("a")).counted, 1);
    assert_eq!(host.sql(tags, &[])[0], [Value::Integer(2)]);
    assert_eq!(
        host.one("SELECT last_job_at FROM tenants WHERE id = 'a'"),
        newer
    );
    let none = Which::One(TenantId::parse("x").unwrap());
    let now = Timestamp::from_unix(NOW).unwrap();
    let task = Refresh::begin(host.api.config().unwrap(), &now, none, 1);
    assert!(host.step(task).is_err());
}

/// The operations, each with the requests that come before it.
fn operations() -> Vec<(&'static str, u16, Ask, Vec<Ask>)> {
    let before = || vec![new_tenant("a")];
    let installed = || vec![new_tenant("a"), install("a")];
    let generated = patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#);
    vec![
        ("install", 201, install("a"), before()),
        ("reset", 200, reset("a"), installed()),
        ("reset of a generated one", 200, generated, installed()),
        ("delete", 204, delete_with_tables("a"), installed()),
    ]
}

/// A host before an operation.
fn ready(before: &[Ask]) -> Host {
    let mut host = apart();
    for ask in before {
        expect(&mut host, 201, ask);
    }
    host
}

/// Sends a request up to the batch of this number, which runs if `after`. Then the service dies. Returns whether there is such a batch.
fn cut(host: &mut Host, ask: &Ask, at: usize, after: bool) -> bool {
    let mut exchange = host.first(ask);
    for _ in 0..at {
        let rows = host.run(exchange.batch());
        exchange = match host.resumed(exchange, rows) {
            Step::Run(next) => next,
            Step::Done(_) => return false,
        };
    }
    if after {
        host.run(exchange.batch()).unwrap();
    }
    true
}

/// Every cut of every operation, and whether the batch that was cut was committed.
fn every_cut(mut check: impl FnMut(&str, u16, &Ask, Host)) -> usize {
    let mut cuts = 0;
    for (name, status, ask, before) in operations() {
        for keyed in [false, true] {
            let ask = if keyed {
                ask.clone().idempotency_key("k-1")
            } else {
                ask.clone()
            };
            'cuts: for at in 0.. {
                for after in [false, true] {
                    let mut host = ready(&before);
                    if !cut(&mut host, &ask, at, after) {
                        break 'cuts;
                    }
                    cuts += 1;
                    check(
                        &format!("{name}, {at}, {after}, {keyed}"),
                        status,
                        &ask,
                        host,
                    );
                }
            }
        }
    }
    cuts
}

#[test]
fn the_same_request_again_completes_what_was_cut_off() {
    let cuts = every_cut(|name, status, ask, mut host| {
        let got = send(&mut host, ask);
        // The cut may have come after the last write: then the answer is that of a repeated request.
        let repeated = if ask.idempotency_key.is_some() {
            status
        } else {
            match (ask.method.as_str(), status) {
                ("POST", _) => 409,
                ("DELETE", _) => 404,
                (_, status) => status,
            }
        };
        assert!([status, repeated].contains(&got.status), "{name}: {got:?}");
        let action = match ask.method.as_str() {
            "POST" => "tenant.install",
            "PATCH" => "tenant.user_password_reset",
            _ => "tenant.delete",
        };
        let text = "SELECT count(*) FROM audit_log WHERE action = ?1";
        let entries = host.sql(text, &[action.into()])[0][0].clone();
        // A password may be reset twice.
        let is_second = ask.method == "PATCH" && ask.idempotency_key.is_none();
        assert!(
            entries == 1.into() || is_second && entries == 2.into(),
            "{name}: {entries:?}"
        );
        if ask.method == "DELETE" {
            // The cron trigger drops the rest.
            count(&mut host, None);
            assert_eq!(tables(&host), Vec::<String>::new(), "{name}");
            expect(&mut host, 201, &new_tenant("a"));
        } else {
            assert_eq!(users(&host).len(), 1, "{name}");
            assert_eq!(state(&host), 3.into(), "{name}");
        }
        if ask.method == "PATCH" {
            let password = got.json()["password"].as_str().unwrap().to_owned();
            assert!(
                is_password(&host, &password),
                "{name}: the last answer counts"
            );
        }
        assert_at_rest(&host);
    });
    // A read and three batches each, and a deletion's three, before and after each, with a key and without.
    assert_eq!(cuts, 2 * 2 * (3 * 4 + 3));
}

/// Whether the user of the site `a` has this password.
fn is_password(host: &Host, password: &str) -> bool {
    is_password_of(&users(host), password)
}

fn is_password_of(users: &Rows, password: &str) -> bool {
    let hash = &users[0][1];
    let Value::Text(hash) = hash else {
        panic!("{hash:?}")
    };
    let hash = PasswordHash::new(hash).unwrap();
    (Argon2::default().verify_password(password.as_bytes(), &hash)).is_ok()
}

/// Contract §19: the same request writes the password again that it may have written before.
#[test]
fn a_password_that_was_generated_for_a_request_that_was_cut_off_is_the_one_that_is_answered() {
    const OTHER: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let ask = patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#);
    let ask = ask.idempotency_key("k-1");
    for is_rotated in [false, true] {
        let mut written = 0;
        'cuts: for at in 0.. {
            for after in [false, true] {
                let mut host = ready(&[new_tenant("a"), install("a")]);
                let before = users(&host);
                if !cut(&mut host, &ask, at, after) {
                    break 'cuts;
                }
                let left = users(&host);
                if is_rotated {
                    host.configure(&[
                        ("CHEVERETO_ENCRYPTION_KEY", OTHER),
                        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", SECRETS[2].1),
                    ]);
                }
                let got = expect(&mut host, 200, &ask);
                let password = got.json()["password"].as_str().unwrap().to_owned();
                assert!(is_password(&host, &password));
                if left != before {
                    written += 1;
                    assert!(is_password_of(&left, &password), "{at}, {after}");
                }
                assert_eq!(expect(&mut host, 200, &ask).body, got.body);
                let begun = "SELECT count(*) FROM idempotency WHERE answer = ''";
                assert_eq!(host.one(begun), 0.into());
                assert_at_rest(&host);
            }
        }
        // After the site's part, and before and after the last batch.
        assert_eq!(written, 3);
    }
}

#[test]
fn the_cron_trigger_ends_what_was_cut_off() {
    every_cut(|name, _, ask, mut host| {
        // It leaves alone what may still be under way.
        let young = host.sql("SELECT tenant_id, number, state FROM site_databases", &[]);
        let now = Timestamp::from_unix(NOW + 60).unwrap();
        let config = host.api.config().unwrap();
        let task = Refresh::begin(config, &now, Which::Oldest(0), 1);
        assert!(matches!(host.step(task).unwrap(), TaskStep::Done(_)));
        let same = host.sql("SELECT tenant_id, number, state FROM site_databases", &[]);
        assert_eq!(young, same, "{name}");

        let was_made = state(&host) == 3.into() || ask.method == "DELETE";
        let report = count(&mut host, None);
        assert_eq!(report.failed, [], "{name}");
        assert_at_rest(&host);
        let is_there = host.one("SELECT count(*) FROM tenants") == 1.into();
        if is_there {
            let got = send(&mut host, ask);
            assert!(got.status < 300 || was_made, "{name}: {got:?}");
        } else {
            assert_eq!(tables(&host), Vec::<String>::new(), "{name}");
        }
        assert_at_rest(&host);
    });
}

#[test]
fn a_batch_whose_answer_is_lost_runs_again_and_the_caller_sees_nothing_of_it() {
    for (name, status, ask, before) in operations() {
        for at in 1..4 {
            for after in [false, true] {
                let mut host = ready(&before);
                let mut n = 0;
                let exchange = host.first(&ask);
                let got = host.finish_with(&ask, exchange, |host, batch| {
                    n += 1;
                    if n - 1 != at {
                        return host.run(batch);
                    }
                    if after {
                        host.run(batch).unwrap();
                    }
                    Err("Network connection lost".into())
                });
                if n <= at {
                    continue;
                }
                assert_eq!(got.status, status, "{name}, {at}, {after}: {got:?}");
                count(&mut host, None);
                assert_at_rest(&host);
                if ask.method == "PATCH" {
                    let password = got.json()["password"].as_str().unwrap().to_owned();
                    assert!(is_password(&host, &password), "{name}");
                }
            }
        }
    }
}

/// Runs a request up to its batch for the site, and returns that batch.
fn site_batch(host: &mut Host, ask: &Ask) -> (Exchange, Batch) {
    let mut exchange = host.first(ask);
    while exchange.batch().database().site().is_none() {
        let rows = host.run(exchange.batch());
        exchange = match host.resumed(exchange, rows) {
            Step::Run(next) => next,
            Step::Done(answer) => panic!("{ask:?}: {answer:?}"),
        };
    }
    let batch = exchange.batch().clone();
    (exchange, batch)
}

#[test]
fn a_late_batch_of_an_older_write_changes_nothing() {
    let mut host = ready(&[new_tenant("a")]);
    let (exchange, late_install) = site_batch(&mut host, &install("a"));
    assert_eq!(late_install.database().site(), Some("a"));
    host.finish_with(&install("a"), exchange, |host, batch| host.run(batch));
    let first = users(&host);
    site(&host, "UPDATE chv_users SET username = 'root'");
    // The very same batch once more: its work is done already.
    host.run(&late_install).unwrap();
    assert_eq!(users(&host).len(), 1);
    assert_eq!(users(&host)[0][1], first[0][1]);
    site(&host, "UPDATE chv_users SET username = 'admin'");

    let (exchange, late_reset) = site_batch(&mut host, &reset("a"));
    host.finish_with(&reset("a"), exchange, |host, batch| host.run(batch));
    expect(&mut host, 200, &reset("a"));
    let newest = users(&host);
    host.run(&late_reset).unwrap_err();
    host.run(&late_install).unwrap_err();
    assert_eq!(users(&host), newest);

    let (exchange, late_drop) = site_batch(&mut host, &delete_with_tables("a"));
    let ask = delete_with_tables("a");
    host.finish_with(&ask, exchange, |host, batch| host.run(batch));
    for late in [&late_install, &late_reset] {
        host.run(late).unwrap_err();
    }
    assert_eq!(
        tables(&host),
        Vec::<String>::new(),
        "nothing brings it back"
    );
    expect(&mut host, 201, &new_tenant("a"));
    expect(&mut host, 201, &install("a"));
    let users_now = users(&host);
    for late in [&late_install, &late_reset, &late_drop] {
        host.run(late).unwrap_err();
    }
    assert_eq!(users(&host), users_now);
}

#[test]
fn an_id_is_taken_until_its_site_is_dropped() {
    let mut host = ready(&[new_tenant("a"), install("a")]);
    assert!(cut(&mut host, &delete_with_tables("a"), 0, true));
    let got = expect(&mut host, 409, &new_tenant("A"));
    assert_eq!(got.json()["code"], "site_exists");
    expect(&mut host, 404, &get("/tenants/a"));
    count(&mut host, None);
    expect(&mut host, 201, &new_tenant("A"));
}

#[test]
fn the_site_of_a_deleted_tenant_is_not_for_everybody_with_its_id() {
    let mut host = ready(&[new_tenant("a"), install("a")]);
    expect(&mut host, 201, &put("/cells/eu", "{}"));
    expect(&mut host, 204, &delete("/tenants/a"));
    // On a cell, the new tenant would not find it.
    let got = expect(&mut host, 409, &new_tenant_on("A", "eu"));
    assert_eq!(got.json()["code"], "site_exists");
    host.configure(&[("TENANTS_REUSED_ID", "refuse")]);
    let got = expect(&mut host, 409, &new_tenant("A"));
    assert_eq!(got.json()["code"], "site_exists");
    host.configure(&[("TENANTS_REUSED_ID", "adopt")]);
    let tenant = expect(&mut host, 201, &new_tenant("A")).json();
    assert_eq!(tenant["site"]["adopted"], true);
    assert_eq!(users(&host).len(), 1);
}

#[test]
fn a_tenant_that_moves_to_a_cell_while_its_site_is_installed_stays_where_it_is() {
    let mut host = ready(&[new_tenant("a")]);
    expect(&mut host, 201, &put("/cells/eu", "{}"));
    let (slow, _) = site_batch(&mut host, &install("a"));
    expect(&mut host, 409, &patch("/tenants/a", r#"{"cell_id":"eu"}"#));
    let got = host.finish_with(&install("a"), slow, |host, batch| host.run(batch));
    assert_eq!(got.status, 201, "{got:?}");
}

#[test]
fn a_site_that_cannot_be_dropped_stays_marked_for_a_later_run() {
    let mut host = ready(&[new_tenant("a"), install("a")]);
    let ask = delete_with_tables("a");
    let exchange = host.first(&ask);
    let got = host.finish_with(&ask, exchange, |host, batch| match batch.database() {
        Database::Registry => host.run(batch),
        Database::Site(_) => Err("out of reach".into()),
    });
    assert_eq!(got.status, 204);
    assert!(got.cause().contains("out of reach"), "{got:?}");
    let now = Timestamp::from_unix(NOW + 60 * 60).unwrap();
    let mut task = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(1), 1);
    let report = loop {
        let rows = match task.batch().database() {
            Database::Registry => host.run(task.batch()),
            Database::Site(_) => Err("still out of reach".into()),
        };
        match host.resume(task, rows).unwrap() {
            TaskStep::Run(next) => task = next,
            TaskStep::Done(report) => break report,
        }
    };
    assert_eq!((report.failed.len(), report.moves_failed), (1, 1));
    assert_eq!(report.failed[0].reason, "still out of reach");
    assert_eq!(state(&host), 1.into());
    host.sql("UPDATE site_databases SET number = 1", &[]);
    // The site has seen a newer number, so this one is refused; the run after it has a newer one again.
    assert_eq!(count(&mut host, None).failed.len(), 0);
    assert_eq!(state(&host), 0.into());
    assert_at_rest(&host);
}

#[test]
fn a_site_that_is_being_installed_shows_it() {
    let mut host = ready(&[new_tenant("a")]);
    assert!(cut(&mut host, &install("a"), 1, true));
    let tenant = expect(&mut host, 200, &get("/tenants/a")).json();
    assert_eq!(tenant["site"]["state"], "installing");
    expect(&mut host, 201, &install("a"));
    let tenant = expect(&mut host, 200, &get("/tenants/a")).json();
    assert_eq!(tenant["site"]["state"], "installed");
}

#[test]
fn only_the_first_transaction_judges_the_key() {
    for (name, status, ask, before) in operations() {
        for at in [1, 2, 3] {
            let mut host = ready(&before);
            let mut n = 0;
            let exchange = host.first(&ask);
            let got = host.finish_with(&ask, exchange, |host, batch| {
                if n == at {
                    let text = "UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00'";
                    host.sql(text, &[]);
                }
                n += 1;
                host.run(batch)
            });
            // A deletion has no read before it. The others are judged by the registry's first transaction once more.
            let is_judged_later = at == 1 && ask.method != "DELETE";
            let status = if is_judged_later { 401 } else { status };
            assert_eq!(got.status, status, "{name}, {at}: {got:?}");
            assert_at_rest(&host);
        }
    }
}

#[test]
fn of_two_writes_of_a_site_at_once_one_is_told_to_try_again() {
    let mut host = ready(&[new_tenant("a")]);
    let other = post(
        "/tenants/a/install",
        r#"{"username":"other","email":"o@example.com","password":"hidden other"}"#,
    );
    let (slow, _) = site_batch(&mut host, &install("a"));
    let (fast, _) = site_batch(&mut host, &other);
    let got = host.finish_with(&install("a"), slow, |host, batch| host.run(batch));
    assert_eq!(got.status, 503, "{got:?}");
    assert_eq!(got.header("retry-after"), Some("1"));
    let got = host.finish_with(&other, fast, |host, batch| host.run(batch));
    assert_eq!(got.status, 201, "{got:?}");
    assert_eq!(users(&host)[0][0], "other".into());
    expect(&mut host, 409, &install("a"));

    // The same request twice, with a password that is generated: one password is answered, and it is the one in force.
    let ask =
        patch("/tenants/a/user-password-reset", r#"{"username":"other"}"#).idempotency_key("k-1");
    let (slow, _) = site_batch(&mut host, &ask);
    let got = expect(&mut host, 200, &ask);
    let late = host.finish_with(&ask, slow, |host, batch| host.run(batch));
    assert_eq!(late.status, 503);
    let again = expect(&mut host, 200, &ask);
    assert_eq!(got.body, again.body);
    assert!(is_password(&host, got.json()["password"].as_str().unwrap()));
    assert_at_rest(&host);
}

#[test]
fn a_tenant_that_leaves_while_its_site_is_installed_leaves_nothing() {
    let mut host = ready(&[new_tenant("a")]);
    let (slow, _) = site_batch(&mut host, &install("a"));
    expect(&mut host, 204, &delete("/tenants/a"));
    let got = host.finish_with(&install("a"), slow, |host, batch| host.run(batch));
    assert_eq!(got.status, 404, "{got:?}");
    count(&mut host, None);
    assert_eq!(tables(&host), Vec::<String>::new());
    assert_at_rest(&host);
}

#[test]
fn an_installation_never_belongs_to_a_later_tenant_with_the_id() {
    for (gone, at) in [
        (delete("/tenants/a"), 2),
        (delete("/tenants/a"), 3),
        (delete_with_tables("a"), 2),
        (delete_with_tables("a"), 3),
    ] {
        let mut host = ready(&[new_tenant("a")]);
        let ask = install("a").idempotency_key("k-1");
        let mut late = host.first(&ask);
        for _ in 0..at {
            let rows = host.run(late.batch());
            late = match host.resumed(late, rows) {
                Step::Run(next) => next,
                Step::Done(answer) => panic!("{answer:?}"),
            };
        }
        expect(&mut host, 204, &gone);
        if gone.body.is_empty() {
            // The database is still to be dropped.
            let got = expect(&mut host, 409, &new_tenant("a"));
            assert_eq!(got.json()["code"], "site_exists");
            count(&mut host, None);
        }
        assert_eq!(tables(&host), Vec::<String>::new());
        expect(&mut host, 201, &new_tenant("a"));
        let got = host.finish_with(&ask, late, |host, batch| host.run(batch));
        assert_eq!(got.status, 503, "{got:?}");
        let tenant = expect(&mut host, 200, &get("/tenants/a")).json();
        assert_eq!(tenant["site"]["state"], "none");
        expect(&mut host, 404, &reset("a"));
        assert_at_rest(&host);
        // Its remembered answer is none to the later tenant's request.
        expect(&mut host, 201, &install("a"));
        assert_eq!(users(&host).len(), 1);
    }
}

#[test]
fn a_registry_that_was_restored_gives_no_number_again() {
    let mut host = ready(&[new_tenant("a"), install("a")]);
    let backup = host.sql("SELECT tenant_id, number, state FROM site_databases", &[]);
    for _ in 0..3 {
        expect(&mut host, 200, &reset("a"));
    }
    host.sql("DELETE FROM site_databases", &[]);
    let insert = "INSERT INTO site_databases (tenant_id, number, state) VALUES (?1, ?2, ?3)";
    host.sql(insert, &backup[0]);
    host.now += 10;
    expect(&mut host, 200, &reset("a"));
    // Not even if it does not know the site any more.
    host.sql("DELETE FROM site_databases", &[]);
    host.now += 10;
    expect(&mut host, 201, &install("a"));
    assert_eq!(users(&host).len(), 1);
}

#[test]
fn an_installation_leaves_nothing_of_a_site_that_the_registry_knows_no_more() {
    let mut host = ready(&[new_tenant("a"), install("a")]);
    fill(&host.sites["a"], "chv_", 5);
    host.sql("DELETE FROM site_databases", &[]);
    host.now += 10;
    let (exchange, batch) = site_batch(&mut host, &install("a"));
    let got = host.finish_with(&install("a"), exchange, |host, batch| host.run(batch));
    assert_eq!(got.status, 201, "{got:?}");
    for (table, _) in TABLES {
        let rows = site(&host, &format!("SELECT count(*) FROM chv_{table}"));
        assert_eq!(rows[0][0], i64::from(table == "users").into(), "{table}");
    }
    // The same batch once more leaves what came after it.
    site(&host, "INSERT INTO chv_tags (name) VALUES ('x')");
    host.run(&batch).unwrap();
    assert_eq!(
        site(&host, "SELECT name FROM chv_tags"),
        [[Value::from("x")]]
    );
}

/// An operator's tasks reach the registry alone.
#[test]
fn an_operator_sees_what_is_under_way_and_marks_the_sites_of_deleted_tenants() {
    let mut host = ready(&[new_tenant("a"), install("a"), new_tenant("b")]);
    assert!(cut(&mut host, &install("b"), 1, true));
    let status = Status::begin(host.api.config().unwrap(), host.now).unwrap();
    let registry = host.complete(status).registry.unwrap();
    assert_eq!(registry.sites_under_way, Some(1));
    let list = |host: &mut Host| {
        let list = OrphanList::begin(host.api.config().unwrap());
        let found = host.complete(list);
        assert!(found.iter().all(|orphan| orphan.own_database));
        let ids = found.iter().map(|orphan| orphan.tenant.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list(&mut host), Vec::<String>::new());
    expect(&mut host, 204, &delete("/tenants/a"));
    assert_eq!(list(&mut host), ["a"]);

    let now = Timestamp::from_unix(host.now).unwrap();
    let drop = |host: &mut Host| {
        let run = Run::new("run-1");
        let config = host.api.config().unwrap();
        let task = OrphanDrop::begin(config, orphans::Which::All, run, &now, 8);
        host.complete(task)
    };
    assert_eq!(drop(&mut host).dropped.len(), 1);
    assert_eq!(list(&mut host), Vec::<String>::new());
    assert_eq!(users(&host).len(), 1, "the cron trigger drops it");
    let entry = "SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 1";
    assert_eq!(
        host.sql(entry, &[]),
        [["tenant.drop_tables".into(), Value::from("a")]]
    );
    count(&mut host, None);
    assert_eq!(tables(&host), Vec::<String>::new());
    assert_at_rest(&host);
    assert_eq!(drop(&mut host).dropped, []);
}

/// Somebody creates a tenant with the id of an orphan, and so takes its site over, after the task has found it.
#[test]
fn the_site_of_a_tenant_that_came_back_is_not_dropped() {
    let mut host = ready(&[new_tenant("a"), install("a")]);
    expect(&mut host, 204, &delete("/tenants/a"));
    let now = Timestamp::from_unix(host.now).unwrap();
    let config = host.api.config().unwrap();
    let run = Run::new("run-1");
    let task = OrphanDrop::begin(config, orphans::Which::All, run, &now, 8);
    let task = host.step_on(task);
    expect(&mut host, 201, &new_tenant("a"));
    let rows = host.run(task.batch());
    let TaskStep::Done(report) = host.resume(task, rows).unwrap() else {
        panic!("it has another batch")
    };
    assert_eq!((report.dropped.len(), report.failed.len()), (0, 1));
    assert_eq!(state(&host), 3.into());
}
