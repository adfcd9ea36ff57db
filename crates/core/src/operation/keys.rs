//! `/keys`, `/keys/{id}` and `/keys/{id}/rotate` (contract §13).
//!
//! A caller makes, changes, rotates and deletes only keys whose scopes it has itself and that expire no later than its own. So each of these
//! takes two trips to the database: the first one reads what the caller may give away, and the second one writes. A key's scopes never
//! change. Its end may, so the write judges that again.

use alloc::format;
use alloc::string::ToString as _;

use crate::crypto::api_key::{IssuedKey, KeySecret};
use crate::operation::call::{Call, Pending, absent, decode_all};
use crate::sql::Results;
use crate::store::keys::{self, Authority, NewKey, ShownKey};
use crate::store::standing;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, FieldError, Internal};
use crate::value::key_name::KeyName;
use crate::value::random::Random;
use crate::value::scope::Scopes;
use crate::value::text::quote;
use crate::wire::body::{Checked, Fields, Json, Wrong};
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::rule::Rule;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "key" };

/// The longest time for which the secret before a rotation stays valid: a week.
pub(crate) const MAX_OVERLAP_SECONDS: u32 = 7 * 24 * 60 * 60;

/// The shortest one for a key that rotates itself, so that a response that is lost locks nobody out.
const MIN_OWN_OVERLAP_SECONDS: u32 = 60;

/// Row ids have at most 15 digits.
const MAX_ID_DIGITS: usize = 15;

/// The room to reserve for a key's JSON, in bytes.
const JSON_BYTES: usize = 192;

/// `GET /keys`
pub(crate) fn list(call: &Call<'_>) -> Pending {
    Pending::new(keys::shown(&call.caller), |results| {
        let keys = decode_all(results, ShownKey::decode)?;
        let body = array(&keys, JSON_BYTES, |key, out| {
            write_json(key, out).end();
        });
        Ok(Response::json(200, body))
    })
}

/// `GET /keys/{id}`
pub(crate) fn get(call: &Call<'_>) -> Pending {
    let Some(id) = parse_id(call.id) else {
        return absent(call, "key");
    };
    Pending::new(keys::authority(&call.caller, Some(id)), |results| {
        let key = read(results)?.key.ok_or(NOT_FOUND)?;
        Ok(Response::json(200, object(|o| write_json(&key, o))))
    })
}

/// `POST /keys`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let now = call.caller.now().clone();
    let (name, scopes, expires_at) = read_new(call.fields()?, &now)?;
    let secret = secret(call)?;
    let writer = call.writer()?;
    let path = call.path("/keys");
    let batch = keys::authority(&call.caller, None);
    Ok(Pending::first(batch, move |results, context| {
        let authority = read(results)?;
        authority.covers(&scopes, expires_at.as_ref().map(Timestamp::as_str))?;
        let id = authority.next_id;
        let issued = issue(&secret, id, context.random)?;
        let new = NewKey {
            id,
            name: name.as_ref().map(KeyName::as_str),
            digest: issued.digest(),
            created_at: &now,
            expires_at: expires_at.as_ref(),
            scopes: &scopes,
        };
        let batch = keys::create(&writer, new);
        let key = ShownKey {
            id,
            name: name.map(|name| name.as_str().into()),
            scopes,
            created_at: now.to_string(),
            expires_at: expires_at.map(|at| at.to_string()),
        };
        Ok(Pending::write(batch, move |results| {
            if !keys::changed(results)? {
                let reason = "somebody else got the next id of a key";
                return Err(ApiError::Unavailable(reason.into()));
            }
            let location = format!("{path}/{id}");
            Ok(once(201, &key, &issued).with("location", location))
        }))
    }))
}

/// `PATCH /keys/{id}`
pub(crate) fn edit(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let (name, expires_at) = read_patch(call.fields()?, call.caller.now())?;
    let Some(id) = parse_id(call.id) else {
        return Ok(absent(call, "key"));
    };
    let writer = call.writer()?;
    let batch = keys::authority(&call.caller, Some(id));
    Ok(Pending::first(batch, move |results, _| {
        let authority = read(results)?;
        let key = covered(&authority)?;
        let expires_at = expires_at
            .as_ref()
            .map(|at| at.as_ref().map(Timestamp::as_str));
        if let Some(at) = expires_at {
            authority.covers(&key.scopes, at)?;
        }
        let name = name.as_ref().map(|name| name.as_ref().map(KeyName::as_str));
        let batch = keys::edit(&writer, id, name, expires_at);
        Ok(Pending::write(batch, done))
    }))
}

/// `DELETE /keys/{id}`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Some(id) = parse_id(call.id) else {
        return Ok(absent(call, "key"));
    };
    let writer = call.writer()?;
    let batch = keys::authority(&call.caller, Some(id));
    Ok(Pending::first(batch, move |results, _| {
        covered(&read(results)?)?;
        let batch = keys::delete_one(&writer, id);
        Ok(Pending::write(batch, done))
    }))
}

/// `POST /keys/{id}/rotate`
pub(crate) fn rotate(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let id = parse_id(call.id);
    let is_own = id == Some(call.caller.key_id());
    let overlap = match call.optional_fields()? {
        Some(fields) => read_rotation(fields)?,
        None => 0,
    };
    if is_own && overlap < MIN_OWN_OVERLAP_SECONDS {
        let detail = format!(
            "expected at least {MIN_OWN_OVERLAP_SECONDS} for a key that rotates itself; got {overlap}"
        );
        let error = FieldError::field("/overlap_seconds", detail);
        return Err(ApiError::Invalid([error].into()));
    }
    if is_own {
        call.caller.need_nothing();
    }
    let Some(id) = id else {
        return Ok(absent(call, "key"));
    };
    let previous_until = match overlap {
        0 => None,
        seconds => Some(
            Timestamp::from_unix(call.unix_seconds.saturating_add(seconds.into()))
                .map_err(|_| ApiError::Internal(Internal::Clock))?,
        ),
    };
    let secret = secret(call)?;
    let writer = call.writer()?;
    let batch = keys::authority(&call.caller, Some(id));
    Ok(Pending::first(batch, move |results, context| {
        let mut authority = read(results)?;
        let scopes = covered(&authority)?.scopes.clone();
        let key = authority.key.take().ok_or(NOT_FOUND)?;
        let issued = issue(&secret, id, context.random)?;
        let batch = keys::rotate(
            &writer,
            id,
            issued.digest(),
            &scopes,
            previous_until.as_ref(),
        );
        Ok(Pending::write(batch, move |results| {
            if keys::changed(results)? {
                Ok(once(200, &key, &issued))
            } else {
                Err(NOT_FOUND)
            }
        }))
    }))
}

/// Reads the result of the first batch.
fn read(results: &mut Results) -> Result<Authority, ApiError> {
    Authority::decode(standing::judged_read(results)?)
}

/// The key that the caller asked for, if it may change it.
fn covered(authority: &Authority) -> Result<&ShownKey, ApiError> {
    let key = authority.key.as_ref().ok_or(NOT_FOUND)?;
    authority.covers(&key.scopes, key.expires_at.as_deref())?;
    Ok(key)
}

/// Reads the result of a write that has nothing to show.
fn done(results: &mut Results) -> Result<Response, ApiError> {
    if keys::changed(results)? {
        Ok(Response::empty(204))
    } else {
        Err(NOT_FOUND)
    }
}

fn secret(call: &Call<'_>) -> Result<KeySecret, ApiError> {
    call.key_secret.cloned().ok_or(ApiError::NotConfigured {
        variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
    })
}

fn issue(secret: &KeySecret, id: i64, random: &mut dyn Random) -> Result<IssuedKey, ApiError> {
    let id = u64::try_from(id)
        .map_err(|_| ApiError::Internal(Internal::Rows("a key with a negative id".into())))?;
    secret
        .issue(id, random)
        .map_err(|_| ApiError::Internal(Internal::Random))
}

/// The id that a path names; `None` if no key can have it.
fn parse_id(text: &str) -> Option<i64> {
    let digits = text.as_bytes();
    let ok = (1..=MAX_ID_DIGITS).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] != b'0';
    text.parse().ok().filter(|_| ok)
}

/// The only response that shows a key's text.
fn once(status: u16, key: &ShownKey, issued: &IssuedKey) -> Response {
    let body = object(|o| write_json(key, o).text("api_key", issued.text()));
    Response::json(status, body)
}

fn write_json<'o>(key: &ShownKey, o: Object<'o>) -> Object<'o> {
    o.raw("id", &key.id.to_string())
        .optional_text("name", key.name.as_deref())
        .nested("scopes", |out| {
            out.push('[');
            for (i, scope) in key.scopes.texts().iter().enumerate() {
                // A scope needs no escaping: it has letters, digits and `:*_-` only.
                let comma = if i > 0 { "," } else { "" };
                for part in [comma, "\"", scope, "\""] {
                    out.push_str(part);
                }
            }
            out.push(']');
        })
        .text("created_at", &key.created_at)
        .optional_text("expires_at", key.expires_at.as_deref())
}

type New = (Option<KeyName>, Scopes, Option<Timestamp>);

/// Reads the body of `POST /keys`.
fn read_new(mut fields: Fields<'_>, now: &Timestamp) -> Result<New, ApiError> {
    let name = fields.maybe("name", Rule::KeyName, |v| v.nullable(read_name));
    let scopes = fields.required("scopes", Rule::Scopes, read_scopes);
    let end = |v: Json<'_>| v.nullable(|v| read_end(v, now));
    let expires_at = fields.maybe("expires_at", Rule::KeyEnd, end);
    let (name, scopes, expires_at) = fields.finish((name, scopes, expires_at))?;
    Ok((name.flatten(), scopes, expires_at.flatten()))
}

type Patch = (Option<Option<KeyName>>, Option<Option<Timestamp>>);

/// Reads the body of `PATCH /keys/{id}`. `null` removes a name or an end.
fn read_patch(mut fields: Fields<'_>, now: &Timestamp) -> Result<Patch, ApiError> {
    let name = fields.maybe("name", Rule::KeyName, |v| v.nullable(read_name));
    let end = |v: Json<'_>| v.nullable(|v| read_end(v, now));
    let expires_at = fields.maybe("expires_at", Rule::KeyEnd, end);
    fields.require_any("name, expires_at");
    fields.finish((name, expires_at))
}

/// Reads the body of `POST /keys/{id}/rotate`.
fn read_rotation(mut fields: Fields<'_>) -> Result<u32, ApiError> {
    let overlap = fields.maybe("overlap_seconds", Rule::OverlapSeconds, |v| {
        v.whole_number(MAX_OVERLAP_SECONDS)
    });
    let (overlap,) = fields.finish((overlap,))?;
    Ok(overlap.unwrap_or_default())
}

fn read_name(value: Json<'_>) -> Checked<KeyName> {
    value.parsed(|text| KeyName::parse(text).map_err(|error| error.to_string()))
}

fn read_end(value: Json<'_>, now: &Timestamp) -> Checked<Timestamp> {
    value.parsed(|text| match Timestamp::parse(text) {
        Ok(at) if at > *now => Ok(at),
        _ => Err(format!(
            "expected a time in the future, as YYYY-MM-DD HH:MM:SS in UTC; got {}",
            quote(text)
        )),
    })
}

fn read_scopes(value: Json<'_>) -> Checked<Scopes> {
    let mut texts = alloc::vec::Vec::new();
    for (i, item) in value.items()?.into_iter().enumerate() {
        match item {
            Json::String(text) => texts.push(text),
            other => {
                let detail = format!("expected a string; got {}", other.kind());
                return Err(Wrong([(format!("/{i}"), detail)].into()));
            }
        }
    }
    Scopes::parse(texts.iter().map(AsRef::as_ref)).map_err(|(at, detail)| {
        let pointer = at.map_or_else(alloc::string::String::new, |i| format!("/{i}"));
        Wrong([(pointer, detail)].into())
    })
}
