//! The identifier that another system, such as a billing system, gives a tenant or a plan.

use alloc::format;
use alloc::string::String;

/// The longest external id, in characters.
const MAX_CHARACTERS: usize = 255;

/// An external id: 1 to 255 characters, of which case matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalId(String);

impl ExternalId {
    /// Parses an external id.
    ///
    /// # Errors
    /// A sentence with the expected and the actual length.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.chars().count() {
            1..=MAX_CHARACTERS => Ok(Self(text.into())),
            length => Err(format!(
                "expected 1 to {MAX_CHARACTERS} characters; got {length}"
            )),
        }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::ExternalId;

    #[test]
    fn the_length_is_counted_in_characters() {
        assert!(ExternalId::parse(&"é".repeat(255)).is_ok());
        assert!(ExternalId::parse(&"e".repeat(256)).is_err());
        assert!(ExternalId::parse("").is_err());
        assert_eq!(ExternalId::parse("C-7 ä").unwrap().as_str(), "C-7 ä");
    }
}
