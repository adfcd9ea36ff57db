//! The sixteen statistics of a tenant's site (contract §5): integers, exact beyond 2^53 too.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};

use crate::value::text::hex_text;
use crate::wire::body::Text;
use crate::wire::json::Object;

/// Makes the list of the counters, and the JSON of a tenant that was never counted.
macro_rules! counters {
    (($first:literal, $first_column:literal), $(($name:literal, $column:literal)),+ $(,)?) => {
        /// The counters in the order of the contract: a counter's name, and its column in the statement that counts a tenant.
        pub(crate) const COUNTERS: [(&str, &str); 16] = [($first, $first_column), $(($name, $column)),+];

        /// The names of the counters of a site (contract §5), in the order of the contract.
        pub const NAMES: [&str; 16] = [$first, $($name),+];

        /// All counters at zero, as JSON.
        pub(crate) const ZERO: &str = concat!("{\"", $first, "\":0", $(",\"", $name, "\":0",)+ "}");
    };
}

counters!(
    ("tags", "tags.n"),
    ("files", "files.n"),
    ("pages", "pages.n"),
    ("users", "users.n"),
    ("admins", "users.admins"),
    ("albums", "albums.n"),
    ("managers", "users.managers"),
    ("storages", "storages.n"),
    // Seconds that the last run of the site's own jobs took.
    ("cron_time", "jobs.seconds"),
    ("categories", "categories.n"),
    ("file_likes", "likes.of_files"),
    ("file_views", "files.views"),
    ("album_likes", "likes.of_albums"),
    ("album_views", "albums.views"),
    // Bytes.
    ("storage_used", "files.bytes"),
    ("login_providers", "login_providers.n"),
);

/// The counters of one tenant, in the order of [`COUNTERS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counters([u64; COUNTERS.len()]);

impl Counters {
    /// Reads the stored JSON object, which must have every counter once and nothing else.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn from_stored(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("is not the statistics in JSON: {e}"))
    }

    /// Appends the counters as JSON.
    pub(crate) fn write_json(&self, out: &mut String) {
        let members = COUNTERS.iter().zip(self.0);
        members
            .fold(Object::begin(out), |object, ((name, _), value)| {
                object.raw(name, &value.to_string())
            })
            .end();
    }
}

/// A digest of a tenant's statistics, 16 hexadecimal digits. `None` if the tenant was never counted.
pub(crate) fn digest(stats: Option<&Counters>, last_job_at: Option<&str>) -> Option<String> {
    if stats.is_none() && last_job_at.is_none() {
        return None;
    }
    let mut digest = Sha256::new();
    for value in stats.map_or([0; COUNTERS.len()], |counters| counters.0) {
        digest.update(value.to_be_bytes());
    }
    digest.update(last_job_at.unwrap_or_default());
    Some(hex_text(&digest.finalize()[..8]))
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOfThem;

        impl<'de> Visitor<'de> for AllOfThem {
            type Value = Counters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of the sixteen counters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counters, A::Error> {
                let mut values = [None; COUNTERS.len()];
                while let Some(Text(name)) = map.next_key()? {
                    let at = COUNTERS.iter().position(|(counter, _)| *counter == name);
                    let at = at.ok_or_else(|| A::Error::custom("unknown counter"))?;
                    if values[at].replace(map.next_value::<u64>()?).is_some() {
                        return Err(A::Error::custom("repeated counter"));
                    }
                }
                let mut all = [0; COUNTERS.len()];
                for (at, value) in values.into_iter().enumerate() {
                    all[at] = value.ok_or_else(|| A::Error::custom("missing counter"))?;
                }
                Ok(Counters(all))
            }
        }

        deserializer.deserialize_map(AllOfThem)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::{Counters, ZERO, digest};

    fn written(text: &str) -> String {
        let mut out = String::new();
        Counters::from_stored(text).unwrap().write_json(&mut out);
        out
    }

    #[test]
    fn counters_beyond_2_to_the_53_stay_exact() {
        assert_eq!(written(ZERO), ZERO);
        let large = ZERO.replace(r#""storage_used":0"#, r#""storage_used":9007199254740993"#);
        assert_eq!(written(&large), large);
    }

    #[test]
    fn a_digest_names_every_counter_and_the_time() {
        let zero = Counters::from_stored(ZERO).unwrap();
        let one = Counters::from_stored(&ZERO.replace(r#""users":0"#, r#""users":1"#)).unwrap();
        let other = Counters::from_stored(&ZERO.replace(r#""tags":0"#, r#""tags":1"#)).unwrap();
        let all = [
            digest(None, None),
            digest(Some(&zero), None),
            digest(Some(&zero), Some("2026-08-18 23:16:57")),
            digest(Some(&zero), Some("2026-08-18 23:16:58")),
            digest(Some(&one), Some("2026-08-18 23:16:57")),
            digest(Some(&other), Some("2026-08-18 23:16:57")),
        ];
        assert_eq!(all[0], None);
        for (i, digest) in all.iter().enumerate().skip(1) {
            assert_eq!(digest.as_ref().unwrap().len(), 16);
            assert!(!all[..i].contains(digest));
        }
    }

    #[test]
    fn every_counter_comes_once_and_no_other_does() {
        for bad in [
            "{}".into(),
            ZERO.replace(r#""tags":0,"#, ""),
            ZERO.replace(r#""tags":0"#, r#""tags":0,"tags":0"#),
            ZERO.replace(r#""tags":0"#, r#""tags":0,"more":0"#),
            ZERO.replace(r#""tags":0"#, r#""tags":-1"#),
        ] {
            assert!(Counters::from_stored(&bad).is_err(), "{bad}");
        }
    }
}
