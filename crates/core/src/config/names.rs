//! Names of variables that look like ours and are not: usually misspelt.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::config::VARIABLES;

/// A variable with a name that only this service would use, and that it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    /// The name.
    pub name: String,
    /// The most similar name that is known.
    pub closest: &'static str,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not a variable of this service, and has no effect; the closest name is {}",
            self.name, self.closest
        )
    }
}

/// The prefixes of variables that only this service would use.
const PREFIXES: [&str; 2] = ["CHEVERETO_TENANT", "TENANTS_"];

/// The variables of the command line program, which may share a file with the service's.
const CLIENT_VARIABLES: [&str; 6] = [
    "CHEVERETO_TENANT",
    "TENANTS_API_KEY",
    "TENANTS_OPERATOR",
    "TENANTS_PROJECT",
    "TENANTS_SIGNING_SECRET",
    "TENANTS_URL",
];

/// Finds the unknown variables among the names that a host's environment has. A host logs each as a warning at its start
/// (`log::unknown_variable`).
pub fn unknown<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<UnknownVariable> {
    names
        .into_iter()
        .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !VARIABLES.contains(name) && !CLIENT_VARIABLES.contains(name))
        .filter_map(|name| {
            Some(UnknownVariable {
                name: name.into(),
                closest: VARIABLES
                    .iter()
                    .min_by_key(|known| distance(name, known))
                    .copied()?,
            })
        })
        .collect()
}

/// The number of bytes to insert, delete or replace to turn one name into the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::{distance, unknown};
    use crate::config::VARIABLES;

    #[test]
    fn a_misspelt_name_is_found_with_the_closest_known_name() {
        let found = unknown([
            "CHEVERETO_TENANTS_API_IP_ALOW_LIST",
            "CHEVERETO_TENANTS_ENFORCED",
            "TENANTS_LOGLEVEL",
            "CHEVERETO_TENANT",
            "TENANTS_API_KEY",
            "TENANTS_OPERATOR",
            "TENANTS_PROJECT",
            "TENANTS_SIGNING_SECRET",
            "TENANTS_URL",
            "CHEVERETO_MAX_USERS",
            "PATH",
        ]);
        let shown: alloc::vec::Vec<_> =
            found.iter().map(|u| (u.name.as_str(), u.closest)).collect();
        assert_eq!(
            shown,
            [
                (
                    "CHEVERETO_TENANTS_API_IP_ALOW_LIST",
                    "CHEVERETO_TENANTS_API_IP_ALLOW_LIST"
                ),
                ("CHEVERETO_TENANTS_ENFORCED", "CHEVERETO_TENANT_ENFORCED"),
                ("TENANTS_LOGLEVEL", "TENANTS_LOG_LEVEL"),
            ]
        );
        assert_eq!(
            found[2].to_string(),
            "TENANTS_LOGLEVEL is not a variable of this service, and has no effect; the closest name is TENANTS_LOG_LEVEL"
        );
        assert!(unknown(VARIABLES.iter().copied()).is_empty());
    }

    #[test]
    fn the_distance_counts_changes() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("LOGLEVEL", "LOG_LEVEL", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
