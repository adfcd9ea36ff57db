//! Cloudflare's rate limiter, if `wrangler.toml` binds one as `RATE_LIMITER`. It is asked once for each request whose API key has a genuine MAC,
//! so that nobody can use up the limit of a key that it does not have.

use std::cell::Cell;

use js_sys::Promise;
use tenants_core::log::{Level, limiter_failed};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen_futures::JsFuture;

use crate::log;

// Resolves with why the limiter could not be asked, or with whether it refuses. `undefined` if there is no limiter.
#[wasm_bindgen(inline_js = "
export function limit(env, key) {
  if (env.RATE_LIMITER === undefined) return undefined
  return ask(env.RATE_LIMITER, key)
}
async function ask(limiter, key) {
  try {
    const { success } = await limiter.limit({ key })
    return !success
  } catch (error) {
    return String(error)
  }
}
")]
extern "C" {
    fn limit(env: &JsValue, key: &str) -> Option<Promise>;
}

thread_local! {
    /// Whether to ask. Without a limiter the first request finds out, and the others need no call to JavaScript.
    static IS_BOUND: Cell<bool> = const { Cell::new(true) };
}

/// Whether the key that is counted under this name may send a request. If the limiter fails, it may, and the log says so.
pub(crate) async fn admits(env: &JsValue, limited_as: Option<String>) -> bool {
    let Some(key) = limited_as.filter(|_| IS_BOUND.get()) else {
        return true;
    };
    let Some(asked) = limit(env, &key) else {
        IS_BOUND.set(false);
        return true;
    };
    let cause = match JsFuture::from(asked).await {
        Ok(refuses) if refuses.as_bool() == Some(true) => return false,
        Ok(refuses) if refuses.as_bool() == Some(false) => return true,
        Ok(cause) | Err(cause) => cause,
    };
    let cause = cause.as_string().unwrap_or_default();
    log::write(Level::Warn, &limiter_failed(&cause));
    true
}
