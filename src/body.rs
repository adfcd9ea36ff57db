//! A request's body, of which at most the core's limit is kept.

use js_sys::{JsString, Reflect, Uint8Array};
use tenants_core::BODY_LIMIT_BYTES;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{self, ReadableStream, ReadableStreamDefaultReader};

/// How much of a body without a declared length is read before the 413, if it is longer than the core's limit: 1 MiB, of which nothing
/// is kept. A client that still sends when the connection closes may see a network error in place of its 413.
const DISCARD_LIMIT_BYTES: usize = 1024 * 1024;

/// Reads a body: `None` where it is longer than [`BODY_LIMIT_BYTES`]. `content_length` is what the request says of its length.
///
/// # Errors
/// Why the body cannot be read, mostly since the client went away.
pub(crate) async fn read(
    request: &web_sys::Request,
    content_length: Option<u64>,
) -> Result<Option<Vec<u8>>, String> {
    let read = match content_length {
        Some(0) => return Ok(Some(Vec::new())),
        // Refused before it comes.
        Some(length) if length > BODY_LIMIT_BYTES as u64 => return Ok(None),
        Some(_) => whole(request).await.map(Some),
        None => match request.body() {
            Some(stream) => up_to_limit(&stream).await,
            None => return Ok(Some(Vec::new())),
        },
    };
    read.map_err(|error| {
        let text: JsString = error.unchecked_ref::<js_sys::Object>().to_string();
        format!("the request's body cannot be read: {text}")
    })
}

async fn whole(request: &web_sys::Request) -> Result<Vec<u8>, JsValue> {
    // Not `bytes()`, which costs the runtime twice as much.
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

async fn up_to_limit(stream: &ReadableStream) -> Result<Option<Vec<u8>>, JsValue> {
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut body = Some(Vec::new());
    let mut length = 0;
    loop {
        let next = JsFuture::from(reader.read()).await?;
        let chunk = Reflect::get(&next, &"value".into())?;
        let Some(chunk) = chunk.dyn_ref::<Uint8Array>() else {
            return Ok(body);
        };
        length += chunk.length() as usize;
        if length > DISCARD_LIMIT_BYTES {
            // The promise is of nothing that anybody waits for.
            let _ = reader.cancel();
            return Ok(None);
        }
        if length > BODY_LIMIT_BYTES {
            body = None;
        } else if let Some(body) = &mut body {
            body.extend(chunk.to_vec());
        }
    }
}
