//! The property of what a browser sends for a session of the console.

use alloc::format;

use super::{KEY_SECRET, text};
use crate::auth::session::check_origin;
use crate::crypto::api_key::KeySecret;
use crate::crypto::secret::Secret;
use crate::crypto::session::SessionToken;
use crate::testing::Counter;
use crate::wire::cookie::Cookie;
use crate::wire::http::Headers;

/// What another site may set as a cookie, or send: it is never taken for the session's token, hides that token in no place, and opens nothing. Of
/// all texts near a token and its `X-CSRF-Token`, only these are valid.
pub fn session(data: &[u8]) {
    let keys = KeySecret::new(&Secret::new(KEY_SECRET.into()));
    let issued = SessionToken::issue(&keys, 7, &mut Counter::default()).expect("randomness");
    let (token, csrf) = (issued.text(), issued.csrf_token());
    let sent = text(data);
    // The chance to hit a MAC by itself is 2^-256.
    assert!(sent == token || SessionToken::verify(&keys, &sent).is_err());
    assert_eq!(
        issued.has_csrf_token(&sent),
        sent.eq_ignore_ascii_case(&csrf)
    );
    for (cookie, name) in [
        (Cookie::Host, "__Host-tenants_session"),
        (Cookie::Loopback, "tenants_session"),
    ] {
        let own = format!("{name}={token}");
        assert_eq!(cookie.find(Some(&own)), Ok(Some(token)));
        // A browser takes the spaces and tabs around a name away, and ends a cookie at a semicolon. It gives no other site a cookie of our name.
        let is_anothers = |pair: &str| {
            !pair
                .trim_matches([' ', '\t'])
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('='))
        };
        if sent.split(';').all(is_anothers) {
            assert_eq!(cookie.find(Some(&sent)), Ok(None), "{sent:?}");
            for header in [format!("{own}; {sent}"), format!("{sent}; {own}")] {
                assert_eq!(cookie.find(Some(&header)), Ok(Some(token)), "{header:?}");
            }
        } else if let Ok(found) = cookie.find(Some(&sent)) {
            assert!(found.is_some_and(|found| !found.contains(';')), "{sent:?}");
            assert!(cookie.find(Some(&format!("{own}; {sent}"))).is_err());
        }
    }
    for (site, csrf_token, is_read) in [
        (Some(&*sent), Some(&*csrf), true),
        (Some(&*sent), Some(&*csrf), false),
        (Some("same-origin"), Some(&*sent), false),
        (None, Some(&*csrf), true),
    ] {
        let headers = Headers {
            sec_fetch_site: site,
            csrf_token,
            ..Headers::default()
        };
        let passes = site == Some("same-origin")
            && (is_read || csrf_token.is_some_and(|sent| sent.eq_ignore_ascii_case(&csrf)));
        assert_eq!(check_origin(&issued, &headers, is_read).is_ok(), passes);
    }
}
