//! Who may call (contract §2): the key that a caller holds, and the signature of what it sends.
//!
//! What passes becomes a [`Caller`], and only a `Caller` can begin a statement. Whether the key still stands is then for the
//! database to say, in the request's own batch.
//!
//! A signature covers the raw body alone: neither method, path nor time. Whoever can read a signed request can send its body
//! again, to another route too; the transport (TLS) must keep it from being read.

use alloc::string::String;
use core::ops::Deref;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::dialect::Dialect;
use crate::problem::{ApiError, Unauthorized};

pub mod creation;
pub mod key;
pub(crate) mod routes;
pub mod signature;
pub mod verifying_key;

use key::ClaimedKey;

/// The proof that a caller holds a key that this service issued: enough to read what needs no signature.
#[derive(Debug)]
pub struct KeyHolder {
    key_id: i64,
    digest: String,
    now: Timestamp,
}

impl KeyHolder {
    /// Of a key whose MAC is right.
    pub(crate) fn new(key: &ClaimedKey<'_>, now: Timestamp) -> Self {
        Self {
            key_id: key.id(),
            digest: key.digest(),
            now,
        }
    }

    /// The key's row.
    #[must_use]
    pub fn key_id(&self) -> i64 {
        self.key_id
    }

    /// The key's digest, as `api_keys` holds it.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// When the request came.
    pub(crate) fn now(&self) -> &Timestamp {
        &self.now
    }
}

/// The proof that a caller holds a key and signed the body.
#[derive(Debug)]
pub struct Caller(KeyHolder);

impl Deref for Caller {
    type Target = KeyHolder;

    fn deref(&self) -> &KeyHolder {
        &self.0
    }
}

/// Reads the key's form and checks its MAC: steps that cost no query.
pub(crate) fn claim<'k>(
    config: &Config,
    header: Option<&'k str>,
) -> Result<ClaimedKey<'k>, ApiError> {
    let secret = config.key_secret.as_ref().ok_or(ApiError::NotConfigured {
        variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
    })?;
    let header = header.ok_or(ApiError::Unauthorized(Unauthorized::KeyMissing))?;
    secret
        .verify(header)
        .map_err(|e| ApiError::Unauthorized(e.into()))
}

/// Checks the signature of the raw body, as its dialect has it: a claimed key becomes a caller.
pub(crate) fn verify(
    config: &Config,
    dialect: Dialect,
    key: &ClaimedKey<'_>,
    header: Option<&str>,
    body: &[u8],
    now: Timestamp,
) -> Result<Caller, ApiError> {
    let missing = ApiError::Unauthorized(Unauthorized::SignatureMissing);
    match dialect {
        Dialect::Current => config
            .request_secret
            .as_ref()
            .ok_or(ApiError::NotConfigured {
                variable: "CHEVERETO_TENANTS_API_REQUEST_SECRET",
            })?
            .verify(header.ok_or(missing)?, body),
        Dialect::Legacy => config
            .verifying_keys
            .as_ref()
            .ok_or(ApiError::NoRoute)?
            .verify(header.ok_or(missing)?, body),
    }
    .map_err(|e| ApiError::Unauthorized(e.into()))?;
    Ok(Caller(KeyHolder::new(key, now)))
}
