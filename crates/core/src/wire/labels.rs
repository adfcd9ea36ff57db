//! The labels of a tenant or a plan: texts by name, which a list can filter by.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::value::patch::Edit;
use crate::value::text::quote;
use crate::wire::body::{Checked, Json, Wrong, members, pointer_token};
use crate::wire::variables::exported_bytes;

/// The most labels that a tenant or a plan may have. The statements of `store/` have the number, too.
pub(crate) const MAX_LABELS: usize = 32;

/// The longest labels of a resource, in bytes of their JSON as it is stored and exported (there an apostrophe takes two): see
/// [`MAX_LIMITS_BYTES`](crate::wire::variables::MAX_LIMITS_BYTES). The statements of `store/` have the number, too.
pub(crate) const MAX_LABELS_BYTES: usize = 12_000;

/// The longest name of a label, in characters.
const MAX_NAME_LENGTH: usize = 63;

/// The longest value of a label, in characters.
const MAX_VALUE_CHARACTERS: usize = 255;

/// The labels of a resource, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Labels(BTreeMap<String, String>);

/// A change to labels (RFC 7396): `None` removes a label, a text sets it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct LabelsPatch(BTreeMap<String, Option<String>>);

impl Labels {
    /// Reads the labels of a new resource: an object of strings.
    pub(crate) fn read(value: Json<'_>) -> Checked<Self> {
        let labels =
            read_members(value, MAX_LABELS, |value| value.parsed(parse_value)).map(Self)?;
        let bytes = exported_bytes(&labels.to_json());
        if bytes > MAX_LABELS_BYTES {
            return Err(format!(
                "expected at most {MAX_LABELS_BYTES} bytes of JSON, where an apostrophe counts twice; got {bytes}"
            )
            .into());
        }
        Ok(labels)
    }

    /// Reads a stored text.
    ///
    /// # Errors
    /// A sentence that quotes nothing of the text.
    pub(crate) fn from_stored(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|_| "is not a JSON object of strings".into())
    }

    /// The change that turns other labels into these.
    pub(crate) fn change_of(&self, other: &Self) -> Edit<LabelsPatch> {
        let set = self
            .0
            .iter()
            .filter(|(name, value)| other.0.get(*name) != Some(*value))
            .map(|(name, value)| (name.clone(), Some(value.clone())));
        let removed = other.0.keys().filter(|name| !self.0.contains_key(*name));
        let mut patch = BTreeMap::new();
        // `collect` sorts first, and would add 2 kB of gzipped wasm.
        for (name, value) in set.chain(removed.map(|name| (name.clone(), None))) {
            patch.insert(name, value);
        }
        if patch.is_empty() {
            Edit::Keep
        } else {
            Edit::Set(LabelsPatch(patch))
        }
    }

    /// Writes the labels as JSON, to store them or to send them.
    pub(crate) fn to_json(&self) -> String {
        // Strings always encode.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl LabelsPatch {
    /// Reads an object of strings and `null`s: enough to replace all labels by others.
    pub(crate) fn read(value: Json<'_>) -> Checked<Self> {
        read_members(value, 2 * MAX_LABELS, |value| {
            value.nullable(|value| value.parsed(parse_value))
        })
        .map(Self)
    }

    /// Writes the patch for SQLite's `json_patch`.
    pub(crate) fn to_json(&self) -> String {
        // Strings always encode.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn read_members<T>(
    value: Json<'_>,
    most: usize,
    read: impl Fn(Json<'_>) -> Checked<T>,
) -> Checked<BTreeMap<String, T>> {
    let raw = match value {
        Json::Object(raw) => raw,
        // PHP decodes an empty object to an empty array, and encodes that as `[]`.
        Json::Array { is_empty: true, .. } => return Ok(BTreeMap::new()),
        other => return Err(format!("expected an object; got {}", other.kind()).into()),
    };
    let members = members(raw)?;
    if members.len() > most {
        return Err(format!("expected at most {most} labels; got {}", members.len()).into());
    }
    let mut map = BTreeMap::new();
    let mut wrong = Wrong::default();
    for (name, raw) in members {
        let value = parse_name(&name)
            .map_err(Wrong::from)
            .and_then(|()| read(Json::of(raw)?));
        if let Some(value) = wrong.sort_out(&pointer_token(&name), value) {
            map.insert(name.into_owned(), value);
        }
    }
    wrong.or(map)
}

/// Checks the name of a label.
///
/// # Errors
/// A sentence with the expected form and the given text.
pub(crate) fn parse_name(name: &str) -> Result<(), String> {
    let ok = (1..=MAX_NAME_LENGTH).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if ok {
        Ok(())
    } else {
        Err(format!(
            "expected a name of 1 to {MAX_NAME_LENGTH} of [a-z0-9._-]; got {}",
            quote(name)
        ))
    }
}

/// Parses the value of a label.
///
/// # Errors
/// A sentence with the expected and the actual length.
pub(crate) fn parse_value(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0..=MAX_VALUE_CHARACTERS => Ok(text.into()),
        length => Err(format!(
            "expected at most {MAX_VALUE_CHARACTERS} characters; got {length}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use serde_json::value::RawValue;

    use super::{Labels, LabelsPatch};
    use crate::value::patch::Edit;
    use crate::wire::body::{Checked, Json, Wrong};

    fn read<T>(text: &str, read: impl Fn(Json<'_>) -> Checked<T>) -> Result<T, Vec<String>> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Json::of(raw)
            .map_err(Wrong::from)
            .and_then(read)
            .map_err(|Wrong(list)| list.into_iter().map(|(at, _)| at).collect())
    }

    #[test]
    fn labels_are_sorted_and_a_patch_keeps_its_nulls() {
        let labels = read(r#"{"b":"","a.b_c-1":"é"}"#, Labels::read).unwrap();
        assert_eq!(labels.to_json(), r#"{"a.b_c-1":"é","b":""}"#);
        assert_eq!(Labels::from_stored(&labels.to_json()).unwrap(), labels);
        let patch = read(r#"{"b":null,"a":"1"}"#, LabelsPatch::read).unwrap();
        assert_eq!(patch.to_json(), r#"{"a":"1","b":null}"#);
        assert_eq!(read("[]", Labels::read).unwrap(), Labels::default());
    }

    #[test]
    fn the_change_from_one_set_of_labels_to_another_names_what_differs() {
        let read = |text| read(text, Labels::read).unwrap();
        let (old, new) = (
            read(r#"{"a":"1","b":"2","c":"3"}"#),
            read(r#"{"b":"2","c":"4","d":"5"}"#),
        );
        let Edit::Set(patch) = new.change_of(&old) else {
            panic!("they differ");
        };
        assert_eq!(patch.to_json(), r#"{"a":null,"c":"4","d":"5"}"#);
        assert_eq!(new.change_of(&new), Edit::Keep);
    }

    #[test]
    fn every_invalid_label_is_named() {
        let long = "n".repeat(64);
        let text = format!(
            r#"{{"A":"1","":"1","b/c":"1","{long}":"1","d":1,"e":null,"f":"{}","g":"1"}}"#,
            "x".repeat(256)
        );
        let long = format!("/{long}");
        assert_eq!(
            read(&text, Labels::read).unwrap_err(),
            ["/A", "/", "/b~1c", &long, "/d", "/e", "/f"]
        );
        assert_eq!(read("1", Labels::read).unwrap_err(), [""]);
        let many = |count: usize| {
            let all: Vec<String> = (0..count).map(|i| format!(r#""l{i}":"""#)).collect();
            read(&format!("{{{}}}", all.join(",")), Labels::read).is_ok()
        };
        assert!(many(32) && !many(33));
    }
}
