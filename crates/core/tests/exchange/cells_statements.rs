//! The requests of cells, for the tests of statements, of what they cost and of scopes.

use tenants_core::sql::Value;

use crate::ask::{Ask, delete, get, install, new_tenant_on, patch, post, put, reset};
use crate::host::Host;

/// Adds the cells `eu` and `us`, a tenant and two jobs.
pub(crate) fn add_cells(host: &mut Host) {
    host.expect(201, &put("/cells/eu", r#"{"name":"Europe"}"#));
    host.expect(201, &put("/cells/us", "{}"));
    host.expect(201, &new_tenant_on("on-eu", "eu"));
    host.sql("UPDATE tenants SET is_enabled = 0 WHERE id = 'on-eu'", &[]);
    for (id, tenant, kind, state, lease) in [
        (WAITING, "gone", "drop", "waiting", Value::Null),
        (RUNNING, "busy", "password_reset", "running", LEASE.into()),
    ] {
        host.sql(
            "INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, lease, lease_until, created_at, expires_at, wipe_at) \
             VALUES (?1, ?2, 'eu', ?3, ?4, ?5, iif(?5 IS NULL, NULL, '9999-01-01 00:00:00'), '2026-08-18 00:00:00', '9999-01-01 00:00:00', '9999-01-01 00:00:00')",
            &[id.into(), tenant.into(), kind.into(), state.into(), lease],
        );
    }
}

/// Jobs of the cell `eu`, and the lease of the one that runs.
const WAITING: &str = "job-waiting";
const RUNNING: &str = "job-running";
const LEASE: &str = "0123456789abcdef0123456789abcdef";

/// A request of each route of cells that succeeds on [`host_with_tables`], and the walks of its plan.
pub(crate) fn requests_of_cells() -> Vec<(&'static str, Ask, &'static [&'static str])> {
    // The members of one bound text.
    const BOUND: &[&str] = &["SCAN j VIRTUAL TABLE INDEX 1:"];
    // A page is summed up row by row, at most as many rows as the page has, and one more.
    const PAGE: &[&str] = &["USE TEMP B-TREE FOR ORDER BY"];
    let stats = format!(
        r#"{{"tenants":[{{"id":"on-eu","counted_at":"2026-08-18 23:16:57","stats":{}}}]}}"#,
        STATS
    );
    let lease = format!(r#"{{"lease":"{LEASE}","seconds":60}}"#);
    let finish = format!(r#"{{"lease":"{LEASE}","state":"done"}}"#);
    vec![
        (
            "PUT /cells/{id}",
            put("/cells/eu", r#"{"accepting":false}"#),
            &[],
        ),
        ("PUT /cells/{id} of a new one", put("/cells/new", "{}"), &[]),
        ("GET /cells", get("/cells"), &[]),
        ("GET /cells/{id}", get("/cells/eu"), &[]),
        ("DELETE /cells/{id}", delete("/cells/us"), &[]),
        ("GET /cells/{id}/tenants", get("/cells/eu/tenants"), PAGE),
        (
            "GET /cells/{id}/tenants by an agent",
            get("/cells/eu/tenants?agent=a&after=fedcba9876543210.0."),
            PAGE,
        ),
        (
            "POST /cells/{id}/stats",
            post("/cells/eu/stats", stats),
            BOUND,
        ),
        (
            "POST /cells/{id}/jobs/lease",
            post("/cells/eu/jobs/lease", r#"{"max":4,"seconds":60}"#),
            &[],
        ),
        ("GET /jobs", get("/jobs"), &[]),
        (
            "GET /jobs of a tenant",
            get("/jobs?tenant=gone&state=waiting"),
            &[],
        ),
        ("GET /jobs/{id}", get("/jobs/job-waiting"), &[]),
        (
            "POST /jobs/{id}/cancel",
            post("/jobs/job-waiting/cancel", ""),
            &[],
        ),
        (
            "POST /jobs/{id}/renew",
            post("/jobs/job-running/renew", lease),
            &[],
        ),
        (
            "POST /jobs/{id}/finish",
            post("/jobs/job-running/finish", finish),
            &[],
        ),
        (
            "POST /tenants/{id}/move",
            post("/tenants/on-eu/move", r#"{"cell_id":"us"}"#),
            &[],
        ),
        (
            "POST /tenants/{id}/install of a tenant with a cell",
            install("on-eu"),
            &[],
        ),
        (
            "PATCH /tenants/{id}/user-password-reset of a tenant with a cell",
            reset("on-eu"),
            &[],
        ),
        (
            "PATCH /tenants/{id} of a tenant with a cell",
            patch("/tenants/on-eu", r#"{"cell_id":"us"}"#),
            &["SCAN json_each VIRTUAL TABLE INDEX 1:"],
        ),
        (
            "DELETE /tenants/{id} of a tenant with a cell",
            delete("/tenants/on-eu"),
            &[],
        ),
    ]
}

/// The counters of a site.
const STATS: &str = r#"{"tags":1,"files":2,"pages":3,"users":4,"admins":5,"albums":6,"managers":7,"storages":8,"cron_time":9,"categories":10,"file_likes":11,"file_views":12,"album_likes":13,"album_views":14,"storage_used":15,"login_providers":16}"#;
