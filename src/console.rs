//! The console's files, which the Worker serves under `/console` if `TENANTS_CONSOLE` is true (contract §20).
//!
//! `wrangler.toml` binds the folder as `ASSETS`, and has every request run the Worker first. So nobody gets a file that the Worker does not
//! fetch, and each one has the headers below. A file that is not there is a path that no route has, and the core answers it.

use js_sys::Promise;
use tenants_core::Api;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use crate::request::Head;

// Resolves to a Response, or to null if there is no such file. The pages may run this origin's scripts and the wasm that signs, and talk to this origin.
// Nobody may frame them, and they send no forms, since a form needs no script.
#[wasm_bindgen(inline_js = "
const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy': \"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), serial=(), usb=(), xr-spatial-tracking=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}
export async function consoleFile(env, request) {
  if (env.ASSETS === undefined) return null
  const url = new URL(request.url)
  // Only below a slash do the pages' relative addresses lead to the files beside them.
  if (url.pathname === '/console') return new Response(null, { status: 308, headers: { ...HEADERS, location: '/console/' } })
  url.pathname = url.pathname.slice('/console'.length) + (url.pathname.endsWith('/') ? 'index.html' : '')
  const known = request.headers.get('if-none-match')
  const found = await env.ASSETS.fetch(new Request(url, { method: request.method, headers: known === null ? {} : { 'if-none-match': known } }))
  if (found.status !== 200 && found.status !== 304) return null
  const response = new Response(found.body, found)
  for (const name in HEADERS) response.headers.set(name, HEADERS[name])
  return response
}
")]
extern "C" {
    #[wasm_bindgen(js_name = consoleFile)]
    fn console_file(env: &JsValue, request: &web_sys::Request) -> Promise;
}

/// The file that a request asks for. `None` if it asks for none, if there is no such file, or if this client gets none: then the core responds.
///
/// # Errors
/// If the platform cannot read the file.
pub(crate) async fn file(
    request: &web_sys::Request,
    head: &Head,
    api: &Api,
    env: &JsValue,
) -> Result<Option<web_sys::Response>, String> {
    let (method, target, client_address) = head.asked();
    if !is_file(target) || !["GET", "HEAD"].contains(&method) || !api.shows_console(client_address)
    {
        return Ok(None);
    }
    let found = JsFuture::from(console_file(env, request)).await;
    let found = found.map_err(|error| format!("a file of the console: {error:?}"))?;
    Ok(found.dyn_into().ok())
}

/// Whether a path is that of the console, or below it. The platform would take several slashes for one.
fn is_file(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let below = path.strip_prefix("/console");
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') && !rest.contains("//"))
}
