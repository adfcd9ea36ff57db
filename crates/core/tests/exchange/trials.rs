//! `?validate_only=true` (contract §12): every write can be tried, and a trial writes nothing.

use serde_json::{Value as Json, json};
use tenants_core::Served;

use crate::ask::{
    Ask, delete, delete_with_tables, get, head, install, new_plan, new_tenant, new_tenant_on,
    patch, post, put, reset,
};
use crate::cells::host_with_cells;
use crate::cells_jobs::drive;
use crate::filled::host_with_tables;
use crate::host::{Got, Host};
use crate::scopes::{asked_by_keys, example};

/// Sends a request to its end, on a host that does not wait.
fn send(host: &mut Host, ask: &Ask) -> Got {
    drive(host, ask, |_, _| false)
}

/// Sends a request as a trial. The database must be byte for byte the same afterwards.
fn try_it(host: &mut Host, ask: &Ask) -> Got {
    let before = host.dump();
    let got = send(host, &ask.clone().tried());
    assert_eq!(host.dump(), before, "{ask:?}");
    got
}

fn assert_valid(got: &Got) {
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.body, r#"{"valid":true}"#);
    for header in [
        "location",
        "etag",
        "preference-applied",
        "idempotency-replayed",
    ] {
        assert_eq!(got.header(header), None, "{got:?}");
    }
}

/// Every route of the table that writes.
fn writes() -> impl Iterator<Item = Served> {
    asked_by_keys().filter(|route| route.method != "GET" && !route.path.ends_with("/auth/verify"))
}

#[test]
fn every_route_that_writes_can_be_tried_and_then_be_carried_out() {
    let mut routes = 0;
    for route in writes() {
        let ask = example(&route);
        let mut host = host_with_tables();
        assert_valid(&try_it(&mut host, &ask));
        let before = host.dump();
        let got = send(&mut host, &ask);
        assert!(got.status < 300, "{ask:?}: {got:?}");
        // A hostname for which no proof was asked stays as it is, and so does a webhook that this host cannot try.
        let stays = ["/verify", "/test"]
            .iter()
            .any(|end| route.path.ends_with(end));
        assert_eq!(host.dump() == before, stays, "{ask:?} writes");
        routes += 1;
    }
    assert_eq!(routes, 42);
    let more = [
        delete_with_tables("a"),
        install("on-eu"),
        reset("on-eu"),
        put("/tenants/a", r#"{"hostname":"b","is_enabled":true}"#),
        put("/tenants-plans/p", r#"{"env":{"A":"hidden"}}"#),
        put("/cells/new", "{}"),
        patch("/tenants/a", r#"{"env":null}"#).prefer("return=representation"),
    ];
    for ask in more {
        assert_valid(&try_it(&mut host_with_tables(), &ask));
    }
}

/// What the real request would be refused for, the database's conditions included.
#[test]
fn a_trial_has_the_error_of_the_real_request() {
    let lease = "f".repeat(32);
    let refused = [
        (409, new_tenant("a")),
        (409, new_tenant("A")),
        (
            422,
            post(
                "/tenants",
                r#"{"id":"b","hostname":"b","is_enabled":true,"plan_id":"gone"}"#,
            ),
        ),
        (422, new_tenant_on("b", "gone")),
        (404, patch("/tenants/gone", r#"{"is_enabled":true}"#)),
        (404, patch("/tenants/_", r#"{"is_enabled":true}"#)),
        (
            409,
            patch("/tenants/not-yet", r#"{"hostname":"a.example.com"}"#),
        ),
        (422, patch("/tenants/a", r#"{"plan_id":"gone"}"#)),
        (409, patch("/tenants/a", r#"{"cell_id":"eu"}"#)),
        (404, delete("/tenants/gone")),
        (404, delete_with_tables("gone")),
        (404, delete_with_tables("_")),
        (409, install("a")),
        (404, install("gone")),
        (404, reset("gone")),
        (404, reset("not-yet")),
        (
            404,
            patch("/tenants/a/user-password-reset", r#"{"username":"nobody"}"#),
        ),
        (409, new_plan("P")),
        (404, patch("/tenants-plans/gone", r#"{"limits":null}"#)),
        (404, delete("/tenants-plans/gone")),
        (
            409,
            put(
                "/tenants/new",
                r#"{"hostname":"a.example.com","is_enabled":true}"#,
            ),
        ),
        (
            409,
            put(
                "/tenants/not-yet",
                r#"{"hostname":"a.example.com","is_enabled":true}"#,
            ),
        ),
        (
            422,
            put(
                "/tenants/new",
                r#"{"hostname":"n","is_enabled":true,"plan_id":"gone"}"#,
            ),
        ),
        (404, patch("/keys/99", r#"{"name":"x"}"#)),
        (404, delete("/keys/99")),
        (404, post("/keys/99/rotate", "")),
        (409, delete("/cells/eu")),
        (404, delete("/cells/gone")),
        (404, put("/tenants/gone/holds/abuse", r#"{"reason":"r"}"#)),
        (404, delete("/tenants/gone/holds/abuse")),
        (404, delete("/tenants/a/holds/abuse")),
        (
            404,
            put("/tenants/gone/hostnames/b.example", r#"{"kind":"alias"}"#),
        ),
        (
            409,
            put("/tenants/a/hostnames/a.example.com", r#"{"kind":"alias"}"#),
        ),
        (404, delete("/tenants/a/hostnames/b.example")),
        (409, post("/tenants/a/move", r#"{"cell_id":"eu"}"#)),
        (404, post("/tenants/gone/move", r#"{"cell_id":"eu"}"#)),
        (422, post("/tenants/on-eu/move", r#"{"cell_id":"gone"}"#)),
        (
            404,
            post("/cells/gone/jobs/lease", r#"{"max":1,"seconds":60}"#),
        ),
        (404, post("/cells/gone/stats", r#"{"tenants":[]}"#)),
        (409, post("/jobs/job-running/cancel", "")),
        (404, post("/jobs/gone/cancel", "")),
        (
            409,
            post(
                "/jobs/job-running/renew",
                format!(r#"{{"lease":"{lease}","seconds":60}}"#),
            ),
        ),
        (
            409,
            post(
                "/jobs/job-running/finish",
                format!(r#"{{"lease":"{lease}","state":"done"}}"#),
            ),
        ),
        (
            404,
            post(
                "/jobs/gone/finish",
                format!(r#"{{"lease":"{lease}","state":"done"}}"#),
            ),
        ),
    ];
    let mut host = host_with_tables();
    for (status, ask) in refused {
        let tried = try_it(&mut host, &ask);
        assert_eq!(tried.status, status, "{ask:?}: {tried:?}");
        let got = send(&mut host, &ask);
        assert_eq!((got.status, &got.body), (status, &tried.body), "{ask:?}");
    }
    // A key that may not have it, or that is not there.
    let (_, own) = host.issue("short", Some("2026-09-01 00:00:00"));
    let beyond = post("/keys", r#"{"scopes":["keys"]}"#).key(own);
    assert_eq!(try_it(&mut host, &beyond).status, 403);
    host.sql("UPDATE api_keys SET permits = 0 WHERE id = 1", &[]);
    for route in writes().filter(|route| !route.path.ends_with("/rotate")) {
        let got = try_it(&mut host, &example(&route));
        assert_eq!(got.status, 403, "{route:?}: {got:?}");
    }
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    for route in writes() {
        assert_eq!(try_it(&mut host, &example(&route)).status, 401, "{route:?}");
    }
}

#[test]
fn a_write_refuses_every_other_query_before_the_database() {
    let mut host = host_with_tables();
    for route in writes() {
        let ask = example(&route);
        for (query, parameter) in [
            ("validate_only", "validate_only"),
            ("validate_only=1", "validate_only"),
            ("validate_only=TRUE", "validate_only"),
            ("validate_only=true&validate_only=false", "validate_only"),
            ("validate-only=true", "validate-only"),
            ("Validate_only=true", "Validate_only"),
            ("validate_only=true&dry_run=true", "dry_run"),
            ("limit=1", "limit"),
        ] {
            let mut ask = ask.clone();
            ask.target = format!("{}?{query}", ask.target);
            let got = host.refuse(422, &ask);
            let errors = got.json()["errors"].as_array().unwrap().clone();
            assert_eq!(errors.len(), 1, "{got:?}");
            assert_eq!(errors[0]["parameter"], parameter, "{got:?}");
        }
        let mut ask = ask;
        ask.target += "?validate_only=false";
        let got = send(&mut host_with_tables(), &ask);
        assert!(got.status < 300, "{ask:?}: {got:?}");
    }
    // These are no writes.
    host.expect(200, &post("/auth/verify?x=1", ""));
    host.expect(200, &get("/tenants/a?validate_only=true"));
    host.expect(200, &head("/tenants/a?validate_only=true"));
    host.refuse(422, &get("/tenants?validate_only=true"));
}

#[test]
fn a_trial_neither_reads_nor_remembers_an_idempotency_key() {
    let mut host = host_with_tables();
    for route in writes() {
        let ask = example(&route).idempotency_key("k-1");
        assert_valid(&try_it(&mut host, &ask));
        // A malformed one is not read, either.
        assert_valid(&try_it(&mut host, &example(&route).idempotency_key("a b")));
    }
    let created = new_tenant("new").idempotency_key("k-1");
    host.expect(201, &created);
    for other in [
        patch("/tenants/a", r#"{"is_enabled":false}"#),
        delete("/tenants/a"),
    ] {
        assert_valid(&try_it(&mut host, &other.idempotency_key("k-1")));
    }
    // The trial of a request that was carried out is the trial of another one.
    assert_eq!(try_it(&mut host, &created).status, 409);
    host.expect(201, &created);
}

#[test]
fn a_trial_compares_if_match_and_a_route_without_an_etag_tries_nothing() {
    let mut host = host_with_tables();
    let tag = host.expect(200, &get("/tenants/a"));
    let tag = tag.header("etag").unwrap();
    for ask in [
        patch("/tenants/a", r#"{"is_enabled":false}"#),
        put("/tenants/a", r#"{"hostname":"b","is_enabled":true}"#),
        delete("/tenants/a"),
        delete_with_tables("a"),
    ] {
        assert_valid(&try_it(&mut host, &ask.clone().if_match(tag)));
        assert_eq!(try_it(&mut host, &ask.if_match("\"x-1\"")).status, 412);
    }
    assert_eq!(
        try_it(&mut host, &new_tenant("b").if_match(tag)).status,
        412
    );
    assert_eq!(
        try_it(&mut host, &install("gone").if_match(tag)).status,
        404
    );
}

/// A trial makes no job, and says of one that is there what the real request would.
#[test]
fn a_trial_at_a_cell_makes_no_job() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let other = post(
        "/tenants/a/install",
        r#"{"username":"other","email":"admin@example.com","password":"hidden password"}"#,
    );
    for ask in [
        install("a"),
        other.clone(),
        reset("a"),
        delete_with_tables("a"),
    ] {
        assert_valid(&try_it(&mut host, &ask));
    }
    assert_eq!(host.json(200, &get("/jobs")), json!([]));
    assert_eq!(send(&mut host, &install("a")).status, 202);
    assert_valid(&try_it(&mut host, &install("a")));
    assert_eq!(try_it(&mut host, &other).status, 409);
    let job = host.json(200, &get("/jobs"))[0]["id"].clone();
    let cancel = post(&format!("/jobs/{}/cancel", job.as_str().unwrap()), "");
    assert_valid(&try_it(&mut host, &cancel));
    // The job has expired, and nothing has swept it away yet.
    host.now += 16 * 60;
    assert_valid(&try_it(&mut host, &other));
    assert_eq!(try_it(&mut host, &cancel).status, 409);
    let state = |host: &mut Host| -> Json { host.json(200, &get("/jobs"))[0]["state"].clone() };
    assert_eq!(state(&mut host), "failed");
}
