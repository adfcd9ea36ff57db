//! PUT of a tenant and of a plan (contract §12): the resource is made so, whether it was there or not.

use serde_json::{Value as Json, json};
use tenants_core::sql::Value;
use tenants_core::{Exchange, Step};

use crate::ask::{
    Ask, delete, get, install, new_plan, new_tenant, new_tenant_on, patch, post, put,
};
use crate::cells::host_with;
use crate::host::{Got, Host, SECRETS, WaitsForBatch as _};
use crate::invariants::ADOPTED;

const FULL: &str = r#"{"hostname":"a.example.com","is_enabled":true,"plan_id":"p","external_id":"e","labels":{"l":"1"},"limits":{"L":"1"},"env":{"A":"hidden-a"}}"#;
const BARE: &str = r#"{"hostname":"a.example.com","is_enabled":true}"#;
const FULL_PLAN: &str =
    r#"{"external_id":"e","labels":{"l":"1"},"limits":{"L":"1"},"env":{"A":"hidden-a"}}"#;

fn filled() -> Host {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan("p"));
    host
}

fn entries(host: &Host) -> Value {
    host.one("SELECT count(*) FROM audit_log")
}

/// The present state of a resource: its body and its `ETag`.
fn read(host: &mut Host, path: &str) -> (Json, String) {
    let got = host.expect(200, &get(path));
    (got.json(), got.header("etag").unwrap().to_owned())
}

/// The response has the resource as a read shows it, and no `ETag` (RFC 9110 §9.3.4).
fn assert_shows(host: &mut Host, got: &Got, path: &str) {
    assert_eq!(got.json(), read(host, path).0);
    assert_eq!(got.header("etag"), None);
    assert_eq!(got.header("preference-applied"), None);
}

#[test]
fn a_put_creates_what_is_not_there_and_replaces_what_is() {
    let mut host = filled();
    let got = host.expect(201, &put("/tenants/A", FULL));
    assert_eq!(got.header("location"), Some("/_/api/4/tenants/A"));
    assert_shows(&mut host, &got, "/tenants/a");
    let (full, _) = read(&mut host, "/tenants/a");
    host.now += 1;
    let got = host.expect(200, &put("/tenants/a", BARE));
    assert_eq!(got.header("location"), None);
    assert_shows(&mut host, &got, "/tenants/a");
    // What is left out is reset. The rest stays.
    let mut bare = full.clone();
    for (name, value) in [
        ("plan_id", json!(null)),
        ("external_id", json!(null)),
        ("labels", json!({})),
        ("limits", json!({})),
        ("env", json!({})),
        ("updated_at", json!("2026-08-18 23:16:58")),
    ] {
        assert_ne!(bare[name], value, "{name}");
        bare[name] = value;
    }
    assert_eq!(got.json(), bare);
    host.now += 1;
    let mut again = host.expect(200, &put("/tenants/A", FULL)).json();
    again["updated_at"] = full["updated_at"].clone();
    assert_eq!(again, full);

    let got = host.expect(201, &put("/tenants-plans/Q", FULL_PLAN));
    assert_eq!(got.header("location"), Some("/_/api/4/tenants-plans/Q"));
    assert_shows(&mut host, &got, "/tenants-plans/q");
    let got = host.expect(200, &put("/tenants-plans/q", "{}"));
    assert_shows(&mut host, &got, "/tenants-plans/q");
    let plan = got.json();
    let reset = json!([
        plan["external_id"],
        plan["labels"],
        plan["limits"],
        plan["env"]
    ]);
    assert_eq!(reset, json!([null, {}, null, null]));
}

/// The same body in other words: nothing is written, not even `updated_at`.
#[test]
fn a_put_that_changes_nothing_writes_nothing() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    host.expect(
        201,
        &put("/tenants-plans/q", FULL_PLAN.replace("\"e\"", "\"f\"")),
    );
    host.expect(201, &put("/tenants/bare", BARE.replace("a.ex", "b.ex")));
    host.now += 60;
    let other_words = r#"{"env":{"A":"hidden-a"},"limits":{"L":1},"plan_id":"P","is_enabled":true,"hostname":"A.Example.com","labels":{"l":"1"},"external_id":"e"}"#;
    let bare = r#"{"hostname":"b.example.com","is_enabled":true,"plan_id":"","limits":[],"env":null,"labels":[],"external_id":null}"#;
    for (path, bodies) in [
        ("/tenants/a", [FULL, other_words]),
        ("/tenants/bare", [&BARE.replace("a.ex", "b.ex"), bare]),
        (
            "/tenants-plans/q",
            [
                &FULL_PLAN.replace("\"e\"", "\"f\""),
                &FULL_PLAN
                    .replace("\"e\"", "\"f\"")
                    .replace("\"1\"}", "\"1\"} "),
            ],
        ),
    ] {
        let before = (host.dump(), read(&mut host, path));
        for body in bodies {
            let path = path
                .to_uppercase()
                .replace("TENANTS-PLANS", "tenants-plans")
                .replace("TENANTS", "tenants");
            let got = host.expect(200, &put(&path, body));
            assert_shows(&mut host, &got, &path);
        }
        assert_eq!((host.dump(), read(&mut host, path)), before);
    }
    // A plan's empty map is not the same as none.
    host.expect(200, &put("/tenants-plans/q", r#"{"limits":{}}"#));
    assert_eq!(read(&mut host, "/tenants-plans/q").0["limits"], json!({}));
}

/// An older client erases nothing that it does not know.
#[test]
fn members_that_a_put_does_not_know_stay() {
    let mut host = host_with(&[("TENANTS_DEFAULT_CELL", "us")]);
    // A new tenant gets the default cell, and one that is there keeps its own.
    host.expect(201, &put("/tenants/a", BARE));
    assert_eq!(read(&mut host, "/tenants/a").0["cell_id"], "us");
    host.expect(201, &new_tenant_on("b", "eu"));
    let body = r#"{"hostname":"b.example.com","is_enabled":false}"#;
    host.expect(200, &put("/tenants/b", body));
    assert_eq!(read(&mut host, "/tenants/b").0["cell_id"], "eu");
    for (cell, expected) in [
        ("\"US\"", json!("us")),
        ("\"us\"", json!("us")),
        ("null", json!(null)),
    ] {
        let body = format!(r#"{{"hostname":"b.example.com","is_enabled":false,"cell_id":{cell}}}"#);
        let got = host.expect(200, &put("/tenants/b", body));
        assert_eq!(got.json()["cell_id"], expected);
    }
    // The time of its creation, and what is installed.
    host.expect(201, &install("b"));
    host.now += 1;
    let before = read(&mut host, "/tenants/b").0;
    let got = host
        .expect(200, &put("/tenants/b", body.replace("false", "true")))
        .json();
    for member in ["id", "created_at", "stats", "last_job_at", "site"] {
        assert_eq!(got[member], before[member], "{member}");
    }
    host.expect(
        409,
        &put("/tenants/b", body.replace('}', r#","cell_id":"eu"}"#)),
    );

    // The legacy members of a plan.
    let plan = r#"{"plan_id":"q","name":"Name","description":"Text"}"#;
    host.expect(201, &post("/tenants-plans", plan).legacy());
    host.expect(200, &put("/tenants-plans/q", r#"{"limits":{"L":"1"}}"#));
    let plan = host.json(200, &get("/tenants-plans/q").legacy());
    assert_eq!(
        (&plan["name"], &plan["description"]),
        (&json!("Name"), &json!("Text"))
    );
}

/// Only what differs is set, so that an `env` is not encrypted again without need.
#[test]
fn a_put_leaves_the_columns_that_are_so_already() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    let env = |host: &Host| host.one("SELECT env FROM tenants");
    let before = env(&host);
    host.expect(
        200,
        &put("/tenants/a", FULL.replace("\"L\":\"1\"", "\"L\":\"2\"")),
    );
    assert_eq!(env(&host), before);
    host.expect(
        200,
        &put("/tenants/a", FULL.replace("hidden-a", "hidden-b")),
    );
    assert_ne!(env(&host), before);
    let labels = FULL.replace(r#"{"l":"1"}"#, r#"{"m":"2"}"#);
    host.expect(200, &put("/tenants/a", labels));
    assert_eq!(read(&mut host, "/tenants/a").0["labels"], json!({"m": "2"}));
}

#[test]
fn an_env_that_cannot_be_decrypted_counts_as_different() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    host.sql("UPDATE tenants SET env = '1.00000000.x'", &[]);
    host.sql("UPDATE tenants_plans SET env = '1.00000000.x'", &[]);
    host.ask(&get("/tenants/a"));
    host.expect(200, &put("/tenants/a", FULL));
    assert_eq!(
        read(&mut host, "/tenants/a").0["env"],
        json!({"A": "hidden-a"})
    );
    host.sql("UPDATE tenants SET env = '1.00000000.x'", &[]);
    host.expect(200, &put("/tenants/a", BARE));
    assert_eq!(read(&mut host, "/tenants/a").0["env"], json!({}));
    host.expect(200, &put("/tenants-plans/p", "{}"));
    // Other columns that cannot be read are our fault, and nothing is written.
    host.sql("UPDATE tenants SET stats = '{}'", &[]);
    let before = host.dump();
    assert_eq!(host.ask(&put("/tenants/a", FULL)).status, 500);
    assert_eq!(host.dump(), before);
}

#[test]
fn without_an_encryption_key_only_a_put_with_an_env_is_refused() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    host.configure(&[("CHEVERETO_ENCRYPTION_KEY", "")]);
    assert_eq!(host.ask(&put("/tenants/a", FULL)).status, 503);
    host.expect(200, &put("/tenants/a", BARE));
    host.expect(200, &put("/tenants/a", BARE));
    host.configure(&[("CHEVERETO_ENCRYPTION_KEY", SECRETS[2].1)]);
    assert_eq!(read(&mut host, "/tenants/a").0["env"], json!({}));
}

#[test]
fn a_put_is_refused_as_a_post_and_a_patch_are() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    host.expect(201, &new_tenant("b"));
    for (status, pointers, ask) in [
        (
            422,
            &["/id"][..],
            put(
                "/tenants/b",
                r#"{"id":"b","hostname":"b","is_enabled":true}"#,
            ),
        ),
        (422, &["/hostname", "/is_enabled"], put("/tenants/b", "{}")),
        (
            422,
            &["/id", "/hostname", "/x"],
            put("/tenants/_", r#"{"hostname":"","is_enabled":true,"x":1}"#),
        ),
        (422, &["/id"], put("/tenants-plans/a%20b", "{}")),
        (
            422,
            &["/id", "/id"],
            put("/tenants-plans/_", r#"{"id":"p"}"#),
        ),
        (422, &["/name"], put("/tenants-plans/p", r#"{"name":"N"}"#)),
        (
            422,
            &["/plan_id", "/cell_id"],
            put(
                "/tenants/b",
                r#"{"hostname":"b","is_enabled":true,"plan_id":"x","cell_id":"x"}"#,
            ),
        ),
        (
            422,
            &["/plan_id"],
            put(
                "/tenants/new",
                r#"{"hostname":"n","is_enabled":true,"plan_id":"x"}"#,
            ),
        ),
        (409, &["/hostname", "/external_id"], put("/tenants/b", FULL)),
        (
            409,
            &["/hostname", "/external_id"],
            put("/tenants/new", FULL),
        ),
    ] {
        let before = host.dump();
        let got = host.ask(&ask);
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
        let errors = got.json()["errors"].clone();
        let named: Vec<&str> = errors
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e["pointer"].as_str())
            .collect();
        assert_eq!(named, pointers, "{ask:?}");
        assert_eq!(host.dump(), before);
    }
    host.refuse(405, &put("/tenants/a", FULL).legacy());
    host.refuse(405, &put("/tenants-plans/a", "{}").legacy());
    host.refuse(405, &put("/tenants", FULL));
    host.refuse(400, &put("/tenants/a", ""));
    host.refuse(401, &put("/tenants/a", FULL).no_signature());
    host.sql("UPDATE api_keys SET permits = 0", &[]);
    host.expect(403, &put("/tenants/a", FULL));
    host.expect(403, &put("/tenants-plans/new", "{}"));
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &put("/tenants/new", BARE));
}

#[test]
fn if_match_and_if_none_match_decide_whether_it_is_made_so() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    for (path, same, other, new) in [
        ("/tenants/a", FULL, BARE, BARE.replace("a.ex", "new.ex")),
        (
            "/tenants-plans/p",
            r#"{"limits":{"L":"1"},"env":{"E":"hidden-plan"}}"#,
            "{}",
            "{}".to_owned(),
        ),
    ] {
        let (_, tag) = read(&mut host, path);
        let revision = tag.trim_matches('"').split_once('-').unwrap().0.to_owned();
        let failed = |host: &mut Host, ask: Ask| {
            let before = host.dump();
            let got = host.expect(412, &ask);
            assert_eq!(got.json()["code"], "precondition_failed");
            assert_eq!(host.dump(), before);
        };
        // Whether it would change anything or not.
        for body in [same, other] {
            failed(&mut host, put(path, body).if_none_match("*"));
            failed(&mut host, put(path, body).if_none_match(&tag));
            failed(&mut host, put(path, body).if_match("\"x-1\""));
            failed(&mut host, put(path, body).if_match(format!("W/{tag}")));
        }
        host.expect(200, &put(path, same).if_match(&tag).if_none_match("\"x\""));
        host.expect(200, &put(path, other).if_match(format!("\"{revision}-0\"")));
        failed(&mut host, put(path, same).if_match(&tag));
        host.expect(200, &put(path, same).if_match("*"));
        let missing = format!("{}/new", path.rsplit_once('/').unwrap().0);
        failed(&mut host, put(&missing, &new).if_match("*"));
        failed(&mut host, put(&missing, &new).if_match(&tag));
        host.expect(201, &put(&missing, &new).if_none_match("*"));
        failed(&mut host, put(&missing, &new).if_none_match("*"));
        host.refuse(400, &put(&missing, &new).if_none_match("x"));
        host.refuse(400, &put(&missing, &new).if_match(""));
    }
}

/// Every outcome: created, changed, unchanged.
#[test]
fn the_same_request_again_gets_the_first_response_whatever_happened_since() {
    for (ask, status) in [
        (put("/tenants/New", BARE.replace("a.ex", "n.ex")), 201),
        (put("/tenants/A", BARE), 200),
        (put("/tenants/a", FULL), 200),
        (
            put("/tenants-plans/new", FULL_PLAN.replace("\"e\"", "\"f\"")),
            201,
        ),
        (put("/tenants-plans/p", r#"{"env":{"A":"hidden"}}"#), 200),
        (
            put(
                "/tenants-plans/P",
                r#"{"limits":{"L":"1"},"env":{"E":"hidden-plan"}}"#,
            ),
            200,
        ),
    ] {
        let mut host = filled();
        host.expect(201, &put("/tenants/a", FULL));
        let ask = ask.idempotency_key("k");
        let first = host.expect(status, &ask);
        host.now += 1;
        for changes in [&[][..], &["a", "new"][..]] {
            for id in changes {
                host.ask(&delete(&format!("/tenants/{id}")));
                host.ask(&delete(&format!("/tenants-plans/{id}")));
            }
            host.ask(&delete("/tenants-plans/none"));
            let before = host.dump();
            let again = host.expect(status, &ask);
            assert_eq!(
                again.header("idempotency-replayed"),
                Some("true"),
                "{ask:?}"
            );
            assert_eq!(again.body, first.body);
            assert_eq!(again.header("location"), first.header("location"));
            assert_eq!(host.dump(), before);
            let got = host.expect(
                422,
                &put("/tenants/a", BARE.replace("true", "false")).idempotency_key("k"),
            );
            assert_eq!(got.json()["code"], "idempotency_key_reused");
            // The replay comes before the comparison of versions.
            host.expect(status, &ask.clone().if_match("\"x-1\""));
        }
    }
}

/// Runs the first batch of a PUT, the read, and returns the exchange that waits for the second one.
fn read_by(host: &mut Host, ask: &Ask) -> Exchange {
    let first = host.first(ask);
    let rows = host.run(first.batch()).unwrap();
    host.second(ask, first, rows)
}

/// Both read before either writes.
#[test]
fn of_two_at_once_the_later_one_reads_again() {
    let create = put("/tenants/a", FULL);
    let other = put("/tenants/a", FULL.replace("\"1\"", "\"2\""));
    let third = put("/tenants/a", FULL.replace("\"1\"", "\"3\""));
    for (one, two, is_there, statuses, written) in [
        (&create, &create, false, (201, 200), 1),
        (&create, &other, false, (201, 200), 2),
        (&other, &third, true, (200, 200), 2),
        (&other, &other, true, (200, 200), 1),
    ] {
        for keys in [
            None,
            Some(["k-1", "k-2"]),
            Some(["k", "k"]).filter(|_| core::ptr::eq(one, two)),
        ] {
            let mut host = filled();
            if is_there {
                host.expect(201, &create);
            }
            let [one, two] = match keys {
                None => [one.clone(), two.clone()],
                Some([a, b]) => [
                    one.clone().idempotency_key(a),
                    two.clone().idempotency_key(b),
                ],
            };
            let (first, second) = (read_by(&mut host, &one), read_by(&mut host, &two));
            let before = entries(&host);
            let got = host.finish_with(&one, first, |host, batch| host.run(batch));
            assert_eq!(got.status, statuses.0, "{got:?}");
            let again = host.finish_with(&two, second, |host, batch| host.run(batch));
            let is_replay = keys.is_some_and(|[a, b]| a == b);
            assert_eq!(again.header("idempotency-replayed").is_some(), is_replay);
            assert_eq!(
                again.status,
                if is_replay { statuses.0 } else { statuses.1 },
                "{again:?}"
            );
            let (Value::Integer(before), Value::Integer(after)) = (before, entries(&host)) else {
                panic!("counts");
            };
            assert_eq!(after - before, written);
            // The later one's state is the one that stays.
            let shown = read(&mut host, "/tenants/a").0;
            assert_eq!(again.json()["limits"], shown["limits"]);
        }
    }
}

/// The resource goes away, or comes, between the read and the write.
#[test]
fn a_put_creates_what_was_deleted_meanwhile_and_changes_what_was_created() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    let ask = put("/tenants/a", BARE);
    let exchange = read_by(&mut host, &ask);
    host.expect(204, &delete("/tenants/a"));
    let got = host.finish_with(&ask, exchange, |host, batch| host.run(batch));
    assert_eq!(
        (got.status, got.header("location")),
        (201, Some("/_/api/4/tenants/a"))
    );

    // With If-Match it is a 412 by then.
    let (_, tag) = read(&mut host, "/tenants/a");
    let ask = put("/tenants/a", FULL).if_match(tag);
    for change in [
        patch("/tenants/a", r#"{"is_enabled":false}"#),
        delete("/tenants/a"),
    ] {
        let mut host = filled();
        host.expect(201, &put("/tenants/a", BARE));
        let (_, tag) = read(&mut host, "/tenants/a");
        let ask = ask.clone().if_match(tag);
        let exchange = read_by(&mut host, &ask);
        host.expect(204, &change);
        let before = host.dump();
        let got = host.finish_with(&ask, exchange, |host, batch| host.run(batch));
        assert_eq!(got.status, 412, "{got:?}");
        assert_eq!(host.dump(), before);
    }

    let ask = put("/tenants-plans/q", FULL_PLAN);
    let exchange = read_by(&mut host, &ask);
    host.expect(201, &new_plan("q"));
    let got = host.finish_with(&ask, exchange, |host, batch| host.run(batch));
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(
        read(&mut host, "/tenants-plans/q").0["env"],
        json!({"A": "hidden-a"})
    );
}

/// An unchanged one is remembered only if the resource is unchanged still.
#[test]
fn an_unchanged_put_with_a_key_is_judged_again_if_the_resource_changes_meanwhile() {
    let mut host = filled();
    host.expect(201, &put("/tenants/a", FULL));
    let ask = put("/tenants/a", FULL).idempotency_key("k");
    let exchange = read_by(&mut host, &ask);
    host.now += 1;
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    let got = host.finish_with(&ask, exchange, |host, batch| host.run(batch));
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(read(&mut host, "/tenants/a").0["is_enabled"], true);
    let again = host.expect(200, &ask);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.body),
        (Some("true"), &got.body)
    );
}

#[test]
fn a_put_gives_up_if_the_resource_changes_every_time() {
    for ask in [
        put("/tenants/a", FULL),
        put("/tenants/a", FULL).idempotency_key("k"),
    ] {
        let mut host = filled();
        host.expect(201, &put("/tenants/a", BARE));
        let mut exchange = host.first(&ask);
        let mut batches = 0;
        let got = loop {
            // Before each write somebody else has written.
            if batches % 2 == 1 {
                host.expect(
                    204,
                    &patch("/tenants/a", format!(r#"{{"limits":{{"N":{batches}}}}}"#)),
                );
            }
            batches += 1;
            let rows = host.run(exchange.batch());
            match host.resumed(exchange, rows) {
                Step::Run(next) => exchange = next,
                step @ Step::Done(_) => break host.sent(&ask, step, false).unwrap(),
            }
        };
        assert_eq!((got.status, batches), (503, 10), "{got:?}");
        assert_eq!(got.json()["code"], "unavailable");
        assert!(got.header("retry-after").is_some());
        assert_eq!(read(&mut host, "/tenants/a").0["plan_id"], json!(null));
        assert_eq!(
            host.one("SELECT count(*) FROM idempotency"),
            Value::Integer(0)
        );
    }
}

#[test]
fn a_new_tenant_takes_over_the_tables_of_a_deleted_one_or_is_refused() {
    let mut host = filled();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    host.expect(204, &delete("/tenants/a"));
    let got = host.expect(201, &put("/tenants/a", BARE).idempotency_key("k"));
    assert_eq!(got.log.cause.as_deref(), Some(ADOPTED));
    let site = json!({"state": "installed", "job_id": null, "adopted": true});
    assert_eq!(got.json()["site"], site);
    host.expect(204, &delete("/tenants/a"));
    // The replay tells of it, too. Only the first one is in the log.
    let before = host.dump();
    let exchange = host.first(&put("/tenants/a", BARE).idempotency_key("k"));
    let rows = host.run(exchange.batch());
    let Step::Done(answer) = host.resumed(exchange, rows) else {
        panic!("a replay takes one batch");
    };
    assert_eq!(*answer.response.body, got.body);
    assert_eq!(host.dump(), before);

    host.configure(&[("TENANTS_REUSED_ID", "refuse")]);
    let got = host.expect(409, &put("/tenants/a", BARE));
    assert_eq!(got.json()["code"], "site_exists");
}
