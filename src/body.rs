//! Reads a request's body, and keeps at most the core's limit of it.

use js_sys::{Reflect, Uint8Array};
use tenants_core::{BODY_LIMIT_BYTES, Body};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{self, ReadableStream, ReadableStreamDefaultReader};

/// The most that is read of a body without a declared length that exceeds the core's limit: 1 MiB, of which nothing is kept. A client that
/// is still sending when the 413 is sent may see a network error instead.
const DISCARD_LIMIT_BYTES: usize = 1024 * 1024;

/// A request's body, as far as it was read.
pub(crate) enum Received {
    Whole(Vec<u8>),
    /// Longer than [`BODY_LIMIT_BYTES`].
    TooLarge,
    /// The client went away while it was sending.
    Incomplete,
}

impl Received {
    pub(crate) fn as_body(&self) -> Body<'_> {
        match self {
            Self::Whole(bytes) => Body::Bytes(bytes),
            Self::TooLarge => Body::TooLarge,
            Self::Incomplete => Body::Incomplete,
        }
    }
}

/// Reads a body. `content_length` is the length that the request declares.
pub(crate) async fn read(request: &web_sys::Request, content_length: Option<u64>) -> Received {
    let read = match content_length {
        Some(0) => return Received::Whole(Vec::new()),
        // Refuse it before it arrives.
        Some(length) if length > BODY_LIMIT_BYTES as u64 => return Received::TooLarge,
        Some(_) => whole(request).await,
        None => match request.body() {
            Some(stream) => up_to_limit(&stream).await,
            None => return Received::Whole(Vec::new()),
        },
    };
    // The runtime reports a client that hung up as an error of no type of its own.
    read.unwrap_or(Received::Incomplete)
}

async fn whole(request: &web_sys::Request) -> Result<Received, JsValue> {
    // `bytes()` costs the runtime twice as much.
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Received::Whole(Uint8Array::new(&buffer).to_vec()))
}

async fn up_to_limit(stream: &ReadableStream) -> Result<Received, JsValue> {
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut body = Some(Vec::new());
    let mut length = 0;
    loop {
        let next = JsFuture::from(reader.read()).await?;
        let chunk = Reflect::get(&next, &"value".into())?;
        let Some(chunk) = chunk.dyn_ref::<Uint8Array>() else {
            return Ok(body.map_or(Received::TooLarge, Received::Whole));
        };
        length += chunk.length() as usize;
        if length > DISCARD_LIMIT_BYTES {
            // Nobody waits for this promise.
            let _ = reader.cancel();
            return Ok(Received::TooLarge);
        }
        if length > BODY_LIMIT_BYTES {
            body = None;
        } else if let Some(body) = &mut body {
            body.extend(chunk.to_vec());
        }
    }
}
