//! The configuration, from the Worker's variables and secrets.

use std::cell::RefCell;
use std::rc::Rc;

use tenants_core::Api;
use tenants_core::config::unknown;
use tenants_core::log::{Level, unknown_variable};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;

use crate::{d1, log};

thread_local! {
    static API: RefCell<Option<Rc<Api>>> = const { RefCell::new(None) };
}

/// Returns the API under the Worker's configuration, which is read once for each instance. If it has errors, the core answers every request
/// with a 503 and logs them.
pub(crate) fn api(env: &Env) -> Rc<Api> {
    API.with_borrow_mut(|api| {
        Rc::clone(api.get_or_insert_with(|| {
            let api = Api::for_host(d1::has_sites(env), |name| variable(env, name));
            if api.logs(Level::Warn) {
                warn_of_unknown(env);
            }
            Rc::new(api)
        }))
    })
}

// The shim's bindings inherit the platform's, so list the names of the whole chain of prototypes.
#[wasm_bindgen(inline_js = "
export function names(env) {
  const all = []
  for (const name in env) all.push(name)
  return all.join('\\n')
}
")]
extern "C" {
    fn names(env: &JsValue) -> String;
}

/// Warns of variables that look like ours and are not.
fn warn_of_unknown(env: &Env) {
    let names = names(env.unchecked_ref());
    for variable in unknown(names.split('\n')) {
        log::write(Level::Warn, &unknown_variable(&variable));
    }
}

/// Returns the value of a variable or a secret. A number, a boolean or an object in `wrangler.toml` becomes its JSON.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env.unchecked_ref::<JsValue>(), &name.into()).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    value
        .as_string()
        .or_else(|| js_sys::JSON::stringify(&value).ok().map(String::from))
}
