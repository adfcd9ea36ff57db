//! Addresses that the service itself calls (contract §17): `https` on public addresses, and the developer's own machine under development.
//!
//! A URL is read strictly, so that every program that reads it again finds the same host in it. The core judges names and numbers. A name may
//! still resolve to a private address, so a host that can resolve names asks [`OutboundUrl::may_connect_to`] about the address that it connects to.

use alloc::format;
use alloc::string::String;
use core::net::IpAddr;

use crate::value::address::is_public;
use crate::value::hostname::Hostname;
use crate::value::text::quote;

/// The longest URL, in bytes.
const MAX_BYTES: usize = 2048;

/// Ends of names that no public address has (RFC 6761, RFC 6762, RFC 7686, RFC 8375, and ICANN's `internal`).
const PRIVATE_SUFFIXES: [&str; 8] = [
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "test",
    "invalid",
    "example",
    "onion",
];

/// A URL that the service may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundUrl {
    text: String,
    is_loopback: bool,
}

impl OutboundUrl {
    /// Parses a URL. `development`: this is a developer's machine, whose own addresses may be called, also by `http`.
    ///
    /// # Errors
    /// A sentence with the expected form and the given text.
    pub fn parse(text: &str, development: bool) -> Result<Self, String> {
        let refuse = |expected: &str| Err(format!("expected {expected}; got {}", quote(text)));
        if text.len() > MAX_BYTES {
            return refuse("a URL of at most 2048 bytes");
        }
        let (is_secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://"))
        {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return refuse("a URL that begins with https://"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return refuse("a URL without a user and a password");
        }
        if path.contains('#') {
            return refuse("a URL without a fragment");
        }
        if !path.bytes().all(is_of_a_path) {
            return refuse("a path of ASCII characters that a URL may have");
        }
        let Some(host) = Host::parse(authority) else {
            return refuse("a DNS name or an IP address, and perhaps a port from 1 to 65535");
        };
        let is_loopback = match host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(ref name) => name.as_str() == "localhost",
        };
        if is_loopback && development {
            return Ok(Self {
                text: text.into(),
                is_loopback,
            });
        }
        if !is_secure {
            return refuse("a URL that begins with https://");
        }
        let is_allowed = match host {
            Host::Address(address) => is_public(address),
            Host::Name(name) => is_public_name(name.as_str()),
        };
        if !is_allowed {
            return refuse("the URL of a public address");
        }
        Ok(Self {
            text: text.into(),
            is_loopback,
        })
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name in the URL, or the IP address in it, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let (_, rest) = self.text.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, end) = match authority.strip_prefix('[') {
            Some(address) => (address, ']'),
            None => (authority, ':'),
        };
        host.split(end).next().unwrap_or_default()
    }

    /// Whether the URL names the developer's own machine. Otherwise it is `https` to a public name or address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether a connection for this URL may go to an address that its name resolved to.
    #[must_use]
    pub fn may_connect_to(&self, address: IpAddr) -> bool {
        if self.is_loopback {
            address.to_canonical().is_loopback()
        } else {
            is_public(address)
        }
    }
}

/// The host of a URL.
enum Host {
    Name(Hostname),
    Address(IpAddr),
}

impl Host {
    fn parse(authority: &str) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let address = address.parse().ok().map(IpAddr::V6)?;
                (Self::Address(address), port)
            }
            None => {
                let (host, port) =
                    authority.split_at(authority.find(':').unwrap_or(authority.len()));
                let host = match host.parse() {
                    Ok(address) => Self::Address(IpAddr::V4(address)),
                    Err(_) => Self::Name(Hostname::parse(host).ok()?),
                };
                (host, port)
            }
        };
        is_port(port).then_some(host)
    }
}

/// Whether a text is nothing, or a colon and a port.
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
        && digits.parse::<u16>().is_ok()
}

/// Whether a byte may be in a path or a query (RFC 3986 §3.3 and §3.4).
fn is_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// Whether a name may have a public address: it has several labels, and no suffix of [`PRIVATE_SUFFIXES`].
fn is_public_name(name: &str) -> bool {
    name.contains('.')
        && !PRIVATE_SUFFIXES.iter().any(|suffix| {
            name.strip_suffix(suffix)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::OutboundUrl;

    #[test]
    fn https_to_a_public_address_is_allowed() {
        for url in [
            "https://hooks.example.com/tenants?a=%20b",
            "https://HOOKS.example.com",
            "https://hooks.example.com:8443/",
            "https://hooks.example.com?a",
            "https://93.184.216.34/",
            "https://[2606:2800:220:1:248:1893:25c8:1946]:443/x",
            "https://notlocal.com/",
            "https://my-internal.com/",
        ] {
            let parsed = OutboundUrl::parse(url, false);
            assert_eq!(parsed.as_ref().map(OutboundUrl::as_str), Ok(url));
            assert!(!parsed.unwrap().is_loopback(), "{url}");
        }
    }

    #[test]
    fn a_url_tells_its_host() {
        for (url, host) in [
            ("https://hooks.example.com/a:b@c?d:e", "hooks.example.com"),
            ("https://HOOKS.example.com:8443", "HOOKS.example.com"),
            ("https://hooks.example.com?a=//b", "hooks.example.com"),
            ("https://93.184.216.34:443/", "93.184.216.34"),
            ("https://[2606:2800::1]:443/x", "2606:2800::1"),
            ("http://[::1]", "::1"),
            ("http://localhost:8080/x", "localhost"),
        ] {
            assert_eq!(OutboundUrl::parse(url, true).unwrap().host(), host);
        }
    }

    #[test]
    fn private_addresses_names_and_other_forms_are_refused() {
        for url in [
            "",
            "hooks.example.com",
            "ftp://hooks.example.com/",
            "HTTPS://hooks.example.com/",
            "http://hooks.example.com/",
            "https://",
            "https:///x",
            "https://user@hooks.example.com/",
            "https://user:word@hooks.example.com/",
            "https://hooks.example.com\\@127.0.0.1/",
            "https://hooks.example.com/#x",
            "https://hooks.example.com/ü",
            "https://hooks.example.com/a b",
            "https://hooks.example.com/\n",
            "https://hooks.example.com:0/",
            "https://hooks.example.com:/",
            "https://hooks.example.com:65536/",
            "https://hooks.example.com:+80/",
            "https://hooks.example.com./",
            "https://hooks/",
            "https://localhost/",
            "https://a.localhost/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://router.home.arpa/",
            "https://LOCALHOST/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[fe80::1%25eth0]/",
            "https://[::1/",
            "https://%6cocalhost/",
        ] {
            assert!(OutboundUrl::parse(url, false).is_err(), "{url}");
        }
        let long = alloc::format!("https://hooks.example.com/{}", "a".repeat(2048));
        assert!(OutboundUrl::parse(&long, false).is_err());
    }

    #[test]
    fn a_developers_own_machine_may_be_called_under_development_only() {
        for url in [
            "http://localhost:8080/x",
            "http://127.0.0.1:8080/x",
            "https://127.0.0.1/",
            "http://[::1]:8080/",
        ] {
            assert!(OutboundUrl::parse(url, false).is_err(), "{url}");
            let url = OutboundUrl::parse(url, true).unwrap();
            assert!(url.is_loopback());
            assert!(url.may_connect_to("127.0.0.1".parse().unwrap()));
            assert!(url.may_connect_to("::1".parse().unwrap()));
            assert!(!url.may_connect_to("93.184.216.34".parse().unwrap()));
            assert!(!url.may_connect_to("10.0.0.1".parse().unwrap()));
        }
        for url in [
            "http://hooks.example.com/",
            "http://10.0.0.1/",
            "https://10.0.0.1/",
            "https://host.local/",
        ] {
            assert!(OutboundUrl::parse(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn a_name_may_not_resolve_to_a_private_address() {
        let url = OutboundUrl::parse("https://hooks.example.com/", true).unwrap();
        assert!(url.may_connect_to("93.184.216.34".parse().unwrap()));
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "fd00::1",
        ] {
            assert!(!url.may_connect_to(private.parse().unwrap()), "{private}");
        }
    }
}
