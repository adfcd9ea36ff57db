//! The statements of sites that have a database each, for the tests of statements.

use std::collections::BTreeSet;

use tenants_core::Step;
use tenants_core::task::stats::{Refresh, Which};
use tenants_core::value::clock::Timestamp;

use crate::ask::{delete, delete_with_tables, install, new_tenant, patch, reset};
use crate::host::{Host, WaitsForBatch as _};
use crate::site_databases::apart;
use crate::site_moves::TABLES;
use crate::statements::Group;

/// Runs each request that asks for a site, and the cron trigger. A statement of a group before is not noted again in the next one.
pub(crate) fn groups_of_sites() -> Vec<(Group, BTreeSet<String>)> {
    let mut host = apart();
    let mut groups = Vec::new();
    for (name, status, ask) in [
        ("POST /tenants, a database each", 201, new_tenant("a")),
        (
            "PATCH /tenants/{id}, a database each",
            204,
            patch("/tenants/a", r#"{"is_enabled":false}"#),
        ),
        (
            "POST /tenants/{id}/install, a database each",
            201,
            install("a").idempotency_key("k-1"),
        ),
        (
            "PATCH /tenants/{id}/user-password-reset, a database each",
            200,
            reset("a").idempotency_key("k-2"),
        ),
        (
            "PATCH /tenants/{id}/user-password-reset, a database each, a trial",
            200,
            reset("a").tried(),
        ),
        (
            "DELETE /tenants/{id}, a database each",
            204,
            delete("/tenants/a"),
        ),
        (
            "POST /tenants of an id whose site stays",
            201,
            new_tenant("a"),
        ),
        (
            "DELETE /tenants/{id} with drop_tables, a database each",
            204,
            delete_with_tables("a"),
        ),
    ] {
        let mut group = Group::new(name);
        let exchange = host.first(&ask);
        let got = host.finish_with(&ask, exchange, |host, batch| Ok(group.run(host, batch)));
        assert_eq!(got.status, status, "{name}: {got:?}");
        // The labels of a tenant.
        let walks = ["SCAN json_each VIRTUAL TABLE INDEX 1:".to_owned()];
        let has_labels = ["/tenants", "/tenants/a"].map(|path| format!("/_/api/4{path}"));
        let has_labels = ask.method != "DELETE" && has_labels.contains(&ask.target);
        let walks = walks.into_iter().filter(|_| has_labels);
        // An installation that was cut off may have left rows.
        let emptied = TABLES.iter().filter(|_| ask.target.ends_with("/install"));
        let emptied = emptied.map(|(table, _)| format!("SCAN chv_{table}"));
        let walks = walks.chain(emptied).collect();
        groups.push((group, walks));
    }
    groups.push(the_cron_trigger(&mut host));
    groups
}

/// Counts one site, drops another, and looks up a third that cannot be counted.
fn the_cron_trigger(host: &mut Host) -> (Group, BTreeSet<String>) {
    for id in ["a", "b", "c"] {
        for ask in [new_tenant(id), install(id)] {
            let exchange = host.first(&ask);
            host.finish_with(&ask, exchange, |host, batch| host.run(batch));
        }
    }
    host.sql(
        "UPDATE site_databases SET state = 1 WHERE tenant_id = 'b'",
        &[],
    );
    let now = Timestamp::from_unix(host.now + 60 * 60).unwrap();
    let mut task = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(24), 1);
    let mut group = Group::new("the statistics of those whose turn it is, a database each");
    loop {
        let fails = task.batch().database().site() == Some("c");
        let rows = if fails {
            Err("failed".into())
        } else {
            Ok(group.run(host, task.batch()))
        };
        task = match host.resumed(task, rows) {
            Step::Run(next) => next,
            Step::Done(report) => break assert_eq!(report.unwrap().failed.len(), 1),
        };
    }
    let walks = [
        "SCAN chv_albums",
        "SCAN chv_categories USING COVERING INDEX sqlite_autoindex_chv_categories_1",
        "SCAN chv_files",
        "SCAN chv_jobs",
        "SCAN chv_likes",
        "SCAN chv_login_providers USING COVERING INDEX sqlite_autoindex_chv_login_providers_1",
        "SCAN chv_pages USING COVERING INDEX sqlite_autoindex_chv_pages_1",
        "SCAN chv_storages",
        "SCAN chv_tags",
        "SCAN chv_users",
        "SCAN json_each VIRTUAL TABLE INDEX 1:",
        // The cells of a few marks to prune.
        "USE TEMP B-TREE FOR GROUP BY",
        // The holds of a tenant.
        "SCAN h VIRTUAL TABLE INDEX 1:",
        // The index has only sites that are to be moved.
        "SCAN site_databases USING INDEX site_databases_moving",
    ];
    (group, walks.map(str::to_owned).into())
}
