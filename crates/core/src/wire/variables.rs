//! The maps `limits` and `env` (contract §5): variables by name.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::value::text::quote;
use crate::wire::body::{self, Json, Text, Wrong, members, pointer_token};

/// The most entries that a map may have.
pub const MAX_ENTRIES: usize = 256;

/// The longest name, in characters.
pub const MAX_NAME_LENGTH: usize = 128;

/// The longest `limits` of a request, in bytes of its JSON as it is stored and exported (there an apostrophe takes two).
///
/// D1 refuses a statement of more than 100,000 bytes, and its export writes a row as one statement. So the texts of a row must fit into one:
/// `limits` 20,000, `env` 53,399 (40,000 and 24 of nonce and 16 of tag, in base64, and 11 of prefix), `labels` 12,000, a plan's description
/// 8,000, which leaves 6,601 for everything else (less than 4,100: names of columns, ids, hostname, external id, sixteen counters, a plan's
/// name, times).
pub const MAX_LIMITS_BYTES: usize = 20_000;

/// The longest `env` of a request, in bytes of its JSON. See [`MAX_LIMITS_BYTES`].
pub const MAX_ENV_BYTES: usize = 40_000;

/// The longest description of a plan, in bytes as it is exported. See [`MAX_LIMITS_BYTES`].
pub const MAX_DESCRIPTION_BYTES: usize = 8_000;

/// Returns the length of a text in D1's export, without the quotes around it. An apostrophe is doubled, and a line end becomes an escape of
/// two characters.
pub(crate) fn exported_bytes(text: &str) -> usize {
    let doubled = text.bytes().filter(|b| matches!(b, b'\'' | b'\n' | b'\r'));
    text.len() + doubled.count()
}

/// A map of variables, sorted by name. It has at most [`MAX_ENTRIES`] entries. A name is `[A-Z][A-Z0-9_]*` of at most
/// [`MAX_NAME_LENGTH`] characters, and a value is a text.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<String, String>);

/// Shows the names only, since a value may be a secret.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Variables {
    /// Reads `limits` from a request: a map of at most [`MAX_LIMITS_BYTES`].
    pub(crate) fn read_limits(value: Json<'_>) -> body::Checked<Self> {
        let map = Self::read(value)?;
        let bytes = exported_bytes(&map.to_stored());
        if bytes > MAX_LIMITS_BYTES {
            return Err(format!(
                "expected at most {MAX_LIMITS_BYTES} bytes of JSON, where an apostrophe counts twice; got {bytes}"
            )
            .into());
        }
        Ok(map)
    }

    /// Reads `env` from a request: a map of at most [`MAX_ENV_BYTES`].
    pub(crate) fn read_env(value: Json<'_>) -> body::Checked<Self> {
        let map = Self::read(value)?;
        let bytes = Zeroizing::new(map.to_stored()).len();
        if bytes > MAX_ENV_BYTES {
            return Err(
                format!("expected at most {MAX_ENV_BYTES} bytes of JSON; got {bytes}").into(),
            );
        }
        Ok(map)
    }

    /// Reads a map: an object of strings. A number or a boolean becomes its text.
    fn read(value: Json<'_>) -> body::Checked<Self> {
        let raw = match value {
            Json::Object(raw) => raw,
            // PHP decodes an empty object to an empty array, and encodes that as `[]`.
            Json::Array { is_empty: true, .. } => return Ok(Self::default()),
            other => return Err(format!("expected an object; got {}", other.kind()).into()),
        };
        let members = members(raw)?;
        if members.len() > MAX_ENTRIES {
            return Err(format!(
                "expected at most {MAX_ENTRIES} entries; got {}",
                members.len()
            )
            .into());
        }
        let mut map = BTreeMap::new();
        let mut wrong = Wrong::default();
        for (name, raw) in members {
            let value = check_name(&name).and_then(|()| match Json::of(raw)? {
                Json::String(text) => Ok(text.into_owned()),
                Json::Number(text) => Ok(text.into()),
                Json::Boolean(b) => Ok(if b { "true" } else { "false" }.into()),
                // The message names the kind only, since a value may be a secret.
                other => Err(format!(
                    "expected a string, a number or a boolean; got {}",
                    other.kind()
                )),
            });
            let value = wrong.sort_out(&pointer_token(&name), value.map_err(Wrong::from));
            if let Some(value) = value {
                map.insert(name.into_owned(), value);
            }
        }
        wrong.or(Self(map))
    }

    /// Reads a map from a configuration variable: a JSON object, as in a request.
    ///
    /// # Errors
    /// A sentence that names every error, without any value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|e| format!("expected a JSON object: {e}"))?;
        Json::of(raw)
            .map_err(Wrong::from)
            .and_then(Self::read)
            .map_err(|Wrong(list)| {
                let all: Vec<String> = list
                    .iter()
                    .map(|(at, detail)| format!("{at}: {detail}").trim_start_matches(": ").into())
                    .collect();
                all.join("; ")
            })
    }

    /// Reads a map that [`Variables::to_stored`] wrote.
    ///
    /// # Errors
    /// A sentence that quotes nothing of the text.
    pub fn from_stored(text: &str) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Stored(BTreeMap<String, String>);

        let Stored(map) = serde_json::from_str(text).map_err(|_| NOT_STORED)?;
        if map.keys().all(|name| check_name(name).is_ok()) {
            Ok(Self(map))
        } else {
            Err(NOT_NAMED.into())
        }
    }

    /// Writes the map as a text to store.
    #[must_use]
    pub fn to_stored(&self) -> String {
        // Strings always encode.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the map has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both maps in one. A name of both has the value of `over`.
    pub(crate) fn merged(under: Option<Self>, over: Option<Self>) -> Self {
        let mut all = under.unwrap_or_default();
        all.0.extend(over.unwrap_or_default().0);
        all
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A map as its JSON text. The text is checked but not parsed into a map, since responses repeat it as it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct VariablesText(Zeroizing<String>);

impl fmt::Debug for VariablesText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VariablesText(…)")
    }
}

impl VariablesText {
    /// The empty map.
    pub(crate) fn empty() -> Self {
        Self(Zeroizing::new("{}".into()))
    }

    /// Checks a text that [`Variables::to_stored`] wrote.
    ///
    /// # Errors
    /// A sentence that quotes nothing of the text.
    pub(crate) fn from_stored(text: Zeroizing<String>) -> Result<Self, String> {
        let Checked { names_ok } = serde_json::from_str(&text).map_err(|_| NOT_STORED)?;
        if names_ok {
            Ok(Self(text))
        } else {
            Err(NOT_NAMED.into())
        }
    }

    /// The text: a JSON object of strings.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Variables> for VariablesText {
    fn from(map: &Variables) -> Self {
        Self(Zeroizing::new(map.to_stored()))
    }
}

const NOT_STORED: &str = "is not a JSON object of strings";
const NOT_NAMED: &str = "has a name that is not of [A-Z][A-Z0-9_]*";

/// The result of checking an object of strings without keeping it.
struct Checked {
    names_ok: bool,
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyObject;

        impl<'de> Visitor<'de> for AnyObject {
            type Value = Checked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
                let mut names_ok = true;
                while let Some(Text(name)) = map.next_key()? {
                    names_ok &= check_name(&name).is_ok();
                    let Text(_) = map.next_value()?;
                }
                Ok(Checked { names_ok })
            }
        }

        deserializer.deserialize_map(AnyObject)
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let bytes = name.as_bytes();
    let ok = bytes.len() <= MAX_NAME_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_uppercase)
        && bytes
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    if ok {
        Ok(())
    } else {
        Err(format!(
            "expected a name of [A-Z][A-Z0-9_]*, at most {MAX_NAME_LENGTH} characters; got {}",
            quote(name)
        ))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use serde_json::value::RawValue;
    use zeroize::Zeroizing;

    use super::{Variables, VariablesText};
    use crate::wire::body::{Json, Wrong};

    fn read(text: &str) -> Result<Variables, Vec<(String, String)>> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Json::of(raw)
            .map_err(Wrong::from)
            .and_then(Variables::read)
            .map_err(|Wrong(list)| list)
    }

    #[test]
    fn numbers_and_booleans_become_their_text() {
        let map = read(r#"{"B":1.50,"A":true,"C":"é\n","D":-0,"E":1e3}"#).unwrap();
        assert_eq!(
            map.to_stored(),
            r#"{"A":"true","B":"1.50","C":"é\n","D":"-0","E":"1e3"}"#
        );
        assert_eq!(Variables::from_stored(&map.to_stored()).unwrap(), map);
    }

    #[test]
    fn every_invalid_entry_is_named() {
        let wrong =
            read(r#"{"a":"1","B":null,"C/~":"x","D":["secret"],"E":"x\u0000","_F":"1","G":"1"}"#)
                .unwrap_err();
        let at: Vec<&str> = wrong.iter().map(|(at, _)| at.as_str()).collect();
        assert_eq!(at, ["/a", "/B", "/C~1~0", "/D", "/E", "/_F"]);
        assert!(!format!("{wrong:?}").contains("secret"));
        assert!(read("[]").unwrap().is_empty());
        assert!(read("[ \n]").unwrap().is_empty());
        assert!(read(r#"["A"]"#).is_err());
        assert!(read(r#"{"A":"1","A":"2"}"#).is_err());
    }

    #[test]
    fn maps_and_names_beyond_the_limits_are_refused() {
        let entries = |n: usize| {
            let all: Vec<String> = (0..n).map(|i| format!(r#""V{i}":"""#)).collect();
            format!("{{{}}}", all.join(","))
        };
        assert!(read(&entries(256)).is_ok());
        assert!(read(&entries(257)).is_err());
        let name = |n: usize| format!(r#"{{"{}":""}}"#, "N".repeat(n));
        assert!(read(&name(128)).is_ok());
        assert!(read(&name(129)).is_err());
    }

    #[test]
    fn debug_output_shows_no_value() {
        let map = read(r#"{"A":"hunter2","B":"hunter2"}"#).unwrap();
        assert_eq!(format!("{map:?}"), r#"{"A", "B"}"#);
        assert_eq!(
            format!("{:?}", VariablesText::from(&map)),
            "VariablesText(…)"
        );
    }

    #[test]
    fn stored_text_is_checked() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"a":"1"}"#,
            r#"{"A":1}"#,
            r#"{"A":null}"#,
            r#"{"A":"\ud800"}"#,
        ] {
            assert!(Variables::from_stored(bad).is_err(), "{bad}");
            let text = Zeroizing::new(String::from(bad));
            assert!(VariablesText::from_stored(text).is_err(), "{bad}");
        }
        let map = read(r#"{"A":"é\"\n","B":""}"#).unwrap();
        let text = VariablesText::from_stored(Zeroizing::new(map.to_stored())).unwrap();
        assert_eq!(text.as_str(), map.to_stored());
    }
}
