//! What the statements read: rows walked and steps taken, among many rows.

use rusqlite::types::Value as SqliteValue;
use rusqlite::{Connection, StatementStatus, params_from_iter};
use tenants_core::sql::Value;
use tenants_core::task::stats::{Refresh, Which};
use tenants_core::value::clock::Timestamp;

use crate::ask::{Ask, get};
use crate::cells_statements::requests_of_cells;
use crate::filled::{host_with_many_rows, host_with_tables};
use crate::host::{Host, WaitsForBatch as _};
use crate::hostnames::requests_of_hostnames;
use crate::put_statements::requests_of_puts;
use crate::query_plans::creates_or_drops;
use crate::statements::{developers_poll, poll, requests, statements_of};

/// Runs a statement and returns one of SQLite's counters for it.
pub(crate) fn counted(
    db: &Connection,
    counter: StatementStatus,
    text: &str,
    values: &[Value],
) -> i32 {
    let mut prepared = db.prepare(text).unwrap();
    let values = values.iter().map(|value| match value {
        Value::Null => SqliteValue::Null,
        Value::Integer(n) => SqliteValue::Integer(*n),
        Value::Text(text) => SqliteValue::Text(text.clone()),
    });
    let mut rows = prepared.query(params_from_iter(values)).unwrap();
    while rows.next().unwrap().is_some() {}
    drop(rows);
    prepared.get_status(counter)
}

/// How many rows a statement visits in walks through a whole table.
fn walked_rows(db: &Connection, text: &str, values: &[Value]) -> i32 {
    counted(db, StatementStatus::FullscanStep, text, values)
}

/// Triggers and foreign keys are counted with the statement that fires them.
#[test]
fn no_request_visits_rows_that_it_does_not_return() {
    let mut host = host_with_many_rows();
    let db = &host.db;
    assert!(walked_rows(db, "SELECT * FROM tenants WHERE last_job_at = 'x'", &[]) > 100);
    let entries = |host: &Host| host.one("SELECT count(*) FROM audit_log");
    let mut writes = 0;
    let all = requests()
        .into_iter()
        .chain(requests_of_puts())
        .chain(requests_of_hostnames())
        .chain(requests_of_cells());
    for (name, ask, walks) in all {
        // The members of a bound text are no rows of a table.
        if walks
            .iter()
            .any(|walk| !walk.starts_with("SCAN json_each "))
        {
            continue;
        }
        let before = entries(&host);
        let statements = statements_of(&mut host, &ask);
        host.sql("SAVEPOINT here", &[]);
        for statement in statements {
            let rows = walked_rows(&host.db, statement.text(), statement.values());
            assert!(
                rows == 0 || creates_or_drops(statement.text()),
                "{name}: {}",
                statement.text()
            );
        }
        let wrote = entries(&host) != before;
        assert_eq!(
            wrote,
            ask.method != "GET"
                && !name.contains("as it is")
                // No tenant can have the id `_`.
                && !["/verify", "/lease", "/renew", "/tenants/_"]
                    .iter()
                    .any(|end| ask.target.ends_with(end)),
            "{name}"
        );
        writes += usize::from(wrote);
        host.sql("ROLLBACK TO here", &[]);
        host.sql("RELEASE here", &[]);
    }
    assert!(writes > 10, "{writes}");
}

/// SQLite takes several steps of its virtual machine for each row that it visits.
#[test]
fn a_poll_with_the_current_etag_visits_no_tenant() {
    const TENANTS: i32 = 200;
    let mut host = host_with_many_rows();
    for poll in [poll(), developers_poll()] {
        let steps = |host: &mut Host, ask: &Ask| {
            let statements = statements_of(host, ask);
            let count = |s: &tenants_core::sql::Statement| {
                counted(&host.db, StatementStatus::VmStep, s.text(), s.values())
            };
            statements.iter().map(count).sum::<i32>()
        };
        // Forgets the body of the poll before.
        host.configure(&[]);
        let all = steps(&mut host, &poll);
        assert!(all > TENANTS, "{all}");
        let etag = host.expect(200, &poll).header("etag").unwrap().to_owned();
        let known = poll.if_none_match(etag);
        host.expect(304, &known);
        let none = steps(&mut host, &known);
        assert!(none < TENANTS, "{none} steps for a 304");
    }
}

/// Each filter and each order reads as many rows as it answers, about, among 100,000 tenants: a walk would take 100,000 steps at least.
#[test]
fn filters_and_orders_find_their_rows_among_100_000_tenants() {
    const MOST_STEPS: i32 = 2_000;
    let mut host = host_with_tables();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10) \
         INSERT INTO tenants_plans (id, created_at, updated_at) SELECT 'plan' || n, '', '' FROM c",
        &[],
    );
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) \
         INSERT INTO tenants (id, hostname, is_enabled, plan_id, external_id, labels, created_at, updated_at) \
         SELECT 't' || n, 'h' || n || '.example.com', n % 2, 'plan' || (n % 10 + 1), 'e-' || n, \
         json_object('tier', 'x' || (n % 1000), 'rare', iif(n = 50000, 'yes', 'no')), \
         datetime(1700000000 + n, 'unixepoch'), datetime(1700000000 + 2 * n, 'unixepoch') FROM c",
        &[],
    );
    let time = |n: i64| {
        let time = Timestamp::from_unix(1_700_000_000 + n).unwrap();
        time.as_str().replace(' ', "%20")
    };
    for (query, shown) in [
        ("id=t7&id=T99999&id=none".into(), 2),
        ("external_id=e-50000".into(), 1),
        ("hostname=h50000.example.com".into(), 1),
        ("label=rare:yes".into(), 1),
        ("label=tier:x7&limit=10".into(), 10),
        ("label=tier:x7&limit=10&after=t5".into(), 10),
        ("q=t5000".into(), 11),
        ("q=H5000".into(), 11),
        ("plan_id=plan3&limit=10".into(), 10),
        ("plan_id=plan3&limit=10&after=t5".into(), 10),
        ("plan_id=&limit=10".into(), 3),
        ("is_enabled=false&limit=10".into(), 10),
        ("is_enabled=false&limit=10&after=t5".into(), 10),
        (format!("created_since={}&limit=10", time(99_995)), 9),
        (format!("updated_since={}&limit=10", time(199_990)), 9),
        (
            format!("updated_since={}&sort=updated_at&limit=10", time(1000)),
            10,
        ),
        ("sort=-updated_at&limit=10".into(), 10),
        ("sort=created_at&limit=10".into(), 10),
        (
            format!("sort=-created_at&limit=10&after={},t50000", time(50_000)),
            10,
        ),
        ("sort=hostname&limit=10&after=h5,t5".into(), 10),
        (
            "external_id=e-7&label=tier:x7&is_enabled=true&plan_id=plan8&q=t".into(),
            1,
        ),
        ("fields=id,hostname&limit=10".into(), 10),
    ] {
        let ask = get(&format!("/tenants?{query}"));
        let steps: i32 = statements_of(&mut host, &ask)
            .iter()
            .map(|statement| {
                let (text, values) = (statement.text(), statement.values());
                counted(&host.db, StatementStatus::VmStep, text, values)
            })
            .sum();
        assert!(steps < MOST_STEPS, "{query}: {steps} steps");
        let list = host.answered(200, &ask).json();
        assert_eq!(list.as_array().unwrap().len(), shown, "{query}: {list}");
    }
    for (query, total) in [
        ("count=true&limit=1", "100003"),
        ("count=true&limit=1&plan_id=plan3", "10000"),
        ("count=true&limit=1&label=tier:x7&is_enabled=true", "100"),
        ("count=true&limit=1&after=t99&q=t9", "11111"),
    ] {
        let got = host.answered(200, &get(&format!("/tenants?{query}")));
        assert_eq!(got.header("x-total-count"), Some(total), "{query}");
    }
}

/// The choice of whom to count reads the index of tenants that may have a site, and ends where the tenants begin that were counted lately.
/// With 20,000 tenants without a site it took 33 ms when it looked up a table for each of them, and takes 0.1 ms now (SQLite in memory,
/// release build).
#[test]
fn tenants_without_a_site_and_those_counted_lately_cost_the_choice_nothing() {
    let mut host = host_with_tables();
    host.configure(&[("TENANTS_STATS_MIN_AGE", "3600")]);
    let now = Timestamp::from_unix(host.now).unwrap();
    let steps = |host: &Host| {
        let config = host.api.config().unwrap();
        let choice = Refresh::begin(config, &now, Which::Oldest(24), 8);
        // The sweeps come before it.
        let statement = choice.batch().statements().last().unwrap();
        let (text, values) = (statement.text(), statement.values());
        host.sql("SAVEPOINT here", &[]);
        let steps = counted(&host.db, StatementStatus::VmStep, text, values);
        host.sql("ROLLBACK TO here", &[]);
        host.sql("RELEASE here", &[]);
        steps
    };
    let few = steps(&host);
    let fill = |has_site: i64, turn: &str| {
        host.sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) \
             INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, has_site, stats_turn_at) \
             SELECT ?1 || n, ?1 || n, 1, '', '', ?1, ?2 FROM c",
            &[has_site.into(), turn.into()],
        );
    };
    fill(0, "2020-01-01 00:00:00");
    fill(1, now.as_str());
    let many = steps(&host);
    assert!(
        many < 2 * few,
        "{few} steps, and {many} with 40,000 tenants more"
    );
}
