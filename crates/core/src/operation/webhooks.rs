//! `/webhooks` (contract §17): the receivers of events. `task/deliver.rs` sends to them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::crypto::seal::Sealer;
use crate::crypto::webhook::new_secret;
use crate::operation::call::{Call, Next, Pending, absent, decode_all, valid};
use crate::sql::{Batch, unexpected_result};
use crate::store::audit::Action;
use crate::store::deliveries::{self, Delivery};
use crate::store::event;
use crate::store::keys::MAX_OVERLAP_SECONDS;
use crate::store::message::{self, Message};
use crate::store::sealed::{NO_ENCRYPTION_KEY, open_secret, open_text, seal_text};
use crate::store::standing;
use crate::store::webhooks::{
    self, MAX_WEBHOOKS, NewWebhook, Webhook, WebhookPatch, decode_secrets, secret_place,
};
use crate::store::write::{Writer, Written, was_there};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, FieldError, Internal};
use crate::value::outbound::OutboundUrl;
use crate::value::patch::Edit;
use crate::value::random::{Random, RandomUnavailable};
use crate::value::text::{hex_text, is_epoch, quote, whole};
use crate::wire::audit::{DEFAULT_LIMIT, MAX_ID, MAX_LIMIT};
use crate::wire::body::{Checked, Json};
use crate::wire::filter::Reader;
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::page::{next_page, parameters};
use crate::wire::parameter::Parameter;
use crate::wire::rule::Rule;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "webhook" };

/// The longest description, in characters.
pub(crate) const MAX_DESCRIPTION: usize = 255;

/// The most types of a webhook.
pub(crate) const MAX_TYPES: usize = 64;

/// What a family of types ends with.
const FAMILY: &str = ".*";

/// The type of the event that `POST /webhooks/{id}/test` sends. No other event has it.
const TEST: &str = "webhook.test";

/// The room to reserve for the JSON of a webhook, and of a delivery, in bytes.
const JSON_BYTES: usize = 320;

/// Whether a path's id may be a webhook's.
fn is_id(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

/// Makes an id: 32 hexadecimal digits.
fn new_id(random: &mut dyn Random) -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    random
        .fill(&mut bytes)
        .map_err(|RandomUnavailable| ApiError::Internal(Internal::Random))?;
    Ok(hex_text(&bytes))
}

/// `GET /webhooks`
pub(crate) fn list(call: &Call<'_>) -> Pending {
    Pending::new(webhooks::list(&call.caller), |results| {
        let all = decode_all(results, Webhook::decode)?;
        let body = array(&all, JSON_BYTES, |webhook, out| {
            write_json(webhook, out).end()
        });
        Ok(Response::json(200, body))
    })
}

/// `GET /webhooks/{id}`
pub(crate) fn get(call: &Call<'_>) -> Pending {
    if !is_id(call.id) {
        return absent(call, "webhook");
    }
    Pending::new(webhooks::get(&call.caller, call.id), |results| {
        let webhook = Webhook::decode(standing::judged_read(results)?)?.ok_or(NOT_FOUND)?;
        Ok(Response::json(200, object(|out| write_json(&webhook, out))))
    })
}

/// `POST /webhooks`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let development = call.development;
    let mut fields = call.fields()?;
    let url = fields.required("url", Rule::WebhookUrl, |v| read_url(v, development));
    let types = fields.maybe("types", Rule::EventTypes, |v| v.nullable(read_types));
    let description = fields.maybe("description", Rule::WebhookDescription, |v| {
        v.nullable(read_description)
    });
    let (url, types, description) = fields.finish((url, types, description))?;
    let now = call.caller.now().to_string();
    let issuer = Issuer::of(call)?;
    let (secret_id, secret, sealed, remembered) = issuer.issue(call.env.random)?;
    let webhook = Webhook {
        id: new_id(call.env.random)?,
        url,
        types: types.flatten().unwrap_or_else(|| "[]".into()),
        description: description.flatten(),
        is_enabled: true,
        failing_since: None,
        behind: 0,
        created_at: now.clone(),
        updated_at: now,
    };
    let new = NewWebhook {
        id: &webhook.id,
        url: &webhook.url,
        types: &webhook.types,
        description: webhook.description.as_deref(),
        secret_id: &secret_id,
        sealed,
    };
    let batch = webhooks::create(&issuer.writer, new, remembered);
    let path = call.path("/webhooks");
    Ok(Pending::write(batch, move |results| {
        let mut row = Written::read(results)?;
        if !row.obstacle("has_room", true)? {
            let detail = format!("expected at most {MAX_WEBHOOKS} webhooks; there are so many");
            return Err(ApiError::Conflict([FieldError::field("", detail)].into()));
        }
        let past = row.secret();
        let (webhook, secret) = match row.remembered() {
            Err(_) => (webhook, secret),
            Ok(mut row) => {
                let id = row.text("id")?;
                let created_at = row.text("created_at")?;
                let webhook = Webhook {
                    id,
                    updated_at: created_at.clone(),
                    created_at,
                    ..webhook
                };
                (webhook, issuer.open(past)?)
            }
        };
        let location = format!("{path}/{}", webhook.id);
        let body = object(|out| write_json(&webhook, out).text("secret", &secret));
        Ok(Response::json(201, body).with("location", location))
    }))
}

/// `PATCH /webhooks/{id}`
pub(crate) fn edit(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let development = call.development;
    let mut fields = call.fields()?;
    let url = fields.maybe("url", Rule::WebhookUrl, |v| read_url(v, development));
    let types = fields.maybe("types", Rule::EventTypes, |v| v.nullable(read_types));
    let description = fields.maybe("description", Rule::WebhookDescription, |v| {
        v.nullable(read_description)
    });
    let is_enabled = fields.maybe("is_enabled", Rule::Boolean, Json::boolean);
    let from = fields.maybe("from", Rule::BacklogOrNow, read_from);
    let wrong = match (is_enabled, &from) {
        (Some(Some(true)), Some(None)) => {
            Some("required with `is_enabled`: expected `now` or `backlog`")
        }
        (Some(Some(false) | None), Some(Some(_))) => {
            Some("expected it with `is_enabled`: true only")
        }
        _ => None,
    };
    if let Some(detail) = wrong {
        fields.refuse(FieldError::field("/from", detail));
    }
    fields.require_any("url, types, description, is_enabled");
    let (url, types, description, is_enabled, from) =
        fields.finish((url, types, description, is_enabled, from))?;
    if !is_id(call.id) {
        return Ok(absent(call, "webhook"));
    }
    let patch = WebhookPatch {
        url,
        types: types.map(|types| types.unwrap_or_else(|| "[]".into())),
        description: Edit::of(description),
        is_enabled,
        from_now: from.unwrap_or_default(),
    };
    let id = call.id;
    changed(webhooks::edit(&call.writer()?, id, &patch))
}

/// `DELETE /webhooks/{id}`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    if !is_id(call.id) {
        return Ok(absent(call, "webhook"));
    }
    let id = call.id;
    changed(webhooks::delete(&call.writer()?, id))
}

fn changed(batch: Batch) -> Result<Pending, ApiError> {
    Ok(Pending::write(batch, |results| {
        was_there(results, NOT_FOUND)?;
        Ok(Response::empty(204))
    }))
}

/// `POST /webhooks/{id}/rotate`
pub(crate) fn rotate(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let overlap = match call.optional_fields()? {
        None => None,
        Some(mut fields) => {
            let overlap = fields.maybe("overlap_seconds", Rule::OverlapSeconds, |v| {
                v.whole_number(MAX_OVERLAP_SECONDS)
            });
            fields.finish((overlap,))?.0
        }
    };
    if !is_id(call.id) {
        return Ok(absent(call, "webhook"));
    }
    let until = match overlap.unwrap_or_default() {
        0 => None,
        seconds => Some(Timestamp::of_clock(
            call.unix_seconds.saturating_add(seconds.into()),
        )?),
    };
    let id = String::from(call.id);
    let issuer = Issuer::of(call)?;
    let (secret_id, secret, sealed, remembered) = issuer.issue(call.env.random)?;
    let batch = webhooks::rotate(
        &issuer.writer,
        &id,
        &secret_id,
        sealed,
        until.as_ref(),
        remembered,
    );
    Ok(Pending::write(batch, move |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        row.needs(id_is_there, NOT_FOUND)?;
        let past = row.secret();
        let (until, secret) = match row.remembered() {
            Err(_) => (until.map(|until| until.to_string()), secret),
            Ok(mut row) => (row.optional_text("previous_until")?, issuer.open(past)?),
        };
        let body = object(|out| {
            out.text("id", &id)
                .text("secret", &secret)
                .optional_text("previous_until", until.as_deref())
        });
        Ok(Response::json(200, body))
    }))
}

/// `POST /webhooks/{id}/test`: sends an event of its own, and answers what came of it. It leaves no trace.
pub(crate) fn test(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    if !is_id(call.id) {
        return Ok(absent(call, "webhook"));
    }
    let (development, is_trial) = (call.development, call.is_trial);
    let sealer = call.env.sealer.cloned();
    let now = call.caller.now().clone();
    let message_id = new_id(call.env.random)?;
    let batch = webhooks::with_secrets(&call.caller, call.id);
    Ok(Pending::then(batch, move |results, context| {
        let webhook = Webhook::decode(standing::judged_read(results)?)?.ok_or(NOT_FOUND)?;
        let secrets = open_secrets(decode_secrets(results)?, sealer.as_deref())?;
        if is_trial {
            return Ok(Next::Send(valid(), None));
        }
        let url = OutboundUrl::parse(&webhook.url, development).map_err(|reason| {
            ApiError::Internal(Internal::Stored {
                place: format!("webhooks/{}/url", webhook.id),
                reason,
            })
        })?;
        let body = object(|out| {
            out.text("type", TEST)
                .text("timestamp", &event::time(now.as_str()))
                .nested("data", |out| {
                    Object::begin(out).text("id", &webhook.id).end()
                })
        });
        let message = Message {
            url: &url,
            secrets: &secrets,
            id: &message_id,
            body,
            unix_seconds: context.unix_seconds,
        };
        let request = message.request();
        Ok(Next::Fetch(
            Box::new(request),
            Box::new(|answer, _| {
                let result = message::Result::of(answer.as_ref());
                let body = object(|out| {
                    let out = out.text(
                        "outcome",
                        if result.accepted {
                            "accepted"
                        } else {
                            "refused"
                        },
                    );
                    let out = match result.status {
                        Some(status) => out.raw("status", &status.to_string()),
                        None => out.raw("status", "null"),
                    };
                    out.raw("milliseconds", &result.milliseconds.to_string())
                        .text("answer", &result.answer)
                });
                Ok(Next::Send(Response::json(200, body), None))
            }),
        ))
    }))
}

/// `GET /webhooks/{id}/deliveries`
pub(crate) fn deliveries(call: &Call<'_>) -> Result<Pending, ApiError> {
    let mut reader = Reader::default();
    let (mut before, mut limit) = (None, None);
    for (parameter, name, raw) in parameters(call.query) {
        match parameter {
            Some(p @ Parameter::Limit) => {
                reader.page(p, raw, &mut limit, |text| whole(text, 1, MAX_LIMIT));
            }
            Some(p @ Parameter::After) => {
                reader.page(p, raw, &mut before, |text| whole(text, 0, MAX_ID));
            }
            _ => reader.unknown(name),
        }
    }
    reader.finish()?;
    if !is_id(call.id) {
        return Ok(absent(call, "webhook"));
    }
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let path = call.path(&format!("/webhooks/{}/deliveries", call.id));
    let batch = deliveries::list(&call.caller, call.id, before.unwrap_or(MAX_ID), limit);
    Ok(Pending::new(Batch::one(batch), move |results| {
        let mut all = decode_all(results, Delivery::decode)?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = all.len() > most;
        all.truncate(most);
        let body = array(&all, JSON_BYTES, write_delivery);
        let response = Response::json(200, body);
        Ok(match all.last() {
            Some(last) if more => {
                let next = next_page(&path, limit, last.id, "");
                response.with("link", next)
            }
            _ => response,
        })
    }))
}

/// `POST /webhooks/{id}/deliveries/{event}/retry`
pub(crate) fn retry(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    if !is_id(call.id) {
        return Ok(absent(call, "webhook"));
    }
    let (id, asked) = (call.id, call.part);
    let named = asked.split_once('.').and_then(|(epoch, number)| {
        let number = whole(number, 1, MAX_ID).ok()?;
        is_epoch(epoch).then_some((epoch, number))
    });
    let Some((epoch, number)) = named else {
        return Ok(absent(call, "event"));
    };
    let batch = webhooks::retry(&call.writer()?, id, epoch, number);
    Ok(Pending::write(batch, |results| {
        webhooks::was_retried(results)?;
        Ok(Response::empty(204))
    }))
}

/// Makes secrets, encrypts them for their row, and once more if the response is remembered.
struct Issuer {
    writer: Writer,
    sealer: Arc<Sealer>,
}

/// The id of a secret, its text, the same encrypted for its row, and encrypted to be remembered.
type Issued = (String, Zeroizing<String>, String, Option<String>);

impl Issuer {
    /// # Errors
    /// 503 if there is no key to encrypt with.
    fn of(call: &mut Call<'_>) -> Result<Self, ApiError> {
        let sealer = call.env.sealer.cloned().ok_or(NO_ENCRYPTION_KEY)?;
        let writer = call.writer()?;
        Ok(Self { writer, sealer })
    }

    fn issue(&self, random: &mut dyn Random) -> Result<Issued, ApiError> {
        let id = new_id(random)?;
        let secret =
            new_secret(random).map_err(|RandomUnavailable| ApiError::Internal(Internal::Random))?;
        let sealed = seal_text(secret_place(&id), &secret, &self.sealer, random)?;
        let remembered = match self.writer.idempotency() {
            None => None,
            Some(idempotency) => Some(seal_text(
                idempotency.secret_place(),
                &secret,
                &self.sealer,
                random,
            )?),
        };
        Ok((id, secret, sealed, remembered))
    }

    /// Decrypts the secret that was remembered.
    fn open(&self, secret: Option<(String, String)>) -> Result<Zeroizing<String>, ApiError> {
        let (fingerprint, sealed) = secret
            .ok_or_else(|| unexpected_result("a secret was remembered without its text".into()))?;
        open_secret(&fingerprint, &sealed, Some(&self.sealer))
    }
}

/// Decrypts the secrets of a webhook.
fn open_secrets(
    rows: Vec<(String, String)>,
    sealer: Option<&Sealer>,
) -> Result<Vec<Zeroizing<String>>, ApiError> {
    let open = |(id, sealed): (String, String)| open_text(secret_place(&id), &sealed, sealer);
    rows.into_iter().map(open).collect()
}

fn write_json<'o>(webhook: &Webhook, out: Object<'o>) -> Object<'o> {
    out.text("id", &webhook.id)
        .text("url", &webhook.url)
        .raw("types", &webhook.types)
        .optional_text("description", webhook.description.as_deref())
        .raw(
            "is_enabled",
            if webhook.is_enabled { "true" } else { "false" },
        )
        .optional_text("failing_since", webhook.failing_since.as_deref())
        .raw("behind", &webhook.behind.to_string())
        .text("created_at", &webhook.created_at)
        .text("updated_at", &webhook.updated_at)
}

fn write_delivery(delivery: &Delivery, out: Object<'_>) {
    let outcome = match delivery.outcome {
        1 => "accepted",
        2 => "given_up",
        _ => "refused",
    };
    let out = out
        .raw("id", &delivery.id.to_string())
        .text("event", &event::id(&delivery.epoch, delivery.entry_id))
        .text("type", &delivery.event)
        .text("subject", &delivery.subject)
        .text("at", &delivery.at)
        .text("outcome", outcome);
    let out = match delivery.status {
        Some(status) => out.raw("status", &status.to_string()),
        None => out.raw("status", "null"),
    };
    out.raw("milliseconds", &delivery.milliseconds.to_string())
        .text("answer", &delivery.answer)
        .end();
}

fn read_url(value: Json<'_>, development: bool) -> Checked<String> {
    value.parsed(|text| OutboundUrl::parse(text, development).map(|url| url.as_str().into()))
}

fn read_description(value: Json<'_>) -> Checked<String> {
    value.parsed(|text| match text.chars().count() {
        1..=MAX_DESCRIPTION => Ok(text.into()),
        length => Err(format!(
            "expected 1 to {MAX_DESCRIPTION} characters; got {length}"
        )),
    })
}

/// Reads whether a webhook begins with what comes from now on.
fn read_from(value: Json<'_>) -> Checked<bool> {
    value.parsed(|text| match text {
        "now" => Ok(true),
        "backlog" => Ok(false),
        other => Err(format!("expected `now` or `backlog`; got {}", quote(other))),
    })
}

/// Reads types of events and families of them. Returns the list in JSON; one that comes twice is kept once.
fn read_types(value: Json<'_>) -> Checked<String> {
    let all = value.each((MAX_TYPES, "types"), |item| {
        item.parsed(|text| {
            if is_wanted_somewhere(text) {
                Ok(String::from(text))
            } else {
                Err(format!(
                    "expected the type of an event, or a family such as tenant.*; got {}",
                    quote(text)
                ))
            }
        })
    })?;
    let mut types: Vec<String> = Vec::new();
    for one in all {
        if !types.contains(&one) {
            types.push(one);
        }
    }
    Ok(event::types_to_json(&types))
}

/// Whether an event may have this type, or be of this family.
fn is_wanted_somewhere(wanted: &str) -> bool {
    let mut all = Action::ALL.into_iter().filter_map(Action::event);
    match wanted.strip_suffix(FAMILY) {
        Some(_) => all.any(|name| event::is_of(name, wanted)),
        None => all.any(|name| name == wanted),
    }
}
