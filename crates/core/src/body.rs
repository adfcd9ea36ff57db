//! A request's body as fields: read once, checked field by field, every wrong one named (contract §2 step 5, §3).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::problem::{ApiError, FieldError, quote};

/// A JSON object's members, unread, in their order.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Members<'_> {
    /// Refuses a name that comes twice: two readers of such an object could read two things.
    fn once_each(self) -> Result<Self, String> {
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
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(AnyObject)
    }
}

/// A text, such as a member's name: borrowed where it has no escapes.
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyName;

        impl<'de> Visitor<'de> for AnyName {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.into())))
            }
        }

        deserializer.deserialize_str(AnyName)
    }
}

/// The fields of a body, being read. What is wrong is kept until [`Fields::finish`], which wants every field to have been
/// asked for.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    members: Members<'a>,
    errors: Vec<FieldError>,
    dialect: Dialect,
    /// Whether any field was there that was asked for.
    any: bool,
}

impl<'a> Fields<'a> {
    /// Reads a body that is needed.
    ///
    /// # Errors
    /// 400 where there is none, where it is not UTF-8, not JSON, or not an object; 415 where it is not said to be JSON.
    pub(crate) fn of(body: &'a [u8], content_type: Option<&str>) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Err(ApiError::BodyMissing);
        }
        if !content_type.is_some_and(is_json) {
            return Err(ApiError::MediaType {
                got: content_type.map(Into::into),
            });
        }
        let malformed = |detail: String| ApiError::MalformedJson { detail };
        let text = core::str::from_utf8(body)
            .map_err(|e| malformed(format!("expected UTF-8; byte {} is not", e.valid_up_to())))?;
        if !text.trim_ascii_start().starts_with('{') {
            // Whether it is JSON at all is told first.
            serde_json::from_str::<&RawValue>(text)
                .map_err(|e| malformed(format!("expected JSON: {e}")))?;
            return Err(malformed(
                "expected a JSON object; got another kind of JSON".into(),
            ));
        }
        let members: Members<'_> =
            serde_json::from_str(text).map_err(|e| malformed(format!("expected JSON: {e}")))?;
        Ok(Self {
            members: members.once_each().map_err(malformed)?,
            errors: Vec::new(),
            dialect: Dialect::Current,
            any: false,
        })
    }

    /// The fields of a legacy body: its name for the identifier is `id` from here on, and unknown ones are passed over.
    pub(crate) fn legacy(mut self, id_field: &str) -> Self {
        self.members.0.retain(|(name, _)| name != "id");
        for (name, _) in &mut self.members.0 {
            if name == id_field {
                *name = Cow::Borrowed("id");
            }
        }
        self.dialect = Dialect::Legacy;
        self
    }

    /// Which dialect's body it is.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads a body that may be absent: `None` then.
    pub(crate) fn optional(
        body: &'a [u8],
        content_type: Option<&str>,
    ) -> Result<Option<Self>, ApiError> {
        if body.is_empty() {
            Ok(None)
        } else {
            Self::of(body, content_type).map(Some)
        }
    }

    /// Wants at least one field of those that were asked for; `names` lists them. One that is unknown is told as such instead.
    pub(crate) fn require_any(&mut self, names: &str) {
        let nothing = match self.dialect {
            Dialect::Current => self.members.0.is_empty(),
            Dialect::Legacy => true,
        };
        if !self.any && nothing {
            self.refuse(FieldError::field(
                "",
                format!("expected at least one of {names}"),
            ));
        }
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.0.iter().position(|(n, _)| n == name)?;
        self.any = true;
        Some(self.members.0.remove(at).1)
    }

    /// Says that something is wrong.
    pub(crate) fn refuse(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// A field that must be there. `None` means that it is wrong, and has been noted.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Json<'a>) -> Checked<T>,
    ) -> Option<T> {
        match self.take(name) {
            Some(raw) => self.check(name, raw, read),
            None => {
                self.refuse(FieldError::field(
                    format!("/{name}"),
                    "required; it is missing",
                ));
                None
            }
        }
    }

    /// A boolean that must be there: a legacy one may be `1` or `0`.
    pub(crate) fn required_switch(&mut self, name: &'static str) -> Option<bool> {
        self.required(name, self.dialect.switch())
    }

    /// A boolean that may be absent.
    pub(crate) fn maybe_switch(&mut self, name: &'static str) -> Option<Option<bool>> {
        self.maybe(name, self.dialect.switch())
    }

    /// A field that may be absent. The outer `None` means that it is wrong, and has been noted.
    pub(crate) fn maybe<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Json<'a>) -> Checked<T>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            Some(raw) => self.check(name, raw, read).map(Some),
            None => Some(None),
        }
    }

    fn check<T>(
        &mut self,
        name: &str,
        raw: &'a RawValue,
        read: impl FnOnce(Json<'a>) -> Checked<T>,
    ) -> Option<T> {
        match Json::of(raw).map_err(Wrong::from).and_then(read) {
            Ok(value) => Some(value),
            Err(Wrong(list)) => {
                self.errors.extend(
                    list.into_iter().map(|(below, detail)| {
                        FieldError::field(format!("/{name}{below}"), detail)
                    }),
                );
                None
            }
        }
    }

    /// Ends the reading: every field that nothing asked for is unknown, and in the current dialect wrong for it.
    ///
    /// # Errors
    /// Everything that is wrong with the body.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        if self.dialect == Dialect::Current {
            for (name, _) in &self.members.0 {
                self.errors.push(FieldError::field(
                    format!("/{}", pointer_token(name)),
                    "unknown field",
                ));
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(self.errors))
        }
    }
}

/// A value that was checked, or what is wrong with it.
pub(crate) type Checked<T> = Result<T, Wrong>;

/// What is wrong with a field: where below it (a JSON pointer, empty for itself), and what.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) Vec<(String, String)>);

impl From<String> for Wrong {
    fn from(detail: String) -> Self {
        Self([(String::new(), detail)].into())
    }
}

/// A value of JSON, as far as the contract's fields need to tell them apart.
#[derive(Debug)]
pub(crate) enum Json<'a> {
    Null,
    Boolean(bool),
    /// A number, as it is written.
    Number(&'a str),
    String(Cow<'a, str>),
    Array,
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
                let Name(string) = serde_json::from_str(text).map_err(|_| {
                    "expected Unicode text; an escape in it is of no character".to_string()
                })?;
                if string.contains('\0') {
                    return Err("expected text without U+0000".into());
                }
                Self::String(string)
            }
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object(raw),
            _ => Self::Number(text),
        })
    }

    /// What kind of value it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// A string that `parse` takes.
    pub(crate) fn parsed<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Checked<T> {
        match self {
            Self::String(text) => parse(&text).map_err(Wrong::from),
            other => Err(format!("expected a string; got {}", other.kind()).into()),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self) -> Checked<bool> {
        match self {
            Self::Boolean(b) => Ok(b),
            other => Err(format!("expected true or false; got {}", other.kind()).into()),
        }
    }

    /// `1` or `0`, or a boolean.
    pub(crate) fn legacy_boolean(self) -> Checked<bool> {
        match self {
            Self::Boolean(b) => Ok(b),
            Self::Number("1") => Ok(true),
            Self::Number("0") => Ok(false),
            other => Err(format!("expected 1 or 0, or true or false; got {}", other.kind()).into()),
        }
    }

    /// `null`, or what `read` takes.
    pub(crate) fn nullable<T>(self, read: impl FnOnce(Self) -> Checked<T>) -> Checked<Option<T>> {
        match self {
            Self::Null => Ok(None),
            other => read(other).map(Some),
        }
    }
}

/// The members of an object that is already known to be one.
pub(crate) fn members(raw: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
    serde_json::from_str::<Members<'_>>(raw.get())
        .map_err(|e| format!("expected an object: {e}"))?
        .once_each()
        .map(|members| members.0)
}

/// A name as a token of a JSON pointer (RFC 6901 §3), cut where it is longer than anybody reads.
pub(crate) fn pointer_token(name: &str) -> String {
    const SHOWN: usize = 200;
    let short: String = name.chars().take(SHOWN).collect();
    short.replace('~', "~0").replace('/', "~1")
}

/// Whether a `Content-Type` is `application/json` or `application/…+json`, whatever its parameters; types are matched without
/// regard to case (RFC 9110 §8.3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split_once(';')
        .map_or(content_type, |(essence, _)| essence)
        .trim_ascii();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    kind.eq_ignore_ascii_case("application")
        && (subtype.eq_ignore_ascii_case("json")
            || subtype.len().checked_sub("+json".len()).is_some_and(|at| {
                at > 0
                    && subtype.is_char_boundary(at)
                    && subtype[at..].eq_ignore_ascii_case("+json")
            }))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{Fields, is_json};
    use crate::problem::{ApiError, FieldError};

    const JSON: Option<&str> = Some("application/json");

    #[test]
    fn media_types_that_are_json() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
            "application/json;",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "text/json",
            "application/jsonx",
            "application/+json",
            "application",
            "json",
            "text/plain",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn a_body_is_a_json_object_in_utf8_or_400() {
        for (body, content_type) in [
            (&b"{}x"[..], JSON),
            (b"{", JSON),
            (b"[]", JSON),
            (b"null", JSON),
            (b"1", JSON),
            (b"\xff{}", JSON),
            (b"{\"a\":\"\xff\"}", JSON),
            (b"{\"a\":1,\"a\":2}", JSON),
            (b"{'a':1}", JSON),
            (b"\xef\xbb\xbf{}", JSON),
        ] {
            assert!(
                matches!(
                    Fields::of(body, content_type),
                    Err(ApiError::MalformedJson { .. })
                ),
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
        assert_eq!(Fields::of(b"", JSON).unwrap_err(), ApiError::BodyMissing);
        assert!(matches!(
            Fields::of(b"{}", None),
            Err(ApiError::MediaType { got: None })
        ));
        assert!(Fields::of(b" {\"a\" : 1}\n", JSON).is_ok());
        assert!(Fields::optional(b"", None).unwrap().is_none());
    }

    #[test]
    fn every_wrong_field_is_named() {
        let body = br#"{"n":1,"s":"x\u0000","l":"\ud800","b":"true","z~/":0}"#;
        let mut fields = Fields::of(body, JSON).unwrap();
        assert_eq!(
            fields.required("n", |v| v.parsed(|s| Ok(String::from(s)))),
            None
        );
        assert_eq!(
            fields.required("s", |v| v.parsed(|s| Ok(String::from(s)))),
            None
        );
        assert_eq!(
            fields.required("l", |v| v.parsed(|s| Ok(String::from(s)))),
            None
        );
        assert_eq!(fields.maybe("b", super::Json::boolean), None);
        assert_eq!(fields.maybe("absent", super::Json::boolean), Some(None));
        assert_eq!(fields.required("gone", super::Json::boolean), None);
        let Err(ApiError::Invalid(errors)) = fields.finish() else {
            panic!("nothing was wrong")
        };
        let expected: Vec<FieldError> = [
            ("/n", "expected a string; got a number"),
            ("/s", "expected text without U+0000"),
            (
                "/l",
                "expected Unicode text; an escape in it is of no character",
            ),
            ("/b", "expected true or false; got a string"),
            ("/gone", "required; it is missing"),
            ("/z~0~1", "unknown field"),
        ]
        .map(|(at, detail)| FieldError::field(at, detail))
        .into();
        assert_eq!(errors, expected);
    }
}
