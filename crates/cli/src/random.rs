//! Random bytes from the operating system.

use tenants_core::{Random, RandomUnavailable};

use crate::error::Error;

/// The operating system's source of random bytes.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}

/// Returns a new request id. Its prefix `cli-` shows where the request comes from.
///
/// # Errors
/// Fails if the operating system cannot supply random bytes.
pub fn request_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes).map_err(unavailable)?;
    Ok(format!("cli-{}", hex::encode(bytes)))
}

/// Returns the error for a lack of random bytes.
pub fn unavailable(_: RandomUnavailable) -> Error {
    Error::Machine("this machine cannot supply random bytes".into())
}
