//! The values of a request's body: what the contract's fields tell apart, and what is wrong with them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::value::text::quote;

/// The members of a JSON object in their order. Their values are not parsed yet.
#[derive(Debug)]
pub(crate) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl Members<'_> {
    /// Refuses a repeated name, since two parsers could read such an object in two ways.
    pub(super) fn once_each(self) -> Result<Self, String> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(format!(
                "expected each name once; {} comes twice",
                quote(twice[0])
            )),
            None => Ok(self),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyObject;

        impl<'de> Visitor<'de> for AnyObject {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(AnyObject)
    }
}

/// A string of JSON, such as a member's name. It is borrowed if it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;

        impl<'de> Visitor<'de> for AnyText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }

        deserializer.deserialize_str(AnyText)
    }
}

/// A valid value, or its errors.
pub(crate) type Checked<T> = Result<T, Wrong>;

/// The errors of one field: a JSON pointer below the field (empty for the field itself), and a message.
#[derive(Debug, Default)]
pub(crate) struct Wrong(pub(crate) Vec<(String, String)>);

impl Wrong {
    /// Returns what was read of a member or of an item, or notes what is wrong with it.
    pub(crate) fn sort_out<T>(&mut self, token: &str, read: Checked<T>) -> Option<T> {
        let below = |(at, detail)| (format!("/{token}{at}"), detail);
        read.map_err(|Self(errors)| self.0.extend(errors.into_iter().map(below)))
            .ok()
    }

    /// Notes a member that an object does not have.
    pub(crate) fn unknown(&mut self, token: &str, expected: &str) {
        self.0.push((format!("/{token}"), expected.into()));
    }

    /// Returns a member that an object must have, or notes that it is missing. One that was wrong is noted already.
    pub(crate) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let at = format!("/{name}");
        let is_noted = |(noted, _): &(String, String)| {
            noted
                .strip_prefix(&at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if value.is_none() && !self.0.iter().any(is_noted) {
            self.0.push((at, MISSING.into()));
        }
        value
    }

    /// The value, if nothing is wrong.
    pub(crate) fn or<T>(self, value: T) -> Checked<T> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

/// The detail of a field that must be there and is not.
pub(super) const MISSING: &str = "required; it is missing";

impl From<String> for Wrong {
    fn from(detail: String) -> Self {
        Self([(String::new(), detail)].into())
    }
}

/// A JSON value, as far as the contract's fields tell them apart.
#[derive(Debug)]
pub(crate) enum Json<'a> {
    Null,
    Boolean(bool),
    /// A number, as the body writes it.
    Number(&'a str),
    String(Cow<'a, str>),
    Array {
        is_empty: bool,
        raw: &'a RawValue,
    },
    Object(&'a RawValue),
}

impl<'a> Json<'a> {
    pub(crate) fn of(raw: &'a RawValue) -> Result<Self, String> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'"') => {
                let Text(string) = serde_json::from_str(text).map_err(|_| {
                    "expected valid Unicode; found a lone surrogate escape".to_string()
                })?;
                if string.contains('\0') {
                    return Err("expected text without U+0000".into());
                }
                Self::String(string)
            }
            Some(b'[') => Self::Array {
                is_empty: text[1..].trim_ascii_start().starts_with(']'),
                raw,
            },
            Some(b'{') => Self::Object(raw),
            _ => Self::Number(text),
        })
    }

    /// The kind of value, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array { .. } => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Parses a string.
    pub(crate) fn parsed<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Checked<T> {
        match self {
            Self::String(text) => parse(&text).map_err(Wrong::from),
            other => Err(format!("expected a string; got {}", other.kind()).into()),
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(self) -> Checked<bool> {
        match self {
            Self::Boolean(b) => Ok(b),
            other => Err(format!("expected true or false; got {}", other.kind()).into()),
        }
    }

    /// Reads `1` or `0`, or a boolean.
    pub(crate) fn legacy_boolean(self) -> Checked<bool> {
        match self {
            Self::Boolean(b) => Ok(b),
            Self::Number("1") => Ok(true),
            Self::Number("0") => Ok(false),
            other => Err(format!("expected 1 or 0, or true or false; got {}", other.kind()).into()),
        }
    }

    /// Reads an array of at most `most` items, which `what` names. Every item that is wrong is an error.
    pub(crate) fn each<T>(
        self,
        (most, what): (usize, &str),
        mut read: impl FnMut(Self) -> Checked<T>,
    ) -> Checked<Vec<T>> {
        let Self::Array { raw, .. } = self else {
            return Err(format!("expected an array; got {}", self.kind()).into());
        };
        let items: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|e| Wrong::from(format!("expected an array: {e}")))?;
        if items.len() > most {
            return Err(format!("expected at most {most} {what}; got {}", items.len()).into());
        }
        let mut wrong = Wrong::default();
        let mut all = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let item = Self::of(item).map_err(Wrong::from).and_then(&mut read);
            all.extend(wrong.sort_out(&i.to_string(), item));
        }
        wrong.or(all)
    }

    /// Reads a whole number from 0 to a limit.
    pub(crate) fn whole_number(self, max: u32) -> Checked<u32> {
        let expected = || format!("expected a whole number from 0 to {max}");
        match self {
            // JSON has one kind of number: 60.0 is the whole number 60.
            Self::Number(text) => match whole(text).parse() {
                Ok(n) if n <= max => Ok(n),
                _ => Err(format!("{}; got {}", expected(), quote(text)).into()),
            },
            other => Err(format!("{}; got {}", expected(), other.kind()).into()),
        }
    }

    /// Reads a whole number within bounds.
    pub(crate) fn whole(self, least: i64, most: i64) -> Checked<i64> {
        let expected = || format!("expected a whole number from {least} to {most}");
        match self {
            Self::Number(text) => match whole(text).parse() {
                Ok(n) if (least..=most).contains(&n) => Ok(n),
                _ => Err(format!("{}; got {}", expected(), quote(text)).into()),
            },
            other => Err(format!("{}; got {}", expected(), other.kind()).into()),
        }
    }

    /// Reads `null`, or a value by `read`.
    pub(crate) fn nullable<T>(self, read: impl FnOnce(Self) -> Checked<T>) -> Checked<Option<T>> {
        match self {
            Self::Null => Ok(None),
            other => read(other).map(Some),
        }
    }
}

/// A number without a fraction of zeros.
fn whole(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => number,
    }
}

/// The members of an object.
pub(crate) fn members(raw: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
    serde_json::from_str::<Members<'_>>(raw.get())
        .map_err(|e| format!("expected an object: {e}"))?
        .once_each()
        .map(|members| members.0)
}

/// Writes a name as a token of a JSON pointer (RFC 6901 §3), shortened to 200 characters.
pub(crate) fn pointer_token(name: &str) -> String {
    const SHOWN: usize = 200;
    let short: String = name.chars().take(SHOWN).collect();
    short.replace('~', "~0").replace('/', "~1")
}
