//! A run of a task, as its audit entries name it.

use alloc::string::String;

/// The id of a run, and who ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    id: String,
    operator: Option<Operator>,
}

impl Run {
    /// A run with this id, which takes the place of a request's id in the audit log.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            operator: None,
        }
    }

    /// The same run, by this operator.
    #[must_use]
    pub fn by(mut self, operator: Operator) -> Self {
        self.operator = Some(operator);
        self
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who ran it, if the host says so.
    #[must_use]
    pub fn operator(&self) -> Option<&str> {
        self.operator.as_ref().map(|operator| operator.0.as_str())
    }
}

/// Who runs a task: 1 to 255 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);

impl Operator {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// Parses a name.
    ///
    /// # Errors
    /// A sentence with the expected form, if it is empty, too long, or has a control character.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ok = (1..=Self::MAX_LENGTH).contains(&text.chars().count())
            && !text.chars().any(char::is_control);
        if ok {
            Ok(Self(text.into()))
        } else {
            Err("expected 1 to 255 characters without control characters".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Operator, Run};

    #[test]
    fn a_run_may_have_an_operator() {
        assert_eq!(Run::new("cli-1").operator(), None);
        let run = Run::new("cli-1").by(Operator::parse("世界@host").unwrap());
        assert_eq!((run.id(), run.operator()), ("cli-1", Some("世界@host")));
        assert!(Operator::parse(&"a".repeat(255)).is_ok());
        for bad in ["", "a\nb", "a\0", &"a".repeat(256)] {
            assert!(Operator::parse(bad).is_err(), "{bad:?}");
        }
    }
}
