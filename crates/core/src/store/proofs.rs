//! The look-up of the record that shows the owner of a hostname (contract §18).

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::machine::{FetchFailure, FetchRequest, FetchedAnswer};
use crate::value::outbound::OutboundUrl;
use crate::wire::dns;

/// More than a message of DNS has, in JSON.
const LIMIT_BYTES: u32 = 128 * 1024;

const TIMEOUT_MS: u32 = 5_000;

/// The request that looks a hostname's record up. `None` if the resolver's URL has no room for the name.
pub(crate) fn lookup(resolver: &OutboundUrl, hostname: &str) -> Option<FetchRequest> {
    Some(FetchRequest {
        method: "GET",
        url: dns::question(resolver, hostname)?,
        headers: Vec::from([("accept", "application/dns-json".into())]),
        body: String::new(),
        limit_bytes: LIMIT_BYTES,
        timeout_ms: TIMEOUT_MS,
    })
}

/// Whether the record was found, by the host's answer. `None`: the host has no network.
///
/// # Errors
/// The reason why nobody knows.
pub(crate) fn is_found(
    answer: Option<Result<FetchedAnswer, FetchFailure>>,
    proof: &str,
) -> Result<bool, String> {
    match answer {
        None => Err("this host has no network".to_string()),
        Some(Err(failure)) => Err(failure.reason),
        Some(Ok(answer)) => dns::has_text(answer.status, &answer.body, proof),
    }
}
