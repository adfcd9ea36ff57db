//! Which key may do what (contract §13): every route of the table with every scope.

use serde_json::{Value as Json, json};
use tenants_core::sql::Value;
use tenants_core::{Served, served};

use crate::ask::{
    Ask, delete, delete_with_tables, get, head, install, new_plan, new_tenant, patch, post, put,
    reset,
};
use crate::cells_statements::requests_of_cells;
use crate::filled::host_with_tables;
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::session_statements::SESSION_ID;
use crate::statements::poll;
use crate::webhooks::WEBHOOK;

const SCOPES: [&str; 14] = [
    "tenants:read",
    "tenants:write",
    "plans:read",
    "plans:write",
    "sites",
    "traefik",
    "audit",
    "events",
    "keys",
    "cells",
    "webhooks:read",
    "webhooks:write",
    "cell:eu",
    "*",
];

/// A request of a route that a key with every scope may do. A route that is missing here fails the tests.
pub(crate) fn example(route: &Served) -> Ask {
    let ask = match (route.method, route.path.as_str()) {
        ("POST", "/_/api/4/auth/verify") => post("/auth/verify", ""),
        ("GET", "/_/api/4/config/traefik") => poll(),
        ("GET", "/_/api/4/tenants") => get("/tenants"),
        ("POST", "/_/api/4/tenants") => new_tenant("new"),
        ("GET", "/_/api/4/tenants/{id}") => get("/tenants/a"),
        ("PUT", "/_/api/4/tenants/{id}") => put(
            "/tenants/new",
            r#"{"hostname":"new.example.com","is_enabled":true}"#,
        ),
        ("PUT", "/_/api/4/tenants-plans/{id}") => put("/tenants-plans/new", "{}"),
        ("PATCH", "/_/api/4/tenants/{id}") => patch("/tenants/a", r#"{"is_enabled":false}"#),
        ("DELETE", "/_/api/4/tenants/{id}") => delete("/tenants/a"),
        ("GET", "/_/api/4/tenants/{id}/settings") => get("/tenants/a/settings"),
        ("POST", "/_/api/4/tenants/{id}/install") => install("not-yet"),
        ("PATCH", "/_/api/4/tenants/{id}/user-password-reset") => reset("a"),
        ("GET", "/_/api/4/tenants-plans") => get("/tenants-plans"),
        ("POST", "/_/api/4/tenants-plans") => new_plan("new"),
        ("GET", "/_/api/4/tenants-plans/{id}") => get("/tenants-plans/p"),
        ("PATCH", "/_/api/4/tenants-plans/{id}") => patch("/tenants-plans/p", r#"{"env":{}}"#),
        ("GET", "/_/api/4/keys") => get("/keys"),
        ("POST", "/_/api/4/keys") => post("/keys", r#"{"scopes":["keys"]}"#),
        ("GET", "/_/api/4/keys/{id}") => get("/keys/2"),
        ("PATCH", "/_/api/4/keys/{id}") => patch("/keys/2", r#"{"name":"x"}"#),
        ("DELETE", "/_/api/4/keys/{id}") => delete("/keys/2"),
        ("POST", "/_/api/4/keys/{id}/rotate") => post("/keys/2/rotate", ""),
        ("GET", "/_/api/4/audit") => get("/audit"),
        ("GET", "/_/api/4/events") => get("/events"),
        ("POST", "/_/api/4/webhooks") => post(
            "/webhooks",
            r#"{"url":"https://hooks.example.com/","types":["tenant.*"]}"#,
        ),
        ("PATCH", "/_/api/4/webhooks/{id}") => {
            patch(&format!("/webhooks/{WEBHOOK}"), r#"{"is_enabled":false}"#)
        }
        (method, path) if path.starts_with("/_/api/4/webhooks") => Ask::new(
            method,
            path.replace("{id}", WEBHOOK)
                .replace("{event}", "fedcba9876543210.1"),
        ),
        ("GET", "/_/console/sessions") => Ask::new("GET", "/_/console/sessions"),
        ("DELETE", "/_/console/sessions/{id}") => {
            Ask::new("DELETE", format!("/_/console/sessions/{SESSION_ID}"))
        }
        ("DELETE", "/_/api/4/tenants-plans/{id}") => delete("/tenants-plans/p"),
        ("PUT", "/_/api/4/tenants/{id}/holds/{kind}") => {
            put("/tenants/a/holds/abuse", r#"{"reason":"r"}"#)
        }
        ("POST", "/_/api/4/tenants/{id}/erase") => post("/tenants/a/erase", ""),
        ("POST", "/_/api/4/tenants/{id}/restore") => post("/tenants/deleted/restore", ""),
        ("DELETE", "/_/api/4/tenants/{id}/holds/{kind}") => delete("/tenants/on-eu/holds/admin"),
        ("GET", "/_/api/4/tenants/{id}/hostnames") => get("/tenants/a/hostnames"),
        ("PUT", "/_/api/4/tenants/{id}/hostnames/{hostname}") => {
            put("/tenants/a/hostnames/new.example", r#"{"kind":"alias"}"#)
        }
        ("DELETE", "/_/api/4/tenants/{id}/hostnames/{hostname}") => {
            delete("/tenants/on-eu/hostnames/alias.example")
        }
        ("POST", "/_/api/4/tenants/{id}/hostnames/{hostname}/verify") => {
            post("/tenants/on-eu/hostnames/alias.example/verify", "")
        }
        ("POST", "/_/api/4/tenants/{id}/move") => {
            post("/tenants/on-eu/move", r#"{"cell_id":"us"}"#)
        }
        (method, path) if path.contains("/cells") || path.contains("/jobs") => {
            let name = format!("{method} {}", path.trim_start_matches("/_/api/4"));
            let found = requests_of_cells().into_iter().find(|(of, ..)| *of == name);
            found.unwrap_or_else(|| panic!("{name} needs an example")).1
        }
        (method, path) => match path.strip_prefix("/api/4/_") {
            Some(below) => {
                let current = Served {
                    path: format!("/_/api/4{below}"),
                    ..route.clone()
                };
                let ask = match (method, below) {
                    ("POST", "/tenants") => post(
                        "/tenants",
                        r#"{"tenant_id":"new","hostname":"new.example.com","is_enabled":1}"#,
                    ),
                    ("POST", "/tenants-plans") => {
                        post("/tenants-plans", r#"{"plan_id":"new","name":"New"}"#)
                    }
                    _ => example(&current),
                };
                return ask.legacy();
            }
            None => panic!("{method} {path} needs an example"),
        },
    };
    let bases = ["/_/api/4", "/_/console/"];
    assert!(
        bases.iter().any(|base| ask.target.starts_with(base)),
        "{route:?}"
    );
    ask
}

/// Every route that an ordinary key can ask. Only a session asks for itself, and only a bound key begins one (`sessions.rs`).
pub(crate) fn asked_by_keys() -> impl Iterator<Item = Served> {
    served()
        .into_iter()
        .filter(|route| route.path != "/_/console/session")
}

/// The scopes that a request needs: its route's, and one more if it drops tables.
fn cases() -> Vec<(Ask, Vec<&'static str>)> {
    let mut cases: Vec<(Ask, Vec<&'static str>)> = asked_by_keys()
        .filter_map(|route| Some((example_of(&route)?, route.scopes.clone()?)))
        .collect();
    cases.push((delete_with_tables("a"), vec!["tenants:write", "sites"]));
    cases.push((head("/tenants"), vec!["tenants:read"]));
    cases.push((
        get("/tenants?is_enabled=true&count=true"),
        vec!["tenants:read"],
    ));
    cases.push((get("/tenants-plans?label=a"), vec!["plans:read"]));
    cases
}

fn example_of(route: &Served) -> Option<Ask> {
    route.scopes.as_ref().map(|_| example(route))
}

/// Whether a key with `own` has `needed`.
fn contains(ask: &Ask, own: &[&str], needed: &str) -> bool {
    // The agent's routes of the cell `eu`.
    let of_agent = ["/tenants", "/stats", "/lease", "/renew", "/finish"]
        .iter()
        .any(|end| ask.target.ends_with(end) && !ask.target.ends_with("4/tenants"));
    if needed == "cells" && of_agent && own.contains(&"cell:eu") {
        return true;
    }
    let write = needed.replace(":read", ":write");
    own.iter().any(|own| [needed, &write, "*"].contains(own))
}

/// The missing scopes as the response names them: of the routes of the agent of the cell `eu`, its own scope.
fn named(ask: &Ask, missing: Vec<&'static str>) -> Vec<&'static str> {
    let is_of_agent = [
        "/cells/eu/tenants",
        "/cells/eu/stats",
        "/cells/eu/jobs/lease",
    ]
    .iter()
    .any(|end| ask.target.ends_with(end));
    if is_of_agent && missing == ["cells"] {
        vec!["cell:eu"]
    } else {
        missing
    }
}

fn assert_lacks(got: &Got, missing: &[&str]) {
    assert_eq!(got.status, 403, "{got:?}");
    let body = got.json();
    assert_eq!(body["code"], "insufficient_scope", "{got:?}");
    assert_eq!(body["scope"], json!(missing), "{got:?}");
    let detail = format!("this key lacks the scopes {}", missing.join(", "));
    assert_eq!(body["detail"], detail);
}

/// Sends each request with each set of scopes, and compares the response with the table.
fn matrix(sets: &[Vec<&str>]) {
    let mut host = host_with_tables();
    for (ask, needs) in cases() {
        for own in sets {
            let missing: Vec<&'static str> = needs
                .iter()
                .copied()
                .filter(|needed| !contains(&ask, own, needed))
                .collect();
            let key = host.issue_scoped(own);
            let ask = ask.clone().key(key);
            let got = host.ask(&ask);
            if missing.is_empty() {
                assert!(got.status < 300, "{own:?} {ask:?}: {got:?}");
                // A write may have changed what the next request needs.
                if !matches!(ask.method.as_str(), "GET" | "HEAD") {
                    host = host_with_tables();
                }
            } else if ask.method == "HEAD" {
                assert_eq!(got.status, 403, "{own:?} {ask:?}");
            } else {
                assert_lacks(&got, &named(&ask, missing));
            }
        }
    }
}

#[test]
fn each_scope_alone_opens_the_routes_that_the_table_says_and_no_other() {
    let sets: Vec<Vec<&str>> = SCOPES.iter().map(|scope| vec![*scope]).collect();
    matrix(&sets);
}

#[test]
fn without_one_scope_the_others_open_the_routes_that_the_table_says_and_no_other() {
    let every = &SCOPES[..SCOPES.len() - 1];
    let without = |left_out: &str| -> Vec<&str> {
        let write = left_out.replace(":read", ":write");
        let kept = every
            .iter()
            .filter(|scope| **scope != left_out && **scope != write);
        kept.copied().collect()
    };
    let sets: Vec<Vec<&str>> = every.iter().map(|scope| without(scope)).collect();
    matrix(&sets);
}

#[test]
fn keys_without_scopes_of_their_own_have_all() {
    let mut host = Host::new();
    assert_eq!(
        host.sql("SELECT scopes, permits FROM api_keys", &[]),
        [["*".into(), (-1).into()]]
    );
    host.expect(201, &new_tenant("a"));
}

#[test]
fn the_scope_is_judged_after_the_key_and_the_body_and_before_the_resource() {
    let mut host = host_with_tables();
    let key = host.issue_scoped(&["tenants:read"]);
    let edit = patch("/tenants/absent", r#"{"is_enabled":false}"#).key(&key);
    assert_lacks(&host.ask(&edit), &["tenants:write"]);
    host.refuse(
        422,
        &patch("/tenants/absent", r#"{"is_enabled":7}"#).key(&key),
    );
    host.expect(404, &get("/tenants/absent").key(&key));
    let id = host.db.last_insert_rowid();
    host.sql(
        "UPDATE api_keys SET deleted_at = ?1 WHERE id = ?2",
        &["2026".into(), id.into()],
    );
    assert_eq!(host.ask(&edit).status, 401);
}

/// Whoever has a key that was deleted could otherwise make the service read as much as a caller that may.
#[test]
fn the_database_gives_nothing_for_a_key_that_does_not_stand() {
    let mut host = host_with_tables();
    let (_, ended) = host.issue("ended", Some("2001-01-01 00:00:00"));
    let columns = [
        "hostname FROM tenants",
        "env FROM tenants",
        "hostname FROM tenant_hostnames",
        "token FROM audit_log",
        "digest FROM api_keys",
        "url FROM webhooks",
        "id FROM cell_work",
    ];
    let stored: Vec<Value> = columns
        .iter()
        .flat_map(|column| host.sql(&format!("SELECT {column}"), &[]))
        .flatten()
        .collect();
    for (ask, _) in cases() {
        let ask = ask.key(ended.as_str());
        let exchange = host.first(&ask);
        // A batch that breaks off gives nothing either.
        let results = host.run(exchange.batch()).unwrap_or_default();
        for value in results.into_iter().flatten().flatten() {
            let shown = format!("{value:?}");
            for other in &stored {
                let Value::Text(text) = other else { continue };
                // The caller named it, and the response does not show it.
                let is_asked_for = ask.target.contains(text.as_str());
                assert!(
                    is_asked_for || !shown.contains(text.as_str()),
                    "{} {}: {shown}",
                    ask.method,
                    ask.target
                );
            }
        }
    }
}

#[test]
fn an_id_that_nothing_can_have_is_judged_like_any_other() {
    let mut host = host_with_tables();
    let key = host.issue_scoped(&["audit"]);
    for (ask, missing) in [
        (get("/tenants/_"), &["tenants:read"][..]),
        (
            patch("/tenants/_", r#"{"is_enabled":true}"#),
            &["tenants:write"],
        ),
        (delete("/tenants/_"), &["tenants:write"]),
        (delete_with_tables("_"), &["tenants:write", "sites"]),
        (get("/tenants/_/settings"), &["tenants:read", "plans:read"]),
        (install("_"), &["sites"]),
        (reset("_"), &["sites"]),
        (get("/tenants-plans/_"), &["plans:read"]),
        (delete("/tenants-plans/_"), &["plans:write"]),
    ] {
        let exchange = host.first(&ask.key(&key));
        let rows = host.run(exchange.batch()).unwrap();
        let got = host.finish(&get("/"), exchange, Ok(rows));
        assert_lacks(&got, missing);
    }
}

/// A password's hash takes 45 ms or more, so the first of the two batches already refuses.
#[test]
fn nothing_is_hashed_for_a_key_without_the_scope() {
    let mut host = host_with_tables();
    let key = host.issue_scoped(&["tenants:write"]);
    for ask in [install("not-yet"), reset("a")] {
        let got = host.expect_first(403, &ask.key(&key));
        assert_lacks(&got, &["sites"]);
    }
}

/// The scope can also go missing between the two batches. (No route takes one away, but somebody at the database can.)
#[test]
fn the_second_batch_judges_the_scope_again() {
    for ask in [install("not-yet"), reset("a")] {
        let mut host = host_with_tables();
        let key = host.issue_scoped(&["sites"]);
        let ask = ask.key(&key);
        let before = host.dump();
        let exchange = host.exchange(&ask);
        host.sql("UPDATE api_keys SET permits = 1 WHERE permits = 16", &[]);
        let got = match host.run(exchange.batch()) {
            Ok(rows) => host.finish(&ask, exchange, Ok(rows)),
            Err(reason) => {
                let why = host.ask_why(&ask, exchange, &reason);
                let rows = host.run(why.batch()).unwrap();
                host.finish_why(&ask, why, Ok(rows))
            }
        };
        assert_lacks(&got, &["sites"]);
        host.sql("UPDATE api_keys SET permits = 16 WHERE permits = 1", &[]);
        assert_eq!(host.dump(), before);
    }
}

#[test]
fn enforced_settings_are_shown_to_keys_with_every_scope_only() {
    let mut host = Host::with(&[("CHEVERETO_TENANT_ENFORCED", r#"{"A":"enforced"}"#)]);
    host.expect(201, &new_tenant("a"));
    let shown = |host: &mut Host, scopes: &[&str]| -> Json {
        let key = host.issue_scoped(scopes);
        host.json(200, &get("/tenants/a/settings").key(key))
    };
    assert_eq!(
        shown(&mut host, &["*"]),
        json!({"A": {"value": "enforced", "source": "enforced"}})
    );
    let almost = &SCOPES[..SCOPES.len() - 1];
    assert_eq!(
        shown(&mut host, almost),
        json!({"A": {"value": null, "source": "enforced"}})
    );
}

/// A release that knows no scopes compares digests exactly. It must refuse a key that may do less than everything.
#[test]
fn a_key_with_fewer_scopes_has_a_digest_that_earlier_releases_do_not_match() {
    let mut host = Host::new();
    let key = host.issue_scoped(&["audit"]);
    host.expect(200, &post("/auth/verify", "").key(key));
    let id = host.db.last_insert_rowid();
    let digest = host.sql(
        "SELECT digest, upper(digest) FROM api_keys WHERE id = ?1",
        &[id.into()],
    );
    assert_eq!(digest[0][0], digest[0][1]);
}
