//! Scopes: what a key may do (contract §13).
//!
//! A key's scopes are stored twice: as texts, and as the bits of all that they permit. A statement of a caller compares the bits with those
//! that its route needs.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::value::text::quote;

/// The scopes with a bit, by their names. The bits are stored, and never change.
const NAMED: [(&str, Needs, Needs); 12] = [
    ("tenants:read", Needs::TENANTS_READ, Needs::TENANTS_READ),
    // The answer to a write shows the resource, so whoever may write may read.
    (
        "tenants:write",
        Needs::TENANTS_WRITE,
        Needs::TENANTS_WRITE.and(Needs::TENANTS_READ),
    ),
    ("plans:read", Needs::PLANS_READ, Needs::PLANS_READ),
    (
        "plans:write",
        Needs::PLANS_WRITE,
        Needs::PLANS_WRITE.and(Needs::PLANS_READ),
    ),
    ("sites", Needs::SITES, Needs::SITES),
    ("traefik", Needs::TRAEFIK, Needs::TRAEFIK),
    ("audit", Needs::AUDIT, Needs::AUDIT),
    ("events", Needs::EVENTS, Needs::EVENTS),
    ("keys", Needs::KEYS, Needs::KEYS),
    ("cells", Needs::CELLS, Needs::CELLS),
    ("webhooks:read", Needs::WEBHOOKS_READ, Needs::WEBHOOKS_READ),
    (
        "webhooks:write",
        Needs::WEBHOOKS_WRITE,
        Needs::WEBHOOKS_WRITE.and(Needs::WEBHOOKS_READ),
    ),
];

/// Every scope.
const ALL: &str = "*";

/// Before the id of a cell.
const CELL: &str = "cell:";

/// The longest id of a cell, which is a plan's, in characters.
const MAX_CELL_CHARACTERS: usize = 64;

/// The most scopes of a key.
pub(crate) const MAX_SCOPES: usize = 64;

/// The scopes that a request needs, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs(i64);

impl Needs {
    /// Any valid key will do.
    pub(crate) const NOTHING: Self = Self(0);
    pub(crate) const TENANTS_READ: Self = Self(1);
    pub(crate) const TENANTS_WRITE: Self = Self(1 << 1);
    pub(crate) const PLANS_READ: Self = Self(1 << 2);
    pub(crate) const PLANS_WRITE: Self = Self(1 << 3);
    pub(crate) const SITES: Self = Self(1 << 4);
    pub(crate) const TRAEFIK: Self = Self(1 << 5);
    pub(crate) const AUDIT: Self = Self(1 << 6);
    pub(crate) const EVENTS: Self = Self(1 << 7);
    pub(crate) const KEYS: Self = Self(1 << 8);
    pub(crate) const CELLS: Self = Self(1 << 9);
    pub(crate) const WEBHOOKS_READ: Self = Self(1 << 10);
    pub(crate) const WEBHOOKS_WRITE: Self = Self(1 << 11);

    /// Both.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits, for a statement.
    pub(crate) fn bits(self) -> i64 {
        self.0
    }

    /// The scopes with these bits.
    pub(crate) fn of_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// The names.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let named = NAMED.iter().filter(|(_, own, _)| self.0 & own.0 != 0);
        named.map(|(name, _, _)| *name).collect()
    }
}

/// The scopes of a key: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Every scope: what a key has that was made without any.
    #[must_use]
    pub fn all() -> Self {
        Self([ALL.into()].into())
    }

    /// Parses a list of scopes. One that comes twice is kept once.
    ///
    /// # Errors
    /// The index of the first text that is no scope, if it is one of them, and a sentence with the expected form.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (Option<usize>, String)> {
        let mut scopes: Vec<String> = Vec::new();
        for (i, text) in texts.into_iter().enumerate() {
            if i == MAX_SCOPES {
                return Err((None, format!("expected at most {MAX_SCOPES} scopes")));
            }
            Self::check(text).map_err(|reason| (Some(i), reason))?;
            if !scopes.iter().any(|known| known == text) {
                scopes.push(text.into());
            }
        }
        if scopes.is_empty() {
            return Err((None, "expected at least one scope".into()));
        }
        Ok(Self(scopes))
    }

    /// Whether a text is a scope; otherwise a sentence with the expected form.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        if permits(text).is_some() || cell(text).is_some() {
            return Ok(());
        }
        let names: Vec<&str> = NAMED.iter().map(|(name, _, _)| *name).collect();
        let names = names.join(", ");
        Err(format!(
            "expected one of *, {names}, cell:<id>; got {}",
            quote(text)
        ))
    }

    /// Reads the stored text.
    pub(crate) fn of_stored(text: &str) -> Result<Self, String> {
        Self::parse(text.split(' ')).map_err(|(_, reason)| reason)
    }

    /// The text to store.
    #[must_use]
    pub fn to_stored(&self) -> String {
        self.0.join(" ")
    }

    /// The bits of all that the scopes permit, to store.
    #[must_use]
    pub fn permits(&self) -> i64 {
        let bits = self.0.iter().filter_map(|scope| permits(scope));
        bits.fold(0, |all, bits| all | bits)
    }

    /// The texts.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.0
    }

    /// The scopes of `other` that these do not contain.
    pub(crate) fn lacks(&self, other: &Self) -> Vec<String> {
        let has = self.permits();
        let contains = |scope: &str| match permits(scope) {
            Some(bits) => has & bits == bits,
            None => has & Needs::CELLS.0 != 0 || self.0.iter().any(|own| same_cell(own, scope)),
        };
        let lacking = other.0.iter().filter(|scope| !contains(scope));
        lacking.cloned().collect()
    }
}

/// The bits that a scope permits; `None` of a cell's, and of a text that is no scope.
fn permits(scope: &str) -> Option<i64> {
    if scope == ALL {
        return Some(-1);
    }
    let named = NAMED.iter().find(|(name, _, _)| *name == scope);
    named.map(|(_, _, permits)| permits.0)
}

/// The id of the cell that a scope names.
fn cell(scope: &str) -> Option<&str> {
    let id = scope.strip_prefix(CELL)?;
    let bytes = id.as_bytes();
    let ok = bytes.len() <= MAX_CELL_CHARACTERS
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    ok.then_some(id)
}

/// Whether two scopes name the same cell. Identifiers match in any case.
fn same_cell(one: &str, other: &str) -> bool {
    match (cell(one), cell(other)) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{NAMED, Needs, Scopes};

    fn scopes(texts: &[&str]) -> Scopes {
        Scopes::parse(texts.iter().copied()).unwrap()
    }

    fn lacks(own: &[&str], other: &[&str]) -> Vec<String> {
        scopes(own).lacks(&scopes(other))
    }

    #[test]
    fn a_write_contains_its_read_and_no_other_scope_contains_another() {
        for (name, _, _) in NAMED {
            let mut contained: Vec<&str> = NAMED.iter().map(|(other, _, _)| *other).collect();
            contained.retain(|other| lacks(&[name], &[other]).is_empty());
            let expected = match name {
                "tenants:write" => ["tenants:read", name].into(),
                "plans:write" => ["plans:read", name].into(),
                "webhooks:write" => ["webhooks:read", name].into(),
                _ => Vec::from([name]),
            };
            assert_eq!(contained, expected, "{name}");
        }
    }

    #[test]
    fn every_scope_is_contained_in_all_and_all_in_no_other() {
        let mut every: Vec<&str> = NAMED.iter().map(|(name, _, _)| *name).collect();
        every.push("cell:a");
        assert!(lacks(&["*"], &every).is_empty());
        assert_eq!(lacks(&every, &["*"]), ["*"]);
        assert_eq!(Scopes::all(), scopes(&["*"]));
        assert_eq!(Scopes::all().permits(), -1);
    }

    #[test]
    fn cells_contains_each_cell_and_a_cell_only_itself() {
        assert!(lacks(&["cells"], &["cell:a", "cell:b"]).is_empty());
        assert!(lacks(&["cell:A"], &["cell:a"]).is_empty());
        assert_eq!(
            lacks(&["cell:a"], &["cell:b", "cells"]),
            ["cell:b", "cells"]
        );
        assert_eq!(scopes(&["cell:a"]).permits(), 0);
    }

    #[test]
    fn a_text_that_is_no_scope_is_refused_by_its_place() {
        for bad in [
            "",
            "**",
            "tenants",
            "tenants:",
            "Tenants:read",
            "tenants:read ",
            "cell:",
            "cell:-a",
            "cell:a b",
            "cell:a/b",
        ] {
            let (at, reason) = Scopes::parse(["audit", bad]).unwrap_err();
            assert_eq!(at, Some(1), "{bad}");
            assert!(reason.starts_with("expected one of *, "), "{reason}");
        }
        assert_eq!(Scopes::parse([]).unwrap_err().0, None);
        assert_eq!(Scopes::parse(["audit"; 64]).unwrap(), scopes(&["audit"]));
        assert_eq!(Scopes::parse(["audit"; 65]).unwrap_err().0, None);
    }

    #[test]
    fn scopes_are_stored_as_they_came_each_once() {
        let stored = scopes(&["plans:write", "cell:eu", "plans:read", "cell:eu"]).to_stored();
        assert_eq!(stored, "plans:write cell:eu plans:read");
        assert_eq!(Scopes::of_stored(&stored).unwrap().to_stored(), stored);
        assert!(Scopes::of_stored("").is_err());
    }

    #[test]
    fn the_bits_are_names_again() {
        let needs = Needs::SITES.and(Needs::TENANTS_WRITE);
        assert_eq!(
            Needs::of_bits(needs.bits()).names(),
            ["tenants:write", "sites"]
        );
        assert!(Needs::NOTHING.names().is_empty());
    }
}
