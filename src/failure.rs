//! The 500 of a request that the core cannot answer: its body broke off, or the wasm trapped.

use tenants_core::log::LogEntry;
use tenants_core::{Random as _, Response};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::web_sys;

use crate::log::{self, Clock};
use crate::random::HostRandom;
use crate::response;

/// Logs why a request cannot be answered, and makes its 500. `src/shim.js` calls this for a request whose wasm trapped.
///
/// # Errors
/// Where the platform makes no such Response.
#[wasm_bindgen(js_name = fail)]
pub fn fail(
    request: &web_sys::Request,
    began_ms: f64,
    cause: String,
) -> Result<web_sys::Response, JsValue> {
    Ok(respond(request, Clock::since(began_ms), cause)?)
}

/// Logs why a request cannot be answered, and makes its 500.
pub(crate) fn respond(
    request: &web_sys::Request,
    clock: Clock,
    cause: String,
) -> worker::Result<web_sys::Response> {
    let method = request.method();
    let given = request.headers().get("x-request-id")?;
    let request_id = given.filter(|id| is_request_id(id)).unwrap_or_else(new_id);
    let body = if method == "HEAD" {
        String::new()
    } else {
        // The id has no character that JSON would escape.
        format!(
            r#"{{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"something failed on this side; the log has it under the request id","code":"internal","request_id":"{request_id}"}}"#
        )
    };
    let entry = LogEntry {
        request_id: request_id.clone(),
        method,
        route: None,
        legacy: false,
        status: 500,
        key_id: None,
        cause: Some(cause),
    };
    log::write(entry.level(), &entry.line(clock.elapsed_ms()));
    response::from_core(&Response {
        status: 500,
        headers: vec![
            ("content-type", "application/problem+json".into()),
            ("x-request-id", request_id.into()),
            ("cache-control", "no-store".into()),
            ("x-content-type-options", "nosniff".into()),
        ],
        body,
    })
}

/// Contract §3: the caller's id is taken over if it is 1 to 64 of `[A-Za-z0-9._-]`.
fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    match HostRandom.fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => "unavailable".into(),
    }
}
