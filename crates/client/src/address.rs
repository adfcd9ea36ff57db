//! The API's address.

use crate::authority::Authority;

/// The path prefix of the current dialect (contract §1).
pub const BASE_PATH: &str = "/_/api/4";

/// The API's address: scheme, host and port only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    origin: String,
    authority: Authority,
    encrypted: bool,
}

impl Address {
    /// Parses a URL such as `https://tenants.example.com`. It may end with the API's base path.
    ///
    /// # Errors
    /// Fails if the URL is not valid. The message never repeats the URL, which may contain a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected the API's address, such as https://tenants.example.com";
        let (scheme, rest) = url.trim().split_once("://").ok_or(EXPECTED)?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(format!("{EXPECTED}, with http or https"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let authority =
            Authority::parse(authority).map_err(|detail| format!("{EXPECTED}, {detail}"))?;
        if path.contains(['?', '#']) {
            return Err(format!("{EXPECTED}, without a query or a fragment"));
        }
        let path = path.trim_end_matches('/');
        if !(path.is_empty() || path == BASE_PATH) {
            return Err(format!("{EXPECTED}, without a path of its own"));
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            authority,
            encrypted: scheme == "https",
        })
    }

    /// Returns whether the API is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.authority.is_loopback()
    }

    /// Returns the host and the port.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns whether the address begins with `https`.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Returns whether anyone on the network path can read keys and bodies.
    #[must_use]
    pub fn is_readable_on_the_way(&self) -> bool {
        !self.encrypted && !self.is_loopback()
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
            ("HTTP://localhost.:1", "http://localhost.:1", true, false),
            (" https://a.example\n", "https://a.example", false, false),
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
            "https://a.example?hunter2",
            "https://a.example/#hunter2",
            "https://a.example#hunter2",
            "https://a.example:hunter2",
            "https://a.example:99999",
            "https://a.example:88x",
            "https://a.example:",
            "https://hunter2@a.example",
            "https://a.example@hunter2",
            "https://a.example\\@hunter2",
            "https://a.example /",
            "https://a.exam\nple/",
            "https:/a.example",
            "https:a.example",
            "https:///a.example",
            "https://[::1",
            "https://::1",
            "https:// ",
            "https://",
        ] {
            let error = Address::parse(bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
