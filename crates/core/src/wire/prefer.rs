//! The header `Prefer` (RFC 7240): what a caller would like of the response. A preference asks for nothing that has to be, so one that is unknown
//! or malformed is ignored, and the rest of the header holds.

use alloc::string::String;

/// The preferences that the API knows. The first one of a name counts (RFC 7240 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Preferences {
    /// `return`
    pub(crate) returns: Option<Returns>,
    /// `respond-async`: the caller would rather have a 202 at once than wait.
    pub(crate) responds_async: bool,
    /// `wait`: how long the caller would wait, in seconds. No bound is applied; a longer time than fits is the longest one.
    pub(crate) wait_seconds: Option<u32>,
}

/// The values of `return` (RFC 7240 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    /// The resource, as it is after the request.
    Representation,
    /// No more than there has to be.
    Minimal,
}

/// The value of `Preference-Applied`, if the response is the resource.
pub(crate) const RETURNS_REPRESENTATION: &str = "return=representation";

impl Preferences {
    /// Whether the caller would like the resource in place of an empty response.
    pub(crate) fn wants_representation(self) -> bool {
        self.returns == Some(Returns::Representation)
    }

    /// Reads the header. The values of a repeated one are joined by commas.
    pub(crate) fn read(header: &str) -> Self {
        let (mut returns, mut responds_async, mut wait_seconds) = (None, None, None);
        for preference in parts(header, ',') {
            let Some((name, value)) = named_value(preference) else {
                continue;
            };
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("return") {
                returns.get_or_insert_with(|| Returns::named(&value));
            } else if is("respond-async") {
                responds_async.get_or_insert(value.is_empty());
            } else if is("wait") {
                wait_seconds.get_or_insert_with(|| seconds(&value));
            }
        }
        Self {
            returns: returns.flatten(),
            responds_async: responds_async.unwrap_or(false),
            wait_seconds: wait_seconds.flatten(),
        }
    }
}

impl Returns {
    fn named(value: &str) -> Option<Self> {
        let is = |other: &str| value.eq_ignore_ascii_case(other);
        if is("representation") {
            Some(Self::Representation)
        } else {
            is("minimal").then_some(Self::Minimal)
        }
    }
}

/// Reads a number of seconds (RFC 9110 §10.2.3, `delay-seconds`).
fn seconds(value: &str) -> Option<u32> {
    let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    // Digits alone fail to be a number only if it is too large.
    is_number.then(|| value.parse().unwrap_or(u32::MAX))
}

/// Splits a list at a separator that is in no quoted text.
fn parts(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    list.split(move |c| {
        if core::mem::take(&mut is_escaped) {
            return false;
        }
        match c {
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            _ => return c == separator && !is_quoted,
        }
        false
    })
}

/// Reads the name and the value of a preference. Its parameters follow a semicolon, and none is known. An empty value is the same as none (RFC 7240
/// §2). `None` if the preference is malformed.
fn named_value(preference: &str) -> Option<(&str, String)> {
    let preference = parts(preference, ';').next()?.trim_matches(BLANK);
    let Some((name, value)) = preference.split_once('=') else {
        return Some((preference, String::new()));
    };
    let value = value.trim_start_matches(BLANK);
    let value = match value.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None => value.into(),
    };
    Some((name.trim_end_matches(BLANK), value))
}

/// The content of a quoted string (RFC 9110 §5.6.4) after its first quote, if its last quote ends it.
fn unquoted(rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

/// Optional white space (RFC 9110 §5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::{Preferences, Returns};

    const NONE: Preferences = Preferences {
        returns: None,
        responds_async: false,
        wait_seconds: None,
    };
    const REPRESENTATION: Preferences = Preferences {
        returns: Some(Returns::Representation),
        ..NONE
    };
    const ASYNC: Preferences = Preferences {
        responds_async: true,
        ..NONE
    };

    fn waits(seconds: u32) -> Preferences {
        Preferences {
            wait_seconds: Some(seconds),
            ..NONE
        }
    }

    #[test]
    fn the_known_preferences_are_found_anywhere_in_the_list() {
        let all = Preferences {
            returns: Some(Returns::Minimal),
            responds_async: true,
            wait_seconds: Some(10),
        };
        for (header, expected) in [
            ("return=representation", REPRESENTATION),
            ("Return = \"Representation\"", REPRESENTATION),
            (r#"return="repre\sentation""#, REPRESENTATION),
            ("return=representation; foo=bar; baz", REPRESENTATION),
            ("foo, return=representation", REPRESENTATION),
            (
                r#"foo="a, return=minimal", return=representation"#,
                REPRESENTATION,
            ),
            (
                r#"foo="\", return=minimal" , return=representation"#,
                REPRESENTATION,
            ),
            (
                r#"foo; bar="x;y,z", ,return=representation"#,
                REPRESENTATION,
            ),
            (r"foo=\, return=representation", REPRESENTATION),
            ("respond-async", ASYNC),
            ("RESPOND-ASYNC;a", ASYNC),
            ("respond-async=", ASYNC),
            ("respond-async=\"\"", ASYNC),
            ("wait=10", waits(10)),
            ("wait=\"010\"", waits(10)),
            ("wait=0", waits(0)),
            ("wait=4294967296", waits(u32::MAX)),
            ("\treturn=minimal, wait=10, respond-async ", all),
            ("respond-async,wait=10,return=minimal", all),
        ] {
            assert_eq!(Preferences::read(header), expected, "{header}");
        }
    }

    #[test]
    fn the_first_of_a_name_counts() {
        for (header, expected) in [
            ("return=representation, return=minimal", REPRESENTATION),
            ("return=other, return=minimal", NONE),
            ("wait=1, wait=2", waits(1)),
            ("wait=x, wait=2", NONE),
            ("respond-async, respond-async=no", ASYNC),
            ("respond-async=no, respond-async", NONE),
        ] {
            assert_eq!(Preferences::read(header), expected, "{header}");
        }
    }

    #[test]
    fn anything_else_is_ignored() {
        for header in [
            "",
            ",",
            "=",
            ";",
            "return",
            "return=",
            "return=representation2",
            "return representation",
            "return==representation",
            "return='representation'",
            "return=\"representation",
            "return=\"representation\"x",
            "\"return\"=representation",
            "x-return=representation",
            "foo; return=representation",
            "foo=\"a, return=representation",
            "wait",
            "wait=",
            "wait=-1",
            "wait=+1",
            "wait=1.5",
            "wait=1 0",
            "respond-async=yes",
            "respond_async",
            "handling=strict",
            "é=\"\\",
        ] {
            assert_eq!(Preferences::read(header), NONE, "{header}");
        }
        let rest = "return=representation\", wait=1, respond-async";
        assert_eq!(
            Preferences::read(rest),
            NONE,
            "an open quote takes the rest"
        );
    }
}
