//! Authentication (contract §2): from a [`Scheme`] and a request's headers to a [`Caller`].
//!
//! A statement in the name of a caller can only be made from a [`Caller`] or a [`KeyHolder`]. The database decides whether the key is
//! still valid, in the request's own batch.
//!
//! The signature of an ordinary key covers the raw body alone: neither the method, nor the path, nor a time. Anybody who can read a signed
//! request can send its body again, to another route too. The transport (TLS) must keep it from being read. A bound key signs the whole
//! request ([`bound`]). The database alone knows whether a key is bound: a bound key's digest is another one, so the digest that is looked up
//! says how the request was signed.

pub(crate) mod bound;
pub(crate) mod session;

use alloc::string::String;
use core::ops::Deref;

use crate::crypto::api_key::{ClaimedKey, KeyError, KeySecret, bound_digest};
use crate::crypto::message::SigningSecret;
use crate::crypto::session::{ID_LENGTH, SessionToken};
use crate::crypto::signature::{RequestSecret, SignatureError};
use crate::crypto::verifying_key::VerifyingKeys;
use crate::value::address::AddressList;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, SignatureFault, Unauthorized};
use crate::value::scope::Needs;
use crate::wire::http::Request;
use crate::wire::route::Scheme;

/// The proof that a caller holds a key that this service issued. It suffices for reads that need no signature.
#[derive(Debug, Clone)]
pub(crate) struct KeyHolder {
    key_id: i64,
    digest: String,
    /// Whether a session of the console stands for the key. Its token's digest is then in the place of the key's.
    is_session: bool,
    occasion: Occasion,
}

/// When a request came, and the scopes that it needs.
#[derive(Debug, Clone)]
pub(crate) struct Occasion {
    pub(crate) now: Timestamp,
    pub(crate) needs: Needs,
}

impl KeyHolder {
    fn new(key: &ClaimedKey<'_>, is_bound: bool, occasion: Occasion) -> Self {
        let digest = key.digest();
        Self {
            key_id: key.id(),
            digest: if is_bound {
                bound_digest(&digest)
            } else {
                digest
            },
            is_session: false,
            occasion,
        }
    }

    /// The id of the session that stands for the key, if one does.
    pub(crate) fn session_id(&self) -> Option<&str> {
        self.digest.get(..ID_LENGTH).filter(|_| self.is_session)
    }

    /// The row id of the key.
    pub(crate) fn key_id(&self) -> i64 {
        self.key_id
    }

    /// The key's digest, as `api_keys` holds it, or that of the session's token.
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

/// The proof that a caller holds a key and signed the body, or has a session of the console.
#[derive(Debug, Clone)]
pub(crate) struct Caller(KeyHolder);

impl Deref for Caller {
    type Target = KeyHolder;

    fn deref(&self) -> &KeyHolder {
        &self.0
    }
}

impl Caller {
    /// The caller that a session stands for. The database decides whether the session is living.
    pub(crate) fn of_session(token: &SessionToken, occasion: Occasion) -> Self {
        Self(KeyHolder {
            key_id: token.key_id(),
            digest: token.digest().into(),
            is_session: true,
            occasion,
        })
    }

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

const NO_KEY_SECRET: ApiError = ApiError::NotConfigured {
    variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
};

/// Checks the form and the MAC of a key. Neither needs a query.
pub(crate) fn claim<'k>(
    secret: Option<&KeySecret>,
    header: Option<&'k str>,
) -> Result<ClaimedKey<'k>, ApiError> {
    let secret = secret.ok_or(NO_KEY_SECRET)?;
    let header = header.ok_or(ApiError::Unauthorized(Unauthorized::KeyMissing))?;
    Ok(secret.verify(header)?)
}

/// How a deployment judges the signature of a whole request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundRules<'a> {
    /// Derives the signing secrets of keys.
    pub(crate) key_secret: Option<&'a KeySecret>,
    /// `TENANTS_PUBLIC_URL`
    pub(crate) public_url: Option<&'a str>,
    /// `TENANTS_SIGNATURE_AGE_SECONDS`
    pub(crate) age_s: u32,
    pub(crate) unix_seconds: i64,
}

/// Checks the signature of a whole request.
fn verify_request(
    rules: BoundRules<'_>,
    key: &ClaimedKey<'_>,
    request: &Request<'_>,
    body: &[u8],
) -> Result<(), ApiError> {
    let secret = rules.key_secret.ok_or(NO_KEY_SECRET)?.signing_secret(key);
    let terms = bound::Terms {
        base: rules
            .public_url
            .or(request.origin)
            .ok_or(ApiError::NotConfigured {
                variable: "TENANTS_PUBLIC_URL",
            })?,
        unix_seconds: rules.unix_seconds,
        age_s: rules.age_s,
    };
    Ok(bound::check(
        request,
        body,
        &SigningSecret::new(&secret),
        terms,
    )?)
}

/// Checks the signature of the raw body, or of the whole request, by its scheme.
pub(crate) fn verify(
    scheme: Scheme,
    secrets: Secrets<'_>,
    key: &ClaimedKey<'_>,
    rules: BoundRules<'_>,
    request: &Request<'_>,
    body: &[u8],
    occasion: Occasion,
) -> Result<Caller, ApiError> {
    let signature = request.headers.signature;
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
        // Only the route that begins a session has this scheme of its own.
        Scheme::Request if !request.headers.sign_the_request() => {
            return Err(ApiError::BoundKeyRequired);
        }
        Scheme::Request => verify_request(rules, key, request, body)?,
        // These sign nothing here.
        Scheme::Open | Scheme::Proxy | Scheme::Session => return Err(ApiError::NoRoute),
    }
    let is_bound = scheme == Scheme::Request;
    Ok(Caller(KeyHolder::new(key, is_bound, occasion)))
}

/// Decides who may read the proxy's configuration (contract §2), without a query. For everybody else the route does not exist.
/// A bound key signs here, too, so its `body` must be whole. `log_key` receives the id of the key, if there is one.
pub(crate) fn proxy_reader(
    is_development: bool,
    allow_list: &AddressList,
    rules: BoundRules<'_>,
    request: &Request<'_>,
    body: Result<&[u8], ApiError>,
    occasion: Occasion,
    log_key: impl FnOnce(&ClaimedKey<'_>),
) -> Result<ProxyReader, ApiError> {
    let address = request.client_address.unwrap_or("");
    if is_development && is_loopback(address) {
        return Ok(ProxyReader::Developer);
    }
    if !allow_list.contains(address) {
        return Err(ApiError::NoRoute);
    }
    let key = claim(rules.key_secret, request.headers.api_key)?;
    log_key(&key);
    let is_bound = request.headers.sign_the_request();
    if is_bound {
        verify_request(rules, &key, request, body?)?;
    }
    Ok(ProxyReader::Holder(KeyHolder::new(
        &key, is_bound, occasion,
    )))
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

impl From<SignatureFault> for ApiError {
    fn from(fault: SignatureFault) -> Self {
        Self::Unauthorized(Unauthorized::Request(fault))
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
