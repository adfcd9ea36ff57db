//! `hold` and `release`: why a tenant's site is off, through the API.

use clap::Args;
use serde::Serialize;
use tenants_client::Request;
use tenants_core::value::id::TenantId;

use super::{TrialArg, VersionArg, body};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The kinds of holds (contract §16).
pub(super) const KINDS: [&str; 4] = ["abuse", "admin", "maintenance", "non_payment"];

/// The options of `hold`.
#[derive(Debug, Clone, Args)]
pub struct HoldArgs {
    #[command(flatten)]
    choice: Choice,

    /// Why, for the operator: 1 to 255 characters
    #[arg(long)]
    reason: String,

    /// What visitors may read: 1 to 500 characters
    #[arg(long)]
    message: Option<String>,

    /// When it is lifted by itself: YYYY-MM-DD HH:MM:SS, UTC [default: never]
    #[arg(long)]
    until: Option<String>,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `release`.
#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

/// A hold of a tenant.
#[derive(Debug, Clone, Args)]
struct Choice {
    /// The tenant
    #[arg(long, value_parser = TenantId::parse)]
    id: TenantId,

    /// The kind of the hold; a tenant has at most one of each
    #[arg(long, value_parser = KINDS)]
    kind: String,
}

impl Choice {
    fn path(&self) -> String {
        format!("/tenants/{}/holds/{}", self.id, self.kind)
    }
}

#[derive(Serialize)]
struct Fields<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
}

/// Puts a hold on a tenant, or replaces the one of this kind.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn hold(args: &HoldArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let body = body(&Fields {
        reason: &args.reason,
        message: args.message.as_deref(),
        until: args.until.as_deref(),
    })?;
    let Choice { id, kind } = &args.choice;
    let path = args.trial.path(&args.choice.path());
    let if_match = args.version.if_match.as_deref();
    let answer = session
        .client(world)?
        .call_if(if_match, Request::Put(&body, None), &path)?;
    let done = format!("holds tenant `{id}`: {kind}");
    args.trial.say(&answer, &done, session, world)
}

/// Lifts a hold of a tenant. Others stay.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn release(
    args: &ReleaseArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let Choice { id, kind } = &args.choice;
    let path = args.trial.path(&args.choice.path());
    let if_match = args.version.if_match.as_deref();
    let answer = session
        .client(world)?
        .call_if(if_match, Request::Delete(b""), &path)?;
    let done = format!("lifted the hold {kind} of tenant `{id}`");
    args.trial.say(&answer, &done, session, world)
}
