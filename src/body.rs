//! Reads a request's body, and keeps at most the core's limit of it.

use js_sys::{JsString, Reflect, Uint8Array};
use tenants_core::BODY_LIMIT_BYTES;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{self, ReadableStream, ReadableStreamDefaultReader};

/// The most that is read of a body without a declared length that exceeds the core's limit: 1 MiB, of which nothing is kept. A client that
/// is still sending when the 413 is sent may see a network error instead.
const DISCARD_LIMIT_BYTES: usize = 1024 * 1024;

/// Reads a body. `None` means that it is longer than [`BODY_LIMIT_BYTES`]. `content_length` is the length that the request declares.
///
/// # Errors
/// The reason why the body cannot be read. Usually the client went away.
pub(crate) async fn read(
    request: &web_sys::Request,
    content_length: Option<u64>,
) -> Result<Option<Vec<u8>>, String> {
    let read = match content_length {
        Some(0) => return Ok(Some(Vec::new())),
        // Refuse it before it arrives.
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
    // `bytes()` costs the runtime twice as much.
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
            // Nobody waits for this promise.
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
