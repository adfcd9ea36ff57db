//! Sealing: encryption of values that nobody may read in the database itself (contract §5).
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a key of 32 bytes and a new random nonce of 24 bytes for each
//! text. The place (table, row, column) is the associated data, so a text that was moved to another place does not decrypt.
//!
//! A sealed text is `1.<key>.<base64url of nonce and ciphertext>`. It begins with a version and the key's fingerprint. The fingerprint
//! tells which key decrypts the text, and which texts a rotation must still encrypt again.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hmac::Mac as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::api_key::{FINGERPRINTS, keyed};
use crate::value::random::{Random, RandomUnavailable};

const VERSION: &str = "1";
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The length of the part before the nonce: version, dot, 8 digits of the key's fingerprint, dot.
const PREFIX_BYTES: usize = 1 + 1 + 8 + 1;
/// The length of a [`mark`]: that part, and the nonce in base64url (24 bytes are exactly 32 characters).
const MARK_BYTES: usize = PREFIX_BYTES + NONCE_BYTES / 3 * 4;

/// The place of a sealed text in the database.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table's name.
    pub table: &'static str,
    /// The row's identifier. Case does not matter, since identifiers that differ only in case mean the same row (contract §4).
    pub row: &'a str,
    /// The column's name.
    pub column: &'static str,
}

impl Place<'_> {
    /// The place as one text, for the associated data. The row is in lower case. No part has a `/`, so two places never share a text.
    fn text(&self) -> String {
        let mut text = [self.table, "/", self.row, "/", self.column].concat();
        text[self.table.len() + 1..][..self.row.len()].make_ascii_lowercase();
        text
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// An encryption key, ready for use.
#[derive(Clone)]
pub struct SealingKey {
    cipher: XChaCha20Poly1305,
    /// The start of every text that this key seals.
    prefix: String,
    /// The secret of fingerprints that is derived from this key.
    derived: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// The length of a key, in bytes.
    pub const BYTES: usize = 32;

    /// Takes a key of 32 random bytes.
    #[must_use]
    pub fn new(key: &[u8; Self::BYTES]) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"tenants sealing key");
        digest.update(key);
        let digest = digest.finalize();
        let mut derived = keyed(key);
        derived.update(FINGERPRINTS);
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            prefix: format!("{VERSION}.{}.", hex::encode(&digest[..4])),
            derived: Zeroizing::new(derived.finalize().into_bytes().into()),
        }
    }

    fn fingerprint(&self) -> &str {
        &self.prefix[VERSION.len() + 1..PREFIX_BYTES - 1]
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}…)", self.fingerprint())
    }
}

/// Seals under the current key, and opens texts of the current and the previous key.
#[derive(Debug, Clone)]
pub struct Sealer {
    current: SealingKey,
    previous: Option<SealingKey>,
}

/// The reason why a text cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The host has no randomness for a nonce.
    Random,
    /// The text is too long for the cipher.
    TooLong,
}

/// The reason why a text does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The text does not have the form that [`Sealer::seal`] writes.
    Malformed,
    /// The text was sealed under a key that is not configured.
    UnknownKey,
    /// The text was changed, or moved here from another place.
    Forged,
}

impl OpenError {
    /// The reason in words, for the log. It continues a sentence that begins with the place.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "is not a sealed text",
            Self::UnknownKey => "was sealed under a key that is not configured",
            Self::Forged => "does not open: it was changed, or moved here from another place",
        }
    }
}

impl Sealer {
    /// Takes the key that seals and opens, and, during a rotation, the key before it, which only opens.
    #[must_use]
    pub fn new(current: SealingKey, previous: Option<SealingKey>) -> Self {
        Self { current, previous }
    }

    /// The fingerprint of the current key: 8 hexadecimal digits, which every text that it sealed has.
    pub(crate) fn current_fingerprint(&self) -> &str {
        self.current.fingerprint()
    }

    /// The start of every text that the current key sealed: 11 characters.
    pub(crate) fn current_prefix(&self) -> &str {
        &self.current.prefix
    }

    /// The start of every text that the previous key sealed, if there is one and it differs from the current key.
    pub(crate) fn previous_prefix(&self) -> Option<&str> {
        let previous = self.previous.as_ref()?.prefix.as_str();
        (previous != self.current_prefix()).then_some(previous)
    }

    /// The secrets of fingerprints that are derived from the current key, and from the previous one if there is one.
    pub(super) fn derived(&self) -> ([u8; 32], Option<[u8; 32]>) {
        (
            *self.current.derived,
            self.previous.as_ref().map(|key| *key.derived),
        )
    }

    /// Seals a text for a place.
    ///
    /// # Errors
    /// If the host has no randomness, or the text is too long for the cipher (256 GiB).
    pub fn seal(
        &self,
        place: Place<'_>,
        plain: &str,
        random: &mut dyn Random,
    ) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        random
            .fill(&mut nonce)
            .map_err(|RandomUnavailable| SealError::Random)?;
        let mut bytes = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(plain.as_bytes());
        let tag = self
            .current
            .cipher
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                place.text().as_bytes(),
                (&mut bytes[NONCE_BYTES..]).into(),
            )
            .map_err(|_| SealError::TooLong)?;
        bytes.extend_from_slice(&tag);
        let mut text = self.current.prefix.clone();
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Ok(text)
    }

    /// Opens a text at its place. The plain text is zeroed when dropped.
    ///
    /// # Errors
    /// If the text does not decrypt. The result is then never an empty text.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Zeroizing<String>, OpenError> {
        let (prefix, rest) = sealed
            .split_at_checked(PREFIX_BYTES)
            .ok_or(OpenError::Malformed)?;
        let key = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.prefix == prefix)
            .ok_or_else(|| why_no_key(prefix))?;
        let mut bytes = URL_SAFE_NO_PAD
            .decode(rest)
            .map_err(|_| OpenError::Malformed)?;
        let Some((nonce, sealed)) = bytes.split_first_chunk_mut::<NONCE_BYTES>() else {
            return Err(OpenError::Malformed);
        };
        let Some((text, tag)) = sealed.split_last_chunk_mut::<TAG_BYTES>() else {
            return Err(OpenError::Malformed);
        };
        // Decrypts in place, and only after the tag was found valid.
        key.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                place.text().as_bytes(),
                text.into(),
                &Tag::from(*tag),
            )
            .map_err(|_| OpenError::Forged)?;
        bytes.truncate(bytes.len() - TAG_BYTES);
        bytes.drain(..NONCE_BYTES);
        String::from_utf8(bytes)
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Malformed)
    }
}

/// Tells a text of an unknown key from a text that is not sealed at all.
fn why_no_key(prefix: &str) -> OpenError {
    let of_a_key = prefix
        .strip_prefix(VERSION)
        .and_then(|rest| rest.strip_prefix('.')?.strip_suffix('.'))
        .is_some_and(|fingerprint| fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
    if of_a_key {
        OpenError::UnknownKey
    } else {
        OpenError::Malformed
    }
}

/// The part of a sealed text before its ciphertext. It identifies the text, since it holds the random nonce.
pub(crate) fn mark(sealed: &str) -> Option<&str> {
    sealed.get(..MARK_BYTES)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::{OpenError, Place, Sealer, SealingKey};
    use crate::testing::Counter;

    const HERE: Place<'_> = Place {
        table: "tenants",
        row: "a",
        column: "env",
    };

    fn sealer(key: u8, previous: Option<u8>) -> Sealer {
        Sealer::new(
            SealingKey::new(&[key; 32]),
            previous.map(|k| SealingKey::new(&[k; 32])),
        )
    }

    #[test]
    fn a_sealed_text_opens_only_at_its_place() {
        let sealer = sealer(1, None);
        let sealed = sealer
            .seal(HERE, "plain é", &mut Counter::default())
            .unwrap();
        assert!(!sealed.contains("plain"));
        assert_eq!(sealer.open(HERE, &sealed).unwrap().as_str(), "plain é");
        for elsewhere in [
            Place {
                table: "tenants_plans",
                ..HERE
            },
            Place { row: "b", ..HERE },
            Place {
                column: "limits",
                ..HERE
            },
        ] {
            assert_eq!(sealer.open(elsewhere, &sealed), Err(OpenError::Forged));
        }
        let other_case = Place { row: "A", ..HERE };
        assert!(sealer.open(other_case, &sealed).is_ok());
    }

    #[test]
    fn a_changed_text_does_not_open() {
        let sealer = sealer(1, None);
        let sealed = sealer.seal(HERE, "plain", &mut Counter::default()).unwrap();
        for (at, c) in sealed.char_indices() {
            let other = if c == 'A' { 'B' } else { 'A' };
            let changed: String = sealed
                .char_indices()
                .map(|(i, c)| if i == at { other } else { c })
                .collect();
            assert!(sealer.open(HERE, &changed).is_err(), "character {at}");
        }
        for bad in [
            "",
            "1",
            "1..",
            "2.00000000.AAAA",
            &sealed[..sealed.len() - 2],
        ] {
            assert!(sealer.open(HERE, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_previous_key_opens_and_never_seals() {
        let random = &mut Counter::default();
        let old = sealer(1, None).seal(HERE, "x", random).unwrap();
        let rotating = sealer(2, Some(1));
        assert_eq!(rotating.open(HERE, &old).unwrap().as_str(), "x");
        let new = rotating.seal(HERE, "x", random).unwrap();
        assert_eq!(sealer(2, None).open(HERE, &new).unwrap().as_str(), "x");
        assert_eq!(sealer(2, None).open(HERE, &old), Err(OpenError::UnknownKey));
    }

    #[test]
    fn sealing_a_text_twice_gives_two_different_texts() {
        let random = &mut Counter::default();
        let sealer = sealer(1, None);
        assert_ne!(
            sealer.seal(HERE, "x", random).unwrap(),
            sealer.seal(HERE, "x", random).unwrap()
        );
    }
}
