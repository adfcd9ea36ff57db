//! The API under one configuration: from a request to an [`Exchange`], and from its last step to an [`Answer`].
//!
//! Every operation of the registry is one batch. At the edge the database is the far end, and one trip costs more than all the computing.
//! The caller's key is judged in that same batch. A second batch runs only if the first one failed in a way that an operation expects:
//! it reads why.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::AtomicI64;

use crate::auth::{self, BoundRules, Caller, KeyHolder, Occasion, ProxyReader, Secrets};
use crate::config::{Config, VariableError};
use crate::crypto::fingerprint::Covered;
use crate::log::LogEntry;
use crate::machine::{Context, Effect, Failure, FetchRequest, Machine, Outcome, Step};
use crate::operation::call::{Call, Console, Fetched, Next, Pending, Tail};
use crate::operation::site::erased;
use crate::operation::traefik::Template;
use crate::operation::{health, held, traefik};
use crate::sql::Results;
use crate::store::idempotency::Idempotency;
use crate::store::key_use::{KeyUses, Use};
use crate::store::sealed::EnvSealer;
use crate::task::TaskError;
use crate::task::any::{Order, Task};
use crate::task::keys::{KeyCreation, KeyDeletion, KeyList};
use crate::task::prepare::Preparation;
use crate::task::proofs::Proofs;
use crate::task::stats::{Refresh, Which};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal, Unauthorized};
use crate::value::level::Level;
use crate::value::random::Random;
use crate::value::run::Run;
use crate::value::scope::Scopes;
use crate::wire::body::RawBody;
use crate::wire::conditional::Condition;
use crate::wire::cookie::Cookie;
use crate::wire::dialect::Dialect;
use crate::wire::http::{Body, Method, Request, Response, request_id};
use crate::wire::idempotency_key;
use crate::wire::legacy::Legacy;
use crate::wire::openapi;
use crate::wire::prefer::Preferences;
use crate::wire::route::{BodyRule, ERASE, HELD, Operation, Path, Scheme};
use crate::wire::trial;

mod admission;
mod answer;
mod conditions;
mod deliver;
mod perform;
mod proof;

pub use admission::Admission;
pub use answer::{Answer, Part, Rest};
use conditions::{Match, Trial};
use perform::perform;
use proof::Proof;

/// The API under one configuration.
#[derive(Debug)]
pub struct Api(Result<Ready, Vec<VariableError>>);

/// A valid configuration, and the parts of responses that follow from it.
#[derive(Debug)]
struct Ready {
    config: Config,
    traefik: Arc<Template>,
    uses: Arc<KeyUses>,
    /// Until when writes start no run of the deliveries.
    quiet_until: AtomicI64,
}

/// The id of a request if the host has no randomness for one.
const UNAVAILABLE: &str = "unavailable";

/// A request that waits for its batch. It owns all it needs, so it may go on in another thread.
pub struct Exchange(Box<Waiting>);

struct Waiting {
    awaited: Awaited,
    envelope: Envelope,
    /// The reason why the batch before this one failed.
    failure: Option<Failure>,
}

/// What a request waits for.
enum Awaited {
    Batch(Pending),
    /// A pause before a batch.
    Pause {
        milliseconds: u32,
        then: Pending,
        /// The response if the host cannot wait.
        otherwise: Response,
    },
    /// The answer to a request of the service's own.
    Fetch(Box<FetchRequest>, Fetched),
}

/// The parts of a response that do not depend on its operation.
#[derive(Debug, Clone)]
struct Envelope {
    request_id: String,
    method: String,
    route: Option<&'static str>,
    is_legacy: bool,
    /// Turns the response into a legacy one, if the legacy dialect is served.
    legacy: Option<Legacy>,
    key_id: Option<i64>,
    /// Tells the key's secret, or the session, from others of the key.
    credential: u64,
    /// The client's address, if it was refused.
    client_address: Option<String>,
    is_head: bool,
    /// When the request came: seconds since 1970.
    unix_seconds: i64,
    /// The use of the key, if the database should know it.
    used: Option<(Arc<KeyUses>, Use)>,
    /// `If-Match` of a read: its response must be one of these versions.
    if_match: Option<Match>,
    trial: Option<Trial>,
    proof: Proof,
}

impl Api {
    /// Reads the configuration (see [`Config::read`]). If a value is invalid, every request is answered with a 503, and the log names the
    /// variable.
    pub fn new(variable: impl FnMut(&'static str) -> Option<String>) -> Self {
        Self::for_host(false, variable)
    }

    /// Like [`Api::new`]. `has_site_databases`: the host has a database for each tenant's site, and runs each batch on its
    /// [`Database`](crate::sql::Database).
    pub fn for_host(
        has_site_databases: bool,
        variable: impl FnMut(&'static str) -> Option<String>,
    ) -> Self {
        let config = Config::read_for_host(has_site_databases, variable);
        Self(config.map(|config| Ready {
            traefik: Arc::new(Template::new(&config.hostnames.root, &config.proxy)),
            uses: Arc::default(),
            quiet_until: AtomicI64::new(0),
            config,
        }))
    }

    /// The configuration.
    ///
    /// # Errors
    /// Every invalid variable. A host that can should refuse to start.
    pub fn config(&self) -> Result<&Config, &[VariableError]> {
        match &self.0 {
            Ok(ready) => Ok(&ready.config),
            Err(errors) => Err(errors),
        }
    }

    /// Whether the log should have entries of this level (`TENANTS_LOG_LEVEL`). An invalid configuration logs everything.
    #[must_use]
    pub fn logs(&self, level: Level) -> bool {
        self.config()
            .map_or(true, |config| level >= config.log_level)
    }

    /// Whether a host that has the console's files may send them to a client of this address: `TENANTS_CONSOLE` is true, and the address
    /// may call. For any other client, the paths of the files are ones that no route has.
    #[must_use]
    pub fn shows_console(&self, client_address: Option<&str>) -> bool {
        self.config().is_ok_and(|config| {
            config.console
                && (config.access.allow_list.is_empty()
                    || client_address.is_some_and(|a| config.access.allow_list.contains(a)))
        })
    }

    /// Begins a run of a host's cron trigger, best each minute. It carries out what is past its time. Every ten minutes it also counts as many tenants
    /// as are configured, a few in one transaction, so that requests do not wait for long.
    ///
    /// # Errors
    /// If the configuration is invalid, or the clock is outside the years 0000 to 9999.
    pub fn begin_stats(&self, unix_seconds: i64) -> Result<Refresh, TaskError> {
        const SLICE: u32 = 8;
        let config = self.config().map_err(misconfigured)?;
        let now = Timestamp::of_clock(unix_seconds)?;
        let which = Which::Due(config.stats_per_run);
        Ok(Refresh::begin(config, &now, which, SLICE))
    }

    /// Begins the look-up of the records that show the owners of hostnames, for a host's cron trigger.
    ///
    /// # Errors
    /// If the configuration is invalid, or the clock is outside the years 0000 to 9999.
    pub fn begin_proofs(&self, unix_seconds: i64) -> Result<Proofs, TaskError> {
        let config = self.config().map_err(misconfigured)?;
        let now = Timestamp::of_clock(unix_seconds)?;
        Ok(Proofs::begin(config, &now))
    }

    /// Begins a task of any kind. Its audit entries, if it writes any, have a new request id and no key.
    ///
    /// # Errors
    /// If the configuration is invalid or lacks a secret that the task needs, if the host has no randomness, or if the clock is outside
    /// the years 0000 to 9999.
    pub fn begin_task(
        &self,
        order: Order,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Result<Task, TaskError> {
        let config = self.config().map_err(misconfigured)?;
        Ok(match order {
            Order::CreateKey {
                name,
                expires_at,
                scopes,
                is_bound,
            } => KeyCreation::begin(config, name, expires_at, unix_seconds, random)?
                .with_scopes(scopes.unwrap_or_else(Scopes::all))
                .bound(is_bound)
                .into(),
            Order::ListKeys => KeyList::all().into(),
            Order::DeleteKeys(choice) => {
                let now = Timestamp::of_clock(unix_seconds)?;
                let run_id =
                    request_id(None, random).map_err(|_| ApiError::Internal(Internal::Random))?;
                KeyDeletion::begin(&choice, &Run::new(run_id), &now).into()
            }
            Order::CountStats => self.begin_stats(unix_seconds)?.into(),
            Order::Deliver => self.begin_delivery(unix_seconds, random)?.into(),
            Order::LookUpProofs => self.begin_proofs(unix_seconds)?.into(),
            Order::Prepare => Preparation::begin().into(),
        })
    }

    /// Begins a request. `unix_seconds` is the host's clock: seconds since 1970-01-01 00:00:00 UTC.
    pub fn begin(
        &self,
        request: &Request<'_>,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Step<Exchange> {
        self.admit(request, unix_seconds, random).admitted()
    }

    /// Like [`Api::begin`], for a host with a rate limiter.
    pub fn admit(
        &self,
        request: &Request<'_>,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Admission {
        let (id, random_failed) = match request_id(request.headers.request_id, random) {
            Ok(id) => (id, false),
            Err(_) => (UNAVAILABLE.to_string(), true),
        };
        let mut envelope = Envelope::new(id, request.method, unix_seconds);
        let begun = if random_failed {
            Err(ApiError::Internal(Internal::Random))
        } else {
            self.dispatch(request, unix_seconds, random, &mut envelope)
        };
        Admission { begun, envelope }
    }

    /// The checks of contract §2 in their order, then the operation's own.
    fn dispatch(
        &self,
        request: &Request<'_>,
        unix_seconds: i64,
        random: &mut dyn Random,
        envelope: &mut Envelope,
    ) -> Result<Next, ApiError> {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((request.target, ""));
        let found = Path::find(path);
        // A problem has the legacy form even if the configuration cannot be read.
        envelope.is_legacy = found.is_some_and(|path| path.dialect == Dialect::Legacy);
        let ready = self.0.as_ref().map_err(|errors| misconfigured(errors))?;
        let config = &ready.config;
        let access = &config.access;
        if let Some(path) = found
            && envelope.is_legacy
        {
            // A caller whose address is refused gets a legacy response, too.
            envelope.legacy = access.verifying_keys.as_ref().map(|_| Legacy::of(path));
        }
        if let Some(path) = found
            && path.template == HELD
        {
            envelope.route = Some(HELD);
            return Ok(held::page(path.id, unix_seconds));
        }
        if !access.allow_list.is_empty()
            && !request
                .client_address
                .is_some_and(|a| access.allow_list.contains(a))
        {
            envelope.refused_address(request.client_address);
            return Err(ApiError::AddressRefused);
        }
        let path = found.ok_or(ApiError::NoRoute)?;
        if envelope.is_legacy && envelope.legacy.is_none()
            || path.is_of_console() && !config.console
        {
            return Err(ApiError::NoRoute);
        }
        envelope.route = Some(path.template);
        let (route, scheme) =
            path.route(Method::new(request.method))
                .ok_or_else(|| ApiError::MethodNotAllowed {
                    allow: path.allow(),
                })?;

        let occasion = || {
            Timestamp::of_clock(unix_seconds).map(|now| Occasion {
                now,
                needs: route.needs,
            })
        };
        let headers = &request.headers;
        let bound = BoundRules {
            key_secret: access.key_secret.as_ref(),
            public_url: access.public_url.as_deref(),
            age_s: access.signature_age_s,
            unix_seconds,
        };
        let if_match = || match headers.if_match {
            Some(value) => Condition::read("If-Match", value).map(Some),
            None => Ok(None),
        };
        let of_read = |condition| Match::new(condition, route.operation.has_etag());
        if scheme == Scheme::Open {
            envelope.if_match = if_match()?.map(of_read);
        }
        match route.operation {
            Operation::Health => return Ok(Next::Run(health::check(), None)),
            Operation::Describe => {
                let response = openapi::respond(headers.if_none_match);
                return Ok(Next::Send(response, None));
            }
            _ => {}
        }
        let body = match request.body {
            Body::Bytes(body) if body.len() <= route.body_limit => Ok(body),
            Body::Bytes(_) | Body::TooLarge => Err(ApiError::BodyTooLarge),
            Body::Incomplete => Err(ApiError::BodyIncomplete),
        };
        if scheme == Scheme::Proxy {
            let reader = auth::proxy_reader(
                config.proxy.development,
                &config.proxy.allow_list,
                bound,
                request,
                body,
                occasion()?,
                |key| envelope.presents(key.id(), key.tag()),
            );
            if let Err(ApiError::NoRoute) = reader {
                envelope.refused_address(request.client_address);
            }
            let reader = reader?;
            if let ProxyReader::Holder(holder) = &reader {
                envelope.used_by(holder, &ready.uses);
            }
            envelope.if_match = if_match()?.map(of_read);
            let known = headers.if_none_match;
            let pending = traefik::config(
                &ready.traefik,
                reader,
                query,
                known,
                (request.origin, unix_seconds),
            )?;
            return Ok(Next::Run(pending, None));
        }
        let is_read = route.method == Method::Get;
        let origin = access.public_url.as_deref().or(request.origin);
        let cookie = Cookie::of(config.proxy.development, origin);
        if scheme == Scheme::Session {
            envelope.proof = Proof::Session;
        }
        let token = match config.console && route.takes_session(path.dialect) {
            true => auth::session::token(headers, cookie)?,
            false => None,
        };
        let (caller, body, session) = if let Some(token) = token {
            envelope.proof = Proof::Session;
            let session = auth::session::claim(access.key_secret.as_ref(), headers, token)?;
            envelope.presents(session.key_id(), session.tag());
            auth::session::check_origin(&session, headers, is_read)?;
            let caller = Caller::of_session(&session, occasion()?);
            (caller, body?, Some(session))
        } else {
            if scheme == Scheme::Session {
                return Err(ApiError::Unauthorized(Unauthorized::SessionMissing));
            }
            let is_sign_in = scheme == Scheme::Request;
            if is_sign_in {
                envelope.proof = Proof::SignIn;
            }
            let key = auth::claim(access.key_secret.as_ref(), headers.api_key)?;
            envelope.presents(key.id(), key.tag());
            if is_sign_in {
                auth::session::check_sign_in(headers)?;
            }
            let body = body?;
            let secrets = Secrets {
                request: access.request_secret.as_ref(),
                verifying: access.verifying_keys.as_ref(),
            };
            // A caller that signs the whole request does so in either dialect.
            let scheme = if headers.sign_the_request() {
                Scheme::Request
            } else {
                scheme
            };
            let caller = auth::verify(scheme, secrets, &key, bound, request, body, occasion()?)?;
            (caller, body, None)
        };
        envelope.used_by(&caller, &ready.uses);
        if route.body == BodyRule::Refused && !body.is_empty() {
            return Err(ApiError::BodyUnexpected);
        }
        let if_match = if_match()?;
        if is_read {
            envelope.if_match = if_match.clone().map(of_read);
        }
        // This route reads, although it is a POST.
        let is_asked = !is_read && route.operation != Operation::VerifyKey && trial::read(query)?;
        let trial = if !is_read && if_match.is_some() && !route.operation.has_etag() {
            Some(Trial::Unmatched)
        } else {
            is_asked.then_some(Trial::Asked)
        };
        let mut call = Call {
            dialect: path.dialect,
            template: path.template,
            id: path.id,
            part: path.part,
            request_id: &envelope.request_id,
            query,
            is_head: envelope.is_head,
            if_none_match: match headers.if_none_match {
                Some(value) if route.reads_if_none_match() => {
                    Some(Condition::read("If-None-Match", value)?)
                }
                _ => None,
            },
            if_match,
            is_trial: trial.is_some(),
            preferences: match headers.prefer {
                Some(value) if trial.is_none() => Preferences::read(value),
                _ => Preferences::default(),
            },
            body: RawBody {
                bytes: body,
                content_type: headers.content_type,
                content_encoding: headers.content_encoding,
            },
            idempotency: match headers.idempotency_key {
                Some(value) if route.operation.remembers() && trial.is_none() => {
                    let covered = Covered {
                        key_id: caller.key_id(),
                        key: "",
                        method: request.method,
                        target: request.target,
                        body,
                    };
                    idempotency(value, config, covered, unix_seconds)?
                }
                Some(value) if route.method != Method::Get && trial.is_none() => {
                    idempotency_key::read(value)?;
                    None
                }
                _ => None,
            },
            env: EnvSealer {
                sealer: config.sealer.as_ref(),
                random,
            },
            caller,
            console: Console {
                cookie,
                signature_input: headers.signature_input,
                token: session,
            },
            key_secret: access.key_secret.as_ref(),
            unix_seconds,
            hostnames: &config.hostnames,
            site: &config.site,
            cells: &config.cells,
            development: config.proxy.development,
            enforced: &config.enforced,
        };
        let pending = perform(route.operation, &mut call)?;
        // Set only now: what `perform` itself refuses, such as a wrong body, is the same in a trial.
        envelope.trial = trial;
        Ok(Next::Run(pending, None))
    }
}

/// Reads the header `Idempotency-Key` of a request that writes.
fn idempotency(
    value: &str,
    config: &Config,
    covered: Covered<'_>,
    unix_seconds: i64,
) -> Result<Option<Idempotency>, ApiError> {
    let key = idempotency_key::read(value)?;
    let covered = Covered {
        key: &key,
        ..covered
    };
    let Some(fingerprints) = &config.fingerprints else {
        return Ok(None);
    };
    let expires_at = unix_seconds.saturating_add(i64::from(config.idempotency_hours) * 60 * 60);
    let expires_at = Timestamp::of_clock(expires_at)?;
    Ok(Some(Idempotency::new(fingerprints, covered, expires_at)))
}

impl Exchange {
    fn new(pending: Pending, envelope: Envelope, failure: Option<Failure>) -> Self {
        let pending = if envelope.proof == Proof::Session {
            pending.of_session()
        } else {
            pending
        };
        Self::awaiting(Awaited::Batch(pending), envelope, failure)
    }

    fn awaiting(awaited: Awaited, envelope: Envelope, failure: Option<Failure>) -> Self {
        Self(Box::new(Waiting {
            awaited,
            envelope,
            failure,
        }))
    }
}

impl Exchange {
    /// The step that follows from an operation's. `failure` is that of the batch before this one.
    fn go_on(
        next: Result<Next, ApiError>,
        envelope: Envelope,
        failure: Option<Failure>,
    ) -> Step<Self> {
        let next = match &envelope.if_match {
            None => next,
            Some(wanted) => next.and_then(|next| wanted.compared(next)),
        };
        let next = match envelope.trial {
            None => next,
            Some(trial) => trial.outcome(next),
        };
        let next = match next {
            Ok(Next::Send(response, note)) if envelope.route == Some(ERASE) => {
                Ok(Next::Send(erased(response), note))
            }
            next => next,
        };
        match next {
            Ok(next) => {
                // The note is the first batch's failure too.
                let next = match next {
                    Next::Send(response, note) => {
                        let notes = note.into_iter().chain(failed_first(failure));
                        let notes: Vec<String> = notes.collect();
                        Next::Send(response, (!notes.is_empty()).then(|| notes.join("; ")))
                    }
                    next => next,
                };
                envelope.step(next)
            }
            Err(error) => Step::Done(envelope.refuse(error, failed_first(failure))),
        }
    }
}

impl Machine for Exchange {
    type Output = Answer;

    fn effect(&self) -> Effect<'_> {
        match &self.0.awaited {
            Awaited::Batch(pending) => Effect::Batch(pending.batch()),
            Awaited::Pause { milliseconds, .. } => Effect::Wait(*milliseconds),
            Awaited::Fetch(request, _) => Effect::Fetch(request),
        }
    }

    fn resume(self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self> {
        let Waiting {
            awaited,
            envelope,
            failure,
        } = *self.0;
        let (pending, outcome) = match (outcome, awaited) {
            (Outcome::Batch(outcome), Awaited::Batch(pending)) => (pending, outcome),
            (Outcome::Waited, Awaited::Pause { then, .. }) => {
                return Step::Run(Self::new(then, envelope, failure));
            }
            (Outcome::CannotWait, Awaited::Pause { otherwise, .. }) => {
                return Step::Done(envelope.send(otherwise, None));
            }
            (Outcome::Fetched(answer), Awaited::Fetch(_, go_on)) => {
                return Self::go_on(go_on(Some(answer), context), envelope, failure);
            }
            (Outcome::CannotFetch, Awaited::Fetch(_, go_on)) => {
                return Self::go_on(go_on(None, context), envelope, failure);
            }
            _ => {
                let cause = "the host did not do what the request asked for";
                let error = ApiError::Internal(Internal::Host(cause.into()));
                return Step::Done(envelope.refuse(error, None));
            }
        };
        let expected = pending.batch().statements().len();
        let is_looking = pending.is_looking();
        let next = match outcome.map(|rows| Results::new(rows, expected)) {
            Ok(Ok(mut results)) => pending.finish(Ok(&mut results), context),
            Ok(Err(error)) => Err(error),
            Err(reason) => pending.finish(Err(reason), context),
        };
        // The log tells of the first failure, however many batches follow.
        let next = match (next, &failure) {
            (Ok(Next::Run(pending, None)), Some(_)) if !is_looking => {
                Ok(Next::Run(pending, failure.clone()))
            }
            (next, _) => next,
        };
        Self::go_on(next, envelope, failure)
    }
}

/// The note on a request whose first batch failed.
fn failed_first(failure: Option<Failure>) -> Option<String> {
    failure.map(|f| format!("the first batch failed: {}", f.reason))
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A batch holds values that callers sent, so only its texts are shown.
        let pending = match &self.0.awaited {
            Awaited::Batch(pending) | Awaited::Pause { then: pending, .. } => Some(pending),
            Awaited::Fetch(..) => None,
        };
        let statements = pending.map_or(&[][..], |pending| pending.batch().statements());
        let texts: Vec<&str> = statements.iter().map(|s| s.text()).collect();
        f.debug_struct("Exchange")
            .field("envelope", &self.0.envelope)
            .field("statements", &texts)
            .finish_non_exhaustive()
    }
}

impl Envelope {
    fn new(request_id: String, method: &str, unix_seconds: i64) -> Self {
        Self {
            request_id,
            method: method.into(),
            route: None,
            is_legacy: false,
            legacy: None,
            key_id: None,
            credential: 0,
            client_address: None,
            is_head: method == "HEAD",
            unix_seconds,
            used: None,
            if_match: None,
            trial: None,
            proof: Proof::Key,
        }
    }

    /// Notes the key that a request presents. Its MAC is genuine, but it may have been rotated, deleted or have expired.
    fn presents(&mut self, key_id: i64, credential: u64) {
        (self.key_id, self.credential) = (Some(key_id), credential);
    }

    /// Notes that the holder of a key calls.
    fn used_by(&mut self, holder: &KeyHolder, uses: &Arc<KeyUses>) {
        self.used = uses
            .of(holder, self.unix_seconds)
            .map(|used| (Arc::clone(uses), used));
    }

    /// Notes the address that was refused, for the log. A host passes on its platform's text, so a long one is cut.
    fn refused_address(&mut self, address: Option<&str>) {
        const SHOWN: usize = 64;
        self.client_address = address.map(|text| text.chars().take(SHOWN).collect());
    }

    fn refuse(self, error: ApiError, note: Option<String>) -> Answer {
        let error = match &self.legacy {
            Some(legacy) => legacy.error(error),
            None => self.proof.error(error),
        };
        let mut response = error.respond(&self.request_id, self.is_legacy);
        if response.status == 401
            && let Ok(now) = Timestamp::from_unix(self.unix_seconds)
        {
            // A caller that signs sees whether its clock is wrong.
            response = response.with("date", now.to_http_date());
        }
        self.send(response, error.cause().or(note))
    }

    fn send(self, mut response: Response, cause: Option<String>) -> Answer {
        if let Some(legacy) = self.legacy {
            response = legacy.response(response);
        }
        if self.is_head {
            response.body = String::new().into();
        }
        let response = response
            .with("x-request-id", self.request_id.clone())
            .with("cache-control", "no-store")
            .with("x-content-type-options", "nosniff");
        // A key that the database refuses was not used, and a database that failed is left alone.
        let was_used = response.status != 401 && response.status < 500;
        let afterwards = self
            .used
            .filter(|_| was_used)
            .and_then(|(uses, used)| uses.take(&used));
        let log = LogEntry {
            request_id: self.request_id,
            method: self.method,
            route: self.route,
            legacy: self.is_legacy,
            status: response.status,
            key_id: self.key_id,
            client_address: self.client_address,
            cause,
        };
        Answer {
            response,
            log,
            rest: None,
            afterwards,
        }
    }

    fn step(self, next: Next) -> Step<Exchange> {
        match next {
            Next::Run(pending, failure) => Step::Run(Exchange::new(pending, self, failure)),
            Next::Send(response, note) => Step::Done(self.send(response, note)),
            Next::Open(response, tail) => Step::Done(self.open(response, tail)),
            Next::Wait {
                milliseconds,
                then,
                otherwise,
            } => {
                let pause = Awaited::Pause {
                    milliseconds,
                    then,
                    otherwise,
                };
                Step::Run(Exchange::awaiting(pause, self, None))
            }
            Next::Fetch(request, go_on) => {
                let fetch = Awaited::Fetch(request, go_on);
                Step::Run(Exchange::awaiting(fetch, self, None))
            }
        }
    }

    fn open(self, response: Response, tail: Tail) -> Answer {
        Answer {
            rest: Some(Rest::new(tail, self.clone())),
            ..self.send(response, None)
        }
    }
}

fn misconfigured(errors: &[VariableError]) -> ApiError {
    let all: Vec<String> = errors.iter().map(|e| format!("{e}")).collect();
    ApiError::Misconfigured {
        detail: all.join("; "),
    }
}

/// A host may keep an exchange across an `await`, and share an [`Api`] between threads.
const _: fn() = || {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Step<Exchange>>();
    is_sync::<Api>();
};
