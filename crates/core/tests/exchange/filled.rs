//! A registry with a row of everything.

use std::sync::OnceLock;

use crate::ask::{install, new_plan, new_tenant, patch, put};
use crate::cells_statements::add_cells;
use crate::database::Saved;
use crate::host::Host;
use crate::hostnames::add_hostname;
use crate::session_statements::add_session;

/// A host on which each of the requests of `statements.rs` succeeds and each task has something to do.
pub(crate) fn host_with_tables() -> Host {
    static FIRST: OnceLock<Saved> = OnceLock::new();
    let new = || {
        let host = Host::legacy(&[
            ("TENANTS_DEVELOPMENT", "true"),
            ("TENANTS_STATS_MIN_AGE", "0"),
            ("TENANTS_JOB_WAIT_SECONDS", "0"),
            ("TENANTS_CONSOLE", "true"),
            ("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "198.51.100.7"),
        ]);
        Saved::new(fill(host))
    };
    FIRST.get_or_init(new).host()
}

fn fill(mut host: Host) -> Host {
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    host.expect(204, &patch("/tenants/a", r#"{"env":{"A":"hidden"}}"#));
    host.expect(201, &install("a"));
    host.expect(201, &new_tenant("not-yet"));
    host.issue_scoped(&["keys"]);
    add_cells(&mut host);
    host.expect(204, &put("/tenants/on-eu/holds/admin", r#"{"reason":"r"}"#));
    add_hostname(&mut host);
    add_session(&host);
    crate::restore::add_deleted(&host);
    crate::webhooks::add_webhook(&mut host);
    host
}

/// The same with 200 tenants more, and as many plans and keys, so that a walk through a table takes many steps.
pub(crate) fn host_with_many_rows() -> Host {
    let host = host_with_tables();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200) \
         INSERT INTO tenants_plans (id, created_at, updated_at) SELECT 'p' || n, '', '' FROM c",
        &[],
    );
    host.sql(
        "INSERT INTO tenants (id, hostname, is_enabled, plan_id, created_at, updated_at) \
         SELECT id, id, 1, id, '', '' FROM tenants_plans",
        &[],
    );
    host.sql(
        "INSERT INTO api_keys (digest, created_at) SELECT id, '' FROM tenants_plans",
        &[],
    );
    host
}
