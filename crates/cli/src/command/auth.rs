//! `auth:verify`, and `sign` for calls to the API by other means.

use serde::Serialize;
use tenants_client::Request;
use tenants_core::crypto::signature::RequestSecret;

use crate::error::Error;
use crate::output::{Format, World};
use crate::session::Session;

/// Asks the API whether the key and the signature are valid, and shows the key's id, name and times.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the key or the signature.
pub fn verify(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = session.client(world)?;
    let answer = client.call(Request::Post(b""), "/auth/verify")?;
    session.show(&answer.body, world)
}

#[derive(Serialize)]
struct Signature {
    signature: String,
}

/// Signs standard input byte for byte, and prints the value of `X-Signature`.
///
/// # Errors
/// Fails if the secret is not set, or if standard input cannot be read.
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
