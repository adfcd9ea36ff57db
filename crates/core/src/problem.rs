//! What can go wrong, and how it is said: RFC 9457 problems (contract §3).
//!
//! [`ApiError`] keeps *the caller is wrong* apart from *we are wrong*: of the second kind the answer says nothing but the
//! request's id, and the cause goes to the log alone.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::http::Response;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The client's address is not on the allow list, or is needed and unknown.
    AddressRefused,
    /// No route has this path; or the route is one that this caller is not shown.
    NoRoute,
    /// The path is a route's, the method is not.
    MethodNotAllowed {
        /// The methods it has, as `Allow` lists them.
        allow: &'static str,
    },
    /// Key or signature are not in order. The answer never tells which; the log does.
    Unauthorized(Unauthorized),
    /// The body is longer than [`crate::http::BODY_LIMIT_BYTES`].
    BodyTooLarge,
    /// A body is needed and none came.
    BodyMissing,
    /// The body is not said to be JSON.
    MediaType {
        /// What it is said to be.
        got: Option<String>,
    },
    /// The body is not a JSON object in UTF-8.
    MalformedJson {
        /// What is wrong, and where.
        detail: String,
    },
    /// Fields or parameters that are missing, mistyped, unknown or out of bounds: all of them.
    Invalid(Vec<FieldError>),
    /// There is no such thing.
    NotFound {
        /// What was looked for: `tenant`, `plan`, `user`.
        what: &'static str,
    },
    /// It is taken.
    Conflict(Vec<FieldError>),
    /// The tenant's tables are there already.
    AlreadyInstalled,
    /// A secret that this operation needs is not configured.
    NotConfigured {
        /// The variable's name; for the log only.
        variable: &'static str,
    },
    /// The variables that the service runs on cannot be read.
    Misconfigured {
        /// Each variable's name and what is wrong with it; for the log only.
        detail: String,
    },
    /// Our fault, or the machine's.
    Internal(Internal),
}

/// What was wrong with a caller's key or signature; for the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthorized {
    /// No `X-API-Key`.
    KeyMissing,
    /// `X-API-Key` is not of the form `chv_<id>_<secret>`.
    KeyMalformed,
    /// The key's own MAC is wrong: it was never issued under this secret.
    KeyForged,
    /// The database has no such key that still stands: unknown, deleted or expired.
    KeyDead,
    /// No `X-Signature`.
    SignatureMissing,
    /// `X-Signature` is not of its dialect's form.
    SignatureMalformed,
    /// The signature is not of this body.
    SignatureWrong,
}

/// A failure that is not the caller's; each holds what the log needs to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Internal {
    /// The database failed, before or after committing: nobody knows.
    Database(String),
    /// The database answered what its statement cannot have: too few results, a missing or mistyped column.
    Rows(String),
    /// Stored data that its own type refuses.
    Stored {
        /// Which row and column.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host's randomness failed.
    Random,
    /// The host's clock is outside of the years 0000 to 9999.
    Clock,
    /// A password could not be hashed: the host has no memory for it.
    Hashing(String),
    /// A value could not be written as JSON.
    Encoding(String),
}

/// One field or parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where it is.
    #[serde(flatten)]
    pub at: Place,
    /// What was expected and what came; never a secret.
    pub detail: String,
}

/// Where a wrong value stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the body: a JSON pointer (RFC 6901).
    Pointer(String),
    /// In the query: the parameter's name.
    Parameter(&'static str),
}

impl FieldError {
    /// Of a field of the body, by its JSON pointer.
    #[must_use]
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            at: Place::Pointer(pointer.into()),
            detail: detail.into(),
        }
    }

    /// Of a query parameter.
    #[must_use]
    pub fn parameter(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            at: Place::Parameter(name),
            detail: detail.into(),
        }
    }
}

/// The `WWW-Authenticate` of a 401 (RFC 9110 §11.6.1): one scheme, of our own.
const CHALLENGE: &str = r#"ChvApiKey realm="tenants", header="X-API-Key", signature="X-Signature""#;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl ApiError {
    /// Status, stable word and title: the one table of them.
    fn kind(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BodyMissing => (400, "body_required", "Bad Request"),
            Self::MalformedJson { .. } => (400, "malformed_json", "Bad Request"),
            Self::Unauthorized(_) => (401, "unauthorized", "Unauthorized"),
            Self::AddressRefused => (403, "forbidden", "Forbidden"),
            Self::NoRoute | Self::NotFound { .. } => (404, "not_found", "Not Found"),
            Self::MethodNotAllowed { .. } => (405, "method_not_allowed", "Method Not Allowed"),
            Self::Conflict(_) | Self::AlreadyInstalled => (409, "conflict", "Conflict"),
            Self::BodyTooLarge => (413, "payload_too_large", "Content Too Large"),
            Self::MediaType { .. } => (415, "unsupported_media_type", "Unsupported Media Type"),
            Self::Invalid(_) => (422, "invalid", "Unprocessable Content"),
            Self::Internal(_) => (500, "internal", "Internal Server Error"),
            Self::NotConfigured { .. } | Self::Misconfigured { .. } => {
                (503, "not_configured", "Service Unavailable")
            }
        }
    }

    /// What the caller is told.
    pub(crate) fn detail(&self) -> Cow<'_, str> {
        match self {
            Self::AddressRefused => "this address may not call".into(),
            Self::NoRoute => "no route has this path".into(),
            Self::MethodNotAllowed { allow } => format!("this path answers {allow}").into(),
            Self::Unauthorized(_) => {
                "a valid X-API-Key, and a valid X-Signature of the raw body, are required".into()
            }
            Self::BodyTooLarge => "expected a body of at most 65536 bytes".into(),
            Self::BodyMissing => "expected a JSON object as the body; none came".into(),
            Self::MediaType { got } => format!(
                "expected a Content-Type of application/json; {}",
                got.as_deref()
                    .map_or_else(|| "none came".into(), |g| format!("got {}", quote(g)))
            )
            .into(),
            Self::MalformedJson { detail } => detail.into(),
            Self::Invalid(errors) => match errors.len() {
                1 => "one field is not as expected".into(),
                n => format!("{n} fields are not as expected").into(),
            },
            Self::NotFound { what } => format!("there is no such {what}").into(),
            Self::Conflict(errors) => {
                let what: Vec<&str> = errors
                    .iter()
                    .map(|e| match &e.at {
                        Place::Pointer(p) => p.trim_start_matches('/'),
                        Place::Parameter(p) => p,
                    })
                    .collect();
                format!("already taken: {}", what.join(", ")).into()
            }
            Self::AlreadyInstalled => "the tenant is installed already".into(),
            Self::NotConfigured { .. } | Self::Misconfigured { .. } => {
                "the service is not configured for this; its log has the reason under the request id"
                    .into()
            }
            Self::Internal(_) => {
                "something failed on this side; the log has it under the request id".into()
            }
        }
    }

    /// What the log is told besides the status; `None` where the status says it all.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Unauthorized(why) => Some(why.cause().into()),
            Self::NotConfigured { variable } => Some(format!("{variable} is not configured")),
            Self::Misconfigured { detail } => Some(detail.clone()),
            Self::Internal(internal) => Some(internal.cause()),
            Self::AddressRefused
            | Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::BodyTooLarge
            | Self::BodyMissing
            | Self::MediaType { .. }
            | Self::MalformedJson { .. }
            | Self::Invalid(_)
            | Self::NotFound { .. }
            | Self::Conflict(_)
            | Self::AlreadyInstalled => None,
        }
    }

    /// The answer, but for the headers that every answer carries.
    pub(crate) fn respond(&self, request_id: &str) -> Response {
        let (status, code, title) = self.kind();
        let errors: &[FieldError] = match self {
            Self::Invalid(errors) | Self::Conflict(errors) => errors,
            _ => &[],
        };
        let body = serde_json::to_string(&Body {
            r#type: "about:blank",
            title,
            status,
            detail: &self.detail(),
            code,
            request_id,
            errors,
        })
        // Strings and numbers alone: there is nothing in it that JSON cannot say.
        .unwrap_or_default();
        let response = Response::json(status, body);
        let mut response = match self {
            Self::MethodNotAllowed { allow } => response.with("allow", *allow),
            Self::Unauthorized(_) => response.with("www-authenticate", CHALLENGE),
            _ => response,
        };
        response.headers[0].1 = Cow::Borrowed("application/problem+json");
        response
    }
}

impl Unauthorized {
    fn cause(self) -> &'static str {
        match self {
            Self::KeyMissing => "X-API-Key is missing",
            Self::KeyMalformed => "X-API-Key is malformed",
            Self::KeyForged => "X-API-Key is forged",
            Self::KeyDead => "X-API-Key is unknown, deleted or expired",
            Self::SignatureMissing => "X-Signature is missing",
            Self::SignatureMalformed => "X-Signature is malformed",
            Self::SignatureWrong => "X-Signature is not of this body",
        }
    }
}

impl Internal {
    fn cause(&self) -> String {
        match self {
            Self::Database(reason) => format!("the database failed: {reason}"),
            Self::Rows(reason) => format!("the database's answer is not its statement's: {reason}"),
            Self::Stored { place, reason } => format!("{place}: {reason}"),
            Self::Random => "the host has no randomness".to_string(),
            Self::Clock => "the host's clock is outside of the years 0000 to 9999".to_string(),
            Self::Hashing(reason) => format!("a password could not be hashed: {reason}"),
            Self::Encoding(reason) => format!("could not be written as JSON: {reason}"),
        }
    }
}

/// A caller's text inside a message: in backticks, cut after 64 characters, control characters escaped.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut out = String::from("`");
    for c in text.chars().take(SHOWN) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use super::{ApiError, FieldError, Internal, Unauthorized, quote};

    fn text(error: &ApiError) -> String {
        error.respond("r-1").body
    }

    #[test]
    fn a_problem_names_every_wrong_field() {
        let error = ApiError::Invalid(vec![
            FieldError::field("/id", "expected a string; got null"),
            FieldError::parameter("limit", "expected 1 to 10000; got `0`"),
        ]);
        assert_eq!(
            text(&error),
            r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"2 fields are not as expected","code":"invalid","request_id":"r-1","errors":[{"pointer":"/id","detail":"expected a string; got null"},{"parameter":"limit","detail":"expected 1 to 10000; got `0`"}]}"#
        );
    }

    #[test]
    fn every_401_has_the_same_body_and_a_challenge() {
        let all = [
            Unauthorized::KeyMissing,
            Unauthorized::KeyMalformed,
            Unauthorized::KeyForged,
            Unauthorized::KeyDead,
            Unauthorized::SignatureMissing,
            Unauthorized::SignatureMalformed,
            Unauthorized::SignatureWrong,
        ];
        let first = ApiError::Unauthorized(all[0]).respond("r-1");
        assert!(first.header("www-authenticate").is_some());
        for why in all {
            assert_eq!(ApiError::Unauthorized(why).respond("r-1"), first);
        }
    }

    #[test]
    fn the_cause_of_our_own_failure_is_not_in_the_answer() {
        let error = ApiError::Internal(Internal::Database("disk I/O error".into()));
        assert!(!text(&error).contains("disk"));
        assert!(error.cause().unwrap().contains("disk I/O error"));
        let error = ApiError::NotConfigured {
            variable: "CHEVERETO_ENCRYPTION_KEY",
        };
        assert!(!text(&error).contains("CHEVERETO"));
        assert!(error.cause().unwrap().contains("CHEVERETO_ENCRYPTION_KEY"));
    }

    #[test]
    fn a_quoted_text_is_short_and_printable() {
        assert_eq!(quote("a\nb"), "`a\\nb`");
        assert_eq!(quote(&"x".repeat(65)).chars().count(), 64 + 3);
    }
}
