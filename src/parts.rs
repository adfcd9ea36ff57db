//! The parts of long lists: a response whose body is a list of several slices. `src/shim.js` asks for the next part when the client has taken the
//! one before, so that no more than one is in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use tenants_core::log::{LEFT, LogEntry};
use tenants_core::{Answer, Api, Response, Rest, Step};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::JsCast as _;
use worker::{Env, web_sys};

use crate::d1::Database;
use crate::log::Clock;
use crate::{drive, finish, response, running};

/// A response whose body goes on.
struct Open {
    api: Rc<Api>,
    clock: Clock,
    /// The part that came with the head, until it is sent.
    first: Option<String>,
    rest: Option<Rest>,
    log: LogEntry,
}

thread_local! {
    static LAST_HANDLE: Cell<u32> = const { Cell::new(0) };
    static OPEN: RefCell<BTreeMap<u32, Open>> = const { RefCell::new(BTreeMap::new()) };
}

/// Makes the head of a response with several parts. Its property `parts` is their handle, which is never 0.
pub(crate) fn open(
    api: Rc<Api>,
    clock: Clock,
    answer: Answer,
) -> worker::Result<web_sys::Response> {
    let Answer {
        response: Response {
            status,
            headers,
            body,
        },
        log,
        rest,
        ..
    } = answer;
    let head = response::from_core(&Response {
        status,
        headers,
        body: String::new().into(),
    })?;
    let handle = LAST_HANDLE.get().wrapping_add(1).max(1);
    js_sys::Reflect::set(&head, &"parts".into(), &handle.into())?;
    LAST_HANDLE.set(handle);
    let open = Open {
        api,
        clock,
        first: Some(body.into_string()),
        rest,
        log,
    };
    OPEN.with_borrow_mut(|all| all.insert(handle, open));
    Ok(head)
}

/// Returns the next part: its bytes, and whether it is the last one. `null` if it failed, which is logged.
///
/// # Errors
/// If there is no such response.
#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures)]
pub async fn part(handle: u32, env: JsValue) -> Result<JsValue, JsValue> {
    let work = async { next(handle, env.unchecked_ref()).await };
    running::attributed(&env, work).await
}

async fn next(handle: u32, env: &Env) -> Result<JsValue, JsValue> {
    let gone = || js_sys::Error::new("this response has no more parts");
    let mut open = OPEN
        .with_borrow_mut(|all| all.remove(&handle))
        .ok_or_else(gone)?;
    let text = match (open.first.take(), open.rest.take()) {
        (Some(text), rest) => {
            open.rest = rest;
            text
        }
        (None, Some(rest)) => match drive(Step::Run(rest), &Database::of(env)).await {
            Ok(part) => {
                open.rest = part.rest;
                part.text
            }
            Err(failed) => {
                finish(&open.api, env, open.clock, &failed.log);
                return Ok(JsValue::NULL);
            }
        },
        (None, None) => return Err(gone().into()),
    };
    let is_last = open.rest.is_none();
    if is_last {
        finish(&open.api, env, open.clock, &open.log);
    } else {
        OPEN.with_borrow_mut(|all| all.insert(handle, open));
    }
    let bytes = Uint8Array::from(text.as_bytes());
    Ok(Array::of2(&bytes, &is_last.into()).into())
}

/// Forgets a response that nobody reads any more, and logs it.
#[wasm_bindgen(js_name = dropParts)]
pub fn drop_parts(handle: u32, env: &JsValue) {
    let Some(mut open) = OPEN.with_borrow_mut(|all| all.remove(&handle)) else {
        return;
    };
    open.log.cause = Some(LEFT.into());
    finish(&open.api, env.unchecked_ref(), open.clock, &open.log);
}
