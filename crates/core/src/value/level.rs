//! Log levels.

use alloc::format;
use alloc::string::String;

use serde::Serialize;

use crate::value::text::quote;

/// How serious a log entry is, least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Normal operation.
    #[default]
    Info,
    /// A caller could not prove who it is or may not call, or a stored row is damaged.
    Warn,
    /// We failed, or the machine did.
    Error,
}

impl Level {
    /// Parses a level's name: `info`, `warn` or `error`.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            other => Err(format!(
                "expected `info`, `warn` or `error`; got {}",
                quote(other)
            )),
        }
    }
}
