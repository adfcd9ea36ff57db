//! The Tenants API for JavaScript hosts: the half in Rust of the npm package `tenants-core`, whose half in JavaScript is `js/`. No rule of
//! the API is here.
//!
//! A request is two synchronous calls: [`begin`], and [`resume`] with the rows of the batch that `begin` asked for. Each returns one text in
//! JSON. An exchange that waits for its rows waits here, under a number. JavaScript holds no pointer into the wasm, so nothing of an
//! instance that trapped can reach into the next one. [`types`] has the declarations for TypeScript.

mod error;
pub mod key;
mod rows;
mod types;

// The signer's function is exported as it is.
pub use tenants_signer::sign_parts;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Date, Reflect, Uint8Array};
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_core::BODY_LIMIT_BYTES;
use tenants_core::config::{VARIABLES, unknown};
use tenants_core::crypto::secret::Secret;
use tenants_core::log::{self, LogEntry};
use tenants_core::machine::{
    Context, Effect, Failure, FetchFailure, FetchRequest, FetchedAnswer, Machine, Outcome, Step,
};
use tenants_core::sql::{Batch, Statement};
use tenants_core::task::TaskError;
use tenants_core::task::any::{Order, Report, Task};
use tenants_core::task::deliver;
use tenants_core::task::keys::KeyRow;
use tenants_core::task::prepare::Preparation;
use tenants_core::task::stats;
use tenants_core::{
    Answer, Api, Body, Exchange, Headers, Part, Random, RandomUnavailable, Request, Response, Rest,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::error::{FieldError, kind_of, thrown};

/// Faster than the standard library's for wasm, and smaller.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// A request or a task that waits for its rows.
enum Waiting {
    Request {
        exchange: Exchange,
        began_ms: f64,
    },
    /// The rest of a long list, and the entry to log at its end.
    Rest {
        rest: Rest,
        log: LogEntry,
        began_ms: f64,
    },
    Task(Task),
}

thread_local! {
    static NEXT_HANDLE: Cell<u32> = const { Cell::new(0) };
    static APIS: RefCell<BTreeMap<u32, Rc<Api>>> = const { RefCell::new(BTreeMap::new()) };
    static WAITING: RefCell<BTreeMap<u32, Waiting>> = const { RefCell::new(BTreeMap::new()) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

#[wasm_bindgen(start, skip_typescript)]
fn start() {
    std::panic::set_hook(Box::new(|panic| LAST_PANIC.set(panic.to_string())));
}

/// Returns the last panic's message, once. Empty if a trap was not a panic.
#[wasm_bindgen(js_name = takePanic, skip_typescript)]
#[must_use]
pub fn take_panic() -> String {
    LAST_PANIC.take()
}

/// The longest body that [`begin`] takes, in bytes.
#[wasm_bindgen(js_name = bodyLimitBytes, skip_typescript)]
#[must_use]
pub fn body_limit_bytes() -> usize {
    BODY_LIMIT_BYTES
}

/// The names of the headers that [`begin`] takes, one a line.
#[wasm_bindgen(js_name = headerNames, skip_typescript)]
#[must_use]
pub fn header_names() -> String {
    Headers::NAMES.join("\n")
}

/// Parses a configuration, an object of variables and their values. Returns its handle.
///
/// # Errors
/// `invalid_configuration`, with every variable that does not parse or is not a string.
#[wasm_bindgen(skip_typescript)]
pub fn configure(variables: &JsValue, has_site_databases: bool) -> Result<u32, JsValue> {
    if !variables.is_object() {
        return Err(thrown(
            "invalid_argument",
            &format!(
                "config: expected an object of variables and their values; got {}",
                kind_of(variables)
            ),
            Some("config"),
            &[],
        ));
    }
    let mut errors = Vec::new();
    let read = |name| variable(variables, name, &mut errors);
    let api = Api::for_host(has_site_databases, read);
    if let Err(unread) = api.config() {
        errors.extend(unread.iter().map(|e| FieldError {
            field: e.name,
            detail: e.detail.clone(),
        }));
    }
    if !errors.is_empty() {
        let of = |name| errors.iter().filter(move |e| e.field == name).cloned();
        let errors: Vec<FieldError> = VARIABLES.iter().flat_map(|name| of(*name)).collect();
        let all: Vec<String> = errors.iter().map(FieldError::sentence).collect();
        return Err(thrown(
            "invalid_configuration",
            &all.join("; "),
            None,
            &errors,
        ));
    }
    let handle = next_handle();
    APIS.with_borrow_mut(|apis| apis.insert(handle, Rc::new(api)));
    Ok(handle)
}

/// The version that each log entry has: that of all crates.
#[wasm_bindgen(js_name = versionText, skip_typescript)]
#[must_use]
pub fn version_text() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Returns a warning for each name that begins as the API's variables do and that the API does not know.
#[wasm_bindgen(js_name = unknownVariables, skip_typescript)]
#[must_use]
pub fn unknown_variables(names: Vec<String>) -> Vec<String> {
    unknown(names.iter().map(String::as_str))
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Forgets a configuration.
#[wasm_bindgen(skip_typescript)]
pub fn release(api: u32) {
    APIS.with_borrow_mut(|apis| apis.remove(&api));
}

/// Begins a request under a configuration.
///
/// `origin` and `target` are the two parts of the request's URL. `headers` has a line for each of [`header_names`]: empty if the request does not
/// have the header, otherwise `=` and its value. `body` is
/// `undefined` if it is longer than [`body_limit_bytes`], and `null` if it broke off before its end. `now_ms` is a time as `Date.now()` returns it.
/// Returns a [`Turn`] in JSON.
///
/// # Panics
/// If there is no such configuration, or if `headers` has another number of lines.
#[allow(
    clippy::too_many_arguments,
    reason = "JavaScript passes a text sooner than an object of texts"
)]
#[wasm_bindgen(skip_typescript)]
#[must_use]
pub fn begin(
    api: u32,
    method: &str,
    origin: &str,
    target: &str,
    client_address: Option<String>,
    headers: &str,
    body: &JsValue,
    now_ms: f64,
) -> String {
    let began_ms = Date::now();
    let mut lines = headers.split('\n');
    let values = Headers::NAMES.map(|name| {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no line for the header {name}"));
        line.strip_prefix('=')
    });
    assert!(lines.next().is_none(), "more lines than headers");
    let bytes = body.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
    let request = Request {
        method,
        target,
        origin: Some(origin),
        client_address: client_address.as_deref(),
        headers: Headers::from_values(values),
        body: match &bytes {
            Some(bytes) => Body::Bytes(bytes),
            None if body.is_null() => Body::Incomplete,
            None => Body::TooLarge,
        },
    };
    let step = api_of(api).begin(&request, unix_seconds(now_ms), &mut HostRandom);
    answered(step, began_ms)
}

/// Goes on with the rows of a handle's batch, or after its pause, and ends the handle. `results` has a list of rows for each statement; a row is a list of
/// values. If the batch failed, `failure` says why, and `is_unavailable` whether it will soon be over. After a request of the service's own, `results` has the
/// milliseconds that it took, and without a `failure` the answer's status and bytes; it is `undefined` if the host has no network. After a pause that was cut
/// short, it is `null`. Returns a [`Turn`] in JSON, or `undefined` if nothing waits under the handle.
#[wasm_bindgen(skip_typescript)]
#[must_use]
pub fn resume(
    handle: u32,
    results: &JsValue,
    failure: Option<String>,
    is_unavailable: bool,
    now_ms: f64,
) -> Option<String> {
    let waiting = WAITING.with_borrow_mut(|all| all.remove(&handle))?;
    let rows = |failure: Option<String>| match failure {
        Some(reason) if is_unavailable => Err(Failure::unavailable(reason)),
        Some(reason) => Err(Failure::new(reason)),
        None => rows::read(results).map_err(Failure::new),
    };
    let outcome = |effect: Effect<'_>| match effect {
        Effect::Batch(_) => Outcome::Batch(rows(failure.clone())),
        Effect::Wait(_) if results.is_null() => Outcome::CannotWait,
        Effect::Wait(_) => Outcome::Waited,
        Effect::Fetch(_) if results.is_undefined() => Outcome::CannotFetch,
        Effect::Fetch(_) => Outcome::Fetched(fetched(results, failure.clone())),
    };
    let mut random = HostRandom;
    let context = &mut Context {
        unix_seconds: unix_seconds(now_ms),
        random: &mut random,
    };
    Some(match waiting {
        Waiting::Request { exchange, began_ms } => {
            let outcome = outcome(exchange.effect());
            answered(exchange.resume(outcome, context), began_ms)
        }
        Waiting::Rest {
            rest,
            log,
            began_ms,
        } => match rest.part(rows(failure)) {
            Ok(part) => continued(part, log, began_ms),
            Err(failed) => to_json(&Turn::BrokenOff {
                log: raw(line(&failed.log, began_ms)),
            }),
        },
        Waiting::Task(task) => {
            let outcome = outcome(task.effect());
            reported(task.resume(outcome, context))
        }
    })
}

/// Reads the answer to a request of the service's own: `[milliseconds, status, bytes]`.
fn fetched(results: &JsValue, failure: Option<String>) -> Result<FetchedAnswer, FetchFailure> {
    let results: &Array = results.unchecked_ref();
    let number = |at| results.get(at).as_f64().unwrap_or(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number saturates"
    )]
    let (milliseconds, status) = (number(0) as u32, number(1) as u16);
    match failure {
        Some(reason) => Err(FetchFailure::new(reason, milliseconds)),
        None => Ok(FetchedAnswer {
            status,
            body: Uint8Array::new(&results.get(2)).to_vec(),
            milliseconds,
        }),
    }
}

/// Whether the request of the service's own that waits under a handle may connect to an address that its name resolved to.
#[wasm_bindgen(js_name = mayConnectTo, skip_typescript)]
#[must_use]
pub fn may_connect_to(handle: u32, address: &str) -> bool {
    WAITING.with_borrow(|all| {
        let effect = match all.get(&handle) {
            Some(Waiting::Request { exchange, .. }) => exchange.effect(),
            Some(Waiting::Task(task)) => task.effect(),
            Some(Waiting::Rest { .. }) | None => return false,
        };
        match (effect, address.parse()) {
            (Effect::Fetch(request), Ok(address)) => request.url.may_connect_to(address),
            _ => false,
        }
    })
}

/// Forgets a handle whose batch will never come back.
#[wasm_bindgen(skip_typescript)]
pub fn abandon(handle: u32) {
    WAITING.with_borrow_mut(|all| all.remove(&handle));
}

/// Forgets the rest of a list that nobody reads any more. Returns the entry to log, in JSON.
#[wasm_bindgen(js_name = abandonList, skip_typescript)]
#[must_use]
pub fn abandon_list(handle: u32) -> Option<String> {
    match WAITING.with_borrow_mut(|all| all.remove(&handle))? {
        Waiting::Rest {
            log: mut entry,
            began_ms,
            ..
        } => {
            entry.cause = Some(log::LEFT.into());
            Some(line(&entry, began_ms))
        }
        Waiting::Request { .. } | Waiting::Task(_) => None,
    }
}

/// The number of handles that wait for rows.
#[wasm_bindgen(js_name = waitingCount, skip_typescript)]
#[must_use]
pub fn waiting_count() -> usize {
    WAITING.with_borrow(BTreeMap::len)
}

/// Begins to count the statistics of the tenants whose turn it is, as the Worker's cron trigger does. Returns a [`Turn`] in JSON.
///
/// # Panics
/// If there is no such configuration.
#[wasm_bindgen(js_name = beginStats, skip_typescript)]
#[must_use]
pub fn begin_stats(api: u32, now_ms: f64) -> String {
    begin_task(api, Order::CountStats, now_ms)
}

/// Begins to send the events that webhooks wait for, as the Worker's cron trigger does. Returns a [`Turn`] in JSON.
///
/// # Panics
/// If there is no such configuration.
#[wasm_bindgen(js_name = beginDelivery, skip_typescript)]
#[must_use]
pub fn begin_delivery(api: u32, now_ms: f64) -> String {
    begin_task(api, Order::Deliver, now_ms)
}

/// Begins to look up the records that show the owners of hostnames, as the Worker's cron trigger does. Returns a [`Turn`] in JSON.
///
/// # Panics
/// If there is no such configuration.
#[wasm_bindgen(js_name = beginProofs, skip_typescript)]
#[must_use]
pub fn begin_proofs(api: u32, now_ms: f64) -> String {
    begin_task(api, Order::LookUpProofs, now_ms)
}

/// Begins to apply the migrations that a database lacks. Returns a [`Turn`] in JSON.
#[wasm_bindgen(js_name = beginPreparation, skip_typescript)]
#[must_use]
pub fn begin_preparation() -> String {
    reported(Step::Run(Preparation::begin().into()))
}

pub(crate) fn begin_task(api: u32, order: Order, now_ms: f64) -> String {
    let begun = api_of(api).begin_task(order, unix_seconds(now_ms), &mut HostRandom);
    reported(begun.map_or_else(|error| Step::Done(Err(error)), Step::Run))
}

fn api_of(handle: u32) -> Rc<Api> {
    APIS.with_borrow(|apis| apis.get(&handle).cloned())
        .unwrap_or_else(|| panic!("no configuration goes by {handle}"))
}

/// The next step, for JavaScript.
#[derive(Serialize)]
#[serde(untagged)]
enum Turn<'a> {
    Run {
        handle: u32,
        /// The id of the site on whose database they run. Without it, that is the registry.
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<&'a str>,
        statements: &'a [Statement],
    },
    Wait {
        handle: u32,
        /// Milliseconds.
        wait: u32,
    },
    Fetch {
        handle: u32,
        fetch: Sent<'a>,
    },
    Send {
        status: u16,
        headers: &'a [(&'static str, Cow<'static, str>)],
        body: &'a str,
        /// What to log, unless the body goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        log: Option<Box<RawValue>>,
        /// What the next part of the body waits for.
        #[serde(skip_serializing_if = "Option::is_none")]
        rest: Option<Box<RawValue>>,
        /// A batch to run besides: that the key was used in this hour. The response does not depend on it.
        #[serde(skip_serializing_if = "Option::is_none")]
        afterwards: Option<&'a [Statement]>,
    },
    Part {
        part: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        log: Option<Box<RawValue>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rest: Option<Box<RawValue>>,
    },
    BrokenOff {
        log: Box<RawValue>,
    },
    Report {
        report: TaskReport<'a>,
    },
    Failure {
        failure: String,
        /// The variable to configure first.
        missing: Option<&'static str>,
        /// Whether the task may succeed in a moment.
        unavailable: bool,
    },
}

/// A request of the service's own.
#[derive(Serialize)]
struct Sent<'a> {
    method: &'static str,
    url: &'a str,
    headers: &'a [(&'static str, String)],
    body: &'a str,
    /// The most bytes of the answer's body to read.
    limit: u32,
    /// Milliseconds.
    timeout: u32,
}

impl<'a> From<&'a FetchRequest> for Sent<'a> {
    fn from(request: &'a FetchRequest) -> Self {
        Self {
            method: request.method,
            url: request.url.as_str(),
            headers: &request.headers,
            body: &request.body,
            limit: request.limit_bytes,
            timeout: request.timeout_ms,
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum TaskReport<'a> {
    Key {
        id: u64,
        key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signing_secret: Option<&'a str>,
    },
    Keys(&'a [KeyRow]),
    Deleted(&'a [i64]),
    Stats(&'a stats::Report),
    Delivery(&'a deliver::Report),
    Applied(&'a [&'static str]),
}

fn answered(step: Step<Exchange>, began_ms: f64) -> String {
    match step {
        Step::Run(exchange) => wait(exchange, |exchange| Waiting::Request { exchange, began_ms }),
        Step::Done(Answer {
            response,
            log,
            rest,
            afterwards,
        }) => {
            let Response {
                status,
                headers,
                body,
            } = &response;
            let (log, rest) = ended(log, rest, began_ms);
            to_json(&Turn::Send {
                status: *status,
                headers,
                body,
                log,
                rest,
                afterwards: afterwards.as_ref().map(Batch::statements),
            })
        }
    }
}

fn continued(part: Part, log: LogEntry, began_ms: f64) -> String {
    let (log, rest) = ended(log, part.rest, began_ms);
    to_json(&Turn::Part {
        part: &part.text,
        log,
        rest,
    })
}

/// The entry to log after the body's last part, or else the turn that its rest waits for.
fn ended(
    log: LogEntry,
    rest: Option<Rest>,
    began_ms: f64,
) -> (Option<Box<RawValue>>, Option<Box<RawValue>>) {
    match rest {
        None => (Some(raw(line(&log, began_ms))), None),
        Some(rest) => {
            let rest = wait(rest, |rest| Waiting::Rest {
                rest,
                log,
                began_ms,
            });
            (None, Some(raw(rest)))
        }
    }
}

fn line(entry: &LogEntry, began_ms: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of one request"
    )]
    entry.line((Date::now() - began_ms) as i64)
}

/// Takes a text that is JSON.
fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_default()
}

fn reported(step: Step<Task>) -> String {
    let done = match step {
        Step::Run(task) => return wait(task, Waiting::Task),
        Step::Done(done) => done,
    };
    match done {
        Ok(report) => to_json(&Turn::Report {
            report: match &report {
                Report::KeyCreation(created) => TaskReport::Key {
                    id: created.id,
                    key: created.key.text(),
                    signing_secret: created.signing_secret.as_ref().map(Secret::text),
                },
                Report::KeyList(rows) => TaskReport::Keys(rows),
                Report::KeyDeletion(ids) => TaskReport::Deleted(ids),
                Report::Stats(report) | Report::Proofs(report) => TaskReport::Stats(report),
                Report::Delivery(report) => TaskReport::Delivery(report),
                Report::Preparation(names) => TaskReport::Applied(names),
            },
        }),
        Err(error) => to_json(&failure(&error)),
    }
}

fn failure(error: &TaskError) -> Turn<'static> {
    Turn::Failure {
        failure: error.to_string(),
        missing: error.missing_variable(),
        unavailable: error.is_unavailable(),
    }
}

/// Keeps a machine under a new handle.
fn wait<M: Machine>(machine: M, keep: impl FnOnce(M) -> Waiting) -> String {
    let handle = next_handle();
    let text = to_json(&match machine.effect() {
        Effect::Batch(batch) => Turn::Run {
            handle,
            site: batch.database().site(),
            statements: batch.statements(),
        },
        Effect::Wait(wait) => Turn::Wait { handle, wait },
        Effect::Fetch(request) => Turn::Fetch {
            handle,
            fetch: request.into(),
        },
    });
    WAITING.with_borrow_mut(|all| all.insert(handle, keep(machine)));
    text
}

fn to_json(turn: &Turn<'_>) -> String {
    // Strings and numbers always encode.
    serde_json::to_string(turn).unwrap_or_default()
}

fn next_handle() -> u32 {
    let handle = NEXT_HANDLE.get();
    NEXT_HANDLE.set(handle.wrapping_add(1));
    handle
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number saturates, and the core judges it"
)]
fn unix_seconds(now_ms: f64) -> i64 {
    (now_ms / 1000.0).floor() as i64
}

/// A variable's value. A value that is neither a string nor absent is an error: its owner must choose the text of a number.
fn variable(
    variables: &JsValue,
    name: &'static str,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    let value = Reflect::get(variables, &name.into()).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    let text = value.as_string();
    if text.is_none() {
        errors.push(FieldError {
            field: name,
            detail: format!("expected a string; got {}", kind_of(&value)),
        });
    }
    text
}

/// The platform's randomness: `crypto.getRandomValues`.
struct HostRandom;

impl Random for HostRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}
