//! Tenants' hostnames.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use crate::value::text::quote;

/// A DNS name in ASCII form, in lower case (contract §5): labels of 1 to 63 letters, digits and inner hyphens, at most 255 characters
/// in all, no trailing dot. So every hostname is safe inside a Traefik ``Host(`…`)``.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Hostname(String);

impl Hostname {
    /// The longest hostname, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// Parses a hostname, and turns its letters to lower case.
    ///
    /// # Errors
    /// A sentence with the expected form and the given text, if the text has a port, a scheme, a wildcard, a trailing dot or an invalid
    /// label, if it is an IP address, or if it is not ASCII (the sentence then asks for the `xn--` form).
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |expected: &str| Err(format!("expected {expected}; got {}", quote(text)));
        if text.is_empty() {
            return refuse("a DNS name of at least one label");
        }
        if !text.is_ascii() {
            return refuse("the ASCII form of the name, with its `xn--` labels");
        }
        if text.len() > Self::MAX_LENGTH {
            return refuse("at most 255 characters");
        }
        if text.contains("://") {
            return refuse("a name without a scheme");
        }
        if text.starts_with('[') || text.matches(':').count() > 1 {
            return refuse("a DNS name, not an IP address");
        }
        if text.contains(':') {
            return refuse("a name without a port");
        }
        if text.contains('*') {
            return refuse("a name without a wildcard");
        }
        if text.ends_with('.') {
            return refuse("a name without a trailing dot");
        }
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !text.split('.').all(label_ok) {
            return refuse(
                "labels of 1 to 63 letters, digits and hyphens, no hyphen at either end, separated by dots",
            );
        }
        let numeric = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
        if text.split('.').count() == 4 && text.split('.').all(numeric) {
            return refuse("a DNS name, not an IP address");
        }
        if text.rsplit('.').next().is_some_and(is_number) {
            return refuse(
                "a name whose last label is not a number, since browsers take such a name for an IP address",
            );
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Whether [`Hostname::parse`] would return this very text. It looks at each byte once, so that Traefik's configuration can check the
    /// hostname of every tenant.
    pub(crate) fn is_canonical(text: &str) -> bool {
        const MAX_LABEL: usize = 63;
        let bytes = text.as_bytes();
        let (mut label, mut previous) = (0, b'.');
        for (at, &byte) in bytes.iter().enumerate() {
            match (byte, previous) {
                (b'a'..=b'z' | b'0'..=b'9', _) => {}
                (b'-' | b'.', b'.') | (b'.', b'-') => return false,
                (b'-', _) => {}
                (b'.', _) if at - label <= MAX_LABEL => label = at + 1,
                _ => return false,
            }
            previous = byte;
        }
        bytes.len() <= Self::MAX_LENGTH
            && !matches!(previous, b'.' | b'-')
            && bytes.len() - label <= MAX_LABEL
            && !is_number(&text[label..])
    }

    /// `localhost`: the root's own name, unless another one is configured (contract §7).
    #[must_use]
    pub fn localhost() -> Self {
        Self("localhost".into())
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a label is a number as the URL standard reads one (<https://url.spec.whatwg.org/#ends-in-a-number-checker>): decimal digits, or
/// `0x` and hexadecimal digits, of which there may be none.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Hostnames that no tenant may have: single names, and all names below a suffix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ReservedHostnames {
    names: Vec<Hostname>,
    suffixes: Vec<Hostname>,
}

impl ReservedHostnames {
    /// Parses names and `*.suffix`es, separated by commas. Spaces around an entry are ignored. `*.example.com` stands for every name below
    /// `example.com`, of any depth, but not for `example.com` itself.
    ///
    /// # Errors
    /// A sentence that quotes the first entry that is neither.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reserved = Self::default();
        for entry in text.split(',').map(str::trim) {
            let (list, name) = match entry.strip_prefix("*.") {
                Some(suffix) => (&mut reserved.suffixes, suffix),
                None => (&mut reserved.names, entry),
            };
            let name = Hostname::parse(name).map_err(|_| {
                format!(
                    "expected hostnames and `*.` with a hostname, separated by commas; got {}",
                    quote(entry)
                )
            })?;
            list.push(name);
        }
        Ok(reserved)
    }

    /// Whether a name is one of them.
    pub(crate) fn has(&self, hostname: &Hostname) -> bool {
        let is_below = |suffix: &Hostname| {
            let before = hostname.0.strip_suffix(suffix.as_str());
            before.is_some_and(|before| before.ends_with('.'))
        };
        self.names.contains(hostname) || self.suffixes.iter().any(is_below)
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::{Hostname, ReservedHostnames};

    #[test]
    fn a_canonical_hostname_is_one_that_parses_to_itself() {
        let is_canonical = |text: &str| {
            let parsed = Hostname::parse(text);
            assert_eq!(
                Hostname::is_canonical(text),
                parsed.is_ok_and(|name| name.as_str() == text),
                "{text:?}"
            );
        };
        const ALPHABET: [char; 8] = ['a', 'x', '0', '.', '-', 'A', '_', 'é'];
        let mut texts = alloc::vec![String::new()];
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text| ALPHABET.map(|c| format!("{text}{c}")))
                .chain([String::new()])
                .collect();
            texts.iter().for_each(|text| is_canonical(text));
        }
        let label = "a".repeat(63);
        let longest = [&*label; 4].join(".");
        for text in [
            label.clone(),
            format!("{label}b"),
            format!("{label}b.c"),
            format!("{label}.c"),
            longest.clone(),
            format!("{longest}b"),
            format!("a.{longest}"),
            "1.2.3.4".into(),
            "1.2.3.x4".into(),
            "a.0xf".into(),
            "a\0".into(),
            "x`) || Host(`y".into(),
        ] {
            is_canonical(&text);
        }
    }

    #[test]
    fn only_valid_hostnames_are_parsed() {
        let long_label = "a".repeat(63);
        let longest = format!("{long_label}.{long_label}.{long_label}.{long_label}");
        assert_eq!(longest.len(), 255);
        for good in [
            "localhost",
            "a",
            "1.2.3.4.example",
            "1a",
            "0xg",
            "1.2.3.x4",
            "xn--bcher-kva.example",
            "A-b.C",
            &longest,
        ] {
            assert_eq!(
                Hostname::parse(good).unwrap().as_str(),
                good.to_ascii_lowercase()
            );
        }
        let too_long = format!("{longest}a");
        let too_long_label = "a".repeat(64);
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a.-b.c",
            "a_b",
            "a b",
            "*.a",
            "a:80",
            "http://a",
            "1",
            "1.2.3",
            "127.1",
            "0x7f.1",
            "a.0x7F",
            "a.0x",
            "2130706433",
            "1.2.3.4",
            "999.1.1.1",
            "::1",
            "[::1]",
            "bücher.example",
            "a`b",
            "a\0",
            "a\n",
            "a/b",
            &too_long,
            &too_long_label,
        ] {
            assert!(Hostname::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reserved_name_is_itself_and_a_reserved_suffix_is_every_name_below_it() {
        let reserved = ReservedHostnames::parse("www.example.com, *.Internal.example.com ,*.test");
        let reserved = reserved.unwrap();
        for (name, is_reserved) in [
            ("www.example.com", true),
            ("WWW.example.com", true),
            ("a.www.example.com", false),
            ("xwww.example.com", false),
            ("example.com", false),
            ("internal.example.com", false),
            ("a.internal.example.com", true),
            ("a.b.INTERNAL.example.com", true),
            ("xinternal.example.com", false),
            ("test", false),
            ("a.test", true),
            ("a.test.example.com", false),
        ] {
            let name = Hostname::parse(name).unwrap();
            assert_eq!(reserved.has(&name), is_reserved, "{name}");
        }
        assert!(!ReservedHostnames::default().has(&Hostname::localhost()));
    }

    #[test]
    fn a_list_with_an_invalid_entry_is_refused_as_a_whole() {
        for (text, entry) in [
            ("", "``"),
            (" , ", "``"),
            ("a,,b", "``"),
            ("a b", "`a b`"),
            ("a,*", "`*`"),
            ("a,*.", "`*.`"),
            ("*.*.a", "`*.*.a`"),
            ("a.*.b", "`a.*.b`"),
            (".a", "`.a`"),
            ("a,192.0.2.1", "`192.0.2.1`"),
        ] {
            let error = ReservedHostnames::parse(text).unwrap_err();
            assert_eq!(
                error,
                format!(
                    "expected hostnames and `*.` with a hostname, separated by commas; got {entry}"
                )
            );
        }
    }

    #[test]
    fn the_error_of_a_unicode_name_asks_for_its_ascii_form() {
        assert_eq!(
            Hostname::parse("bücher.example").unwrap_err(),
            "expected the ASCII form of the name, with its `xn--` labels; got `bücher.example`"
        );
    }
}
