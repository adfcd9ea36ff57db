//! `/keys`, `/keys/{id}` and `/keys/{id}/rotate` (contract §13).
//!
//! A caller makes, changes, rotates and deletes only keys whose scopes it has itself, that expire no later than its own, and that are bound if
//! its own is. So each of these takes two trips to the database: the first one reads what the caller may give away, and the second one writes.
//! Neither a key's scopes nor whether it is bound ever changes. Its end may, so the write judges that again.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::api_key::{IssuedKey, KeySecret, issuable};
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Next, Pending, absent, decode_all};
use crate::sql::{Batch, Columns, Results, unexpected_result};
use crate::store::keys::{self, Authority, Changed, MAX_OVERLAP_SECONDS, NewKey, ShownKey};
use crate::store::sealed::{NO_ENCRYPTION_KEY, open_secret, seal_text};
use crate::store::standing;
use crate::store::write::Writer;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, FieldError, Internal};
use crate::value::key_name::KeyName;
use crate::value::random::Random;
use crate::value::scope::{MAX_SCOPES, Scopes};
use crate::value::text::quote;
use crate::wire::body::{Checked, Fields, Json};
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::rule::Rule;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "key" };

/// The shortest one for a key that rotates itself, so that a response that is lost locks nobody out.
const MIN_OWN_OVERLAP_SECONDS: u32 = 60;

/// Row ids have at most 15 digits.
const MAX_ID_DIGITS: usize = 15;

/// The room to reserve for a key's JSON, in bytes.
const JSON_BYTES: usize = 240;

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
    Pending::new(keys::authority(&call.caller, Some(id), None), |results| {
        let key = read(results)?.key.ok_or(NOT_FOUND)?;
        Ok(Response::json(200, object(|o| write_json(&key, o))))
    })
}

/// `POST /keys`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let now = call.caller.now().clone();
    let (name, scopes, expires_at, is_bound) = read_new(call.fields()?, &now)?;
    let creation = Creation {
        issuer: Issuer::of(call)?,
        key: ShownKey {
            id: 0,
            name: name.map(|name| name.as_str().into()),
            scopes,
            is_bound,
            created_at: now.to_string(),
            expires_at: expires_at.as_ref().map(ToString::to_string),
            last_used_at: None,
        },
        now,
        expires_at,
        path: call.path("/keys"),
    };
    Ok(creation.run(MAX_TRIES))
}

/// How often a request takes the next id, if others take it in between. Of those that try at once one succeeds each time.
const MAX_TRIES: u32 = 10;

/// A key to make.
struct Creation {
    issuer: Issuer,
    /// The key, whose id is not known yet.
    key: ShownKey,
    now: Timestamp,
    expires_at: Option<Timestamp>,
    /// The path of keys.
    path: String,
}

impl Creation {
    fn run(self, tries: u32) -> Pending {
        Pending::then(self.issuer.authority(None), move |results, context| {
            let mut authority = read(results)?;
            let end = self.key.expires_at.as_deref();
            // A session may have fewer scopes than its key, whose response must not be shown to it.
            if self.issuer.writer.session_id().is_some() {
                authority.covers(&self.key.scopes, self.key.is_bound, end)?;
            }
            if let Some(past) = authority.past.take() {
                results.replay(past.replayed_until);
                return self
                    .replayed(past.answer, past.secret)
                    .map(|response| Next::Send(response, None));
            }
            authority.covers(&self.key.scopes, self.key.is_bound, end)?;
            let id = authority.next_id;
            let (issued, secret) = self.issuer.issue(id, context.random)?;
            let new = NewKey {
                id,
                name: self.key.name.as_deref(),
                digest: issued.digest(),
                created_at: &self.now,
                expires_at: self.expires_at.as_ref(),
                scopes: &self.key.scopes,
                is_bound: self.key.is_bound,
            };
            let batch = keys::create(&self.issuer.writer, new, secret);
            Ok(Next::run(Pending::write_then(batch, move |results, _| {
                let response = match Changed::decode(results)? {
                    Changed::Yes => {
                        let key = ShownKey { id, ..self.key };
                        self.issuer.created(&key, issued.text(), &self.path)
                    }
                    Changed::Before(row, secret) => self.replayed(row.into_columns(), secret)?,
                    Changed::No if tries > 1 => {
                        return Ok(Next::run(self.run(tries - 1)));
                    }
                    Changed::No => {
                        let reason = "others took the next id of a key again and again";
                        return Err(ApiError::Unavailable(reason.into()));
                    }
                };
                Ok(Next::Send(response, None))
            })))
        })
    }

    /// The response to the same request, which was carried out before.
    fn replayed(
        self,
        mut answer: Columns,
        secret: Option<(String, String)>,
    ) -> Result<Response, ApiError> {
        let key = ShownKey {
            id: answer.integer("id")?,
            created_at: answer.text("created_at")?,
            ..self.key
        };
        let text = self.issuer.open(secret)?;
        Ok(self.issuer.created(&key, &text, &self.path))
    }
}

/// `PATCH /keys/{id}`
pub(crate) fn edit(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let (name, expires_at) = read_patch(call.fields()?, call.caller.now())?;
    let Some(id) = parse_id(call.id) else {
        return Ok(absent(call, "key"));
    };
    let writer = call.writer()?;
    Ok(changed(writer, id, move |writer, authority, key| {
        let expires_at = expires_at
            .as_ref()
            .map(|at| at.as_ref().map(Timestamp::as_str));
        if let Some(at) = expires_at {
            authority.covers(&key.scopes, key.is_bound, at)?;
        }
        let name = name.as_ref().map(|name| name.as_ref().map(KeyName::as_str));
        Ok(keys::edit(writer, id, name, expires_at))
    }))
}

/// `DELETE /keys/{id}`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Some(id) = parse_id(call.id) else {
        return Ok(absent(call, "key"));
    };
    let writer = call.writer()?;
    Ok(changed(writer, id, move |writer, _, _| {
        Ok(keys::delete_one(writer, id))
    }))
}

/// Changes a key, if the caller may. The response has nothing to show.
fn changed(
    writer: Writer,
    id: i64,
    batch: impl FnOnce(&Writer, &Authority, &ShownKey) -> Result<Batch, ApiError> + Send + 'static,
) -> Pending {
    let first = keys::authority(&writer, Some(id), writer.idempotency());
    Pending::then(first, move |results, _| {
        let mut authority = read(results)?;
        if let Some(past) = authority.past.take() {
            results.replay(past.replayed_until);
            return Ok(Next::Send(Response::empty(204), None));
        }
        let batch = batch(&writer, &authority, covered(&authority)?)?;
        Ok(Next::run(Pending::write(
            batch,
            |results| match Changed::decode(results)? {
                Changed::No => Err(NOT_FOUND),
                Changed::Yes | Changed::Before(..) => Ok(Response::empty(204)),
            },
        )))
    })
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
    // A session may have fewer scopes than its key, and must not get a key that has them all.
    if is_own && call.caller.session_id().is_none() {
        call.caller.need_nothing();
    }
    let Some(id) = id else {
        return Ok(absent(call, "key"));
    };
    let previous_until = match overlap {
        0 => None,
        seconds => Some(Timestamp::of_clock(
            call.unix_seconds.saturating_add(seconds.into()),
        )?),
    };
    let issuer = Issuer::of(call)?;
    let first = issuer.authority(Some(id));
    Ok(Pending::then(first, move |results, context| {
        let mut authority = read(results)?;
        if issuer.writer.session_id().is_some() {
            covered(&authority)?;
        }
        if let Some(mut past) = authority.past.take() {
            results.replay(past.replayed_until);
            let key = ShownKey::of_columns(id, &mut past.answer)?;
            let text = issuer.open(past.secret)?;
            return Ok(Next::Send(issuer.once(200, &key, &text), None));
        }
        covered(&authority)?;
        let key = authority.key.take().ok_or(NOT_FOUND)?;
        let (issued, secret) = issuer.issue(id, context.random)?;
        let batch = keys::rotate(
            &issuer.writer,
            id,
            issued.digest(),
            &key,
            previous_until.as_ref(),
            secret,
        );
        Ok(Next::run(Pending::write(
            batch,
            move |results| match Changed::decode(results)? {
                Changed::No => Err(NOT_FOUND),
                Changed::Yes => Ok(issuer.once(200, &key, issued.text())),
                Changed::Before(mut row, secret) => {
                    let key = ShownKey::of_columns(id, &mut row)?;
                    let text = issuer.open(secret)?;
                    Ok(issuer.once(200, &key, &text))
                }
            },
        )))
    }))
}

/// Issues keys, and remembers them encrypted if the request has an `Idempotency-Key`.
struct Issuer {
    writer: Writer,
    secret: KeySecret,
    sealer: Option<Arc<Sealer>>,
}

impl Issuer {
    /// # Errors
    /// 503 if there is no secret for keys, or none to encrypt the key that the response is remembered with.
    fn of(call: &mut Call<'_>) -> Result<Self, ApiError> {
        let secret = call.key_secret.cloned().ok_or(ApiError::NotConfigured {
            variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
        })?;
        let sealer = call.env.sealer.cloned();
        if call.idempotency.is_some() && sealer.is_none() {
            return Err(NO_ENCRYPTION_KEY);
        }
        Ok(Self {
            writer: call.writer()?,
            secret,
            sealer,
        })
    }

    fn authority(&self, id: Option<i64>) -> Batch {
        keys::authority(&self.writer, id, self.writer.idempotency())
    }

    /// Issues a key, and encrypts it if it is to be remembered.
    fn issue(
        &self,
        id: i64,
        random: &mut dyn Random,
    ) -> Result<(IssuedKey, Option<String>), ApiError> {
        let id = issuable(id).ok_or_else(|| keys::not_issuable(id))?;
        let issued = self
            .secret
            .issue(id, random)
            .map_err(|_| ApiError::Internal(Internal::Random))?;
        let secret = match (self.writer.idempotency(), &self.sealer) {
            (Some(idempotency), Some(sealer)) => {
                let place = idempotency.secret_place();
                Some(seal_text(place, issued.text(), sealer, random)?)
            }
            _ => None,
        };
        Ok((issued, secret))
    }

    /// Decrypts the key that was remembered.
    fn open(&self, secret: Option<(String, String)>) -> Result<Zeroizing<String>, ApiError> {
        let (fingerprint, sealed) = secret
            .ok_or_else(|| unexpected_result("a key was remembered without its text".into()))?;
        open_secret(&fingerprint, &sealed, self.sealer.as_deref())
    }

    /// The response to the creation of a key.
    fn created(&self, key: &ShownKey, text: &str, path: &str) -> Response {
        let location = format!("{path}/{}", key.id);
        self.once(201, key, text).with("location", location)
    }

    /// The only response that shows a key's text, and the signing secret of a bound one. A key that is shown again after its secret was replaced
    /// is not valid any more, and has no signing secret either.
    fn once(&self, status: u16, key: &ShownKey, text: &str) -> Response {
        let claimed = self.secret.verify(text).ok().filter(|_| key.is_bound);
        let signing = claimed.map(|claimed| self.secret.signing_secret(&claimed));
        let body = object(|o| {
            let o = write_json(key, o).text("api_key", text);
            match &signing {
                Some(secret) => o.text("signing_secret", secret.text()),
                None => o,
            }
        });
        Response::json(status, body)
    }
}

/// Reads the result of the first batch.
fn read(results: &mut Results) -> Result<Authority, ApiError> {
    Authority::decode(standing::judged_read(results)?)
}

/// The key that the caller asked for, if it may change it.
fn covered(authority: &Authority) -> Result<&ShownKey, ApiError> {
    let key = authority.key.as_ref().ok_or(NOT_FOUND)?;
    authority.covers(&key.scopes, key.is_bound, key.expires_at.as_deref())?;
    Ok(key)
}

/// The id that a path names; `None` if no key can have it.
fn parse_id(text: &str) -> Option<i64> {
    let digits = text.as_bytes();
    let ok = (1..=MAX_ID_DIGITS).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] != b'0';
    text.parse().ok().filter(|_| ok)
}

fn write_json<'o>(key: &ShownKey, o: Object<'o>) -> Object<'o> {
    o.raw("id", &key.id.to_string())
        .optional_text("name", key.name.as_deref())
        .nested("scopes", |out| write_scopes(&key.scopes, out))
        .raw("bound", if key.is_bound { "true" } else { "false" })
        .text("created_at", &key.created_at)
        .optional_text("expires_at", key.expires_at.as_deref())
        .optional_text("last_used_at", key.last_used_at.as_deref())
}

/// Writes scopes as a list. A scope needs no escaping: it has letters, digits and `:*_-` only.
pub(crate) fn write_scopes(scopes: &Scopes, out: &mut String) {
    out.push('[');
    for (i, scope) in scopes.texts().iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        for part in [comma, "\"", scope, "\""] {
            out.push_str(part);
        }
    }
    out.push(']');
}

type New = (Option<KeyName>, Scopes, Option<Timestamp>, bool);

/// Reads the body of `POST /keys`.
fn read_new(mut fields: Fields<'_>, now: &Timestamp) -> Result<New, ApiError> {
    let name = fields.maybe("name", Rule::KeyName, |v| v.nullable(read_name));
    let scopes = fields.required("scopes", Rule::Scopes, read_scopes);
    let end = |v: Json<'_>| v.nullable(|v| read_end(v, now));
    let expires_at = fields.maybe("expires_at", Rule::KeyEnd, end);
    let is_bound = fields.maybe("bound", Rule::Boolean, Json::boolean);
    let (name, scopes, expires_at, is_bound) =
        fields.finish((name, scopes, expires_at, is_bound))?;
    let is_bound = is_bound.unwrap_or_default();
    Ok((name.flatten(), scopes, expires_at.flatten(), is_bound))
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

/// Reads a time after `now`.
pub(crate) fn read_end(value: Json<'_>, now: &Timestamp) -> Checked<Timestamp> {
    value.parsed(|text| match Timestamp::parse(text) {
        Ok(at) if at > *now => Ok(at),
        _ => Err(format!(
            "expected a time in the future, as YYYY-MM-DD HH:MM:SS in UTC; got {}",
            quote(text)
        )),
    })
}

pub(crate) fn read_scopes(value: Json<'_>) -> Checked<Scopes> {
    let texts = value.each((MAX_SCOPES, "scopes"), |item| {
        item.parsed(|text| Scopes::check(text).map(|()| String::from(text)))
    })?;
    Scopes::parse(texts.iter().map(String::as_str)).map_err(|(_, detail)| detail.into())
}
