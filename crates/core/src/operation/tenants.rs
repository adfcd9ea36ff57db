//! `/tenants` and `/tenants/{id}` (contract §4 and §5).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use serde::{Serialize, Serializer};

use crate::auth::Caller;
use crate::config::{Cells, Hostnames, ReusedId};
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Pending, absent, edited, valid, versioned};
use crate::operation::keys::read_end;
use crate::operation::list::{self, Asked, List};
use crate::operation::site;
use crate::operation::tenant_json::{to_json, to_json_of_new, write_all, write_member};
use crate::settings::{Effective, Maps, Setting, Source, effective};
use crate::sql::Batch;
use crate::store::ends::Ends;
use crate::store::find;
use crate::store::registry;
use crate::store::standing::{self, Judged};
use crate::store::tenants::{
    self, Created, EditObstacles, NewTenant, Obstacles, SettingsRow, SiteState, Tenant, TenantPatch,
};
use crate::store::write::{Shows, Written};
use crate::value::clock::Timestamp;
use crate::value::external_id::ExternalId;
use crate::value::fault::{ApiError, CellConflict, FieldError, Internal};
use crate::value::hostname::Hostname;
use crate::value::id::{CellId, PlanId, TenantId};
use crate::value::patch::Edit;
use crate::value::scope::Needs;
use crate::value::text::quote;
use crate::wire::body::{Checked, Fields, Json};
use crate::wire::dialect::Dialect;
use crate::wire::filter::{Member, Order, TenantQuery};
use crate::wire::http::Response;
use crate::wire::json::Object;
use crate::wire::labels::{Labels, LabelsPatch, MAX_LABELS, MAX_LABELS_BYTES};
use crate::wire::page::{Cursor, Page};
use crate::wire::rule::Rule;
use crate::wire::variables::Variables;

/// The log's note on a tenant that got the tables of a deleted one.
pub(crate) const ADOPTED: &str =
    "the tenant took over the tables of a deleted tenant with the same id";

const NOT_FOUND: ApiError = ApiError::NotFound { what: "tenant" };

/// `GET /tenants`
pub(crate) fn list(call: &Call<'_>, query: TenantQuery) -> Pending {
    let asked = Asked {
        page: query.page.clone(),
        path: call.path("/tenants"),
        counts: query.counts,
        is_head: call.is_head,
    };
    let list = TenantList {
        caller: call.caller.clone(),
        query,
        sealer: call.env.sealer.cloned(),
    };
    list::respond(list, asked)
}

/// A list of tenants.
struct TenantList {
    caller: Caller,
    query: TenantQuery,
    sealer: Option<Arc<Sealer>>,
}

impl List for TenantList {
    type Item = Tenant;

    // About as much as a tenant with a handful of variables takes.
    const JSON_BYTES: usize = 512;

    // `labels`, `limits` and `env`.
    const LARGE: Range<usize> = 8..11;

    fn is_plain(&self) -> bool {
        self.query.is_plain()
    }

    fn rows(&self, page: &Page) -> Batch {
        if self.is_plain() {
            tenants::list(&self.caller, page)
        } else {
            find::tenants(&self.caller, &self.query, page)
        }
    }

    fn counted_rows(&self, page: &Page) -> Batch {
        find::counted_tenants(&self.caller, &self.query, page)
    }

    fn no_rows(&self, counts: bool) -> Batch {
        if counts {
            find::count_of_tenants(&self.caller, &self.query)
        } else {
            Batch::one(standing::alone(&self.caller))
        }
    }

    fn decode(&self, row: Judged) -> Result<Option<Tenant>, ApiError> {
        Tenant::decode(row, self.sealer.as_deref())
    }

    fn write(&self, tenant: &Tenant, out: Object<'_>) {
        // Only the current dialect has this list.
        let out = match &self.query.members {
            None => write_all(tenant, Dialect::Current, out),
            Some(members) => Member::ALL
                .into_iter()
                .filter(|member| members.contains(member))
                .fold(out, |out, member| write_member(tenant, member, out)),
        };
        out.end();
    }

    fn cursor(&self, tenant: &Tenant) -> Cursor {
        let value = match self.query.order {
            Order::Id => None,
            Order::UpdatedAt => Some(tenant.updated_at.clone()),
            Order::CreatedAt => Some(tenant.created_at.clone()),
            Order::Hostname => Some(tenant.hostname.clone()),
        };
        Cursor {
            value,
            id: tenant.id.clone(),
        }
    }
}

/// `GET /tenants/{id}/settings`: the settings that the tenant's site runs with.
pub(crate) fn settings(call: &Call<'_>) -> Pending {
    let Ok(id) = TenantId::parse(call.id) else {
        return absent(call, "tenant");
    };
    let sealer = call.env.sealer.cloned();
    let enforced = call.enforced.clone();
    Pending::new(tenants::settings(&call.caller, &id), move |results| {
        let row = standing::judged_read(results)?;
        let row = SettingsRow::decode(row, sealer.as_deref())?.ok_or(NOT_FOUND)?;
        let own = Maps {
            limits: row.limits.as_ref(),
            env: row.env.as_ref(),
        };
        let plan = Maps {
            limits: row.plan_limits.as_ref(),
            env: row.plan_env.as_ref(),
        };
        let settings = effective(&enforced, own, Some(plan));
        let shown = AllShown(&settings, row.caller_has_all);
        let body = serde_json::to_string(&shown)
            .map_err(|e| ApiError::Internal(Internal::Encoding(e.to_string())))?;
        Ok(Response::json(200, body))
    })
}

/// The settings as a caller sees them, and whether its key has every scope.
struct AllShown<'a>(&'a Effective<'a>, bool);

impl Serialize for AllShown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(settings, has_every_scope) = self;
        serializer.collect_map(settings.iter().map(|(name, Setting { value, source })| {
            let hides = source == Source::Enforced && !has_every_scope;
            let value = (!hides).then_some(value);
            (name, Shown { value, source })
        }))
    }
}

/// A setting as a caller sees it. Only a key with every scope sees enforced values.
#[derive(Serialize)]
struct Shown<'a> {
    value: Option<&'a str>,
    source: Source,
}

/// `GET /tenants/{id}`
pub(crate) fn get(call: &mut Call<'_>) -> Pending {
    let Ok(id) = TenantId::parse(call.id) else {
        return absent(call, "tenant");
    };
    let if_none_match = call.if_none_match.take();
    let dialect = call.dialect;
    let sealer = call.env.sealer.cloned();
    let batch = Batch::one(tenants::get(&call.caller, &id));
    Pending::new(batch, move |results| {
        let row = standing::judged_read(results)?;
        let (tenant, version) =
            Tenant::decode_versioned(row, sealer.as_deref())?.ok_or(NOT_FOUND)?;
        Ok(versioned(if_none_match.as_ref(), &version, || {
            to_json(&tenant, dialect)
        }))
    })
}

/// `POST /tenants`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let now = call.caller.now();
    let mut fields = call.fields()?;
    let id = fields.required("id", Rule::TenantId, |v| v.parsed(TenantId::parse));
    let (new, _) = read_new(fields, id, call.hostnames, call.cells, now)?;
    let writer = call.writer()?;
    let (prefix, reused_id) = (&call.site.table_prefix, call.site.reused_id);
    let shows = Shows::Nothing;
    let batch = tenants::create(&writer, &new, shows, prefix, reused_id, &mut call.env)?;
    let location = call.path(&format!("/tenants/{}", new.id));
    let dialect = call.dialect;
    Ok(Pending::write_with_note(batch, move |results| {
        let mut row = Written::read(results)?;
        NewObstacles::read(&mut row)?.judge(&new)?;
        let created = Created::decode(&mut row)?;
        created.judge(&new.id, reused_id)?;
        let Created {
            adopted,
            now,
            plan_id,
            cell_id,
            ..
        } = created;
        let is_adopted = adopted.is_some();
        if row.is_trial() {
            return Ok((valid(), None));
        }
        let mut version = registry::version(&mut row)?;
        let tenant = Tenant {
            created_at: now.clone(),
            updated_at: now,
            plan_id,
            id: new.id.as_str().into(),
            hostname: new.hostname.as_str().into(),
            is_enabled: new.is_enabled,
            external_id: new.external_id.as_ref().map(|id| id.as_str().into()),
            labels: new.labels.clone(),
            limits: (&new.limits).into(),
            env: (&new.env).into(),
            stats: None,
            last_job_at: None,
            cell_id,
            site: adopted.unwrap_or(SiteState::NONE),
            holds: None,
            ends: new.ends.as_stored(),
        };
        version.statistics = tenant.site.marked(None);
        let body = to_json_of_new(&tenant, is_adopted, dialect);
        let response = Response::json(201, body)
            .with("location", location)
            .with("etag", version.etag());
        Ok((response, is_adopted.then(|| ADOPTED.into())))
    }))
}

/// `PATCH /tenants/{id}`
pub(crate) fn edit(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let patch = read_patch(call.fields()?, call.hostnames, call.caller.now())?;
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let writer = call.writer()?;
    let shows = call.shows();
    let prefix = &call.site.table_prefix;
    let batch = tenants::edit(&writer, &id, &patch, shows, prefix, &mut call.env)?;
    let dialect = call.dialect;
    let sealer = call.env.sealer.cloned();
    Ok(Pending::write_with_note(batch, move |results| {
        let mut row = Written::read(results)?;
        let found = EditObstacles::decode(&mut row)?;
        row.needs(found.id_is_there, NOT_FOUND)?;
        let values = Values {
            hostname: patch.hostname.as_ref(),
            external_id: patch.external_id.value(),
            plan_id: patch.plan_id.value(),
            cell_id: patch.cell_id.value(),
        };
        values.judge(found)?;
        let version = tenants::version(&mut row)?;
        let shown = row
            .shown(results, shows == Shows::Patched)
            .and_then(|shown| {
                let tenant = shown.map(|shown| Tenant::decode_shown(shown, sealer.as_deref()));
                Ok(tenant.transpose()?.map(|tenant| to_json(&tenant, dialect)))
            });
        Ok(edited(version.as_ref(), shown))
    }))
}

/// `DELETE /tenants/{id}`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let drop_tables = read_drop_tables(call.optional_fields()?)?;
    if drop_tables {
        call.caller.need(Needs::SITES);
    }
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    if drop_tables {
        return site::delete_with_tables(call, id);
    }
    let batch = tenants::delete(&call.writer()?, &id, &call.site.table_prefix);
    Ok(Pending::write(batch, |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        let is_protected = row.obstacle("is_protected", false)?;
        row.needs(id_is_there, NOT_FOUND)?;
        if is_protected {
            return Err(ApiError::DeletionProtected);
        }
        Ok(Response::empty(204))
    }))
}

/// Reads the body of `POST /tenants` or of a PUT after its id, and the cell that it names. `null` for `plan_id`, `limits` or `env` counts as absent,
/// and so does `""` for `plan_id` (contract §10).
pub(crate) fn read_new(
    mut fields: Fields<'_>,
    id: Option<TenantId>,
    hostnames: &Hostnames,
    cells: &Cells,
    now: &Timestamp,
) -> Result<(NewTenant, Edit<CellId>), ApiError> {
    let hostname = fields.required("hostname", Rule::Hostname, |v| read_hostname(v, hostnames));
    let is_enabled = fields.required_switch("is_enabled");
    let plan_id = fields.maybe("plan_id", Rule::PlanOfTenant, read_plan_id);
    let limits = fields.maybe("limits", Rule::Limits, |v| {
        v.nullable(Variables::read_limits)
    });
    let env = fields.maybe("env", Rule::Env, |v| v.nullable(Variables::read_env));
    let (external_id, labels, cell_id, ends) = match fields.dialect() {
        Dialect::Current => (
            fields.maybe("external_id", Rule::ExternalId, read_external_id),
            fields.maybe("labels", Rule::Labels, |v| v.nullable(Labels::read)),
            fields.maybe("cell_id", Rule::CellOfTenant, read_cell_id),
            read_ends(&mut fields, now),
        ),
        Dialect::Legacy => (Some(None), Some(None), Some(None), Some(Ends::KEPT)),
    };
    let (id, hostname, is_enabled, plan_id, limits, env, external_id, labels, cell_id, ends) =
        fields.finish((
            id,
            hostname,
            is_enabled,
            plan_id,
            limits,
            env,
            external_id,
            labels,
            cell_id,
            ends,
        ))?;
    let new = NewTenant {
        id,
        hostname,
        is_enabled,
        plan_id: plan_id.flatten(),
        limits: limits.flatten().unwrap_or_default(),
        env: env.flatten().unwrap_or_default(),
        external_id: external_id.flatten(),
        labels: labels.flatten().unwrap_or_default(),
        cell_id: cell_id.clone().unwrap_or_else(|| cells.default.clone()),
        ends,
    };
    Ok((new, Edit::of(cell_id)))
}

/// Reads the body of `PATCH /tenants/{id}`, which must have at least one field.
fn read_patch(
    mut fields: Fields<'_>,
    hostnames: &Hostnames,
    now: &Timestamp,
) -> Result<TenantPatch, ApiError> {
    let hostname = fields.maybe("hostname", Rule::Hostname, |v| read_hostname(v, hostnames));
    let is_enabled = fields.maybe_switch("is_enabled");
    let plan_id = fields.maybe("plan_id", Rule::PlanOfTenant, read_plan_id);
    let limits = fields.maybe("limits", Rule::Limits, |v| {
        v.nullable(Variables::read_limits)
    });
    let env = fields.maybe("env", Rule::Env, |v| v.nullable(Variables::read_env));
    let (external_id, labels, cell_id, ends) = match fields.dialect() {
        Dialect::Current => (
            fields.maybe("external_id", Rule::ExternalId, read_external_id),
            fields.maybe("labels", Rule::LabelsPatch, |v| {
                v.nullable(LabelsPatch::read)
            }),
            fields.maybe("cell_id", Rule::CellOfTenant, read_cell_id),
            read_ends(&mut fields, now),
        ),
        Dialect::Legacy => (Some(None), Some(None), Some(None), Some(Ends::KEPT)),
    };
    fields.require_any(match fields.dialect() {
        Dialect::Current => {
            "hostname, is_enabled, plan_id, external_id, labels, limits, env, cell_id, suspend_at, delete_at, deletion_protection"
        }
        Dialect::Legacy => "hostname, is_enabled, plan_id, limits, env",
    });
    let (hostname, is_enabled, plan_id, limits, env, external_id, labels, cell_id, ends) =
        fields.finish((
            hostname,
            is_enabled,
            plan_id,
            limits,
            env,
            external_id,
            labels,
            cell_id,
            ends,
        ))?;
    Ok(TenantPatch {
        hostname,
        is_enabled,
        plan_id: Edit::of(plan_id),
        limits: Edit::of(limits),
        env: Edit::of(env),
        external_id: Edit::of(external_id),
        labels: Edit::of(labels),
        cell_id: Edit::of(cell_id),
        ends,
    })
}

/// Reads the times at which the cron trigger suspends and deletes a tenant, and its protection from deletion. `null` removes a time.
fn read_ends(fields: &mut Fields<'_>, now: &Timestamp) -> Option<Ends> {
    let time = |v: Json<'_>| v.nullable(|v| read_end(v, now));
    let suspend_at = fields.maybe("suspend_at", Rule::SuspendAt, time);
    let delete_at = fields.maybe("delete_at", Rule::DeleteAt, time);
    let deletion_protection = fields.maybe("deletion_protection", Rule::Boolean, Json::boolean);
    Some(Ends {
        suspend_at: Edit::of(suspend_at?),
        delete_at: Edit::of(delete_at?),
        deletion_protection: deletion_protection?,
    })
}

/// Reads the optional body of `DELETE /tenants/{id}`: whether the tenant's own tables go too.
fn read_drop_tables(fields: Option<Fields<'_>>) -> Result<bool, ApiError> {
    let Some(mut fields) = fields else {
        return Ok(false);
    };
    let drop_tables = fields.maybe("drop_tables", Rule::Boolean, Json::boolean);
    let (drop_tables,) = fields.finish((drop_tables,))?;
    Ok(drop_tables.unwrap_or(false))
}

fn read_hostname(value: Json<'_>, hostnames: &Hostnames) -> Checked<Hostname> {
    value.parsed(|text| parse_hostname(text, hostnames))
}

/// Parses a hostname that a tenant may have.
///
/// # Errors
/// A sentence, if it is none, or is the root's own or a reserved one.
pub(crate) fn parse_hostname(text: &str, hostnames: &Hostnames) -> Result<Hostname, String> {
    let hostname = Hostname::parse(text)?;
    if hostname == hostnames.root {
        return Err(format!(
            "`{hostname}` is the root's own name; expected another"
        ));
    }
    if hostnames.reserved.has(&hostname) {
        return Err(format!("`{hostname}` is reserved; expected another"));
    }
    Ok(hostname)
}

/// Reads another system's identifier. `null` means none.
pub(crate) fn read_external_id(value: Json<'_>) -> Checked<Option<ExternalId>> {
    value.nullable(|v| v.parsed(ExternalId::parse))
}

/// Reads a plan's identifier. `null` and `""` mean none.
fn read_plan_id(value: Json<'_>) -> Checked<Option<PlanId>> {
    match value {
        Json::String(text) if text.is_empty() => Ok(None),
        other => other.nullable(|v| v.parsed(PlanId::parse)),
    }
}

/// Reads a cell's identifier. `null` means none.
fn read_cell_id(value: Json<'_>) -> Checked<Option<CellId>> {
    value.nullable(|v| v.parsed(CellId::parse))
}

/// Checks shared by create and edit: the plan must exist, and so must the cell (422).
fn invalid(
    obstacles: &Obstacles,
    plan_id: Option<&PlanId>,
    cell_id: Option<&CellId>,
) -> Vec<FieldError> {
    let plan = against_plan(obstacles, plan_id);
    let cell = (!obstacles.cell_fits).then(|| {
        let cell_id = cell_id.map_or("", CellId::as_str);
        let detail = format!(
            "expected a cell that exists and takes tenants; got {}",
            quote(cell_id)
        );
        FieldError::field("/cell_id", detail)
    });
    plan.into_iter().chain(cell).collect()
}

/// The plan must exist (422).
fn against_plan(obstacles: &Obstacles, plan_id: Option<&PlanId>) -> Option<FieldError> {
    if obstacles.plan_is_there {
        return None;
    }
    let plan_id = plan_id.map_or("", PlanId::as_str);
    let detail = format!("expected a plan that exists; got {}", quote(plan_id));
    Some(FieldError::field("/plan_id", detail))
}

/// The obstacles to a new tenant.
pub(crate) struct NewObstacles {
    pub(crate) id_holder: Option<String>,
    values: Obstacles,
}

impl NewObstacles {
    /// Reads the row that a creation returns, up to its [`Created`].
    pub(crate) fn read(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            id_holder: row.holder("id_holder")?,
            values: Obstacles::decode(row)?,
        })
    }

    /// A new tenant needs its plan and its cell (422), and a free id, a free hostname and a free external id (409, which names all that are
    /// taken).
    pub(crate) fn judge(self, new: &NewTenant) -> Result<(), ApiError> {
        let Self { id_holder, values } = self;
        let invalid = invalid(&values, new.plan_id.as_ref(), new.cell_id.as_ref());
        if !invalid.is_empty() {
            return Err(ApiError::Invalid(invalid));
        }
        none_taken([
            (id_holder, "/id", new.id.as_str()),
            (values.hostname_holder, "/hostname", new.hostname.as_str()),
            (
                values.external_id_holder,
                "/external_id",
                new.external_id.as_ref().map_or("", ExternalId::as_str),
            ),
        ])
    }
}

/// The values that a change gives to a tenant, and that may be in its way.
pub(crate) struct Values<'a> {
    pub(crate) hostname: Option<&'a Hostname>,
    pub(crate) external_id: Option<&'a ExternalId>,
    pub(crate) plan_id: Option<&'a PlanId>,
    pub(crate) cell_id: Option<&'a CellId>,
}

impl Values<'_> {
    /// A change needs its plan and its cell, and room for its labels (422), and free values (409). The cell of an installed tenant is fixed.
    pub(crate) fn judge(&self, found: EditObstacles) -> Result<(), ApiError> {
        let mut invalid = invalid(&found.values, self.plan_id, self.cell_id);
        if !found.labels_fit {
            invalid.push(labels_do_not_fit());
        }
        if !invalid.is_empty() {
            return Err(ApiError::Invalid(invalid));
        }
        none_taken([
            (
                found.values.hostname_holder,
                "/hostname",
                self.hostname.map_or("", Hostname::as_str),
            ),
            (
                found.values.external_id_holder,
                "/external_id",
                self.external_id.map_or("", ExternalId::as_str),
            ),
        ])?;
        if found.cell_is_fixed {
            return Err(ApiError::Cell(CellConflict::Installed));
        }
        Ok(())
    }
}

impl Created {
    /// A new tenant needs an id without the tables of a deleted one, unless it may take them over.
    pub(crate) fn judge(&self, id: &TenantId, reused_id: ReusedId) -> Result<(), ApiError> {
        let is_refused = self.adopted.is_some() && reused_id == ReusedId::Refuse;
        if self.site_is_elsewhere || is_refused {
            return Err(site_exists(id));
        }
        Ok(())
    }
}

pub(crate) fn site_exists(id: &TenantId) -> ApiError {
    let detail = format!(
        "{} still has the tables of a deleted tenant",
        quote(id.as_str())
    );
    ApiError::SiteExists([FieldError::field("/id", detail)].into())
}

/// Judges the values that may be taken, by their holders and pointers.
fn none_taken<const N: usize>(
    values: [(Option<String>, &'static str, &str); N],
) -> Result<(), ApiError> {
    let taken: Vec<FieldError> = values
        .into_iter()
        .filter_map(|(holder, pointer, value)| Some(taken(pointer, value, holder?)))
        .collect();
    if taken.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Conflict(taken))
    }
}

/// The error of a PATCH after which there would be too many labels.
pub(crate) fn labels_do_not_fit() -> FieldError {
    FieldError::field(
        "/labels",
        format!(
            "expected at most {MAX_LABELS} labels after the change, and {MAX_LABELS_BYTES} bytes of JSON, where an apostrophe counts twice"
        ),
    )
}

/// The error of a field whose value another resource has. Every caller that may write tenants or plans may read them too, so it may know
/// the holder.
pub(crate) fn taken(pointer: &'static str, value: &str, holder: String) -> FieldError {
    FieldError {
        holder: Some(holder),
        ..FieldError::field(pointer, format!("{} is taken", quote(value)))
    }
}
