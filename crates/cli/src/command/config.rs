//! `config:traefik`: what Traefik is told.

use crate::api::{Client, Request};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// Shows Traefik's configuration, as the API answers it: JSON, whatever the format.
///
/// # Errors
/// Where the API does not show it to this address, or with this key.
pub fn traefik(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = Client::new(&session.settings, world)?;
    let answer = client.call(Request::Get, "/config/traefik")?;
    world.print(answer.body.trim())
}
