//! The log's line of a request: what happened, never a secret, a body or a header's value.

use alloc::string::{String, ToString as _};

use serde::Serialize;

/// One request, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The request's id, as its answer has it.
    pub request_id: String,
    /// The method as it came.
    pub method: String,
    /// The path's template below the base path, such as `/tenants/{id}`; `None` where no route was found.
    pub route: Option<&'static str>,
    /// Whether it came in the legacy dialect.
    pub legacy: bool,
    /// The answer's status.
    pub status: u16,
    /// The row id of the key, once its MAC was found right; whether it still stands is not said by that.
    pub key_id: Option<i64>,
    /// Why, where the status does not say it all.
    pub cause: Option<String>,
}

/// How bad an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Info,
    /// A caller was refused for who it is, or something stored is not right.
    Warn,
    /// Our fault, or the machine's.
    Error,
}

#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    method: &'a str,
    route: Option<&'static str>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    legacy: bool,
    status: u16,
    key_id: Option<i64>,
    duration_ms: i64,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

impl LogEntry {
    /// Whether it is our fault, or the machine's.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.level() == Level::Error
    }

    /// How bad it is.
    #[must_use]
    pub fn level(&self) -> Level {
        match (self.status, &self.cause) {
            (500.., _) => Level::Error,
            (401 | 403, _) | (_, Some(_)) => Level::Warn,
            _ => Level::Info,
        }
    }

    /// The line: JSON, without a line break. `duration_ms` is the host's measure from the request to the answer.
    #[must_use]
    pub fn line(&self, duration_ms: i64) -> String {
        let line = Line {
            level: self.level(),
            method: &self.method,
            route: self.route,
            legacy: self.legacy,
            status: self.status,
            key_id: self.key_id,
            duration_ms,
            request_id: &self.request_id,
            cause: self.cause.as_deref(),
        };
        // Strings and numbers alone: there is nothing in it that JSON cannot say.
        serde_json::to_string(&line).unwrap_or_else(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::LogEntry;

    #[test]
    fn a_line_is_json_with_what_an_operator_looks_for() {
        let entry = LogEntry {
            request_id: "r-1".into(),
            method: "GET".into(),
            route: Some("/tenants/{id}"),
            legacy: false,
            status: 500,
            key_id: Some(7),
            cause: Some("a \"cause\"".into()),
        };
        assert_eq!(
            entry.line(3),
            r#"{"level":"error","method":"GET","route":"/tenants/{id}","status":500,"key_id":7,"duration_ms":3,"request_id":"r-1","cause":"a \"cause\""}"#
        );
        assert!(entry.is_error());
    }
}
