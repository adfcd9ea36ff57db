//! `auth:verify`, and `sign` for those who call the API by other means.

use serde::Serialize;
use tenants_core::crypto::signature::RequestSecret;

use crate::api::{Client, Request};
use crate::error::Error;
use crate::output::{Format, World};
use crate::session::Session;

/// Asks the API whether key and signature are in order, and shows what the key is.
///
/// # Errors
/// Where the API does not take them.
pub fn verify(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = Client::new(&session.settings, world)?;
    let answer = client.call(Request::Post(b""), "/auth/verify")?;
    session.show(&answer.body, world)
}

#[derive(Serialize)]
struct Signature {
    signature: String,
}

/// Signs standard input, byte for byte: what goes into `X-Signature`.
///
/// # Errors
/// Where there is no secret, or no input to read.
pub fn sign(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let local = session.settings.address()?.is_loopback();
    let found = session.settings.request_secret(local)?;
    let mut body = Vec::new();
    world
        .input
        .read_to_end(&mut body)
        .map_err(|e| Error::Machine(format!("standard input cannot be read: {e}")))?;
    let signature = RequestSecret::new(&found.secret).sign(&body);
    match session.format {
        Format::Table => world.print(&signature),
        Format::Json => session.show_own(&Signature { signature }, world),
    }
}
