//! Names and email addresses of a site's users.

use alloc::format;
use alloc::string::String;

use crate::value::hostname::Hostname;
use crate::value::text::quote;

/// A user's name: 3 to 16 of `[A-Za-z0-9_]` (contract §8). Names that differ only in case match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Username(String);

impl Username {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let ok = (3..=16).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(format!(
                "expected 3 to 16 of [A-Za-z0-9_]; got {}",
                quote(text)
            ))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An email address in ASCII: `<local>@<host>`. The local part has RFC 5322's dot-atom form, and the host is a DNS name. An address
/// keeps its case, but addresses that differ only in case match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    /// The longest address. RFC 5321 §4.5.3.1.3 allows 256 for a path, and two of them are its angle brackets.
    const MAX_LENGTH: usize = 254;

    /// RFC 5321 §4.5.3.1.1
    const MAX_LOCAL_LENGTH: usize = 64;

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let refuse = |expected: &str| Err(format!("expected {expected}; got {}", quote(text)));
        if text.len() > Self::MAX_LENGTH {
            return refuse("an email address of at most 254 characters");
        }
        let Some((local, host)) = text.rsplit_once('@') else {
            return refuse("an email address, `<name>@<host>`");
        };
        let is_atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b);
        let is_local = local.len() <= Self::MAX_LOCAL_LENGTH
            && local
                .split('.')
                .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
        if !is_local {
            return refuse(
                "1 to 64 ASCII letters, digits, inner dots and !#$%&'*+/=?^_`{|}~- before the `@` of an email address",
            );
        }
        if Hostname::parse(host).is_err() {
            return refuse("a DNS name in its ASCII form after the `@` of an email address");
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Email, Username};

    #[test]
    fn only_valid_usernames_are_parsed() {
        for good in ["abc", "A_9", "___", "0123456789abcdef"] {
            assert_eq!(Username::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ab",
            "0123456789abcdefg",
            "a-b",
            "a b",
            "aéb",
            "a\0b",
            "a.b",
        ] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_valid_email_addresses_are_parsed() {
        let local = "l".repeat(64);
        let host = alloc::format!("{0}.{0}.{1}", "h".repeat(63), "h".repeat(61));
        let longest = alloc::format!("{local}@{host}");
        assert_eq!(longest.len(), 254);
        for good in [
            "admin@example.com",
            "A.b+c@Example.COM",
            "o'neil@x-y.org",
            "a@localhost",
            "!#$%&'*+/=?^_`{|}~-@a.b",
            &longest,
        ] {
            assert_eq!(Email::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@a",
            "a b@c.d",
            "a@b c",
            "a@@b",
            "a@b@c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "\"a\"@b",
            "a@-b",
            "a@b-",
            "a@b.",
            "a@127.0.0.1",
            "a@[::1]",
            "é@b",
            "a@é",
            "a\0@b",
            "a\n@b",
            "<a@b>",
            &alloc::format!("l{longest}"),
            &alloc::format!("{longest}h"),
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }
}
