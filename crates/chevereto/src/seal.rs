//! How Chevereto encrypts `env`: ChaCha20 without a MAC, block counter 0, over PHP's `serialize()`.
//!
//! The stored form is a nonce of 12 bytes and then the ciphertext, as bytes or as their base64 text. Without a MAC a wrong key is not an
//! error of its own: the result is noise, which does not unserialize. So [`EncryptionKey::decrypt`] fails unless the result is an array or null.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

use crate::php::Value;

/// The length of a nonce.
pub const NONCE_BYTES: usize = 12;

/// `CHEVERETO_ENCRYPTION_KEY` of an installation. It does not print, and is zeroed when dropped.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; 32]>);

/// The reason why a stored `env` cannot be decrypted. The usual one is another encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The stored form is shorter than a nonce, or its base64 text is damaged.
    Malformed,
    /// The decrypted bytes are no array that PHP serialized.
    WrongKey,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not an encrypted value",
            Self::WrongKey => "the encryption key does not decrypt the value",
        })
    }
}

impl std::error::Error for SealError {}

impl EncryptionKey {
    /// Reads the variable's text: base64 of 32 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).ok()?);
        let key = <[u8; 32]>::try_from(bytes.as_slice()).ok()?;
        Some(Self(Zeroizing::new(key)))
    }

    /// The key's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Encrypts a value. Returns the base64 text, of the two stored forms the one that has no bytes beyond ASCII.
    ///
    /// A nonce must never be used twice under a key: without a MAC, and even with one, two texts under one nonce reveal each other.
    #[must_use]
    pub fn encrypt(&self, value: &Value, nonce: [u8; NONCE_BYTES]) -> String {
        let plain = Zeroizing::new(value.serialize());
        BASE64_STANDARD.encode(self.encrypt_bytes(&plain, nonce))
    }

    /// Encrypts bytes. Returns the nonce and the ciphertext.
    #[must_use]
    pub fn encrypt_bytes(&self, plain: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        let mut stored = [&nonce, plain].concat();
        self.apply(nonce, &mut stored[NONCE_BYTES..]);
        stored
    }

    /// Decrypts a stored value, in either form.
    ///
    /// # Errors
    /// [`SealError`], if the form is not one of the two, or if the result is neither an array nor null.
    pub fn decrypt(&self, stored: &[u8]) -> Result<Value, SealError> {
        let plain = self.decrypt_bytes(stored)?;
        match Value::unserialize(&plain) {
            Ok(value @ (Value::Array(_) | Value::Null)) => Ok(value),
            _ => Err(SealError::WrongKey),
        }
    }

    /// Decrypts a stored value to bytes, in either form. Any key gives some bytes.
    ///
    /// # Errors
    /// [`SealError::Malformed`], if the form is not one of the two.
    pub fn decrypt_bytes(&self, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let decoded = if is_base64(stored) {
            BASE64_STANDARD
                .decode(stored)
                .map_err(|_| SealError::Malformed)?
        } else {
            stored.to_vec()
        };
        let (nonce, cipher) = decoded
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Malformed)?;
        let mut plain = Zeroizing::new(cipher.to_vec());
        self.apply(*nonce, &mut plain);
        Ok(plain)
    }

    fn apply(&self, nonce: [u8; NONCE_BYTES], bytes: &mut [u8]) {
        let key: &[u8; 32] = &self.0;
        ChaCha20::new(key.into(), &nonce.into()).apply_keystream(bytes);
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}

/// Chevereto's own test of the form: `[a-zA-Z0-9/+]*={0,2}`.
fn is_base64(stored: &[u8]) -> bool {
    let padding = stored.iter().rev().take_while(|b| **b == b'=').count();
    padding <= 2
        && stored[..stored.len() - padding]
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::{EncryptionKey, SealError};
    use crate::php::Value;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn env() -> Value {
        serde_json::from_str(r#"{"CUSTOM_VAR":"value"}"#).unwrap()
    }

    #[test]
    fn another_key_or_a_damaged_value_is_an_error() {
        let key = EncryptionKey::parse(KEY).unwrap();
        let stored = key.encrypt(&env(), [7; 12]);
        assert_eq!(key.decrypt(stored.as_bytes()), Ok(env()));
        let other = EncryptionKey::parse("8OHSw7SlloeGaVpLPC0eDwARIjNEVWZ3iJmqu8zd7v8=").unwrap();
        assert_eq!(other.decrypt(stored.as_bytes()), Err(SealError::WrongKey));
        for damaged in ["", "AAAA", "AAAAAAAAAAAAAAA", "short"] {
            assert_eq!(
                key.decrypt(damaged.as_bytes()),
                Err(SealError::Malformed),
                "{damaged}"
            );
        }
    }

    #[test]
    fn a_key_is_base64_of_32_bytes() {
        assert!(EncryptionKey::parse(&format!(" {KEY}\n")).is_some());
        for bad in ["", "AAEC", &KEY[1..], "hunter2", &format!("{KEY}AA==")] {
            assert!(EncryptionKey::parse(bad).is_none(), "{bad}");
        }
        let key = EncryptionKey::parse(KEY).unwrap();
        assert_eq!(format!("{key:?}"), "EncryptionKey(…)");
    }
}
