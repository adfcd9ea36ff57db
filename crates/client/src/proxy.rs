//! The proxy between this machine and the API, from the variables that curl reads, by curl's rules (man curl, "ENVIRONMENT").
//!
//! The HTTP library would read such variables itself, but it skips those that it cannot parse: the key would go another way than the
//! variable says.

use tenants_core::value::address::AddressList;
use ureq::{Proxy as Connection, ProxyProtocol};

use crate::address::Address;
use crate::authority::Authority;
use crate::terminal::printable;

/// The variables for `https` addresses, in the order in which they are looked at.
const FOR_HTTPS: &[&str] = &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// The variables for `http` addresses. Like curl, the program does not look at `HTTP_PROXY`, which a web server sets for a CGI program from
/// the request's header `Proxy`.
const FOR_HTTP: &[&str] = &["http_proxy", "all_proxy", "ALL_PROXY"];
/// The variable that is not looked at.
const IGNORED: &str = "HTTP_PROXY";
/// The variables of the hosts that need no proxy.
const EXCEPTIONS: &[&str] = &["no_proxy", "NO_PROXY"];
/// The port of a proxy without one, as for curl.
const DEFAULT_PORT: u16 = 1080;
/// The port of an `https` proxy without one, as for curl.
const DEFAULT_HTTPS_PORT: u16 = 443;

/// A proxy, and the variable that names it.
#[derive(Debug)]
pub struct Proxy {
    /// The proxy as the HTTP library takes it.
    pub connection: Connection,
    /// Its scheme, host and port, without a user and a password.
    pub origin: String,
    /// The variable's name.
    pub from: &'static str,
}

impl Proxy {
    /// Finds the proxy for an address. `variable` returns an environment variable's value, if it is set and not empty.
    ///
    /// This machine needs no proxy: for a proxy, 127.0.0.1 is another machine.
    ///
    /// # Errors
    /// Fails if a variable that counts cannot be parsed. The message does not repeat a proxy's address, which may contain a password.
    pub fn find(
        address: &Address,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let first = |names: &[&'static str]| {
            let mut names = names.iter();
            names.find_map(|&name| variable(name).map(|value| (name, value)))
        };
        if address.authority().is_loopback() {
            return Ok(None);
        }
        let names = if address.is_encrypted() {
            FOR_HTTPS
        } else {
            FOR_HTTP
        };
        let Some((from, text)) = first(names) else {
            return Ok(None);
        };
        if let Some((name, list)) = first(EXCEPTIONS)
            && is_exception(&list, address.authority())
                .map_err(|detail| format!("{name}: {detail}"))?
        {
            return Ok(None);
        }
        let (connection, origin) = parse(&text).map_err(|detail| {
            format!(
                "{from}: expected a proxy's address, such as http://proxy.example:3128, {detail}"
            )
        })?;
        Ok(Some(Self {
            connection,
            origin,
            from,
        }))
    }

    /// Returns whether requests are forwarded instead of tunnelled: an HTTP proxy forwards `http` requests, and tunnels `https` ones.
    #[must_use]
    pub fn forwards(&self, address: &Address) -> bool {
        let is_http = matches!(
            self.connection.protocol(),
            ProxyProtocol::Http | ProxyProtocol::Https
        );
        is_http && !address.is_encrypted()
    }
}

/// Returns whether a proxy is set only by the variable that is not looked at, so that a note is due.
#[must_use]
pub fn is_ignored(address: &Address, variable: impl Fn(&str) -> Option<String>) -> bool {
    !address.is_encrypted()
        && !address.authority().is_loopback()
        && FOR_HTTP.iter().all(|name| variable(name).is_none())
        && variable(IGNORED).is_some()
}

/// Parses a proxy's address. Returns it, and its scheme, host and port.
fn parse(text: &str) -> Result<(Connection, String), &'static str> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "http",
        "https" => "https",
        // curl's own word for the older version.
        "socks" | "socks4" => "socks4",
        "socks4a" => "socks4a",
        "socks5" => "socks5",
        "socks5h" => "socks5h",
        _ => return Err("with http, https, socks4, socks4a, socks5 or socks5h"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, authority) = match rest.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, rest),
    };
    let authority = Authority::parse(authority)?;
    let port = authority.port().unwrap_or(match scheme {
        "https" => DEFAULT_HTTPS_PORT,
        _ => DEFAULT_PORT,
    });
    let origin = format!("{scheme}://{}:{port}", authority.host());
    let url = match user {
        Some(user) => format!("{scheme}://{user}@{}:{port}", authority.host()),
        None => origin.clone(),
    };
    let connection =
        Connection::new(&url).map_err(|_| "with a user and a password that are percent-encoded")?;
    Ok((connection, origin))
}

/// Returns whether a host needs no proxy. The list has names (with their subdomains), addresses and CIDR ranges, separated by commas or
/// blanks; `*` stands for every host.
fn is_exception(list: &str, host: &Authority) -> Result<bool, String> {
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    let mut found = false;
    // Every entry is checked, so that an invalid one is reported whatever the host is.
    for entry in entries.filter(|entry| !entry.is_empty()) {
        found |= matches(entry, host)?;
    }
    Ok(found)
}

fn matches(entry: &str, host: &Authority) -> Result<bool, String> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    if entry.contains('/') || bare.parse::<std::net::IpAddr>().is_ok() {
        let range = AddressList::parse(bare).map_err(|_| {
            format!(
                "expected names, addresses and CIDR ranges, separated by commas or blanks; got `{}`",
                printable(entry)
            )
        })?;
        return Ok(host.ip().is_some_and(|ip| range.contains(&ip.to_string())));
    }
    if entry == "*" {
        return Ok(true);
    }
    if host.ip().is_some() {
        return Ok(false);
    }
    let entry = entry.strip_prefix('*').unwrap_or(entry);
    let domain = entry.trim_matches('.').to_ascii_lowercase();
    let name = host.name();
    Ok(name == domain
        || name
            .strip_suffix(&domain)
            .is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::{Proxy, is_exception, is_ignored};
    use crate::address::Address;
    use crate::authority::Authority;

    fn find(url: &str, set: &[(&str, &str)]) -> Result<Option<(String, &'static str)>, String> {
        let variable = |name: &str| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = Proxy::find(&Address::parse(url).unwrap(), variable)?;
        Ok(found.map(|proxy| (proxy.origin, proxy.from)))
    }

    /// curl 7.88 takes the same proxy in each case, except that it also uses one for this machine.
    #[test]
    fn the_variable_depends_on_the_scheme_and_lower_case_comes_first() {
        let all = [
            ("http_proxy", "http://a:1"),
            ("HTTP_PROXY", "http://b:2"),
            ("https_proxy", "http://c:3"),
            ("HTTPS_PROXY", "http://d:4"),
            ("all_proxy", "http://e:5"),
            ("ALL_PROXY", "http://f:6"),
        ];
        for (url, skipped, expected) in [
            (
                "https://api.example",
                0,
                Some(("http://c:3", "https_proxy")),
            ),
            (
                "https://api.example",
                3,
                Some(("http://d:4", "HTTPS_PROXY")),
            ),
            ("https://api.example", 4, Some(("http://e:5", "all_proxy"))),
            ("https://api.example", 5, Some(("http://f:6", "ALL_PROXY"))),
            ("https://api.example", 6, None),
            ("http://api.example", 0, Some(("http://a:1", "http_proxy"))),
            ("http://api.example", 1, Some(("http://e:5", "all_proxy"))),
            ("http://127.0.0.1:8787", 0, None),
            ("https://localhost", 0, None),
        ] {
            let expected = expected.map(|(origin, from)| (origin.to_owned(), from));
            assert_eq!(find(url, &all[skipped..]), Ok(expected), "{url} {skipped}");
        }
        let only = |url: &str, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            is_ignored(&Address::parse(url).unwrap(), variable)
        };
        assert!(only("http://api.example", &all[1..2]));
        assert!(!only("http://api.example", &all));
        assert!(!only("https://api.example", &all[1..2]));
        assert!(!only("http://127.0.0.1", &all[1..2]));
    }

    #[test]
    fn a_proxy_has_a_scheme_a_host_and_a_port() {
        for (text, origin) in [
            ("http://proxy:3128", "http://proxy:3128"),
            (" http://proxy:3128/ ", "http://proxy:3128"),
            ("proxy:3128", "http://proxy:3128"),
            ("proxy", "http://proxy:1080"),
            ("https://proxy", "https://proxy:443"),
            ("HTTP://user:p%40ss@proxy:1", "http://proxy:1"),
            ("user:p@ss@proxy:1", "http://proxy:1"),
            ("socks5h://[::1]", "socks5h://[::1]:1080"),
            ("socks://proxy", "socks4://proxy:1080"),
        ] {
            let found = find("https://api.example", &[("https_proxy", text)]);
            assert_eq!(
                found,
                Ok(Some((origin.to_owned(), "https_proxy"))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_parsed_is_an_error_that_never_shows_it() {
        for text in [
            "http://",
            "http://proxy:99999",
            "http://proxy:88x",
            "http://hunter2@proxy:x",
            "http://user:hunter2%ff@proxy:1",
            "http://proxy:1/hunter2",
            "http://proxy:1?hunter2",
            "ftp://proxy:1",
            "://proxy",
            "hunter2 2",
            "*",
        ] {
            for variable in ["https_proxy", "ALL_PROXY"] {
                let error = find("https://api.example", &[(variable, text)]).unwrap_err();
                assert!(
                    error.starts_with(&format!("{variable}: expected a proxy's address"))
                        && !error.contains("hunter2"),
                    "{text}: {error}"
                );
            }
            // It does not count for these.
            for (url, no_proxy) in [
                ("https://127.0.0.1", ""),
                ("http://api.example", ""),
                ("https://api.example", "api.example"),
            ] {
                let set = [("https_proxy", text), ("no_proxy", no_proxy)];
                let set = &set[..if no_proxy.is_empty() { 1 } else { 2 }];
                assert_eq!(find(url, set), Ok(None), "{text} {url}");
            }
        }
    }

    #[test]
    fn exceptions_are_names_addresses_and_ranges_with_commas_or_blanks_between_them() {
        for (list, host, expected) in [
            ("api.example", "api.example", true),
            ("api.example", "API.Example.", true),
            ("example", "api.example", true),
            (".example", "api.example", true),
            (".api.example.", "api.example", true),
            ("*.example", "api.example", true),
            ("*", "api.example", true),
            ("*", "192.0.2.1", true),
            ("a, b,api.example", "api.example", true),
            ("a b\tapi.example\n", "api.example", true),
            (" , api.example ,, ", "api.example", true),
            ("pi.example", "api.example", false),
            ("api.example.org", "api.example", false),
            ("a,b", "api.example", false),
            (",", "api.example", false),
            (".", "api.example", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("10.0.0.0/8 192.0.2.0/24", "192.0.2.1", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("2.1", "192.0.2.1", false),
            ("192.0.2.1", "192.0.2.1.example", false),
            ("192.0.2.0/24", "api.example", false),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("[2001:db8::1]", "[2001:DB8:0::1]", true),
            ("2001:db8::/32", "[2001:db9::1]", false),
        ] {
            let host_parsed = Authority::parse(host).unwrap();
            assert_eq!(
                is_exception(list, &host_parsed),
                Ok(expected),
                "{list} {host}"
            );
        }
        for list in ["192.0.2.0/33", "192.0.2.0/", "api.example/24", "192.168/16"] {
            let set = [("https_proxy", "proxy"), ("NO_PROXY", list)];
            let error = find("https://api.example", &set).unwrap_err();
            assert!(
                error.starts_with("NO_PROXY: expected names")
                    && error.ends_with(&format!("got `{list}`")),
                "{error}"
            );
        }
    }
}
