//! Signatures of whole requests: what a bound key signs (contract §13).
//!
//! Such a signature is good for one method, one URL, one body and one time. Within that time, a copy of the same request is good, too.

use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::message::{ALGORITHM, Base, SigningSecret};
use crate::value::fault::SignatureFault;
use crate::wire::content_digest;
use crate::wire::http::{Headers, Request};
use crate::wire::signature_input::SignatureInput;
use crate::wire::target_uri::TargetUri;

/// What a signature is judged by, beside the request itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// Scheme and authority of the URL, and the path before the service's own, if there is one.
    pub(crate) base: &'a str,
    /// The present time, in seconds since 1970.
    pub(crate) unix_seconds: i64,
    /// The number of seconds by which `created` may differ from it.
    pub(crate) age_s: u32,
}

/// Checks the signature of a request.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn check(
    request: &Request<'_>,
    body: &[u8],
    secret: &SigningSecret,
    terms: Terms<'_>,
) -> Result<(), SignatureFault> {
    let headers = &request.headers;
    let field = headers
        .signature_input
        .ok_or(SignatureFault::InputMissing)?;
    let input = SignatureInput::read(field)?;
    let signature = input.signature(headers.message_signature.unwrap_or_default())?;
    check_parameters(&input, terms)?;
    check_cover(&input, headers, body)?;
    if let Some(digest) = headers.content_digest {
        content_digest::check(digest, body)?;
    }
    let url = TargetUri::new(terms.base, request.target);
    let value = |name: &&str| -> Option<String> {
        Some(match name.strip_prefix('@') {
            None => headers.covered(name)?.trim_matches([' ', '\t']).into(),
            Some("method") => request.method.into(),
            Some(part) => url.part(part)?,
        })
    };
    let values: Option<Vec<String>> = input.components.iter().map(value).collect();
    let values = values.ok_or(SignatureFault::ComponentUnknown)?;
    let components = input.components.iter().copied();
    let base = Base::new(
        components.zip(values.iter().map(String::as_str)),
        &input.params,
    );
    if secret.verify(&base, &signature) {
        Ok(())
    } else {
        Err(SignatureFault::Wrong)
    }
}

fn check_parameters(input: &SignatureInput<'_>, terms: Terms<'_>) -> Result<(), SignatureFault> {
    if input.alg.is_some_and(|alg| alg != ALGORITHM) {
        return Err(SignatureFault::OtherAlgorithm);
    }
    let created = input.created.ok_or(SignatureFault::NoTime)?;
    if terms.unix_seconds.abs_diff(created) > terms.age_s.into() {
        return Err(SignatureFault::OtherTime);
    }
    match input.expires {
        Some(expires) if expires <= terms.unix_seconds => Err(SignatureFault::Expired),
        _ => Ok(()),
    }
}

/// The headers that a signature covers if the request has them: each of them changes what the request does.
const COVERED_IF_SENT: [&str; 4] = ["idempotency-key", "if-match", "if-none-match", "prefer"];

/// Checks that the signature covers all that it must.
fn check_cover(
    input: &SignatureInput<'_>,
    headers: &Headers<'_>,
    body: &[u8],
) -> Result<(), SignatureFault> {
    let always = ["@method", "@target-uri", "x-api-key"];
    let with_body = (!body.is_empty()).then_some("content-digest");
    let if_sent = COVERED_IF_SENT
        .into_iter()
        .filter(|name| headers.covered(name).is_some());
    match always
        .into_iter()
        .chain(with_body)
        .chain(if_sent)
        .find(|name| !input.components.contains(name))
    {
        Some(name) => Err(SignatureFault::NotCovered(name)),
        None => Ok(()),
    }
}
