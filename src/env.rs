//! The configuration, from the Worker's variables and secrets.

use std::cell::RefCell;
use std::rc::Rc;

use tenants_core::Api;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;

thread_local! {
    static API: RefCell<Option<Rc<Api>>> = const { RefCell::new(None) };
}

/// The API under the Worker's configuration, which is read once for all requests of an instance. The core answers, and logs, with
/// each request what cannot be parsed.
pub(crate) fn api(env: &Env) -> Rc<Api> {
    API.with_borrow_mut(|api| {
        Rc::clone(api.get_or_insert_with(|| Rc::new(Api::new(|name| variable(env, name)))))
    })
}

/// A variable's or a secret's value. One that `wrangler.toml` has as a number, a boolean or an object is its JSON.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env.unchecked_ref::<JsValue>(), &name.into()).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    value
        .as_string()
        .or_else(|| js_sys::JSON::stringify(&value).ok().map(String::from))
}
