//! `PUT /tenants/{id}`

use alloc::format;
use alloc::string::String;

use zeroize::Zeroizing;

use super::{Wanted, change, put as begin};
use crate::auth::Caller;
use crate::config::ReusedId;
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Pending};
use crate::operation::tenant_json::{to_json, to_json_of_new};
use crate::operation::tenants::{ADOPTED, NewObstacles, Values, read_new};
use crate::sql::{Batch, Sql};
use crate::store::idempotency::Idempotency;
use crate::store::sealed::EnvSealer;
use crate::store::standing::Judged;
use crate::store::tenants::{self, EditObstacles, NewTenant, SiteState, Tenant, TenantPatch};
use crate::store::write::{Found, Shown, Shows, Writer, Written};
use crate::value::fault::ApiError;
use crate::value::id::{CellId, TenantId};
use crate::value::patch::Edit;
use crate::value::table_name::TablePrefix;
use crate::wire::dialect::Dialect;
use crate::wire::http::Response;

/// A tenant as a PUT wants it.
struct WantedTenant {
    new: NewTenant,
    /// The cell, if the request names one. A tenant that is there keeps its own otherwise.
    cell_id: Edit<CellId>,
    prefix: TablePrefix,
    reused_id: ReusedId,
    tenants_path: String,
}

/// `PUT /tenants/{id}`
pub(crate) fn put(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let now = call.caller.now();
    let mut fields = call.fields()?;
    let id = fields.in_path("/id", TenantId::parse(call.id));
    let (new, cell_id) = read_new(fields, id, call.hostnames, call.cells, now)?;
    let wanted = WantedTenant {
        new,
        cell_id,
        prefix: call.site.table_prefix.clone(),
        reused_id: call.site.reused_id,
        tenants_path: call.path("/tenants"),
    };
    begin(call, wanted)
}

impl WantedTenant {
    /// The changes that make the tenant so.
    fn patch(&self, found: &Found<Tenant>) -> TenantPatch {
        let Self { new, cell_id, .. } = self;
        let Found {
            stored,
            env_is_readable,
            ..
        } = found;
        let limits = new.limits.to_stored();
        let env = Zeroizing::new(new.env.to_stored());
        let has_cell =
            |id: Option<&CellId>| is_same(id.map(CellId::as_str), stored.cell_id.as_deref());
        TenantPatch {
            hostname: (new.hostname.as_str() != stored.hostname).then(|| new.hostname.clone()),
            is_enabled: (new.is_enabled != stored.is_enabled).then_some(new.is_enabled),
            plan_id: change(
                is_same(
                    new.plan_id.as_ref().map(|id| id.as_str()),
                    stored.plan_id.as_deref(),
                ),
                new.plan_id.as_ref(),
            ),
            limits: change(limits == stored.limits.as_str(), Some(&new.limits)),
            env: change(
                *env_is_readable && *env == stored.env.as_str(),
                Some(&new.env),
            ),
            external_id: change(
                new.external_id.as_ref().map(|id| id.as_str()) == stored.external_id.as_deref(),
                new.external_id.as_ref(),
            ),
            labels: new.labels.change_of(&stored.labels),
            cell_id: match cell_id {
                Edit::Set(id) if has_cell(Some(id)) => Edit::Keep,
                Edit::Clear if has_cell(None) => Edit::Keep,
                other => other.clone(),
            },
            ends: new.ends.change_of(&stored.ends),
        }
    }
}

/// Whether two identifiers are the same. Case does not matter.
fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}

impl Wanted for WantedTenant {
    type Stored = Tenant;

    fn read(&self, caller: &Caller) -> Sql {
        tenants::get(caller, &self.new.id)
    }

    fn decode(
        &self,
        row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Found<Tenant>>, ApiError> {
        Tenant::decode_found(row, sealer)
    }

    fn is_met(&self, found: &Found<Tenant>) -> bool {
        self.patch(found).is_empty()
    }

    fn create(&self, writer: &Writer, env: &mut EnvSealer<'_>) -> Result<Batch, ApiError> {
        tenants::create(
            writer,
            &self.new,
            Shows::Put,
            &self.prefix,
            self.reused_id,
            env,
        )
    }

    fn edit(
        &self,
        found: &Found<Tenant>,
        writer: &Writer,
        env: &mut EnvSealer<'_>,
    ) -> Result<Batch, ApiError> {
        let patch = self.patch(found);
        tenants::edit(writer, &self.new.id, &patch, Shows::Put, &self.prefix, env)
    }

    fn judge_created(&self, row: &mut Written) -> Result<bool, ApiError> {
        let found = NewObstacles::read(row)?;
        if found.id_holder.is_some() {
            return Ok(false);
        }
        found.judge(&self.new)?;
        // A remembered response has none of these values.
        if !row.is_remembered() {
            tenants::Created::decode(row)?.judge(&self.new.id, self.reused_id)?;
        }
        Ok(true)
    }

    fn judge_edited(&self, row: &mut Written) -> Result<bool, ApiError> {
        let found = EditObstacles::decode(row)?;
        if !found.id_is_there {
            return Ok(false);
        }
        let values = Values {
            hostname: Some(&self.new.hostname),
            external_id: self.new.external_id.as_ref(),
            plan_id: self.new.plan_id.as_ref(),
            cell_id: self.cell_id.value(),
        };
        values.judge(found).map(|()| true)
    }

    fn remember(&self, caller: &Caller, idempotency: &Idempotency, revisions: &str) -> Sql {
        let id = self.new.id.as_str();
        tenants::ANSWERS.remember_unchanged(caller, idempotency, id, revisions)
    }

    fn shown(shown: Shown, sealer: Option<&Sealer>) -> Result<Tenant, ApiError> {
        Tenant::decode_shown(shown, sealer)
    }

    fn respond(&self, stored: &Tenant, is_new: bool) -> Response {
        if is_new {
            let location = format!("{}/{}", self.tenants_path, stored.id);
            let body = to_json_of_new(stored, is_adopted(stored), Dialect::Current);
            Response::json(201, body).with("location", location)
        } else {
            Response::json(200, to_json(stored, Dialect::Current))
        }
    }

    fn note(&self, stored: &Tenant) -> Option<String> {
        is_adopted(stored).then(|| ADOPTED.into())
    }
}

/// Whether a new tenant took over the tables of a deleted one: nothing else has installed a site for it.
fn is_adopted(new: &Tenant) -> bool {
    new.site != SiteState::NONE
}
