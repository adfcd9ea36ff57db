//! Names of a tenant's own tables: `<prefix><tenant id in lower case>_<table>` (contract §8).
//!
//! A name is made from a [`TablePrefix`], a [`TenantId`] and a part that stands in `schema.rs`, each of its own type, and
//! nothing else can become a name in a statement's text ([`crate::sql::Sql::name`]). It is written quoted: an identifier may
//! hold a `-`.
//!
//! INVARIANT: no part ends in `_` and another part, so that no two pairs of tenant and part have one name (`a` with `x_likes`
//! would be `a_x` with `likes`); and no name of the registry ends in `_` and a part, so that no tenant reaches it. A prefix ends
//! in `_` and begins as none of SQLite's, D1's and the platform's own names, so that no tenant reaches those either. Tests hold it.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

use crate::value::id::TenantId;
use crate::value::text::quote;

/// What the names of all tenants' tables begin with: `CHEVERETO_DB_TABLE_PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePrefix(String);

impl TablePrefix {
    /// How long a prefix may be, in characters.
    pub const MAX_LENGTH: usize = 32;

    /// Reads a prefix: 2 to 32 of `[a-z0-9_]`, beginning with a letter and ending in `_`; not `sqlite_…`, which SQLite keeps for
    /// itself, nor `d1_…`, which D1 does.
    ///
    /// # Errors
    /// A sentence that says what was expected and what came.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let ok = bytes.len() <= Self::MAX_LENGTH
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() == Some(&b'_')
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
        if !ok {
            return Err(format!(
                "expected 2 to {} of [a-z0-9_], beginning with a letter and ending in `_`; got {}",
                Self::MAX_LENGTH,
                quote(text)
            ));
        }
        if ["sqlite_", "d1_"].iter().any(|own| text.starts_with(own)) {
            return Err(format!(
                "expected another beginning than `sqlite_` and `d1_`, which the database keeps for itself; got {}",
                quote(text)
            ));
        }
        Ok(Self(text.into()))
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TablePrefix {
    /// `chv_`, as Chevereto has it.
    fn default() -> Self {
        Self("chv_".to_string())
    }
}

/// What the names of one tenant's tables begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableNames(String);

impl TableNames {
    pub(crate) fn of(prefix: &TablePrefix, tenant: &TenantId) -> Self {
        // Table names match without regard to case, in SQLite at least: one tenant, one spelling.
        Self(format!("{}{}_", prefix.as_str(), tenant.folded()))
    }

    /// The name of a table or an index, by its part in `schema.rs`.
    pub(crate) fn name(&self, part: &'static str) -> TableName {
        TableName(format!("{}{part}", self.0))
    }
}

/// The name of a tenant's own table or index: `[a-z0-9_-]` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    /// The name itself, as `sqlite_master` has it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// As it stands in a statement: quoted. Nothing in it needs escaping.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::{TableNames, TablePrefix};
    use crate::value::id::TenantId;

    #[test]
    fn prefixes_at_the_edges_of_their_rule() {
        let longest = alloc::format!("{}_", "p".repeat(31));
        for good in ["chv_", "a_", "a__", "a1_b_", "sqlite1_", "d1x_", &longest] {
            assert_eq!(TablePrefix::parse(good).unwrap().as_str(), good);
        }
        let too_long = alloc::format!("{}_", "p".repeat(32));
        for bad in [
            "",
            "_",
            "chv",
            "Chv_",
            "1_",
            "_a_",
            "a-_",
            "a\"_",
            "a b_",
            "é_",
            "sqlite_",
            "sqlite_a_",
            "d1_",
            "d1_a_",
            "_cf_",
            &too_long,
        ] {
            assert!(TablePrefix::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_folded_and_quoted() {
        let names = TableNames::of(&TablePrefix::default(), &TenantId::parse("A-b_C").unwrap());
        assert_eq!(names.name("users").as_str(), "chv_a-b_c_users");
        assert_eq!(names.name("users").to_string(), "\"chv_a-b_c_users\"");
    }
}
