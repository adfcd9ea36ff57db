//! The errors of the command line, their texts and their exit codes.
//!
//! Every error becomes a [`Problem`]: the API's own if its response has one, otherwise one of ours in the same form. Errors
//! never contain API keys or secrets.

use std::io;

use tenants_core::config::VariableError;

pub use tenants_client::problem::{FieldProblem, Problem};

/// The outcome of a command. `--help` and docs/CLI.md document the exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded: 0.
    Done,
    /// The API refused, the database has no such row, the key is not valid, a row could not be encrypted again, or something needs
    /// attention: 1.
    Refused,
    /// The command line is not valid: 2.
    Usage,
    /// The API or the database could not be reached, or failed, or an import ended early: 3.
    Failed,
    /// A required setting is missing or not valid: 4.
    Configuration,
}

impl Exit {
    /// Returns the process's exit code.
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

/// The reason why a command failed.
#[derive(Debug)]
pub enum Error {
    /// The API's response has an error status.
    Answer {
        /// The response's problem document.
        problem: Box<Problem>,
        /// For a 401: the sources of the API key and the request secret.
        used: Option<String>,
    },
    /// A command of many requests ended early, for this reason. The rest is still to be done.
    Stopped(Box<Self>),
    /// The database has no such row, the key is not valid, a row could not be encrypted again, or something needs attention.
    Refused {
        /// A stable word for programs.
        code: &'static str,
        /// A sentence for people.
        detail: String,
    },
    /// An option's value is not valid.
    Usage(String),
    /// The API could not be reached, or did not respond in time.
    Unreachable {
        /// A sentence for people.
        detail: String,
        /// The id sent with the request. If the Worker received the request, its log has this id.
        request_id: String,
    },
    /// The response is not one that the API would send.
    Strange {
        /// A sentence for people.
        detail: String,
        /// The id sent with the request.
        request_id: String,
    },
    /// wrangler failed, or its output cannot be read.
    Database(String),
    /// A required setting is missing or not valid.
    Configuration(String),
    /// This machine failed, for example its clock or its source of random bytes.
    Machine(String),
    /// The output could not be written.
    Output(io::Error),
}

impl From<tenants_client::error::Error> for Error {
    fn from(error: tenants_client::error::Error) -> Self {
        use tenants_client::error::Error as Of;

        match error {
            Of::Answer { problem, used } => Self::Answer { problem, used },
            Of::Unreachable { detail, request_id } => Self::Unreachable { detail, request_id },
            Of::Strange { detail, request_id } => Self::Strange { detail, request_id },
            Of::Configuration(detail) => Self::Configuration(detail),
            Of::Machine(detail) => Self::Machine(detail),
        }
    }
}

impl Error {
    /// Returns the error for variables whose values are not valid.
    #[must_use]
    pub fn of_variables(errors: Vec<VariableError>) -> Self {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self::Configuration(all.join("\n"))
    }

    /// Returns the outcome that this error leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Answer { problem, .. } if problem.status.is_some_and(is_callers) => Exit::Refused,
            Self::Refused { .. } => Exit::Refused,
            Self::Usage(_) => Exit::Usage,
            Self::Answer { .. }
            | Self::Stopped(_)
            | Self::Unreachable { .. }
            | Self::Strange { .. }
            | Self::Database(_)
            | Self::Machine(_)
            | Self::Output(_) => Exit::Failed,
            Self::Configuration(_) => Exit::Configuration,
        }
    }

    /// Returns the error in the API's form.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Answer { problem, .. } => (**problem).clone(),
            Self::Stopped(reason) => reason.problem(),
            Self::Refused { code, detail } => Problem::own("Refused", code, detail),
            Self::Usage(detail) => Problem::own("Usage", "usage", detail),
            Self::Unreachable { detail, request_id } => Problem {
                request_id: Some(request_id.clone()),
                ..Problem::own("Unreachable", "unreachable", detail)
            },
            Self::Strange { detail, request_id } => Problem {
                request_id: Some(request_id.clone()),
                ..Problem::own("Unexpected response", "unexpected_answer", detail)
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

    /// Adds advice, on a line of its own, to a failure of the database or to a refusal. Any other error stays as it is.
    #[must_use]
    pub fn with_advice(self, advice: &str) -> Self {
        match self {
            Self::Database(detail) => Self::Database(format!("{detail}\n{advice}")),
            Self::Refused { code, detail } => Self::Refused {
                code,
                detail: format!("{detail}\n{advice}"),
            },
            other => other,
        }
    }

    /// Returns a note for people that is shown after the problem.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        match self {
            Self::Answer { used, .. } => used.as_deref(),
            Self::Stopped(reason) => reason.note(),
            _ => None,
        }
    }
}

/// Returns whether a status blames the request rather than the service.
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
    fn the_apis_details_are_shown_in_full_with_control_characters_escaped() {
        assert_eq!(
            answer(422, INVALID).problem().to_text(),
            "error: Unprocessable Content: 2 fields are not as expected\n  \
             /hostname: expected a name; got `\\u{1b}[31m`\n  \
             limit: expected a number\n  \
             (status 422, code invalid, request id r-1)"
        );
    }

    #[test]
    fn json_output_has_the_apis_own_bytes() {
        assert_eq!(answer(422, INVALID).problem().to_json(), INVALID);
    }

    #[test]
    fn an_error_response_without_a_problem_document_becomes_a_problem_without_its_page() {
        let problem = answer(502, "<html>bad gateway</html>").problem();
        assert_eq!(
            problem.to_json(),
            r#"{"title":"not the API's response","status":502,"detail":"the server does not respond as the Tenants API does; is the address right?","code":"unexpected_answer","request_id":"cli-9"}"#
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
    fn each_kind_of_error_has_its_exit_code() {
        for (error, exit, code) in [
            (answer(404, "{}"), Exit::Refused, 1),
            (answer(500, "{}"), Exit::Failed, 3),
            (answer(301, ""), Exit::Failed, 3),
            (Error::Stopped(Box::new(answer(403, "{}"))), Exit::Failed, 3),
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
