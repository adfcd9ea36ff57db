//! The sixteen statistics of a tenant's site (contract §5): integers, exact beyond 2^53 too.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::wire::body::Text;
use crate::wire::json::Object;

/// Makes the list of the counters, and the JSON of a tenant that was never counted.
macro_rules! counters {
    (($first:literal, $first_column:literal), $(($name:literal, $column:literal)),+ $(,)?) => {
        /// The counters in the order of the contract: a counter's name, and its column in the statement that counts a tenant.
        pub(crate) const COUNTERS: [(&str, &str); 16] = [($first, $first_column), $(($name, $column)),+];

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

    use super::{Counters, ZERO};

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
