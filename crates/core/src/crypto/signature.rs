//! Request signatures of the current dialect: HMAC-SHA256 of the raw body, in hexadecimal digits (contract §1).

use alloc::string::String;
use core::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::api_key::keyed;
use crate::crypto::secret::Secret;

/// Signs and checks bodies under a secret. During a rotation it also checks, but never signs, under the previous secret.
#[derive(Clone)]
pub struct RequestSecret {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

impl RequestSecret {
    /// Takes the value of `CHEVERETO_TENANTS_API_REQUEST_SECRET`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self {
            current: keyed(secret.bytes()),
            previous: None,
        }
    }

    /// Accepts signatures under the previous secret, too (`CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS`).
    #[must_use]
    pub fn after(mut self, previous: &Secret) -> Self {
        self.previous = Some(keyed(previous.bytes()));
        self
    }

    /// Signs a body under the current secret. Returns the value of `X-Signature`, in lower case.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        hex::encode(mac(&self.current, body).finalize().into_bytes())
    }

    /// Checks the signature of a body, in constant time: first under the current secret, then under the previous one.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] for the form, [`SignatureError::Wrong`] if no secret fits.
    pub fn verify(&self, signature: &str, body: &[u8]) -> Result<(), SignatureError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| SignatureError::Malformed)?;
        if mac(&self.current, body).verify_slice(&bytes).is_ok() {
            return Ok(());
        }
        match &self.previous {
            Some(previous) if mac(previous, body).verify_slice(&bytes).is_ok() => Ok(()),
            _ => Err(SignatureError::Wrong),
        }
    }
}

fn mac(secret: &Hmac<Sha256>, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = secret.clone();
    mac.update(body);
    mac
}

impl fmt::Debug for RequestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestSecret(…)")
    }
}

/// The reason why a signature is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// The signature does not have its dialect's form: 64 hexadecimal digits of either case, or base64 of 64 bytes.
    Malformed,
    /// None of the secrets or keys made this signature of this body.
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::{RequestSecret, SignatureError};
    use crate::crypto::secret::Secret;

    /// RFC 4231 §4.3, test case 2.
    const RFC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BODY: &[u8] = b"what do ya want for nothing?";

    fn secret() -> RequestSecret {
        RequestSecret::new(&Secret::new("Jefe".into()))
    }

    #[test]
    fn the_rfcs_vector_is_signed_and_verified() {
        assert_eq!(secret().sign(BODY), RFC);
        assert_eq!(secret().verify(RFC, BODY), Ok(()));
        assert_eq!(secret().verify(&RFC.to_uppercase(), BODY), Ok(()));
    }

    #[test]
    fn the_signatures_of_php_are_those_of_this_service() {
        let file = include_str!("../../../../tests/vectors/chevereto.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let vectors = file["signatures"].as_array().unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let secret = RequestSecret::new(&Secret::new(text("secret").into()));
            let signature = text("x_signature");
            assert_eq!(secret.sign(text("body").as_bytes()), signature);
            assert_eq!(secret.verify(signature, text("body").as_bytes()), Ok(()));
        }
    }

    #[test]
    fn during_a_rotation_both_secrets_verify_and_the_current_one_signs() {
        let other = |text: &str| Secret::new(text.into());
        let rotating = RequestSecret::new(&other("new")).after(&other("Jefe"));
        assert_eq!(rotating.verify(RFC, BODY), Ok(()));
        let signed = rotating.sign(BODY);
        assert_eq!(signed, RequestSecret::new(&other("new")).sign(BODY));
        assert_eq!(rotating.verify(&signed, BODY), Ok(()));
        assert_eq!(secret().verify(&signed, BODY), Err(SignatureError::Wrong));
        assert_eq!(rotating.verify(RFC, b""), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_signature_of_another_body_or_of_another_form_is_refused() {
        assert_eq!(secret().verify(RFC, b""), Err(SignatureError::Wrong));
        for bad in [
            "",
            "zz",
            &RFC[1..],
            &RFC[2..],
            "é",
            &alloc::format!("{RFC}00"),
            &alloc::format!(" {}", &RFC[1..]),
        ] {
            assert_eq!(
                secret().verify(bad, BODY),
                Err(SignatureError::Malformed),
                "{bad}"
            );
        }
    }
}
