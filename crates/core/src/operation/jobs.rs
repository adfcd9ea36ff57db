//! `/jobs` and the agent's lease of them (contract §15).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Pending, absent};
use crate::sql::{Columns, unexpected_result};
use crate::store::leases::{self, LeaseRow, Leased};
use crate::store::sealed::open_text;
use crate::store::standing;
use crate::store::work::{self, Job, JobFilter, State, input_place};
use crate::store::write::Written;
use crate::value::fault::{ApiError, CellConflict, Internal};
use crate::value::id::{CellId, TenantId};
use crate::value::text::{hex_text, quote, whole};
use crate::wire::body::{Checked, Json};
use crate::wire::filter::Reader;
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::page::{next_page, parameters};
use crate::wire::parameter::Parameter;
use crate::wire::rule::Rule;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "job" };

/// The most jobs that one lease takes.
pub(crate) const MAX_LEASED: i64 = 20;

/// The bounds of a lease, in seconds.
pub(crate) const LEASE_SECONDS: (i64, i64) = (5, 3600);

/// The longest error of a job, in characters.
pub(crate) const MAX_ERROR_CHARACTERS: usize = 1000;

/// The jobs of a list, unless the request says how many, and the most that it may ask for.
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// The room to reserve for a job's JSON, in bytes.
const JSON_BYTES: usize = 384;

/// The input of a job, which is stored encrypted.
#[derive(Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) username: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) email: Option<String>,
    pub(crate) password: String,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Input {
    /// Puts another password in the place of this one, which is wiped.
    pub(crate) fn set_password(&mut self, password: &str) {
        self.password.zeroize();
        self.password.push_str(password);
    }

    /// The text to encrypt.
    pub(crate) fn to_stored(&self) -> Zeroizing<String> {
        // Strings always encode.
        Zeroizing::new(serde_json::to_string(self).unwrap_or_default())
    }

    /// Decrypts the input of a job.
    pub(crate) fn open(id: &str, sealed: &str, sealer: Option<&Sealer>) -> Result<Self, ApiError> {
        let text = open_text(input_place(id), sealed, sealer)?;
        serde_json::from_str(&text).map_err(|_| {
            ApiError::Internal(Internal::Stored {
                place: format!("{}", input_place(id)),
                reason: "is not the input of a job".into(),
            })
        })
    }
}

/// `POST /cells/{id}/jobs/lease`
pub(crate) fn lease(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let max = fields.required("max", Rule::LeaseCount, |v| v.whole(1, MAX_LEASED));
    let seconds = fields.required("seconds", Rule::LeaseSeconds, read_seconds);
    let (max, seconds) = fields.finish((max, seconds))?;
    let Ok(cell) = CellId::parse(call.id) else {
        return Ok(absent(call, "cell"));
    };
    let mut token = [0; 16];
    call.env
        .random
        .fill(&mut token)
        .map_err(|_| ApiError::Internal(Internal::Random))?;
    let token = hex_text(&token);
    let batch = leases::lease(&call.caller, &cell, max, &token, &seconds);
    let sealer = call.env.sealer.cloned();
    Ok(Pending::write_with_note(batch, move |results| {
        let (mut jobs, mut unreadable) = (Vec::new(), Vec::new());
        let leased = Leased::decode_all(results).map_err(|error| error.of_agent(cell.as_str()))?;
        for job in leased {
            let opened = job
                .input
                .as_ref()
                .map(|sealed| open_text(input_place(&job.id), sealed, sealer.as_deref()));
            match opened.transpose() {
                Ok(input) => jobs.push((job, input)),
                // The others do not wait for it. It comes back when its lease runs out, and fails after the fifth, unless the key is right by then.
                Err(error) => unreadable.extend(error.cause()),
            }
        }
        let jobs = array(&jobs, JSON_BYTES, |(job, input), out| {
            out.text("id", &job.id)
                .text("lease", &token)
                .text("leased_until", &job.leased_until)
                .text("tenant_id", &job.tenant_id)
                .text("kind", &job.kind)
                .raw("attempt", &job.attempt.to_string())
                .raw("input", input.as_ref().map_or("null", |text| text.as_str()))
                .end();
        });
        let note = (!unreadable.is_empty())
            .then(|| format!("left out of the lease: {}", unreadable.join("; ")));
        let response = Response::json(200, object(|out| out.raw("jobs", &jobs)));
        Ok((response, note))
    }))
}

/// Reads the seconds of a lease, as SQLite's `datetime` takes them.
fn read_seconds(value: Json<'_>) -> Checked<String> {
    let (least, most) = LEASE_SECONDS;
    let seconds = value.whole(least, most)?;
    Ok(format!("+{seconds} seconds"))
}

fn read_lease(value: Json<'_>) -> Checked<String> {
    value.parsed(|text| {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(text.into())
        } else {
            let length = text.chars().count();
            Err(format!(
                "expected the token of a lease, 32 hexadecimal digits; got {length} characters"
            ))
        }
    })
}

/// `POST /jobs/{id}/renew`
pub(crate) fn renew(call: &Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let lease = fields.required("lease", Rule::Lease, read_lease);
    let seconds = fields.required("seconds", Rule::LeaseSeconds, read_seconds);
    let (lease, seconds) = fields.finish((lease, seconds))?;
    let batch = leases::renew(&call.caller, call.id, &lease, &seconds);
    Ok(Pending::write(batch, |results| {
        results.skip()?;
        holds(LeaseRow::of_renewal(results)?)?;
        Ok(Response::empty(204))
    }))
}

fn holds(row: LeaseRow) -> Result<(), ApiError> {
    if !row.id_is_there {
        return Err(NOT_FOUND);
    }
    if !row.has_lease {
        return Err(ApiError::Cell(CellConflict::LeaseLost));
    }
    Ok(())
}

/// `POST /jobs/{id}/finish`
pub(crate) fn finish(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let lease = fields.required("lease", Rule::Lease, read_lease);
    let state = fields.required("state", Rule::EndState, |v| {
        v.parsed(|text| match State::parse(text) {
            Some(state @ (State::Done | State::Refused | State::Failed)) => Ok(state),
            _ => Err(format!(
                "expected `done`, `refused` or `failed`; got {}",
                quote(text)
            )),
        })
    });
    let error = fields.maybe("error", Rule::JobError, |v| v.nullable(read_error));
    let (lease, state, error) = fields.finish((lease, state, error))?;
    let error = error.flatten();
    let batch = leases::finish(&call.writer()?, call.id, &lease, state, error.as_deref());
    let now = String::from(call.caller.now().as_str());
    Ok(Pending::write(batch, move |results| {
        holds(LeaseRow::of_end(results)?)?;
        let job = Job::decode(&mut results.outcome()?, &now)?.ok_or(NOT_FOUND)?;
        if job.state.is_end() && job.state != state {
            return Err(ApiError::Cell(CellConflict::LeaseLost));
        }
        // The agent knows the password already.
        Ok(Response::json(200, to_json(&job, None)))
    }))
}

fn read_error(value: Json<'_>) -> Checked<String> {
    value.parsed(|text| match text.chars().count() {
        0..=MAX_ERROR_CHARACTERS => Ok(text.into()),
        length => Err(format!(
            "expected at most {MAX_ERROR_CHARACTERS} characters; got {length}"
        )),
    })
}

/// `GET /jobs/{id}`
pub(crate) fn get(call: &Call<'_>) -> Pending {
    let sealer = call.env.sealer.cloned();
    let now = String::from(call.caller.now().as_str());
    Pending::new(work::get(&call.caller, call.id), move |results| {
        let mut row = standing::judged_read(results)?;
        let job = Job::decode(&mut row, &now)?.ok_or(NOT_FOUND)?;
        let result = result_of(&job, sealer.as_deref())?;
        Ok(Response::json(200, to_json(&job, result.as_ref())))
    })
}

/// A generated password, as long as it is kept after the job's end.
fn result_of(job: &Job, sealer: Option<&Sealer>) -> Result<Option<Input>, ApiError> {
    match &job.input {
        Some(sealed) if job.is_generated && job.state == State::Done => {
            Input::open(&job.id, sealed, sealer).map(Some)
        }
        _ => Ok(None),
    }
}

/// `POST /jobs/{id}/cancel`
pub(crate) fn cancel(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let batch = leases::cancel(&call.writer()?, call.id);
    let now = String::from(call.caller.now().as_str());
    Ok(Pending::write(batch, move |results| {
        results.skip()?;
        let mut row = Written::read(results)?;
        if !row.obstacle("id_is_there", true)? {
            return Err(NOT_FOUND);
        }
        if !row.obstacle("is_waiting", true)? {
            return Err(ApiError::Cell(CellConflict::NotWaiting));
        }
        let is_trial = row.is_trial();
        let job = Job::decode(&mut results.outcome()?, &now)?.ok_or(NOT_FOUND)?;
        // A trial has left a job that expired as it was.
        if is_trial && job.state.is_end() {
            return Err(ApiError::Cell(CellConflict::NotWaiting));
        }
        Ok(Response::json(200, to_json(&job, None)))
    }))
}

/// `GET /jobs`: the newest first.
pub(crate) fn list(call: &Call<'_>) -> Result<Pending, ApiError> {
    let (filter, kept) = read_filter(call.query)?;
    let now = String::from(call.caller.now().as_str());
    let path = call.path("/jobs");
    Ok(Pending::new(
        work::list(&call.caller, &filter),
        move |results| {
            standing::judged_read(results)?;
            let mut jobs = Vec::new();
            for row in results.rows()? {
                jobs.push(
                    Job::decode(&mut Columns::new(row), &now)?
                        .ok_or_else(|| unexpected_result("a job without an id".into()))?,
                );
            }
            let limit = filter.limit;
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let more = jobs.len() > most;
            jobs.truncate(most);
            let body = array(&jobs, JSON_BYTES, |job, out| {
                write_json(job, None, out).end()
            });
            let response = Response::json(200, body);
            Ok(match jobs.last() {
                Some(last) if more => {
                    response.with("link", next_page(&path, limit, &last.id, &kept))
                }
                _ => response,
            })
        },
    ))
}

/// Reads the filter of a list, and the parameters that the next page keeps, as they came.
fn read_filter(query: &str) -> Result<(JobFilter, String), ApiError> {
    let mut reader = Reader::default();
    let mut filter = JobFilter::default();
    let mut limit = None;
    for (parameter, name, raw) in parameters(query) {
        match parameter {
            Some(p @ Parameter::Tenant) => {
                reader.once(p, raw, &mut filter.tenant, TenantId::parse);
            }
            Some(p @ Parameter::State) => reader.once(p, raw, &mut filter.state, |text| {
                State::parse(text).ok_or_else(|| {
                    let all = State::ALL.map(State::as_str).join(", ");
                    format!("expected one of {all}; got {}", quote(text))
                })
            }),
            Some(p @ Parameter::After) => {
                reader.page(p, raw, &mut filter.after, |text| Ok(text.into()));
            }
            Some(p @ Parameter::Limit) => {
                reader.page(p, raw, &mut limit, |text| whole(text, 1, MAX_LIMIT));
            }
            _ => reader.unknown(name),
        }
    }
    filter.limit = limit.unwrap_or(DEFAULT_LIMIT);
    Ok((filter, reader.finish()?))
}

/// A job as JSON.
pub(crate) fn to_json(job: &Job, result: Option<&Input>) -> String {
    object(|out| write_json(job, result, out))
}

fn write_json<'o>(job: &Job, result: Option<&Input>, out: Object<'o>) -> Object<'o> {
    let out = out
        .text("id", &job.id)
        .text("tenant_id", &job.tenant_id)
        .text("cell_id", &job.cell_id)
        .text("kind", &job.kind)
        .text("state", job.state.as_str())
        .raw("attempts", &job.attempts.to_string())
        .text("created_at", &job.created_at)
        .optional_text("started_at", job.started_at.as_deref())
        .optional_text("finished_at", job.finished_at.as_deref())
        .text("expires_at", &job.expires_at)
        .optional_text("error", job.error.as_deref());
    match result {
        None => out.raw("result", "null"),
        Some(input) => out.nested("result", |out| {
            Object::begin(out)
                .text("username", &input.username)
                .text("password", &input.password)
                .end();
        }),
    }
}
