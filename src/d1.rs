//! The only code that knows D1: runs a batch, reads its rows. Batches of tenants' sites go to [`sites`].

use js_sys::{JsString, Promise};
use tenants_core::Failure;
use tenants_core::sql::json::{JSON_ROWS, rows_from_json};
use tenants_core::sql::{Batch, Database as Named, Rows};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;
use worker::wasm_bindgen_futures::JsFuture;

use crate::sites;

// One call from wasm runs a batch and returns its rows as one text, a list without its brackets. D1's own interface takes two calls for each
// statement, and reading a row takes one for each value. A batch crosses as lines: a statement's text, its values in JSON, and whether its
// rows are JSON already, so no text is escaped and parsed. A single statement is a transaction by itself, and `raw` makes no object for each
// row. The rows of a batch are objects. Their columns keep their order, since the columns of a statement have different names and no name is
// a number. Rows that are JSON (`JSON_ROWS` of the core) are joined: to escape them costs as much as all else that JavaScript does with a list.
#[wasm_bindgen(inline_js = "
export async function run(db, batch) {
  const lines = batch.split('\\n')
  const statements = []
  for (let i = 0; i < lines.length; i += 3) statements.push(db.prepare(lines[i]).bind(...JSON.parse(lines[i + 1])))
  const rows = statements.length === 1
    ? [await statements[0].raw()]
    : (await db.batch(statements)).map(({ results }) => results.map(Object.values))
  return rows.map((all, i) => lines[3 * i + 2] ? joined(all) : JSON.stringify(all)).join()
}
function joined(all) {
  if (all.length === 0) return '[]'
  // Each row is an array of one text. `+=` and `join` make that text of it. A long text that is made with `+` would be copied once more before
  // it is encoded.
  all[0] = '[' + all[0]
  all[all.length - 1] += ']'
  return all.join()
}
const encoder = new TextEncoder()
export function encodeInto(text, bytes) {
  const { read, written } = encoder.encodeInto(text, bytes)
  return read === text.length ? written : undefined
}
")]
extern "C" {
    fn run(db: &JsValue, batch: &str) -> Promise;

    /// Writes a text in UTF-8. Returns its length in bytes, if there was room for it.
    #[wasm_bindgen(js_name = encodeInto)]
    fn encode_into(text: &JsString, bytes: &mut [u8]) -> Option<usize>;
}

#[wasm_bindgen]
extern "C" {
    /// The bindings of `wrangler.toml`.
    #[derive(Clone)]
    type Bindings;

    #[wasm_bindgen(method, getter, js_name = DB)]
    fn db(this: &Bindings) -> JsValue;

    #[wasm_bindgen(method, getter, js_name = SITES)]
    fn sites(this: &Bindings) -> JsValue;
}

/// Whether `wrangler.toml` binds databases of tenants' sites, as `SITES`.
pub(crate) fn has_sites(env: &Env) -> bool {
    !env.unchecked_ref::<Bindings>().sites().is_undefined()
}

/// Parts of the messages of errors that pass by themselves (<https://developers.cloudflare.com/d1/observability/debug-d1/>, and for the databases of
/// sites <https://developers.cloudflare.com/durable-objects/observability/troubleshooting/>). D1 gives its errors no code. The response depends on them only in its status, 503 or 500; neither says whether the batch was committed.
const TEMPORARY: [&str; 6] = [
    "D1 DB is overloaded",
    "Durable Object is overloaded",
    "Network connection lost",
    "caused object to be reset",
    "reset because its code was updated",
    "transient issue on remote node",
];

/// The longest text, in characters, that wasm-bindgen copies.
const SHORT: usize = 1024;

/// The D1 database that `wrangler.toml` binds as `DB`, and the databases of tenants' sites.
pub(crate) struct Database(Bindings);

impl Database {
    pub(crate) fn of(env: &Env) -> Self {
        Self(env.unchecked_ref::<Bindings>().clone())
    }

    /// Runs a batch as one transaction. The result is the rows of each statement.
    ///
    /// # Errors
    /// The reason, and whether D1 will soon work again.
    pub(crate) async fn run(&self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        self.rows(batch).await.map_err(|reason| {
            if TEMPORARY.iter().any(|known| reason.contains(known)) {
                Failure::unavailable(reason)
            } else {
                Failure::new(reason)
            }
        })
    }

    async fn rows(&self, batch: &Batch) -> Result<Vec<Rows>, String> {
        let lines = lines(batch);
        let rows = match batch.database() {
            Named::Registry => JsFuture::from(run(&self.0.db(), &lines))
                .await
                .map_err(|error| message(&error))?
                .unchecked_into(),
            Named::Site(id) => sites::rows(&self.0.sites(), id, &lines).await?,
        };
        rows_from_json(&list_of(&rows)?)
    }
}

/// Copies a list in JSON, which lacks its brackets.
fn list_of(items: &JsString) -> Result<String, String> {
    let length = items.length() as usize;
    // wasm-bindgen copies a text character by character, which is faster for short texts only.
    if length <= SHORT {
        return Ok(format!("[{}]", String::from(items)));
    }
    // The bytes go straight into the wasm's memory.
    let mut bytes = vec![b'['; 2 + length];
    let mut written = encode_into(items, &mut bytes[1..]);
    if written.is_none() {
        // Not all of it is ASCII. No character of UTF-16 takes more than 3 bytes.
        bytes.resize(2 + 3 * length, 0);
        written = encode_into(items, &mut bytes[1..]);
    }
    bytes.truncate(1 + written.ok_or("rows in JSON: they are longer than UTF-8 can be")?);
    bytes.push(b']');
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// Writes a batch as lines. Neither a statement's text nor JSON has a line break.
fn lines(batch: &Batch) -> String {
    let mut lines = String::with_capacity(2048);
    for statement in batch.statements() {
        if !lines.is_empty() {
            lines.push('\n');
        }
        let are_json = if statement.text().starts_with(JSON_ROWS) {
            "\n1"
        } else {
            "\n"
        };
        for part in [
            statement.text(),
            "\n",
            &statement.values_to_json(),
            are_json,
        ] {
            lines.push_str(part);
        }
    }
    lines
}

/// The message of an error that JavaScript threw.
pub(crate) fn message(error: &JsValue) -> String {
    let message = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
    message
        .unwrap_or_else(|| error.unchecked_ref::<js_sys::Object>().to_string())
        .into()
}
