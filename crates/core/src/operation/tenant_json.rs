//! A tenant as responses show it.

use alloc::string::String;

use crate::store::counters;
use crate::store::tenants::{SiteState, Tenant};
use crate::wire::dialect::Dialect;
use crate::wire::filter::Member;
use crate::wire::json::{Object, object};
use crate::wire::labels::Labels;

/// A tenant that was created. `is_adopted`: it has the tables of a deleted one.
pub(crate) fn to_json_of_new(tenant: &Tenant, is_adopted: bool, dialect: Dialect) -> String {
    object(|out| {
        let out = write_json(tenant, dialect, out);
        match dialect {
            Dialect::Current => write_site(tenant, is_adopted, out),
            Dialect::Legacy => out,
        }
    })
}

pub(crate) fn to_json(tenant: &Tenant, dialect: Dialect) -> String {
    object(|out| write_all(tenant, dialect, out))
}

pub(crate) fn write_all<'o>(tenant: &Tenant, dialect: Dialect, out: Object<'o>) -> Object<'o> {
    let out = write_json(tenant, dialect, out);
    match dialect {
        Dialect::Current => write_site(tenant, false, out),
        Dialect::Legacy => out,
    }
}

fn write_json<'o>(tenant: &Tenant, dialect: Dialect, out: Object<'o>) -> Object<'o> {
    let (id, enabled, disabled) = match dialect {
        Dialect::Current => ("id", "true", "false"),
        Dialect::Legacy => ("tenant_id", "1", "0"),
    };
    let out = out
        .text(id, &tenant.id)
        .text("hostname", &tenant.hostname)
        .raw(
            "is_enabled",
            if tenant.is_enabled { enabled } else { disabled },
        )
        .text("created_at", &tenant.created_at)
        .text("updated_at", &tenant.updated_at)
        .optional_text("plan_id", tenant.plan_id.as_deref());
    let out = match dialect {
        Dialect::Current => write_found(&tenant.labels, tenant.external_id.as_deref(), out),
        Dialect::Legacy => out,
    };
    out.raw("limits", tenant.limits.as_str())
        .raw("env", tenant.env.as_str())
        .nested("stats", |out| write_stats(tenant, out))
        .optional_text("last_job_at", tenant.last_job_at.as_deref())
}

/// Writes the last members, which only the current dialect has.
fn write_site<'o>(tenant: &Tenant, is_adopted: bool, out: Object<'o>) -> Object<'o> {
    out.optional_text("cell_id", tenant.cell_id.as_deref())
        .nested("site", |out| write_state(&tenant.site, is_adopted, out))
        .raw("served", boolean(is_served(tenant)))
        .raw("holds", holds(tenant))
        .optional_text("suspend_at", tenant.ends.suspend_at.as_deref())
        .optional_text("delete_at", tenant.ends.delete_at.as_deref())
        .raw(
            "deletion_protection",
            boolean(tenant.ends.deletion_protection),
        )
}

/// Whether the tenant is enabled and has no hold.
fn is_served(tenant: &Tenant) -> bool {
    tenant.is_enabled && tenant.holds.is_none()
}

fn holds(tenant: &Tenant) -> &str {
    tenant.holds.as_deref().unwrap_or("{}")
}

fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn write_state(site: &SiteState, is_adopted: bool, out: &mut String) {
    let object = Object::begin(out)
        .text("state", &site.state)
        .optional_text("job_id", site.job_id.as_deref());
    if is_adopted {
        object.raw("adopted", "true").end();
    } else {
        object.end();
    }
}

/// Writes the members that only the current dialect has.
pub(crate) fn write_found<'o>(
    labels: &Labels,
    external_id: Option<&str>,
    out: Object<'o>,
) -> Object<'o> {
    out.optional_text("external_id", external_id)
        .raw("labels", &labels.to_json())
}

fn write_stats(tenant: &Tenant, out: &mut String) {
    match &tenant.stats {
        None => out.push_str(counters::ZERO),
        Some(stats) => stats.write_json(out),
    }
}

/// Writes one member of the current dialect's answer.
pub(crate) fn write_member<'o>(tenant: &Tenant, member: Member, out: Object<'o>) -> Object<'o> {
    let name = member.name();
    match member {
        Member::Id => out.text(name, &tenant.id),
        Member::Hostname => out.text(name, &tenant.hostname),
        Member::IsEnabled => out.raw(name, boolean(tenant.is_enabled)),
        Member::CreatedAt => out.text(name, &tenant.created_at),
        Member::UpdatedAt => out.text(name, &tenant.updated_at),
        Member::PlanId => out.optional_text(name, tenant.plan_id.as_deref()),
        Member::ExternalId => out.optional_text(name, tenant.external_id.as_deref()),
        Member::Labels => out.raw(name, &tenant.labels.to_json()),
        Member::Limits => out.raw(name, tenant.limits.as_str()),
        Member::Env => out.raw(name, tenant.env.as_str()),
        Member::Stats => out.nested(name, |out| write_stats(tenant, out)),
        Member::LastJobAt => out.optional_text(name, tenant.last_job_at.as_deref()),
        Member::CellId => out.optional_text(name, tenant.cell_id.as_deref()),
        Member::Site => out.nested(name, |out| write_state(&tenant.site, false, out)),
        Member::Served => out.raw(name, boolean(is_served(tenant))),
        Member::Holds => out.raw(name, holds(tenant)),
        Member::SuspendAt => out.optional_text(name, tenant.ends.suspend_at.as_deref()),
        Member::DeleteAt => out.optional_text(name, tenant.ends.delete_at.as_deref()),
        Member::DeletionProtection => out.raw(name, boolean(tenant.ends.deletion_protection)),
    }
}
