//! `GET /config/traefik` from memory: the last body is the response while the registry's state is the same, and never longer. Also the
//! chunks of tenants that SQLite joins.

use rusqlite::StatementStatus;

use crate::ask::{Ask, get, new_tenant, patch};
use crate::costs::counted;
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::statements::statements_of;

const ADDRESS: &str = "198.51.100.7";

fn host() -> Host {
    Host::with(&[("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", ADDRESS)])
}

fn poll() -> Ask {
    get("/config/traefik").no_signature().from(ADDRESS)
}

/// Changes a hostname as no write of the API does: without an audit entry.
fn rename_by_hand(host: &Host, hostname: &str) {
    let text = "UPDATE tenants SET hostname = ?1 WHERE id = 'a'";
    host.sql(text, &[hostname.into()]);
}

/// Inserts `count` enabled tenants by hand.
fn fill(host: &Host, count: i64) {
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
         INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) \
         SELECT 't' || n, 'h' || n || '.example.com', 1, '', '' FROM c",
        &[count.into()],
    );
}

/// The steps of SQLite's machine that a poll takes.
fn steps(host: &mut Host, ask: &Ask) -> i32 {
    let [statement] = statements_of(host, ask).try_into().unwrap();
    let (text, values) = (statement.text(), statement.values());
    counted(&host.db, StatementStatus::VmStep, text, values)
}

fn polled(host: &mut Host) -> Got {
    host.answered(200, &poll())
}

fn shows(got: &Got, hostname: &str) -> bool {
    got.body.contains(&format!("Host(`{hostname}`)"))
}

#[test]
fn a_poll_without_a_change_gets_the_same_answer_and_reads_no_tenant() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    let first = host.expect(200, &poll());
    rename_by_hand(&host, "by-hand.example");
    let second = host.expect(200, &poll());
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
    let etag = first.header("etag").unwrap();
    let known = host.expect(304, &poll().if_none_match(etag));
    assert_eq!(known.header("etag"), Some(etag));
    // An older state of the caller's does not keep the kept one from being found.
    let older = etag.replace("-1\"", "-0\"");
    assert_ne!(older, etag);
    let third = host.expect(200, &poll().if_none_match(older));
    assert_eq!(third.body, first.body);
}

#[test]
fn the_next_write_is_seen_at_once() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    host.expect(200, &poll());
    host.expect(
        204,
        &patch("/tenants/a", r#"{"hostname":"later.example.com"}"#),
    );
    assert!(shows(&host.expect(200, &poll()), "later.example.com"));
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    assert!(!shows(&host.expect(200, &poll()), "later.example.com"));
}

/// A write that commits while a poll's batch is under way: the rows decide, not the time of the request.
#[test]
fn a_write_between_the_poll_and_its_batch_is_seen() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    host.expect(200, &poll());
    let late = host.first(&poll());
    host.expect(
        204,
        &patch("/tenants/a", r#"{"hostname":"later.example.com"}"#),
    );
    let rows = host.run(late.batch());
    assert!(shows(
        &host.finish(&poll(), late, rows),
        "later.example.com"
    ));
}

#[test]
fn a_key_that_is_not_valid_gets_nothing_from_memory() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    host.expect(200, &poll());
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &poll());
    host.sql(
        "UPDATE api_keys SET deleted_at = NULL, expires_at = '2026-01-01 00:00:00'",
        &[],
    );
    host.expect(401, &poll());
    fill(&host, 1000);
    let refused = steps(&mut host, &poll().if_none_match("\"x-1\""));
    assert!(refused < 100, "{refused} steps for a 401");
}

#[test]
fn a_restored_database_other_settings_and_a_minute_each_read_the_tenants_again() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    let first = host.expect(200, &poll());

    rename_by_hand(&host, "restored.example");
    host.sql("UPDATE registry SET epoch = '0123456789abcdef'", &[]);
    assert!(shows(&host.expect(200, &poll()), "restored.example"));

    rename_by_hand(&host, "settings.example");
    host.configure(&[("CHEVERETO_SERVICE_PORT", "81")]);
    let got = host.expect(200, &poll());
    assert!(shows(&got, "settings.example") && got.body.contains(":81\""));
    assert_ne!(got.header("etag"), first.header("etag"));

    rename_by_hand(&host, "a-minute.example");
    host.now += 59;
    assert!(!shows(&host.expect(200, &poll()), "a-minute.example"));
    host.now += 1;
    assert!(shows(&host.expect(200, &poll()), "a-minute.example"));
    // The time of the last read counts, not that of the first.
    rename_by_hand(&host, "again.example");
    host.now += 59;
    assert!(!shows(&host.expect(200, &poll()), "again.example"));

    host.now -= 60;
    assert!(shows(&host.expect(200, &poll()), "again.example"));
}

#[test]
fn a_failed_batch_is_not_answered_from_memory() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    host.expect(200, &poll());
    let exchange = host.exchange(&poll());
    let got = host.finish(&poll(), exchange, Err("gone".into()));
    assert_eq!(got.status, 500);
}

#[test]
fn the_rows_that_are_left_out_are_named_from_memory_too() {
    let mut host = host();
    host.sql(
        "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES ('bad', 'x`y', 1, '', '')",
        &[],
    );
    let first = host.expect(200, &poll());
    assert!(first.cause().contains("tenants/bad"), "{first:?}");
    assert_eq!(host.expect(200, &poll()).log.cause, first.log.cause);
}

/// An unchanged poll costs the same at any number of tenants.
#[test]
fn an_unchanged_poll_takes_the_same_steps_at_1_000_and_at_100_000_tenants() {
    let at = |count: i64| {
        let mut host = host();
        fill(&host, count);
        let got = polled(&mut host);
        let etag = got.header("etag").unwrap().to_owned();
        let from_memory = steps(&mut host, &poll());
        let known = steps(&mut host, &poll().if_none_match(etag));
        assert_eq!(polled(&mut host).body, got.body);
        (from_memory, known)
    };
    let few = at(1_000);
    assert_eq!(few, at(100_000));
    assert_eq!(few.0, few.1);
    assert!(few.0 < 150, "{few:?}");
}

/// A chunk has 5,000 rows. Rows that are left out come at a chunk's start and end, too.
#[test]
fn every_tenant_is_there_once_and_in_order_at_any_number_of_chunks() {
    for count in [4_999, 5_000, 5_001, 10_000, 12_345] {
        let mut host = host();
        let id = |n: i64| format!("t{n:05}");
        host.sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
             INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) \
             SELECT printf('t%05d', n), printf('h%d.example.com', n), n % 7 <> 3, '', '' FROM c",
            &[count.into()],
        );
        let enabled: Vec<i64> = (1..=count).filter(|n| n % 7 != 3).collect();
        let bad = [0, 4_998, 4_999, 5_000, 5_001].map(|at| enabled.get(at).copied());
        for (at, n) in bad.into_iter().flatten().enumerate() {
            let hostname = ["a\nvictim.example.com", "a\0b", "", "A", "localhost"][at];
            host.sql(
                "UPDATE tenants SET hostname = ?1 WHERE id = ?2",
                &[hostname.into(), id(n).into()],
            );
        }
        let got = polled(&mut host);
        let routers: serde_json::Value = serde_json::from_str(&got.body).unwrap();
        let routers = routers["http"]["routers"].as_object().unwrap();
        let expected: Vec<(String, String)> = enabled
            .iter()
            .filter(|n| !bad.contains(&Some(**n)))
            .map(|&n| (id(n), format!("Host(`h{n}.example.com`)")))
            .collect();
        assert_eq!(routers.len(), expected.len() + 1, "{count}");
        let mut at = 0;
        for (id, rule) in &expected {
            assert_eq!(routers[id]["rule"], *rule);
            let place = got.body[at..].find(&format!("\"{id}\"")).unwrap();
            at += place;
        }
        for n in bad.into_iter().flatten() {
            assert!(got.cause().contains(&id(n)), "{count}: {}", got.cause());
        }
    }
}

/// A row that no write of the API makes: SQLite's own limit for a text is a thousand times that of D1.
#[test]
fn a_row_that_is_too_long_takes_no_other_with_it() {
    let mut host = host();
    host.expect(201, &new_tenant("a"));
    for (id, hostname) in [
        ("long", "x".repeat(1_900_000)),
        ("other", "é".repeat(200)),
        ("l\ni\nne", "line.example.com".into()),
        (&"i".repeat(100_000), "id.example.com".into()),
        ("nul", format!("a.example.com\0{}", "x".repeat(2_000_000))),
        ("[]", String::new()),
    ] {
        host.sql(
            "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES (?1, ?2, 1, '', '')",
            &[id.into(), hostname.into()],
        );
    }
    let exchange = host.exchange(&poll());
    let rows = host.run(exchange.batch()).unwrap();
    let bytes = format!("{rows:?}").len();
    assert!(bytes < 10_000, "{bytes} bytes of rows");
    let got = host.finish(&poll(), exchange, Ok(rows));
    assert_eq!(got.body.matches("Host(").count(), 2, "the root and `a`");
    for named in ["long", "other", "l\\ni", "iiii", "nul", "[]"] {
        assert!(got.cause().contains(named), "{named}: {}", got.cause());
    }
}
