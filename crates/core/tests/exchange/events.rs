//! Events: the audit log as others follow it.

use rusqlite::StatementStatus;
use serde_json::{Value as Json, json};
use tenants_core::task::restored::Restored;
use tenants_core::task::stats::{Refresh, Which};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::run::Run;

use crate::ask::{delete, get, head, new_plan, new_tenant, patch, post, put};
use crate::costs::counted;
use crate::host::Host;
use crate::query_plans::{plan, walks};
use crate::statements::statements_of;

/// The epoch of every host of these tests.
const EPOCH: &str = "fedcba9876543210";

/// Sends a request for events. Returns them, and the path of the page after them.
fn page(host: &mut Host, path: &str) -> (Vec<Json>, String) {
    let got = host.expect(200, &get(path));
    let link = got.header("link").unwrap();
    let next = link.strip_prefix("</_/api/4").unwrap();
    let next = next.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    (got.json().as_array().unwrap().clone(), next)
}

/// The types of events, with a space between them.
fn types(events: &[Json]) -> String {
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    types.join(" ")
}

/// Adds entries with these numbers, of so many days ago.
fn add(host: &Host, numbers: std::ops::RangeInclusive<i64>, days: i64, action: &str) {
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM c WHERE n < ?2) \
         INSERT INTO audit_log (id, action, subject, request_id, created_at) \
         SELECT n, ?3, 'a', 'r', datetime('2026-08-18 23:16:57', ?4) FROM c",
        &[
            (*numbers.start()).into(),
            (*numbers.end()).into(),
            action.into(),
            format!("-{days} days").into(),
        ],
    );
}

#[test]
fn each_write_is_an_event_with_the_revision_and_the_names_of_what_changed() {
    let mut host = Host::new();
    let (_, mut next) = page(&mut host, "/events?after=now");
    host.expect(201, &new_plan("basic"));
    host.expect(201, &new_tenant("Shop"));
    host.expect(
        204,
        &patch(
            "/tenants/shop",
            r#"{"hostname":"new.example.com","env":{"A":"hidden"}}"#,
        ),
    );
    let key = host.json(201, &post("/keys", r#"{"name":"a","scopes":["audit"]}"#));
    host.expect(201, &put("/cells/eu", "{}"));
    host.expect(204, &delete(&format!("/keys/{}", key["id"])));
    let tag = |host: &mut Host, path: &str| {
        let got = host.expect(200, &get(path));
        got.header("etag").unwrap().trim_matches('"').to_owned()
    };
    let (plan, shop) = (
        tag(&mut host, "/tenants-plans/basic"),
        tag(&mut host, "/tenants/shop"),
    );
    host.expect(204, &delete("/tenants/shop"));

    let (events, after) = page(&mut host, &next);
    next = after;
    assert_eq!(
        types(&events),
        "plan.created tenant.created tenant.updated key.created cell.created key.deleted tenant.deleted"
    );
    let id = events[2]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        events[2],
        json!({
            "id": id, "type": "tenant.updated", "timestamp": "2026-08-18T23:16:57Z",
            "data": {"id": "shop", "revision": id, "changed": ["hostname", "env"]}
        })
    );
    // An `ETag` begins with the revision.
    for (event, tag) in [(0, plan), (2, shop)] {
        let revision = events[event]["data"]["revision"].as_str().unwrap();
        assert_eq!(tag.split('-').next(), Some(revision), "{tag}");
    }
    assert_eq!(events[3]["data"]["id"], key["id"].to_string());
    assert_eq!(events[6]["data"]["changed"], json!([]));

    // At the end: nothing, and the same cursor.
    assert_eq!(page(&mut host, &next), (vec![], next.clone()));
    let got = host.expect(200, &head(&next));
    assert!(got.header("link").is_some() && got.body.is_empty());
    host.expect(201, &new_tenant("b"));
    assert_eq!(types(&page(&mut host, &next).0), "tenant.created");
}

#[test]
fn pages_follow_each_other_and_a_type_keeps_up_with_the_log() {
    let mut host = Host::new();
    host.sql("DELETE FROM audit_log", &[]);
    for (numbers, action) in [
        (1..=3, "tenant.create"),
        (4..=5, "env.reseal"),
        (6..=6, "tenant.delete"),
        // Of a newer version.
        (7..=7, "tenant.thaw"),
        (8..=8, "registry.restore"),
    ] {
        add(&host, numbers, 0, action);
    }
    let all = "tenant.created tenant.created tenant.created tenant.deleted tenant.thaw";
    for limit in ["", "limit=1", "limit=2", "limit=4", "limit=1000"] {
        let (mut shown, mut path) = (Vec::new(), format!("/events?{limit}"));
        loop {
            let (events, next) = page(&mut host, &path);
            path = next;
            if events.is_empty() {
                break;
            }
            shown.extend(events);
        }
        assert_eq!(types(&shown), all, "{limit}");
        assert!(path.ends_with(&format!("after={EPOCH}.8")), "{path}");
    }
    let (events, next) = page(&mut host, "/events?type=tenant.created&limit=2");
    assert_eq!(types(&events), "tenant.created tenant.created");
    assert_eq!(
        next,
        format!("/events?limit=2&after={EPOCH}.2&type=tenant.created")
    );
    let (events, next) = page(&mut host, &next);
    assert_eq!(types(&events), "tenant.created");
    assert_eq!(
        next,
        format!("/events?limit=2&after={EPOCH}.8&type=tenant.created"),
        "the end of the log"
    );
    let (events, _) = page(&mut host, &format!("/events?after={EPOCH}.6"));
    assert_eq!(types(&events), "tenant.thaw");
}

#[test]
fn a_cursor_that_could_miss_an_event_is_a_410() {
    let mut host = Host::with(&[("TENANTS_AUDIT_DAYS", "30")]);
    host.sql("DELETE FROM audit_log", &[]);
    add(&host, 1..=10, 40, "tenant.create");
    // Its clock was ahead, so it keeps the older ones after it: a gap behind it would go unseen.
    add(&host, 11..=11, 1, "tenant.create");
    add(&host, 12..=15, 40, "tenant.create");
    let at = |number: i64| format!("/events?after={EPOCH}.{number}");
    for number in [0, 5, 15] {
        host.expect(200, &get(&at(number)));
    }
    let now = Timestamp::from_unix(host.now).unwrap();
    let task = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(1), 1);
    host.complete(task);
    for (number, status) in [(0, 410), (9, 410), (10, 200), (11, 200), (15, 200)] {
        let got = host.answered(status, &get(&at(number)));
        if status == 410 {
            assert_eq!(got.json()["code"], "cursor_gone");
        } else {
            assert_eq!(got.json().as_array().unwrap().len() as i64, 15 - number);
        }
    }
    // Without a cursor a reader begins with what is kept; and one that was never given is no cursor.
    assert_eq!(page(&mut host, "/events").0.len(), 5);
    host.answered(410, &get(&at(16)));
    let of_another = "/events?after=0000000000000000.12";
    assert_eq!(
        host.answered(410, &get(of_another)).json()["code"],
        "cursor_gone"
    );

    // A restore begins a new epoch.
    let (_, next) = page(&mut host, "/events?after=now");
    let restored = Restored::begin(&Run::new("cli-1"), &now);
    host.complete(restored);
    host.answered(410, &get(&next));
    let (events, _) = page(&mut host, "/events");
    assert_eq!(events.len(), 5);
    assert!(!events[0]["id"].as_str().unwrap().starts_with(EPOCH));
}

#[test]
fn an_unknown_or_malformed_parameter_of_events_is_a_422() {
    let mut host = Host::new();
    for (query, named) in [
        ("types=tenant.created", &["types"][..]),
        ("limit=0&after=1", &["limit", "after"]),
        ("limit=1001", &["limit"]),
        ("after=", &["after"]),
        ("after=now&after=now", &["after"]),
        ("type=tenant.create", &["type"]),
        ("type=env.reseal", &["type"]),
        ("type=tenant.created&type=tenant.created", &["type"]),
        ("since=2026-01-01%2000:00:00", &["since"]),
    ] {
        let got = host.refuse(422, &get(&format!("/events?{query}")));
        assert_eq!(got.named(), named, "{query}");
    }
    host.expect(405, &post("/events", "{}"));
}

/// A reader that polls at the end reads a few rows, however long the log is, and whatever its type.
#[test]
fn a_poll_at_the_end_of_a_long_log_reads_a_few_rows() {
    const MOST_STEPS: i32 = 300;
    let mut host = Host::new();
    host.sql("DELETE FROM audit_log", &[]);
    add(&host, 1..=100_000, 0, "tenant.create");
    for (query, step) in [
        (
            format!("after={EPOCH}.100000"),
            "SEARCH a USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            "after=now".into(),
            "SEARCH a USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            format!("after={EPOCH}.100000&type=tenant.created"),
            "SEARCH a USING INDEX audit_log_by_action (action=? AND rowid>?)",
        ),
        (
            format!("after={EPOCH}.1&type=plan.deleted"),
            "SEARCH a USING INDEX audit_log_by_action (action=? AND rowid>?)",
        ),
        (
            format!("after={EPOCH}.99990&limit=3"),
            "SEARCH a USING INTEGER PRIMARY KEY (rowid>?)",
        ),
    ] {
        let statements = statements_of(&mut host, &get(&format!("/events?{query}")));
        let mut steps = 0;
        let mut found = Vec::new();
        for statement in &statements {
            let (text, values) = (statement.text(), statement.values());
            steps += counted(&host.db, StatementStatus::VmStep, text, values);
            let plan = plan(&host.db, text, values);
            assert_eq!(walks(&plan), [""; 0], "{query}: {plan:?}");
            found.extend(plan);
        }
        assert!(
            found.iter().any(|found| found == step),
            "{query}: {found:?}"
        );
        assert!(steps < MOST_STEPS, "{query}: {steps} steps");
    }
}
