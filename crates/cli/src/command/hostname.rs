//! `hostnames`, `hostname:add`, `hostname:verify` and `hostname:delete`: a tenant's hostnames besides its own, through the API.

use clap::Args;
use serde::Serialize;
use tenants_client::Request;
use tenants_core::value::hostname::Hostname;
use tenants_core::value::id::TenantId;

use super::{EtagArg, TrialArg, VersionArg, body, rows};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The kinds of hostnames (contract §18).
const KINDS: [&str; 2] = ["alias", "redirect"];

const COLUMNS: &[(&str, &str)] = &[
    ("HOSTNAME", "/hostname"),
    ("KIND", "/kind"),
    ("CLAIMED UNTIL", "/claimed_until"),
    ("PROOF MISSING SINCE", "/proof_missing_since"),
    ("CREATED", "/created_at"),
    ("UPDATED", "/updated_at"),
];

/// The options of `hostnames`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// The tenant
    #[arg(long, value_parser = TenantId::parse)]
    id: TenantId,

    #[command(flatten)]
    etag: EtagArg,
}

/// The options of `hostname:add`.
#[derive(Debug, Clone, Args)]
pub struct AddArgs {
    #[command(flatten)]
    choice: Choice,

    /// `alias`: the site answers there, too; `redirect`: visitors are sent to the tenant's own hostname
    #[arg(long, value_parser = KINDS, default_value = KINDS[0])]
    kind: String,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `hostname:verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `hostname:delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

/// A hostname of a tenant.
#[derive(Debug, Clone, Args)]
struct Choice {
    /// The tenant
    #[arg(long, value_parser = TenantId::parse)]
    id: TenantId,

    /// The hostname
    #[arg(long, value_parser = Hostname::parse)]
    hostname: Hostname,
}

impl Choice {
    fn path(&self) -> String {
        format!("/tenants/{}/hostnames/{}", self.id, self.hostname)
    }
}

#[derive(Serialize)]
struct Fields<'a> {
    kind: &'a str,
}

/// Lists the hostnames that a tenant has besides its own.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(args: &ListArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = format!("/tenants/{}/hostnames", args.id);
    let answer = session.client(world)?.call(Request::Get, &path)?;
    if args.etag.etag {
        return args.etag.show(&answer, session, world);
    }
    session.show_list(&rows(&answer)?, COLUMNS, "further hostnames", world)
}

/// Gives a tenant a hostname, or changes its kind, and shows it.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn add(args: &AddArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let body = body(&Fields { kind: &args.kind })?;
    let path = args.trial.path(&args.choice.path());
    let if_match = args.version.if_match.as_deref();
    let answer = session
        .client(world)?
        .call_if(if_match, Request::Put(&body, None), &path)?;
    session.show(&answer.body, world)
}

/// Looks up the record that shows a hostname's owner, and shows the hostname.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, or if the record is not there.
pub fn verify(
    args: &VerifyArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = args.trial.path(&format!("{}/verify", args.choice.path()));
    let answer = session.client(world)?.call(Request::Post(b""), &path)?;
    session.show(&answer.body, world)
}

/// Takes a hostname from a tenant.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn delete(
    args: &DeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let Choice { id, hostname } = &args.choice;
    let path = args.trial.path(&args.choice.path());
    let if_match = args.version.if_match.as_deref();
    let answer = session
        .client(world)?
        .call_if(if_match, Request::Delete(b""), &path)?;
    let done = format!("took the hostname `{hostname}` from tenant `{id}`");
    args.trial.say(&answer, &done, session, world)
}
