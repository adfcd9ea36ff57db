//! The 500 of a request that the core could not finish: its body broke off, or the wasm trapped.

use tenants_core::Answer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::web_sys;

use crate::log::{self, Clock};
use crate::metrics;
use crate::random::HostRandom;
use crate::response;

/// Logs why a request failed, and makes its 500. `src/shim.js` calls this for a request whose wasm trapped.
///
/// # Errors
/// If the platform refuses to make the Response.
#[wasm_bindgen(js_name = fail)]
pub fn fail(
    request: &web_sys::Request,
    env: &JsValue,
    began_ms: f64,
    cause: String,
) -> Result<web_sys::Response, JsValue> {
    Ok(respond(request, env, Clock::since(began_ms), cause)?)
}

/// Logs why a request failed, and makes its 500.
pub(crate) fn respond(
    request: &web_sys::Request,
    env: &JsValue,
    clock: Clock,
    cause: String,
) -> worker::Result<web_sys::Response> {
    let asked_id = request.headers().get("x-request-id")?;
    let answer = Answer::of_failure(
        &request.method(),
        asked_id.as_deref(),
        cause,
        &mut HostRandom,
    );
    let duration_ms = clock.elapsed_ms();
    log::write(answer.log.level(), &answer.log.line(duration_ms));
    metrics::record(env, &answer.log, duration_ms);
    response::from_core(&answer.response)
}
