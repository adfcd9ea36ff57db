//! `/tenants` and `/tenants/{id}` (contract §4): from a verified call to a batch, and from its rows to an answer.

use alloc::format;
use alloc::vec::Vec;

use crate::exchange::{Call, Pending, absent, changed, key_dead};
use crate::http::Response;
use crate::id::TenantId;
use crate::page::Page;
use crate::patch::Edit;
use crate::problem::{ApiError, FieldError, quote};
use crate::sql::{Batch, Columns, Sql, Write, standing_key, write_into};
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
    // `plan_id` is stored as the plan has it, whatever its case here.
    let create = Write::of(
        &call.caller,
        call.request_id,
        write_into!(
            "create_tenant",
            "id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, plan_id, limits, env",
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?5), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?6), \
             ?8 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?8), \
             ?5, ?6, ?7, (SELECT id FROM tenants_plans WHERE id = ?8), ?9, ?10",
            "id_is_there, hostname_is_taken, plan_is_there, now, plan_id"
        ),
        [
            new.id.as_str().into(),
            new.hostname.as_str().into(),
            new.is_enabled.into(),
            new.plan_id.as_ref().map(|id| id.as_str()).into(),
            limits.into(),
            env.into(),
        ],
    );
    let location = call.path(&format!("/tenants/{}", new.id));
    let dialect = call.dialect;
    Ok(Pending::new(Batch::one(create), move |_, answers| {
        let mut row = answers.outcome()?;
        if let Some(error) = Obstacles::decode(&mut row)?.against_create(&new) {
            return Err(error);
        }
        let now = row.text("now")?;
        let tenant = Tenant {
            created_at: now.clone(),
            updated_at: now,
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
    let (sets_plan_id, plan_id) = match &patch.plan_id {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(id) => (true, Some(id.as_str())),
    };
    let (sets_limits, limits) = match &patch.limits {
        Edit::Keep => (false, None),
        Edit::Set(limits) if !limits.is_empty() => (true, Some(limits.to_stored())),
        Edit::Clear | Edit::Set(_) => (true, None),
    };
    let (sets_env, env) = match &patch.env {
        Edit::Keep => (false, None),
        Edit::Set(env) if !env.is_empty() => {
            let sealer = call.config.sealer.as_ref();
            let sealed = stored::seal_env(TABLE, id.as_str(), env, sealer, call.random)?;
            (true, Some(sealed))
        }
        Edit::Clear | Edit::Set(_) => (true, None),
    };
    let edit = Write::of(
        &call.caller,
        call.request_id,
        write_into!(
            "edit_tenant",
            "id_is_there, hostname_is_taken, plan_is_there, \
             id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env",
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?5), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?6 AND id <> ?5), \
             ?9 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?9), \
             ?5, ?6, ?7, ?8, (SELECT id FROM tenants_plans WHERE id = ?9), ?10, ?11, ?12, ?13",
            "id_is_there, hostname_is_taken, plan_is_there"
        ),
        [
            id.as_str().into(),
            patch.hostname.as_ref().map(|h| h.as_str()).into(),
            patch.is_enabled.into(),
            sets_plan_id.into(),
            plan_id.into(),
            sets_limits.into(),
            limits.into(),
            sets_env.into(),
            env.into(),
        ],
    );
    Ok(Pending::new(
        Batch::one(edit),
        move |_, answers| match Obstacles::decode(&mut answers.outcome()?)?.against_edit(&patch) {
            Some(error) => Err(error),
            None => Ok(Response::empty(204)),
        },
    ))
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
    let delete = Write::of(
        &call.caller,
        call.request_id,
        write_into!(
            "delete_tenant",
            "id_is_there, id",
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?5), ?5",
            "id_is_there"
        ),
        [id.as_str().into()],
    );
    Ok(Pending::new(Batch::one(delete), |_, answers| {
        changed(answers, "tenant")
    }))
}

const NOT_FOUND: ApiError = ApiError::NotFound { what: "tenant" };

/// What stood against a write of a tenant, as its row has it after `key_stands`.
#[derive(Debug)]
struct Obstacles {
    key_stands: bool,
    id_is_there: bool,
    hostname_is_taken: bool,
    plan_is_there: bool,
}

impl Obstacles {
    fn decode(row: &mut Columns) -> Result<Self, ApiError> {
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

    fn against_create(&self, new: &NewTenant) -> Option<ApiError> {
        let taken: Vec<FieldError> = [
            (self.id_is_there, "/id", new.id.as_str()),
            (self.hostname_is_taken, "/hostname", new.hostname.as_str()),
        ]
        .into_iter()
        .filter(|(taken, ..)| *taken)
        .map(|(_, at, value)| taken_field(at, value))
        .collect();
        self.against_write(new.plan_id.as_ref().map(|id| id.as_str()))
            .or_else(|| (!taken.is_empty()).then_some(ApiError::Conflict(taken)))
    }

    fn against_edit(&self, patch: &TenantPatch) -> Option<ApiError> {
        if self.key_stands && !self.id_is_there {
            return Some(NOT_FOUND);
        }
        let plan_id = match &patch.plan_id {
            Edit::Set(id) => Some(id.as_str()),
            Edit::Keep | Edit::Clear => None,
        };
        self.against_write(plan_id).or_else(|| {
            let hostname = patch.hostname.as_ref().filter(|_| self.hostname_is_taken)?;
            Some(ApiError::Conflict(
                [taken_field("/hostname", hostname.as_str())].into(),
            ))
        })
    }
}

fn taken_field(pointer: &'static str, value: &str) -> FieldError {
    FieldError::field(pointer, format!("{} is taken", quote(value)))
}
