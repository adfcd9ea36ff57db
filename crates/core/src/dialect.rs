//! The two dialects of the API (contract §1). They differ at the two ends of a request alone: which signature, and which
//! field names. Between them is one set of rules.

/// How a request is signed and how its fields are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/_/api/4`
    Current,
    /// `/api/4/_`
    Legacy,
}

impl Dialect {
    /// What its paths begin with.
    pub(crate) fn base_path(self) -> &'static str {
        match self {
            Self::Current => "/_/api/4",
            Self::Legacy => "/api/4/_",
        }
    }
}
