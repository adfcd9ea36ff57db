//! Errors as data: every reason why a request is refused or fails. `wire/problem.rs` renders them as problem documents.
//!
//! [`ApiError`] keeps *the caller is wrong* apart from *we are wrong*. An error of the second kind tells the caller only the request's
//! id. Its cause goes to the log.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

/// Why a request is refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The client's address is not on the allow list, or the list is not empty and the host does not know the address.
    AddressRefused,
    /// No route has this path, or this caller must not see the route.
    NoRoute,
    /// The path has a route, but not for this method.
    MethodNotAllowed {
        /// The methods that the path has, as the header `Allow` lists them.
        allow: String,
    },
    /// The key or the signature is not valid. The response never says which; the log does.
    Unauthorized(Unauthorized),
    /// There is no living session, or none can begin. As above, the response never says why.
    NotSignedIn {
        /// The reason, for the log only.
        why: Unauthorized,
        /// Whether the request was to begin a session.
        is_sign_in: bool,
    },
    /// The request was to begin a session, and its key is not bound.
    BoundKeyRequired,
    /// A request with the cookie of a session came from another origin than the console's, or from no page at all.
    NotSameOrigin,
    /// A write with the cookie of a session came without the session's `X-CSRF-Token`.
    CsrfTokenMismatch,
    /// The host's rate limiter refused the key's request.
    TooManyRequests,
    /// A header that decides what a request does is not as expected.
    MalformedHeader {
        /// The header's name.
        name: &'static str,
        /// The value that was expected, in words.
        expected: &'static str,
    },
    /// The present version of the resource is none of those in `If-Match`, or the route has no versions.
    PreconditionFailed,
    /// The `Idempotency-Key` belongs to another request.
    IdempotencyKeyReused,
    /// The body is longer than [`crate::BODY_LIMIT_BYTES`].
    BodyTooLarge,
    /// The body broke off before its end.
    BodyIncomplete,
    /// The route needs a body, and none came.
    BodyMissing,
    /// The route takes no body, and one came.
    BodyUnexpected,
    /// The body has a `Content-Encoding`.
    ContentEncoding {
        /// The `Content-Encoding` that came.
        got: String,
    },
    /// The `Content-Type` is not JSON.
    MediaType {
        /// The `Content-Type` that came.
        got: Option<String>,
    },
    /// The body is not a JSON object in UTF-8.
    MalformedJson {
        /// The error, and where it is.
        detail: String,
    },
    /// All fields and parameters that are missing, mistyped, unknown or out of bounds.
    Invalid(Vec<FieldError>),
    /// The key lacks scopes that the request needs.
    InsufficientScope {
        /// The scopes that are missing.
        missing: Vec<Cow<'static, str>>,
    },
    /// The key that a caller wants to make or change would be valid for longer than its own, or is not bound although its own is.
    ExceedsOwnKey,
    /// The resource does not exist.
    NotFound {
        /// The kind of resource: `tenant`, `plan`, `user`.
        what: &'static str,
    },
    /// Another resource has these values already.
    Conflict(Vec<FieldError>),
    /// The tenant's tables exist already.
    AlreadyInstalled,
    /// The tables of a deleted tenant with this id still exist, and a new tenant must not get them (`TENANTS_REUSED_ID`).
    SiteExists(Vec<FieldError>),
    /// The tenant is protected from deletion.
    DeletionProtected,
    /// The record that shows the owner of a hostname is not there.
    ProofMissing {
        /// The record's name.
        record: String,
    },
    /// Nobody knows whether the record is there. Holds the reason, for the log.
    LookupFailed(String),
    /// A cell or a job is in a state that does not allow the request.
    Cell(CellConflict),
    /// The cell could not do the job that the request waited for.
    JobFailed {
        /// The job's id.
        id: String,
        /// The agent's reason, for the log.
        reason: String,
    },
    /// The cursor is of another epoch of the database, or older than the oldest mark of a tenant that is gone.
    CursorGone {
        /// The next thing for the reader to do.
        again: &'static str,
    },
    /// The operation needs a secret that is not configured.
    NotConfigured {
        /// The variable's name, for the log only.
        variable: &'static str,
    },
    /// The configuration has errors.
    Misconfigured {
        /// Each variable's name and its error, for the log only.
        detail: String,
    },
    /// The database is busy, locked or out of reach for a while. Holds its message, for the log only.
    Unavailable(String),
    /// The database failed at a write, and again at the second try. Nobody knows whether the write was made. Holds both messages, for the log only.
    WriteLost(String),
    /// The service cannot serve requests: its database failed, or lacks a migration. Only the health route says so. Holds the reason, for the
    /// log only.
    NotReady(NotReady),
    /// We failed, or the machine did.
    Internal(Internal),
}

impl ApiError {
    /// The same error, on a route of this cell's agent, which needs the scope of that cell alone: `cells`, that of all, is not what its key lacks.
    pub(crate) fn of_agent(self, cell: &str) -> Self {
        match self {
            Self::InsufficientScope { missing } if missing == ["cells"] => {
                let missing = [Cow::Owned(["cell:", cell].concat())].into();
                Self::InsufficientScope { missing }
            }
            other => other,
        }
    }
}

/// The reason for a 409 of the cells' routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellConflict {
    /// The cell has tenants, tables of deleted tenants, or unfinished jobs.
    InUse,
    /// Something is installed for the tenant, so its cell stays.
    Installed,
    /// The tenant is enabled, so it cannot be moved.
    Enabled,
    /// The tenant has no cell, so it cannot be moved.
    NoCell,
    /// The tenant has an unfinished job.
    UnderWay,
    /// The unfinished job of the tenant has another body.
    OtherJob,
    /// The tenant's cell changed while the request ran.
    Changed,
    /// The lease has another token, or it ran out.
    LeaseLost,
    /// The job is not waiting.
    NotWaiting,
    /// Another agent serves the cell.
    OtherAgent,
}

/// The reason why the service is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReady {
    /// The database failed.
    Database(String),
    /// The database lacks this migration.
    Behind(&'static str),
}

/// The reason for a 401, for the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthorized {
    /// No `X-API-Key`.
    KeyMissing,
    /// `X-API-Key` is not of the form `chv_<id>_<secret>`.
    KeyMalformed,
    /// The key's MAC is wrong: the key was not issued under this secret.
    KeyForged,
    /// The database has no valid key like this: it is unknown, deleted or expired.
    KeyDead,
    /// No `X-Signature`.
    SignatureMissing,
    /// `X-Signature` does not have the form of its dialect.
    SignatureMalformed,
    /// The signature does not match this body.
    SignatureWrong,
    /// The signature of the whole request (RFC 9421) is not valid.
    Request(SignatureFault),
    /// The key has a newer secret, and only that one begins a session.
    KeyRotated,
    /// No cookie of a session.
    SessionMissing,
    /// There are several cookies of sessions, or one without the form of a token.
    SessionMalformed,
    /// The MAC of the session's token is wrong.
    SessionForged,
    /// The cookie of a session came together with a key or a signature.
    SessionWithKey,
    /// The session has ended, or its key has.
    SessionOver,
}

/// The reason why a signature of a whole request is not valid, for the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureFault {
    /// `Signature` came without `Signature-Input`.
    InputMissing,
    /// `Signature-Input` is not of the form of RFC 9421.
    InputMalformed,
    /// There is more than one signature.
    SeveralSignatures,
    /// A component of the signature has parameters.
    ComponentParameters,
    /// The signature lists a component twice, or more components than there are.
    ComponentTwice,
    /// The signature covers a component that the service does not know, or that the request does not have.
    ComponentUnknown,
    /// The signature does not cover this component.
    NotCovered(&'static str),
    /// The signature has another algorithm than `hmac-sha256`.
    OtherAlgorithm,
    /// The signature does not say when it was made.
    NoTime,
    /// The signature was made too long ago, or in the future.
    OtherTime,
    /// The signature's own end has passed.
    Expired,
    /// `Signature` is not of the form of RFC 9421.
    BytesMalformed,
    /// `Signature` does not have the signature of `Signature-Input`.
    OtherLabel,
    /// `Content-Digest` is missing, or has neither SHA-256 nor SHA-512.
    DigestMissing,
    /// `Content-Digest` is not of the form of RFC 9530.
    DigestMalformed,
    /// `Content-Digest` is of another body.
    DigestWrong,
    /// The signature is not that of this request under this key's signing secret.
    Wrong,
    /// The signature has no `nonce`, or one of another form, and the request begins a session.
    NoNonce,
    /// A session began with this nonce already.
    NonceUsed,
}

/// A failure on our side. Each variant holds the details that the log needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Internal {
    /// The database failed. Nobody knows whether it did so before or after committing.
    Database(String),
    /// The database returned a result that does not fit its statement: too few results, a missing or mistyped column.
    Rows(String),
    /// Stored data is invalid or cannot be decrypted.
    Stored {
        /// The row and column.
        place: String,
        /// The error.
        reason: String,
    },
    /// The database has this migration, which this version does not know: a newer version made it.
    NewerDatabase(String),
    /// The host has no randomness.
    Random,
    /// The host's clock is outside the years 0000 to 9999.
    Clock,
    /// A password could not be hashed: the host lacks the memory.
    Hashing(String),
    /// The host could not finish the request: its core crashed, or the body broke off.
    Host(String),
    /// A value could not be encoded.
    Encoding(String),
}

/// One invalid field or parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The place of the value.
    #[serde(flatten)]
    pub at: Place,
    /// The expected and the actual value, in words. It quotes no secret.
    pub detail: String,
    /// The id of the resource that has a taken value. `None` in every other error, and in the legacy dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// The place of an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the body: a JSON pointer (RFC 6901).
    Pointer(String),
    /// In the query: the parameter's name.
    Parameter(Cow<'static, str>),
}

impl FieldError {
    /// An error of a field of the body, by its JSON pointer.
    #[must_use]
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            at: Place::Pointer(pointer.into()),
            detail: detail.into(),
            holder: None,
        }
    }

    /// An error of a query parameter.
    #[must_use]
    pub fn parameter(name: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            at: Place::Parameter(name.into()),
            detail: detail.into(),
            holder: None,
        }
    }
}
