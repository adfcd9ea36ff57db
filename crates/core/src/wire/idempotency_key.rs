//! The header `Idempotency-Key` (contract §12; draft-ietf-httpapi-idempotency-key-header).

use alloc::string::String;

use crate::value::fault::ApiError;

/// The longest key, in characters.
const MAX_LENGTH: usize = 255;

/// Reads the header: 1 to 255 visible ASCII characters. The draft makes it a string of RFC 9651, in quotes, which are not part of the key. Many
/// clients leave them out. The values of a repeated header are joined by `, `, and a key has no space.
///
/// # Errors
/// 400 if the header has another form.
pub(crate) fn read(value: &str) -> Result<String, ApiError> {
    let value = value.trim_matches([' ', '\t']);
    let key = match value.strip_prefix('"') {
        Some(rest) => unquoted(rest),
        None => Some(value.into()),
    };
    key.filter(|key| {
        (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    })
    .ok_or(ApiError::MalformedHeader {
        name: "Idempotency-Key",
        expected: "1 to 255 visible ASCII characters, once",
    })
}

/// The text of a string of RFC 9651 (§3.3.3) after its first quote, if its last quote ends it.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => key.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_key_is_read_with_and_without_quotes() {
        for (value, key) in [
            ("a", "a"),
            ("\"a\"", "a"),
            (
                " \t8e03978e-40d5-43dd-bc93-6894a57f9324 ",
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
            ),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#"a"b"#, r#"a"b"#),
            ("a,b", "a,b"),
            ("~!#", "~!#"),
        ] {
            assert_eq!(read(value).as_deref(), Ok(key), "{value}");
        }
        let longest = "x".repeat(255);
        assert_eq!(read(&longest).as_ref(), Ok(&longest));
    }

    #[test]
    fn any_other_header_is_malformed() {
        for value in [
            "",
            " ",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b",
            "a b",
            "a, b",
            "\"a\", \"b\"",
            "\"a\";p=1",
            r#""a\b""#,
            r#""a\"#,
            "é",
            "a\u{7f}",
            &"x".repeat(256),
        ] {
            assert!(read(value).is_err(), "{value}");
        }
    }
}
