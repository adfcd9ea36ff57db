//! The names of API keys.

use alloc::string::String;
use core::fmt;

/// The longest name of a key, in characters.
const MAX_NAME_CHARACTERS: usize = 255;

/// A key's purpose: 1 to 255 characters without U+0000, at which SQLite's own functions end a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

/// A text that is not a [`KeyName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAKeyName;

impl KeyName {
    /// Parses a name.
    ///
    /// # Errors
    /// If it is empty, too long, or has a U+0000.
    pub fn parse(text: &str) -> Result<Self, NotAKeyName> {
        if (1..=MAX_NAME_CHARACTERS).contains(&text.chars().count()) && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(NotAKeyName)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NotAKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a name of 1 to {MAX_NAME_CHARACTERS} characters without U+0000"
        )
    }
}
