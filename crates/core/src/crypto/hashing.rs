//! Passwords of a site's users: their length, and their hashes.
//!
//! A hash is Argon2id (RFC 9106) as a PHC string, which PHP's `password_verify` reads (contract §8). The password itself is zeroed when
//! dropped, prints as `Secret(…)`, and never reaches a log, a row or an audit entry.

use alloc::format;
use alloc::string::{String, ToString as _};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::crypto::secret::Secret;
use crate::value::fault::{ApiError, Internal};
use crate::value::random::{Random, RandomUnavailable};

/// A password: 6 to 128 characters of any kind.
#[derive(Debug, Clone)]
pub(crate) struct Password(Secret);

impl Password {
    /// Parses a password. The error does not quote it.
    pub(crate) fn parse(text: Secret) -> Result<Self, String> {
        let length = text.text().chars().count();
        if (6..=128).contains(&length) {
            Ok(Self(text))
        } else {
            Err(format!("expected 6 to 128 characters; got {length}"))
        }
    }

    /// A password that nobody can guess: 120 random bits, as 20 characters of base64url.
    pub(crate) fn generate(random: &mut dyn Random) -> Result<Self, ApiError> {
        let mut bytes = Zeroizing::new([0; 15]);
        random.fill(bytes.as_mut()).map_err(no_random)?;
        Ok(Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// The password itself.
    pub(crate) fn text(&self) -> &str {
        self.0.text()
    }
}

/// The cost of a hash: Argon2id's memory and passes. There is always one lane, because PHP may use libsodium's Argon2, which supports
/// no other number.
#[derive(Debug, Clone)]
pub struct Hashing(Params);

impl Hashing {
    /// The default memory of a hash, in KiB (contract §8).
    pub const DEFAULT_MEMORY_KIB: u32 = 19_456;
    /// The default number of passes of a hash (contract §8).
    pub const DEFAULT_PASSES: u32 = 2;

    /// The most memory of a hash, in KiB. A Worker has 128 MB for everything, and WebAssembly never gives memory back.
    pub const MAX_MEMORY_KIB: u32 = 64 * 1024;

    /// The most passes over the memory. Ten passes over 64 MiB take about a second.
    pub const MAX_PASSES: u32 = 10;

    /// OWASP's minimal settings, as memory in KiB and passes. All of them give the same protection
    /// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>).
    const LEAST: [(u32, u32); 5] = [
        (47_104, 1),
        (19_456, 2),
        (12_288, 3),
        (9_216, 4),
        (7_168, 5),
    ];

    /// Takes the memory in KiB and the number of passes.
    ///
    /// # Errors
    /// A sentence, if the cost is below OWASP's minimum or too high for a Worker.
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self, String> {
        let enough = Self::LEAST
            .iter()
            .any(|(memory, least)| memory_kib >= *memory && passes >= *least);
        if !enough || memory_kib > Self::MAX_MEMORY_KIB || passes > Self::MAX_PASSES {
            let least = Self::LEAST.map(|(memory, passes)| format!("{memory} with {passes}"));
            return Err(format!(
                "expected at most {} KiB and {} passes, and at least as much as one of {}; got {memory_kib} with {passes}",
                Self::MAX_MEMORY_KIB,
                Self::MAX_PASSES,
                least.join(", ")
            ));
        }
        Params::new(memory_kib, passes, 1, None)
            .map(Self)
            .map_err(|e| e.to_string())
    }

    /// Hashes a password with a salt of 16 random bytes: `$argon2id$v=19$m=…,t=…,p=1$<salt>$<hash>`.
    pub(crate) fn hash(
        &self,
        password: &Password,
        random: &mut dyn Random,
    ) -> Result<String, ApiError> {
        let mut salt = [0; 16];
        random.fill(&mut salt).map_err(no_random)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.clone())
            .hash_password_with_salt(password.text().as_bytes(), &salt)
            .map(|hash| hash.to_string())
            // argon2's errors are about lengths and memory, and quote nothing of the password.
            .map_err(|e| ApiError::Internal(Internal::Hashing(e.to_string())))
    }
}

impl Default for Hashing {
    /// argon2's own default. A test checks that it is the contract's.
    fn default() -> Self {
        Self(Params::default())
    }
}

fn no_random(RandomUnavailable: RandomUnavailable) -> ApiError {
    ApiError::Internal(Internal::Random)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{Hashing, Password};
    use crate::crypto::secret::Secret;
    use crate::testing::Counter;
    use crate::value::random::Random as _;

    fn parse(text: &str) -> Result<Password, String> {
        Password::parse(Secret::new(text.into()))
    }

    #[test]
    fn a_password_has_6_to_128_characters() {
        for good in ["secret", "éééééé", "      ", &"🐘".repeat(128)] {
            assert_eq!(parse(good).unwrap().text(), good);
        }
        for bad in ["", "short", "🐘🐘🐘🐘🐘", &"x".repeat(129)] {
            let refused = parse(bad).unwrap_err();
            assert!(refused.starts_with("expected 6 to 128 characters; got "));
        }
        assert!(!parse("12345").unwrap_err().contains("12345"));
        assert_eq!(
            alloc::format!("{:?}", parse("hunter2").unwrap()),
            "Password(Secret(…))"
        );
    }

    #[test]
    fn a_generated_password_has_more_than_96_random_bits() {
        let random = &mut Counter::default();
        let one = Password::generate(random).unwrap();
        let other = Password::generate(random).unwrap();
        assert_eq!(one.text().len(), 20);
        // All 15 bytes are in it: 6 bits a character.
        assert_eq!(one.text(), "AQIDBAUGBwgJCgsMDQ4P");
        assert_eq!(other.text(), "EBESExQVFhcYGRobHB0e");
        assert!(parse(one.text()).is_ok());
    }

    #[test]
    fn only_costs_within_the_limits_are_accepted() {
        for (memory, passes) in [
            (19_456, 2),
            (47_104, 1),
            (12_288, 3),
            (9_216, 4),
            (7_168, 5),
            (7_168, 10),
            (65_536, 10),
            (20_000, 3),
        ] {
            assert!(Hashing::new(memory, passes).is_ok(), "{memory} {passes}");
        }
        for (memory, passes) in [
            (19_455, 2),
            (19_456, 1),
            (47_103, 1),
            (7_167, 10),
            (7_168, 4),
            (65_537, 2),
            (65_536, 11),
            (0, 0),
            (u32::MAX, 2),
        ] {
            assert!(Hashing::new(memory, passes).is_err(), "{memory} {passes}");
        }
    }

    /// Other tests check the same file in WebAssembly and with PHP's `password_verify`.
    #[test]
    fn every_host_makes_the_same_hash() {
        let vectors = include_str!("../../../../tests/vectors/passwords.json");
        let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let cost = [text("memory_kib"), text("passes")].map(|n| n.parse().unwrap());
            // Skip 100 bytes, so that the salt counts up from 101.
            let random = &mut Counter::default();
            random.fill(&mut [0; 100]).unwrap();
            let hash = Hashing::new(cost[0], cost[1])
                .unwrap()
                .hash(&parse(text("password")).unwrap(), random);
            assert_eq!(hash.unwrap(), text("hash"));
        }
    }

    #[test]
    fn a_hash_is_a_phc_string_with_its_own_salt() {
        let default = Hashing::new(Hashing::DEFAULT_MEMORY_KIB, Hashing::DEFAULT_PASSES);
        assert_eq!(default.unwrap().0, Hashing::default().0);
        let random = &mut Counter::default();
        let password = parse("mypassword").unwrap();
        let one = Hashing::default().hash(&password, random).unwrap();
        let other = Hashing::default().hash(&password, random).unwrap();
        assert!(
            one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$AQIDBAUGBwgJCgsMDQ4PEA$"),
            "{one}"
        );
        assert_ne!(one, other);
        assert_eq!(one.rsplit('$').next().unwrap().len(), 43, "32 bytes");
        let other_cost = Hashing::new(7_168, 5)
            .unwrap()
            .hash(&password, random)
            .unwrap();
        assert!(
            other_cost.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"),
            "{other_cost}"
        );
    }
}
