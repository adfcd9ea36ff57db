//! Which request runs at the moment, and what the last panic said. `src/shim.js` reads both when the wasm has trapped.
//!
//! A panic ends in a trap, which nothing in Rust can catch: the future that panicked is never polled again, and its promise would
//! wait for ever. The shim answers that request and starts the wasm anew.

use std::cell::RefCell;
use std::future::{self, Future};
use std::pin::pin;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static RUNNING: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what panics say, for the log's line of the request that panicked.
pub(crate) fn keep_panic_messages() {
    std::panic::set_hook(Box::new(|panic| LAST_PANIC.set(panic.to_string())));
}

/// Does `work`, and notes in each of its turns that it is the work that runs. `key` is the bindings that the shim gave it, an object
/// of its own.
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

/// The key of the work that ran when the wasm trapped, once.
#[wasm_bindgen(js_name = takeRunning)]
#[must_use]
pub fn take_running() -> JsValue {
    RUNNING.replace(JsValue::UNDEFINED)
}

/// What the last panic said, once; empty where a trap was no panic.
#[wasm_bindgen(js_name = takePanic)]
#[must_use]
pub fn take_panic() -> String {
    LAST_PANIC.take()
}

/// Has the next call begin in a new instance of the wasm.
#[wasm_bindgen]
pub fn restart() {
    wasm_bindgen::handler::schedule_reinit();
}
