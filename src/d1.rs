//! The only code that knows D1: runs a batch, reads its rows.

use js_sys::{Promise, Uint8Array};
use tenants_core::Failure;
use tenants_core::sql::json::rows_from_json;
use tenants_core::sql::{Batch, Rows};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;
use worker::wasm_bindgen_futures::JsFuture;

// One call runs a batch and gives its rows as one text: D1's own calls are two for each statement, and a row's values would be a call
// each. One statement is a transaction by itself; `raw` spares an object for each row. A batch's rows come as objects with their
// columns in order, since no two columns of a statement have one name and none is a number.
#[wasm_bindgen(inline_js = "
export async function run(db, batch) {
  const statements = JSON.parse(batch).map(([text, values]) => db.prepare(text).bind(...values))
  const rows = statements.length === 1
    ? [await statements[0].raw()]
    : (await db.batch(statements)).map(({ results }) => results.map(Object.values))
  const text = JSON.stringify(rows)
  return text.length > 1024 ? encoder.encode(text) : text
}
const encoder = new TextEncoder()
")]
extern "C" {
    fn run(db: &JsValue, batch: &str) -> Promise;
}

#[wasm_bindgen]
extern "C" {
    /// The bindings.
    type Bindings;

    #[wasm_bindgen(method, getter, js_name = DB)]
    fn db(this: &Bindings) -> JsValue;
}

/// The D1 database that `wrangler.toml` binds as `DB`.
pub(crate) struct Database(JsValue);

impl Database {
    pub(crate) fn of(env: &Env) -> Self {
        Self(env.unchecked_ref::<Bindings>().db())
    }

    /// Runs a batch as one transaction. The result is the rows of each statement.
    ///
    /// # Errors
    /// Why it failed, for the log.
    pub(crate) async fn run(&self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        let rows = match JsFuture::from(run(&self.0, &batch.to_json())).await {
            Ok(rows) => match rows.dyn_ref::<Uint8Array>() {
                Some(bytes) => match String::from_utf8(bytes.to_vec()) {
                    Ok(text) => rows_from_json(&text),
                    Err(error) => Err(error.to_string()),
                },
                None => rows_from_json(&rows.as_string().unwrap_or_default()),
            },
            Err(error) => Err(reason(&error)),
        };
        rows.map_err(Failure::new)
    }
}

fn reason(error: &JsValue) -> String {
    let message = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
    String::from(message.unwrap_or_else(|| error.unchecked_ref::<js_sys::Object>().to_string()))
}
