//! Request signatures of the current dialect: hexadecimal HMAC-SHA256 of the raw body (contract §1).

use alloc::string::String;
use core::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::key::keyed;
use crate::problem::Unauthorized;
use crate::secret::Secret;

/// The secret that requests are signed with.
#[derive(Clone)]
pub struct RequestSecret(Hmac<Sha256>);

impl RequestSecret {
    /// Of the variable `CHEVERETO_TENANTS_API_REQUEST_SECRET`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self(keyed(secret.bytes()))
    }

    /// Signs a body: what goes into `X-Signature`, in lower case.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        hex::encode(self.mac(body).finalize().into_bytes())
    }

    /// Checks the signature of a body, in constant time.
    ///
    /// # Errors
    /// [`SignatureError`], by what is wrong with it.
    pub fn verify(&self, signature: &str, body: &[u8]) -> Result<(), SignatureError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| SignatureError::Malformed)?;
        self.mac(body)
            .verify_slice(&bytes)
            .map_err(|_| SignatureError::Wrong)
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(body);
        mac
    }
}

impl fmt::Debug for RequestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestSecret(…)")
    }
}

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// It is not 64 hexadecimal digits, of either case.
    Malformed,
    /// It is not of this body under this secret.
    Wrong,
}

impl From<SignatureError> for Unauthorized {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Malformed => Self::SignatureMalformed,
            SignatureError::Wrong => Self::SignatureWrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestSecret, SignatureError};
    use crate::secret::Secret;

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
    fn another_body_or_another_text_is_refused() {
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
