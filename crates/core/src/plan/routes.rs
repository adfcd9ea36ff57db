//! `/tenants-plans` and `/tenants-plans/{id}` (contract §4).

use alloc::format;
use alloc::vec::Vec;

use crate::exchange::{
    Call, Pending, absent, changed, key_dead, nothing_changed, to_json, whether_key_stands,
};
use crate::http::Response;
use crate::id::PlanId;
use crate::page::Page;
use crate::patch::Edit;
use crate::plan::{NewPlan, Plan, PlanPatch};
use crate::problem::{ApiError, FieldError, quote};
use crate::sql::{Batch, Sql, standing_key};
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
    let insert = Sql::of(
        &call.caller,
        "INSERT INTO tenants_plans (id, limits, env, name, description, created_at, updated_at) \
         SELECT ?4, ?5, ?6, ?7, ?8, ?3, ?3",
    )
    .values([
        new.id.as_str().into(),
        new.limits.as_ref().map(Variables::to_stored).into(),
        env.into(),
        new.name.as_deref().into(),
        new.description.as_deref().into(),
    ])
    .guarded()
    .sql(" ON CONFLICT DO NOTHING RETURNING created_at, updated_at");
    let batch = Batch::write()
        .then(insert)
        .audit(
            &call.caller,
            "plan.create",
            new.id.as_str(),
            call.request_id,
        )
        .explain(whether_key_stands(&call.caller));
    let location = call.path(&format!("/tenants-plans/{}", new.id));
    let dialect = call.dialect;
    Ok(Pending::new(batch, move |_, answers| {
        let Some(mut row) = answers.row()? else {
            answers.skip()?;
            // A key that stands, and still nothing written: the identifier is taken.
            return nothing_changed(answers, "plan").map_err(|error| match error {
                ApiError::NotFound { .. } => ApiError::Conflict(
                    [FieldError::field(
                        "/id",
                        format!("{} is taken", quote(new.id.as_str())),
                    )]
                    .into(),
                ),
                other => other,
            });
        };
        let plan = Plan {
            created_at: row.text("created_at")?,
            updated_at: row.text("updated_at")?,
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
    let mut update = Sql::of(&call.caller, "UPDATE tenants_plans SET updated_at = ?3");
    if let Some(name) = &patch.name {
        update = update.sql(", name = ").bind(name.as_str());
    }
    match &patch.description {
        Edit::Keep => {}
        Edit::Clear => update = update.sql(", description = NULL"),
        Edit::Set(text) => update = update.sql(", description = ").bind(text.as_str()),
    }
    match &patch.limits {
        Edit::Keep => {}
        Edit::Clear => update = update.sql(", limits = NULL"),
        Edit::Set(limits) => update = update.sql(", limits = ").bind(limits.to_stored()),
    }
    match &patch.env {
        Edit::Keep => {}
        Edit::Clear => update = update.sql(", env = NULL"),
        Edit::Set(env) => update = update.sql(", env = ").bind(seal(call, &id, env)?),
    }
    let update = update
        .guarded()
        .sql(" AND id = ")
        .bind(id.as_str())
        .sql(" RETURNING id");
    let batch = Batch::write()
        .then(update)
        .audit(&call.caller, "plan.update", id.as_str(), call.request_id)
        .explain(whether_key_stands(&call.caller));
    Ok(Pending::new(batch, |_, answers| changed(answers, "plan")))
}

/// `DELETE /tenants-plans/{id}`: its tenants keep running with no plan.
pub(crate) fn delete(call: &Call<'_>, id: &str) -> Pending {
    let Ok(id) = PlanId::parse(id) else {
        return absent(&call.caller, "plan");
    };
    // Said here and not left to the foreign key, which not every host's SQLite enforces.
    let release = Sql::of(&call.caller, "UPDATE tenants SET plan_id = NULL")
        .guarded()
        .sql(" AND EXISTS (SELECT 1 FROM tenants_plans WHERE id = ")
        .bind(id.as_str())
        .sql(") AND plan_id = ")
        .bind(id.as_str());
    let delete = Sql::of(&call.caller, "DELETE FROM tenants_plans")
        .guarded()
        .sql(" AND id = ")
        .bind(id.as_str())
        .sql(" RETURNING id");
    let batch = Batch::write()
        .then(release)
        .then(delete)
        .audit(&call.caller, "plan.delete", id.as_str(), call.request_id)
        .explain(whether_key_stands(&call.caller));
    Pending::new(batch, |_, answers| {
        answers.skip()?;
        changed(answers, "plan")
    })
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
