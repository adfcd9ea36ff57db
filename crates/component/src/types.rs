//! The types of both worlds: `wit/types.wit` in Rust, and conversions between them and the core's own types.

use std::borrow::Cow;

use tenants_core::log::Level as CoreLevel;
use tenants_core::sql::{self, Rows};
use tenants_core::task::any::{Order, Report};
use tenants_core::task::keys::{KeyChoice, KeyName};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::scope::Scopes;
use tenants_core::{
    Answer as CoreAnswer, Api, BODY_LIMIT_BYTES, Body as CoreBody, Failure, FetchFailure,
    FetchRequest, FetchedAnswer, Headers, Random, RandomUnavailable, Request as CoreRequest,
    config, task,
};
use zeroize::Zeroizing;

pub(crate) use bindings::tenants::api::types::{
    Answer, ApiKey, ApiKeyRow, BatchError, Body, DeliveryReport, FailedLookUp, Header,
    InvalidVariable, Level, LogEntry, OutboundAnswer, OutboundFailure, OutboundRequest,
    ProofsReport, Request, Response, Statement, StatisticsReport, Task, TaskError, TaskResult,
    UncountedTenant, Value, Variable, VariableError,
};

#[allow(
    unsafe_code,
    reason = "generated; as WebAssembly it has a section of its own"
)]
pub(crate) mod bindings {
    wit_bindgen::generate!({
        // Both worlds' types, once: each world's own bindings are told to take these.
        inline: "package tenants:both; world types { import tenants:api/types@0.3.0; }",
        path: "wit",
        generate_all,
        generate_unused_types: true,
    });
}

/// The outcome of a batch, from the host.
pub(crate) type BatchOutcome = Result<Vec<Vec<Vec<Value>>>, BatchError>;

// `wit/types.wit` has this number, too.
const _: () = assert!(BODY_LIMIT_BYTES == 65_536);

/// Parses a configuration. The error has every wrong variable.
pub(crate) fn configure(
    variables: Vec<Variable>,
    has_sites: bool,
) -> Result<Api, Vec<VariableError>> {
    let mut errors = Vec::new();
    for (at, variable) in variables.iter().enumerate() {
        let name = &variable.name;
        if !config::VARIABLES.contains(&name.as_str()) {
            errors.push(VariableError::Unknown(name.clone()));
        } else if variables[..at].iter().any(|v| v.name == *name) {
            errors.push(VariableError::Repeated(name.clone()));
        }
    }
    let variables: Vec<_> = variables
        .into_iter()
        .map(|v| (v.name, Zeroizing::new(v.value)))
        .collect();
    let read = |name: &'static str| {
        let found = variables.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.to_string())
    };
    let api = Api::for_host(has_sites, read);
    if let Err(invalid) = api.config() {
        errors.extend(invalid.iter().map(|error| {
            VariableError::Invalid(InvalidVariable {
                name: error.name.into(),
                detail: error.detail.clone(),
            })
        }));
    }
    if errors.is_empty() {
        Ok(api)
    } else {
        Err(errors)
    }
}

impl Request {
    /// Passes the request on as the core's type.
    pub(crate) fn with<T>(&self, then: impl FnOnce(&CoreRequest<'_>) -> T) -> T {
        let values = Headers::NAMES.map(|name| self.header(name));
        then(&CoreRequest {
            method: &self.method,
            target: &self.target,
            origin: self.origin.as_deref(),
            client_address: self.client.as_deref(),
            headers: Headers::from_values(values.each_ref().map(Option::as_deref)),
            body: match &self.body {
                Body::Bytes(bytes) => CoreBody::Bytes(bytes),
                Body::TooLarge => CoreBody::TooLarge,
                Body::Incomplete => CoreBody::Incomplete,
            },
        })
    }

    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let lines = self.headers.iter();
        let lines = lines.filter(|header| header.name.eq_ignore_ascii_case(name));
        Headers::joined(name, lines.map(|header| header.value.as_bytes()))
    }
}

impl From<CoreAnswer> for Answer {
    /// The rest of the body is the caller's to take.
    fn from(
        CoreAnswer {
            response,
            log,
            afterwards,
            ..
        }: CoreAnswer,
    ) -> Self {
        let headers = response.headers.into_iter().map(|(name, value)| Header {
            name: name.into(),
            value: value.into_owned(),
        });
        Self {
            response: Response {
                status: response.status,
                headers: headers.collect(),
                body: response.body.into_string(),
            },
            log: LogEntry {
                level: match log.level() {
                    CoreLevel::Info => Level::Info,
                    CoreLevel::Warn => Level::Warn,
                    CoreLevel::Error => Level::Error,
                },
                request_id: log.request_id,
                method: log.method,
                route: log.route.map(Into::into),
                legacy: log.legacy,
                status: log.status,
                key_id: log.key_id,
                version: tenants_core::VERSION.into(),
                client_address: log.client_address,
                cause: log.cause,
            },
            afterwards: afterwards.as_ref().map(batch).unwrap_or_default(),
        }
    }
}

/// A batch, for the host to run.
pub(crate) fn batch(batch: &sql::Batch) -> Vec<Statement> {
    let statements = batch.statements().iter().map(|statement| Statement {
        text: statement.text().into(),
        values: statement.values().iter().map(Value::from).collect(),
    });
    statements.collect()
}

/// The site on whose database a batch runs.
pub(crate) fn site(batch: &sql::Batch) -> Option<String> {
    batch.database().site().map(Into::into)
}

impl From<&sql::Value> for Value {
    fn from(value: &sql::Value) -> Self {
        match value {
            sql::Value::Null => Self::Null,
            sql::Value::Integer(n) => Self::Integer(*n),
            sql::Value::Text(text) => Self::Text(text.clone()),
        }
    }
}

/// The outcome of a batch, for the core.
pub(crate) fn rows(outcome: BatchOutcome) -> Result<Vec<Rows>, Failure> {
    let results = outcome.map_err(|error| match error {
        BatchError::Failed(reason) => Failure::new(reason),
        BatchError::Unavailable(reason) => Failure::unavailable(reason),
    })?;
    let row = |row: Vec<Value>| row.into_iter().map(sql::Value::from).collect();
    let results = results
        .into_iter()
        .map(|rows| rows.into_iter().map(row).collect());
    Ok(results.collect())
}

impl From<&FetchRequest> for OutboundRequest {
    fn from(request: &FetchRequest) -> Self {
        let headers = request.headers.iter().map(|(name, value)| Header {
            name: (*name).into(),
            value: value.clone(),
        });
        Self {
            method: request.method.into(),
            url: request.url.as_str().into(),
            headers: headers.collect(),
            body: request.body.clone(),
            limit_bytes: request.limit_bytes,
            timeout_ms: request.timeout_ms,
        }
    }
}

impl From<OutboundAnswer> for FetchedAnswer {
    fn from(answer: OutboundAnswer) -> Self {
        Self {
            status: answer.status,
            body: answer.body,
            milliseconds: answer.milliseconds,
        }
    }
}

impl From<OutboundFailure> for FetchFailure {
    fn from(failure: OutboundFailure) -> Self {
        Self::new(failure.reason, failure.milliseconds)
    }
}

impl From<Value> for sql::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(n) => Self::Integer(n),
            Value::Text(text) => Self::Text(text),
        }
    }
}

impl TryFrom<Task> for Order {
    type Error = TaskError;

    fn try_from(task: Task) -> Result<Self, TaskError> {
        let key_name = |name: Option<String>| {
            let name = name.map(|name| KeyName::parse(&name)).transpose();
            name.map_err(|_| TaskError::InvalidName)
        };
        Ok(match task {
            Task::CreateApiKey(new) => {
                let expires_at = new.expires_at.map(|at| Timestamp::parse(&at)).transpose();
                Self::CreateKey {
                    name: key_name(new.name)?,
                    expires_at: expires_at.map_err(|_| TaskError::InvalidExpiry)?,
                    scopes: new
                        .scopes
                        .map(|texts| Scopes::parse(texts.iter().map(String::as_str)))
                        .transpose()
                        .map_err(|(_, detail)| TaskError::InvalidScopes(detail))?,
                    is_bound: new.bound,
                }
            }
            Task::ListApiKeys => Self::ListKeys,
            Task::DeleteApiKeys(choice) => {
                Self::DeleteKeys(match (choice.id, key_name(choice.name)?) {
                    (Some(id), None) => KeyChoice::Id(id),
                    (None, Some(name)) => KeyChoice::Name(name),
                    (Some(id), Some(name)) => KeyChoice::Both(id, name),
                    (None, None) => return Err(TaskError::NoChoice),
                })
            }
            Task::CountStatistics => Self::CountStats,
            Task::DeliverWebhooks => Self::Deliver,
            Task::LookUpProofs => Self::LookUpProofs,
            Task::PrepareDatabase => Self::Prepare,
        })
    }
}

impl From<task::TaskError> for TaskError {
    fn from(error: task::TaskError) -> Self {
        match error.missing_variable() {
            Some(variable) => Self::NotConfigured(variable.into()),
            None if error.is_unavailable() => Self::Unavailable(error.to_string()),
            None => Self::Failed(error.to_string()),
        }
    }
}

impl From<Report> for TaskResult {
    fn from(report: Report) -> Self {
        match report {
            Report::KeyCreation(created) => Self::Created(ApiKey {
                id: created.id,
                text: created.key.text().into(),
                signing_secret: created.signing_secret.map(|secret| secret.text().into()),
            }),
            Report::KeyList(rows) => {
                let rows = rows.into_iter().map(|row| ApiKeyRow {
                    id: row.id,
                    name: row.name,
                    scopes: row.scopes,
                    bound: row.bound,
                    created_at: row.created_at,
                    expires_at: row.expires_at,
                    last_used_at: row.last_used_at,
                    deleted_at: row.deleted_at,
                });
                Self::Listed(rows.collect())
            }
            Report::KeyDeletion(ids) => Self::Deleted(ids),
            Report::Preparation(names) => {
                Self::Prepared(names.into_iter().map(Into::into).collect())
            }
            Report::Stats(report) => {
                let failed = report.failed.into_iter().map(|failed| UncountedTenant {
                    tenant: failed.tenant,
                    reason: failed.reason,
                });
                Self::Counted(StatisticsReport {
                    counted: report.counted,
                    gone: report.gone,
                    failed: failed.collect(),
                })
            }
            Report::Delivery(report) => Self::Delivered(DeliveryReport {
                enabled: report.enabled,
                accepted: report.accepted,
                refused: report.refused,
                given_up: report.given_up,
                disabled: report.disabled,
                cut: report.is_cut,
            }),
            Report::Proofs(report) => {
                let failed = report.failed.into_iter().map(|failed| FailedLookUp {
                    tenant: failed.tenant,
                    reason: failed.reason,
                });
                Self::LookedUp(ProofsReport {
                    counted: report.counted,
                    failed: failed.collect(),
                })
            }
        }
    }
}

/// Random bytes from the host. Each byte is used once.
pub(crate) struct GivenRandom {
    bytes: Zeroizing<Vec<u8>>,
    used: usize,
}

impl GivenRandom {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Zeroizing::new(bytes),
            used: 0,
        }
    }
}

impl Random for GivenRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        let end = self.used + out.len();
        let bytes = self.bytes.get(self.used..end).ok_or(RandomUnavailable)?;
        out.copy_from_slice(bytes);
        self.used = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tenants_core::{Random as _, RandomUnavailable};

    use super::{Body, GivenRandom, Header, Request, Variable, VariableError, configure};

    fn variable(name: &str, value: &str) -> Variable {
        Variable {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn everything_that_is_wrong_with_a_configuration_is_said() {
        let errors = configure(
            vec![
                variable("CHEVERETO_SERVICE_PORT", "0"),
                variable("CHEVERETO_SERVICE_PROT", "8080"),
                variable("CHEVERETO_SERVICE_NAME", "php"),
                variable("CHEVERETO_SERVICE_NAME", "php"),
                variable("CHEVERETO_ENCRYPTION_KEY", "c2VjcmV0"),
            ],
            false,
        )
        .unwrap_err();
        let mut names: Vec<_> = errors
            .iter()
            .map(|error| match error {
                VariableError::Unknown(name) => ("unknown", name.as_str()),
                VariableError::Repeated(name) => ("repeated", name.as_str()),
                VariableError::Invalid(invalid) => {
                    assert!(!invalid.detail.contains("c2VjcmV0"), "{invalid:?}");
                    ("invalid", invalid.name.as_str())
                }
            })
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                ("invalid", "CHEVERETO_ENCRYPTION_KEY"),
                ("invalid", "CHEVERETO_SERVICE_PORT"),
                ("repeated", "CHEVERETO_SERVICE_NAME"),
                ("unknown", "CHEVERETO_SERVICE_PROT"),
            ]
        );
        let is_read =
            |name, value, has_sites| configure(vec![variable(name, value)], has_sites).is_ok();
        assert!(is_read("CHEVERETO_SERVICE_PORT", "80", false));
        for has_sites in [false, true] {
            let isolation = "CHEVERETO_TENANTS_DB_ISOLATION_MODE";
            assert_eq!(is_read(isolation, "database", has_sites), has_sites);
        }
    }

    #[test]
    fn a_header_is_found_in_any_case_and_joined_where_it_comes_twice() {
        let header = |name: &str, value: &str| Header {
            name: name.into(),
            value: value.into(),
        };
        let request = Request {
            method: "GET".into(),
            target: "/".into(),
            origin: None,
            client: None,
            headers: vec![
                header("X-API-Key", "one"),
                header("Host", "a"),
                header("x-api-key", "two"),
                header("X-SIGNATURE", "three"),
                header("Cookie", "a=1"),
                header("cookie", "b=2"),
            ],
            body: Body::Bytes(Vec::new()),
        };
        request.with(|asked| {
            assert_eq!(asked.headers.api_key, Some("one, two"));
            assert_eq!(asked.headers.signature, Some("three"));
            assert_eq!(asked.headers.request_id, None);
            assert_eq!(asked.headers.cookie, Some("a=1; b=2"));
        });
    }

    #[test]
    fn no_random_byte_is_given_twice_and_none_made_up() {
        let mut given = GivenRandom::new(vec![1, 2, 3]);
        let mut out = [0; 2];
        assert_eq!(given.fill(&mut out), Ok(()));
        assert_eq!(out, [1, 2]);
        assert_eq!(given.fill(&mut out), Err(RandomUnavailable));
    }
}
