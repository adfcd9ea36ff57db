//! A client that repeats a request with its `Idempotency-Key` until it has an answer, through connections that break at random: the one between
//! the service and its database, before and after the commit, and the one between the client and the service.

use tenants_core::sql::{Row, Rows, Value};

use crate::ask::{Ask, delete, delete_with_tables, get, new_plan, patch, post, put};
use crate::host::{Got, Host};
use crate::site_databases;

/// A repeatable sequence of numbers: xorshift64 (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

const ALIAS: &str = r#"{"kind":"alias"}"#;

/// The writes of one tenant's life and of its plan's, each with the status of its success and the number of its audit entries. A hash takes tens of
/// milliseconds, so only some tenants have a site.
fn life(n: usize, has_site: bool) -> Vec<(u16, i64, Ask)> {
    let tenant = format!("/tenants/T{n}");
    let plan = format!("/tenants-plans/p{n}");
    let new = format!(
        r#"{{"id":"t{n}","hostname":"t{n}.example.com","is_enabled":true,"plan_id":"P{n}","env":{{"A":"hidden"}}}}"#
    );
    let put_tenant = put(
        &tenant,
        format!(
            r#"{{"hostname":"t{n}.example.com","is_enabled":true,"plan_id":"p{n}","env":{{"C":"hidden"}}}}"#
        ),
    );
    let put_plan = put(&plan, r#"{"env":{"P":"hidden"}}"#);
    // A PUT creates every other tenant and its plan.
    let created = if n.is_multiple_of(2) {
        [new_plan(&format!("p{n}")), post("/tenants", new)]
    } else {
        [put_plan.clone(), put_tenant.clone()]
    };
    let mut life = Vec::from(created.map(|ask| (201, 1, ask)));
    life.extend([
        (
            204,
            1,
            patch(&tenant, r#"{"is_enabled":false,"env":{"B":"hidden"}}"#),
        ),
        (
            204,
            1,
            patch(&plan, r#"{"labels":{"tier":"gold"},"limits":{"L":"1"}}"#),
        ),
        (204, 1, patch(&tenant, r#"{"labels":{"a":"b"}}"#)),
        (
            201,
            1,
            put(&format!("{tenant}/hostnames/w{n}.example"), ALIAS),
        ),
        (
            200,
            0,
            put(&format!("{tenant}/hostnames/w{n}.example"), ALIAS),
        ),
        (
            201,
            1,
            put(&format!("{tenant}/hostnames/v{n}.example"), ALIAS),
        ),
        (204, 1, delete(&format!("{tenant}/hostnames/v{n}.example"))),
        (200, 1, put_tenant.clone()),
        (200, 1, put_plan.clone()),
        // They are so already.
        (200, 0, put_tenant),
        (200, 0, put_plan),
    ]);
    if has_site {
        let admin = r#"{"username":"admin","email":"a@b.example","password":"hidden one"}"#;
        let reset = format!("{tenant}/user-password-reset");
        life.push((201, 1, post(&format!("{tenant}/install"), admin)));
        life.push((200, 1, patch(&reset, r#"{"username":"ADMIN"}"#)));
        life.push((
            200,
            1,
            patch(&reset, r#"{"username":"Admin","password":"hidden two"}"#),
        ));
    }
    let hold = format!("{tenant}/holds/abuse");
    life.extend([
        (204, 1, put(&hold, r#"{"reason":"r"}"#)),
        (204, 0, put(&hold, r#"{"reason":"r"}"#)),
        (204, 1, delete(&hold)),
        (204, 1, delete(&tenant)),
        (200, 1, post(&format!("{tenant}/restore"), "")),
    ]);
    // A tenant ends in one of four ways.
    let erase = || (200, 1, post(&format!("{tenant}/erase"), ""));
    match (has_site, n % 2) {
        (_, 1) => life.push(erase()),
        (true, _) => life.push((204, 1, delete_with_tables(&format!("T{n}")))),
        (false, _) => life.extend([(204, 1, delete(&tenant)), erase()]),
    }
    life.push((204, 1, delete(&plan)));
    life
}

/// Sends a request once. Each of its batches breaks off before its commit, after it, or not at all.
fn send(host: &mut Host, ask: &Ask, dice: &mut Dice, cuts: &mut usize) -> Got {
    let exchange = host.first(ask);
    host.finish_with(ask, exchange, |host, batch| {
        let lost = |_| Err("Network connection lost".to_owned());
        match dice.below(4) {
            0 => {
                *cuts += 1;
                lost(())
            }
            1 => {
                *cuts += 1;
                let done: Result<Vec<Rows>, String> = host.run(batch);
                done.and_then(|_| lost(()))
            }
            _ => host.run(batch),
        }
    })
}

/// Everything that a caller and an operator can see of the registry, apart from what is random. The cron trigger has run before.
fn state(host: &mut Host) -> (String, String, Vec<String>, Vec<Row>) {
    site_databases::end_what_was_cut_off(host);
    let lists = ["/tenants", "/tenants-plans"].map(|path| host.expect(200, &get(path)).body);
    let [tenants, plans] = lists.map(|body| String::from_utf8_lossy(body.as_bytes()).into_owned());
    let log = host.sql(
        "SELECT key_id, action, subject, request_id, detail FROM audit_log ORDER BY id",
        &[],
    );
    let mut tables = host.own_tables();
    tables.extend(site_databases::tables(host));
    (tenants, plans, tables, log)
}

#[test]
fn a_thousand_writes_through_broken_connections_happen_once_each_and_are_answered_as_if_nothing_had_broken()
 {
    break_off(Host::new(), 10);
}

/// The answers are those of tables in the registry, too.
#[test]
fn so_do_those_of_sites_that_have_a_database_each() {
    break_off(site_databases::apart(), 10);
}

/// Every so many tenants have a site.
fn break_off(mut broken: Host, sites: usize) {
    let mut whole = Host::new();
    let mut dice = Dice(0x1d_e3_90_7e_27_c5);
    let (mut writes, mut cuts, mut lost) = (0, 0, 0);
    for n in 0..92 {
        for (status, written, ask) in life(n, n % sites == 0) {
            writes += 1;
            let ask = ask
                .request_id(format!("r-{writes}"))
                .idempotency_key(format!("k-{writes}"));
            let exchange = whole.first(&ask);
            let expected = whole.finish_with(&ask, exchange, |host, batch| host.run(batch));
            assert_eq!(expected.status, status, "{ask:?}: {expected:?}");
            let entries = broken.one("SELECT count(*) FROM audit_log");
            // The answer of the first try that had one. The client hears of none, or of a later one.
            let mut first: Option<Got> = None;
            let got = loop {
                let got = send(&mut broken, &ask, &mut dice, &mut cuts);
                if got.status >= 500 {
                    continue;
                }
                if let Some(first) = &first {
                    assert_eq!((first.status, &first.body), (got.status, &got.body));
                    assert_eq!(got.header("idempotency-replayed"), Some("true"));
                }
                if dice.below(3) > 0 {
                    break got;
                }
                lost += 1;
                first = Some(got);
            };
            assert_eq!(got.status, status, "{ask:?}: {got:?}");
            // Both hosts generate passwords, each its own.
            if !ask.body.ends_with(br#""username":"ADMIN"}"#) {
                assert_eq!(got.body, expected.body, "{ask:?}");
            }
            for header in ["location", "etag"] {
                assert_eq!(got.header(header), expected.header(header), "{ask:?}");
            }
            let Value::Integer(before) = entries else {
                panic!("{entries:?}")
            };
            let now = broken.one("SELECT count(*) FROM audit_log");
            assert_eq!(now, Value::Integer(before + written), "{ask:?}");
        }
        if n % 10 == 0 {
            assert_eq!(state(&mut broken), state(&mut whole));
        }
    }
    assert_eq!(state(&mut broken), state(&mut whole));
    assert!(writes >= 1000, "{writes} writes");
    assert!(cuts > 500 && lost > 200, "{cuts} cuts, {lost} answers lost");
}
