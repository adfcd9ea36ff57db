//! The API's address.

use std::net::IpAddr;

use ureq::http::Uri;

/// The path prefix of the current dialect (contract §1).
pub const BASE_PATH: &str = "/_/api/4";

/// The API's address: scheme, host and port only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    origin: String,
    loopback: bool,
    encrypted: bool,
}

impl Address {
    /// Parses a URL such as `https://tenants.example.com`. It may end with the API's base path.
    ///
    /// # Errors
    /// Fails if the URL is not valid. The message never repeats the URL, which may contain a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected the API's address, such as https://tenants.example.com";
        let uri: Uri = url.trim().parse().map_err(|_| EXPECTED.to_owned())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EXPECTED.into());
        };
        if !matches!(scheme, "http" | "https") {
            return Err(format!("{EXPECTED}, with http or https"));
        }
        if authority.as_str().contains('@') {
            return Err(format!("{EXPECTED}, without a user or a password in it"));
        }
        let path = uri.path().trim_end_matches('/');
        if !(path.is_empty() || path == BASE_PATH) || uri.query().is_some() {
            return Err(format!("{EXPECTED}, without a path of its own"));
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            loopback: is_loopback(authority.host()),
            encrypted: scheme == "https",
        })
    }

    /// Returns whether the API is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Returns whether anyone on the network path can read keys and bodies.
    #[must_use]
    pub fn is_readable_on_the_way(&self) -> bool {
        !self.encrypted && !self.loopback
    }

    /// Returns the URL of a path of the API.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Returns scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_keeps_scheme_host_and_port() {
        for (url, origin, loopback, readable) in [
            (
                "http://127.0.0.1:8787",
                "http://127.0.0.1:8787",
                true,
                false,
            ),
            ("http://[::1]:1/", "http://[::1]:1", true, false),
            ("http://LOCALHOST", "http://LOCALHOST", true, false),
            (
                "https://a.example/_/api/4/",
                "https://a.example",
                false,
                false,
            ),
            ("http://a.example", "http://a.example", false, true),
            (
                "http://127.0.0.1.a.example",
                "http://127.0.0.1.a.example",
                false,
                true,
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.origin(), origin);
            assert_eq!(address.is_loopback(), loopback, "{url}");
            assert_eq!(address.is_readable_on_the_way(), readable, "{url}");
        }
    }

    #[test]
    fn an_error_about_an_invalid_address_never_repeats_it() {
        for bad in [
            "",
            "a.example",
            "/x",
            "ftp://a.example",
            "https://user:hunter2@a.example",
            "https://a.example/other",
            "https://a.example/?hunter2",
            "https://",
        ] {
            let error = Address::parse(bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
