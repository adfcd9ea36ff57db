//! The kinds of hostnames that a tenant has besides its own.

use alloc::format;
use alloc::string::String;

use crate::value::text::quote;

/// What a further hostname of a tenant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostnameKind {
    /// The site answers there, too.
    Alias,
    /// Visitors are sent to the tenant's own hostname.
    Redirect,
}

impl HostnameKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 2] = [Self::Alias, Self::Redirect];

    /// The name, which is stored and never changes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Redirect => "redirect",
        }
    }

    /// Parses a name.
    ///
    /// # Errors
    /// A sentence with the names of both kinds and the given text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("expected `alias` or `redirect`; got {}", quote(text)))
    }
}
