//! Helpers for text in messages, in digests and in Traefik's configuration.

use alloc::format;
use alloc::string::String;

/// Quotes a caller's text for a message: puts it in backticks, cuts it after 64 characters, and escapes control characters.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut out = String::from("`");
    for c in text.chars().take(SHOWN) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out.push('`');
    out
}

/// Parses the name of a Traefik entry point or service. The service's name is also a host in a URL. An `@` would name another
/// provider, and is refused.
///
/// # Errors
/// A sentence with the expected form and the given text.
pub(crate) fn traefik_name(text: &str) -> Result<String, String> {
    let ok = (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if ok {
        Ok(text.into())
    } else {
        Err(format!(
            "expected 1 to 253 of [A-Za-z0-9._-]; got {}",
            quote(text)
        ))
    }
}

/// Writes bytes as lower-case hexadecimal digits. Converts the whole slice in one call, since `hex::encode` goes digit by digit.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    let mut digits = alloc::vec![0; 2 * bytes.len()];
    // The buffer has the exact length, and digits are ASCII.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

/// Whether a text has the form of an epoch of the database, which a cursor begins with: 16 hexadecimal digits.
pub(crate) fn is_epoch(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Reads a whole number of a query parameter: decimal digits only, so without a sign.
pub(crate) fn whole(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(n) if digits && (least..=most).contains(&n) => Ok(n),
        _ => Err(format!(
            "expected a whole number from {least} to {most}; got {}",
            quote(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quoted_text_is_short_and_printable() {
        assert_eq!(quote("a\nb"), "`a\\nb`");
        assert_eq!(quote(&"x".repeat(65)).chars().count(), 64 + 3);
    }
}
