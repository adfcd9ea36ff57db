//! API keys: `chv_<id>_<secret>` (contract §2).
//!
//! `<id>` is the row id in decimal. `<secret>` is base64url without padding. It encodes 16 random bytes, and the HMAC-SHA256 of
//! `chv_<id>_` and those bytes under `CHEVERETO_TENANTS_API_KEY_SECRET`. So a key that was never issued is refused without a query, and
//! one key's secret is not valid for another id. The database holds the SHA-256 of the whole key. A slow hash is not needed, because
//! nobody can guess 128 random bits.
//!
//! The keys of a Chevereto installation have another form: `chv_<id>_<text>_<MAC>`, with a text of 64 letters and digits, and the HMAC-SHA256
//! of `<id>_<text>` in hexadecimal digits. They are never issued here, but taken over ([`imported_digest`]): Chevereto issues one key for an
//! id, so the MAC proves that a key is the one of its row.

use alloc::format;
use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::crypto::secret::Secret;
use crate::value::random::{Random, RandomUnavailable};
use crate::value::text::hex_text;

const RANDOM_BYTES: usize = 16;
pub(super) const MAC_BYTES: usize = 32;
/// The length of 48 bytes in base64url.
const SECRET_LENGTH: usize = (RANDOM_BYTES + MAC_BYTES) * 4 / 3;
/// The length of the text in a key of a Chevereto installation.
const CHEVERETO_TEXT_LENGTH: usize = 64;
/// Row ids count up from 1, and 15 digits stay below 2^53.
const MAX_ID_DIGITS: usize = 15;
/// The highest id that a key's text can have.
const MAX_ID: i64 = 10_i64.pow(15) - 1;

/// Issues and checks keys under a secret. During a rotation it also checks, but never issues, keys under the previous secret.
#[derive(Clone)]
pub struct KeySecret {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

impl KeySecret {
    /// Takes the value of `CHEVERETO_TENANTS_API_KEY_SECRET`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self {
            current: keyed(secret.bytes()),
            previous: None,
        }
    }

    /// Accepts keys that were issued under the previous secret, too (`CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS`).
    #[must_use]
    pub fn after(mut self, previous: &Secret) -> Self {
        self.previous = Some(keyed(previous.bytes()));
        self
    }

    /// Issues the key of a row, under the current secret.
    ///
    /// # Errors
    /// If the host has no randomness.
    pub fn issue(&self, id: u64, random: &mut dyn Random) -> Result<IssuedKey, RandomUnavailable> {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES + MAC_BYTES]);
        random.fill(&mut bytes[..RANDOM_BYTES])?;
        let prefix = format!("chv_{id}_");
        let mac = mac(&self.current, &prefix, &bytes[..RANDOM_BYTES])
            .finalize()
            .into_bytes();
        bytes[RANDOM_BYTES..].copy_from_slice(&mac);
        let text = Zeroizing::new(prefix + &URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let digest = digest(&text);
        Ok(IssuedKey { text, digest })
    }

    /// Secrets for fingerprints of requests: from the current secret, and from the previous one if there is one. No key's MAC is of such a text.
    pub(super) fn derived(&self) -> ([u8; 32], Option<[u8; 32]>) {
        let derive = |secret: &Hmac<Sha256>| -> [u8; 32] {
            let mut mac = secret.clone();
            mac.update(FINGERPRINTS);
            mac.finalize().into_bytes().into()
        };
        (derive(&self.current), self.previous.as_ref().map(derive))
    }

    /// The MAC of a text for another purpose, under the current secret. No key's own MAC is of a text that begins with a purpose.
    pub(super) fn vouch(&self, purpose: &[u8], text: &[u8]) -> [u8; MAC_BYTES] {
        vouching(&self.current, purpose, text)
            .finalize()
            .into_bytes()
            .into()
    }

    /// Whether this is such a MAC, under the current secret or the previous one. Compares in constant time.
    pub(super) fn has_vouched(&self, purpose: &[u8], text: &[u8], mac: &[u8]) -> bool {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .any(|secret| vouching(secret, purpose, text).verify_slice(mac).is_ok())
    }

    /// The signing secret of a key that this service issued, if the key is bound (contract §13): HMAC-SHA256 in hexadecimal digits, under the
    /// secret that the key itself was issued under. No key's own MAC is of such a text.
    #[must_use]
    pub fn signing_secret(&self, key: &ClaimedKey<'_>) -> Secret {
        let under = match &self.previous {
            Some(previous) if key.is_under_previous => previous,
            _ => &self.current,
        };
        signing_secret(under, key.key)
    }

    /// The same, of a key that was just issued.
    #[must_use]
    pub fn signing_secret_of_issued(&self, key: &IssuedKey) -> Secret {
        signing_secret(&self.current, &key.text)
    }

    /// Checks a key's form and its MAC. Only the database knows whether the key was deleted or has expired.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for the form, [`KeyError::Forged`] for the MAC.
    pub fn verify<'k>(&self, key: &'k str) -> Result<ClaimedKey<'k>, KeyError> {
        let (id, secret) = key
            .strip_prefix("chv_")
            .and_then(|rest| rest.split_once('_'))
            .ok_or(KeyError::Malformed)?;
        let number = row_id(id).ok_or(KeyError::Malformed)?;
        if secret.len() != SECRET_LENGTH {
            return self.verify_chevereto(number, key);
        }
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES + MAC_BYTES]);
        URL_SAFE_NO_PAD
            .decode_slice(secret, bytes.as_mut_slice())
            .map_err(|_| KeyError::Malformed)?;
        let (random, claimed) = bytes.split_at(RANDOM_BYTES);
        let prefix = &key[..key.len() - secret.len()];
        // `verify_slice` compares in constant time.
        let holds =
            |secret: &Hmac<Sha256>| mac(secret, prefix, random).verify_slice(claimed).is_ok();
        Ok(ClaimedKey {
            id: number,
            key,
            is_imported: false,
            is_under_previous: self.is_under_previous(holds)?,
        })
    }

    /// Checks the rest of a key of a Chevereto installation.
    fn verify_chevereto<'k>(&self, id: i64, key: &'k str) -> Result<ClaimedKey<'k>, KeyError> {
        let (signed, mac) = key
            .strip_prefix("chv_")
            .and_then(|rest| rest.rsplit_once('_'))
            .ok_or(KeyError::Malformed)?;
        let (_, text) = signed.split_once('_').ok_or(KeyError::Malformed)?;
        let mut claimed = [0; MAC_BYTES];
        hex::decode_to_slice(mac, &mut claimed).map_err(|_| KeyError::Malformed)?;
        if text.len() != CHEVERETO_TEXT_LENGTH || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(KeyError::Malformed);
        }
        let holds = |secret: &Hmac<Sha256>| {
            let mut mac = secret.clone();
            mac.update(signed.as_bytes());
            mac.verify_slice(&claimed).is_ok()
        };
        Ok(ClaimedKey {
            id,
            key,
            is_imported: true,
            is_under_previous: self.is_under_previous(holds)?,
        })
    }

    /// Whether a key was issued under the previous secret.
    fn is_under_previous(&self, holds: impl Fn(&Hmac<Sha256>) -> bool) -> Result<bool, KeyError> {
        if holds(&self.current) {
            Ok(false)
        } else if self.previous.as_ref().is_some_and(holds) {
            Ok(true)
        } else {
            Err(KeyError::Forged)
        }
    }
}

/// The id of a key to issue. `None` if no key's text can have it, so that a key with it would be refused for ever.
pub(crate) fn issuable(id: i64) -> Option<u64> {
    u64::try_from(id)
        .ok()
        .filter(|_| (1..=MAX_ID).contains(&id))
}

/// Reads the id of a key's row.
pub(super) fn row_id(text: &str) -> Option<i64> {
    let digits = text.as_bytes();
    let ok = (1..=MAX_ID_DIGITS).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] != b'0';
    text.parse().ok().filter(|_| ok)
}

fn vouching(secret: &Hmac<Sha256>, purpose: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = secret.clone();
    mac.update(purpose);
    mac.update(text);
    mac
}

fn mac(secret: &Hmac<Sha256>, prefix: &str, random: &[u8]) -> Hmac<Sha256> {
    let mut mac = secret.clone();
    mac.update(prefix.as_bytes());
    mac.update(random);
    mac
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// The purpose of the secrets that are derived for fingerprints of requests. It keeps them apart from all other uses of the same key.
pub(super) const FINGERPRINTS: &[u8] = b"tenants idempotency fingerprints";

/// The purpose of the signing secrets that are derived from keys.
const SIGNING: &[u8] = b"tenants signing ";

fn signing_secret(under: &Hmac<Sha256>, key: &str) -> Secret {
    let mut mac = under.clone();
    mac.update(SIGNING);
    mac.update(key.as_bytes());
    Secret::new(hex_text(&mac.finalize().into_bytes()))
}

/// The digest of a bound key, made from that of its text. It is none that an ordinary key has, so a request finds its key only if it is signed
/// in the key's own way, and earlier releases, which know no bound keys, find none at all.
#[must_use]
pub fn bound_digest(digest: &str) -> String {
    format!("bound:{digest}")
}

/// The state of an HMAC after its key. Every message under the key starts from a copy of it.
pub(super) fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length (RFC 2104 §2)"
    )]
    Hmac::new_from_slice(secret).expect("HMAC takes a key of any length")
}

/// The digest of a key that was taken over from a Chevereto installation. Nobody has the key's text then, so its digest cannot be known. No
/// key that is issued here has this one, and of the keys with a valid MAC only that of the same id.
#[must_use]
pub fn imported_digest(id: i64) -> String {
    format!("chevereto:{id}")
}

fn digest(key: &str) -> String {
    hex_text(&Sha256::digest(key))
}

/// A key that was just issued. Its text is known only now, since the database keeps the digest alone.
pub struct IssuedKey {
    text: Zeroizing<String>,
    digest: String,
}

impl IssuedKey {
    /// The key, to show once.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The key's digest for `api_keys.digest`: SHA-256 in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedKey(…)")
    }
}

/// A key with a valid form and MAC. It was issued under one of the secrets, but may have been deleted or have expired since.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimedKey<'k> {
    id: i64,
    key: &'k str,
    /// Whether the key has the form of a Chevereto installation.
    is_imported: bool,
    is_under_previous: bool,
}

impl ClaimedKey<'_> {
    /// The row's id, of 1 to 15 digits.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Tells the secrets of a key from each other: the beginning of the SHA-256 of its text.
    pub(crate) fn tag(&self) -> u64 {
        let digest = Sha256::digest(self.key);
        digest
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// The key's digest, as in `api_keys.digest`.
    #[must_use]
    pub fn digest(&self) -> String {
        if self.is_imported {
            imported_digest(self.id)
        } else {
            digest(self.key)
        }
    }
}

impl fmt::Debug for ClaimedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimedKey({}, …)", self.id)
    }
}

/// The reason why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The text does not have the form `chv_<id>_<secret>`.
    Malformed,
    /// The MAC is wrong: the key was not issued under any of the secrets.
    Forged,
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::{KeyError, KeySecret, imported_digest, issuable};
    use crate::crypto::secret::Secret;
    use crate::testing::Counter;

    fn secret(text: &str) -> KeySecret {
        KeySecret::new(&Secret::new(text.into()))
    }

    #[test]
    fn an_issued_key_has_the_contracts_form_and_verifies() {
        let issued = secret("s").issue(7, &mut Counter::default()).unwrap();
        assert!(issued.text().starts_with("chv_7_"));
        assert_eq!(issued.text().len(), "chv_7_".len() + 64);
        let claimed = secret("s").verify(issued.text()).unwrap();
        assert_eq!(claimed.id(), 7);
        assert_eq!(claimed.digest(), issued.digest());
    }

    #[test]
    fn a_key_under_another_secret_or_with_another_id_is_forged() {
        let issued = secret("s").issue(7, &mut Counter::default()).unwrap();
        assert_eq!(secret("t").verify(issued.text()), Err(KeyError::Forged));
        let other_id = issued.text().replace("chv_7_", "chv_8_");
        assert_eq!(secret("s").verify(&other_id), Err(KeyError::Forged));
    }

    #[test]
    fn during_a_rotation_both_secrets_verify_and_the_current_one_issues() {
        let rotating = secret("new").after(&Secret::new("s".into()));
        let old = secret("s").issue(7, &mut Counter::default()).unwrap();
        assert_eq!(rotating.verify(old.text()).unwrap().digest(), old.digest());
        let new = rotating.issue(8, &mut Counter::default()).unwrap();
        assert!(secret("new").verify(new.text()).is_ok());
        assert_eq!(secret("s").verify(new.text()), Err(KeyError::Forged));
        let foreign = secret("t").issue(7, &mut Counter::default()).unwrap();
        assert_eq!(rotating.verify(foreign.text()), Err(KeyError::Forged));
    }

    #[test]
    fn a_signing_secret_is_that_of_the_key_and_of_the_secret_it_was_issued_under() {
        let issued = secret("s").issue(7, &mut Counter::default()).unwrap();
        let shown = secret("s").signing_secret_of_issued(&issued);
        // Python: hmac.new(b"s", b"tenants signing " + key, "sha256").hexdigest()
        assert_eq!(
            issued.text(),
            "chv_7_AQIDBAUGBwgJCgsMDQ4PECnjLbSXUxSgzy3uXmspmx--b7sydPGZUlUEWII9fmXQ"
        );
        assert_eq!(
            shown.text(),
            "f9fdd010b9c51f96e4a527f1b7e167872332d19f2753a79de8eae5fa277846b2"
        );
        let rotating = secret("new").after(&Secret::new("s".into()));
        let claimed = rotating.verify(issued.text()).unwrap();
        assert_eq!(rotating.signing_secret(&claimed).text(), shown.text());
        let other = secret("s").issue(8, &mut Counter::default()).unwrap();
        let other = secret("s").signing_secret_of_issued(&other);
        assert_ne!(other.text(), shown.text());
    }

    #[test]
    fn only_an_id_that_a_keys_text_can_have_is_issuable() {
        assert_eq!([-1, 0, 1_000_000_000_000_000].map(issuable), [None; 3]);
        for id in [1, 999_999_999_999_999] {
            let issued = secret("s")
                .issue(issuable(id).unwrap(), &mut Counter::default())
                .unwrap();
            assert_eq!(secret("s").verify(issued.text()).unwrap().id(), id);
        }
    }

    #[test]
    fn a_text_without_the_form_of_a_key_is_malformed() {
        let issued = secret("s").issue(7, &mut Counter::default()).unwrap();
        let tail = issued.text().strip_prefix("chv_7_").unwrap();
        for bad in [
            String::new(),
            "chv_".into(),
            "chv_7".into(),
            "chv_7_".into(),
            format!("chv__{tail}"),
            format!("chv_0_{tail}"),
            format!("chv_07_{tail}"),
            format!("chv_-7_{tail}"),
            format!("chv_+7_{tail}"),
            format!("chv_1234567890123456_{tail}"),
            format!("CHV_7_{tail}"),
            format!("chv_7_{tail}A"),
            format!("chv_7_{}", &tail[1..]),
            format!("chv_7_{}=", &tail[1..]),
            format!("chv_7_{}+", &tail[1..]),
            format!(" {}", issued.text()),
        ] {
            assert_eq!(secret("s").verify(&bad), Err(KeyError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_key_of_a_chevereto_installation_is_proven_by_its_mac_alone() {
        let file = include_str!("../../../../tests/vectors/chevereto.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let vectors = file["api_keys"].as_array().unwrap();
        assert_eq!(vectors.len(), 2);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let (key, keys) = (text("key"), secret(text("secret")));
            let id: i64 = key.split('_').nth(1).unwrap().parse().unwrap();
            let claimed = keys.verify(key).unwrap();
            assert_eq!((claimed.id(), claimed.digest()), (id, imported_digest(id)));
            let rotating = secret("new").after(&Secret::new(text("secret").into()));
            let again = rotating.verify(key).unwrap();
            assert_eq!((again.id(), again.digest()), (id, imported_digest(id)));
            assert_eq!(secret("other").verify(key), Err(KeyError::Forged));
            let other_id = key.replacen(&format!("chv_{id}_"), "chv_7_", 1);
            assert_eq!(keys.verify(&other_id), Err(KeyError::Forged));
            let (head, mac) = key.rsplit_once('_').unwrap();
            for bad in [
                format!("{head}_"),
                format!("{head}_{}", &mac[2..]),
                format!("{head}_{mac}00"),
                format!("{head}0_{mac}"),
                format!("{}-_{mac}", &head[..head.len() - 1]),
                format!("{head}__{mac}"),
            ] {
                assert_eq!(keys.verify(&bad), Err(KeyError::Malformed), "{bad}");
            }
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let issued = secret("s").issue(7, &mut Counter::default()).unwrap();
        let printed = format!("{issued:?} {:?}", secret("s"));
        assert_eq!(printed, "IssuedKey(…) KeySecret(…)");
    }
}
