//! The Tenants API as a Cloudflare Worker: Cloudflare's types in, the core's types out. No rule of the API is here.
//!
//! The Worker's main module is `src/worker.js`. It hands each request over in one call ([`begin`]), runs the batch that comes
//! back on D1 (`src/d1.js`), and hands the rows over in another ([`resume`]). Both calls are synchronous: the core awaits
//! nothing, and a future crossing between wasm and JavaScript costs more than everything the core computes
//! (docs/ARCHITECTURE.md has the numbers). The cron trigger's counting of statistics goes the same way ([`begin_stats`]).

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use tenants_core::BODY_LIMIT_BYTES;
use tenants_core::config::Config;
use tenants_core::job::{Job as _, JobError, JobStep};
use tenants_core::log::{JobEntry, Level};
use tenants_core::task::stats::{Refresh, Report};
use tenants_core::{
    Answer, Api, Body, Exchange, Headers, Random, RandomUnavailable, Request, Step, sql,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{Env, event};

/// How long anything waits for its rows at the most. What is not resumed by then never will be: its client went away, and the
/// platform dropped what ran for it.
const WAIT_LIMIT_MS: f64 = 120_000.0;

/// How much of the room for rows is kept from one to the next.
const KEPT_ROOM_BYTES: usize = 256 * 1024;

/// Up to which length a body is told with the rest: as text it is decoded and encoded once more, which costs less than a call does.
const SHORT_BODY_BYTES: usize = 8 * 1024;

/// A request or a job that waits for its rows.
struct Waiting {
    work: Work,
    began_ms: f64,
    waits_since_ms: f64,
}

enum Work {
    Request(Exchange),
    Stats(Refresh),
}

impl Work {
    fn batch(&self) -> &sql::Batch {
        match self {
            Self::Request(exchange) => exchange.batch(),
            Self::Stats(job) => job.batch(),
        }
    }
}

thread_local! {
    static API: RefCell<Option<Rc<Api>>> = const { RefCell::new(None) };
    static WAITING: RefCell<BTreeMap<u32, Waiting>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT_HANDLE: Cell<u32> = const { Cell::new(0) };
    static ROWS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static BODY: Cell<Option<String>> = const { Cell::new(None) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

#[event(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| LAST_PANIC.set(panic.to_string())));
}

/// What the last panic said, once; empty where a trap was no panic.
#[wasm_bindgen(js_name = takePanic)]
#[must_use]
pub fn take_panic() -> String {
    LAST_PANIC.take()
}

/// Reads the configuration from the Worker's variables and secrets, once for all requests of an isolate. What does not parse is
/// answered, and logged, with each request. Answers whether [`begin`] is to be told clients' addresses: reading a header that
/// nothing looks at costs, too.
#[wasm_bindgen]
#[must_use]
pub fn configure(env: &Env) -> bool {
    let api = Api::new(|name| variable(env, name));
    let needs_address = api.config().is_ok_and(Config::needs_client_address);
    API.set(Some(Rc::new(api)));
    needs_address
}

/// The longest body that [`begin`] takes, in bytes.
#[wasm_bindgen(js_name = bodyLimitBytes)]
#[must_use]
pub fn body_limit_bytes() -> usize {
    BODY_LIMIT_BYTES
}

/// Begins a request.
///
/// `head` is eight lines: method, URL, client address, X-API-Key, X-Signature, Content-Type, X-Request-Id, If-None-Match; an
/// empty line where there is none. `body` is `undefined` where it is longer than [`body_limit_bytes`]. `now_ms` is `Date.now()`.
///
/// Answers one text, since each further value that crosses over costs as much as a request's whole computation:
/// - to be sent: `S` and the status, and names and values of the headers that are constants of the core, each after a tab, so that
///   there are few such lines and the host can keep what it made of one; then the request's id; the log's line, empty where none is
///   to be written (`TENANTS_LOG_LEVEL`); names and values of the other headers, a line each; a line of a tab, and the body; where
///   that line is missing, [`take_body`] has the body;
/// - to be run: `R` and the handle for [`resume`]; then each statement's text and its values, `[value, …]` in JSON, a line each.
///
/// # Panics
/// Where `head` is not eight lines, or before [`configure`].
#[wasm_bindgen]
#[must_use]
pub fn begin(head: &str, body: Option<Vec<u8>>, now_ms: f64) -> String {
    let mut lines = head.split('\n');
    let mut line = || lines.next().filter(|l| !l.is_empty());
    let (Some(method), Some(url)) = (line(), line()) else {
        panic!("a request without a method or a URL");
    };
    let client_address = line();
    let headers = Headers {
        api_key: line(),
        signature: line(),
        content_type: line(),
        request_id: line(),
        if_none_match: line(),
    };
    assert!(
        lines.next().is_none(),
        "a request's head of more than eight lines"
    );
    let request = Request {
        method,
        target: target(url),
        client_address,
        headers,
        body: body.as_deref().map_or(Body::TooLarge, Body::Bytes),
    };
    next(
        api().begin(&request, unix_seconds(now_ms), &mut HostRandom),
        now_ms,
        now_ms,
    )
}

/// Makes room for rows of so many bytes, and answers where in the wasm's memory it is. What is written there before anything else
/// happens is the next [`resume`]'s: it costs less than handing over a text.
#[wasm_bindgen(js_name = roomForRows)]
#[must_use]
pub fn room_for_rows(bytes: usize) -> *mut u8 {
    let mut room = ROWS.take();
    if room.len() < bytes {
        room.resize(bytes, 0);
    }
    let start = room.as_mut_ptr();
    ROWS.set(room);
    start
}

/// Goes on with the rows of the batch of a handle, which is then no more: `[[[value, …], …], …]` in JSON, or why it `failed`; the
/// first `rows_bytes` of [`room_for_rows`]. Answers as [`begin`] does.
///
/// # Panics
/// Where no request waits under the handle, or there is less room.
#[wasm_bindgen]
#[must_use]
pub fn resume(handle: u32, rows_bytes: usize, failed: bool, now_ms: f64) -> String {
    let Some(Waiting { work, began_ms, .. }) = WAITING.with_borrow_mut(|all| all.remove(&handle))
    else {
        panic!("nothing waits under the handle {handle}");
    };
    let mut room = ROWS.take();
    let rows = match str::from_utf8(&room[..rows_bytes]) {
        Ok(text) if !failed => sql::json::rows_from_json(text),
        Ok(reason) => Err(reason.into()),
        Err(error) => Err(error.to_string()),
    };
    room.truncate(KEPT_ROOM_BYTES);
    room.shrink_to(KEPT_ROOM_BYTES);
    ROWS.set(room);
    match work {
        Work::Request(exchange) => next(exchange.resume(&api(), rows), began_ms, now_ms),
        Work::Stats(job) => next_stats(job.resume(rows, &mut HostRandom), began_ms, now_ms),
    }
}

/// Begins the counting of statistics; goes on with [`resume`], as a request does. Where it is over, `D` and the log's line, if one is
/// to be written; `E` where the line is of an error.
///
/// # Panics
/// Before [`configure`].
#[wasm_bindgen(js_name = beginStats)]
#[must_use]
pub fn begin_stats(now_ms: f64) -> String {
    let begun = api().begin_stats(unix_seconds(now_ms)).map(JobStep::Run);
    next_stats(begun, now_ms, now_ms)
}

fn next_stats(
    step: Result<JobStep<Refresh, Report>, JobError>,
    began_ms: f64,
    now_ms: f64,
) -> String {
    let outcome = match step {
        Ok(JobStep::Run(job)) => return run(Work::Stats(job), began_ms, now_ms),
        Ok(JobStep::Done(report)) => Ok(report),
        Err(error) => Err(error),
    };
    let entry = JobEntry::of_stats(outcome);
    let kind = match entry.level() {
        level if !api().logs(level) => return "D".into(),
        Level::Error => 'E',
        Level::Warn | Level::Info => 'D',
    };
    format!("{kind}{}", entry.line(duration_ms(began_ms, now_ms)))
}

fn next(step: Step, began_ms: f64, now_ms: f64) -> String {
    match step {
        Step::Run(exchange) => run(Work::Request(*exchange), began_ms, now_ms),
        Step::Send(answer) => text(*answer, duration_ms(began_ms, now_ms)),
    }
}

fn run(work: Work, began_ms: f64, now_ms: f64) -> String {
    let handle = NEXT_HANDLE.get();
    NEXT_HANDLE.set(handle.wrapping_add(1));
    let mut text = String::with_capacity(2048);
    // Writing to a String does not fail.
    let _ = write!(text, "R{handle}");
    for statement in work.batch().statements() {
        // A statement's text has no line break, and JSON writes none.
        for part in ["\n", statement.text(), "\n", &statement.values_to_json()] {
            text.push_str(part);
        }
    }
    WAITING.with_borrow_mut(|all| {
        // Handles count up, so that the first is the oldest (but for once in four billion).
        while let Some(first) = all.first_entry()
            && now_ms - first.get().waits_since_ms > WAIT_LIMIT_MS
        {
            first.remove();
        }
        let waiting = Waiting {
            work,
            began_ms,
            waits_since_ms: now_ms,
        };
        all.insert(handle, waiting);
    });
    text
}

fn unix_seconds(now_ms: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number saturates, and the core judges it"
    )]
    {
        (now_ms / 1000.0) as i64
    }
}

fn duration_ms(began_ms: f64, now_ms: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of one request or run"
    )]
    {
        (now_ms - began_ms) as i64
    }
}

fn text(answer: Answer, duration_ms: i64) -> String {
    let Answer { response, log } = answer;
    let short = response.body.len() <= SHORT_BODY_BYTES;
    let mut text = String::with_capacity(640 + if short { response.body.len() } else { 0 });
    // Writing to a String does not fail.
    let _ = write!(text, "S{}", response.status);
    for (name, value) in &response.headers {
        if let Cow::Borrowed(value) = value {
            for part in ["\t", name, "\t", value] {
                text.push_str(part);
            }
        }
    }
    let line = api().logs(log.level()).then(|| log.line(duration_ms));
    for part in [
        "\n",
        &log.request_id,
        "\n",
        line.as_deref().unwrap_or_default(),
    ] {
        text.push_str(part);
    }
    for (name, value) in &response.headers {
        if let Cow::Owned(value) = value
            && *name != "x-request-id"
        {
            for part in ["\n", name, "\n", value] {
                text.push_str(part);
            }
        }
    }
    if short {
        text.push_str("\n\t\n");
        text.push_str(&response.body);
    } else {
        BODY.set(Some(response.body));
    }
    text
}

/// The body of the answer that was just told, once; `undefined` where it was told with the rest. As bytes: a text would be copied twice
/// more.
#[wasm_bindgen(js_name = takeBody)]
#[must_use]
pub fn take_body() -> Option<Vec<u8>> {
    BODY.take().map(String::into_bytes)
}

fn api() -> Rc<Api> {
    API.with_borrow(Clone::clone)
        .unwrap_or_else(|| panic!("a request before configure"))
}

/// Path and query of an absolute URL.
fn target(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + "://".len());
    url[after_scheme..]
        .find('/')
        .map_or("/", |at| &url[after_scheme + at..])
}

/// A variable's or a secret's value. One that `wrangler.toml` has as a number, a boolean or an object is its JSON.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env.unchecked_ref::<JsValue>(), &name.into()).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    value
        .as_string()
        .or_else(|| js_sys::JSON::stringify(&value).ok().map(String::from))
}

/// The platform's randomness, `crypto.getRandomValues`, a kilobyte at a time: asking costs more than what it gives.
struct HostRandom;

/// Randomness that was asked for and not yet given out, and where that begins.
struct Pool {
    bytes: [u8; 1024],
    at: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 1024], at: 1024 }) };
}

impl Random for HostRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        POOL.with_borrow_mut(|pool| {
            if out.len() > pool.bytes.len() {
                return getrandom::fill(out).map_err(|_| RandomUnavailable);
            }
            if pool.at + out.len() > pool.bytes.len() {
                getrandom::fill(&mut pool.bytes).map_err(|_| RandomUnavailable)?;
                pool.at = 0;
            }
            let given = &mut pool.bytes[pool.at..pool.at + out.len()];
            out.copy_from_slice(given);
            // Given out once, and kept nowhere.
            given.fill(0);
            pool.at += out.len();
            Ok(())
        })
    }
}

/// Faster than the standard library's for wasm, and smaller: rows come as thousands of short texts.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
