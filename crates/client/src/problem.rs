//! Problems: errors in the form that the API uses.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::terminal::printable;

/// An error in the form that the API uses (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The name of this kind of problem.
    pub title: String,
    /// The HTTP status, if there was an HTTP response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A sentence about this occurrence.
    pub detail: String,
    /// A stable word for programs.
    pub code: String,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The fields and query parameters that are not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The seconds after which the response asks for the request again (`Retry-After`), if it does.
    #[serde(skip)]
    pub retry_after_seconds: Option<u64>,
    /// The document's own text.
    #[serde(skip)]
    pub raw: Option<String>,
}

/// A field or query parameter that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldProblem {
    /// The field's place in the body, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The query parameter's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The expected and the actual value.
    pub detail: String,
}

impl Problem {
    /// Reads the body of an error response.
    #[must_use]
    pub fn of_answer(status: u16, body: &[u8], request_id: &str) -> Self {
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let mut problem = match serde_json::from_str::<Self>(text) {
            Ok(problem) if !problem.title.is_empty() => Self {
                raw: Some(text.into()),
                ..problem
            },
            // The response comes from a proxy, another server or Cloudflare itself. Its page is of no use here.
            _ => Self {
                title: "not the API's response".into(),
                detail:
                    "the server does not respond as the Tenants API does; is the address right?"
                        .into(),
                code: "unexpected_answer".into(),
                ..Self::default()
            },
        };
        problem.status.get_or_insert(status);
        problem
            .request_id
            .get_or_insert_with(|| request_id.to_owned());
        problem
    }

    /// Creates a problem of a program's own, without an HTTP status.
    #[must_use]
    pub fn own(title: &str, code: &str, detail: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            detail: detail.into(),
            code: code.into(),
            ..Self::default()
        }
    }

    /// Returns the problem as one line of JSON: the API's own bytes, if the API sent a document of one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.raw {
            Some(raw) if !raw.contains('\n') => raw.clone(),
            // Cannot fail: the document has only strings, numbers and lists.
            _ => serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// Returns the problem as text for people. It may have several lines; the last has no line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("error: {}", lines(&self.detail));
        if !self.title.is_empty() && self.status.is_some() {
            text = format!("error: {}: {}", printable(&self.title), lines(&self.detail));
        }
        for error in &self.errors {
            let place = match (&error.pointer, &error.parameter) {
                (Some(pointer), _) if !pointer.is_empty() => pointer,
                (_, Some(parameter)) => parameter,
                _ => "the whole body",
            };
            let _ = write!(
                text,
                "\n  {}: {}",
                printable(place),
                printable(&error.detail)
            );
        }
        let mut facts = Vec::new();
        if let Some(status) = self.status {
            facts.push(format!("status {status}"));
            facts.push(format!("code {}", printable(&self.code)));
        }
        if let Some(id) = &self.request_id {
            facts.push(format!("request id {}", printable(id)));
        }
        if !facts.is_empty() {
            let _ = write!(text, "\n  ({})", facts.join(", "));
        }
        text
    }
}

/// Escapes control characters except for line ends, and indents all lines but the first.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n  ")
}
