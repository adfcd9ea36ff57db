//! What can go wrong at the command line, how it is said, and the exit code of each.
//!
//! Everything that fails becomes a [`Problem`]: the API's own where it answered with one, else one of ours in the same form.
//! Nothing in it is a secret: neither keys nor secrets ever get as far as an error.

use std::fmt::Write as _;
use std::io;

use serde::{Deserialize, Serialize};
use tenants_core::config::VariableError;

use crate::terminal::printable;

/// How a command ends; the numbers are documented in `--help` and in docs/CLI.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done: 0.
    Done,
    /// The API or the database said no, or the key is not valid: 1.
    Refused,
    /// The command line is not as expected: 2.
    Usage,
    /// The API or the database could not be reached, or failed: 3.
    Failed,
    /// Something that is needed is not configured, or wrongly: 4.
    Configuration,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Configuration => 4,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Error {
    /// The API answered, and not with a success.
    Answer {
        /// What it answered.
        problem: Box<Problem>,
        /// For a 401: where the key and the secret that were used came from.
        used: Option<String>,
    },
    /// The database does not hold what the command needs, or the key that was asked about is not valid.
    Refused {
        /// A stable word.
        code: &'static str,
        /// A sentence.
        detail: String,
    },
    /// An option's value is not as expected.
    Usage(String),
    /// The API could not be reached, or was silent for too long.
    Unreachable {
        /// What happened.
        detail: String,
        /// The id that the request was sent with; a Worker that got it has it in its log.
        request_id: String,
    },
    /// What answered does not answer as the API does.
    Strange {
        /// What came.
        detail: String,
        /// The id that the request was sent with.
        request_id: String,
    },
    /// wrangler failed, or said what cannot be read.
    Database(String),
    /// Something that is needed is missing, or is not what it must be.
    Configuration(String),
    /// This machine failed: its clock, its randomness.
    Machine(String),
    /// The answer could not be written.
    Output(io::Error),
}

/// An error in the form that the API uses (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The kind's name.
    pub title: String,
    /// The HTTP status, where there was an HTTP answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong this time.
    pub detail: String,
    /// A stable word.
    pub code: String,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The document as it came.
    #[serde(skip)]
    pub raw: Option<String>,
}

/// One field or query parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldProblem {
    /// Where in the body, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What was expected and what came.
    pub detail: String,
}

impl Problem {
    /// Reads what the API answered to a request that it did not carry out.
    #[must_use]
    pub fn of_answer(status: u16, body: &[u8], request_id: &str) -> Self {
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let mut problem = match serde_json::from_str::<Self>(text) {
            Ok(problem) if !problem.title.is_empty() => Self {
                raw: Some(text.into()),
                ..problem
            },
            // A proxy, another server, or Cloudflare itself: its page says nothing that a table or a program can use.
            _ => Self {
                title: "not the API's answer".into(),
                detail:
                    "what answered does not answer as the Tenants API does; is the address right?"
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

    fn own(title: &str, code: &str, detail: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            detail: detail.into(),
            code: code.into(),
            ..Self::default()
        }
    }

    /// As one line of JSON: the API's own bytes, where it was the API that spoke.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.raw {
            Some(raw) if !raw.contains('\n') => raw.clone(),
            // Strings and numbers alone: there is nothing in it that JSON cannot say.
            _ => serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// For people, several lines, the last without its end.
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

/// Keeps line ends, and makes everything else fit for a terminal.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n  ")
}

impl Error {
    /// Of variables that cannot be read.
    #[must_use]
    pub fn of_variables(errors: Vec<VariableError>) -> Self {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self::Configuration(all.join("\n"))
    }

    /// How the process ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Answer { problem, .. } if problem.status.is_some_and(is_callers) => Exit::Refused,
            Self::Refused { .. } => Exit::Refused,
            Self::Usage(_) => Exit::Usage,
            Self::Answer { .. }
            | Self::Unreachable { .. }
            | Self::Strange { .. }
            | Self::Database(_)
            | Self::Machine(_)
            | Self::Output(_) => Exit::Failed,
            Self::Configuration(_) => Exit::Configuration,
        }
    }

    /// It in the API's form.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Answer { problem, .. } => (**problem).clone(),
            Self::Refused { code, detail } => Problem::own("Refused", code, detail),
            Self::Usage(detail) => Problem::own("Usage", "usage", detail),
            Self::Unreachable { detail, request_id } => Problem {
                request_id: Some(request_id.clone()),
                ..Problem::own("Unreachable", "unreachable", detail)
            },
            Self::Strange { detail, request_id } => Problem {
                request_id: Some(request_id.clone()),
                ..Problem::own("Unexpected answer", "unexpected_answer", detail)
            },
            Self::Database(detail) => Problem::own("Database failure", "database", detail),
            Self::Configuration(detail) => Problem::own("Configuration", "configuration", detail),
            Self::Machine(detail) => Problem::own("Machine failure", "machine", detail),
            Self::Output(error) => Problem::own(
                "Output failure",
                "output",
                format!("the output could not be written: {error}"),
            ),
        }
    }

    /// What people are told besides the problem.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        match self {
            Self::Answer { used, .. } => used.as_deref(),
            _ => None,
        }
    }
}

/// Whether a status says that the request was wrong, and not the service.
fn is_callers(status: u16) -> bool {
    (400..500).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::{Error, Exit, Problem};

    const INVALID: &str = r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"2 fields are not as expected","code":"invalid","request_id":"r-1","errors":[{"pointer":"/hostname","detail":"expected a name; got `\u001b[31m`"},{"parameter":"limit","detail":"expected a number"}]}"#;

    fn answer(status: u16, body: &str) -> Error {
        Error::Answer {
            problem: Box::new(Problem::of_answer(status, body.as_bytes(), "cli-9")),
            used: None,
        }
    }

    #[test]
    fn the_apis_details_are_shown_whole_and_without_control_characters() {
        assert_eq!(
            answer(422, INVALID).problem().to_text(),
            "error: Unprocessable Content: 2 fields are not as expected\n  \
             /hostname: expected a name; got `\\u{1b}[31m`\n  \
             limit: expected a number\n  \
             (status 422, code invalid, request id r-1)"
        );
    }

    #[test]
    fn programs_get_the_apis_own_bytes() {
        assert_eq!(answer(422, INVALID).problem().to_json(), INVALID);
    }

    #[test]
    fn an_answer_that_is_no_problem_becomes_one_without_its_page() {
        let problem = answer(502, "<html>bad gateway</html>").problem();
        assert_eq!(
            problem.to_json(),
            r#"{"title":"not the API's answer","status":502,"detail":"what answered does not answer as the Tenants API does; is the address right?","code":"unexpected_answer","request_id":"cli-9"}"#
        );
    }

    #[test]
    fn our_own_errors_have_the_same_form() {
        let error = Error::Configuration("no API key".into());
        assert_eq!(
            error.problem().to_json(),
            r#"{"title":"Configuration","detail":"no API key","code":"configuration"}"#
        );
        assert_eq!(error.problem().to_text(), "error: no API key");
    }

    #[test]
    fn exit_codes_tell_whose_turn_it_is() {
        for (error, exit, code) in [
            (answer(404, "{}"), Exit::Refused, 1),
            (answer(500, "{}"), Exit::Failed, 3),
            (answer(301, ""), Exit::Failed, 3),
            (
                Error::Refused {
                    code: "not_found",
                    detail: String::new(),
                },
                Exit::Refused,
                1,
            ),
            (Error::Usage(String::new()), Exit::Usage, 2),
            (
                Error::Unreachable {
                    detail: String::new(),
                    request_id: String::new(),
                },
                Exit::Failed,
                3,
            ),
            (Error::Database(String::new()), Exit::Failed, 3),
            (Error::Configuration(String::new()), Exit::Configuration, 4),
        ] {
            assert_eq!(error.exit(), exit, "{error:?}");
            assert_eq!(exit.code(), code);
        }
        assert_eq!(Exit::Done.code(), 0);
    }
}
