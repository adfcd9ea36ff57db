//! The statements of sessions of the console, for the tests of statements.

use std::collections::BTreeSet;

use tenants_core::Step;

use crate::ask::{delete_with_tables, get, install, new_tenant, post, reset};
use crate::filled::host_with_tables;
use crate::host::{Host, WaitsForBatch as _};
use crate::sessions::Console;
use crate::statements::Group;

/// The id of a session that may do nothing but with keys.
pub(crate) const SESSION_ID: &str = "0123456789abcdef";

/// Adds that session.
pub(crate) fn add_session(host: &Host) {
    host.sql(
        "INSERT INTO console_sessions (id, digest, key_id, key_digest, nonce, scopes, permits, created_at, last_used_at, idle_until, expires_at) \
         SELECT ?1, ?1, id, digest, 'n', 'keys', 256, '2026', '2026', '2027', '2027' FROM api_keys WHERE id = 1",
        &[SESSION_ID.into()],
    );
}

/// Runs the requests of the console's own routes, and one of each kind that a session stands for a key in.
pub(crate) fn groups_of_sessions() -> Vec<(Group, BTreeSet<String>)> {
    // Sessions are few, and sorted for the list.
    let list: &[&str] = &["SCAN v LEFT-JOIN", "USE TEMP B-TREE FOR ORDER BY"];
    let next_id: &[&str] = &["SCAN sqlite_sequence"];
    let ids: &[&str] = &["SCAN json_each VIRTUAL TABLE INDEX 1:"];
    let mut groups = Vec::new();
    let mut host = host_with_tables();
    let (ask, console) = Console::asking(&mut host, "");
    let mut group = Group::new("POST /_/console/session");
    let exchange = host.first(&ask);
    let got = host.finish_with(&ask, exchange, |host, batch| Ok(group.run(host, batch)));
    groups.push((group, next_id));
    let console = console.signed_in(&got);
    for (name, status, ask, walks) in [
        ("GET /_/console/session", 200, Console::own("GET"), &[][..]),
        ("GET /_/console/sessions", 200, Console::all(), list),
        (
            "DELETE /_/console/sessions/{id}",
            204,
            Console::one("DELETE", SESSION_ID),
            &[],
        ),
        (
            "POST /auth/verify, in a session",
            200,
            post("/auth/verify", ""),
            &[],
        ),
        (
            "GET /tenants, in a session",
            200,
            get("/tenants?limit=1"),
            &[],
        ),
        (
            "GET /tenants/{id}, in a session",
            200,
            get("/tenants/a"),
            &[],
        ),
        ("POST /tenants, in a session", 201, new_tenant("new"), ids),
        (
            "POST /tenants/{id}/install, in a session",
            201,
            install("new"),
            &[],
        ),
        (
            "PATCH /tenants/{id}/user-password-reset, in a session",
            200,
            reset("a"),
            &[],
        ),
        (
            "DELETE /tenants/{id} with drop_tables, in a session",
            204,
            delete_with_tables("a"),
            &[],
        ),
        ("GET /keys, in a session", 200, get("/keys"), &[]),
        (
            "POST /keys, in a session",
            201,
            post("/keys", r#"{"scopes":["*"],"bound":true}"#),
            next_id,
        ),
        ("GET /audit, in a session", 200, get("/audit"), &[]),
        ("GET /events, in a session", 200, get("/events"), &[]),
        ("GET /jobs, in a session", 200, get("/jobs"), &[]),
        (
            "DELETE /_/console/session",
            204,
            Console::own("DELETE"),
            &[],
        ),
    ] {
        let mut group = Group::new(name);
        let ask = console.ask(ask);
        let exchange = host.first(&ask);
        let got = host.finish_with(&ask, exchange, |host, batch| Ok(group.run(host, batch)));
        assert_eq!(got.status, status, "{name}: {got:?}");
        groups.push((group, walks));
    }
    let mut group = Group::new("the use of a session");
    host.now += 60;
    let (ask, console) = Console::asking(&mut host, "");
    let exchange = host.first(&ask);
    let got = host.finish_with(&ask, exchange, |host, batch| host.run(batch));
    let ask = console.signed_in(&got).ask(get("/tenants"));
    let mut step = host.begin(&ask);
    while let Step::Run(exchange) = step {
        let rows = host.run(exchange.batch());
        step = host.resumed(exchange, rows);
    }
    if let Step::Done(answer) = step {
        group.run(&mut host, &answer.afterwards.expect("a use to note"));
    }
    groups.push((group, &[]));
    let set = |walks: &[&str]| walks.iter().map(|&step| step.to_owned()).collect();
    groups
        .into_iter()
        .map(|(group, walks)| (group, set(walks)))
        .collect()
}
