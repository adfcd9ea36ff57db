//! Signatures of the legacy dialect, and the keys that verify them. A signature is Ed25519 of the raw body, in base64 (contract §1).
//!
//! Verification is strict: S is below the group's order, neither R nor the key is of small order, and R is compared byte for byte. A key
//! must also be one that a generator could make: the canonical encoding of a point in the group of prime order. The configuration
//! refuses any other key. So nobody without the private key can turn a signature into another one of the same body, and no signature is
//! valid for several bodies.
//!
//! Nothing here is secret, so nothing needs constant time.
//!
//! Each format of a key is a constant prefix before the key's 32 bytes, so parsing compares the prefix. The crates that parse these
//! formats in general (`ssh-key` 0.6 and `spki` 0.8) would add 13 kB of gzipped wasm. Ed25519 itself takes 16 kB.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use super::signature::SignatureError;
use crate::value::text::quote;

/// The most keys. A request with a wrong signature is checked against all of them, which takes about a quarter of a millisecond each.
pub const MAX_KEYS: usize = 8;

const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// The bytes before the key in an OpenSSH public key (RFC 8709 §4): the length and text of `ssh-ed25519`, and the key's length.
const OPENSSH: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
/// The bytes before the key in a SubjectPublicKeyInfo. They are always the same, since the algorithm has no parameters (RFC 8410 §4)
/// and DER allows one encoding only.
const SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The keys that legacy requests may be signed with. There are several during a rotation.
#[derive(Clone)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// Parses keys. A key is one line, either in OpenSSH's format (`ssh-ed25519 … comment`) or as 32 bytes in base64 or hex. Or it is a
    /// PEM block of a SubjectPublicKeyInfo, from its `BEGIN` line to its `END` line. Blank lines are ignored.
    ///
    /// # Errors
    /// A sentence with the line's number. It quotes nothing of the line but the type of an OpenSSH key, since somebody may have put the
    /// private key there by mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut lines = text.lines().map(str::trim).zip(1_usize..);
        while let Some((line, number)) = lines.next() {
            let read = if line.is_empty() {
                continue;
            } else if line == PEM_BEGIN {
                let mut base64 = String::new();
                let ended = lines.by_ref().any(|(line, _)| {
                    base64.push_str(line);
                    line == PEM_END
                });
                if ended {
                    base64.truncate(base64.len() - PEM_END.len());
                    prefixed(&base64, SPKI)
                } else {
                    Err(format!("expected a line `{PEM_END}` after it"))
                }
            } else if line.starts_with(PEM_BEGIN) {
                Err(format!("expected a line end after `{PEM_BEGIN}`"))
            } else if line.starts_with("-----BEGIN ") {
                Err(format!("expected `{PEM_BEGIN}`; got another kind of PEM"))
            } else {
                one_line(line)
            };
            let key = read.and_then(|bytes| sound(&bytes));
            keys.push(key.map_err(|detail| format!("line {number}: {detail}"))?);
        }
        match keys.len() {
            0 => Err("expected at least one Ed25519 public key".into()),
            1..=MAX_KEYS => Ok(Self(keys)),
            n => Err(format!("expected at most {MAX_KEYS} keys; got {n}")),
        }
    }

    /// Checks that one of the keys made the signature of a body.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] for the form, [`SignatureError::Wrong`] if no key fits.
    // Only the legacy dialect runs this code, and it is large. So keep it out of the function that every request runs.
    #[inline(never)]
    pub fn verify(&self, signature: &str, body: &[u8]) -> Result<(), SignatureError> {
        // 88 characters of base64 decode to up to 66 bytes. With two padding characters they are 64.
        let mut room = [0; SIGNATURE_BYTES + 2];
        let signature = STANDARD
            .decode_slice(signature, &mut room)
            .ok()
            .and_then(|length| room[..length].try_into().ok())
            .map(|bytes| Signature::from_bytes(&bytes))
            .ok_or(SignatureError::Malformed)?;
        if self
            .0
            .iter()
            .any(|key| key.verify_strict(body, &signature).is_ok())
        {
            Ok(())
        } else {
            Err(SignatureError::Wrong)
        }
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKeys({})", self.0.len())
    }
}

/// Reads the bytes of a key on a single line.
fn one_line(line: &str) -> Result<[u8; KEY_BYTES], String> {
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("ssh-ed25519"), Some(base64)) => prefixed(base64, OPENSSH),
        (Some(kind), Some(_)) if kind.starts_with("ssh-") || kind.starts_with("ecdsa-") => Err(
            format!("expected an `ssh-ed25519` key; got one of {}", quote(kind)),
        ),
        (Some(word), None) => {
            let bytes = match hex::decode(word) {
                Ok(bytes) => bytes,
                Err(_) => STANDARD.decode(word).map_err(|_| FORMS.to_string())?,
            };
            let length = bytes.len();
            bytes
                .try_into()
                .map_err(|_| format!("{FORMS}; got {length} bytes"))
        }
        _ => Err(FORMS.into()),
    }
}

const FORMS: &str = "expected an `ssh-ed25519` line, a PEM block, or 32 bytes in base64 or hex";

/// Decodes base64 that must begin with `prefix`, and returns the key's bytes after it.
fn prefixed(base64: &str, prefix: &[u8]) -> Result<[u8; KEY_BYTES], String> {
    let bytes = STANDARD
        .decode(base64)
        .map_err(|_| "expected base64; it is not".to_string())?;
    bytes
        .strip_prefix(prefix)
        .and_then(|key| key.try_into().ok())
        .ok_or_else(|| "expected an Ed25519 key; got another kind".to_string())
}

/// Checks that only the owner of a key can sign for it, and that a signature has one form only.
fn sound(bytes: &[u8; KEY_BYTES]) -> Result<VerifyingKey, String> {
    let key = VerifyingKey::from_bytes(bytes)
        .map_err(|_| "expected an Ed25519 key; its bytes are no point of the curve".to_string())?;
    let point = key.to_edwards();
    if point.is_small_order() {
        Err("expected a sound key; it is of small order, and anybody can sign for it".into())
    } else if point.compress().as_bytes() != bytes {
        Err("expected a sound key; its bytes are not how its point is written".into())
    } else if !point.is_torsion_free() {
        Err("expected a sound key; it is not of the group of prime order".into())
    } else {
        Ok(key)
    }
}

#[cfg(test)]
mod tests;
