//! Text that is safe to show on a terminal.

use std::fmt::Write as _;

/// Escapes characters that would move the cursor, colour the screen or change the reading direction.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            printable("grüße 世界\u{1b}[2J\u{9b}\u{202e}\n"),
            "grüße 世界\\u{1b}[2J\\u{9b}\\u{202e}\\u{a}"
        );
    }
}
