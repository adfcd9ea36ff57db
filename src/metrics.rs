//! One data point a request for Workers Analytics Engine, if `wrangler.toml` binds a dataset as `METRICS`.
//!
//! A point has no text of a caller: the route is its template, and the method one that is known. docs/OPERATING.md describes its columns.

use std::cell::Cell;

use tenants_core::log::{Level, LogEntry};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::log;

// One call writes a point. Returns why it could not be written, or nothing. `undefined` if there is no dataset.
#[wasm_bindgen(inline_js = "
export function point(env, route, method, dialect, status, durationMs, key) {
  if (env.METRICS === undefined) return undefined
  try {
    env.METRICS.writeDataPoint({ blobs: [route, method, dialect], doubles: [status, durationMs], indexes: [key] })
    return ''
  } catch (error) {
    return String(error)
  }
}
")]
extern "C" {
    fn point(
        env: &JsValue,
        route: &str,
        method: &str,
        dialect: &str,
        status: u16,
        duration_ms: f64,
        key: &str,
    ) -> Option<String>;
}

/// The methods that a point names. Any other is `other`, since a caller can make up as many as it likes.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"];

/// The place of a route or a key that a request does not have.
const NONE: &str = "none";

thread_local! {
    /// Whether to try. Without a dataset the first request finds out, and the others need no call to JavaScript.
    static IS_BOUND: Cell<bool> = const { Cell::new(true) };
    /// Whether a failure is still to be logged. One line for each instance is enough.
    static MAY_WARN: Cell<bool> = const { Cell::new(true) };
}

/// Writes a request's point. A failure never fails the request; the log has it once.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of one request")]
pub(crate) fn record(env: &JsValue, entry: &LogEntry, duration_ms: i64) {
    if !IS_BOUND.get() {
        return;
    }
    let method = METHODS.into_iter().find(|known| *known == entry.method);
    let key = entry.key_id.map(|id| id.to_string());
    let written = point(
        env,
        entry.route.unwrap_or(NONE),
        method.unwrap_or("other"),
        if entry.legacy { "legacy" } else { "current" },
        entry.status,
        duration_ms as f64,
        key.as_deref().unwrap_or(NONE),
    );
    match written.as_deref() {
        None => IS_BOUND.set(false),
        Some("") => {}
        Some(cause) => {
            if MAY_WARN.replace(false) {
                log::write(Level::Warn, &tenants_core::log::metrics_failed(cause));
            }
        }
    }
}
