//! API keys, and the signatures of clients.

use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::RequestSecret;
use tenants_core::task::any::Order;
use tenants_core::task::keys::{KeyChoice, KeyName};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::scope::Scopes;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::begin_task;
use crate::error::thrown;

/// The last id that a key can have: 15 digits (contract §2).
const LAST_ID: f64 = 999_999_999_999_999.0;

/// Signs a body: returns the value of `X-Signature`. `secret` is `CHEVERETO_TENANTS_API_REQUEST_SECRET`.
///
/// # Errors
/// `invalid_argument` if the secret is empty.
#[wasm_bindgen(js_name = signBytes, skip_typescript)]
pub fn sign_bytes(secret: String, body: &[u8]) -> Result<String, JsValue> {
    if secret.is_empty() {
        return Err(invalid("secret", "expected a secret; it is empty"));
    }
    Ok(RequestSecret::new(&Secret::new(secret)).sign(body))
}

/// Begins to create a key. Returns a turn in JSON.
///
/// # Errors
/// `invalid_argument`, with the argument's name.
#[wasm_bindgen(js_name = createKey, skip_typescript)]
pub fn create_key(
    api: u32,
    name: Option<String>,
    expires_at: Option<String>,
    scopes: Option<Vec<String>>,
    is_bound: bool,
    now_ms: f64,
) -> Result<String, JsValue> {
    let name = name.as_deref().map(key_name).transpose()?;
    let expires_at = expires_at.as_deref().map(Timestamp::parse).transpose();
    let expires_at = expires_at
        .map_err(|_| invalid("expiresAt", "expected a time in UTC, `YYYY-MM-DD HH:MM:SS`"))?;
    let scopes = scopes.map(|texts| Scopes::parse(texts.iter().map(String::as_str)));
    let scopes = scopes
        .transpose()
        .map_err(|(_, detail)| invalid("scopes", &detail))?;
    let order = Order::CreateKey {
        name,
        expires_at,
        scopes,
        is_bound,
    };
    Ok(begin_task(api, order, now_ms))
}

/// Begins to list the keys. Returns a turn in JSON.
#[wasm_bindgen(js_name = listKeys, skip_typescript)]
#[must_use]
pub fn list_keys(api: u32, now_ms: f64) -> String {
    begin_task(api, Order::ListKeys, now_ms)
}

/// Begins to delete the keys with this id, with this name, or with both. Returns a turn in JSON.
///
/// # Errors
/// `invalid_argument`, with the argument's name.
#[wasm_bindgen(js_name = deleteKeys, skip_typescript)]
pub fn delete_keys(
    api: u32,
    id: Option<f64>,
    name: Option<String>,
    now_ms: f64,
) -> Result<String, JsValue> {
    let id = id.map(key_id).transpose()?;
    let name = name.as_deref().map(key_name).transpose()?;
    let choice = match (id, name) {
        (Some(id), None) => KeyChoice::Id(id),
        (None, Some(name)) => KeyChoice::Name(name),
        (Some(id), Some(name)) => KeyChoice::Both(id, name),
        (None, None) => {
            return Err(invalid("id", "expected `id`, `name` or both; got neither"));
        }
    };
    Ok(begin_task(api, Order::DeleteKeys(choice), now_ms))
}

fn key_id(id: f64) -> Result<i64, JsValue> {
    if !(1.0..=LAST_ID).contains(&id) || id.trunc() != id {
        return Err(invalid(
            "id",
            "expected a whole number, 1 to 999999999999999",
        ));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number of at most 15 digits"
    )]
    let id = id as i64;
    Ok(id)
}

fn key_name(name: &str) -> Result<KeyName, JsValue> {
    KeyName::parse(name)
        .map_err(|_| invalid("name", "expected 1 to 255 characters, without U+0000"))
}

fn invalid(field: &'static str, detail: &str) -> JsValue {
    thrown(
        "invalid_argument",
        &format!("{field}: {detail}"),
        Some(field),
        &[],
    )
}
