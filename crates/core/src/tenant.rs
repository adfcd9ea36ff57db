//! Tenants: what one is, and what may be asked of one (contract §5).

use alloc::string::String;

use serde::Serialize;

use crate::body::{Checked, Fields, Json};
use crate::config::Config;
use crate::dialect::Dialect;
use crate::exchange::to_json;
use crate::hostname::Hostname;
use crate::id::{PlanId, TenantId};
use crate::patch::Edit;
use crate::problem::{ApiError, FieldError, Internal};
use crate::seal::Sealer;
use crate::sql::Columns;
use crate::stored;
use crate::variables::{Variables, VariablesText};

pub(crate) mod routes;
mod stats;

pub use stats::Stats;

/// A tenant to be created: the body of `POST /tenants`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its identifier.
    pub id: TenantId,
    /// Its hostname.
    pub hostname: Hostname,
    /// Whether it is served.
    pub is_enabled: bool,
    /// Its plan; that it exists is for the database to say.
    pub plan_id: Option<PlanId>,
    /// Its limits.
    pub limits: Variables,
    /// Its environment; sealed where it is stored.
    pub env: Variables,
}

impl NewTenant {
    /// Reads a body. `null` for `plan_id`, `limits` or `env` is as if absent, and so is `""` for `plan_id` (contract §10).
    pub(crate) fn read(mut fields: Fields<'_>, config: &Config) -> Result<Self, ApiError> {
        let id = fields.required("id", |v| v.parsed(TenantId::parse));
        let hostname = fields.required("hostname", |v| read_hostname(v, config));
        let is_enabled = fields.required_switch("is_enabled");
        let plan_id = fields.maybe("plan_id", read_plan_id);
        let limits = fields.maybe("limits", |v| v.nullable(Variables::read));
        let env = fields.maybe("env", |v| v.nullable(Variables::read));
        fields.finish()?;
        let (Some(id), Some(hostname), Some(is_enabled), Some(plan_id), Some(limits), Some(env)) =
            (id, hostname, is_enabled, plan_id, limits, env)
        else {
            return Err(unnoted());
        };
        Ok(Self {
            id,
            hostname,
            is_enabled,
            plan_id: plan_id.flatten(),
            limits: limits.flatten().unwrap_or_default(),
            env: env.flatten().unwrap_or_default(),
        })
    }
}

/// What to change of a tenant: the body of `PATCH /tenants/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantPatch {
    /// Its new hostname.
    pub hostname: Option<Hostname>,
    /// Whether it is served from now on.
    pub is_enabled: Option<bool>,
    /// Its new plan; `null` or `""` removes it.
    pub plan_id: Edit<PlanId>,
    /// Its new limits, in place of all that it had; `null` empties them.
    pub limits: Edit<Variables>,
    /// Its new environment, in place of all that it had; `null` empties it.
    pub env: Edit<Variables>,
}

impl TenantPatch {
    /// Reads a body; one without any field is refused.
    pub(crate) fn read(mut fields: Fields<'_>, config: &Config) -> Result<Self, ApiError> {
        let hostname = fields.maybe("hostname", |v| read_hostname(v, config));
        let is_enabled = fields.maybe_switch("is_enabled");
        let plan_id = fields.maybe("plan_id", read_plan_id);
        let limits = fields.maybe("limits", |v| v.nullable(Variables::read));
        let env = fields.maybe("env", |v| v.nullable(Variables::read));
        fields.require_any("hostname, is_enabled, plan_id, limits, env");
        fields.finish()?;
        let (Some(hostname), Some(is_enabled), Some(plan_id), Some(limits), Some(env)) =
            (hostname, is_enabled, plan_id, limits, env)
        else {
            return Err(unnoted());
        };
        Ok(Self {
            hostname,
            is_enabled,
            plan_id: Edit::of(plan_id),
            limits: Edit::of(limits),
            env: Edit::of(env),
        })
    }
}

/// Reads the optional body of `DELETE /tenants/{id}`: whether the tenant's own tables go too.
fn read_drop_tables(fields: Option<Fields<'_>>) -> Result<bool, ApiError> {
    let Some(mut fields) = fields else {
        return Ok(false);
    };
    let drop_tables = fields.maybe("drop_tables", Json::boolean);
    fields.finish()?;
    Ok(drop_tables.flatten().unwrap_or(false))
}

fn read_hostname(value: Json<'_>, config: &Config) -> Checked<Hostname> {
    value.parsed(|text| {
        let hostname = Hostname::parse(text)?;
        if hostname == config.internal_hostname {
            return Err(alloc::format!(
                "`{hostname}` is the root's own name; expected another"
            ));
        }
        Ok(hostname)
    })
}

/// A plan's identifier; `null` and `""` are none.
fn read_plan_id(value: Json<'_>) -> Checked<Option<PlanId>> {
    match value {
        Json::String(text) if text.is_empty() => Ok(None),
        other => other.nullable(|v| v.parsed(PlanId::parse)),
    }
}

/// Every field that is wrong was noted, so that this is never seen.
pub(crate) fn unnoted() -> ApiError {
    ApiError::Invalid([FieldError::field("", "the body is not as expected")].into())
}

/// A tenant as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant {
    id: String,
    hostname: String,
    is_enabled: bool,
    created_at: String,
    updated_at: String,
    plan_id: Option<String>,
    limits: VariablesText,
    env: VariablesText,
    /// `None` until they were first counted: all zero.
    stats: Option<Stats>,
    last_job_at: Option<String>,
}

impl Tenant {
    /// Reads a row of `routes::columns!`. `None` where it is of no tenant: the caller's key stands, and nothing was found.
    fn decode(mut row: Columns, sealer: Option<&Sealer>) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let hostname = row.text("hostname")?;
        let is_enabled = row.boolean("is_enabled")?;
        let created_at = row.text("created_at")?;
        let updated_at = row.text("updated_at")?;
        let plan_id = row.optional_text("plan_id")?;
        let limits = stored::limits("tenants", &id, row.optional_text("limits")?)?
            .unwrap_or_else(VariablesText::empty);
        let env = stored::open_env("tenants", &id, row.optional_text("env")?, sealer)?
            .unwrap_or_else(VariablesText::empty);
        let stats = row
            .optional_text("stats")?
            .map(|text| Stats::from_stored(&text))
            .transpose()
            .map_err(|reason| {
                ApiError::Internal(Internal::Stored {
                    place: alloc::format!("tenants/{id}/stats"),
                    reason,
                })
            })?;
        Ok(Some(Self {
            hostname,
            is_enabled,
            created_at,
            updated_at,
            plan_id,
            limits,
            env,
            stats,
            last_job_at: row.optional_text("last_job_at")?,
            id,
        }))
    }
}

impl Tenant {
    /// It as JSON.
    fn to_json(&self, dialect: Dialect) -> Result<String, ApiError> {
        let mut out = String::with_capacity(512);
        self.write_json(&mut out, dialect)?;
        Ok(out)
    }

    /// Writes it as JSON: by hand, since a list has thousands of them, and most of each is names that never change.
    fn write_json(&self, out: &mut String, dialect: Dialect) -> Result<(), ApiError> {
        out.push_str(match dialect {
            Dialect::Current => "{\"id\":",
            Dialect::Legacy => "{\"tenant_id\":",
        });
        push_text(out, &self.id)?;
        out.push_str(",\"hostname\":");
        push_text(out, &self.hostname)?;
        out.push_str(match (dialect, self.is_enabled) {
            (Dialect::Current, true) => ",\"is_enabled\":true,\"created_at\":",
            (Dialect::Current, false) => ",\"is_enabled\":false,\"created_at\":",
            (Dialect::Legacy, true) => ",\"is_enabled\":1,\"created_at\":",
            (Dialect::Legacy, false) => ",\"is_enabled\":0,\"created_at\":",
        });
        push_text(out, &self.created_at)?;
        out.push_str(",\"updated_at\":");
        push_text(out, &self.updated_at)?;
        out.push_str(",\"plan_id\":");
        push_optional_text(out, self.plan_id.as_deref())?;
        out.push_str(",\"limits\":");
        out.push_str(self.limits.as_str());
        out.push_str(",\"env\":");
        out.push_str(self.env.as_str());
        out.push_str(",\"stats\":");
        match &self.stats {
            None => out.push_str(Stats::ZERO),
            Some(stats) => push_json(out, stats)?,
        }
        out.push_str(",\"last_job_at\":");
        push_optional_text(out, self.last_job_at.as_deref())?;
        out.push('}');
        Ok(())
    }
}

/// An array of tenants, in JSON: the current dialect's, since the other has no such list.
fn list_json(tenants: &[Tenant]) -> Result<String, ApiError> {
    // About what one takes with a handful of variables.
    let mut out = String::with_capacity(2 + tenants.len() * 512);
    out.push('[');
    for (i, tenant) in tenants.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        tenant.write_json(&mut out, Dialect::Current)?;
    }
    out.push(']');
    Ok(out)
}

/// Writes a text that hardly ever has anything to escape.
fn push_text(out: &mut String, text: &str) -> Result<(), ApiError> {
    if text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\') {
        return push_json(out, &text);
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
    Ok(())
}

fn push_optional_text(out: &mut String, text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) => push_text(out, text),
        None => {
            out.push_str("null");
            Ok(())
        }
    }
}

/// Writes a value at the end of a text.
fn push_json(out: &mut String, value: &impl Serialize) -> Result<(), ApiError> {
    out.push_str(&to_json(value)?);
    Ok(())
}
