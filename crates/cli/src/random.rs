//! This machine's randomness.

use tenants_core::{Random, RandomUnavailable};

use crate::error::Error;

/// The system's source.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}

/// A new request id that tells its origin.
///
/// # Errors
/// Where the system has no randomness.
pub fn request_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes).map_err(unavailable)?;
    Ok(format!("cli-{}", hex::encode(bytes)))
}

/// What is said where there is none.
pub fn unavailable(_: RandomUnavailable) -> Error {
    Error::Machine("this machine has no randomness to give".into())
}
