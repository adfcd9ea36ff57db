//! `PUT /tenants-plans/{id}`

use alloc::format;
use alloc::string::String;

use zeroize::Zeroizing;

use super::{Wanted, change, put as begin};
use crate::auth::Caller;
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Pending};
use crate::operation::plans::{conflict, judge_edit, read_new, to_json};
use crate::sql::{Batch, Sql};
use crate::store::idempotency::Idempotency;
use crate::store::plans::{self, Created, Edited, Holders, NewPlan, Plan, PlanPatch};
use crate::store::sealed::EnvSealer;
use crate::store::standing::Judged;
use crate::store::write::{Found, Shown, Shows, Writer, Written};
use crate::value::fault::ApiError;
use crate::value::id::PlanId;
use crate::value::patch::Edit;
use crate::wire::dialect::Dialect;
use crate::wire::http::Response;
use crate::wire::variables::Variables;

/// A plan as a PUT wants it.
struct WantedPlan {
    new: NewPlan,
    plans_path: String,
}

/// `PUT /tenants-plans/{id}`
pub(crate) fn put(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let id = fields.in_path("/id", PlanId::parse(call.id));
    let wanted = WantedPlan {
        new: read_new(fields, id)?,
        plans_path: call.path("/tenants-plans"),
    };
    begin(call, wanted)
}

impl WantedPlan {
    /// The changes that make the plan so. It keeps its name and its description, which only the legacy dialect has.
    fn patch(&self, found: &Found<Plan>) -> PlanPatch {
        let Self { new, .. } = self;
        let Found {
            stored,
            env_is_readable,
            ..
        } = found;
        let limits = new.limits.as_ref().map(Variables::to_stored);
        let env = new.env.as_ref().map(|env| Zeroizing::new(env.to_stored()));
        let env = env.as_ref().map(|text| text.as_str());
        PlanPatch {
            name: None,
            description: Edit::Keep,
            limits: change(
                limits.as_deref() == stored.limits.as_ref().map(|map| map.as_str()),
                new.limits.as_ref(),
            ),
            env: change(
                *env_is_readable && env == stored.env.as_ref().map(|map| map.as_str()),
                new.env.as_ref(),
            ),
            external_id: change(
                new.external_id.as_ref().map(|id| id.as_str()) == stored.external_id.as_deref(),
                new.external_id.as_ref(),
            ),
            labels: new.labels.change_of(&stored.labels),
        }
    }
}

impl Wanted for WantedPlan {
    type Stored = Plan;

    fn read(&self, caller: &Caller) -> Sql {
        plans::get(caller, &self.new.id)
    }

    fn decode(
        &self,
        row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Found<Plan>>, ApiError> {
        Plan::decode_found(row, sealer)
    }

    fn is_met(&self, found: &Found<Plan>) -> bool {
        self.patch(found).is_empty()
    }

    fn create(&self, writer: &Writer, env: &mut EnvSealer<'_>) -> Result<Batch, ApiError> {
        plans::create(writer, &self.new, Shows::Put, env)
    }

    fn edit(
        &self,
        found: &Found<Plan>,
        writer: &Writer,
        env: &mut EnvSealer<'_>,
    ) -> Result<Batch, ApiError> {
        plans::edit(writer, &self.new.id, &self.patch(found), Shows::Put, env)
    }

    fn judge_created(&self, row: &mut Written) -> Result<bool, ApiError> {
        let holders = Created::holders(row)?;
        match holders {
            Holders { id: Some(_), .. } => Ok(false),
            Holders {
                external_id: None, ..
            } => Ok(true),
            taken => Err(conflict(&self.new, taken)),
        }
    }

    fn judge_edited(&self, row: &mut Written) -> Result<bool, ApiError> {
        let found = Edited::decode(row)?;
        if !found.id_is_there {
            return Ok(false);
        }
        judge_edit(found, self.new.external_id.as_ref()).map(|()| true)
    }

    fn remember(&self, caller: &Caller, idempotency: &Idempotency, revisions: &str) -> Sql {
        let id = self.new.id.as_str();
        plans::ANSWERS.remember_unchanged(caller, idempotency, id, revisions)
    }

    fn shown(shown: Shown, sealer: Option<&Sealer>) -> Result<Plan, ApiError> {
        Plan::decode_shown(shown, sealer)
    }

    fn respond(&self, stored: &Plan, is_new: bool) -> Response {
        let body = to_json(stored, Dialect::Current);
        if is_new {
            let location = format!("{}/{}", self.plans_path, stored.id);
            Response::json(201, body).with("location", location)
        } else {
            Response::json(200, body)
        }
    }

    fn note(&self, _: &Plan) -> Option<String> {
        None
    }
}
