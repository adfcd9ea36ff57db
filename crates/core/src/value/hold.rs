//! The kinds of holds: why a tenant's site is off.

use alloc::format;
use alloc::string::String;

use crate::value::text::quote;

/// The kind of a hold. A tenant has at most one of each. Of several, the first in this order decides what visitors see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldKind {
    Abuse,
    Admin,
    NonPayment,
    Maintenance,
}

impl HoldKind {
    /// Every kind, in the order in which they count.
    pub(crate) const ALL: [Self; 4] = [
        Self::Abuse,
        Self::Admin,
        Self::NonPayment,
        Self::Maintenance,
    ];

    /// The name, which is stored and never changes. It needs no quotes in a path of SQLite's JSON functions.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Abuse => "abuse",
            Self::Admin => "admin",
            Self::NonPayment => "non_payment",
            Self::Maintenance => "maintenance",
        }
    }

    /// Parses a name.
    ///
    /// # Errors
    /// A sentence with the names of all kinds and the given text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("expected one of {all}; got {}", quote(text))
        })
    }
}
