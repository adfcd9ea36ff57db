//! `GET /openapi.json` (contract §14): the description of the API, in OpenAPI 3.1. Anybody may read it, without a key.
//!
//! The text is `docs/openapi.json`. A test makes it from the table of routes and from the readers of bodies and queries (`describe.rs`), and
//! fails if the file differs. It does not depend on the configuration: it describes the legacy routes even where they answer 404.

use alloc::format;
use alloc::string::String;

use sha2::{Digest as _, Sha256};

use crate::value::text::hex_text;
use crate::wire::http::Response;

/// The description.
pub(crate) const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// The response: the document with its `ETag`, or a 304 if the caller has it already.
pub(crate) fn respond(if_none_match: Option<&str>) -> Response {
    let etag = etag();
    let response = if if_none_match.is_some_and(|header| names(header, &etag)) {
        Response::empty(304)
    } else {
        Response::json(200, String::from(DOCUMENT))
    };
    response.with("etag", etag)
}

fn etag() -> String {
    let digest = Sha256::digest(DOCUMENT);
    format!("\"{}\"", hex_text(&digest[..8]))
}

/// Whether an `If-None-Match` names a tag, weak or strong (RFC 9110 §13.1.2).
fn names(header: &str, etag: &str) -> bool {
    header.split(',').any(|entry| {
        let entry = entry.trim();
        entry == "*" || entry.strip_prefix("W/").unwrap_or(entry) == etag
    })
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{DOCUMENT, etag, respond};

    #[test]
    fn a_caller_that_has_the_document_gets_a_304() {
        let etag = etag();
        for known in [
            "*".into(),
            etag.clone(),
            format!("W/{etag}"),
            format!("\"x\", {etag}"),
        ] {
            let response = respond(Some(&known));
            assert_eq!((response.status, response.body.as_str()), (304, ""));
            assert_eq!(response.header("etag"), Some(etag.as_str()));
        }
        for other in [None, Some(""), Some("\"x\""), Some(etag.trim_matches('"'))] {
            let response = respond(other);
            assert_eq!((response.status, response.body.as_str()), (200, DOCUMENT));
            assert_eq!(response.header("etag"), Some(etag.as_str()));
        }
    }
}
