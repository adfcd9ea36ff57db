//! The host and the port of a URL (RFC 3986 §3.2), checked more strictly than HTTP libraries do.
//!
//! The `http` crate accepts a port that is not a number or out of range, and a client then connects to the default port: the key
//! would go to another server. This module accepts only what names exactly one host and one port, without rewriting it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name of the DNS, in characters (RFC 1035 §2.3.4).
const MAX_NAME_CHARACTERS: usize = 253;
/// The longest label of a name, in characters (RFC 1035 §2.3.4).
const MAX_LABEL_CHARACTERS: usize = 63;

/// A host and perhaps a port, as written: `a.example:8443`, `192.0.2.1`, `[::1]:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Parses an authority without user information.
    ///
    /// # Errors
    /// Says which part is not valid. The message never repeats the text, which may contain a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('@') {
            return Err("without a user or a password in it");
        }
        let (host, port) = if text.starts_with('[') {
            let end = text.find(']').ok_or("with an IPv6 address in brackets")?;
            let (host, rest) = text.split_at(end + 1);
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("with nothing but a port after the brackets"),
            }
        } else {
            match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err("with an IPv6 address in brackets");
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        check_host(host)?;
        Ok(Self {
            host: host.to_owned(),
            port: port.map(parse_port).transpose()?,
        })
    }

    /// Returns the host as written, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, if one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the host as an address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok()
    }

    /// Returns the host as a name to compare: in lower case, and without the dot that ends an absolute name.
    #[must_use]
    pub fn name(&self) -> String {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        host.to_ascii_lowercase()
    }

    /// Returns whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.name() == "localhost" || self.ip().is_some_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Parses a port. `u16` alone would accept `+80` too.
fn parse_port(text: &str) -> Result<u16, &'static str> {
    const EXPECTED: &str = "with a port from 1 to 65535";
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EXPECTED);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(EXPECTED)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "with a hostname or an IP address";
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("with an IPv6 address in brackets"),
        };
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > MAX_NAME_CHARACTERS || !name.split('.').all(is_label) {
        return Err(EXPECTED);
    }
    // The system's resolver may turn `127.1`, `0x7f.1` or `2130706433` into an IP address (URL standard, "ends in a number").
    let last = name.rsplit('.').next().unwrap_or_default();
    if is_number(last) {
        return Err("with an IP address in its usual form, such as 192.0.2.1");
    }
    Ok(())
}

/// Returns whether a text is a label of a hostname. `_` occurs in the names of containers.
fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL_CHARACTERS).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::Authority;

    #[test]
    fn a_host_and_a_port_are_kept_as_written() {
        for (text, host, port) in [
            ("a.example", "a.example", None),
            ("A.example:1", "A.example", Some(1)),
            ("a.example.:65535", "a.example.", Some(65535)),
            ("api_1:8787", "api_1", Some(8787)),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
            ("127.0.0.1:080", "127.0.0.1", Some(80)),
            ("[::1]:8787", "[::1]", Some(8787)),
            ("[2001:db8::1]", "[2001:db8::1]", None),
            ("1.example", "1.example", None),
        ] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!((authority.host(), authority.port()), (host, port), "{text}");
        }
        assert_eq!(
            Authority::parse("[::1]:8787").unwrap().to_string(),
            "[::1]:8787"
        );
    }

    #[test]
    fn a_port_is_a_number_from_1_to_65535() {
        for port in [
            "", "0", "00", "65536", "99999", "88x", "x", "+80", "-1", "8 0", "٨", "0x50", "1.0",
            "80:81",
        ] {
            for host in ["a.example", "127.0.0.1", "[::1]"] {
                let text = format!("{host}:{port}");
                assert!(Authority::parse(&text).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn a_host_that_names_no_one_or_several_is_refused() {
        for host in [
            "",
            ".",
            "..",
            "a..example",
            ".example",
            "a.example..",
            "a example",
            " a.example",
            "a.example ",
            "a.example\t",
            "a%2eexample",
            "a.example\\b",
            "b\u{fc}cher.example",
            "*.example",
            "::1",
            "2001:db8::1",
            "[::1",
            "::1]",
            "[]",
            "[a.example]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "[::1]x",
            "[::1][::1]",
            "127.1",
            "0x7f.1",
            "0x7F000001",
            "0x",
            "2130706433",
            "1.2.3",
            "127.0.0.01",
            "256.0.0.1",
            "127.0.0.1.",
            &"a".repeat(64),
            &format!("{}a", "a.".repeat(127)),
        ] {
            assert!(Authority::parse(host).is_err(), "{host:?}");
            assert!(Authority::parse(&format!("{host}:80")).is_err(), "{host:?}");
        }
        for text in ["user@a.example", "user:hunter2@a.example", "@a.example"] {
            let error = Authority::parse(text).unwrap_err();
            assert_eq!(error, "without a user or a password in it");
        }
    }

    #[test]
    fn this_machine_has_several_names() {
        for (text, expected) in [
            ("localhost", true),
            ("LOCALHOST.:1", true),
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("[::2]", false),
        ] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!(authority.is_loopback(), expected, "{text}");
        }
    }
}
