//! `/tenants-plans` and `/tenants-plans/{id}` (contract §4 and §6).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Range;

use crate::auth::Caller;
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Pending, absent, edited, valid, versioned};
use crate::operation::list::{self, Asked, List};
use crate::operation::tenant_json::write_found;
use crate::operation::tenants::{labels_do_not_fit, read_external_id, taken};
use crate::sql::Batch;
use crate::store::find;
use crate::store::plans::{self, Created, Edited, Holders, NewPlan, Plan, PlanPatch};
use crate::store::registry;
use crate::store::standing::{self, Judged};
use crate::store::write::{Shows, Written, was_there};
use crate::value::external_id::ExternalId;
use crate::value::fault::{ApiError, FieldError};
use crate::value::id::PlanId;
use crate::value::patch::Edit;
use crate::wire::body::{Checked, Fields, Json};
use crate::wire::dialect::Dialect;
use crate::wire::filter::PlanFilter;
use crate::wire::http::Response;
use crate::wire::json::{Object, object};
use crate::wire::labels::{Labels, LabelsPatch};
use crate::wire::page::{Cursor, Page};
use crate::wire::rule::Rule;
use crate::wire::variables::{MAX_DESCRIPTION_BYTES, Variables, VariablesText, exported_bytes};

const NOT_FOUND: ApiError = ApiError::NotFound { what: "plan" };

/// The longest name of a plan, in characters (contract §6).
const MAX_NAME_CHARACTERS: usize = 255;

/// `GET /tenants-plans`
pub(crate) fn list(call: &Call<'_>) -> Result<Pending, ApiError> {
    let (page, filter) = match call.dialect {
        Dialect::Current => PlanFilter::read(call.query)?,
        Dialect::Legacy => {
            let page = Page::read::<{ PlanId::MAX_LENGTH }>(call.query)?;
            (page, PlanFilter::default())
        }
    };
    let asked = Asked {
        page,
        path: call.path("/tenants-plans"),
        counts: false,
        is_head: call.is_head,
    };
    let list = PlanList {
        caller: call.caller.clone(),
        filter,
        dialect: call.dialect,
        sealer: call.env.sealer.cloned(),
    };
    Ok(list::respond(list, asked))
}

/// A list of plans.
struct PlanList {
    caller: Caller,
    filter: PlanFilter,
    dialect: Dialect,
    sealer: Option<Arc<Sealer>>,
}

impl List for PlanList {
    type Item = Plan;

    const JSON_BYTES: usize = 256;

    // `labels`, `limits` and `env`.
    const LARGE: Range<usize> = 3..6;

    fn is_plain(&self) -> bool {
        self.filter == PlanFilter::default()
    }

    fn rows(&self, page: &Page) -> Batch {
        if self.is_plain() {
            plans::list(&self.caller, page)
        } else {
            find::plans(&self.caller, &self.filter, page)
        }
    }

    // No parameter of this list asks for a count.
    fn counted_rows(&self, page: &Page) -> Batch {
        self.rows(page)
    }

    fn no_rows(&self, _counts: bool) -> Batch {
        Batch::one(standing::alone(&self.caller))
    }

    fn decode(&self, row: Judged) -> Result<Option<Plan>, ApiError> {
        Plan::decode(row, self.sealer.as_deref())
    }

    fn write(&self, plan: &Plan, out: Object<'_>) {
        write_json(plan, self.dialect, out).end();
    }

    fn cursor(&self, plan: &Plan) -> Cursor {
        Cursor {
            value: None,
            id: plan.id.clone(),
        }
    }
}

/// `GET /tenants-plans/{id}`
pub(crate) fn get(call: &mut Call<'_>) -> Pending {
    let Ok(id) = PlanId::parse(call.id) else {
        return absent(call, "plan");
    };
    let if_none_match = call.if_none_match.take();
    let dialect = call.dialect;
    let sealer = call.env.sealer.cloned();
    let batch = Batch::one(plans::get(&call.caller, &id));
    Pending::new(batch, move |results| {
        let row = standing::judged_read(results)?;
        let (plan, version) = Plan::decode_versioned(row, sealer.as_deref())?.ok_or(NOT_FOUND)?;
        Ok(versioned(if_none_match.as_ref(), &version, || {
            to_json(&plan, dialect)
        }))
    })
}

/// `POST /tenants-plans`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let id = fields.required("id", Rule::PlanId, |v| v.parsed(PlanId::parse));
    let new = read_new(fields, id)?;
    let writer = call.writer()?;
    let batch = plans::create(&writer, &new, Shows::Nothing, &mut call.env)?;
    let location = call.path(&format!("/tenants-plans/{}", new.id));
    let dialect = call.dialect;
    Ok(Pending::write(batch, move |results| {
        let (now, version) = match Created::decode(Written::read(results)?)? {
            Created::At(now, version) => (now, version),
            Created::Tried => return Ok(valid()),
            Created::Taken(holders) => return Err(conflict(&new, holders)),
        };
        let plan = Plan {
            created_at: now.clone(),
            updated_at: now,
            id: new.id.as_str().into(),
            name: new.name,
            description: new.description,
            external_id: new.external_id.as_ref().map(|id| id.as_str().into()),
            labels: new.labels,
            limits: new.limits.as_ref().map(Into::into),
            env: new.env.as_ref().map(Into::into),
        };
        Ok(Response::json(201, to_json(&plan, dialect))
            .with("location", location)
            .with("etag", version.etag()))
    }))
}

/// `PATCH /tenants-plans/{id}`
pub(crate) fn edit(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let patch = read_patch(call.fields()?)?;
    let Ok(id) = PlanId::parse(call.id) else {
        return Ok(absent(call, "plan"));
    };
    let writer = call.writer()?;
    let shows = call.shows();
    let batch = plans::edit(&writer, &id, &patch, shows, &mut call.env)?;
    let dialect = call.dialect;
    let sealer = call.env.sealer.cloned();
    Ok(Pending::write_with_note(batch, move |results| {
        let mut row = Written::read(results)?;
        let found = Edited::decode(&mut row)?;
        row.needs(found.id_is_there, NOT_FOUND)?;
        judge_edit(found, patch.external_id.value())?;
        let version = registry::version(&mut row)?;
        let shown = row
            .shown(results, shows == Shows::Patched)
            .and_then(|shown| {
                let plan = shown.map(|shown| Plan::decode_shown(shown, sealer.as_deref()));
                Ok(plan.transpose()?.map(|plan| to_json(&plan, dialect)))
            });
        Ok(edited(Some(&version), shown))
    }))
}

/// A change needs room for its labels (422), and a free external id (409).
pub(crate) fn judge_edit(found: Edited, external_id: Option<&ExternalId>) -> Result<(), ApiError> {
    if !found.labels_fit {
        return Err(ApiError::Invalid([labels_do_not_fit()].into()));
    }
    match found.external_id_holder {
        None => Ok(()),
        Some(holder) => {
            let taken = taken_external_id(external_id, holder);
            Err(ApiError::Conflict([taken].into()))
        }
    }
}

/// The error of a new plan whose values are taken.
pub(crate) fn conflict(new: &NewPlan, holders: Holders) -> ApiError {
    let id = holders
        .id
        .map(|holder| taken("/id", new.id.as_str(), holder));
    let external_id = holders
        .external_id
        .map(|holder| taken_external_id(new.external_id.as_ref(), holder));
    ApiError::Conflict(id.into_iter().chain(external_id).collect())
}

fn taken_external_id(id: Option<&ExternalId>, holder: String) -> FieldError {
    taken("/external_id", id.map_or("", ExternalId::as_str), holder)
}

/// `DELETE /tenants-plans/{id}`: its tenants keep running without a plan.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = PlanId::parse(call.id) else {
        return Ok(absent(call, "plan"));
    };
    let batch = plans::delete(&call.writer()?, &id);
    Ok(Pending::write(batch, |results| {
        was_there(results, NOT_FOUND)?;
        Ok(Response::empty(204))
    }))
}

/// Reads the body of `POST /tenants-plans` or of a PUT after its id. `null` for `limits` or `env` counts as absent (contract §10).
pub(crate) fn read_new(mut fields: Fields<'_>, id: Option<PlanId>) -> Result<NewPlan, ApiError> {
    let (name, description) = match fields.dialect() {
        Dialect::Current => (Some(None), Some(None)),
        Dialect::Legacy => (
            fields.required("name", Rule::PlanName, read_name).map(Some),
            fields.maybe("description", Rule::PlanDescription, read_description),
        ),
    };
    let limits = fields.maybe("limits", Rule::Limits, |v| {
        v.nullable(Variables::read_limits)
    });
    let env = fields.maybe("env", Rule::Env, |v| v.nullable(Variables::read_env));
    let (external_id, labels) = match fields.dialect() {
        Dialect::Current => (
            fields.maybe("external_id", Rule::ExternalId, read_external_id),
            fields.maybe("labels", Rule::Labels, |v| v.nullable(Labels::read)),
        ),
        Dialect::Legacy => (Some(None), Some(None)),
    };
    let (id, name, description, limits, env, external_id, labels) =
        fields.finish((id, name, description, limits, env, external_id, labels))?;
    Ok(NewPlan {
        id,
        name,
        description: description.flatten(),
        limits: limits.flatten(),
        env: env.flatten(),
        external_id: external_id.flatten(),
        labels: labels.flatten().unwrap_or_default(),
    })
}

/// Reads the body of `PATCH /tenants-plans/{id}`, which must have at least one field.
fn read_patch(mut fields: Fields<'_>) -> Result<PlanPatch, ApiError> {
    let (name, description) = match fields.dialect() {
        Dialect::Current => (Some(None), Some(None)),
        Dialect::Legacy => (
            fields.maybe("name", Rule::PlanName, read_name),
            fields.maybe("description", Rule::PlanDescription, read_description),
        ),
    };
    let limits = fields.maybe("limits", Rule::Limits, |v| {
        v.nullable(Variables::read_limits)
    });
    let env = fields.maybe("env", Rule::Env, |v| v.nullable(Variables::read_env));
    let (external_id, labels) = match fields.dialect() {
        Dialect::Current => (
            fields.maybe("external_id", Rule::ExternalId, read_external_id),
            fields.maybe("labels", Rule::LabelsPatch, |v| {
                v.nullable(LabelsPatch::read)
            }),
        ),
        Dialect::Legacy => (Some(None), Some(None)),
    };
    fields.require_any(match fields.dialect() {
        Dialect::Current => "external_id, labels, limits, env",
        Dialect::Legacy => "name, description, limits, env",
    });
    let (name, description, limits, env, external_id, labels) =
        fields.finish((name, description, limits, env, external_id, labels))?;
    Ok(PlanPatch {
        name,
        description: Edit::of(description),
        limits: Edit::of(limits),
        env: Edit::of(env),
        external_id: Edit::of(external_id),
        labels: Edit::of(labels),
    })
}

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
    value.nullable(|v| {
        v.parsed(|text| match exported_bytes(text) {
            0..=MAX_DESCRIPTION_BYTES => Ok(text.into()),
            bytes => Err(format!(
                "expected at most {MAX_DESCRIPTION_BYTES} bytes, where an apostrophe and a line end count twice; got {bytes}"
            )),
        })
    })
}

pub(crate) fn to_json(plan: &Plan, dialect: Dialect) -> String {
    object(|out| write_json(plan, dialect, out))
}

fn write_json<'o>(plan: &Plan, dialect: Dialect, out: Object<'o>) -> Object<'o> {
    let out = match dialect {
        Dialect::Current => {
            let out = out.text("id", &plan.id);
            write_found(&plan.labels, plan.external_id.as_deref(), out)
        }
        Dialect::Legacy => out
            .text("plan_id", &plan.id)
            // A plan without a name is shown under its id (contract §10).
            .text("name", plan.name.as_deref().unwrap_or(&plan.id))
            .optional_text("description", plan.description.as_deref()),
    };
    out.raw("limits", map_json(plan.limits.as_ref()))
        .raw("env", map_json(plan.env.as_ref()))
        .text("created_at", &plan.created_at)
        .text("updated_at", &plan.updated_at)
}

fn map_json(map: Option<&VariablesText>) -> &str {
    map.map_or("null", VariablesText::as_str)
}
