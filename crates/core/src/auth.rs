//! Authentication (contract §2): from a [`Scheme`] and a request's headers to a [`Caller`].
//!
//! A statement in the name of a caller can only be made from a [`Caller`] or a [`KeyHolder`]. The database decides whether the key is
//! still valid, in the request's own batch.
//!
//! A signature covers the raw body alone: neither the method, nor the path, nor a time. Anybody who can read a signed request can send
//! its body again, to another route too. The transport (TLS) must keep it from being read.

use alloc::string::String;
use core::ops::Deref;

use crate::crypto::api_key::{ClaimedKey, KeyError, KeySecret};
use crate::crypto::signature::{RequestSecret, SignatureError};
use crate::crypto::verifying_key::VerifyingKeys;
use crate::value::address::AddressList;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Unauthorized};
use crate::value::scope::Needs;
use crate::wire::route::Scheme;

/// The proof that a caller holds a key that this service issued. It suffices for reads that need no signature.
#[derive(Debug, Clone)]
pub(crate) struct KeyHolder {
    key_id: i64,
    digest: String,
    occasion: Occasion,
}

/// When a request came, and the scopes that it needs.
#[derive(Debug, Clone)]
pub(crate) struct Occasion {
    pub(crate) now: Timestamp,
    pub(crate) needs: Needs,
}

impl KeyHolder {
    fn new(key: &ClaimedKey<'_>, occasion: Occasion) -> Self {
        Self {
            key_id: key.id(),
            digest: key.digest(),
            occasion,
        }
    }

    /// The row id of the key.
    pub(crate) fn key_id(&self) -> i64 {
        self.key_id
    }

    /// The key's digest, as `api_keys` holds it.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The scopes that the request needs.
    pub(crate) fn needs(&self) -> Needs {
        self.occasion.needs
    }

    /// The time of the request.
    pub(crate) fn now(&self) -> &Timestamp {
        &self.occasion.now
    }
}

/// The proof that a caller holds a key and signed the body.
#[derive(Debug, Clone)]
pub(crate) struct Caller(KeyHolder);

impl Deref for Caller {
    type Target = KeyHolder;

    fn deref(&self) -> &KeyHolder {
        &self.0
    }
}

impl Caller {
    /// Says that this request needs no scope, although its route does.
    pub(crate) fn need_nothing(&mut self) {
        self.0.occasion.needs = Needs::NOTHING;
    }

    /// Says that this request needs further scopes than its route.
    pub(crate) fn need(&mut self, further: Needs) {
        let needs = &mut self.0.occasion.needs;
        *needs = needs.and(further);
    }
}

/// The reader of the proxy's configuration.
#[derive(Debug)]
pub(crate) enum ProxyReader {
    /// A program on the developer's own machine.
    Developer,
    /// The holder of a key, at an allowed address.
    Holder(KeyHolder),
}

/// The secrets that prove a caller, as far as they are configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secrets<'a> {
    pub(crate) request: Option<&'a RequestSecret>,
    pub(crate) verifying: Option<&'a VerifyingKeys>,
}

/// Checks the form and the MAC of a key. Neither needs a query.
pub(crate) fn claim<'k>(
    secret: Option<&KeySecret>,
    header: Option<&'k str>,
) -> Result<ClaimedKey<'k>, ApiError> {
    let secret = secret.ok_or(ApiError::NotConfigured {
        variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
    })?;
    let header = header.ok_or(ApiError::Unauthorized(Unauthorized::KeyMissing))?;
    Ok(secret.verify(header)?)
}

/// Checks the signature of the raw body by its scheme.
pub(crate) fn verify(
    scheme: Scheme,
    secrets: Secrets<'_>,
    key: &ClaimedKey<'_>,
    signature: Option<&str>,
    body: &[u8],
    occasion: Occasion,
) -> Result<Caller, ApiError> {
    let missing = ApiError::Unauthorized(Unauthorized::SignatureMissing);
    match scheme {
        Scheme::Hmac => secrets
            .request
            .ok_or(ApiError::NotConfigured {
                variable: "CHEVERETO_TENANTS_API_REQUEST_SECRET",
            })?
            .verify(signature.ok_or(missing)?, body)?,
        Scheme::Ed25519 => secrets
            .verifying
            .ok_or(ApiError::NoRoute)?
            .verify(signature.ok_or(missing)?, body)?,
        // These sign nothing, so they never become a caller.
        Scheme::Open | Scheme::Proxy => return Err(ApiError::NoRoute),
    }
    Ok(Caller(KeyHolder::new(key, occasion)))
}

/// Decides who may read the proxy's configuration (contract §2), without a query. For everybody else the route does not exist.
/// `log_key` receives the id of the key, if there is one.
pub(crate) fn proxy_reader(
    is_development: bool,
    allow_list: &AddressList,
    secret: Option<&KeySecret>,
    client_address: Option<&str>,
    key: Option<&str>,
    occasion: Occasion,
    log_key: impl FnOnce(i64),
) -> Result<ProxyReader, ApiError> {
    let address = client_address.unwrap_or("");
    if is_development && is_loopback(address) {
        return Ok(ProxyReader::Developer);
    }
    if !allow_list.contains(address) {
        return Err(ApiError::NoRoute);
    }
    let key = claim(secret, key)?;
    log_key(key.id());
    Ok(ProxyReader::Holder(KeyHolder::new(&key, occasion)))
}

fn is_loopback(address: &str) -> bool {
    address
        .trim()
        .parse::<core::net::IpAddr>()
        .is_ok_and(|a| a.to_canonical().is_loopback())
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        Self::Unauthorized(match error {
            KeyError::Malformed => Unauthorized::KeyMalformed,
            KeyError::Forged => Unauthorized::KeyForged,
        })
    }
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        Self::Unauthorized(match error {
            SignatureError::Malformed => Unauthorized::SignatureMalformed,
            SignatureError::Wrong => Unauthorized::SignatureWrong,
        })
    }
}
