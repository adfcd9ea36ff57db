//! The log's lines, and the clock that they are measured by.

use tenants_core::log::Level;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = log)]
    fn console_log(line: &str);

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(line: &str);
}

/// Writes a line.
pub(crate) fn write(level: Level, line: &str) {
    match level {
        Level::Error => console_error(line),
        Level::Warn | Level::Info => console_log(line),
    }
}

/// The time at which a request or a run began. In Workers the clock stands still between I/O.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    began_ms: f64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            began_ms: js_sys::Date::now(),
        }
    }

    pub(crate) fn since(began_ms: f64) -> Self {
        Self { began_ms }
    }

    /// When it began, in seconds since 1970-01-01 00:00:00 UTC.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number saturates, and the core judges it"
    )]
    pub(crate) fn unix_seconds(self) -> i64 {
        (self.began_ms / 1000.0) as i64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of one request or run"
    )]
    pub(crate) fn elapsed_ms(self) -> i64 {
        (js_sys::Date::now() - self.began_ms) as i64
    }
}
