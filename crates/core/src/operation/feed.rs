//! `GET /cells/{id}/tenants` and `POST /cells/{id}/stats` (contract §15): the agent's side of tenants.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::operation::call::{Call, Pending, absent};
use crate::store::counters::Counters;
use crate::store::feed::{self, Agent, Cursor, FeedRow, FeedTenant, Head, Poll, StatsOfTenant};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, CellConflict};
use crate::value::id::{CellId, TenantId};
use crate::value::text::{quote, whole};
use crate::wire::body::{Checked, Json, Wrong, members, pointer_token};
use crate::wire::filter::Reader;
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::page::parameters;
use crate::wire::parameter::Parameter;
use crate::wire::rule::Rule;
use crate::wire::variables::Variables;

/// The rows of a page, unless the request says how many, and the most that it may ask for.
const DEFAULT_LIMIT: i64 = 500;
const MAX_LIMIT: i64 = 1000;

/// The most tenants whose statistics one request may have.
pub(crate) const MAX_STATS: usize = 100;

/// The most rows that a line of the log names.
const MAX_NAMED: usize = 20;

/// `GET /cells/{id}/tenants`
pub(crate) fn read(call: &Call<'_>) -> Result<Pending, ApiError> {
    let query = Query::read(call.query)?;
    let Ok(cell) = CellId::parse(call.id) else {
        return Ok(absent(call, "cell"));
    };
    let poll = Poll {
        cell,
        after: query.after,
        limit: query.limit,
        agent: query.agent,
    };
    let known = call.if_none_match.clone();
    let sealer = call.env.sealer.cloned();
    let root = call.hostnames.root.clone();
    let notes = feed::notes(&poll);
    Ok(Pending::with_note(
        feed::poll(&call.caller, &poll),
        move |results| {
            for _ in 0..notes {
                results.skip()?;
            }
            let head = Head::decode(results).map_err(|error| error.of_agent(poll.cell.as_str()))?;
            if head.is_served_by_another {
                return Err(ApiError::Cell(CellConflict::OtherAgent));
            }
            let start = match poll.after {
                Some(cursor) if !cursor.is_known(&head) => {
                    return Err(ApiError::CursorGone {
                        again: "begin again without one",
                    });
                }
                Some(cursor) => cursor,
                None => Cursor {
                    epoch: head.epoch.clone(),
                    revision: 0,
                    id: String::new(),
                    begun_at: head.forgotten,
                },
            };
            let rows = FeedRow::decode_all(results, &root, sealer.as_deref())?;
            let cursor = match rows.last() {
                Some(last) => Cursor {
                    revision: last.revision,
                    id: last.id.clone(),
                    ..start
                },
                None => start,
            };
            let etag = format!("\"{cursor}{}\"", if head.jobs_waiting { ".j" } else { "" });
            let is_idle = rows.is_empty() && !head.jobs_waiting;
            if is_idle && known.is_some_and(|known| known.matches(&etag)) {
                return Ok((Response::empty(304).with("etag", etag), None));
            }
            let body = page(&cursor, &head, &rows);
            let response = Response::json(200, body).with("etag", etag);
            Ok((response, note(&rows)))
        },
    ))
}

/// The note that names the rows that could not be decrypted, and the hostnames that are left out.
fn note(rows: &[FeedRow]) -> Option<String> {
    let mut broken = Vec::new();
    let mut left_out = Vec::new();
    for row in rows {
        match &row.tenant {
            Some(Err(reason)) => broken.push(Cow::Borrowed(reason.as_str())),
            Some(Ok(tenant)) => left_out.extend(tenant.left_out.iter().map(|name| {
                let id = &row.id;
                let name = quote(name);
                Cow::Owned(format!(
                    "tenants/{id}: {name} is not valid, or the root's own"
                ))
            })),
            None => {}
        }
    }
    let notes = [
        ("not readable", broken),
        ("left out of the hostnames", left_out),
    ];
    let notes = notes.into_iter().filter(|(_, all)| !all.is_empty());
    let notes: Vec<String> = notes.map(|(what, all)| named(what, &all)).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// Names the first of all reasons.
fn named(what: &str, all: &[Cow<'_, str>]) -> String {
    let first = &all[..all.len().min(MAX_NAMED)];
    let more = match all.len() - first.len() {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    format!("{what}: {}{more}", first.join("; "))
}

fn page(cursor: &Cursor, head: &Head, rows: &[FeedRow]) -> String {
    const ROW_BYTES: usize = 384;
    let more = rows.last().is_some_and(|row| row.more);
    let gone: Vec<&FeedRow> = rows.iter().filter(|row| row.tenant.is_none()).collect();
    let there: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.tenant.as_ref()?)))
        .collect();
    let flag = |b| if b { "true" } else { "false" };
    object(|out| {
        out.text("cursor", &cursor.to_string())
            .raw("more", flag(more))
            .raw("jobs_waiting", flag(head.jobs_waiting))
            .nested("gone", |out| {
                out.push('[');
                for (i, row) in gone.iter().enumerate() {
                    // An id needs no escapes.
                    out.push_str(if i > 0 { ",\"" } else { "\"" });
                    out.push_str(&row.id);
                    out.push('"');
                }
                out.push(']');
            })
            .raw(
                "tenants",
                &array(&there, ROW_BYTES, |(row, tenant), out| {
                    let out = out
                        .text("id", &row.id)
                        .raw("revision", &row.revision.to_string());
                    match tenant {
                        Ok(tenant) => write_tenant(tenant, out).end(),
                        Err(_) => out.text("error", "its settings cannot be read").end(),
                    }
                }),
            )
    })
}

fn write_tenant<'o>(tenant: &FeedTenant, out: Object<'o>) -> Object<'o> {
    let map = |map: &Variables| {
        if map.is_empty() {
            Cow::Borrowed("null")
        } else {
            Cow::Owned(map.to_stored())
        }
    };
    out.text("hostname", &tenant.hostname)
        .nested("hostnames", |out| {
            out.push('[');
            for (i, hostname) in tenant.hostnames.iter().enumerate() {
                // A hostname needs no escapes.
                out.push_str(if i > 0 { ",\"" } else { "\"" });
                out.push_str(hostname);
                out.push('"');
            }
            out.push(']');
        })
        .raw(
            "is_enabled",
            if tenant.is_enabled { "true" } else { "false" },
        )
        .optional_text("plan_id", tenant.plan_id.as_deref())
        .raw("limits", &map(&tenant.limits))
        .raw("env", &map(&tenant.env))
        .text("created_at", &tenant.created_at)
        .text("updated_at", &tenant.updated_at)
}

/// The parameters of a read.
struct Query {
    after: Option<Cursor>,
    limit: i64,
    agent: Option<Agent>,
}

impl Query {
    fn read(query: &str) -> Result<Self, ApiError> {
        let mut reader = Reader::default();
        let (mut after, mut limit, mut name, mut version) = (None, None, None, None);
        for (parameter, text, raw) in parameters(query) {
            match parameter {
                Some(p @ Parameter::After) => reader.once(p, raw, &mut after, |text| {
                    Cursor::parse(text)
                        .ok_or_else(|| format!("expected a cursor; got {}", quote(text)))
                }),
                Some(p @ Parameter::Limit) => {
                    reader.once(p, raw, &mut limit, |text| whole(text, 1, MAX_LIMIT));
                }
                Some(p @ Parameter::Agent) => reader.once(p, raw, &mut name, agent_text),
                Some(p @ Parameter::AgentVersion) => {
                    reader.once(p, raw, &mut version, agent_text);
                }
                _ => reader.unknown(text),
            }
        }
        reader.finish()?;
        Ok(Self {
            after,
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            agent: name.map(|name| Agent { name, version }),
        })
    }
}

fn agent_text(text: &str) -> Result<String, String> {
    let ok = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if ok {
        Ok(text.into())
    } else {
        Err(format!(
            "expected 1 to 64 of [A-Za-z0-9._-]; got {}",
            quote(text)
        ))
    }
}

/// `POST /cells/{id}/stats`
pub(crate) fn store_stats(call: &Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let tenants = fields.required("tenants", Rule::StatsOfTenants, read_stats);
    let at_once = fields.maybe("at_once", Rule::Boolean, Json::boolean);
    let (tenants, at_once) = fields.finish((tenants, at_once))?;
    let Ok(cell) = CellId::parse(call.id) else {
        return Ok(absent(call, "cell"));
    };
    let batch = feed::store_stats(&call.caller, &cell, &tenants, at_once == Some(true));
    // A second try stores nothing that the first one stored.
    Ok(Pending::write(batch, move |results| {
        let stored = feed::stored(results).map_err(|error| error.of_agent(cell.as_str()))?;
        let body = object(|out| out.raw("stored", &stored.to_string()));
        Ok(Response::json(200, body))
    }))
}

fn read_stats(value: Json<'_>) -> Checked<Vec<StatsOfTenant>> {
    value.each((MAX_STATS, "tenants"), read_one)
}

fn read_one(value: Json<'_>) -> Checked<StatsOfTenant> {
    let Json::Object(raw) = value else {
        return Err(format!("expected an object; got {}", value.kind()).into());
    };
    let (mut id, mut stats, mut counted_at) = (None, None, None);
    let mut wrong = Wrong::default();
    for (name, raw) in members(raw)? {
        let token = pointer_token(&name);
        let value = Json::of(raw).map_err(Wrong::from);
        match name.as_ref() {
            "id" => id = wrong.sort_out(&token, value.and_then(|v| v.parsed(TenantId::parse))),
            "counted_at" => {
                let time = value.and_then(|v| v.parsed(time));
                counted_at = wrong.sort_out(&token, time);
            }
            "stats" => {
                let counters = Counters::from_stored(raw.get()).map_err(Wrong::from);
                stats = wrong.sort_out(&token, counters);
            }
            _ => wrong.unknown(&token, "expected `id`, `stats` and `counted_at` alone"),
        }
    }
    let id = wrong.required("id", id);
    let stats = wrong.required("stats", stats);
    match (id, stats, wrong.required("counted_at", counted_at)) {
        (Some(id), Some(stats), Some(counted_at)) => wrong.or(StatsOfTenant {
            id,
            stats,
            counted_at,
        }),
        _ => Err(wrong),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| format!("expected YYYY-MM-DD HH:MM:SS; got {}", quote(text)))
}
