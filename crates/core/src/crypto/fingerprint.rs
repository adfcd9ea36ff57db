//! Fingerprints of requests, which tell whether a request with a known `Idempotency-Key` is the same one again (contract §12).
//!
//! A fingerprint is an HMAC-SHA256. A plain digest in the database would let its reader guess the password in a body. The secret is derived
//! from the encryption key, or, if none is configured, from the secret of the API keys.

use alloc::string::String;
use core::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::api_key::{KeySecret, keyed};
use super::seal::Sealer;
use crate::value::text::hex_text;

/// Makes fingerprints under a secret. During a rotation it also makes those of the previous secret.
#[derive(Clone)]
pub(crate) struct Fingerprints {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

/// The parts of a request that its fingerprint covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Covered<'a> {
    /// The row id of the API key.
    pub(crate) key_id: i64,
    /// The `Idempotency-Key`.
    pub(crate) key: &'a str,
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) body: &'a [u8],
}

impl Fingerprints {
    /// Derives the secrets. `None` if no secret is configured, in which case there is no caller either.
    pub(crate) fn of(sealer: Option<&Sealer>, keys: Option<&KeySecret>) -> Option<Self> {
        let (current, previous) = match (sealer, keys) {
            (Some(sealer), _) => sealer.derived(),
            (None, Some(keys)) => keys.derived(),
            (None, None) => return None,
        };
        Some(Self {
            current: keyed(&current),
            previous: previous.map(|secret| keyed(&secret)),
        })
    }

    /// The fingerprint under the current secret, and the one under the previous secret if there is one: 64 hexadecimal digits.
    pub(crate) fn make(&self, covered: Covered<'_>) -> (String, Option<String>) {
        (
            covered.fingerprint(&self.current),
            self.previous
                .as_ref()
                .map(|secret| covered.fingerprint(secret)),
        )
    }
}

impl Covered<'_> {
    fn fingerprint(&self, secret: &Hmac<Sha256>) -> String {
        let mut mac = secret.clone();
        mac.update(&self.key_id.to_be_bytes());
        // A length before each part, so that no two requests are the same bytes.
        for part in [
            self.key.as_bytes(),
            self.method.as_bytes(),
            self.target.as_bytes(),
            self.body,
        ] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        hex_text(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprints(…)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::{Covered, Fingerprints};
    use crate::crypto::api_key::KeySecret;
    use crate::crypto::seal::{Sealer, SealingKey};
    use crate::crypto::secret::Secret;

    const REQUEST: Covered<'_> = Covered {
        key_id: 1,
        key: "k",
        method: "POST",
        target: "/a?b",
        body: b"{}",
    };

    fn under(current: u8, previous: Option<u8>) -> Fingerprints {
        let key = |byte: u8| SealingKey::new(&[byte; 32]);
        let sealer = Sealer::new(key(current), previous.map(key));
        Fingerprints::of(Some(&sealer), None).unwrap()
    }

    #[test]
    fn every_part_of_a_request_is_in_its_fingerprint() {
        let of = |covered| under(1, None).make(covered).0;
        let one = of(REQUEST);
        assert_eq!(one.len(), 64);
        assert_eq!(one, of(REQUEST));
        let others = [
            Covered {
                key_id: 2,
                ..REQUEST
            },
            Covered {
                key: "K",
                ..REQUEST
            },
            Covered {
                method: "PATCH",
                ..REQUEST
            },
            Covered {
                target: "/a?c",
                ..REQUEST
            },
            // The same bytes, split elsewhere.
            Covered {
                target: "/a?b{",
                body: b"}",
                ..REQUEST
            },
            Covered {
                body: b"{ }",
                ..REQUEST
            },
        ];
        for other in others {
            assert_ne!(one, of(other), "{other:?}");
        }
    }

    #[test]
    fn during_a_rotation_there_is_the_previous_fingerprint_as_well() {
        let (old, none) = under(1, None).make(REQUEST);
        let (new, previous) = under(2, Some(1)).make(REQUEST);
        assert_eq!((none, previous), (None, Some(old.clone())));
        assert_ne!(new, old);
    }

    #[test]
    fn without_an_encryption_key_the_secret_of_the_keys_serves() {
        let keys = KeySecret::new(&Secret::new("the secret of keys".into()));
        let made = Fingerprints::of(None, Some(&keys)).unwrap().make(REQUEST);
        assert_ne!(made.0, under(1, None).make(REQUEST).0);
        let rotated = KeySecret::new(&Secret::new("another secret".into()))
            .after(&Secret::new("the secret of keys".into()));
        let again = Fingerprints::of(None, Some(&rotated)).unwrap();
        assert_eq!(again.make(REQUEST).1, Some(made.0));
        assert!(Fingerprints::of(None, None).is_none());
        assert_eq!(alloc::format!("{again:?}"), String::from("Fingerprints(…)"));
    }
}
