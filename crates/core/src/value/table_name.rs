//! Names of a tenant's own tables: `<prefix><tenant id in lower case>_<table>`, or `<prefix><table>` in a database of the tenant's own
//! (contract §8).
//!
//! A name consists of a [`TablePrefix`], a [`TenantId`] and a part from `store/site_schema.rs`. A statement's text accepts such names
//! only (`Sql::name`), and quotes them, since an identifier may have a `-`.
//!
//! INVARIANT: no part ends in `_` and another part. Otherwise two tenants could share a name: `a` with `x_likes` would be `a_x` with
//! `likes`. No name in the registry ends in `_` and a part, so no tenant's table can be one of the registry's. A prefix ends in `_` and
//! differs from the start of SQLite's, D1's and the platform's own names, so no tenant's table can be one of those either. Tests check
//! all of this.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

use crate::value::id::TenantId;
use crate::value::text::quote;

/// The start of the names of all tenants' tables: `CHEVERETO_DB_TABLE_PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePrefix {
    text: String,
    is_apart: bool,
}

impl TablePrefix {
    /// The longest prefix, in characters.
    pub const MAX_LENGTH: usize = 32;

    /// Parses a prefix: 2 to 32 of `[a-z0-9_]`, beginning with a letter and ending in `_`. SQLite reserves `sqlite_…` and D1 reserves
    /// `d1_…`, so both are refused.
    ///
    /// # Errors
    /// A sentence with the expected form and the given text.
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
        Ok(Self {
            text: text.into(),
            is_apart: false,
        })
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same prefix for sites that have a database each.
    pub(crate) fn apart(self) -> Self {
        Self {
            is_apart: true,
            ..self
        }
    }

    /// Whether each site has a database of its own. If not, all sites' tables are in the registry's.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }
}

impl Default for TablePrefix {
    /// `chv_`, Chevereto's own default.
    fn default() -> Self {
        Self {
            text: "chv_".to_string(),
            is_apart: false,
        }
    }
}

/// The start of the names of one tenant's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableNames {
    start: String,
    is_apart: bool,
}

impl TableNames {
    pub(crate) fn of(prefix: &TablePrefix, tenant: &TenantId) -> Self {
        // SQLite ignores the case of table names. Lower case gives each tenant's tables one spelling.
        let start = if prefix.is_apart {
            prefix.text.clone()
        } else {
            format!("{}{}_", prefix.text, tenant.folded())
        };
        Self {
            start,
            is_apart: prefix.is_apart,
        }
    }

    /// The names in the registry, whatever the prefix says of new sites.
    pub(crate) fn in_registry(prefix: &TablePrefix, tenant: &TenantId) -> Self {
        let prefix = TablePrefix {
            is_apart: false,
            ..prefix.clone()
        };
        Self::of(&prefix, tenant)
    }

    /// Whether the tables are in a database of their own.
    pub(crate) fn are_apart(&self) -> bool {
        self.is_apart
    }

    /// The name of a table or an index, by its part in `store/site_schema.rs`.
    pub(crate) fn name(&self, part: &'static str) -> TableName {
        TableName(format!("{}{part}", self.start))
    }
}

/// The name of a tenant's own table or index. It has no characters but `[a-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    /// The name without quotes, as in `sqlite_master`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints the name for a statement: quoted. None of its characters need escaping.
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
    fn only_valid_prefixes_are_parsed() {
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
    fn a_name_is_in_lower_case_and_quoted() {
        let names = TableNames::of(&TablePrefix::default(), &TenantId::parse("A-b_C").unwrap());
        assert_eq!(names.name("users").as_str(), "chv_a-b_c_users");
        assert_eq!(names.name("users").to_string(), "\"chv_a-b_c_users\"");
    }

    #[test]
    fn a_database_of_a_tenants_own_leaves_the_id_out() {
        let prefix = TablePrefix::parse("my_").unwrap().apart();
        let names = TableNames::of(&prefix, &TenantId::parse("a").unwrap());
        assert_eq!(names.name("users").as_str(), "my_users");
    }
}
