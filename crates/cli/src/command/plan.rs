//! `plan:create`, `plan:get`, `plan:list`, `plan:edit` and `plan:delete`: plans, through the API.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_client::Request;
use tenants_core::value::id::PlanId;

use super::{EtagArg, ExternalIdArg, ListArgs, MapArgs, Maps, TrialArg, VersionArg, body};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The options of `plan:create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// Its identifier: 1 to 64 letters, digits, `_` and `-`
    #[arg(long)]
    pub id: String,

    #[command(flatten)]
    settings: PlanSettings,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `plan:edit`.
#[derive(Debug, Clone, Args)]
pub struct EditArgs {
    /// Its identifier
    #[arg(long, value_parser = PlanId::parse)]
    pub id: PlanId,

    #[command(flatten)]
    settings: PlanSettings,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Debug, Clone, Args)]
struct PlanSettings {
    /// Accepted for existing scripts, with a warning: the current API gives plans no names
    #[arg(long)]
    name: Option<String>,

    #[command(flatten)]
    external_id: ExternalIdArg,

    #[command(flatten)]
    maps: MapArgs,
}

/// The options of `plan:get`.
#[derive(Debug, Clone, Args)]
pub struct GetArgs {
    /// Its identifier
    #[arg(long, value_parser = PlanId::parse)]
    pub id: PlanId,

    #[command(flatten)]
    etag: EtagArg,
}

/// The options of `plan:delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// Its identifier
    #[arg(long, value_parser = PlanId::parse)]
    pub id: PlanId,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Box<RawValue>>,
}

impl PlanSettings {
    fn body(
        &self,
        id: Option<&str>,
        session: &Session<'_>,
        world: &mut World<'_>,
    ) -> Result<Vec<u8>, Error> {
        let Maps {
            limits,
            env,
            labels,
        } = self.maps.read(session, world)?;
        let fields = Fields {
            id,
            external_id: self.external_id.value(),
            labels,
            limits,
            env,
        };
        if self.name.is_some() {
            world.note("warning: --name is not sent: the current API gives plans no names");
        }
        body(&fields)
    }
}

/// Creates a plan and shows it.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn create(
    args: &CreateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let body = args.settings.body(Some(&args.id), session, world)?;
    let client = session.client(world)?;
    let answer = client.call(Request::Post(&body), &args.trial.path("/tenants-plans"))?;
    session.show(&answer.body, world)
}

/// Shows a plan.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn get(args: &GetArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = format!("/tenants-plans/{}", args.id);
    let answer = session.client(world)?.call(Request::Get, &path)?;
    args.etag.show(&answer, session, world)
}

/// Shows all plans, or a part of them.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(args: &ListArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    const COLUMNS: &[(&str, &str)] = &[
        ("ID", "/id"),
        ("LIMITS", "/limits"),
        ("CREATED", "/created_at"),
        ("UPDATED", "/updated_at"),
    ];
    let list = super::List {
        path: "/tenants-plans",
        what: "plans",
        columns: COLUMNS,
        order: None,
    };
    list.show(args, session, world)
}

/// Changes only the fields of a plan that the options name.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, which needs at least one field.
pub fn edit(args: &EditArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let body = args.settings.body(None, session, world)?;
    let path = args.trial.path(&format!("/tenants-plans/{}", args.id));
    let if_match = args.version.if_match.as_deref();
    let client = session.client(world)?;
    let answer = client.call_if(if_match, Request::Patch(&body), &path)?;
    let done = format!("edited plan `{}`", args.id);
    args.trial.say(&answer, &done, session, world)
}

/// Deletes a plan. Its tenants keep running, without a plan.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn delete(
    args: &DeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = args.trial.path(&format!("/tenants-plans/{}", args.id));
    let if_match = args.version.if_match.as_deref();
    let client = session.client(world)?;
    let answer = client.call_if(if_match, Request::Delete(b""), &path)?;
    let done = format!("deleted plan `{}`", args.id);
    args.trial.say(&answer, &done, session, world)
}
