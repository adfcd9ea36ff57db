//! `/_/console/session` and `/_/console/sessions` (contract §20).
//!
//! A bound key begins a session, with a signature of that one request. From then on the cookie stands for the key, with the key's scopes or fewer.
//! To begin one takes two trips to the database: the first one reads what the key may do, and the second one writes.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::crypto::api_key::KeySecret;
use crate::crypto::session::{ID_LENGTH, SessionToken};
use crate::operation::call::{Call, Next, Pending, absent, decode_all};
use crate::operation::keys::{read_scopes, write_scopes};
use crate::sql::unexpected_result;
use crate::store::keys::{self, Authority};
use crate::store::sessions::{self, IDLE_SECONDS, NewSession, Session};
use crate::store::standing;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, FieldError, Internal, SignatureFault, Unauthorized};
use crate::value::scope::Scopes;
use crate::wire::body::Fields;
use crate::wire::cookie::{Cookie, SESSION_SECONDS};
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::rule::Rule;
use crate::wire::signature_input::SignatureInput;

/// The path of the caller's own session.
const OWN_PATH: &str = "/_/console/session";

/// The longest nonce, in characters.
const MAX_NONCE: usize = 128;

/// The room to reserve for a session's JSON, in bytes.
const JSON_BYTES: usize = 280;

/// `POST /_/console/session`
pub(crate) fn begin(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let wanted = match call.optional_fields()? {
        Some(fields) => read_wanted(fields)?,
        None => None,
    };
    let nonce = nonce(call.console.signature_input)?;
    let secret = call.key_secret.ok_or(ApiError::NotConfigured {
        variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
    })?;
    let key_id = call.caller.key_id();
    let token = issue(secret, key_id, call)?;
    let now = call.caller.now().clone();
    let after = |seconds: i64| Timestamp::of_clock(call.unix_seconds.saturating_add(seconds));
    let end = after(SESSION_SECONDS)?;
    let idle_until = after(IDLE_SECONDS)?;
    let cookie = call.console.cookie;
    let writer = call.writer()?;
    let first = keys::authority(&writer, Some(key_id), None);
    Ok(Pending::then(first, move |results, _| {
        let authority = Authority::decode(standing::judged_read(results)?)?;
        let key = authority
            .key
            .as_ref()
            .ok_or_else(|| unexpected_result("the caller has no key".into()))?;
        let scopes = wanted.unwrap_or_else(|| key.scopes.clone());
        within(&key.scopes, &scopes)?;
        let end = end.to_string();
        let expires_at = match &key.expires_at {
            Some(own) if *own < end => own.clone(),
            _ => end,
        };
        let idle_until = idle_until.to_string().min(expires_at.clone());
        let new = NewSession {
            token: &token,
            nonce: &nonce,
            scopes: &scopes,
            expires_at: &expires_at,
            idle_until: &idle_until,
        };
        let batch = sessions::create(&writer, new);
        let session = Session {
            id: token.id().into(),
            key_id,
            key_name: key.name.clone(),
            created_at: now.to_string(),
            last_used_at: now.to_string(),
            expires_at,
            idle_until,
            scopes,
        };
        Ok(Next::run(Pending::write(batch, move |results| {
            sessions::created(results)?;
            let response = Response::json(201, shown(&session, &token));
            let response = response.with("location", OWN_PATH);
            Ok(response.with("set-cookie", cookie.set(token.text())))
        })))
    }))
}

fn issue(secret: &KeySecret, key_id: i64, call: &mut Call<'_>) -> Result<SessionToken, ApiError> {
    SessionToken::issue(secret, key_id, call.env.random)
        .map_err(|_| ApiError::Internal(Internal::Random))
}

/// Reads the nonce of the signature, which was checked.
fn nonce(signature_input: Option<&str>) -> Result<String, ApiError> {
    let input = SignatureInput::read(signature_input.unwrap_or_default())?;
    match input.nonce {
        Some(nonce) if (1..=MAX_NONCE).contains(&nonce.len()) => Ok(nonce.into()),
        _ => Err(ApiError::Unauthorized(Unauthorized::Request(
            SignatureFault::NoNonce,
        ))),
    }
}

fn read_wanted(mut fields: Fields<'_>) -> Result<Option<Scopes>, ApiError> {
    let scopes = fields.maybe("scopes", Rule::Scopes, read_scopes);
    let (scopes,) = fields.finish((scopes,))?;
    Ok(scopes)
}

/// Checks that the key has the scopes that the session is to have.
fn within(own: &Scopes, wanted: &Scopes) -> Result<(), ApiError> {
    let lacking = own.lacks(wanted);
    let errors: Vec<FieldError> = wanted
        .texts()
        .iter()
        .enumerate()
        .filter(|(_, scope)| lacking.contains(scope))
        .map(|(i, scope)| {
            let detail = format!("expected a scope that the key has; got `{scope}`");
            FieldError::field(format!("/scopes/{i}"), detail)
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid(errors))
    }
}

/// `GET /_/console/session`
pub(crate) fn show(call: &Call<'_>) -> Result<Pending, ApiError> {
    let token = own_token(call)?.clone();
    let idle_until = Timestamp::of_clock(call.unix_seconds.saturating_add(IDLE_SECONDS))?;
    let now = call.caller.now().clone();
    Ok(Pending::new(sessions::own(&call.caller), move |results| {
        let row = standing::judged_read(results)?;
        let mut session = Session::decode(row)?
            .ok_or_else(|| unexpected_result("a session without a row".into()))?;
        // This request counts as a use, which is noted once a minute.
        if session.last_used_at.get(..MINUTE) != now.as_str().get(..MINUTE) {
            session.idle_until = idle_until.to_string();
        }
        session.idle_until = session.idle_until.min(session.expires_at.clone());
        Ok(Response::json(200, shown(&session, &token)))
    }))
}

/// The length of a time without its seconds.
const MINUTE: usize = "2026-08-18 23:16".len();

/// `DELETE /_/console/session`
pub(crate) fn sign_out(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let id = String::from(own_token(call)?.id());
    let cookie = call.console.cookie;
    ending(call, &id, Some(cookie))
}

/// `GET /_/console/sessions`
pub(crate) fn list(call: &Call<'_>) -> Pending {
    let own = call.caller.session_id().map(String::from);
    Pending::new(sessions::living(&call.caller), move |results| {
        let all = decode_all(results, Session::decode)?;
        let body = array(&all, JSON_BYTES, |session, out| {
            let is_own = own.as_deref() == Some(&session.id);
            write_key(session, out.text("id", &session.id))
                .text("created_at", &session.created_at)
                .text("last_used_at", &session.last_used_at)
                .text("expires_at", &session.expires_at)
                .raw("current", if is_own { "true" } else { "false" })
                .end();
        });
        Ok(Response::json(200, body))
    })
}

/// `DELETE /_/console/sessions/{id}`
pub(crate) fn end(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let id = String::from(call.id);
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if id.len() != ID_LENGTH || !id.bytes().all(is_hex) {
        return Ok(absent(call, "session"));
    }
    let is_own = call.caller.session_id() == Some(&id);
    let cookie = call.console.cookie;
    ending(call, &id, is_own.then_some(cookie))
}

/// Ends a session. If it is the caller's own, the browser forgets its cookie.
fn ending(call: &mut Call<'_>, id: &str, cookie: Option<Cookie>) -> Result<Pending, ApiError> {
    let writer = call.writer()?;
    Ok(Pending::write(sessions::end(&writer, id), move |results| {
        sessions::ended(results)?;
        let response = Response::empty(204);
        Ok(match cookie {
            Some(cookie) => response.with("set-cookie", cookie.cleared()),
            None => response,
        })
    }))
}

fn own_token<'c>(call: &'c Call<'_>) -> Result<&'c SessionToken, ApiError> {
    call.console
        .token
        .as_ref()
        .ok_or(ApiError::Unauthorized(Unauthorized::SessionMissing))
}

/// What a session's own caller sees.
fn shown(session: &Session, token: &SessionToken) -> String {
    object(|o| {
        let o = o
            .text("csrf_token", &token.csrf_token())
            .text("id", &session.id);
        write_key(session, o)
            .text("created_at", &session.created_at)
            .text("expires_at", &session.expires_at)
            .text("idle_until", &session.idle_until)
    })
}

/// Adds the key that a session stands for, and what the session may do.
fn write_key<'o>(session: &Session, o: Object<'o>) -> Object<'o> {
    o.nested("key", |out| {
        Object::begin(out)
            .raw("id", &session.key_id.to_string())
            .optional_text("name", session.key_name.as_deref())
            .end();
    })
    .nested("scopes", |out| write_scopes(&session.scopes, out))
}
