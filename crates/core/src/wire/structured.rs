//! Structured fields (RFC 9651): the parts that signatures of requests use.
//!
//! The crate `sfv` reads all of them, but needs `std`, which the core does not have. So these are the rules of RFC 9651 §4.2 for dictionaries,
//! strings, integers, byte sequences and keys, and nothing else.

use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The text is not what a field's definition allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A field's value, from a place in it to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

/// Integers have at most 15 digits (RFC 9651 §3.3.1).
const MAX_DIGITS: usize = 15;

impl<'a> Cursor<'a> {
    /// Begins a field. Spaces around its value do not count.
    pub(crate) fn new(field: &'a str) -> Self {
        Self {
            rest: field.trim_matches(' '),
        }
    }

    /// Whether everything is read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a character, if it is the next one.
    pub(crate) fn eat(&mut self, c: char) -> bool {
        let Some(rest) = self.rest.strip_prefix(c) else {
            return false;
        };
        self.rest = rest;
        true
    }

    /// Reads a character, which must be the next one.
    pub(crate) fn expect(&mut self, c: char) -> Result<(), Malformed> {
        self.eat(c).then_some(()).ok_or(Malformed)
    }

    /// Skips spaces. Returns whether there was one.
    pub(crate) fn spaces(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(' ');
        self.rest.len() < before
    }

    /// Goes from a member of a dictionary to the next one. Returns `false` at the end.
    pub(crate) fn next_member(&mut self) -> Result<bool, Malformed> {
        if self.is_at_end() {
            return Ok(false);
        }
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.expect(',')?;
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        // A comma at the end is an error (RFC 9651 §4.2.2).
        if self.is_at_end() {
            return Err(Malformed);
        }
        Ok(true)
    }

    /// Reads a key.
    pub(crate) fn key(&mut self) -> Result<&'a str, Malformed> {
        if !self
            .rest
            .starts_with(|c: char| c.is_ascii_lowercase() || c == '*')
        {
            return Err(Malformed);
        }
        let is_part = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '*')
        };
        Ok(self.take_while(is_part))
    }

    /// Reads a string. Returns its text between the quotes, as it is written: with its escapes.
    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        self.expect('"')?;
        let mut is_escaped = false;
        for (at, byte) in self.rest.bytes().enumerate() {
            match (is_escaped, byte) {
                (true, b'"' | b'\\') => is_escaped = false,
                (false, b'\\') => is_escaped = true,
                (false, b'"') => {
                    let text = &self.rest[..at];
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                (false, 0x20..=0x7e) => {}
                _ => return Err(Malformed),
            }
        }
        Err(Malformed)
    }

    /// Reads an integer.
    pub(crate) fn integer(&mut self) -> Result<i64, Malformed> {
        let is_negative = self.eat('-');
        let digits = self.take_while(|c| c.is_ascii_digit());
        // A point would make it a decimal.
        if !(1..=MAX_DIGITS).contains(&digits.len()) || self.rest.starts_with('.') {
            return Err(Malformed);
        }
        let number: i64 = digits.parse().map_err(|_| Malformed)?;
        Ok(if is_negative { -number } else { number })
    }

    /// Reads a byte sequence.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Malformed> {
        self.expect(':')?;
        let text = self.take_while(|c| c != ':');
        self.expect(':')?;
        STANDARD.decode(text).map_err(|_| Malformed)
    }

    /// Whether the next value is a string.
    pub(crate) fn is_at_string(&self) -> bool {
        self.rest.starts_with('"')
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// The most members of a dictionary: each is compared with all before it, and anybody may send one.
const MAX_MEMBERS: usize = 16;

/// Reads a dictionary whose members are byte sequences without parameters: each name once, and [`MAX_MEMBERS`] at the most.
pub(crate) fn bytes_by_name(field: &str) -> Result<Vec<(&str, Vec<u8>)>, Malformed> {
    let mut cursor = Cursor::new(field);
    let mut members: Vec<(&str, Vec<u8>)> = Vec::new();
    if cursor.is_at_end() {
        return Ok(members);
    }
    loop {
        let name = cursor.key()?;
        cursor.expect('=')?;
        let bytes = cursor.bytes()?;
        if members.len() == MAX_MEMBERS || members.iter().any(|(other, _)| *other == name) {
            return Err(Malformed);
        }
        members.push((name, bytes));
        if !cursor.next_member()? {
            return Ok(members);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{Cursor, MAX_MEMBERS, Malformed, bytes_by_name};

    #[test]
    fn a_dictionary_of_bytes_is_read() {
        assert_eq!(
            bytes_by_name(" a=:aGk=:,\t b*=:: "),
            Ok(vec![("a", b"hi".to_vec()), ("b*", vec![])])
        );
        assert_eq!(bytes_by_name(""), Ok(vec![]));
        for bad in [
            "a",
            "a=",
            "a=:aGk=",
            "a=:aG?=:",
            "a=:aGk=:,",
            "a=:aGk=: b=:aGk=:",
            "a=:aGk=:, a=:aGk=:",
            "A=:aGk=:",
            "1=:aGk=:",
            "a =:aGk=:",
            "a=\"aGk=\"",
            "a=:aGk=:;p",
            "a=:\u{e9}:",
            ",",
        ] {
            assert_eq!(bytes_by_name(bad), Err(Malformed), "{bad}");
        }
        let members = |n: usize| -> alloc::vec::Vec<_> {
            (0..n).map(|n| alloc::format!("a{n}=::")).collect()
        };
        assert!(bytes_by_name(&members(MAX_MEMBERS).join(", ")).is_ok());
        let many = members(MAX_MEMBERS + 1).join(", ");
        assert_eq!(bytes_by_name(&many), Err(Malformed));
    }

    #[test]
    fn strings_and_integers_are_read_as_written() {
        let string = |text| Cursor::new(text).string();
        assert_eq!(string(r#""a b\"\\" rest"#), Ok(r#"a b\"\\"#));
        for bad in [
            "a",
            "\"",
            "\"a",
            r#""\a""#,
            "\"\u{7f}\"",
            "\"\u{e9}\"",
            "\"\n\"",
        ] {
            assert_eq!(string(bad), Err(Malformed), "{bad:?}");
        }
        let integer = |text| Cursor::new(text).integer();
        assert_eq!(integer("-0012,"), Ok(-12));
        assert_eq!(integer("999999999999999"), Ok(999_999_999_999_999));
        for bad in ["", "-", "+1", "1.0", "1000000000000000", "\"1\"", "a"] {
            assert_eq!(integer(bad), Err(Malformed), "{bad}");
        }
    }
}
