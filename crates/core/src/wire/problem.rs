//! Problem documents (RFC 9457): errors as responses (contract §3).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::value::fault::{
    ApiError, CellConflict, FieldError, Internal, NotReady, Place, SignatureFault, Unauthorized,
};
use crate::value::text::quote;
use crate::wire::http::Response;

/// The `WWW-Authenticate` of a 401 (RFC 9110 §11.6.1): a single scheme, our own.
const CHALLENGE: &str = r#"ChvApiKey realm="tenants", header="X-API-Key", signature="X-Signature""#;

/// The `Retry-After` of a database that is unavailable (RFC 9110 §10.2.3).
const RETRY_AFTER_SECONDS: &str = "1";

/// The `Retry-After` of a key that sends too many requests. A rate limiter does not tell its period: Cloudflare's have 10 or 60 seconds.
const LIMIT_SECONDS: &str = "60";

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    /// The scopes that the key lacks.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scope: &'a [Cow<'static, str>],
    /// The wrong fields and parameters. The legacy dialect leaves an empty list out.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [FieldError]>,
}

macro_rules! codes {
    ($($code:ident = $status:literal $word:literal, $title:literal: $when:literal;)+) => {
        /// The kind of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Code { $($code),+ }

        impl Code {
            /// Every kind.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$code),+];

            pub(crate) fn status(self) -> u16 {
                match self { $(Self::$code => $status),+ }
            }

            /// The problem's `code`.
            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$code => $word),+ }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$code => $title),+ }
            }

            /// When it comes, for the description.
            #[cfg(test)]
            pub(crate) fn when(self) -> &'static str {
                match self { $(Self::$code => $when),+ }
            }
        }
    };
}

codes! {
    BodyRequired = 400 "body_required", "Bad Request": "The route needs a body, and none came.";
    BodyUnexpected = 400 "body_unexpected", "Bad Request": "The route takes no body, and one came.";
    BodyIncomplete = 400 "body_incomplete", "Bad Request": "The body broke off before its end.";
    MalformedJson = 400 "malformed_json", "Bad Request": "The body is not a JSON object in UTF-8 without a byte order mark, or has a name twice.";
    MalformedHeader = 400 "malformed_header", "Bad Request": "A header that decides what the request does is not as expected.";
    Unauthorized = 401 "unauthorized", "Unauthorized": "The key or the signature is missing or not valid, or there is no living session. Every such response of a kind has the same text.";
    BoundKeyRequired = 403 "bound_key_required", "Forbidden": "Only a bound key begins a session: it signs the whole request.";
    NotSameOrigin = 403 "not_same_origin", "Forbidden": "A request with the cookie of a session needs `Sec-Fetch-Site: same-origin`.";
    CsrfTokenMismatch = 403 "csrf_token_mismatch", "Forbidden": "A write with the cookie of a session needs the session's `X-CSRF-Token`.";
    Forbidden = 403 "forbidden", "Forbidden": "The client's address is not on the list of those that may call.";
    InsufficientScope = 403 "insufficient_scope", "Forbidden": "The key lacks a scope that the route needs.";
    ExceedsOwnKey = 403 "exceeds_own_key", "Forbidden": "The key is or would be valid for longer than the caller's own, or it is not bound although the caller's own is. Or the caller rotates its own key with a secret that somebody else's rotation replaced.";
    NotFound = 404 "not_found", "Not Found": "There is no such resource, or no such route for this caller.";
    MethodNotAllowed = 405 "method_not_allowed", "Method Not Allowed": "The path has no such method. `Allow` lists those that it has.";
    Conflict = 409 "conflict", "Conflict": "Another resource has the id, the hostname or the external id, the site is installed already, or there are as many as there may be.";
    SiteExists = 409 "site_exists", "Conflict": "A deleted tenant with this id has left its tables, and this one cannot take them over.";
    DeletionProtected = 409 "deletion_protected", "Conflict": "The tenant has `deletion_protection`. Set it to `false` first.";
    ProofMissing = 409 "proof_missing", "Conflict": "The record that shows the owner of the hostname is not there.";
    CellInUse = 409 "cell_in_use", "Conflict": "The cell has tenants, deleted ones that can be brought back, tables of deleted tenants, or unfinished jobs.";
    CellConflict = 409 "cell_conflict", "Conflict": "The tenant's cell or an unfinished job of it does not allow the request.";
    JobUnderWay = 409 "job_under_way", "Conflict": "The tenant has an unfinished job.";
    JobNotWaiting = 409 "job_not_waiting", "Conflict": "The job is not waiting.";
    LeaseLost = 409 "lease_lost", "Conflict": "The lease has another token, or it ran out and another one took the job.";
    AgentConflict = 409 "agent_conflict", "Conflict": "Another agent serves the cell.";
    CursorGone = 410 "cursor_gone", "Gone": "The cursor is of another epoch of the database, or too old. `detail` says how to go on.";
    PreconditionFailed = 412 "precondition_failed", "Precondition Failed": "The present version of the resource is none of those in `If-Match`, or one of those in `If-None-Match`, or the response has no `ETag` to compare.";
    PayloadTooLarge = 413 "payload_too_large", "Content Too Large": "The body has more than 65536 bytes.";
    UnsupportedMediaType = 415 "unsupported_media_type", "Unsupported Media Type": "The body's `Content-Type` is not JSON, or it has a `Content-Encoding`.";
    Invalid = 422 "invalid", "Unprocessable Content": "Fields of the body or parameters of the query are missing, unknown, mistyped or out of bounds. `errors` names every one.";
    IdempotencyKeyReused = 422 "idempotency_key_reused", "Unprocessable Content": "The `Idempotency-Key` belongs to a request with another method, path, query or body.";
    TooManyRequests = 429 "too_many_requests", "Too Many Requests": "The key sends too many requests. `Retry-After` says when to try again.";
    Internal = 500 "internal", "Internal Server Error": "Something failed in the service. Its log has the cause under the request's id.";
    JobFailed = 502 "job_failed", "Bad Gateway": "The cell could not do the job that the request waited for.";
    LookupFailed = 503 "lookup_failed", "Service Unavailable": "The resolver did not say whether the record is there. `Retry-After` says when to try again.";
    NotConfigured = 503 "not_configured", "Service Unavailable": "A variable that the operation needs is missing or cannot be read. The log names it.";
    Unavailable = 503 "unavailable", "Service Unavailable": "The database is busy or out of reach. `Retry-After` says when to try again.";
    NotReady = 503 "not_ready", "Service Unavailable": "The database failed, or lacks a migration.";
}

impl ApiError {
    /// The kind of every error.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::BodyMissing => Code::BodyRequired,
            Self::BodyUnexpected => Code::BodyUnexpected,
            Self::BodyIncomplete => Code::BodyIncomplete,
            Self::MalformedJson { .. } => Code::MalformedJson,
            Self::MalformedHeader { .. } => Code::MalformedHeader,
            Self::PreconditionFailed => Code::PreconditionFailed,
            Self::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Self::Unauthorized(_) | Self::NotSignedIn { .. } => Code::Unauthorized,
            Self::BoundKeyRequired => Code::BoundKeyRequired,
            Self::NotSameOrigin => Code::NotSameOrigin,
            Self::CsrfTokenMismatch => Code::CsrfTokenMismatch,
            Self::TooManyRequests => Code::TooManyRequests,
            Self::AddressRefused => Code::Forbidden,
            Self::InsufficientScope { .. } => Code::InsufficientScope,
            Self::ExceedsOwnKey => Code::ExceedsOwnKey,
            Self::NoRoute | Self::NotFound { .. } => Code::NotFound,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::Conflict(_) | Self::AlreadyInstalled => Code::Conflict,
            Self::SiteExists(_) => Code::SiteExists,
            Self::DeletionProtected => Code::DeletionProtected,
            Self::ProofMissing { .. } => Code::ProofMissing,
            Self::LookupFailed(_) => Code::LookupFailed,
            Self::Cell(conflict) => conflict.code(),
            Self::CursorGone { .. } => Code::CursorGone,
            Self::JobFailed { .. } => Code::JobFailed,
            Self::BodyTooLarge => Code::PayloadTooLarge,
            Self::MediaType { .. } | Self::ContentEncoding { .. } => Code::UnsupportedMediaType,
            Self::Invalid(_) => Code::Invalid,
            Self::Internal(_) => Code::Internal,
            Self::NotConfigured { .. } | Self::Misconfigured { .. } => Code::NotConfigured,
            Self::Unavailable(_) | Self::WriteLost(_) => Code::Unavailable,
            Self::NotReady(_) => Code::NotReady,
        }
    }

    /// The sentence for the caller.
    pub(crate) fn detail(&self) -> Cow<'_, str> {
        match self {
            Self::AddressRefused => "this address may not call".into(),
            Self::InsufficientScope { missing } => {
                format!("this key lacks the scopes {}", missing.join(", ")).into()
            }
            Self::ExceedsOwnKey => "a key may only make, change, rotate or delete keys that expire no later than itself, and that are bound if it is; a secret that another key's rotation replaced does not rotate its own key".into(),
            Self::NoRoute => "no route has this path".into(),
            Self::MethodNotAllowed { allow } => format!("this path answers {allow}").into(),
            Self::Unauthorized(_) => {
                "a valid X-API-Key, and a valid X-Signature of the raw body, are required".into()
            }
            Self::NotSignedIn { is_sign_in: false, .. } => {
                "a living session is required: sign in".into()
            }
            Self::NotSignedIn { is_sign_in: true, .. } => {
                "a valid X-API-Key of a bound key, with its present secret, and its signature of this request (RFC 9421) with a nonce that was not used before, are required".into()
            }
            Self::BoundKeyRequired => {
                "only a bound key begins a session: it signs the whole request (RFC 9421) in place of an X-Signature".into()
            }
            Self::NotSameOrigin => {
                "a request with the cookie of a session must come from a page of this origin (Sec-Fetch-Site: same-origin)".into()
            }
            Self::CsrfTokenMismatch => {
                "a write with the cookie of a session must have the X-CSRF-Token of that session".into()
            }
            Self::PreconditionFailed => {
                "the present version is none of those in If-Match, or one of those in If-None-Match; read it again".into()
            }
            Self::IdempotencyKeyReused => {
                "this Idempotency-Key belongs to a request with another method, path, query or body"
                    .into()
            }
            Self::TooManyRequests => "this key sends too many requests; try again later".into(),
            Self::BodyTooLarge => "expected a body of at most 65536 bytes".into(),
            Self::BodyMissing => "expected a JSON object as the body; none came".into(),
            Self::BodyUnexpected => "expected no body: this route takes none".into(),
            Self::ContentEncoding { got } => format!(
                "expected no Content-Encoding, or identity; got {}",
                quote(got)
            )
            .into(),
            Self::BodyIncomplete => "the body broke off before its end".into(),
            Self::MediaType { got } => format!(
                "expected a Content-Type of application/json; {}",
                got.as_deref()
                    .map_or_else(|| "none came".into(), |g| format!("got {}", quote(g)))
            )
            .into(),
            Self::MalformedJson { detail } => detail.into(),
            Self::MalformedHeader { name, expected } => {
                format!("expected {name} to be {expected}").into()
            }
            Self::Invalid(errors) => match errors.len() {
                1 => "one field is not as expected".into(),
                n => format!("{n} fields are not as expected").into(),
            },
            Self::NotFound { what } => format!("there is no such {what}").into(),
            Self::Conflict(errors) => {
                // One of no field is a sentence of its own.
                if let [FieldError { at: Place::Pointer(at), detail, .. }] = &errors[..]
                    && at.is_empty()
                {
                    return detail.as_str().into();
                }
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
            Self::SiteExists(_) => "a deleted tenant with this id has left its tables".into(),
            Self::DeletionProtected => "the tenant is protected from deletion".into(),
            Self::ProofMissing { record } => {
                format!("there is no TXT record {} with the value of the proof", quote(record)).into()
            }
            Self::LookupFailed(_) => "the record could not be looked up; try again in a moment".into(),
            Self::Cell(conflict) => conflict.detail().into(),
            Self::CursorGone { again } => {
                format!("the cursor is of another time of the database, or too old; {again}").into()
            }
            Self::JobFailed { id, .. } => {
                format!("the cell could not do it; the job {} says why", quote(id)).into()
            }
            Self::NotConfigured { .. } | Self::Misconfigured { .. } => {
                "the service is not configured for this; its log has the reason under the request id"
                    .into()
            }
            Self::Unavailable(_) => "the database is busy; try again in a moment".into(),
            Self::WriteLost(_) => {
                "the database failed, and may have made the change; try again in a moment".into()
            }
            Self::NotReady(_) => {
                "the service is not ready; its log has the reason under the request id".into()
            }
            Self::Internal(_) => {
                "something failed on this side; the log has it under the request id".into()
            }
        }
    }

    /// The cause for the log, or `None` if the status says it all.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Unauthorized(why) | Self::NotSignedIn { why, .. } => Some(why.cause()),
            Self::NotConfigured { variable } => Some(format!("{variable} is not configured")),
            Self::Misconfigured { detail } => Some(detail.clone()),
            Self::LookupFailed(reason) => {
                Some(format!("the record could not be looked up: {reason}"))
            }
            Self::Unavailable(reason) => Some(format!("the database is unavailable: {reason}")),
            Self::WriteLost(reasons) => Some(reasons.clone()),
            Self::NotReady(why) => Some(why.cause()),
            Self::JobFailed { id, reason } => Some(format!("the job {id} failed: {reason}")),
            Self::Internal(internal) => Some(internal.cause()),
            Self::AddressRefused
            | Self::BoundKeyRequired
            | Self::NotSameOrigin
            | Self::CsrfTokenMismatch
            | Self::InsufficientScope { .. }
            | Self::ExceedsOwnKey
            | Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::BodyTooLarge
            | Self::BodyMissing
            | Self::BodyUnexpected
            | Self::ContentEncoding { .. }
            | Self::BodyIncomplete
            | Self::MediaType { .. }
            | Self::MalformedJson { .. }
            | Self::MalformedHeader { .. }
            | Self::PreconditionFailed
            | Self::IdempotencyKeyReused
            | Self::TooManyRequests
            | Self::Invalid(_)
            | Self::NotFound { .. }
            | Self::Conflict(_)
            | Self::AlreadyInstalled
            | Self::SiteExists(_)
            | Self::DeletionProtected
            | Self::ProofMissing { .. }
            | Self::Cell(_)
            | Self::CursorGone { .. } => None,
        }
    }

    /// The response, without the headers that every response has.
    pub(crate) fn respond(&self, request_id: &str, is_legacy: bool) -> Response {
        let code = self.code();
        let status = code.status();
        let errors: &[FieldError] = match self {
            Self::Invalid(errors) | Self::Conflict(errors) | Self::SiteExists(errors) => errors,
            _ => &[],
        };
        let scope: &[Cow<'static, str>] = match self {
            Self::InsufficientScope { missing } => missing,
            _ => &[],
        };
        let body = serde_json::to_string(&Body {
            r#type: "about:blank",
            title: code.title(),
            status,
            detail: &self.detail(),
            code: code.word(),
            request_id,
            scope,
            errors: (!is_legacy || !errors.is_empty()).then_some(errors),
        })
        // Strings and numbers always encode.
        .unwrap_or_default();
        let response = Response::json(status, body);
        let mut response = match self {
            Self::MethodNotAllowed { allow } => response.with("allow", allow.clone()),
            Self::Unauthorized(_) | Self::NotSignedIn { .. } => {
                response.with("www-authenticate", CHALLENGE)
            }
            // RFC 9110 §15.5.16 asks for it in the response to an unsupported coding.
            Self::ContentEncoding { .. } => response.with("accept-encoding", "identity"),
            Self::Unavailable(_) | Self::WriteLost(_) | Self::LookupFailed(_) => {
                response.with("retry-after", RETRY_AFTER_SECONDS)
            }
            Self::TooManyRequests => response.with("retry-after", LIMIT_SECONDS),
            _ => response,
        };
        response.headers[0].1 = Cow::Borrowed("application/problem+json");
        response
    }
}

impl Unauthorized {
    fn cause(self) -> String {
        let cause = match self {
            Self::KeyMissing => "X-API-Key is missing",
            Self::KeyMalformed => "X-API-Key is malformed",
            Self::KeyForged => "X-API-Key is forged",
            Self::KeyDead => {
                "X-API-Key is unknown, deleted or expired, or must sign in the other way"
            }
            Self::SignatureMissing => "X-Signature is missing",
            Self::SignatureMalformed => "X-Signature is malformed",
            Self::SignatureWrong => "X-Signature does not match this body",
            Self::Request(fault) => return fault.cause(),
            Self::KeyRotated => "X-API-Key was rotated, and this is the secret before",
            Self::SessionMissing => "the cookie of a session is missing",
            Self::SessionMalformed => "the cookie of a session is malformed, or there are several",
            Self::SessionForged => "the cookie of a session is forged",
            Self::SessionWithKey => {
                "the cookie of a session came together with an API key or a signature"
            }
            Self::SessionOver => {
                "the session has ended, or its key was deleted, rotated or has expired"
            }
        };
        cause.into()
    }
}

impl SignatureFault {
    fn cause(self) -> String {
        let cause = match self {
            Self::InputMissing => "Signature-Input is missing",
            Self::InputMalformed => "Signature-Input is malformed",
            Self::SeveralSignatures => "the request has more than one signature; expected one",
            Self::ComponentParameters => {
                "a component of the signature has parameters; expected none"
            }
            Self::ComponentTwice => "the signature lists a component twice, or too many",
            Self::ComponentUnknown => {
                "the signature covers a component that the service does not know, or that the request does not have"
            }
            Self::NotCovered(name) => return format!("the signature does not cover {name}"),
            Self::OtherAlgorithm => "the signature's alg is not hmac-sha256",
            Self::NoTime => "the signature has no created",
            Self::OtherTime => {
                "the signature was made too long ago or in the future: compare the clocks"
            }
            Self::Expired => "the signature has expired",
            Self::BytesMalformed => "Signature is malformed",
            Self::OtherLabel => "Signature lacks the signature that Signature-Input names",
            Self::DigestMissing => "Content-Digest is missing, or has neither sha-256 nor sha-512",
            Self::DigestMalformed => "Content-Digest is malformed",
            Self::DigestWrong => "Content-Digest does not match this body",
            Self::Wrong => "Signature does not match this request",
            Self::NoNonce => "the signature has no nonce of 1 to 128 characters",
            Self::NonceUsed => "a session began with the nonce of the signature already",
        };
        cause.into()
    }
}

impl CellConflict {
    fn code(self) -> Code {
        match self {
            Self::InUse => Code::CellInUse,
            Self::Installed | Self::Enabled | Self::NoCell | Self::OtherJob | Self::Changed => {
                Code::CellConflict
            }
            Self::UnderWay => Code::JobUnderWay,
            Self::LeaseLost => Code::LeaseLost,
            Self::NotWaiting => Code::JobNotWaiting,
            Self::OtherAgent => Code::AgentConflict,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::InUse => {
                "the cell has tenants, deleted ones that can be brought back, tables of deleted tenants, or unfinished jobs"
            }
            Self::Installed => {
                "an installation was begun for the tenant, so only a move changes its cell"
            }
            Self::Enabled => {
                "the tenant is enabled; disable it or hold it for `maintenance` before the move"
            }
            Self::NoCell => "the tenant has no cell, so its site is not on one",
            Self::UnderWay => "the tenant has an unfinished job",
            Self::OtherJob => "the tenant has an unfinished job of this kind with another body",
            Self::Changed => "the tenant changed its cell meanwhile; try again",
            Self::LeaseLost => "the lease has another token, or it ran out",
            Self::NotWaiting => "the job is not waiting, so it cannot be cancelled",
            Self::OtherAgent => "another agent serves this cell",
        }
    }
}

impl NotReady {
    fn cause(&self) -> String {
        match self {
            Self::Database(reason) => format!("the database failed: {reason}"),
            Self::Behind(name) => format!("the database lacks the migration `{name}`"),
        }
    }
}

impl Internal {
    fn cause(&self) -> String {
        match self {
            Self::Database(reason) => format!("the database failed: {reason}"),
            Self::Rows(reason) => format!("unexpected result from the database: {reason}"),
            Self::Stored { place, reason } => format!("{place}: {reason}"),
            Self::NewerDatabase(name) => format!(
                "the database has the migration `{name}`, which this version does not know: a newer version made the database"
            ),
            Self::Random => "the host has no randomness".to_string(),
            Self::Clock => "the host's clock is outside the years 0000 to 9999".to_string(),
            Self::Host(reason) => reason.clone(),
            Self::Hashing(reason) => format!("a password could not be hashed: {reason}"),
            Self::Encoding(reason) => format!("could not be encoded: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use super::{ApiError, FieldError, Internal, SignatureFault, Unauthorized};

    fn text(error: &ApiError) -> String {
        error.respond("r-1", false).body.into_string()
    }

    #[test]
    fn a_problem_names_every_invalid_field() {
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
            Unauthorized::Request(SignatureFault::Wrong),
        ];
        let first = ApiError::Unauthorized(all[0]).respond("r-1", false);
        assert!(first.header("www-authenticate").is_some());
        for why in all {
            assert_eq!(ApiError::Unauthorized(why).respond("r-1", false), first);
        }
    }

    #[test]
    fn the_cause_of_our_own_failure_is_not_in_the_response() {
        let error = ApiError::Internal(Internal::Database("disk I/O error".into()));
        assert!(!text(&error).contains("disk"));
        assert!(error.cause().unwrap().contains("disk I/O error"));
        let error = ApiError::Unavailable("database is locked".into());
        assert!(!text(&error).contains("locked"));
        assert!(error.cause().unwrap().contains("database is locked"));
        let error = ApiError::NotConfigured {
            variable: "CHEVERETO_ENCRYPTION_KEY",
        };
        assert!(!text(&error).contains("CHEVERETO"));
        assert!(error.cause().unwrap().contains("CHEVERETO_ENCRYPTION_KEY"));
    }
}
