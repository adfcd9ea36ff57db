//! `/tenants` and `/tenants/{id}` (contract §4): from a verified call to a batch, and from its rows to an answer.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::exchange::{Call, Pending, absent, changed, key_dead, whether_key_stands};
use crate::http::Response;
use crate::id::TenantId;
use crate::page::Page;
use crate::patch::Edit;
use crate::problem::{ApiError, FieldError, Internal, quote};
use crate::sql::{Answers, Batch, Sql, Value, key_stands, standing_key};
use crate::tenant::{NewTenant, Tenant, TenantPatch, list_json, read_drop_tables};
use crate::{site, stored};

const TABLE: &str = "tenants";

/// What [`Tenant::decode`] reads, in its order: tenants where the caller's key stands, or one row of `NULL`s where it stands
/// and there is no tenant.
macro_rules! select_tenants {
    ($on:literal) => {
        concat!(
            "SELECT t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.limits, t.env, t.stats, t.last_job_at \
             FROM ",
            standing_key!(),
            " AS k LEFT JOIN tenants AS t ON ",
            $on
        )
    };
}

/// `GET /tenants`
pub(crate) fn list(call: &Call<'_>) -> Result<Pending, ApiError> {
    let page = Page::read::<{ TenantId::MAX_LENGTH }>(call.query)?;
    let read = Sql::of(
        &call.caller,
        select_tenants!("t.id > ?4 ORDER BY t.id LIMIT ?5"),
    )
    .values([page.after().into(), page.rows_to_read().into()]);
    let path = call.path("/tenants");
    Ok(Pending::new(Batch::read(read), move |config, answers| {
        let (tenants, more) =
            page.decode(answers, |row| Tenant::decode(row, config.sealer.as_ref()))?;
        let last = tenants.last().filter(|_| more).map(|last| last.id.as_str());
        Ok(page.respond(list_json(&tenants)?, &path, last))
    }))
}

/// `GET /tenants/{id}`
pub(crate) fn get(call: &Call<'_>, id: &str) -> Pending {
    let Ok(id) = TenantId::parse(id) else {
        return absent(&call.caller, "tenant");
    };
    let read = Sql::of(&call.caller, select_tenants!("t.id = ?4")).values([id.as_str().into()]);
    let dialect = call.dialect;
    Pending::new(Batch::read(read), move |config, answers| {
        let row = answers.row()?.ok_or_else(key_dead)?;
        let tenant = Tenant::decode(row, config.sealer.as_ref())?.ok_or(NOT_FOUND)?;
        Ok(Response::json(200, tenant.to_json(dialect)?))
    })
}

/// `POST /tenants`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let new = NewTenant::read(call.fields()?, call.config)?;
    let limits = (!new.limits.is_empty()).then(|| new.limits.to_stored());
    let env = if new.env.is_empty() {
        None
    } else {
        let sealer = call.config.sealer.as_ref();
        Some(stored::seal_env(
            TABLE,
            new.id.as_str(),
            &new.env,
            sealer,
            call.random,
        )?)
    };
    let plan_id: Value = new.plan_id.as_ref().map(|id| id.as_str()).into();
    // `plan_id` is stored as the plan has it, whatever its case here. What stands against it is told apart further down, from
    // rows: nothing here is told from an error's text.
    let insert = Sql::of(
        &call.caller,
        "INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at) \
         SELECT ?4, ?5, ?6, (SELECT id FROM tenants_plans WHERE id = ?7), ?8, ?9, ?3, ?3",
    )
    .values([
        new.id.as_str().into(),
        new.hostname.as_str().into(),
        new.is_enabled.into(),
        plan_id.clone(),
        limits.into(),
        env.into(),
    ])
    .guarded()
    .sql(
        " AND (?7 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?7)) \
         ON CONFLICT DO NOTHING RETURNING created_at, updated_at, plan_id",
    );
    let batch = Batch::write()
        .then(insert)
        .audit(
            &call.caller,
            "tenant.create",
            new.id.as_str(),
            call.request_id,
        )
        .explain(why_not(
            &call.caller,
            new.id.as_str(),
            new.hostname.as_str().into(),
            false,
            plan_id,
        ));
    let location = call.path(&format!("/tenants/{}", new.id));
    let dialect = call.dialect;
    Ok(Pending::new(batch, move |_, answers| {
        let Some(mut row) = answers.row()? else {
            answers.skip()?;
            let obstacles = Obstacles::decode(answers)?;
            return Err(obstacles.against_create(&new));
        };
        let tenant = Tenant {
            created_at: row.text("created_at")?,
            updated_at: row.text("updated_at")?,
            plan_id: row.optional_text("plan_id")?,
            id: new.id.as_str().into(),
            hostname: new.hostname.as_str().into(),
            is_enabled: new.is_enabled,
            limits: (&new.limits).into(),
            env: (&new.env).into(),
            stats: None,
            last_job_at: None,
        };
        Ok(Response::json(201, tenant.to_json(dialect)?).with("location", location))
    }))
}

/// `PATCH /tenants/{id}`
pub(crate) fn edit(call: &mut Call<'_>, id: &str) -> Result<Pending, ApiError> {
    let patch = TenantPatch::read(call.fields()?, call.config)?;
    let Ok(id) = TenantId::parse(id) else {
        return Ok(absent(&call.caller, "tenant"));
    };
    let (plan_edited, plan_id) = match &patch.plan_id {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(id) => (true, Some(id.as_str())),
    };

    let mut update = Sql::of(&call.caller, "UPDATE tenants SET updated_at = ?3");
    if let Some(hostname) = &patch.hostname {
        update = update.sql(", hostname = ").bind(hostname.as_str());
    }
    if let Some(is_enabled) = patch.is_enabled {
        update = update.sql(", is_enabled = ").bind(is_enabled);
    }
    if plan_edited {
        update = update
            .sql(", plan_id = (SELECT id FROM tenants_plans WHERE id = ")
            .bind(plan_id)
            .sql(")");
    }
    match &patch.limits {
        Edit::Keep => {}
        Edit::Clear => update = update.sql(", limits = NULL"),
        Edit::Set(limits) => {
            update = update
                .sql(", limits = ")
                .bind((!limits.is_empty()).then(|| limits.to_stored()));
        }
    }
    match &patch.env {
        Edit::Keep => {}
        Edit::Set(env) if !env.is_empty() => {
            let sealer = call.config.sealer.as_ref();
            let sealed = stored::seal_env(TABLE, id.as_str(), env, sealer, call.random)?;
            update = update.sql(", env = ").bind(sealed);
        }
        Edit::Clear | Edit::Set(_) => update = update.sql(", env = NULL"),
    }
    let mut update = update.guarded().sql(" AND id = ").bind(id.as_str());
    if let Some(hostname) = &patch.hostname {
        update = update
            .sql(" AND NOT EXISTS (SELECT 1 FROM tenants AS other WHERE other.hostname = ")
            .bind(hostname.as_str())
            .sql(" AND other.id <> tenants.id)");
    }
    if let Some(plan_id) = plan_id {
        update = update
            .sql(" AND EXISTS (SELECT 1 FROM tenants_plans WHERE id = ")
            .bind(plan_id)
            .sql(")");
    }
    let update = update.sql(" RETURNING id");

    let hostname: Value = patch.hostname.as_ref().map(|h| h.as_str()).into();
    let batch = Batch::write()
        .then(update)
        .audit(&call.caller, "tenant.update", id.as_str(), call.request_id)
        .explain(why_not(
            &call.caller,
            id.as_str(),
            hostname,
            true,
            plan_id.into(),
        ));
    Ok(Pending::new(batch, move |_, answers| {
        if answers.row()?.is_some() {
            return Ok(Response::empty(204));
        }
        answers.skip()?;
        Err(Obstacles::decode(answers)?.against_edit(&patch))
    }))
}

/// `DELETE /tenants/{id}`
pub(crate) fn delete(call: &Call<'_>, id: &str) -> Result<Pending, ApiError> {
    let drop_tables = read_drop_tables(call.optional_fields()?)?;
    let Ok(id) = TenantId::parse(id) else {
        return Ok(absent(&call.caller, "tenant"));
    };
    if drop_tables {
        return Ok(site::routes::delete_with_tables(call, &id));
    }
    let delete = Sql::of(&call.caller, "DELETE FROM tenants")
        .guarded()
        .sql(" AND id = ")
        .bind(id.as_str())
        .sql(" RETURNING id");
    let batch = Batch::write()
        .then(delete)
        .audit(&call.caller, "tenant.delete", id.as_str(), call.request_id)
        .explain(whether_key_stands(&call.caller));
    Ok(Pending::new(batch, |_, answers| changed(answers, "tenant")))
}

const NOT_FOUND: ApiError = ApiError::NotFound { what: "tenant" };

/// Reads what can stand against a write: the key, the tenant that has the id, the one that has the hostname (when that tenant
/// is edited: another one), the plan.
fn why_not(caller: &Caller, id: &str, hostname: Value, edits: bool, plan_id: Value) -> Sql {
    Sql::of(
        caller,
        concat!(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE ",
            key_stands!(),
            ") AS key_stands, \
             EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS id_is_there, \
             EXISTS (SELECT 1 FROM tenants WHERE hostname = ?5 AND (?6 = 0 OR id <> ?4)) AS hostname_is_taken, \
             ?7 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?7) AS plan_is_there"
        ),
    )
    .values([id.into(), hostname, edits.into(), plan_id])
}

/// A row of [`why_not`].
#[derive(Debug)]
struct Obstacles {
    key_stands: bool,
    id_is_there: bool,
    hostname_is_taken: bool,
    plan_is_there: bool,
}

impl Obstacles {
    fn decode(answers: &mut Answers) -> Result<Self, ApiError> {
        let mut row = answers.row()?.ok_or_else(unexplained)?;
        Ok(Self {
            key_stands: row.boolean("key_stands")?,
            id_is_there: row.boolean("id_is_there")?,
            hostname_is_taken: row.boolean("hostname_is_taken")?,
            plan_is_there: row.boolean("plan_is_there")?,
        })
    }

    /// What is wrong whatever is written: first the caller, then its request.
    fn against_write(&self, plan_id: Option<&str>) -> Option<ApiError> {
        if !self.key_stands {
            return Some(key_dead());
        }
        if !self.plan_is_there {
            let detail = format!(
                "expected a plan that exists; got {}",
                quote(plan_id.unwrap_or(""))
            );
            return Some(ApiError::Invalid(
                [FieldError::field("/plan_id", detail)].into(),
            ));
        }
        None
    }

    fn against_create(&self, new: &NewTenant) -> ApiError {
        if let Some(error) = self.against_write(new.plan_id.as_ref().map(|id| id.as_str())) {
            return error;
        }
        let mut taken = Vec::new();
        if self.id_is_there {
            taken.push(taken_field("/id", new.id.as_str()));
        }
        if self.hostname_is_taken {
            taken.push(taken_field("/hostname", new.hostname.as_str()));
        }
        if taken.is_empty() {
            unexplained()
        } else {
            ApiError::Conflict(taken)
        }
    }

    fn against_edit(&self, patch: &TenantPatch) -> ApiError {
        let plan_id = match &patch.plan_id {
            Edit::Set(id) => Some(id.as_str()),
            Edit::Keep | Edit::Clear => None,
        };
        if self.key_stands && !self.id_is_there {
            return NOT_FOUND;
        }
        if let Some(error) = self.against_write(plan_id) {
            return error;
        }
        match &patch.hostname {
            Some(hostname) if self.hostname_is_taken => {
                ApiError::Conflict([taken_field("/hostname", hostname.as_str())].into())
            }
            _ => unexplained(),
        }
    }
}

fn taken_field(pointer: &'static str, value: &str) -> FieldError {
    FieldError::field(pointer, format!("{} is taken", quote(value)))
}

/// Nothing was written, and nothing stands against it: the statements do not say the same thing.
fn unexplained() -> ApiError {
    ApiError::Internal(Internal::Rows(String::from(
        "nothing was written, and nothing stands against it",
    )))
}
