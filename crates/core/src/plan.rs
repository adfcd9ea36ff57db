//! Plans: settings that tenants share (contract §6).

use alloc::string::String;

use serde::Serialize;

use crate::body::Fields;
use crate::id::PlanId;
use crate::patch::Edit;
use crate::problem::{ApiError, FieldError};
use crate::seal::Sealer;
use crate::sql::Columns;
use crate::stored;
use crate::tenant::unnoted;
use crate::variables::{Variables, VariablesText};

pub(crate) mod routes;

/// A plan to be created: the body of `POST /tenants-plans`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlan {
    /// Its identifier.
    pub id: PlanId,
    /// Its limits, if any were set; an empty map is one.
    pub limits: Option<Variables>,
    /// Its environment, if any was set; sealed where it is stored.
    pub env: Option<Variables>,
}

impl NewPlan {
    /// Reads a body. `null` for `limits` or `env` is as if absent (contract §10).
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let id = fields.required("id", |v| v.parsed(PlanId::parse));
        let limits = fields.maybe("limits", |v| v.nullable(Variables::read));
        let env = fields.maybe("env", |v| v.nullable(Variables::read));
        fields.finish()?;
        let (Some(id), Some(limits), Some(env)) = (id, limits, env) else {
            return Err(unnoted());
        };
        Ok(Self {
            id,
            limits: limits.flatten(),
            env: env.flatten(),
        })
    }
}

/// What to change of a plan: the body of `PATCH /tenants-plans/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPatch {
    /// Its new limits, in place of all that it had; `null` unsets them.
    pub limits: Edit<Variables>,
    /// Its new environment, in place of all that it had; `null` unsets it.
    pub env: Edit<Variables>,
}

impl PlanPatch {
    /// Reads a body; one without any field is refused.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Self, ApiError> {
        if fields.is_empty() {
            fields.refuse(FieldError::field(
                "",
                "expected at least one of limits, env",
            ));
        }
        let limits = fields.maybe("limits", |v| v.nullable(Variables::read));
        let env = fields.maybe("env", |v| v.nullable(Variables::read));
        fields.finish()?;
        let (Some(limits), Some(env)) = (limits, env) else {
            return Err(unnoted());
        };
        Ok(Self {
            limits: Edit::of(limits),
            env: Edit::of(env),
        })
    }
}

/// A plan as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    id: String,
    limits: Option<VariablesText>,
    env: Option<VariablesText>,
    created_at: String,
    updated_at: String,
}

impl Plan {
    /// Reads a row of `routes::select_plans!`. `None` where it is of no plan: the caller's key stands, and nothing was found.
    fn decode(mut row: Columns, sealer: Option<&Sealer>) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            limits: stored::limits(routes::TABLE, &id, row.optional_text("limits")?)?,
            env: stored::open_env(routes::TABLE, &id, row.optional_text("env")?, sealer)?,
            created_at: row.text("created_at")?,
            updated_at: row.text("updated_at")?,
            id,
        }))
    }
}
