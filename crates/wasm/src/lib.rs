//! The Tenants API for JavaScript hosts: what `js/` of this crate, the npm package `tenants-core`, calls. No rule of the API is here.
//!
//! An exchange is two synchronous calls, as in the Worker: [`begin`], and [`resume`] with the rows of the batch that `begin` asked
//! for, each with one text in JSON for its answer. What waits for rows waits here, under a number; JavaScript holds no pointer
//! into the wasm, so that nothing of an instance that trapped can reach into the next one. [`types`] has what TypeScript is told.

mod error;
pub mod key;
mod rows;
mod types;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::Reflect;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_core::BODY_LIMIT_BYTES;
use tenants_core::config::VARIABLES;
use tenants_core::job::{Job as _, JobError, JobStep};
use tenants_core::sql::{Batch, Statement};
use tenants_core::task::stats::{Refresh, Report};
use tenants_core::{
    Api, Body, Exchange, Headers, Random, RandomUnavailable, Request, Response, Step,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{FieldError, kind_of, thrown};

/// Faster than the standard library's for wasm, and smaller.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// How long a request waits for its rows at the most. One that is not resumed by then never will be.
const WAIT_LIMIT_MS: f64 = 120_000.0;

/// What waits for its rows.
enum Work {
    Request(Box<Exchange>),
    Stats(Box<Refresh>),
}

impl Work {
    fn batch(&self) -> &Batch {
        match self {
            Self::Request(exchange) => exchange.batch(),
            Self::Stats(job) => job.batch(),
        }
    }
}

/// A request or a job that waits for its rows.
struct Waiting {
    api: Rc<Api>,
    work: Work,
    began_ms: f64,
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

/// What the last panic said, once; empty where a trap was no panic.
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

/// Reads a configuration, an object of the variables' names and their values, and answers the number it goes by from then on.
///
/// # Errors
/// `invalid_configuration`, with every variable that does not parse or is not a string.
#[wasm_bindgen(skip_typescript)]
pub fn configure(variables: &JsValue) -> Result<u32, JsValue> {
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
    let api = Api::new(|name| variable(variables, name, &mut errors));
    if let Err(unread) = api.config() {
        errors.extend(unread.iter().map(|e| FieldError {
            field: e.name,
            detail: e.detail.clone(),
        }));
    }
    if !errors.is_empty() {
        errors.sort_by_key(|e| VARIABLES.iter().position(|name| *name == e.field));
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

/// Forgets a configuration.
#[wasm_bindgen(skip_typescript)]
pub fn release(api: u32) {
    APIS.with_borrow_mut(|apis| apis.remove(&api));
}

/// Begins a request under a configuration. `body` is `undefined` where it is longer than [`body_limit_bytes`]; `now_ms` is as
/// `Date.now()` has it. Answers a [`Turn`] in JSON.
///
/// # Panics
/// Where there is no such configuration.
#[wasm_bindgen(skip_typescript)]
#[must_use]
#[expect(
    clippy::too_many_arguments,
    reason = "an object would have to be read property by property"
)]
pub fn begin(
    api: u32,
    method: &str,
    target: &str,
    client_address: Option<String>,
    api_key: Option<String>,
    signature: Option<String>,
    content_type: Option<String>,
    request_id: Option<String>,
    if_none_match: Option<String>,
    body: Option<Vec<u8>>,
    now_ms: f64,
) -> String {
    let api = api_of(api);
    let request = Request {
        method,
        target,
        client_address: client_address.as_deref(),
        headers: Headers {
            api_key: api_key.as_deref(),
            signature: signature.as_deref(),
            content_type: content_type.as_deref(),
            request_id: request_id.as_deref(),
            if_none_match: if_none_match.as_deref(),
        },
        body: body.as_deref().map_or(Body::TooLarge, Body::Bytes),
    };
    let step = api.begin(&request, unix_seconds(now_ms), &mut HostRandom);
    turn(step, api, now_ms, now_ms)
}

/// Goes on with the rows of the batch of a handle, which is then no more: a list of rows for each statement, a row being a list of
/// values. Where the batch failed, `failure` says why. Answers a [`Turn`] in JSON, or `undefined` where no request waits under the
/// handle any more.
#[wasm_bindgen(skip_typescript)]
#[must_use]
pub fn resume(
    handle: u32,
    results: &JsValue,
    failure: Option<String>,
    now_ms: f64,
) -> Option<String> {
    let Waiting {
        api,
        work,
        began_ms,
    } = WAITING.with_borrow_mut(|all| all.remove(&handle))?;
    let rows = failure.map_or_else(|| rows::read(results), Err);
    Some(match work {
        Work::Request(exchange) => turn(exchange.resume(&api, rows), api, began_ms, now_ms),
        Work::Stats(job) => stats(job.resume(rows, &mut HostRandom), api, began_ms, now_ms),
    })
}

/// Begins to count the statistics of the tenants whose turn it is, as the Worker's cron trigger does. Answers a [`Turn`] in JSON.
///
/// # Panics
/// Where there is no such configuration.
#[wasm_bindgen(js_name = beginStats, skip_typescript)]
#[must_use]
pub fn begin_stats(api: u32, now_ms: f64) -> String {
    let api = api_of(api);
    let begun = api.begin_stats(unix_seconds(now_ms)).map(JobStep::Run);
    stats(begun, api, now_ms, now_ms)
}

fn api_of(handle: u32) -> Rc<Api> {
    APIS.with_borrow(|apis| apis.get(&handle).cloned())
        .unwrap_or_else(|| panic!("no configuration goes by {handle}"))
}

fn stats(
    step: Result<JobStep<Refresh, Report>, JobError>,
    api: Rc<Api>,
    began_ms: f64,
    now_ms: f64,
) -> String {
    match step {
        Ok(JobStep::Run(job)) => run(Work::Stats(Box::new(job)), api, began_ms, now_ms),
        Ok(JobStep::Done(report)) => to_json(&Turn::Report {
            report: Counted {
                counted: report.counted,
                gone: report.gone,
                failed: report
                    .failed
                    .into_iter()
                    .map(|f| Uncounted {
                        tenant: f.tenant,
                        reason: f.reason,
                    })
                    .collect(),
            },
        }),
        Err(error) => to_json(&Turn::Failure {
            failure: error.to_string(),
        }),
    }
}

/// What came of counting statistics; TypeScript knows it as `StatisticsReport`.
#[derive(Serialize)]
struct Counted {
    counted: u64,
    gone: u64,
    failed: Vec<Uncounted>,
}

#[derive(Serialize)]
struct Uncounted {
    tenant: String,
    reason: String,
}

/// What is to be done next.
#[derive(Serialize)]
#[serde(untagged)]
enum Turn<'a> {
    Run {
        handle: u32,
        statements: &'a [Statement],
    },
    Send {
        status: u16,
        headers: &'a [(&'static str, std::borrow::Cow<'static, str>)],
        body: &'a str,
        log: &'a RawValue,
    },
    Report {
        report: Counted,
    },
    Failure {
        failure: String,
    },
}

fn turn(step: Step, api: Rc<Api>, began_ms: f64, now_ms: f64) -> String {
    match step {
        Step::Run(exchange) => run(Work::Request(exchange), api, began_ms, now_ms),
        Step::Send(answer) => {
            let Response {
                status,
                headers,
                body,
            } = &answer.response;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "milliseconds of one request"
            )]
            let log = RawValue::from_string(answer.log.line((now_ms - began_ms) as i64));
            to_json(&Turn::Send {
                status: *status,
                headers,
                body,
                log: &log.unwrap_or_default(),
            })
        }
    }
}

fn run(work: Work, api: Rc<Api>, began_ms: f64, now_ms: f64) -> String {
    let handle = next_handle();
    let text = to_json(&Turn::Run {
        handle,
        statements: work.batch().statements(),
    });
    wait(
        handle,
        Waiting {
            api,
            work,
            began_ms,
        },
        now_ms,
    );
    text
}

fn to_json(turn: &Turn<'_>) -> String {
    // Strings and numbers: there is nothing in it that JSON cannot say.
    serde_json::to_string(turn).unwrap_or_default()
}

fn wait(handle: u32, waiting: Waiting, now_ms: f64) {
    WAITING.with_borrow_mut(|all| {
        // Handles count up, so that the first is the oldest (but for once in four billion).
        while let Some(first) = all.first_entry()
            && now_ms - first.get().began_ms > WAIT_LIMIT_MS
        {
            first.remove();
        }
        all.insert(handle, waiting);
    });
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

/// A variable's value. What is neither a string nor absent is an error: a number's text is for its owner to choose.
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
