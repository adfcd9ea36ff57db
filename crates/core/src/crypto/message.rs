//! Signatures of whole requests: RFC 9421, HTTP Message Signatures, with `hmac-sha256` (contract §13).
//!
//! A signature is the HMAC of the *signature base* (§2.5): a line for each component of the request, and a last line with their names and the
//! signature's parameters. Here is the form of the base. `auth/bound.rs` decides what a request must cover.

use alloc::string::String;
use core::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::api_key::keyed;
use crate::crypto::secret::Secret;

/// The value of the parameter `alg` (RFC 9421 §3.3.3).
pub const ALGORITHM: &str = "hmac-sha256";

/// The length of a signature, in bytes.
pub const SIGNATURE_BYTES: usize = 32;

/// The secret of a bound key, which signs and checks whole requests.
#[derive(Clone)]
pub struct SigningSecret(Hmac<Sha256>);

impl SigningSecret {
    /// Takes the secret's text, as the API showed it. Its bytes are the HMAC's key.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self(keyed(secret.bytes()))
    }

    /// Signs a signature base.
    #[must_use]
    pub fn sign(&self, base: &Base) -> [u8; SIGNATURE_BYTES] {
        self.mac(base).finalize().into_bytes().into()
    }

    /// Whether this is the signature of a signature base. Compares in constant time.
    #[must_use]
    pub fn verify(&self, base: &Base, signature: &[u8]) -> bool {
        self.mac(base).verify_slice(signature).is_ok()
    }

    fn mac(&self, base: &Base) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(base.0.as_bytes());
        mac
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// A signature base. It holds the API key, so it does not print.
pub struct Base(String);

impl Base {
    /// Writes the base of components and their values, in the order in which they are signed. `params` is the serialized list of the
    /// components' names with the signature's parameters: `("@method" "x-api-key");created=1787095017`.
    #[must_use]
    pub fn new<'a>(components: impl IntoIterator<Item = (&'a str, &'a str)>, params: &str) -> Self {
        let mut base = String::with_capacity(512);
        for (name, value) in components {
            for part in ["\"", name, "\": ", value, "\n"] {
                base.push_str(part);
            }
        }
        base.push_str("\"@signature-params\": ");
        base.push_str(params);
        Self(base)
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base(…)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Base, SigningSecret};
    use crate::crypto::api_key::keyed;

    /// RFC 9421 §B.1.5, `test-shared-secret`.
    const SECRET: &str =
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    /// RFC 9421 §B.2.5.
    const SIGNATURE: &str = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=";
    const PARAMS: &str =
        r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
    const COMPONENTS: [(&str, &str); 3] = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
    ];

    #[test]
    fn the_rfcs_example_is_signed_and_verified() {
        let secret = SigningSecret(keyed(&STANDARD.decode(SECRET).unwrap()));
        let base = Base::new(COMPONENTS, PARAMS);
        // The base as §B.2.5 shows it.
        let shown = [
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT",
            "\"@authority\": example.com",
            "\"content-type\": application/json",
            "\"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
        ];
        assert_eq!(base.0, shown.join("\n"));
        assert_eq!(STANDARD.encode(secret.sign(&base)), SIGNATURE);
        let signature = STANDARD.decode(SIGNATURE).unwrap();
        assert!(secret.verify(&base, &signature));
        assert!(!secret.verify(&base, &signature[1..]));
        let other = Base::new(COMPONENTS, &PARAMS.replace("4473", "4474"));
        assert!(!secret.verify(&other, &signature));
    }

    #[test]
    fn debug_output_shows_neither_a_secret_nor_a_key() {
        let base = Base::new([("x-api-key", "chv_1_hidden")], "()");
        let printed: String = alloc::format!("{:?} {base:?}", SigningSecret(keyed(b"hidden")));
        assert_eq!(printed, "SigningSecret(…) Base(…)");
    }
}
