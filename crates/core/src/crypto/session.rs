//! Tokens of sessions of the console (contract §20): `cs_<id of the key>_<secret>`.
//!
//! As in an API key, `<secret>` is base64url of random bytes and their MAC. So a token that was never given away is refused without a query,
//! and nobody can use up the limit of another's key. The database has the token's digest alone, so nobody can sign in with a copy of the database.

use alloc::format;
use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::crypto::api_key::{KeyError, KeySecret, MAC_BYTES, keyed, row_id};
use crate::value::random::{Random, RandomUnavailable};
use crate::value::text::hex_text;

const RANDOM_BYTES: usize = 32;

/// The purpose of the MAC. It keeps it apart from all other uses of the same secret.
const PURPOSE: &[u8] = b"tenants session ";

/// The text whose HMAC under a session's token is what scripts of the console send with each write.
const CSRF: &[u8] = b"tenants csrf";

/// The length of a session's id: so many of the digest's digits, which say nothing of the token.
pub(crate) const ID_LENGTH: usize = 16;

/// A token whose MAC is genuine. Its session may have ended.
#[derive(Clone)]
pub(crate) struct SessionToken {
    key_id: i64,
    text: Zeroizing<String>,
    digest: String,
}

impl SessionToken {
    /// Makes the token of a new session of this key.
    ///
    /// # Errors
    /// If the host has no randomness.
    pub(crate) fn issue(
        secret: &KeySecret,
        key_id: i64,
        random: &mut dyn Random,
    ) -> Result<Self, RandomUnavailable> {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES + MAC_BYTES]);
        random.fill(&mut bytes[..RANDOM_BYTES])?;
        let prefix = format!("cs_{key_id}_");
        let mac = secret.vouch(PURPOSE, &signed(&prefix, &bytes[..RANDOM_BYTES]));
        bytes[RANDOM_BYTES..].copy_from_slice(&mac);
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        Ok(Self::new(key_id, &(prefix + &encoded)))
    }

    /// Checks a token's form and its MAC.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for the form, [`KeyError::Forged`] for the MAC.
    pub(crate) fn verify(secret: &KeySecret, text: &str) -> Result<Self, KeyError> {
        let (id, encoded) = text
            .strip_prefix("cs_")
            .and_then(|rest| rest.split_once('_'))
            .ok_or(KeyError::Malformed)?;
        let key_id = row_id(id).ok_or(KeyError::Malformed)?;
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES + MAC_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()) {
            Ok(length) if length == bytes.len() => {}
            _ => return Err(KeyError::Malformed),
        }
        let (random, mac) = bytes.split_at(RANDOM_BYTES);
        let prefix = &text[..text.len() - encoded.len()];
        if secret.has_vouched(PURPOSE, &signed(prefix, random), mac) {
            Ok(Self::new(key_id, text))
        } else {
            Err(KeyError::Forged)
        }
    }

    fn new(key_id: i64, text: &str) -> Self {
        Self {
            key_id,
            text: Zeroizing::new(text.into()),
            digest: hex_text(&Sha256::digest(text)),
        }
    }

    /// The id of the session's key.
    pub(crate) fn key_id(&self) -> i64 {
        self.key_id
    }

    /// The token, for the cookie.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the token in lower-case hex, which the database has.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The session's id, which is no secret.
    pub(crate) fn id(&self) -> &str {
        &self.digest[..ID_LENGTH]
    }

    /// Tells the session from others: its id as a number.
    pub(crate) fn tag(&self) -> u64 {
        // The id has 16 hexadecimal digits.
        u64::from_str_radix(self.id(), 16).unwrap_or_default()
    }

    /// What each write of the session sends as `X-CSRF-Token`. It follows from the token, so nothing more is stored.
    pub(crate) fn csrf_token(&self) -> String {
        hex_text(&self.csrf().finalize().into_bytes())
    }

    /// Whether a write sent that. Compares in constant time.
    pub(crate) fn has_csrf_token(&self, sent: &str) -> bool {
        let mut claimed = [0; MAC_BYTES];
        hex::decode_to_slice(sent, &mut claimed).is_ok()
            && self.csrf().verify_slice(&claimed).is_ok()
    }

    fn csrf(&self) -> Hmac<Sha256> {
        let mut mac = keyed(self.text.as_bytes());
        mac.update(CSRF);
        mac
    }
}

/// The text that the MAC is of, after its purpose.
fn signed(prefix: &str, random: &[u8]) -> Zeroizing<alloc::vec::Vec<u8>> {
    Zeroizing::new([prefix.as_bytes(), random].concat())
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionToken({}, {}, …)", self.key_id, self.id())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{ID_LENGTH, SessionToken};
    use crate::crypto::api_key::{KeyError, KeySecret};
    use crate::crypto::secret::Secret;
    use crate::testing::Counter;

    fn secret(text: &str) -> KeySecret {
        KeySecret::new(&Secret::new(text.into()))
    }

    #[test]
    fn a_token_is_verified_under_the_secret_that_it_was_issued_under() {
        let token = SessionToken::issue(&secret("s"), 7, &mut Counter::default()).unwrap();
        assert!(token.text().starts_with("cs_7_"));
        let again = SessionToken::verify(&secret("s"), token.text()).unwrap();
        assert_eq!((again.key_id(), again.digest()), (7, token.digest()));
        assert_eq!(again.csrf_token(), token.csrf_token());
        assert!(again.has_csrf_token(&token.csrf_token()));
        let other = SessionToken::issue(&secret("t"), 7, &mut Counter::default()).unwrap();
        for wrong in [
            "",
            "00",
            token.id(),
            &other.csrf_token(),
            &token.csrf_token()[2..],
        ] {
            assert!(!token.has_csrf_token(wrong), "{wrong}");
        }
        assert_eq!(token.id().len(), ID_LENGTH);
        let rotated = secret("t").after(&Secret::new("s".into()));
        assert!(SessionToken::verify(&rotated, token.text()).is_ok());
        let forged = SessionToken::verify(&secret("t"), token.text()).err();
        assert_eq!(forged, Some(KeyError::Forged));
        let shown = format!("{token:?}");
        assert!(!shown.contains(token.text()) && !shown.contains(&token.csrf_token()));
    }

    #[test]
    fn another_text_is_malformed_or_forged() {
        let secret = secret("s");
        let token = SessionToken::issue(&secret, 7, &mut Counter::default()).unwrap();
        let text = token.text();
        let verified = |text: &str| SessionToken::verify(&secret, text).err();
        for malformed in [
            "",
            "cs_7",
            "cs_7_",
            "cs_07_AAAA",
            &text.replace("cs_", "chv_"),
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!("{text}="),
        ] {
            assert_eq!(
                verified(malformed),
                Some(KeyError::Malformed),
                "{malformed}"
            );
        }
        let other = if text.contains("AAEC") {
            text.replace("AAEC", "AAED")
        } else {
            text.replacen('A', "B", 1)
        };
        assert_ne!(other, text);
        assert_eq!(verified(&other), Some(KeyError::Forged));
        assert_eq!(
            verified(&text.replace("cs_7_", "cs_8_")),
            Some(KeyError::Forged)
        );
        let key = secret.issue(7, &mut Counter::default()).unwrap();
        assert_eq!(
            verified(&key.text().replace("chv_", "cs_")),
            Some(KeyError::Malformed)
        );
    }
}
