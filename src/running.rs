//! The request that is running, and the message of the last panic. `src/shim.js` reads both when the wasm has trapped.
//!
//! A panic ends in a trap, which nothing in Rust can catch. The future that panicked is never polled again, and its promise would never
//! settle. The shim answers that request and starts the wasm anew.

use std::cell::{Cell, RefCell};
use std::future::{self, Future};
use std::pin::pin;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static RUNNING: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static HAS_PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the messages of panics, for the log line of the request that panicked.
pub(crate) fn keep_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        HAS_PANICKED.set(true);
        LAST_PANIC.set(panic.to_string());
    }));
}

/// Whether this instance of the wasm has panicked. The shim keeps it for some seconds, so nothing should wait in it for longer.
pub(crate) fn has_panicked() -> bool {
    HAS_PANICKED.get()
}

/// Polls `work`, and records during each poll that it is running. `key` is the object of bindings that the shim gave it.
pub(crate) async fn attributed<T>(key: &JsValue, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    future::poll_fn(|context| {
        RUNNING.set(key.clone());
        let result = work.as_mut().poll(context);
        RUNNING.set(JsValue::UNDEFINED);
        result
    })
    .await
}

/// Returns the key of the work that was running when the wasm trapped, once.
#[wasm_bindgen(js_name = takeRunning)]
#[must_use]
pub fn take_running() -> JsValue {
    RUNNING.replace(JsValue::UNDEFINED)
}

/// Returns the last panic's message, once. It is empty if a trap was not a panic.
#[wasm_bindgen(js_name = takePanic)]
#[must_use]
pub fn take_panic() -> String {
    LAST_PANIC.take()
}

/// Makes the next call start a new instance of the wasm.
#[wasm_bindgen]
pub fn restart() {
    wasm_bindgen::handler::schedule_reinit();
}
