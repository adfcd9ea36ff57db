//! HTTP requests of the service itself, such as those of webhooks. On Cloudflare they cannot reach a private network: the runtime resolves the name,
//! and the core has judged the URL.

use js_sys::{Array, Promise, Uint8Array};
use tenants_core::{FetchFailure, FetchRequest, FetchedAnswer};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;

use crate::d1::message;
use crate::log::Clock;

// Resolves with the status and the first bytes of the body. One abort ends the request and the reading.
#[wasm_bindgen(inline_js = "
export async function send(method, url, headers, body, limit, timeout) {
  const signal = AbortSignal.timeout(timeout)
  const answer = await fetch(url, { method, headers: headers.split('\\n').map((line) => line.split(': ', 2)).filter((pair) => pair.length === 2),
    body: body === '' ? undefined : body, redirect: 'manual', signal })
  const bytes = new Uint8Array(limit)
  let length = 0
  const reader = answer.body?.getReader()
  while (reader) {
    const { done, value } = await reader.read()
    if (done) break
    const part = value.subarray(0, limit - length)
    bytes.set(part, length)
    length += part.length
    if (length === limit) {
      reader.cancel().catch(() => {})
      break
    }
  }
  return [answer.status, bytes.subarray(0, length)]
}
")]
extern "C" {
    fn send(
        method: &str,
        url: &str,
        headers: &str,
        body: &str,
        limit: u32,
        timeout: u32,
    ) -> Promise;
}

/// Sends a request and reads its answer.
///
/// # Errors
/// The runtime's reason why there is no whole answer.
pub(crate) async fn fetch(request: &FetchRequest) -> Result<FetchedAnswer, FetchFailure> {
    let clock = Clock::start();
    let lines = request.headers.iter();
    let headers: Vec<String> = lines
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let sent = send(
        request.method,
        request.url.as_str(),
        &headers.join("\n"),
        &request.body,
        request.limit_bytes,
        request.timeout_ms,
    );
    let answer = JsFuture::from(sent).await;
    let milliseconds = u32::try_from(clock.elapsed_ms()).unwrap_or(0);
    match answer {
        Ok(answer) => Ok(read(&answer, milliseconds)),
        Err(error) => Err(FetchFailure::new(message(&error), milliseconds)),
    }
}

fn read(answer: &JsValue, milliseconds: u32) -> FetchedAnswer {
    let answer: &Array = answer.unchecked_ref();
    let status = answer.get(0).as_f64().unwrap_or(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a status has three digits"
    )]
    FetchedAnswer {
        status: status as u16,
        body: answer.get(1).unchecked_into::<Uint8Array>().to_vec(),
        milliseconds,
    }
}
