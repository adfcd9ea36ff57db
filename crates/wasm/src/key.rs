//! For clients: signing a body, and making an API key.

use serde::Serialize;
use serde_json::json;
use tenants_core::crypto::api_key::KeySecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::RequestSecret;
use tenants_core::task::keys::KeyName;
use tenants_core::value::clock::Timestamp;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::thrown;
use crate::{HostRandom, unix_seconds};

/// The last id that a key can have: 15 digits (contract §2).
const LAST_ID: f64 = 999_999_999_999_999.0;

/// Signs a body: what goes into `X-Signature`. `secret` is `CHEVERETO_TENANTS_API_REQUEST_SECRET`.
///
/// # Errors
/// `invalid_argument` where the secret is empty.
#[wasm_bindgen(js_name = signBytes, skip_typescript)]
pub fn sign_bytes(secret: String, body: &[u8]) -> Result<String, JsValue> {
    Ok(RequestSecret::new(&nonempty("secret", secret)?).sign(body))
}

#[derive(Serialize)]
struct ApiKey<'a> {
    id: f64,
    key: &'a str,
    digest: &'a str,
    statements: [serde_json::Value; 2],
}

/// Makes the key of a row; answers an `ApiKey` in JSON.
///
/// # Errors
/// `invalid_argument`, with the argument's name; `unavailable` where the platform has no randomness.
#[wasm_bindgen(js_name = issueKey, skip_typescript)]
pub fn issue_key(
    secret: String,
    id: f64,
    name: Option<String>,
    expires_at: Option<String>,
    now_ms: f64,
) -> Result<String, JsValue> {
    let secret = KeySecret::new(&nonempty("keySecret", secret)?);
    if !(1.0..=LAST_ID).contains(&id) || id.trunc() != id {
        return Err(invalid(
            "id",
            "expected a whole number, 1 to 999999999999999",
        ));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and of at most 15 digits"
    )]
    let number = id as u64;
    if let Some(name) = &name
        && KeyName::parse(name).is_err()
    {
        return Err(invalid(
            "name",
            "expected 1 to 255 characters, without U+0000",
        ));
    }
    if let Some(text) = &expires_at
        && Timestamp::parse(text).is_err()
    {
        return Err(invalid(
            "expiresAt",
            "expected a time in UTC, `YYYY-MM-DD HH:MM:SS`",
        ));
    }
    let now = Timestamp::from_unix(unix_seconds(now_ms))
        .map_err(|_| invalid("now", "expected a time within the years 0000 to 9999"))?;
    let issued = secret.issue(number, &mut HostRandom).map_err(|_| {
        thrown(
            "unavailable",
            "this platform has no randomness to give",
            None,
            &[],
        )
    })?;
    let text = serde_json::to_string(&ApiKey {
        id,
        key: issued.text(),
        digest: issued.digest(),
        statements: [
            json!({
                "sql": "INSERT INTO api_keys (id, name, digest, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                "params": [number, name, issued.digest(), now.as_str(), expires_at],
            }),
            json!({
                "sql": "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) \
                        VALUES (NULL, 'api_key.create', ?1, ?2, ?3)",
                "params": [number.to_string(), "tenants-core", now.as_str()],
            }),
        ],
    });
    // Strings and numbers: there is nothing in it that JSON cannot say.
    Ok(text.unwrap_or_default())
}

fn nonempty(field: &'static str, secret: String) -> Result<Secret, JsValue> {
    if secret.is_empty() {
        return Err(invalid(field, "expected a secret; it is empty"));
    }
    Ok(Secret::new(secret))
}

fn invalid(field: &'static str, detail: &str) -> JsValue {
    thrown(
        "invalid_argument",
        &format!("{field}: {detail}"),
        Some(field),
        &[],
    )
}
