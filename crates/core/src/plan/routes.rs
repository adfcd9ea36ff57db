//! `/tenants-plans` and `/tenants-plans/{id}` (contract §4).

use alloc::format;
use alloc::vec::Vec;

use crate::exchange::{Call, Pending, absent, changed, key_dead, to_json};
use crate::http::Response;
use crate::id::PlanId;
use crate::page::Page;
use crate::patch::Edit;
use crate::plan::{NewPlan, Plan, PlanPatch};
use crate::problem::{ApiError, FieldError, quote};
use crate::sql::{Batch, Sql, Write, standing_key, write_into};
use crate::stored;
use crate::variables::Variables;

pub(super) const TABLE: &str = "tenants_plans";

/// What [`Plan::decode`] reads, in its order.
macro_rules! select_plans {
    ($on:literal) => {
        concat!(
            "SELECT p.id, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM ",
            standing_key!(),
            " AS k LEFT JOIN tenants_plans AS p ON ",
            $on
        )
    };
}

/// `GET /tenants-plans`
pub(crate) fn list(call: &Call<'_>) -> Result<Pending, ApiError> {
    let page = Page::read::<{ PlanId::MAX_LENGTH }>(call.query)?;
    let read = Sql::of(
        &call.caller,
        select_plans!("p.id > ?4 ORDER BY p.id LIMIT ?5"),
    )
    .values([page.after().into(), page.rows_to_read().into()]);
    let path = call.path("/tenants-plans");
    let dialect = call.dialect;
    Ok(Pending::new(Batch::read(read), move |config, answers| {
        let (plans, more) =
            page.decode(answers, |row| Plan::decode(row, config.sealer.as_ref()))?;
        let last = plans.last().filter(|_| more).map(|last| last.id.as_str());
        let shown: Vec<_> = plans.iter().map(|plan| plan.shown(dialect)).collect();
        Ok(page.respond(to_json(&shown)?, &path, last))
    }))
}

/// `GET /tenants-plans/{id}`
pub(crate) fn get(call: &Call<'_>, id: &str) -> Pending {
    let Ok(id) = PlanId::parse(id) else {
        return absent(&call.caller, "plan");
    };
    let read = Sql::of(&call.caller, select_plans!("p.id = ?4")).values([id.as_str().into()]);
    let dialect = call.dialect;
    Pending::new(Batch::read(read), move |config, answers| {
        let row = answers.row()?.ok_or_else(key_dead)?;
        let plan = Plan::decode(row, config.sealer.as_ref())?
            .ok_or(ApiError::NotFound { what: "plan" })?;
        Ok(Response::json(200, to_json(&plan.shown(dialect))?))
    })
}

/// `POST /tenants-plans`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let new = NewPlan::read(call.fields()?)?;
    let env = match &new.env {
        None => None,
        Some(env) => Some(seal(call, &new.id, env)?),
    };
    let create = Write::of(
        &call.caller,
        call.request_id,
        write_into!(
            "create_plan",
            "id_is_there, id, name, description, limits, env",
            "EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9",
            "id_is_there, now"
        ),
        [
            new.id.as_str().into(),
            new.name.as_deref().into(),
            new.description.as_deref().into(),
            new.limits.as_ref().map(Variables::to_stored).into(),
            env.into(),
        ],
    );
    let location = call.path(&format!("/tenants-plans/{}", new.id));
    let dialect = call.dialect;
    Ok(Pending::new(Batch::one(create), move |_, answers| {
        let mut row = answers.outcome()?;
        if !row.boolean("key_stands")? {
            return Err(key_dead());
        }
        if row.boolean("id_is_there")? {
            let detail = format!("{} is taken", quote(new.id.as_str()));
            return Err(ApiError::Conflict(
                [FieldError::field("/id", detail)].into(),
            ));
        }
        let now = row.text("now")?;
        let plan = Plan {
            created_at: now.clone(),
            updated_at: now,
            id: new.id.as_str().into(),
            name: new.name,
            description: new.description,
            limits: new.limits.as_ref().map(Into::into),
            env: new.env.as_ref().map(Into::into),
        };
        Ok(Response::json(201, to_json(&plan.shown(dialect))?).with("location", location))
    }))
}

/// `PATCH /tenants-plans/{id}`
pub(crate) fn edit(call: &mut Call<'_>, id: &str) -> Result<Pending, ApiError> {
    let patch = PlanPatch::read(call.fields()?)?;
    let Ok(id) = PlanId::parse(id) else {
        return Ok(absent(&call.caller, "plan"));
    };
    let (sets_description, description) = match &patch.description {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(text) => (true, Some(text.as_str())),
    };
    let (sets_limits, limits) = match &patch.limits {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(limits) => (true, Some(limits.to_stored())),
    };
    let (sets_env, env) = match &patch.env {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(env) => (true, Some(seal(call, &id, env)?)),
    };
    let edit = Write::of(
        &call.caller,
        call.request_id,
        write_into!(
            "edit_plan",
            "id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env",
            "EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12",
            "id_is_there"
        ),
        [
            id.as_str().into(),
            patch.name.as_deref().into(),
            sets_description.into(),
            description.into(),
            sets_limits.into(),
            limits.into(),
            sets_env.into(),
            env.into(),
        ],
    );
    Ok(Pending::new(Batch::one(edit), |_, answers| {
        changed(answers, "plan")
    }))
}

/// `DELETE /tenants-plans/{id}`: its tenants keep running with no plan.
pub(crate) fn delete(call: &Call<'_>, id: &str) -> Pending {
    let Ok(id) = PlanId::parse(id) else {
        return absent(&call.caller, "plan");
    };
    let delete = Write::of(
        &call.caller,
        call.request_id,
        write_into!(
            "delete_plan",
            "id_is_there, id",
            "EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5",
            "id_is_there"
        ),
        [id.as_str().into()],
    );
    Pending::new(Batch::one(delete), |_, answers| changed(answers, "plan"))
}

fn seal(
    call: &mut Call<'_>,
    id: &PlanId,
    env: &Variables,
) -> Result<alloc::string::String, ApiError> {
    stored::seal_env(
        TABLE,
        id.as_str(),
        env,
        call.config.sealer.as_ref(),
        call.random,
    )
}
