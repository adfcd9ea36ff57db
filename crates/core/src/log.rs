//! Lines of the log, for a request and for a task. A line never holds a secret, a body or a header's value. Only the line of a request whose
//! address was refused holds the address.

use alloc::string::{String, ToString as _};

use serde::Serialize;

use crate::config::UnknownVariable;
use crate::task::TaskError;
use crate::task::deliver;
use crate::task::stats::{Failed, Report};
pub use crate::value::level::Level;
use crate::value::version::VERSION;
use crate::wire::route::HELD;

/// The cause of a request whose client went away before the end of a long list. Only the host knows.
pub const LEFT: &str = "the client went away before the end of the list";

/// The entry of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The request's id, which the response has, too.
    pub request_id: String,
    /// The method as it came.
    pub method: String,
    /// The path's template below the base path, such as `/tenants/{id}`, or the whole path if it has none (`/_/health`). `None` if no route
    /// was found.
    pub route: Option<&'static str>,
    /// Whether the request came in the legacy dialect.
    pub legacy: bool,
    /// The response's status.
    pub status: u16,
    /// The row id of the key, once its MAC was checked. The key may be deleted or expired all the same.
    pub key_id: Option<i64>,
    /// The client's address, if it was refused: by the list of addresses that may call, or by the list for Traefik. A host may know none.
    pub client_address: Option<String>,
    /// The cause, if the status does not say it all.
    pub cause: Option<String>,
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
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

impl LogEntry {
    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        match (self.status, &self.cause) {
            // The page's status tells visitors about their site, and nothing about the service.
            (_, None) if self.route == Some(HELD) => Level::Info,
            (500.., _) => Level::Error,
            (401 | 403, _) | (_, Some(_)) => Level::Warn,
            _ => Level::Info,
        }
    }

    /// The line: JSON without a line break. `duration_ms` is the host's measure from the request to the response.
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
            version: VERSION,
            client_address: self.client_address.as_deref(),
            cause: self.cause.as_deref(),
        };
        json(&line)
    }
}

/// The entry of one run of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEntry {
    job: &'static str,
    outcome: Result<Report, TaskError>,
}

#[derive(Serialize)]
struct TaskLine<'a> {
    level: Level,
    job: &'static str,
    duration_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<u64>,
    /// Left out if no tenant is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<usize>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failures: &'a [Failed],
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl TaskEntry {
    /// The most failures that a line names. Every run names its own.
    const FAILURES: usize = 20;

    /// The entry of the statistics.
    #[must_use]
    pub fn of_stats(outcome: Result<Report, TaskError>) -> Self {
        Self {
            job: "stats",
            outcome,
        }
    }

    /// The entry of the look-up of hostnames' records. `None` if it has nothing to tell.
    #[must_use]
    pub fn of_proofs(outcome: Result<Report, TaskError>) -> Option<Self> {
        let is_silent = |report: &Report| report.counted == 0 && report.failed.is_empty();
        let is_told = !outcome.as_ref().is_ok_and(is_silent);
        is_told.then_some(Self {
            job: "proofs",
            outcome,
        })
    }

    /// The level: an error if the run did nothing that it should have done.
    #[must_use]
    pub fn level(&self) -> Level {
        match &self.outcome {
            Ok(report) if report.failed.is_empty() => Level::Info,
            Ok(report) if report.counted > 0 => Level::Warn,
            Ok(_) | Err(_) => Level::Error,
        }
    }

    /// The line: JSON without a line break. `duration_ms` is the host's measure of the run.
    #[must_use]
    pub fn line(&self, duration_ms: i64) -> String {
        let failures = match &self.outcome {
            Ok(report) => report.failed.as_slice(),
            Err(_) => &[],
        };
        let line = TaskLine {
            level: self.level(),
            job: self.job,
            duration_ms,
            counted: self.outcome.as_ref().ok().map(|report| report.counted),
            gone: (self.outcome.as_ref().ok())
                .map(|report| report.gone)
                .filter(|gone| *gone > 0),
            failed: self.outcome.as_ref().ok().map(|report| report.failed.len()),
            failures: &failures[..failures.len().min(Self::FAILURES)],
            cause: self.outcome.as_ref().err().map(|error| error.to_string()),
        };
        json(&line)
    }
}

/// The entry of a run of the deliveries.
#[derive(Debug)]
pub struct DeliveryEntry(Result<deliver::Report, TaskError>);

#[derive(Serialize)]
struct DeliveryLine<'a> {
    level: Level,
    job: &'static str,
    duration_ms: i64,
    #[serde(flatten)]
    report: Option<&'a deliver::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl DeliveryEntry {
    /// The entry of a run.
    #[must_use]
    pub fn new(outcome: Result<deliver::Report, TaskError>) -> Self {
        Self(outcome)
    }

    /// Whether the run sent nothing, so that there is nothing to log.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.0
            .as_ref()
            .is_ok_and(|report| report.accepted + report.refused == 0)
    }

    /// The level: a warning if a receiver refused something, an error if the run failed.
    #[must_use]
    pub fn level(&self) -> Level {
        match &self.0 {
            Ok(report) if report.refused == 0 => Level::Info,
            Ok(_) => Level::Warn,
            Err(_) => Level::Error,
        }
    }

    /// The line: JSON without a line break. `duration_ms` is the host's measure of the run.
    #[must_use]
    pub fn line(&self, duration_ms: i64) -> String {
        json(&DeliveryLine {
            level: self.level(),
            job: "deliver",
            duration_ms,
            report: self.0.as_ref().ok(),
            cause: self.0.as_ref().err().map(|error| error.to_string()),
        })
    }
}

/// Encodes a line. Strings and numbers always encode.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_else(|e| e.to_string())
}

#[derive(Serialize)]
struct BindingLine<'a> {
    level: Level,
    binding: &'static str,
    cause: &'a str,
}

fn binding_failed(binding: &'static str, cause: &str) -> String {
    json(&BindingLine {
        level: Level::Warn,
        binding,
        cause,
    })
}

/// The line for a host that cannot write its metrics, a warning: JSON without a line break.
#[must_use]
pub fn metrics_failed(cause: &str) -> String {
    binding_failed("METRICS", cause)
}

/// The line for a host whose rate limiter failed, a warning: JSON without a line break. The request goes on.
#[must_use]
pub fn limiter_failed(cause: &str) -> String {
    binding_failed("RATE_LIMITER", cause)
}

#[derive(Serialize)]
struct AfterwardsLine<'a> {
    level: Level,
    write: &'static str,
    cause: &'a str,
}

/// The line for a host whose database could not write that a key was used ([`Answer::afterwards`](crate::Answer::afterwards)), a warning: JSON
/// without a line break.
#[must_use]
pub fn afterwards_failed(cause: &str) -> String {
    let line = AfterwardsLine {
        level: Level::Warn,
        write: "last_used_at",
        cause,
    };
    json(&line)
}

#[derive(Serialize)]
struct UnknownVariableLine<'a> {
    level: Level,
    variable: &'a str,
    cause: String,
}

/// The line for an unknown variable, a warning at a host's start: JSON without a line break.
#[must_use]
pub fn unknown_variable(variable: &UnknownVariable) -> String {
    let line = UnknownVariableLine {
        level: Level::Warn,
        variable: &variable.name,
        cause: variable.to_string(),
    };
    json(&line)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{
        Level, LogEntry, TaskEntry, afterwards_failed, limiter_failed, metrics_failed,
        unknown_variable,
    };
    use crate::config::unknown;
    use crate::task::TaskError;
    use crate::task::stats::{Failed, Report};
    use crate::value::fault::{ApiError, Internal};

    #[test]
    fn a_tasks_line_names_the_failures() {
        let line = |counted, failed| {
            let report = Report {
                counted,
                failed,
                ..Report::default()
            };
            TaskEntry::of_stats(Ok(report)).line(3)
        };
        let failed = Failed {
            tenant: "a".into(),
            reason: "no such table".into(),
        };
        assert_eq!(
            line(7, vec![]),
            r#"{"level":"info","job":"stats","duration_ms":3,"counted":7,"failed":0}"#
        );
        assert_eq!(
            line(7, vec![failed.clone()]),
            r#"{"level":"warn","job":"stats","duration_ms":3,"counted":7,"failed":1,"failures":[{"tenant":"a","reason":"no such table"}]}"#
        );
        let gone = Report {
            gone: 2,
            ..Report::default()
        };
        assert_eq!(
            TaskEntry::of_stats(Ok(gone)).line(3),
            r#"{"level":"info","job":"stats","duration_ms":3,"counted":0,"gone":2,"failed":0}"#
        );
        let many = line(0, vec![failed; 30]);
        assert!(many.starts_with(
            r#"{"level":"error","job":"stats","duration_ms":3,"counted":0,"failed":30,"#
        ));
        assert_eq!(many.matches("no such table").count(), 20);
        let error = TaskError::from(ApiError::Internal(Internal::Database("broken".into())));
        assert_eq!(
            TaskEntry::of_stats(Err(error)).line(3),
            r#"{"level":"error","job":"stats","duration_ms":3,"cause":"the database failed: broken"}"#
        );
    }

    #[test]
    fn the_line_of_an_unknown_variable_is_a_warning_without_its_value() {
        let [variable] = &unknown(["TENANTS_\"LOG\nLEVEL"])[..] else {
            panic!("one is unknown")
        };
        assert_eq!(
            unknown_variable(variable),
            r#"{"level":"warn","variable":"TENANTS_\"LOG\nLEVEL","cause":"TENANTS_\"LOG\nLEVEL is not a variable of this service, and has no effect; the closest name is TENANTS_LOG_LEVEL"}"#
        );
    }

    #[test]
    fn metrics_that_fail_are_a_warning() {
        assert_eq!(
            metrics_failed("TypeError: \"x\""),
            r#"{"level":"warn","binding":"METRICS","cause":"TypeError: \"x\""}"#
        );
        assert_eq!(
            limiter_failed("x"),
            r#"{"level":"warn","binding":"RATE_LIMITER","cause":"x"}"#
        );
        assert_eq!(
            afterwards_failed("x"),
            r#"{"level":"warn","write":"last_used_at","cause":"x"}"#
        );
    }

    #[test]
    fn a_requests_line_is_json_with_the_cause() {
        let entry = LogEntry {
            request_id: "r-1".into(),
            method: "GET".into(),
            route: Some("/tenants/{id}"),
            legacy: false,
            status: 500,
            key_id: Some(7),
            client_address: None,
            cause: Some("a \"cause\"".into()),
        };
        assert_eq!(
            entry.line(3),
            r#"{"level":"error","method":"GET","route":"/tenants/{id}","status":500,"key_id":7,"duration_ms":3,"request_id":"r-1","version":"0.1.0","cause":"a \"cause\""}"#
        );
        assert_eq!(entry.level(), Level::Error);
        let refused = LogEntry {
            route: None,
            status: 403,
            key_id: None,
            client_address: Some("2001:db8::7".into()),
            cause: None,
            ..entry
        };
        assert_eq!(
            refused.line(0),
            r#"{"level":"warn","method":"GET","route":null,"status":403,"key_id":null,"duration_ms":0,"request_id":"r-1","version":"0.1.0","client_address":"2001:db8::7"}"#
        );
    }
}
