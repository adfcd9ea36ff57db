//! Turns the core's responses into the platform's.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use js_sys::Uint8Array;
use tenants_core::{Response, ResponseBody};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::web_sys::{self, Headers, ResponseInit};

#[wasm_bindgen(inline_js = "
export function withText(template, headers, requestId, etag, body) {
  headers.set('x-request-id', requestId)
  if (etag) headers.set('etag', etag)
  return new Response(body || null, template)
}
export function withBytes(template, headers, requestId, etag, body) {
  headers.set('x-request-id', requestId)
  if (etag) headers.set('etag', etag)
  // `body` is a view of the wasm's memory, so copy it.
  return new Response(body.slice(), template)
}
export function withKept(template, headers, requestId, etag, body) {
  headers.set('x-request-id', requestId)
  if (etag) headers.set('etag', etag)
  if (body.length <= WHOLE_BYTES) return new Response(body, template)
  const { readable, writable } = new FixedLengthStream(body.length)
  send(writable.getWriter(), body)
  return new Response(readable, template)
}
// The runtime copies a body, and keeps the copy until its garbage is collected. So a long one goes out piece by piece.
const WHOLE_BYTES = 4 * 1024 * 1024
const PIECE_BYTES = 256 * 1024
async function send(writer, body) {
  try {
    for (let at = 0; at < body.length; at += PIECE_BYTES) await writer.write(body.subarray(at, at + PIECE_BYTES))
    await writer.close()
  } catch {
    // The client has gone.
  }
}
")]
extern "C" {
    #[wasm_bindgen(js_name = withText)]
    fn with_text(
        template: &web_sys::Response,
        headers: &Headers,
        request_id: &str,
        etag: &str,
        body: &str,
    ) -> web_sys::Response;

    #[wasm_bindgen(js_name = withBytes)]
    fn with_bytes(
        template: &web_sys::Response,
        headers: &Headers,
        request_id: &str,
        etag: &str,
        body: &[u8],
    ) -> web_sys::Response;

    #[wasm_bindgen(js_name = withKept)]
    fn with_kept(
        template: &web_sys::Response,
        headers: &Headers,
        request_id: &str,
        etag: &str,
        body: &Uint8Array,
    ) -> web_sys::Response;
}

/// The longest body that goes to JavaScript as text. A longer one goes as bytes, since text would be decoded and encoded again.
const TEXT_LIMIT_BYTES: usize = 8 * 1024;

/// A Response without a body, with a status and the headers whose values are constants of the core. There are few such sets, and the
/// runtime copies a Response's headers faster than it sets them one by one. Each request id and each `ETag` replaces the one before.
struct Template {
    status: u16,
    has_etag: bool,
    constants: Vec<(&'static str, &'static str)>,
    response: web_sys::Response,
    headers: Headers,
}

thread_local! {
    /// The last body that the core has kept, and its bytes in JavaScript's memory.
    static KEPT: RefCell<Option<(Arc<String>, Uint8Array)>> = const { RefCell::new(None) };
    static TEMPLATES: RefCell<Vec<Template>> = const { RefCell::new(Vec::new()) };
}

/// Makes the platform's Response.
///
/// # Errors
/// If the platform refuses a header.
pub(crate) fn from_core(response: &Response) -> worker::Result<web_sys::Response> {
    let request_id = response.header("x-request-id").unwrap_or_default();
    let etag = response.header("etag").unwrap_or_default();
    let made = TEMPLATES.with_borrow_mut(|templates| {
        let found = templates.iter().position(|t| t.is_of(response));
        let at = match found {
            Some(at) => at,
            None => {
                templates.push(Template::of(response)?);
                templates.len() - 1
            }
        };
        let Template {
            response: template,
            headers,
            ..
        } = &templates[at];
        let body = &response.body;
        Ok::<_, worker::Error>(if body.len() <= TEXT_LIMIT_BYTES {
            with_text(template, headers, request_id, etag, body)
        } else if let ResponseBody::Kept(body) = body {
            with_kept(template, headers, request_id, etag, &bytes_of(body))
        } else {
            with_bytes(template, headers, request_id, etag, body.as_bytes())
        })
    })?;
    for (name, value) in &response.headers {
        if let Cow::Owned(value) = value
            && !matches!(*name, "x-request-id" | "etag")
        {
            made.headers().set(name, value)?;
        }
    }
    Ok(made)
}

/// The bytes of a body that the core has kept, so that they are not copied out of the wasm for each response.
fn bytes_of(body: &Arc<String>) -> Uint8Array {
    KEPT.with_borrow_mut(|kept| {
        let (_, bytes) = match kept.take().filter(|(last, _)| Arc::ptr_eq(last, body)) {
            Some(same) => kept.insert(same),
            None => kept.insert((Arc::clone(body), Uint8Array::from(body.as_bytes()))),
        };
        bytes.clone()
    })
}

impl Template {
    fn of(response: &Response) -> worker::Result<Self> {
        let init = ResponseInit::new();
        init.set_status(response.status);
        let template = web_sys::Response::new_with_opt_str_and_init(None, &init)?;
        let headers = template.headers();
        let constants: Vec<_> = constants(response).collect();
        for (name, value) in &constants {
            headers.set(name, value)?;
        }
        Ok(Self {
            status: response.status,
            has_etag: response.header("etag").is_some(),
            constants,
            response: template,
            headers,
        })
    }

    fn is_of(&self, response: &Response) -> bool {
        self.status == response.status
            && self.has_etag == response.header("etag").is_some()
            && constants(response).eq(self.constants.iter().copied())
    }
}

fn constants(response: &Response) -> impl Iterator<Item = (&'static str, &'static str)> {
    response
        .headers
        .iter()
        .filter_map(|(name, value)| match value {
            Cow::Borrowed(value) => Some((*name, *value)),
            Cow::Owned(_) => None,
        })
}
