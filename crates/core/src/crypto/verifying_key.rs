//! Signatures of the legacy dialect: base64 of Ed25519 of the raw body (contract §1), and the keys that verify them.
//!
//! Verification is strict: S is below the group's order, neither R nor the key is of small order, and R is compared byte for
//! byte. A key besides must be what a generator makes, the one encoding of a point of the group of prime order; any other is
//! refused when the configuration is read. So a body has one signature for whoever signs it once, and no signature is of
//! several bodies.
//!
//! Nothing in it is secret, so that nothing needs constant time.
//!
//! The forms of a key are constants before its 32 bytes, and are compared with as such. The crates that read them in general
//! (`ssh-key` 0.6 and `spki` 0.8) would add 13 kB of gzipped wasm; Ed25519 itself takes 16.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use super::signature::SignatureError;
use crate::value::text::quote;

/// How many keys there may be: each takes about a quarter of a millisecond of a request whose signature is none of theirs.
pub const MAX_KEYS: usize = 8;

const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// What stands before the key in an OpenSSH public key (RFC 8709 §4): the length and text of `ssh-ed25519`, and the key's length.
const OPENSSH: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
/// What stands before the key in a SubjectPublicKeyInfo (RFC 8410 §4: the algorithm has no parameters, so that DER leaves no
/// choice).
const SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The keys that legacy requests may be signed with: several while they rotate.
#[derive(Clone)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// Reads keys, one a line: an OpenSSH line (`ssh-ed25519 … comment`), or the 32 bytes in base64 or hex; or a PEM block of a
    /// SubjectPublicKeyInfo, which takes the lines from its `BEGIN` to its `END`. Blank lines are passed over.
    ///
    /// # Errors
    /// A sentence with the line's number, and nothing of the line but the type of an OpenSSH key: somebody may have taken the
    /// private key for the public one.
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
    /// [`SignatureError`], by what is wrong with it.
    // Much code, which only the legacy dialect runs: not a part of what every request runs through.
    #[inline(never)]
    pub fn verify(&self, signature: &str, body: &[u8]) -> Result<(), SignatureError> {
        // Room for what 88 characters can be; two of them are padding.
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

/// The bytes of a key that stands on one line.
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

/// The bytes of a key after what they must begin with.
fn prefixed(base64: &str, prefix: &[u8]) -> Result<[u8; KEY_BYTES], String> {
    let bytes = STANDARD
        .decode(base64)
        .map_err(|_| "expected base64; it is not".to_string())?;
    bytes
        .strip_prefix(prefix)
        .and_then(|key| key.try_into().ok())
        .ok_or_else(|| "expected an Ed25519 key; got another kind".to_string())
}

/// A key that nobody but its owner can sign for, and whose signatures are one each.
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
