//! `config:traefik`: the configuration that Traefik receives.

use clap::Args;
use tenants_core::value::id::CellId;

use crate::error::Error;
use crate::output::World;
use crate::session::Session;
use tenants_client::Request;

/// The options of `config:traefik`.
#[derive(Debug, Clone, Args)]
pub struct TraefikArgs {
    /// The part of this cell alone
    #[arg(long, value_parser = CellId::parse)]
    pub cell: Option<CellId>,
}

/// Shows Traefik's configuration exactly as the API sends it: as JSON in every format.
///
/// # Errors
/// Fails if the API cannot be reached, or refuses the key or this machine's address.
pub fn traefik(
    args: &TraefikArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let client = session.client(world)?;
    let path = match &args.cell {
        None => "/config/traefik".into(),
        Some(cell) => format!("/config/traefik?cell={cell}"),
    };
    let answer = client.call(Request::Get, &path)?;
    world.print(answer.body.trim())
}
