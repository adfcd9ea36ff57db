//! The isolation mode `table` beside sites that have a database each: after a rollback, in a deployment without the variable, or in an older isolate.
//! The registry's knowledge of those sites counts in either mode.

use tenants_core::Step;
use tenants_core::sql::Value;
use tenants_core::task::Run;
use tenants_core::task::moves::SiteMove;
use tenants_core::task::orphans::{self, OrphanDrop, OrphanList};
use tenants_core::task::stats::{Refresh, Report, Which};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;

use crate::ask::{Ask, delete, delete_with_tables, get, install, new_tenant, patch, put, reset};
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::site_databases::{apart, end_what_was_cut_off, tables as apart_tables};

const MODE: &str = "CHEVERETO_TENANTS_DB_ISOLATION_MODE";

fn a() -> TenantId {
    TenantId::parse("a").unwrap()
}

/// Sends a request, and runs all batches that it needs.
fn send(host: &mut Host, status: u16, ask: &Ask) -> Got {
    let exchange = host.first(ask);
    let got = host.finish_with(ask, exchange, |host, batch| host.run(batch));
    assert_eq!(got.status, status, "{ask:?}: {got:?}");
    got
}

/// A host whose sites have a database each, with an installed one, in the other mode by now.
fn rolled_back() -> Host {
    let mut host = apart();
    send(&mut host, 201, &new_tenant("a"));
    send(&mut host, 201, &install("a"));
    host.configure(&[(MODE, "table")]);
    host
}

fn order(host: &mut Host, to_database: bool) {
    let now = Timestamp::from_unix(host.now).unwrap();
    let (config, run) = (host.api.config().unwrap(), Run::new("cli-1"));
    let task = SiteMove::begin(config, &a(), to_database, &run, &now);
    host.complete(task);
}

fn state(host: &Host) -> Value {
    host.one("SELECT max(state) FROM site_databases")
}

fn count(host: &mut Host, which: Which) -> Report {
    host.now += 3600;
    let now = Timestamp::from_unix(host.now).unwrap();
    let task = Refresh::begin(host.api.config().unwrap(), &now, which, 2);
    host.complete(task)
}

#[test]
fn a_password_is_written_only_to_the_place_that_is_in_force() {
    // In its database, and on the way to tables.
    for is_moved in [false, true] {
        let mut host = rolled_back();
        if is_moved {
            order(&mut host, false);
        }
        for ask in [
            reset("a"),
            reset("a").tried(),
            reset("a").idempotency_key("k-1"),
            patch("/tenants/a/user-password-reset", r#"{"username":"nobody"}"#),
        ] {
            let got = send(&mut host, 503, &ask);
            assert!(got.header("retry-after").is_some());
        }
        assert_eq!(host.one("SELECT count(*) FROM idempotency"), 0.into());
    }
    // On the way to a database, of which the request may learn only when it writes.
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    let hash = "SELECT password_hash FROM chv_a_users";
    let before = host.one(hash);
    let early = reset("a").idempotency_key("k-1");
    let exchange = host.first(&early);
    let rows = host.run(exchange.batch());
    let Step::Run(exchange) = host.resumed(exchange, rows) else {
        panic!("it has no second batch")
    };
    order(&mut host, true);
    let got = host.finish_with(&early, exchange, |host, batch| host.run(batch));
    assert_eq!(got.status, 503, "{got:?}");
    send(&mut host, 503, &reset("a"));
    assert_eq!(host.one(hash), before);
    // The move is given up.
    order(&mut host, false);
    send(&mut host, 200, &early);
    assert_ne!(host.one(hash), before);
}

#[test]
fn a_site_in_a_database_is_installed() {
    let mut host = rolled_back();
    send(&mut host, 409, &install("a"));
    send(&mut host, 409, &install("a").tried());
    order(&mut host, false);
    send(&mut host, 409, &install("a"));
    assert_eq!(host.own_tables(), Vec::<String>::new());
    let tenant = send(&mut host, 200, &get("/tenants/a")).json();
    assert_eq!(tenant["site"]["state"], "installed");
}

#[test]
fn a_site_that_is_dropped_without_its_database_keeps_its_id_until_it_is() {
    for is_moved in [false, true] {
        let mut host = rolled_back();
        if is_moved {
            order(&mut host, false);
        }
        send(&mut host, 204, &delete_with_tables("a"));
        assert_eq!(state(&host), 1.into());
        let got = send(&mut host, 409, &new_tenant("a"));
        assert_eq!(got.json()["code"], "site_exists");
        assert!(!apart_tables(&host).is_empty());
        host.configure(&[(MODE, "database")]);
        host.now += 180;
        end_what_was_cut_off(&mut host);
        assert_eq!(apart_tables(&host), Vec::<String>::new());
        send(&mut host, 201, &new_tenant("a"));
        send(&mut host, 404, &reset("a"));
        send(&mut host, 201, &install("a"));
    }
}

/// A Worker of an earlier release has a statement less.
#[test]
fn a_site_that_an_older_worker_drops_keeps_its_id_as_well() {
    let mut host = rolled_back();
    for text in [
        "INSERT INTO audit_log (action, subject, request_id, created_at, detail) VALUES ('tenant.delete', 'a', 'r', '2026-08-18 23:16:57', 'tables_dropped')",
        "DELETE FROM tenants WHERE id = 'a'",
    ] {
        host.sql(text, &[]);
    }
    assert_eq!(state(&host), 1.into());
    send(&mut host, 409, &new_tenant("a"));
    host.configure(&[(MODE, "database")]);
    host.now += 180;
    end_what_was_cut_off(&mut host);
    assert_eq!(apart_tables(&host), Vec::<String>::new());
    send(&mut host, 201, &new_tenant("a"));
}

#[test]
fn a_tenant_takes_a_site_in_a_database_over_knowingly_or_not_at_all() {
    let mut host = rolled_back();
    send(&mut host, 204, &delete("/tenants/a"));
    let detail = "SELECT detail FROM audit_log ORDER BY id DESC LIMIT 1";
    assert_eq!(host.one(detail), "tables_kept".into());
    host.configure(&[("TENANTS_REUSED_ID", "refuse")]);
    let got = send(&mut host, 409, &new_tenant("a"));
    assert_eq!(got.json()["code"], "site_exists");
    host.configure(&[("TENANTS_REUSED_ID", "adopt")]);
    let tenant = send(&mut host, 201, &new_tenant("a")).json();
    assert_eq!(tenant["site"]["adopted"], true);
    // A cell would not find it.
    send(&mut host, 201, &put("/cells/eu", "{}"));
    send(&mut host, 409, &patch("/tenants/a", r#"{"cell_id":"eu"}"#));
}

#[test]
fn an_orphan_in_a_database_is_marked_and_dropped_later() {
    let mut host = rolled_back();
    send(&mut host, 204, &delete("/tenants/a"));
    let found = host.complete(OrphanList::begin(host.api.config().unwrap()));
    assert_eq!(found.len(), 1);
    let now = Timestamp::from_unix(host.now).unwrap();
    let config = host.api.config().unwrap();
    let drop = OrphanDrop::begin(config, orphans::Which::All, Run::new("cli-1"), &now, 8);
    assert_eq!(host.complete(drop).dropped, found);
    assert_eq!(state(&host), 1.into());
    send(&mut host, 409, &new_tenant("a"));
}

#[test]
fn a_site_that_cannot_be_counted_keeps_its_turn() {
    for is_moved in [false, true] {
        let mut host = rolled_back();
        if is_moved {
            order(&mut host, false);
        }
        for which in [Which::Oldest(9), Which::All] {
            assert_eq!(count(&mut host, which), Report::default());
            assert_eq!(host.one("SELECT has_site FROM tenants"), 1.into());
        }
        let now = Timestamp::from_unix(host.now).unwrap();
        let config = host.api.config().unwrap();
        let one = Refresh::begin(config, &now, Which::One(a()), 1);
        assert!(host.step(one).unwrap_err().is_unavailable());
        host.configure(&[(MODE, "database")]);
        if is_moved {
            order(&mut host, true);
        }
        assert_eq!(count(&mut host, Which::Oldest(9)).counted, 1);
    }
}

/// While a new deployment takes over, both modes run at once. Of two installations one succeeds.
#[test]
fn two_installations_in_two_modes_make_one_site() {
    for at in 1..4 {
        let mut host = apart();
        send(&mut host, 201, &new_tenant("a"));
        let slow = install("a").idempotency_key("k-1");
        let mut exchange = host.first(&slow);
        for _ in 0..at {
            let rows = host.run(exchange.batch());
            exchange = match host.resumed(exchange, rows) {
                Step::Run(next) => next,
                Step::Done(answer) => panic!("{answer:?}"),
            };
        }
        host.configure(&[(MODE, "table")]);
        send(&mut host, 201, &install("a"));
        host.configure(&[(MODE, "database")]);
        let got = host.finish_with(&slow, exchange, |host, batch| host.run(batch));
        assert!([409, 503].contains(&got.status), "{at}: {got:?}");
        send(&mut host, 409, &install("a"));
        assert!(host.own_tables().contains(&"chv_a_users".to_owned()));
        host.now += 180;
        end_what_was_cut_off(&mut host);
        assert_eq!(apart_tables(&host), Vec::<String>::new(), "{at}");
        send(&mut host, 200, &reset("a"));
    }
}
