//! `cell:create`, `cell:list`, `cell:get` and `cell:delete`: the Chevereto installations that serve tenants, through the API.

use clap::Args;
use serde::Serialize;
use tenants_client::Request;
use tenants_core::value::id::CellId;

use super::{TrialArg, body, rows};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The columns of a list of cells.
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ACCEPTING", "/accepting"),
    ("TENANTS", "/tenants"),
    ("JOBS", "/jobs_waiting"),
    ("BEHIND", "/behind"),
    ("LAST SEEN", "/last_seen_at"),
    ("AGENT", "/agent_version"),
];

/// The options of `cell:create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// Its identifier: 1 to 64 letters, digits, `_` and `-`
    #[arg(long, value_parser = CellId::parse)]
    pub id: CellId,

    /// Its name
    #[arg(long)]
    name: Option<String>,

    /// The name of Traefik's service for its tenants [default: the service of all others]
    #[arg(long, requires = "service_port")]
    service_name: Option<String>,

    /// The port of that service
    #[arg(long, requires = "service_name")]
    service_port: Option<u16>,

    /// Whether it takes new tenants
    #[arg(long)]
    accepting: Option<bool>,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `cell:get`.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// Its identifier
    #[arg(long, value_parser = CellId::parse)]
    pub id: CellId,
}

/// The options of `cell:delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// Its identifier
    #[arg(long, value_parser = CellId::parse)]
    pub id: CellId,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Serialize)]
struct Service<'a> {
    name: &'a str,
    port: u16,
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Service<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepting: Option<bool>,
}

/// Makes a cell, or changes what the options name of one that is there, and shows it.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn create(
    args: &CreateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let service = args.service_name.as_deref().zip(args.service_port);
    let body = body(&Fields {
        name: args.name.as_deref(),
        service: service.map(|(name, port)| Service { name, port }),
        accepting: args.accepting,
    })?;
    let path = args.trial.path(&format!("/cells/{}", args.id));
    let answer = session
        .client(world)?
        .call(Request::Put(&body, None), &path)?;
    session.show(&answer.body, world)
}

/// Shows all cells.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let answer = session.client(world)?.call(Request::Get, "/cells")?;
    session.show_list(&rows(&answer)?, COLUMNS, "cells", world)
}

/// Shows a cell.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn get(args: &ChoiceArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = format!("/cells/{}", args.id);
    let answer = session.client(world)?.call(Request::Get, &path)?;
    session.show(&answer.body, world)
}

/// Deletes a cell that nothing is on.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn delete(
    args: &DeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = args.trial.path(&format!("/cells/{}", args.id));
    let answer = session.client(world)?.call(Request::Delete(b""), &path)?;
    let done = format!("deleted the cell `{}`", args.id);
    args.trial.say(&answer, &done, session, world)
}
