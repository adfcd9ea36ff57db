//! `Idempotency-Key` (contract §12): a request that comes again gets the first response again, and nothing is done a second time.

use tenants_core::Step;
use tenants_core::sql::Value;
use tenants_core::task::Run;
use tenants_core::task::reseal::Reseal;
use tenants_core::value::clock::Timestamp;

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post, reset,
};
use crate::failures::{filled, writes};
use crate::filled::host_with_tables;
use crate::host::{Exhausted, Got, Host, NOW, SECRETS, WaitsForBatch as _, problem};
use crate::site_databases::apart;

const DAY: i64 = 24 * 60 * 60;

/// A reset whose password the service generates.
fn generated() -> Ask {
    patch("/tenants/a/user-password-reset", r#"{"username":"ADMIN"}"#)
}

/// Every kind of write with a key, and the status of its success.
fn keyed() -> Vec<(Ask, u16)> {
    let writes = writes().into_iter().map(|(ask, first, _)| (ask, first));
    writes
        .chain([(generated(), 200)])
        .map(|(ask, first)| (ask.idempotency_key("k-1"), first))
        .collect()
}

/// The same response, apart from the headers of a replay.
fn assert_replays(first: &Got, again: &Got) {
    assert_eq!(first.header("idempotency-replayed"), None, "{first:?}");
    assert_eq!(
        again.header("idempotency-replayed"),
        Some("true"),
        "{again:?}"
    );
    assert_eq!(
        again.header("idempotency-expires"),
        Some("Fri, 21 Aug 2026 23:16:57 GMT"),
        "{again:?}"
    );
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let headers = |got: &Got| -> Vec<_> {
        let all = got.response.headers.iter().cloned();
        all.filter(|(name, _)| !name.starts_with("idempotency-"))
            .collect()
    };
    assert_eq!(headers(again), headers(first));
}

#[test]
fn the_same_request_again_gets_the_first_response_and_writes_nothing() {
    for (ask, status) in keyed() {
        let mut host = filled();
        let first = host.expect(status, &ask);
        let after = host.dump();
        for _ in 0..2 {
            let again = host.ask(&ask);
            assert_replays(&first, &again);
            assert_eq!(host.dump(), after, "{ask:?}");
        }
    }
}

/// Every route that is no GET, so none can be left out.
#[test]
fn the_same_request_again_is_a_replay_on_every_route_that_writes() {
    for route in crate::scopes::asked_by_keys() {
        let ask = match route.method {
            "GET" => continue,
            _ => crate::scopes::example(&route).idempotency_key("\"k-1\""),
        };
        let mut host = host_with_tables();
        let first = host.ask(&ask);
        assert!(first.status < 300, "{ask:?}: {first:?}");
        let after = host.dump();
        let again = host.ask(&ask);
        // It reads, or does nothing that a second time could change.
        if ["/verify", "/lease", "/renew", "/stats", "/test"]
            .iter()
            .any(|end| ask.target.ends_with(end))
        {
            assert_eq!(again.header("idempotency-replayed"), None);
            assert_eq!(
                host.refuse(400, &ask.clone().idempotency_key("")).json()["code"],
                "malformed_header"
            );
            continue;
        }
        assert_replays(&first, &again);
        assert_eq!(host.dump(), after, "{ask:?}");
    }
}

/// The response does not depend on the present state: not on the resource, not on its plan, and not on its tables.
#[test]
fn a_replay_is_the_first_response_whatever_happened_since() {
    for (ask, status) in keyed() {
        let mut host = filled();
        let first = host.expect(status, &ask);
        for change in [
            patch("/tenants/a", r#"{"external_id":"e-1"}"#),
            patch("/tenants/b", r#"{"is_enabled":false,"plan_id":null}"#),
            patch("/tenants-plans/q", r#"{"limits":null}"#),
            patch("/tenants-plans/p", r#"{"external_id":"e-1"}"#),
            delete("/tenants-plans/p"),
            delete_with_tables("a"),
            delete_with_tables("b"),
            delete_with_tables("not-yet"),
            delete("/tenants-plans/q"),
            new_plan("P"),
            new_tenant("A"),
            new_tenant("NOT-YET"),
        ] {
            host.now += 1;
            host.ask(&change);
        }
        let after = host.dump();
        assert_replays(&first, &host.ask(&ask));
        assert_eq!(host.dump(), after, "{ask:?}");
    }
}

#[test]
fn the_legacy_dialect_has_it_too() {
    let mut host = Host::legacy(&[]);
    let plan = r#"{"plan_id":"p","name":"P"}"#;
    let tenant = r#"{"tenant_id":"a","hostname":"a.example.com","is_enabled":1,"plan_id":"P"}"#;
    for (n, (status, ask)) in [
        (201, post("/tenants-plans", plan)),
        (201, post("/tenants", tenant)),
        (204, patch("/tenants/a", r#"{"is_enabled":0}"#)),
        (204, patch("/tenants-plans/p", r#"{"name":"Q"}"#)),
        (204, delete("/tenants/a")),
        (204, delete("/tenants-plans/p")),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = ask.legacy().idempotency_key(format!("k-{n}"));
        let first = host.expect(status, &ask);
        assert_replays(&first, &host.ask(&ask));
        // Another dialect is another path.
        let mut other = ask.clone();
        other.target = ask
            .target
            .replacen(crate::ask::LEGACY_BASE, crate::ask::BASE, 1);
        other.body = br#"{"id":"x"}"#.to_vec();
        let got = host.ask(&other);
        assert!(matches!(got.status, 400 | 422), "{got:?}");
    }
}

#[test]
fn a_key_with_another_request_is_refused() {
    const DETAIL: &str =
        "this Idempotency-Key belongs to a request with another method, path, query or body";
    let refused = problem(
        422,
        "Unprocessable Content",
        DETAIL,
        "idempotency_key_reused",
        "",
    );
    for (ask, status) in keyed() {
        let mut host = filled();
        host.expect(status, &ask);
        for other in [
            new_tenant("c"),
            new_tenant("a"),
            patch("/tenants/a", r#"{"is_enabled":true}"#),
            patch("/tenants/nobody", r#"{"is_enabled":true}"#),
            patch("/tenants/_", r#"{"is_enabled":true}"#),
            delete("/tenants/c"),
            delete("/tenants/_"),
            delete_with_tables("c"),
            delete_with_tables("A"),
            new_plan("c"),
            patch("/tenants-plans/p", r#"{"external_id":"e"}"#),
            delete("/tenants-plans/c"),
            delete("/tenants-plans/_"),
            install("a"),
            install("c"),
            install("_"),
            patch(
                "/tenants/a/user-password-reset",
                r#"{"username":"admin","password":"one more hidden"}"#,
            ),
        ] {
            let other = other.idempotency_key("k-1");
            assert_eq!(host.ask(&other).body, refused, "{other:?} after {ask:?}");
        }
        let mut other_query = ask.clone();
        other_query.target.push('?');
        assert_eq!(host.ask(&other_query).body, refused, "{ask:?}");
    }
}

#[test]
fn a_key_belongs_to_its_api_key_and_is_remembered_until_it_expires() {
    let mut host = Host::with(&[("TENANTS_IDEMPOTENCY_HOURS", "1")]);
    let ask = new_tenant("a").idempotency_key("k");
    host.expect(201, &ask);
    let (_, other) = host.issue("other", None);
    host.expect(409, &ask.clone().key(other.as_str()));
    host.expect(204, &delete("/tenants/a"));
    host.expect(201, &ask.clone().key(other));
    host.expect(204, &delete("/tenants/a"));
    host.now = NOW + 3599;
    let got = host.expect(201, &ask);
    assert_eq!(
        got.header("idempotency-expires"),
        Some("Wed, 19 Aug 2026 00:16:57 GMT")
    );
    // By the clock: nothing has deleted the row.
    host.now = NOW + 3600;
    let got = host.expect(201, &ask);
    assert_eq!(got.header("idempotency-replayed"), None);
    host.now += 3599;
    let got = host.expect(201, &ask);
    assert_eq!(got.header("idempotency-replayed"), Some("true"));
}

#[test]
fn a_request_that_wrote_nothing_is_judged_anew() {
    let mut host = filled();
    let key = |ask: Ask| ask.idempotency_key("k");
    host.expect(409, &key(new_tenant("a")));
    host.expect(404, &key(patch("/tenants/b", r#"{"is_enabled":true}"#)));
    host.expect(404, &key(delete("/tenants/b")));
    host.expect(404, &key(delete("/tenants/_")));
    host.expect_failing(404, &key(delete_with_tables("b")));
    host.expect_first(409, &key(install("a")));
    host.expect_first(404, &key(reset("b")));
    host.expect(
        404,
        &key(patch(
            "/tenants/a/user-password-reset",
            r#"{"username":"nobody"}"#,
        )),
    );
    host.expect(409, &key(new_plan("p")));
    assert_eq!(
        host.one("SELECT count(*) FROM idempotency"),
        Value::Integer(0)
    );
    host.expect(201, &key(new_tenant("b")));
    assert_eq!(
        host.one("SELECT count(*) FROM idempotency"),
        Value::Integer(1)
    );
}

#[test]
fn a_malformed_key_is_refused_before_the_database_and_reads_ignore_it() {
    let mut host = Host::new();
    for key in [
        "",
        "a b",
        "a, b",
        "\"a\", \"b\"",
        "\"a",
        "é",
        &"x".repeat(256),
    ] {
        for ask in [new_tenant("a"), delete("/tenants/a"), post("/tenants", "{")] {
            let got = host.refuse(400, &ask.idempotency_key(key));
            assert_eq!(got.json()["code"], "malformed_header", "{key}");
        }
        let ask = new_tenant("a").idempotency_key(key).no_signature();
        host.refuse(401, &ask);
        host.expect(200, &get("/tenants").idempotency_key(key));
        host.refuse(400, &post("/auth/verify", "").idempotency_key(key));
    }
    host.expect(201, &new_tenant("a").idempotency_key("\"k\""));
    let again = host.expect(201, &new_tenant("a").idempotency_key("k"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[test]
fn the_caller_is_judged_before_a_replay() {
    for (ask, status) in keyed() {
        let mut host = filled();
        host.expect(status, &ask);
        let permits = host.one("SELECT permits FROM api_keys WHERE id = 1");
        host.sql("UPDATE api_keys SET permits = 0", &[]);
        assert_eq!(host.ask(&ask).status, 403, "{ask:?}");
        host.sql("UPDATE api_keys SET permits = ?1", &[permits]);
        host.sql(
            "UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00'",
            &[],
        );
        assert_eq!(host.ask(&ask).status, 401, "{ask:?}");
        host.refuse(401, &ask.no_signature());
    }
}

/// A host without randomness cannot hash, and makes no token.
#[test]
fn a_replay_hashes_nothing() {
    for ask in [install("not-yet"), reset("a"), generated()] {
        let ask = ask.idempotency_key("k-1");
        let mut host = filled();
        let first = host.ask(&ask);
        let body = ask.body.windows(10).any(|part| part == b"\"password\"");
        if !body {
            // A password is generated before the database knows the request. It is thrown away.
            assert_replays(&first, &host.ask(&ask));
            continue;
        }
        host.random = Box::new(Exhausted);
        assert_replays(&first, &host.ask(&ask));
    }
}

/// Both exchanges begin, and those that read first have read, before either writes.
#[test]
fn of_two_at_once_one_writes_and_the_other_replays() {
    for (ask, status) in keyed() {
        let mut host = filled();
        let one = host.exchange(&ask);
        let other = host.exchange(&ask);
        let first = host.finish_with(&ask, one, |host, batch| host.run(batch));
        assert_eq!(first.status, status, "{ask:?}");
        let after = host.dump();
        let second = host.finish_with(&ask, other, |host, batch| host.run(batch));
        assert_replays(&first, &second);
        assert_eq!(host.dump(), after, "{ask:?}");
    }
}

#[test]
fn a_generated_password_is_remembered_encrypted_and_survives_a_rotation() {
    const OTHER: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let mut host = filled();
    let ask = generated().idempotency_key("k-1");
    let first = host.expect(200, &ask);
    let password = first.json()["password"].as_str().unwrap().to_owned();
    assert!(!host.dump().contains(&password));
    let key = SECRETS[2];
    host.configure(&[
        ("CHEVERETO_ENCRYPTION_KEY", OTHER),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", key.1),
    ]);
    assert_replays(&first, &host.ask(&ask));
    let now = Timestamp::from_unix(host.now).unwrap();
    let config = host.api.config().unwrap();
    let task = Reseal::begin(config, &Run::new("cli-1"), &now, 10_000).unwrap();
    let report = host.complete(task);
    assert_eq!(
        (report.before.answers.previous, report.after.answers.current),
        (1, 1)
    );
    assert_replays(&first, &host.ask(&ask));
    // The secret does not need the earlier key any more. The fingerprint does: without it the request is another one.
    host.configure(&[("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", "")]);
    assert_eq!(host.ask(&ask).json()["code"], "idempotency_key_reused");
}

#[test]
fn without_an_encryption_key_only_a_generated_password_cannot_be_remembered() {
    let mut host = Host::with(&[("CHEVERETO_ENCRYPTION_KEY", "")]);
    host.expect(201, &new_tenant("a").idempotency_key("k-1"));
    let again = host.expect(201, &new_tenant("a").idempotency_key("k-1"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    host.expect(201, &install("a").idempotency_key("k-2"));
    host.expect(200, &reset("a").idempotency_key("k-3"));
    let got = host.refuse(503, &generated().idempotency_key("k-4"));
    assert_eq!(got.json()["code"], "not_configured");
    host.expect(200, &generated());
}

/// A stored row that is not as expected is our fault.
#[test]
fn a_row_that_cannot_be_read_is_a_500() {
    for (column, wrong) in [
        ("answer", "[1]"),
        ("answer", "x"),
        ("expires_at", "9999"),
        ("secret", "x"),
    ] {
        let mut host = filled();
        let ask = generated().idempotency_key("k-1");
        host.expect(200, &ask);
        host.sql(
            &format!("UPDATE idempotency SET {column} = ?1"),
            &[wrong.into()],
        );
        let got = host.ask(&ask);
        assert_eq!(got.status, 500, "{column}: {got:?}");
    }
}

#[test]
fn the_cron_trigger_deletes_what_has_expired_in_slices() {
    let mut host = filled();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) \
         INSERT INTO idempotency (key_id, key, fingerprint, answer, expires_at) SELECT 1, n, '', '[]', '2026-08-18 00:00:00' FROM c",
        &[],
    );
    host.expect(201, &new_tenant("b").idempotency_key("k"));
    let left = |host: &Host| host.one("SELECT count(*) FROM idempotency");
    // The last slice begins again.
    for expected in [3001, 1001, 1, 1] {
        host.cron();
        assert_eq!(left(&host), Value::Integer(expected));
    }
    host.now += 3 * DAY;
    host.cron();
    assert_eq!(left(&host), Value::Integer(0));
}

/// Sends a request, and runs all batches that it needs.
fn send(host: &mut Host, status: u16, ask: &Ask) -> Got {
    let exchange = host.first(ask);
    let got = host.finish_with(ask, exchange, |host, batch| host.run(batch));
    assert_eq!(got.status, status, "{ask:?}: {got:?}");
    got
}

/// With the site in the registry, or in a database of its own, where the registry's part comes first.
fn with_sites() -> [Host; 2] {
    [Host::new(), apart()].map(|mut host| {
        send(&mut host, 201, &new_tenant("a"));
        send(&mut host, 201, &install("a"));
        host
    })
}

/// Another request than [`generated`], of the same user.
fn lower() -> Ask {
    patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#)
}

/// Runs so many batches of a request.
fn cut(host: &mut Host, ask: &Ask, batches: usize) {
    let mut exchange = host.first(ask);
    for _ in 0..batches {
        let rows = host.run(exchange.batch());
        exchange = match host.resumed(exchange, rows) {
            Step::Run(next) => next,
            Step::Done(answer) => panic!("{answer:?}"),
        };
    }
}

#[test]
fn a_reset_that_wrote_nothing_is_not_remembered() {
    let nobody = patch("/tenants/a/user-password-reset", r#"{"username":"nobody"}"#);
    let nobody = nobody.idempotency_key("k-1");
    for mut host in with_sites() {
        for _ in 0..2 {
            send(&mut host, 404, &nobody);
            assert_eq!(host.one("SELECT count(*) FROM idempotency"), 0.into());
        }
        let first = send(&mut host, 200, &generated().idempotency_key("k-1"));
        let again = send(&mut host, 200, &generated().idempotency_key("k-1"));
        assert_replays(&first, &again);
        let got = send(&mut host, 422, &nobody);
        assert_eq!(got.json()["code"], "idempotency_key_reused");
    }
}

/// Whether it has written the site's database, nobody knows, so that only the same request may go on with it.
#[test]
fn a_reset_that_was_cut_off_is_in_the_way_of_no_other_request() {
    for other in [lower(), reset("a"), new_tenant("b"), delete("/tenants/a")] {
        for at in [2, 3] {
            let [_, mut host] = with_sites();
            let (first, other) = (
                generated().idempotency_key("k-1"),
                other.clone().idempotency_key("k-1"),
            );
            cut(&mut host, &first, at);
            let begun = "SELECT count(*) FROM idempotency WHERE answer = ''";
            assert_eq!(host.one(begun), 1.into());
            let status = match other.method.as_str() {
                "PATCH" => 200,
                "POST" => 201,
                _ => 204,
            };
            let got = send(&mut host, status, &other);
            assert_eq!(got.header("idempotency-replayed"), None);
            assert_eq!(host.one(begun), 0.into());
            assert_replays(&got, &send(&mut host, status, &other));
            send(&mut host, 422, &first);
        }
    }
}

#[test]
fn a_reset_that_was_cut_off_finds_its_password_again_unless_another_one_has_begun() {
    let [_, mut host] = with_sites();
    let begun = [generated(), lower(), lower(), generated()].map(|ask| {
        cut(&mut host, &ask.idempotency_key("k-1"), 2);
        let mut rows = host.sql("SELECT fingerprint, secret FROM idempotency", &[]);
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    });
    assert_eq!(begun[1], begun[2]);
    assert_eq!(begun[3][0], begun[0][0]);
    for (one, other) in [(0, 1), (1, 3), (0, 3)] {
        assert_ne!(begun[one], begun[other]);
    }
}
