//! The two dialects of the API (contract §1). A dialect decides how a request's fields are named. How its caller proves itself is up to
//! the [`Scheme`].
//!
//! The dialects differ at the two ends of a request only. A legacy body's fields are read under the current names
//! ([`Fields::legacy`]), and a response gets the legacy names and headers ([`Legacy`]). One set of rules stands between.
//!
//! [`Scheme`]: crate::wire::route::Scheme
//! [`Fields::legacy`]: crate::wire::body::Fields::legacy
//! [`Legacy`]: crate::wire::legacy::Legacy

/// How a request's fields are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/_/api/4`
    Current,
    /// `/api/4/_`
    Legacy,
}

impl Dialect {
    /// The start of its paths.
    pub(crate) fn base_path(self) -> &'static str {
        match self {
            Self::Current => "/_/api/4",
            Self::Legacy => "/api/4/_",
        }
    }
}
