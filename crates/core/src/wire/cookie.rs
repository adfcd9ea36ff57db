//! The cookie of a session of the console (contract §20).

use alloc::format;
use alloc::string::String;

/// The seconds after which a session ends: 8 hours.
pub(crate) const SESSION_SECONDS: i64 = 8 * 60 * 60;

/// The cookie of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The browser takes it over TLS only, from this host only, and for all paths (RFC 6265bis §4.1.3.2).
    Host,
    /// On loopback under development, where there is no TLS.
    Loopback,
}

/// There is more than one cookie of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Twice;

impl Cookie {
    /// The cookie of a service that clients call at this origin: scheme and authority.
    pub(crate) fn of(is_development: bool, origin: Option<&str>) -> Self {
        if is_development && origin.is_some_and(is_loopback) {
            Self::Loopback
        } else {
            Self::Host
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Host => "__Host-tenants_session",
            Self::Loopback => "tenants_session",
        }
    }

    fn attributes(self) -> &'static str {
        match self {
            Self::Host => "; Secure; HttpOnly; SameSite=Strict",
            Self::Loopback => "; HttpOnly; SameSite=Strict",
        }
    }

    /// The `Set-Cookie` with the token of a new session.
    pub(crate) fn set(self, token: &str) -> String {
        format!(
            "{}={token}; Path=/; Max-Age={SESSION_SECONDS}{}",
            self.name(),
            self.attributes()
        )
    }

    /// The `Set-Cookie` that has the browser forget the token.
    pub(crate) fn cleared(self) -> String {
        format!("{}=; Path=/; Max-Age=0{}", self.name(), self.attributes())
    }

    /// Finds the token in a `Cookie`. Only a semicolon separates cookies, and only a space or a tab may be before a name. Any site under the same
    /// registrable domain may set a cookie whose value has a comma, or whose name begins with a space of Unicode. To split or trim there would
    /// find our name in such a cookie, although a browser keeps the prefix `__Host-` for this host alone.
    ///
    /// # Errors
    /// If it comes twice.
    pub(crate) fn find(self, header: Option<&str>) -> Result<Option<&str>, Twice> {
        let mut tokens = header
            .unwrap_or_default()
            .split(';')
            .map(|pair| pair.trim_matches([' ', '\t']))
            .filter_map(|pair| pair.strip_prefix(self.name())?.strip_prefix('='));
        match (tokens.next(), tokens.next()) {
            (_, Some(_)) => Err(Twice),
            (found, None) => Ok(found),
        }
    }
}

/// Whether an origin without TLS is this machine's own.
fn is_loopback(origin: &str) -> bool {
    let authority = origin.strip_prefix("http://").unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::{Cookie, Twice};

    #[test]
    fn the_token_is_found_among_other_cookies_by_the_whole_name() {
        let find = |header| Cookie::Host.find(Some(header));
        for (header, token) in [
            ("__Host-tenants_session=a", Some("a")),
            ("x=1; __Host-tenants_session=a=b; y", Some("a=b")),
            ("x=1;\t__Host-tenants_session=", Some("")),
            ("tenants_session=a", None),
            ("x__Host-tenants_session=a", None),
            ("__Host-tenants_session2=a", None),
            ("__host-tenants_session=a", None),
            ("__Host-tenants_session", None),
            ("", None),
        ] {
            assert_eq!(find(header), Ok(token), "{header}");
        }
        assert_eq!(Cookie::Host.find(None), Ok(None));
        let twice = "__Host-tenants_session=a; __Host-tenants_session=a";
        assert_eq!(find(twice), Err(Twice));
        let loopback = Cookie::Loopback.find(Some("__Host-tenants_session=a; tenants_session=b"));
        assert_eq!(loopback, Ok(Some("b")));
    }

    #[test]
    fn a_cookie_that_another_site_may_set_is_never_the_sessions_own() {
        // A site under the same registrable domain may set each of these: their names lack the prefix, or have characters before it.
        for header in [
            "x=1,__Host-tenants_session=a",
            "x=1, __Host-tenants_session=a",
            "\u{2000}__Host-tenants_session=a",
            "\u{a0}__Host-tenants_session=a",
            "\u{85}__Host-tenants_session=a",
            "\u{b}__Host-tenants_session=a",
        ] {
            assert_eq!(Cookie::Host.find(Some(header)), Ok(None), "{header:?}");
            let both = alloc::format!("__Host-tenants_session=b; {header}");
            let found = Cookie::Host.find(Some(&both));
            assert!(found.is_ok(), "{both:?}");
        }
    }

    #[test]
    fn only_loopback_without_tls_under_development_has_the_other_cookie() {
        for (is_development, origin, cookie) in [
            (true, Some("http://127.0.0.1:8787"), Cookie::Loopback),
            (true, Some("http://localhost"), Cookie::Loopback),
            (true, Some("http://[::1]:1"), Cookie::Loopback),
            (true, Some("http://[::1]"), Cookie::Loopback),
            (false, Some("http://127.0.0.1:8787"), Cookie::Host),
            (true, Some("https://127.0.0.1:8787"), Cookie::Host),
            (true, Some("http://tenants.example.com"), Cookie::Host),
            (true, Some("http://localhost.example.com"), Cookie::Host),
            (true, Some("http://localhost/x"), Cookie::Host),
            (true, None, Cookie::Host),
        ] {
            assert_eq!(Cookie::of(is_development, origin), cookie, "{origin:?}");
        }
    }

    #[test]
    fn the_cookie_has_every_attribute_that_guards_it() {
        assert_eq!(
            Cookie::Host.set("t"),
            "__Host-tenants_session=t; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            Cookie::Host.cleared(),
            "__Host-tenants_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            Cookie::Loopback.set("t"),
            "tenants_session=t; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"
        );
    }
}
