//! The databases of tenants' sites: a Durable Object each, which keeps its data in SQLite
//! (<https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/>).
//!
//! The object runs a batch in one transaction, and knows nothing of the API. It has no address: only this Worker reaches it, through the binding.

#![expect(
    missing_docs,
    reason = "the functions that `durable_object` makes have no documentation"
)]

use js_sys::{JsString, Promise};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::d1::message;
use crate::running;

// As in `d1.rs`, a batch crosses as lines, and its rows as one text. The rows of a site are few, and none of them is JSON.
#[wasm_bindgen(inline_js = "
export async function ask(sites, name, batch) {
  const site = sites.get(sites.idFromName(name))
  const response = await site.fetch('https://site', { method: 'POST', body: batch })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}
export function run(storage, batch) {
  const lines = batch.split('\\n')
  const results = []
  storage.transactionSync(() => {
    for (let i = 0; i < lines.length; i += 3) {
      results.push([...storage.sql.exec(lines[i], ...JSON.parse(lines[i + 1])).raw()])
    }
  })
  return results.map((rows) => JSON.stringify(rows)).join()
}
")]
extern "C" {
    fn ask(sites: &JsValue, name: &str, batch: &str) -> Promise;

    #[wasm_bindgen(catch)]
    fn run(storage: &JsValue, batch: &str) -> Result<String, JsValue>;
}

/// Runs a batch, written as lines, on the database of the site with this id. The result is the rows of each statement, a list in JSON without its
/// brackets.
pub(crate) async fn rows(sites: &JsValue, id: &str, batch: &str) -> Result<JsString, String> {
    let rows = JsFuture::from(ask(sites, id, batch)).await;
    rows.map(JsValue::unchecked_into)
        .map_err(|error| message(&error))
}

/// The database of one site.
#[durable_object(fetch)]
#[derive(Debug)]
pub struct TenantDatabase {
    state: State,
    env: Env,
}

impl DurableObject for TenantDatabase {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    /// Runs a batch, the body, in one transaction. The response is the rows, or a 500 with the database's message.
    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let work = async {
            let batch = request.text().await?;
            match run(self.state.as_raw().storage()?.as_ref(), &batch) {
                Ok(rows) => Response::ok(rows),
                Err(error) => Response::error(message(&error), 500),
            }
        };
        running::attributed(self.env.as_ref(), work).await
    }
}
