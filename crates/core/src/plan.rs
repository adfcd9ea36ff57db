//! Plans: settings that tenants share (contract §6).

use alloc::format;
use alloc::string::String;

use serde::Serialize;

use crate::body::{Checked, Fields, Json};
use crate::dialect::Dialect;
use crate::id::PlanId;
use crate::patch::Edit;
use crate::problem::ApiError;
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
    /// Its name, which the legacy dialect requires and the current one does not have.
    pub name: Option<String>,
    /// Its description, the legacy dialect's too.
    pub description: Option<String>,
    /// Its limits, if any were set; an empty map is one.
    pub limits: Option<Variables>,
    /// Its environment, if any was set; sealed where it is stored.
    pub env: Option<Variables>,
}

impl NewPlan {
    /// Reads a body. `null` for `limits` or `env` is as if absent (contract §10).
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let id = fields.required("id", |v| v.parsed(PlanId::parse));
        let (name, description) = match fields.dialect() {
            Dialect::Current => (Some(None), Some(None)),
            Dialect::Legacy => (
                fields.required("name", read_name).map(Some),
                fields.maybe("description", read_description),
            ),
        };
        let limits = fields.maybe("limits", |v| v.nullable(Variables::read));
        let env = fields.maybe("env", |v| v.nullable(Variables::read));
        fields.finish()?;
        let (Some(id), Some(name), Some(description), Some(limits), Some(env)) =
            (id, name, description, limits, env)
        else {
            return Err(unnoted());
        };
        Ok(Self {
            id,
            name,
            description: description.flatten(),
            limits: limits.flatten(),
            env: env.flatten(),
        })
    }
}

/// What to change of a plan: the body of `PATCH /tenants-plans/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPatch {
    /// Its new name; only the legacy dialect gives one.
    pub name: Option<String>,
    /// Its new description, the legacy dialect's too; `null` unsets it.
    pub description: Edit<String>,
    /// Its new limits, in place of all that it had; `null` unsets them.
    pub limits: Edit<Variables>,
    /// Its new environment, in place of all that it had; `null` unsets it.
    pub env: Edit<Variables>,
}

impl PlanPatch {
    /// Reads a body; one without any field is refused.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let (name, description) = match fields.dialect() {
            Dialect::Current => (Some(None), Some(None)),
            Dialect::Legacy => (
                fields.maybe("name", read_name),
                fields.maybe("description", read_description),
            ),
        };
        let limits = fields.maybe("limits", |v| v.nullable(Variables::read));
        let env = fields.maybe("env", |v| v.nullable(Variables::read));
        fields.require_any(match fields.dialect() {
            Dialect::Current => "limits, env",
            Dialect::Legacy => "name, description, limits, env",
        });
        fields.finish()?;
        let (Some(name), Some(description), Some(limits), Some(env)) =
            (name, description, limits, env)
        else {
            return Err(unnoted());
        };
        Ok(Self {
            name,
            description: Edit::of(description),
            limits: Edit::of(limits),
            env: Edit::of(env),
        })
    }
}

/// How long a plan's name may be, in characters (contract §6).
const MAX_NAME_CHARACTERS: usize = 255;

fn read_name(value: Json<'_>) -> Checked<String> {
    value.parsed(|text| {
        let length = text.chars().count();
        if (1..=MAX_NAME_CHARACTERS).contains(&length) {
            Ok(text.into())
        } else {
            Err(format!(
                "expected 1 to {MAX_NAME_CHARACTERS} characters; got {length}"
            ))
        }
    })
}

fn read_description(value: Json<'_>) -> Checked<Option<String>> {
    value.nullable(|v| v.parsed(|text| Ok(text.into())))
}

/// A plan as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    id: String,
    name: Option<String>,
    description: Option<String>,
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
            name: row.optional_text("name")?,
            description: row.optional_text("description")?,
            id,
        }))
    }

    /// It as a dialect shows it.
    fn shown(&self, dialect: Dialect) -> Shown<'_> {
        let Self {
            id,
            name,
            description,
            limits,
            env,
            created_at,
            updated_at,
        } = self;
        match dialect {
            Dialect::Current => Shown::Current {
                id,
                limits,
                env,
                created_at,
                updated_at,
            },
            Dialect::Legacy => Shown::Legacy {
                plan_id: id,
                // Contract §10: a plan without a name is shown under its id.
                name: name.as_deref().unwrap_or(id),
                description,
                limits,
                env,
                created_at,
                updated_at,
            },
        }
    }
}

/// A plan's fields, by a dialect's names.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Current {
        id: &'a str,
        limits: &'a Option<VariablesText>,
        env: &'a Option<VariablesText>,
        created_at: &'a str,
        updated_at: &'a str,
    },
    Legacy {
        plan_id: &'a str,
        name: &'a str,
        description: &'a Option<String>,
        limits: &'a Option<VariablesText>,
        env: &'a Option<VariablesText>,
        created_at: &'a str,
        updated_at: &'a str,
    },
}
