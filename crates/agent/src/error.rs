//! The errors that end the agent, and their exit codes.

use std::fmt;

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The settings are not usable: exit code 4.
    Configuration(String),
    /// Something needs a person's decision, or differs: exit code 1.
    Attention(String),
    /// A part could not be reached, or failed: exit code 3.
    Failed(String),
}

impl Error {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Attention(_) => 1,
            Self::Failed(_) => 3,
            Self::Configuration(_) => 4,
        }
    }

    pub(crate) fn failed(what: &str, cause: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {cause}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) | Self::Attention(text) | Self::Failed(text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::failed("the state file", error)
    }
}
