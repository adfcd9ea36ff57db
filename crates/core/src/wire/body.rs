//! Reading a request's body field by field (contract §2 step 5, §3). An error names every invalid field, not only the first.

mod value;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::value::fault::{ApiError, FieldError};
use crate::wire::dialect::Dialect;
use crate::wire::rule::Rule;

use value::MISSING;
pub(crate) use value::{Checked, Json, Members, Text, Wrong, members, pointer_token};

/// A body before it is read, with the headers that describe it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawBody<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) content_type: Option<&'a str>,
    pub(crate) content_encoding: Option<&'a str>,
}

/// The fields of a body while they are read. Errors collect until [`Fields::finish`], which is the only way to the values.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    members: Members<'a>,
    errors: Vec<FieldError>,
    dialect: Dialect,
    /// The value under `id` of a legacy body that has its identifier under the legacy name, too.
    other_id: Option<&'a RawValue>,
    /// Whether the body had any of the fields that were read so far.
    any: bool,
}

impl<'a> Fields<'a> {
    /// Splits a body into its fields.
    ///
    /// # Errors
    /// 400 if the body is absent, not UTF-8, not JSON or not an object; 415 if its `Content-Type` is not JSON, or if it is encoded.
    pub(crate) fn of(body: RawBody<'a>) -> Result<Self, ApiError> {
        let RawBody {
            bytes,
            content_type,
            content_encoding,
        } = body;
        if bytes.is_empty() {
            return Err(ApiError::BodyMissing);
        }
        if let Some(coding) = content_encoding
            && !coding.trim().eq_ignore_ascii_case("identity")
        {
            return Err(ApiError::ContentEncoding { got: coding.into() });
        }
        if !content_type.is_some_and(is_json) {
            return Err(ApiError::MediaType {
                got: content_type.map(Into::into),
            });
        }
        let malformed = |detail: String| ApiError::MalformedJson { detail };
        let text = core::str::from_utf8(bytes)
            .map_err(|e| malformed(format!("expected UTF-8; byte {} is not", e.valid_up_to())))?;
        if text.starts_with('\u{feff}') {
            // RFC 8259 §8.1 forbids it.
            return Err(malformed(
                "expected JSON without a byte order mark; the body begins with one".into(),
            ));
        }
        if !text.trim_ascii_start().starts_with('{') {
            // Broken JSON is the more helpful message.
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
            other_id: None,
            any: false,
        })
    }

    /// Reads the body as a legacy one: renames `id_field` to `id`, and ignores unknown fields. Chevereto's documentation once had `id` in
    /// this dialect too, so a body may use either name, or both for the same value.
    pub(crate) fn legacy(mut self, id_field: &str) -> Self {
        let members = &mut self.members.0;
        if let Some(at) = members.iter().position(|(name, _)| name == id_field) {
            let plain = members.iter().position(|(name, _)| name == "id");
            self.other_id = plain.map(|plain| members[plain].1);
            members[at].0 = Cow::Borrowed("id");
            if let Some(plain) = plain {
                members.remove(plain);
            }
        }
        self.dialect = Dialect::Legacy;
        self
    }

    /// The dialect of the body.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Splits a body that may be absent.
    pub(crate) fn optional(body: RawBody<'a>) -> Result<Option<Self>, ApiError> {
        if body.bytes.is_empty() {
            Ok(None)
        } else {
            Self::of(body).map(Some)
        }
    }

    /// Requires at least one known field (`names`, for the message). Unknown fields are reported instead, if there are any.
    pub(crate) fn require_any(&mut self, names: &str) {
        probe::any();
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

    /// Records an error.
    pub(crate) fn refuse(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// Takes a part of the path, `id` among others, which would have this pointer in the body.
    pub(crate) fn in_path<T>(
        &mut self,
        pointer: &'static str,
        part: Result<T, String>,
    ) -> Option<T> {
        part.map_err(|detail| self.refuse(FieldError::field(pointer, detail)))
            .ok()
    }

    /// Reads a required field, whose rule the description gives. `None` means that an error was recorded.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        rule: Rule,
        read: impl FnOnce(Json<'a>) -> Checked<T>,
    ) -> Option<T> {
        probe::field(name, rule, true);
        match self.take(name) {
            Some(raw) if name == "id" && self.other_id.is_some_and(|other| !same(raw, other)) => {
                self.refuse(FieldError::field(
                    "/id",
                    "expected the same value as in `id`; got another",
                ));
                None
            }
            Some(raw) => self.check(name, raw, read),
            None => {
                self.refuse(FieldError::field(format!("/{name}"), MISSING));
                None
            }
        }
    }

    /// Reads a required boolean. The legacy dialect also takes `1` and `0`.
    pub(crate) fn required_switch(&mut self, name: &'static str) -> Option<bool> {
        self.required(name, Rule::Switch, switch(self.dialect))
    }

    /// Reads an optional boolean.
    pub(crate) fn maybe_switch(&mut self, name: &'static str) -> Option<Option<bool>> {
        self.maybe(name, Rule::Switch, switch(self.dialect))
    }

    /// Reads an optional field, whose rule the description gives. The outer `None` means that an error was recorded.
    pub(crate) fn maybe<T>(
        &mut self,
        name: &'static str,
        rule: Rule,
        read: impl FnOnce(Json<'a>) -> Checked<T>,
    ) -> Option<Option<T>> {
        probe::field(name, rule, false);
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

    /// Ends the reading. `read` has the values that were read, and comes back if there was no error. In the current dialect, each field
    /// that nobody read is an error.
    ///
    /// # Errors
    /// All errors of the body.
    pub(crate) fn finish<T: Read>(mut self, read: T) -> Result<T::Values, ApiError> {
        if self.dialect == Dialect::Current {
            for (name, _) in &self.members.0 {
                self.errors.push(FieldError::field(
                    format!("/{}", pointer_token(name)),
                    "unknown field",
                ));
            }
        }
        match read.values() {
            Some(values) if self.errors.is_empty() => Ok(values),
            // A value is missing only if its error was recorded.
            _ => Err(ApiError::Invalid(self.errors)),
        }
    }
}

/// Fields that were read: a tuple of options.
pub(crate) trait Read {
    /// The tuple of the values.
    type Values;

    /// The values, if every field has one.
    fn values(self) -> Option<Self::Values>;
}

macro_rules! read {
    ($($field:ident),+) => {
        impl<$($field),+> Read for ($(Option<$field>,)+) {
            type Values = ($($field,)+);

            #[expect(non_snake_case, reason = "a type and its value share a name")]
            fn values(self) -> Option<Self::Values> {
                let ($($field,)+) = self;
                Some(($($field?,)+))
            }
        }
    };
}

read!(A);
read!(A, B);
read!(A, B, C);
read!(A, B, C, D);
read!(A, B, C, D, E);
read!(A, B, C, D, E, F);
read!(A, B, C, D, E, F, G);
read!(A, B, C, D, E, F, G, H);
read!(A, B, C, D, E, F, G, H, I);
read!(A, B, C, D, E, F, G, H, I, J);

/// Whether two values are the same string, however it is escaped, or the same text.
fn same(one: &RawValue, other: &RawValue) -> bool {
    match (Json::of(one), Json::of(other)) {
        (Ok(Json::String(one)), Ok(Json::String(other))) => one == other,
        _ => one.get() == other.get(),
    }
}

/// The reader of a boolean in a dialect.
fn switch(dialect: Dialect) -> fn(Json<'_>) -> Checked<bool> {
    match dialect {
        Dialect::Current => |value| value.boolean(),
        Dialect::Legacy => |value| value.legacy_boolean(),
    }
}

/// Whether a `Content-Type` is `application/json` or `application/…+json`, with any parameters. Case does not matter
/// (RFC 9110 §8.3.1).
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

/// Notes what the readers of bodies read, so that the description has the very same fields. Only tests, which make it, note anything.
#[cfg(not(test))]
mod probe {
    use crate::wire::rule::Rule;

    pub(super) fn field(_: &'static str, _: Rule, _: bool) {}
    pub(super) fn any() {}
}

#[cfg(test)]
pub(crate) mod probe {
    use alloc::vec::Vec;
    use core::cell::RefCell;

    use crate::wire::rule::Rule;

    /// The fields of one body.
    #[derive(Debug, Default)]
    pub(crate) struct Seen {
        /// Name, rule, and whether the field is required.
        pub(crate) fields: Vec<(&'static str, Rule, bool)>,
        /// Whether the body needs at least one of them.
        pub(crate) any: bool,
    }

    std::thread_local! {
        static SEEN: RefCell<Seen> = RefCell::default();
    }

    /// The fields that this thread has read since the last call.
    pub(crate) fn take() -> Seen {
        SEEN.take()
    }

    pub(super) fn field(name: &'static str, rule: Rule, required: bool) {
        SEEN.with_borrow_mut(|seen| seen.fields.push((name, rule, required)));
    }

    pub(super) fn any() {
        SEEN.with_borrow_mut(|seen| seen.any = true);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{Fields, RawBody, is_json};
    use crate::value::fault::{ApiError, FieldError};
    use crate::wire::rule::Rule;

    const JSON: Option<&str> = Some("application/json");

    fn raw<'a>(bytes: &'a [u8], content_type: Option<&'a str>) -> RawBody<'a> {
        RawBody {
            bytes,
            content_type,
            content_encoding: None,
        }
    }

    /// The detail of a body that is not a JSON object.
    fn malformed(bytes: &[u8]) -> String {
        match Fields::of(raw(bytes, JSON)) {
            Err(ApiError::MalformedJson { detail }) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_media_types_are_recognised() {
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
    fn a_body_that_is_not_a_json_object_in_utf8_is_refused() {
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
                    Fields::of(raw(body, content_type)),
                    Err(ApiError::MalformedJson { .. })
                ),
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
        assert_eq!(
            Fields::of(raw(b"", JSON)).unwrap_err(),
            ApiError::BodyMissing
        );
        assert!(matches!(
            Fields::of(raw(b"{}", None)),
            Err(ApiError::MediaType { got: None })
        ));
        assert!(Fields::of(raw(b" {\"a\" : 1}\n", JSON)).is_ok());
        assert!(Fields::optional(raw(b"", None)).unwrap().is_none());
    }

    #[test]
    fn every_invalid_field_is_named() {
        let body = br#"{"n":1,"s":"x\u0000","l":"\ud800","b":"true","z~/":0}"#;
        let mut fields = Fields::of(raw(body, JSON)).unwrap();
        let mut text =
            |name| fields.required(name, Rule::PlanName, |v| v.parsed(|s| Ok(String::from(s))));
        let (n, s, l) = (text("n"), text("s"), text("l"));
        assert_eq!((&n, &s, &l), (&None, &None, &None));
        let b = fields.maybe("b", Rule::Boolean, super::Json::boolean);
        assert_eq!(b, None);
        assert_eq!(
            fields.maybe("absent", Rule::Boolean, super::Json::boolean),
            Some(None)
        );
        assert_eq!(
            fields.required("gone", Rule::Boolean, super::Json::boolean),
            None
        );
        let Err(ApiError::Invalid(errors)) = fields.finish((n, s, l, b)) else {
            panic!("the body was accepted")
        };
        let expected: Vec<FieldError> = [
            ("/n", "expected a string; got a number"),
            ("/s", "expected text without U+0000"),
            (
                "/l",
                "expected valid Unicode; found a lone surrogate escape",
            ),
            ("/b", "expected true or false; got a string"),
            ("/gone", "required; it is missing"),
            ("/z~0~1", "unknown field"),
        ]
        .map(|(at, detail)| FieldError::field(at, detail))
        .into();
        assert_eq!(errors, expected);
    }

    #[test]
    fn a_byte_order_mark_is_named() {
        assert_eq!(
            malformed(b"\xef\xbb\xbf{}"),
            "expected JSON without a byte order mark; the body begins with one"
        );
    }

    #[test]
    fn an_encoded_body_is_a_415_that_names_the_coding() {
        let encoded = |coding| {
            Fields::of(RawBody {
                content_encoding: Some(coding),
                ..raw(b"{}", JSON)
            })
        };
        assert!(encoded("Identity").is_ok());
        for coding in ["gzip", "br, identity", ""] {
            let got = coding.into();
            assert_eq!(
                encoded(coding).unwrap_err(),
                ApiError::ContentEncoding { got }
            );
        }
    }

    #[test]
    fn a_legacy_body_has_its_identifier_under_either_name() {
        let id = |body: &'static str| {
            let mut fields = Fields::of(raw(body.as_bytes(), JSON))
                .unwrap()
                .legacy("tenant_id");
            let id = fields.required("id", Rule::TenantId, |v| v.parsed(|s| Ok(String::from(s))));
            fields.finish((id,)).map(|(id,)| id)
        };
        for body in [
            r#"{"tenant_id":"a"}"#,
            r#"{"id":"a"}"#,
            r#"{"id":"a","tenant_id":"a"}"#,
            r#"{"tenant_id":"a","id":"\u0061"}"#,
        ] {
            assert_eq!(id(body), Ok("a".into()), "{body}");
        }
        for body in [
            r#"{"tenant_id":"a","id":"b"}"#,
            r#"{"tenant_id":"a","id":null}"#,
        ] {
            assert!(matches!(id(body), Err(ApiError::Invalid(_))), "{body}");
        }
    }
}
