//! Sessions of the console (contract §20): what a request with the cookie must show beside it.
//!
//! A browser sends the cookie by itself, and a tenant's site may be under the same registrable domain. So the cookie alone suffices for nothing:
//! `Sec-Fetch-Site`, which no script can set, says that a page of the console's own origin sent the request, and a write has a
//! header that only such a page can know.

use crate::auth::NO_KEY_SECRET;
use crate::crypto::api_key::{KeyError, KeySecret};
use crate::crypto::session::SessionToken;
use crate::value::fault::{ApiError, Unauthorized};
use crate::wire::cookie::{Cookie, Twice};
use crate::wire::http::Headers;

/// Finds the cookie's token. Whether it is one is for [`claim`] to say.
///
/// # Errors
/// 401 if there are several.
pub(crate) fn token<'a>(
    headers: &Headers<'a>,
    cookie: Cookie,
) -> Result<Option<&'a str>, ApiError> {
    let several = |Twice| ApiError::Unauthorized(Unauthorized::SessionMalformed);
    cookie.find(headers.cookie).map_err(several)
}

/// Checks the form and the MAC of a token. Neither needs a query.
///
/// # Errors
/// 401, also if the request has a key or a signature as well: nobody could say which of the two it stands for.
pub(crate) fn claim(
    secret: Option<&KeySecret>,
    headers: &Headers<'_>,
    token: &str,
) -> Result<SessionToken, ApiError> {
    let secret = secret.ok_or(NO_KEY_SECRET)?;
    if headers.name_a_key() {
        return Err(ApiError::Unauthorized(Unauthorized::SessionWithKey));
    }
    SessionToken::verify(secret, token).map_err(|error| {
        ApiError::Unauthorized(match error {
            KeyError::Malformed => Unauthorized::SessionMalformed,
            KeyError::Forged => Unauthorized::SessionForged,
        })
    })
}

/// Checks that a page of the console's own origin sent the request.
///
/// # Errors
/// 403 if it did not, or if nobody says so; 403 for a write without the session's own `X-CSRF-Token`.
pub(crate) fn check_origin(
    token: &SessionToken,
    headers: &Headers<'_>,
    is_read: bool,
) -> Result<(), ApiError> {
    if headers.sec_fetch_site != Some(SAME_ORIGIN) {
        return Err(ApiError::NotSameOrigin);
    }
    let is_its_own = |sent| token.has_csrf_token(sent);
    if is_read || headers.csrf_token.is_some_and(is_its_own) {
        Ok(())
    } else {
        Err(ApiError::CsrfTokenMismatch)
    }
}

/// Checks that no page of another origin wants to begin a session. Programs that are no browser do not say where they are.
///
/// # Errors
/// 403 if one does.
pub(crate) fn check_sign_in(headers: &Headers<'_>) -> Result<(), ApiError> {
    match headers.sec_fetch_site {
        None | Some(SAME_ORIGIN) => Ok(()),
        Some(_) => Err(ApiError::NotSameOrigin),
    }
}

const SAME_ORIGIN: &str = "same-origin";
