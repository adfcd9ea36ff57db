//! A property of the readers of this crate, on any bytes, for its tests and for `fuzz/`. It panics if it does not hold.

use crate::php::Value;
use crate::seal::{EncryptionKey, NONCE_BYTES};

/// Bytes of a Chevereto installation: a value that is read is written to bytes that are read as the same value, and bytes that are
/// encrypted are decrypted as they were.
pub fn php(data: &[u8]) {
    if let Ok(value) = Value::unserialize(data) {
        let written = value.serialize();
        let again = Value::unserialize(&written);
        assert!(again.is_ok_and(|again| again.serialize() == written));
        assert!(written.len() <= 40 * data.len(), "bounded by what was read");
    }
    let Some(key) = EncryptionKey::parse(KEY) else {
        panic!("a key")
    };
    // Any bytes decrypt to something, or are refused.
    if let Ok(plain) = key.decrypt_bytes(data) {
        assert!(plain.len() + NONCE_BYTES <= data.len());
    }
    if let Some((nonce, plain)) = data.split_first_chunk() {
        let stored = key.encrypt_bytes(plain, *nonce);
        assert_eq!(stored.len(), data.len());
        let value = Value::text(plain);
        let text = key.encrypt(&value, *nonce);
        let opened = key.decrypt_bytes(text.as_bytes());
        assert!(opened.is_ok_and(|opened| *opened == value.serialize()));
    }
}

/// 32 bytes, of no installation.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
