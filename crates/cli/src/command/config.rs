//! `config:traefik`: the configuration that Traefik receives.

use crate::error::Error;
use crate::output::World;
use crate::session::Session;
use tenants_client::Request;

/// Shows Traefik's configuration exactly as the API sends it: as JSON in every format.
///
/// # Errors
/// Fails if the API cannot be reached, or refuses the key or this machine's address.
pub fn traefik(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = session.client(world)?;
    let answer = client.call(Request::Get, "/config/traefik")?;
    world.print(answer.body.trim())
}
