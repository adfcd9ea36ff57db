//! The requests of PUT, for the tests of statements and of what they cost.

use crate::ask::{Ask, put};

/// A PUT of a tenant and of a plan with each outcome on [`host_with_tables`](crate::filled::host_with_tables), and the walks of its plan. Each
/// has two batches: one that changes nothing has its second one because of its `Idempotency-Key`.
pub(crate) fn requests_of_puts() -> Vec<(&'static str, Ask, &'static [&'static str])> {
    // The members of one bound text.
    const IDS: &[&str] = &["SCAN json_each VIRTUAL TABLE INDEX 1:"];
    let new_tenant = r#"{"hostname":"n","is_enabled":true,"external_id":"e-1","labels":{"tier":"gold"},"plan_id":"p","limits":{"A":1},"env":{"A":"hidden"}}"#;
    let same_tenant = r#"{"hostname":"a.example.com","is_enabled":true,"env":{"A":"hidden"}}"#;
    let new_plan =
        r#"{"external_id":"e-1","labels":{"tier":"gold"},"limits":{"A":1},"env":{"A":"hidden"}}"#;
    let same_plan = r#"{"limits":{"L":"1"},"env":{"E":"hidden-plan"}}"#;
    vec![
        (
            "PUT /tenants/{id} of a new one",
            put("/tenants/new", new_tenant),
            IDS,
        ),
        ("PUT /tenants/{id}", put("/tenants/a", new_tenant), IDS),
        (
            "PUT /tenants/{id}, with an Idempotency-Key",
            put("/tenants/a", new_tenant).idempotency_key("k-1"),
            IDS,
        ),
        (
            "PUT /tenants/{id} as it is, with an Idempotency-Key",
            put("/tenants/a", same_tenant).idempotency_key("k-2"),
            IDS,
        ),
        (
            "PUT /tenants-plans/{id} of a new one",
            put("/tenants-plans/new", new_plan),
            IDS,
        ),
        (
            "PUT /tenants-plans/{id}",
            put("/tenants-plans/p", new_plan),
            IDS,
        ),
        (
            "PUT /tenants-plans/{id}, with an Idempotency-Key",
            put("/tenants-plans/p", new_plan).idempotency_key("k-3"),
            IDS,
        ),
        (
            "PUT /tenants-plans/{id} as it is, with an Idempotency-Key",
            put("/tenants-plans/p", same_plan).idempotency_key("k-4"),
            IDS,
        ),
    ]
}
