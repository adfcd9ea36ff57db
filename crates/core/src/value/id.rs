//! Identifiers of tenants and plans.
//!
//! An identifier keeps the case it came in. Identifiers that differ only in ASCII case match (contract §4): SQL compares them with
//! `COLLATE NOCASE`, other code with [`Id::folded`].

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::Serialize;

use crate::value::text::quote;

/// A tenant's identifier: 1 to 16 of `[A-Za-z0-9_-]`, starting with a letter or a digit (contract §5).
pub type TenantId = Id<16>;

/// A plan's identifier: 1 to 64 of `[A-Za-z0-9_-]`, starting with a letter or a digit (contract §6).
pub type PlanId = Id<64>;

/// A cell's identifier, which has the form of a plan's (contract §15).
pub type CellId = Id<64>;

/// An identifier of at most `MAX` characters; see [`TenantId`] and [`PlanId`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Id<const MAX: usize>(String);

impl<const MAX: usize> Id<MAX> {
    /// The longest identifier, in characters.
    pub const MAX_LENGTH: usize = MAX;

    /// Parses an identifier.
    ///
    /// # Errors
    /// A sentence with the expected form and the given text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if Self::is_valid(text) {
            Ok(Self(text.into()))
        } else {
            Err(format!(
                "expected 1 to {MAX} of [A-Za-z0-9_-], starting with a letter or a digit; got {}",
                quote(text)
            ))
        }
    }

    /// Whether the text is an identifier.
    pub(crate) fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        bytes.len() <= MAX
            && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    }

    /// The text, in the case it came in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text in lower case. Identifiers match if these texts are equal.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl<const MAX: usize> fmt::Display for Id<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::{PlanId, TenantId};

    #[test]
    fn only_valid_identifiers_are_parsed() {
        for good in ["1", "a", "Z9", "a_b-c", "0123456789abcdef", "a--", "a__"] {
            assert_eq!(TenantId::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "_a",
            "-a",
            "0123456789abcdefg",
            "a.b",
            "a b",
            "a/b",
            "é",
            "a%20",
            "a\0",
            "*",
            "a@b",
        ] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(PlanId::parse(&"p".repeat(64)).is_ok());
        assert!(PlanId::parse(&"p".repeat(65)).is_err());
    }

    #[test]
    fn the_error_has_the_expected_form_and_the_given_text() {
        assert_eq!(
            TenantId::parse("_x").unwrap_err(),
            "expected 1 to 16 of [A-Za-z0-9_-], starting with a letter or a digit; got `_x`"
        );
    }

    #[test]
    fn a_folded_identifier_is_in_lower_case() {
        assert_eq!(TenantId::parse("AbC").unwrap().folded(), "abc");
    }
}
