//! The headers that sign a request as a whole, for clients with a bound key (contract §13): the other side of `auth/bound.rs`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::message::{ALGORITHM, Base, SigningSecret};
use crate::wire::content_digest;
use crate::wire::signature_input::serialized;
use crate::wire::target_uri::TargetUri;

/// A request to sign.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a> {
    /// The method.
    pub method: &'a str,
    /// Scheme and authority of the URL.
    pub origin: &'a str,
    /// Its path and query, as the request line has them.
    pub target: &'a str,
    /// The API key: the value of `X-API-Key`.
    pub key: &'a str,
    /// Those of the headers `idempotency-key`, `if-match`, `if-none-match` and `prefer` that the request has, by their names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, empty if there is none.
    pub body: &'a [u8],
    /// The signature's `nonce`, for a route that takes each one once: 1 to 128 visible ASCII characters, without `"` and `\`.
    pub nonce: Option<&'a str>,
}

/// The headers to add to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `Signature-Input`
    pub signature_input: String,
    /// `Signature`
    pub signature: String,
    /// `Content-Digest`, if the request has a body
    pub content_digest: Option<String>,
}

/// Signs a request. `created` is the time in seconds since 1970-01-01 00:00:00 UTC.
#[must_use]
pub fn sign(secret: &SigningSecret, request: &Unsigned<'_>, created: i64) -> SignatureHeaders {
    let content_digest = (!request.body.is_empty()).then(|| content_digest::of(request.body));
    let url = TargetUri::new(request.origin, request.target).whole();
    let mut components = Vec::from([
        ("@method", request.method),
        ("@target-uri", url.as_str()),
        ("x-api-key", request.key),
    ]);
    components.extend(content_digest.as_deref().map(|it| ("content-digest", it)));
    components.extend(request.headers);
    let names: Vec<&str> = components.iter().map(|(name, _)| *name).collect();
    let nonce = request.nonce.map(|nonce| format!(";nonce=\"{nonce}\""));
    let params = format!(
        "{};created={created}{};alg=\"{ALGORITHM}\"",
        serialized(&names),
        nonce.unwrap_or_default()
    );
    let signature = secret.sign(&Base::new(components, &params));
    SignatureHeaders {
        signature_input: format!("sig={params}"),
        signature: format!("sig=:{}:", STANDARD.encode(signature)),
        content_digest,
    }
}
