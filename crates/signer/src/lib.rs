//! Signs requests with a bound key (contract §13), in JavaScript. The npm package has this function beside the whole API. The console loads
//! this crate alone, since a page that only signs in must not load the API for it.

use tenants_core::crypto::message::SigningSecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::wire::signed::{Unsigned, sign};
use wasm_bindgen::prelude::wasm_bindgen;

/// Signs a request. `origin` and `target` are the two parts of its URL: scheme and authority, and path with query. `headers` has a line
/// `name: value` for each header that the signature must cover. `body` is empty if there is none. `now_ms` is a time as `Date.now()`
/// returns it.
///
/// Returns the values of `Signature-Input`, `Signature` and, if there is a body, `Content-Digest`, one a line. The secret and the key are
/// overwritten in this memory before the function returns.
#[wasm_bindgen(js_name = signParts, skip_typescript)]
#[allow(
    clippy::too_many_arguments,
    reason = "JavaScript passes a text sooner than an object of texts"
)]
#[must_use]
pub fn sign_parts(
    key: String,
    secret: String,
    method: &str,
    origin: &str,
    target: &str,
    headers: &str,
    body: &[u8],
    nonce: Option<String>,
    now_ms: f64,
) -> String {
    let (key, secret) = (Secret::new(key), Secret::new(secret));
    let headers: Vec<(&str, &str)> = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let request = Unsigned {
        method,
        origin,
        target,
        key: key.text(),
        headers: &headers,
        body,
        nonce: nonce.as_deref(),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` saturates, and such a time is refused by the service"
    )]
    let created = (now_ms / 1000.0) as i64;
    let signed = sign(&SigningSecret::new(&secret), &request, created);
    let mut lines = vec![signed.signature_input, signed.signature];
    lines.extend(signed.content_digest);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::sign_parts;

    #[test]
    fn a_request_is_signed_with_its_nonce() {
        let signed = sign_parts(
            "chv_1_x".into(),
            "secret".into(),
            "POST",
            "https://tenants.example",
            "/_/console/session",
            "idempotency-key: k",
            b"{}",
            Some("n".into()),
            1_787_095_017_999.0,
        );
        let lines: Vec<&str> = signed.lines().collect();
        let [input, signature, digest] = lines.as_slice() else {
            panic!("{signed}")
        };
        assert_eq!(
            *input,
            r#"sig=("@method" "@target-uri" "x-api-key" "content-digest" "idempotency-key");created=1787095017;nonce="n";alg="hmac-sha256""#
        );
        assert!(signature.starts_with("sig=:") && signature.ends_with(":"));
        // From `printf '{}' | openssl dgst -sha256 -binary | base64`.
        assert_eq!(
            *digest,
            "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"
        );
    }

    #[test]
    fn a_request_without_a_body_has_no_digest() {
        let signed = sign_parts(
            "chv_1_x".into(),
            "s".into(),
            "GET",
            "https://a.example",
            "/",
            "",
            b"",
            None,
            0.0,
        );
        assert_eq!(signed.lines().count(), 2);
        assert!(!signed.contains("nonce"));
    }
}
