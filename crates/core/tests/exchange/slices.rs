//! Long lists: a whole list comes in slices, each a batch of its own, and a page is cut by its bytes.

use serde_json::Value as Json;
use tenants_core::machine::FailureKind;
use tenants_core::sql::json::JSON_ROWS;
use tenants_core::sql::{Statement, Value};
use tenants_core::{Answer, Failure, Outcome, Step};

use crate::ask::{Ask, get, head};
use crate::host::{Host, WaitsForBatch as _, unpack};
use crate::sessions::Console;

const SLICE_ROWS: usize = 2_500;
const SLICE_BYTES: usize = 2 * 1024 * 1024;

/// Inserts tenants and plans by hand: `count` of each.
fn fill(host: &Host, count: usize) {
    let count = i64::try_from(count).unwrap();
    for text in [
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
         INSERT INTO tenants_plans (id, created_at, updated_at) SELECT 'p' || n, '', '' FROM c",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
         INSERT INTO tenants (id, hostname, is_enabled, plan_id, labels, created_at, updated_at) \
         SELECT 'T' || n, 'h' || (n * 7919 % 100003) || '.example.com', n % 2, 'p' || (n % 2 + 1), '{\"a\":\"b\"}', \
         datetime(1700000000 + n % 100, 'unixepoch'), datetime(1700000000 + n % 1000, 'unixepoch') FROM c",
    ] {
        host.sql(text, &[count.into()]);
    }
}

/// Makes the `limits` of every tenant this long, about.
fn lengthen(host: &Host, bytes: usize) {
    let limits = format!(r#"{{"A":"{}"}}"#, "x".repeat(bytes));
    host.sql("UPDATE tenants SET limits = ?1", &[limits.into()]);
}

/// The parts of a list's body, each of which took a batch.
fn parts(host: &mut Host, ask: &Ask) -> Vec<String> {
    let mut answer = opened(host, ask);
    let rest = host.parts(answer.rest.take());
    [answer.response.body.into_string()]
        .into_iter()
        .chain(rest.into_iter().map(Result::unwrap))
        .collect()
}

/// The answer to a list's first batch.
fn opened(host: &mut Host, ask: &Ask) -> Answer {
    let exchange = host.first(ask);
    let rows = host.run(exchange.batch());
    let Step::Done(answer) = host.resumed(exchange, rows) else {
        panic!("{ask:?} asks for another batch")
    };
    assert_eq!(answer.log.status, 200, "{ask:?}: {answer:?}");
    answer
}

fn ids(list: &str) -> Vec<String> {
    let list: Vec<Json> = serde_json::from_str(list).unwrap();
    list.iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The ids in a part: the text around its objects is the list's.
fn ids_of_part(part: &str) -> Vec<String> {
    let objects = part.trim_start_matches(['[', ',']).trim_end_matches(']');
    ids(&format!("[{objects}]"))
}

/// The ids of a list as SQLite sorts them.
fn sorted(host: &Host, query: &str) -> Vec<String> {
    let rows = host.sql(query, &[]);
    rows.into_iter()
        .flatten()
        .map(|id| match id {
            Value::Text(id) => id,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn every_whole_list_comes_in_slices_with_each_row_once_and_in_order() {
    let mut host = Host::new();
    fill(&host, 2 * SLICE_ROWS + 7);
    for (path, query) in [
        ("/tenants", "SELECT id FROM tenants ORDER BY id"),
        (
            "/tenants?after=T3",
            "SELECT id FROM tenants WHERE id > 't3' ORDER BY id",
        ),
        (
            "/tenants?label=a&fields=id",
            "SELECT id FROM tenants ORDER BY id",
        ),
        (
            "/tenants?is_enabled=true",
            "SELECT id FROM tenants WHERE is_enabled = 1 ORDER BY id",
        ),
        (
            "/tenants?created_since=2023-11-14%2022:14:00",
            "SELECT id FROM tenants WHERE created_at >= '2023-11-14 22:14:00' ORDER BY id",
        ),
        (
            "/tenants?sort=-updated_at",
            "SELECT id FROM tenants ORDER BY updated_at DESC, id DESC",
        ),
        (
            "/tenants?sort=created_at&plan_id=p1&label=a:b",
            "SELECT id FROM tenants WHERE plan_id = 'p1' ORDER BY created_at, id",
        ),
        (
            "/tenants?sort=hostname&q=t",
            "SELECT id FROM tenants ORDER BY hostname, id",
        ),
        ("/tenants-plans", "SELECT id FROM tenants_plans ORDER BY id"),
    ] {
        let ask = get(path);
        let expected = sorted(&host, query);
        let parts = parts(&mut host, &ask);
        assert_eq!(parts.len(), expected.len().div_ceil(SLICE_ROWS), "{path}");
        assert!(
            !parts.is_empty() && ids(&parts.concat()) == expected,
            "{path}"
        );
        for part in &parts[..parts.len() - 1] {
            assert_eq!(ids_of_part(part).len(), SLICE_ROWS, "{path}");
        }
    }
}

/// A row of a list is one JSON array, which the host may hand on as the row itself.
#[test]
fn a_host_may_put_the_array_of_a_row_in_its_place() {
    let mut host = Host::new();
    fill(&host, 3);
    host.sql("UPDATE tenants SET hostname = 'a\"\u{1}é', external_id = id, is_enabled = 0 WHERE id = 'T2'", &[]);
    for path in ["/tenants", "/tenants?sort=-hostname", "/tenants-plans"] {
        let ask = get(path);
        let whole = host.expect(200, &ask).body;
        let exchange = host.first(&ask);
        let is_json = |statement: &Statement| statement.text().starts_with(JSON_ROWS);
        let are_json: Vec<bool> = exchange.batch().statements().iter().map(is_json).collect();
        assert_eq!(
            are_json.iter().filter(|is_json| **is_json).count(),
            1,
            "{path}"
        );
        let mut results = host.run(exchange.batch()).unwrap();
        unpack(exchange.batch(), &mut results);
        assert_eq!(
            host.finish(&ask, exchange, Ok(results)).body,
            whole,
            "{path}"
        );
    }
}

#[test]
fn a_list_of_one_slice_is_one_batch() {
    let mut host = Host::new();
    fill(&host, SLICE_ROWS);
    assert_eq!(parts(&mut host, &get("/tenants")).len(), 1);
    assert_eq!(parts(&mut host, &get("/tenants-plans")).len(), 1);
    host.sql("DELETE FROM tenants", &[]);
    assert_eq!(parts(&mut host, &get("/tenants")), ["[]"]);
}

#[test]
fn a_slice_is_bounded_by_its_bytes() {
    const LONG: usize = 20_000;
    let mut host = Host::new();
    fill(&host, 500);
    lengthen(&host, LONG);
    for query in ["", "?sort=-updated_at", "?label=a"] {
        let ask = get(&format!("/tenants{query}"));
        let all = parts(&mut host, &ask);
        assert_eq!(ids(&all.concat()).len(), 500);
        assert!(all.len() >= 5, "{} parts", all.len());
        for part in &all {
            assert!(part.len() < SLICE_BYTES + 100 * 1024, "{}", part.len());
        }
        assert!(all[0].len() > SLICE_BYTES / 2, "{}", all[0].len());
    }
}

#[test]
fn a_row_that_is_longer_than_a_slice_is_a_slice_of_its_own() {
    let mut host = Host::new();
    fill(&host, 3);
    lengthen(&host, SLICE_BYTES);
    let all = parts(&mut host, &get("/tenants"));
    assert_eq!(all.len(), 3);
    assert_eq!(ids(&all.concat()), ["T1", "T2", "T3"]);
}

/// A page may have fewer rows than its `limit`, and then links to the next one.
#[test]
fn a_page_is_cut_by_its_bytes_and_by_the_rows_of_a_slice() {
    let mut host = Host::new();
    fill(&host, SLICE_ROWS + 10);
    let pages = |host: &mut Host, first: &str| {
        let mut sizes = Vec::new();
        let mut next = Some(first.to_owned());
        let mut all = Vec::new();
        while let Some(path) = next {
            let answer = opened(host, &get(&path));
            assert!(answer.rest.is_none());
            let page = ids(&answer.response.body);
            sizes.push(page.len());
            all.extend(page);
            next = answer.response.header("link").map(|link| {
                let (target, _) = link[1..].split_once('>').unwrap();
                target.strip_prefix("/_/api/4").unwrap().to_owned()
            });
        }
        (sizes, all)
    };
    let expected = sorted(&host, "SELECT id FROM tenants ORDER BY id");
    let (sizes, all) = pages(&mut host, "/tenants?limit=10000");
    assert_eq!((sizes, &all), (vec![SLICE_ROWS, 10], &expected));
    lengthen(&host, 20_000);
    let (sizes, all) = pages(&mut host, "/tenants?limit=150");
    assert_eq!(all, expected);
    assert!(sizes.iter().all(|n| *n <= 104), "{sizes:?}");
    // The bytes of a short page are not summed up.
    let (sizes, _) = pages(&mut host, "/tenants?limit=100");
    assert_eq!(sizes[0], 100);
}

#[test]
fn the_key_is_judged_in_each_slice() {
    let mut host = Host::new();
    fill(&host, 2 * SLICE_ROWS);
    let mut answer = opened(&mut host, &get("/tenants"));
    let rest = answer.rest.take();
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    let parts = host.parts(rest);
    let [Err(failed)] = &parts[..] else {
        panic!("{parts:?}")
    };
    assert_eq!((failed.log.status, failed.response.status), (401, 401));
    assert_eq!(failed.log.request_id, answer.log.request_id);
    assert!(serde_json::from_str::<Json>(&answer.response.body).is_err());
}

#[test]
fn a_slice_that_fails_is_not_the_end_of_a_list() {
    let mut host = Host::new();
    fill(&host, 2 * SLICE_ROWS);
    // A row of the second slice cannot be read.
    host.sql("UPDATE tenants SET limits = 'x' WHERE id = 'T999'", &[]);
    let mut answer = opened(&mut host, &get("/tenants"));
    let parts = host.parts(answer.rest.take());
    let Some(Err(failed)) = parts.last() else {
        panic!("{parts:?}")
    };
    let cause = failed.log.cause.as_deref().unwrap();
    assert!(
        cause.starts_with("the list broke off: ") && cause.contains("T999"),
        "{cause}"
    );
    assert_eq!(failed.log.status, 500);
    assert!(!answer.response.body.ends_with(']'));
    // A host that sends whole responses sends the failure.
    let got = host.expect(500, &get("/tenants"));
    assert_eq!(got.json()["code"], "internal");

    for (kind, status) in [(FailureKind::Failed, 500), (FailureKind::Unavailable, 503)] {
        let rest = opened(&mut host, &get("/tenants")).rest.unwrap();
        let failure = Failure {
            reason: "the disk is away".into(),
            kind,
        };
        let Step::Done(Err(failed)) = host.resumed_with(rest, Outcome::Batch(Err(failure))) else {
            panic!("the list goes on")
        };
        assert_eq!(
            (failed.log.status, failed.response.status),
            (status, status)
        );
        assert!(failed.log.cause.unwrap().contains("the disk is away"));
    }
}

#[test]
fn rows_that_come_and_go_between_slices_leave_the_others_as_they_are() {
    let mut host = Host::new();
    fill(&host, SLICE_ROWS + 1);
    let mut answer = opened(&mut host, &get("/tenants"));
    host.sql("DELETE FROM tenants WHERE id >= 'T999'", &[]);
    let rest = answer.rest.take();
    let parts = host.parts(rest);
    assert_eq!(parts.len(), 1);
    let body = [&*answer.response.body, parts[0].as_deref().unwrap()].concat();
    assert_eq!(ids(&body).len(), SLICE_ROWS);
}

#[test]
fn head_of_a_whole_list_reads_no_row() {
    let mut host = Host::new();
    fill(&host, SLICE_ROWS + 1);
    // The rows cannot be read.
    host.sql("UPDATE tenants SET limits = 'x'", &[]);
    for path in ["/tenants", "/tenants?sort=-updated_at", "/tenants-plans"] {
        let ask = head(path);
        let exchange = host.first(&ask);
        let [statement] = exchange.batch().statements() else {
            panic!("{path}: more than the standing")
        };
        assert!(
            !statement.text().contains("tenants"),
            "{}",
            statement.text()
        );
        let got = host.expect(200, &ask);
        assert_eq!((got.body.as_str(), got.header("link")), ("", None));
    }
    let counted = host.expect(200, &head("/tenants?count=true"));
    assert_eq!(counted.header("x-total-count"), Some("2501"));
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &head("/tenants"));
}

#[test]
fn a_counted_list_has_its_count_before_its_first_slice() {
    let mut host = Host::new();
    fill(&host, SLICE_ROWS + 1);
    let mut answer = opened(&mut host, &get("/tenants?count=true&is_enabled=true"));
    assert_eq!(answer.response.header("x-total-count"), Some("1251"));
    assert!(answer.rest.is_none());
    answer = opened(&mut host, &get("/tenants?count=true"));
    assert_eq!(answer.response.header("x-total-count"), Some("2501"));
    let rest = answer.rest.take().unwrap();
    assert_eq!(rest.batch().statements().len(), 2);
}

/// The slices after the first one know the session, too. It may end between two of them.
#[test]
fn a_session_reads_a_whole_list_in_slices_until_it_ends() {
    let mut host = Host::with(&[("TENANTS_CONSOLE", "true")]);
    fill(&host, SLICE_ROWS + 10);
    let console = Console::new(&mut host);
    let ask = console.ask(get("/tenants?fields=id"));
    let all = parts(&mut host, &ask);
    assert_eq!(all.len(), 2);
    assert_eq!(ids(&all.concat()).len(), SLICE_ROWS + 10);
    let mut answer = opened(&mut host, &ask);
    host.sql("UPDATE console_sessions SET ended_at = '2026'", &[]);
    let rest = host.parts(answer.rest.take());
    let failed = rest.into_iter().next().unwrap().unwrap_err();
    assert_eq!(failed.response.status, 401);
    assert_eq!(
        failed.log.cause.as_deref(),
        Some(
            "the list broke off: the session has ended, or its key was deleted, rotated or has expired"
        )
    );
}
