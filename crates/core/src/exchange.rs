//! One request as one exchange, without I/O.
//!
//! [`Api::begin`] takes a request, the time and a source of randomness, and answers either *send this* or *run this batch and
//! come back*. [`Exchange::resume`] consumes the exchange and takes the batch's rows, or the fact that it failed: again send,
//! or run. A host that calls out of order does not compile.
//!
//! Every route of the registry is one batch: at the edge the database is the far end, and one trip costs more than all the
//! computing. The caller's key is judged in that same batch. A second batch is run where the first one failed and such a
//! failure is nothing extraordinary: it reads what stood against the first ([`Pending::or_explain`]).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use crate::auth::{self, Caller};
use crate::clock::Timestamp;
use crate::config::{Config, VariableError};
use crate::dialect::{Dialect, Legacy};
use crate::http::{BODY_LIMIT_BYTES, Body, Method, Random, Request, Response, request_id};
use crate::job::JobError;
use crate::log::{Level, LogEntry};
use crate::problem::{ApiError, Internal, Unauthorized};
use crate::route::{Operation, Resource};
use crate::site::stats::{Refresh, Which};
use crate::sql::{Answers, Batch, Rows, Sql, key_stands};
use crate::{plan, site, tenant, traefik};

/// The API under one configuration.
#[derive(Debug)]
pub struct Api {
    config: Result<Config, Vec<VariableError>>,
}

/// What the host does next.
#[derive(Debug)]
pub enum Step {
    /// Send this; the exchange is over.
    Send(Box<Answer>),
    /// Run the batch of this, in one transaction, and call [`Exchange::resume`] with what came of it.
    Run(Box<Exchange>),
}

/// An answer, and the line of the log that goes with it.
#[derive(Debug)]
pub struct Answer {
    /// What to send.
    pub response: Response,
    /// What to log.
    pub log: LogEntry,
}

/// A request that waits for its batch. It may do so on one thread and go on in another.
pub struct Exchange {
    pending: Pending,
    trace: Trace,
    /// Why the batch before this one failed.
    failure: Option<String>,
}

/// What to do with the rows, or with the reason why the batch failed.
type Finish =
    Box<dyn FnOnce(&Config, Result<&mut Answers, String>) -> Result<Next, ApiError> + Send>;

/// What comes after a batch.
enum Next {
    /// The answer.
    Send(Response),
    /// Another batch, and why the one before it failed.
    Run(Pending, String),
}

/// A batch, and what to do with its rows.
pub(crate) struct Pending {
    pub(crate) batch: Batch,
    finish: Finish,
}

impl Pending {
    pub(crate) fn new(
        batch: Batch,
        finish: impl FnOnce(&Config, &mut Answers) -> Result<Response, ApiError> + Send + 'static,
    ) -> Self {
        Self {
            batch,
            finish: Box::new(|config, answers| {
                let answers = answers.map_err(failed)?;
                finish(config, answers).map(Next::Send)
            }),
        }
    }

    /// Where the batch fails, `read` is run, and `judge` answers with what stood against it. Where nothing did, the failure was
    /// the database's own: 500.
    pub(crate) fn or_explain(
        self,
        read: Sql,
        judge: impl FnOnce(&mut Answers) -> Result<(), ApiError> + Send + 'static,
    ) -> Self {
        let Self { batch, finish } = self;
        Self {
            batch,
            finish: Box::new(|config, answers| {
                let reason = match answers {
                    Ok(answers) => return finish(config, Ok(answers)),
                    Err(reason) => reason,
                };
                let first = reason.clone();
                let explanation = Self {
                    batch: Batch::read(read),
                    finish: Box::new(|_, answers| match answers {
                        Ok(answers) => judge(answers).and(Err(failed(first))),
                        Err(second) => Err(failed(format!("{first}; and then: {second}"))),
                    }),
                };
                Ok(Next::Run(explanation, reason))
            }),
        }
    }
}

/// What a request's answer carries besides what it says, whatever becomes of it.
#[derive(Debug)]
struct Trace {
    request_id: String,
    method: String,
    route: Option<&'static str>,
    legacy: bool,
    /// What becomes of the answer where a legacy route gives it.
    legacy_end: Option<Legacy>,
    key_id: Option<i64>,
    head: bool,
}

/// A request whose caller is verified, on its way to an operation.
pub(crate) struct Call<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dialect: Dialect,
    pub(crate) resource: Resource<'a>,
    pub(crate) caller: Caller,
    pub(crate) request_id: &'a str,
    pub(crate) query: &'a str,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) random: &'a mut dyn Random,
}

impl Api {
    /// Reads the configuration; see [`Config::read`]. Where a value does not parse, every request is answered 503, and the log
    /// names the variable.
    pub fn new(variable: impl FnMut(&'static str) -> Option<String>) -> Self {
        Self {
            config: Config::read(variable),
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// What of it does not parse: a host that can should refuse to start.
    pub fn config(&self) -> Result<&Config, &[VariableError]> {
        self.config.as_ref().map_err(Vec::as_slice)
    }

    /// Whether a host's log is to have entries of that level: `TENANTS_LOG_LEVEL`. All, where the configuration cannot be read.
    #[must_use]
    pub fn logs(&self, level: Level) -> bool {
        self.config
            .as_ref()
            .map_or(true, |config| level >= config.log_level)
    }

    /// Begins a run of the counting of statistics, as a host's cron trigger has it: of as many tenants as are configured, a few in
    /// one transaction, so that requests need not wait for long.
    ///
    /// # Errors
    /// Where the configuration cannot be read, or the clock is outside of the years it can write.
    pub fn begin_stats(&self, unix_seconds: i64) -> Result<Refresh, JobError> {
        const SLICE: u32 = 8;
        let config = self
            .config
            .as_ref()
            .map_err(|errors| misconfigured(errors))?;
        let now =
            Timestamp::from_unix(unix_seconds).map_err(|_| ApiError::Internal(Internal::Clock))?;
        let which = Which::Oldest(config.stats_per_run);
        Ok(Refresh::begin(config, &now, which, SLICE))
    }

    /// Begins a request. `unix_seconds` is the host's clock: seconds since 1970-01-01 00:00:00 UTC.
    pub fn begin(&self, request: &Request<'_>, unix_seconds: i64, random: &mut dyn Random) -> Step {
        let (id, random_failed) = match request_id(request.headers.request_id, random) {
            Ok(id) => (id, false),
            Err(_) => ("unavailable".to_string(), true),
        };
        let mut trace = Trace {
            request_id: id,
            method: request.method.into(),
            route: None,
            legacy: false,
            legacy_end: None,
            key_id: None,
            head: request.method == "HEAD",
        };
        let begun = if random_failed {
            Err(ApiError::Internal(Internal::Random))
        } else {
            self.plan(request, unix_seconds, random, &mut trace)
        };
        match begun {
            Ok(pending) => Step::Run(Box::new(Exchange {
                pending,
                trace,
                failure: None,
            })),
            Err(error) => trace.send(Err(error), None),
        }
    }

    /// The checks of contract §2 in their order, then the operation's own.
    fn plan(
        &self,
        request: &Request<'_>,
        unix_seconds: i64,
        random: &mut dyn Random,
        trace: &mut Trace,
    ) -> Result<Pending, ApiError> {
        let config = self
            .config
            .as_ref()
            .map_err(|errors| misconfigured(errors))?;
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((request.target, ""));
        let found = Resource::find(path);
        if let Some((Dialect::Legacy, resource)) = found {
            trace.legacy = true;
            // An answer to an address that may not call is a legacy one, too.
            trace.legacy_end = config.verifying_keys.as_ref().map(|_| Legacy::of(resource));
        }
        if !config.allow_list.is_empty()
            && !request
                .client_address
                .is_some_and(|a| config.allow_list.contains(a))
        {
            return Err(ApiError::AddressRefused);
        }
        let (dialect, resource) = found.ok_or(ApiError::NoRoute)?;
        if trace.legacy && trace.legacy_end.is_none() {
            return Err(ApiError::NoRoute);
        }
        trace.route = Some(resource.template());
        let operation = resource
            .operation(dialect, Method::new(request.method))
            .ok_or(ApiError::MethodNotAllowed {
                allow: resource.allow(dialect),
            })?;

        let now =
            || Timestamp::from_unix(unix_seconds).map_err(|_| ApiError::Internal(Internal::Clock));
        if operation == Operation::TraefikConfig {
            return traefik::config(config, request, now()?, |id| trace.key_id = Some(id));
        }
        let key = auth::claim(config, request.headers.api_key)?;
        trace.key_id = Some(key.id());
        let body = match request.body {
            Body::Bytes(body) if body.len() <= BODY_LIMIT_BYTES => body,
            Body::Bytes(_) | Body::TooLarge => return Err(ApiError::BodyTooLarge),
        };
        let signature = request.headers.signature;
        let caller = auth::verify(config, dialect, &key, signature, body, now()?)?;

        let mut call = Call {
            config,
            dialect,
            resource,
            caller,
            request_id: &trace.request_id,
            query,
            content_type: request.headers.content_type,
            body,
            random,
        };
        match operation {
            Operation::VerifyKey => Ok(auth::routes::verify(&call)),
            Operation::ListTenants => tenant::routes::list(&call),
            Operation::CreateTenant => tenant::routes::create(&mut call),
            Operation::GetTenant(id) => Ok(tenant::routes::get(&call, id)),
            Operation::EditTenant(id) => tenant::routes::edit(&mut call, id),
            Operation::DeleteTenant(id) => tenant::routes::delete(&call, id),
            Operation::ListPlans => plan::routes::list(&call),
            Operation::CreatePlan => plan::routes::create(&mut call),
            Operation::GetPlan(id) => Ok(plan::routes::get(&call, id)),
            Operation::EditPlan(id) => plan::routes::edit(&mut call, id),
            Operation::DeletePlan(id) => Ok(plan::routes::delete(&call, id)),
            Operation::InstallTenant(id) => site::routes::install(&mut call, id),
            Operation::ResetUserPassword(id) => site::routes::reset_password(&mut call, id),
            // Answered above, since it needs no signature.
            Operation::TraefikConfig => Err(ApiError::NoRoute),
        }
    }
}

impl Exchange {
    /// What to run.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.pending.batch
    }

    /// Goes on with the rows of each statement of the batch, or with the reason why it failed, which goes to the log and
    /// decides nothing. A batch that failed is our fault or the machine's, 500, unless another one's rows tell otherwise.
    pub fn resume(self, api: &Api, result: Result<Vec<Rows>, String>) -> Step {
        let Self {
            pending: Pending { batch, finish },
            trace,
            failure,
        } = self;
        let mut note = None;
        let next = api
            .config
            .as_ref()
            .map_err(|errors| misconfigured(errors))
            .and_then(|config| {
                let rows = match result {
                    Ok(rows) => rows,
                    Err(reason) => return finish(config, Err(reason)),
                };
                let mut answers = Answers::new(rows, batch.statements().len())?;
                let next = finish(config, Ok(&mut answers));
                note = answers.into_note();
                next
            });
        match next {
            Ok(Next::Run(pending, reason)) => Step::Run(Box::new(Self {
                pending,
                trace,
                failure: Some(reason),
            })),
            Ok(Next::Send(response)) => trace.send(Ok(response), note),
            Err(error) => {
                let note = failure.map(|reason| format!("the first batch failed: {reason}"));
                trace.send(Err(error), note)
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A batch holds what callers sent: its texts alone are shown.
        let statements = self.pending.batch.statements();
        let texts: Vec<&str> = statements.iter().map(|s| s.text()).collect();
        f.debug_struct("Exchange")
            .field("trace", &self.trace)
            .field("statements", &texts)
            .finish_non_exhaustive()
    }
}

impl Trace {
    fn send(self, result: Result<Response, ApiError>, note: Option<String>) -> Step {
        let legacy = self.legacy_end;
        let (mut response, cause) = match result {
            Ok(response) => (response, note),
            Err(error) => {
                let error = match &legacy {
                    Some(legacy) => legacy.error(error),
                    None => error,
                };
                (error.respond(&self.request_id), error.cause().or(note))
            }
        };
        if let Some(legacy) = legacy {
            response = legacy.response(response);
        }
        if self.head {
            response.body = String::new();
        }
        let response = response
            .with("x-request-id", self.request_id.clone())
            .with("cache-control", "no-store")
            .with("x-content-type-options", "nosniff");
        let log = LogEntry {
            request_id: self.request_id,
            method: self.method,
            route: self.route,
            legacy: self.legacy,
            status: response.status,
            key_id: self.key_id,
            cause,
        };
        Step::Send(Box::new(Answer { response, log }))
    }
}

fn misconfigured(errors: &[VariableError]) -> ApiError {
    let all: Vec<String> = errors.iter().map(|e| format!("{e}")).collect();
    ApiError::Misconfigured {
        detail: all.join("; "),
    }
}

fn failed(reason: String) -> ApiError {
    ApiError::Internal(Internal::Database(reason))
}

/// The answer to a caller whose key is unknown, deleted or expired.
pub(crate) fn key_dead() -> ApiError {
    ApiError::Unauthorized(Unauthorized::KeyDead)
}

/// Of an identifier that nothing can have: 404 for whoever holds a key that stands.
pub(crate) fn absent(caller: &Caller, what: &'static str) -> Pending {
    Pending::new(
        Batch::read(whether_key_stands(caller)),
        move |_, answers| {
            Err(if answers.outcome()?.boolean("key_stands")? {
                ApiError::NotFound { what }
            } else {
                key_dead()
            })
        },
    )
}

/// Reads whether the caller's key stands.
pub(crate) fn whether_key_stands(caller: &Caller) -> Sql {
    Sql::of(
        caller,
        concat!(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE ",
            key_stands!(),
            ") AS key_stands"
        ),
    )
}

/// The outcome of a write of something that must be there: its row has `key_stands` and `id_is_there`.
pub(crate) fn changed(answers: &mut Answers, what: &'static str) -> Result<Response, ApiError> {
    let mut row = answers.outcome()?;
    if !row.boolean("key_stands")? {
        Err(key_dead())
    } else if row.boolean("id_is_there")? {
        Ok(Response::empty(204))
    } else {
        Err(ApiError::NotFound { what })
    }
}

/// A host may keep these across an `await` of its own, and share an [`Api`].
const _: fn() = || {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Step>();
    is_sync::<Api>();
};

/// Writes an answer's body.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|e| ApiError::Internal(Internal::Encoding(e.to_string())))
}
