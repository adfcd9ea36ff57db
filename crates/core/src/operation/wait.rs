//! Requests that a cell must carry out (contract §15): each makes a job, and waits for its end as long as the caller and the host can.
//!
//! The request asks the database for the job now and then, with pauses that grow. If the job does not end in time, the response is a 202 with
//! the job.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::crypto::hashing::Password;
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Next, Pending, replay, valid};
use crate::operation::jobs::{self, Input};
use crate::sql::{Batch, Results, unexpected_result};
use crate::store::deleted;
use crate::store::idempotency::Idempotency;
use crate::store::sealed::{NO_ENCRYPTION_KEY, open_secret, seal_text};
use crate::store::work::{self, Asked, Job, Kind, NewJob, PastJob, State, input_place};
use crate::store::write::Writer;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, CellConflict, Internal};
use crate::value::id::TenantId;
use crate::value::random::Random;
use crate::value::text::hex_text;
use crate::value::user::{Email, Username};
use crate::wire::http::Response;
use crate::wire::json::object;
use crate::wire::prefer::Preferences;

/// A request waits only if the cell has no more unfinished jobs than this.
const MOST_UNFINISHED: i64 = 20;

/// How often a request looks for the end of its job.
const MOST_LOOKS: u32 = 15;

/// The longest time that a caller may ask for, in seconds. More counts as this.
const LONGEST_WAIT_S: u32 = 60;

/// The first pause, and the longest of those that grow.
const FIRST_PAUSE_MS: u32 = 300;
const LONGEST_PAUSE_MS: u32 = 2_000;

/// A request that may have to wait for a cell. It owns all it needs.
#[derive(Debug)]
pub(crate) struct Asker {
    caller: Caller,
    request_id: String,
    idempotency: Option<Idempotency>,
    id: TenantId,
    sealer: Option<Arc<Sealer>>,
    /// The revisions of which the tenant must have one, to be deleted. `None` if any will do.
    revisions: Option<String>,
    /// Whether the deletion of the tenant wipes everything else of it, too.
    erases: bool,
    wait_ms: u32,
    wishes: Wishes,
    /// The paths of jobs and of tenants.
    jobs_path: String,
    tenants_path: String,
}

/// The preferences of a caller (RFC 7240 §4.1, §4.3) that say how long it waits.
#[derive(Debug, Clone, Copy)]
struct Wishes {
    responds_async: bool,
    wait_s: Option<u32>,
}

impl Wishes {
    fn of(preferences: Preferences) -> Self {
        let wait_s = preferences.wait_seconds;
        Self {
            responds_async: preferences.responds_async,
            wait_s: wait_s.map(|seconds| seconds.min(LONGEST_WAIT_S)),
        }
    }

    /// How long the request waits, if the service waits for `usual_s` otherwise.
    fn wait_ms(self, usual_s: u32) -> u32 {
        let usual_s = if self.responds_async { 0 } else { usual_s };
        self.wait_s.unwrap_or(usual_s) * 1000
    }

    /// Says which preferences the response follows. Without `waited`, the service did not wait, although it may have been asked to.
    fn applied(self, response: Response, waited: bool) -> Response {
        let responds_async = self.responds_async.then(|| String::from("respond-async"));
        let wait = self.wait_s.filter(|_| waited);
        let wait = wait.map(|seconds| format!("wait={seconds}"));
        let applied: Vec<String> = responds_async.into_iter().chain(wait).collect();
        if applied.is_empty() {
            return response;
        }
        response.with("preference-applied", applied.join(", "))
    }
}

/// Makes the response from the end of the job.
type Answer = Box<dyn FnOnce(&Job) -> Result<Response, ApiError> + Send>;

/// The work that a request asks for.
pub(crate) struct Work {
    kind: Kind,
    input: Input,
    /// Whether the service made the password.
    is_generated: bool,
    /// Takes the input of the job, which has another password if it was made for another request.
    answer: Box<dyn FnOnce(Input) -> Answer + Send>,
}

/// A job that a request waits for.
struct Watch {
    job_id: String,
    location: String,
    left_ms: u32,
    looks: u32,
    wishes: Wishes,
    answer: Answer,
    /// Until when the request is remembered, if it was sent before.
    replayed_until: Option<Timestamp>,
}

impl Asker {
    pub(crate) fn of(call: &Call<'_>, id: TenantId) -> Self {
        let wishes = Wishes::of(call.preferences);
        Self {
            caller: call.caller.clone(),
            request_id: call.request_id.into(),
            idempotency: call.idempotency.clone(),
            id,
            sealer: call.env.sealer.cloned(),
            revisions: call.revisions(),
            erases: false,
            wait_ms: wishes.wait_ms(call.cells.wait_s),
            wishes,
            jobs_path: call.path("/jobs"),
            tenants_path: call.path("/tenants"),
        }
    }

    /// The same, for a deletion that wipes everything else of the tenant, too.
    pub(crate) fn erasing(self) -> Self {
        Self {
            erases: true,
            ..self
        }
    }

    /// The installation of the tenant's site on its cell.
    pub(crate) fn installation(
        &self,
        username: &Username,
        email: &Email,
        password: &Password,
    ) -> Work {
        let input = Input {
            username: username.as_str().into(),
            email: Some(email.as_str().into()),
            password: password.text().into(),
        };
        let location = format!("{}/{}", self.tenants_path, self.id);
        let body = object(|o| {
            o.text("id", self.id.as_str())
                .text("username", username.as_str())
                .text("email", email.as_str())
        });
        Work {
            kind: Kind::Install,
            input,
            is_generated: false,
            answer: Box::new(move |_| {
                Box::new(move |job| match job.state {
                    State::Done => Ok(Response::json(201, body).with("location", location)),
                    State::Refused => Err(ApiError::AlreadyInstalled),
                    _ => Err(failed(job)),
                })
            }),
        }
    }

    /// The reset of the password of a user of the tenant's site. `is_generated`: the service made it.
    pub(crate) fn reset(username: &Username, password: &Password, is_generated: bool) -> Work {
        let input = Input {
            username: username.as_str().into(),
            email: None,
            password: password.text().into(),
        };
        Work {
            kind: Kind::PasswordReset,
            input,
            is_generated,
            answer: Box::new(move |input| {
                Box::new(move |job| match job.state {
                    State::Done => {
                        let body = object(|o| {
                            o.text("username", &input.username)
                                .text("password", &input.password)
                        });
                        Ok(Response::json(200, body))
                    }
                    State::Refused => Err(ApiError::NotFound { what: "user" }),
                    _ => Err(failed(job)),
                })
            }),
        }
    }

    fn writer(&self, random: &mut dyn Random) -> Result<Writer, ApiError> {
        let idempotency = self.idempotency.as_ref();
        Writer::new(&self.caller, &self.request_id, idempotency, random)
    }

    /// Deletes the tenant, and lets its cell drop its tables.
    pub(crate) fn drop_tables(self, random: &mut dyn Random) -> Result<Pending, ApiError> {
        let job_id = new_id(random)?;
        let writer = self.writer(random)?;
        let batch = work::drop_tables(&writer, &self.id, &job_id, self.revisions.as_deref());
        let erases = self.erases;
        let batch = if erases {
            batch.after(deleted::erase(&writer, &self.id))
        } else {
            batch
        };
        Ok(Pending::write_then(batch, move |results, context| {
            if erases {
                results.skip()?;
            }
            let asked = match Asked::decode(
                results,
                Timestamp::of_clock(context.unix_seconds)?.as_str(),
            )? {
                Ok(asked) => asked,
                Err(past) => return Ok(Next::run(self.drop_again(past))),
            };
            if asked.is_trial && asked.tenant_is_there && asked.has_cell {
                return Ok(Next::Send(valid(), None));
            }
            // If the batch ran before, the job is there, and the tenant is not.
            let (job, unfinished) = match asked.job {
                Some(made) => made,
                // A tenant that changed its cell has another revision, too.
                None if asked.tenant_is_there && !asked.has_cell && self.revisions.is_some() => {
                    return Err(ApiError::PreconditionFailed);
                }
                None => found(asked)?,
            };
            self.wait(&job, unfinished, Box::new(dropped))
        }))
    }

    /// Waits for the job of the same request, which was sent before. If it failed, the request is judged anew.
    pub(crate) fn drop_again(self, past: PastJob) -> Pending {
        let batch = Batch::one(work::look(&past.id));
        Pending::then(batch, move |results, context| {
            match alive(results, context.unix_seconds)? {
                Some(job) => self
                    .watch(&job, Box::new(dropped), past.replayed_until)
                    .next(&job),
                None => Ok(Next::run(self.drop_tables(context.random)?)),
            }
        })
    }

    /// Makes a job with an input, or finds the unfinished one of the same input.
    pub(crate) fn ask(self, work: Work, random: &mut dyn Random) -> Result<Pending, ApiError> {
        let job_id = new_id(random)?;
        let sealer = self.sealer.clone().ok_or(NO_ENCRYPTION_KEY)?;
        let sealed = seal_text(
            input_place(&job_id),
            &work.input.to_stored(),
            &sealer,
            random,
        )?;
        let secret = self.secret(&work.input, work.is_generated, &sealer, random)?;
        let new = NewJob {
            id: &job_id,
            kind: work.kind,
            input: &sealed,
            is_generated: work.is_generated,
        };
        let batch = work::create(&self.writer(random)?, &self.id, &new, secret);
        Ok(Pending::write_then(batch, move |results, context| {
            let asked = match Asked::decode(
                results,
                Timestamp::of_clock(context.unix_seconds)?.as_str(),
            )? {
                Ok(asked) => asked,
                Err(past) => return Ok(Next::run(self.ask_again(past, work))),
            };
            if work.kind == Kind::Install && asked.is_installed && !asked.is_under_way {
                return Err(ApiError::AlreadyInstalled);
            }
            // A trial makes no job, and has left one that expired as it was.
            let is_there = asked
                .job
                .as_ref()
                .is_some_and(|(job, _)| !job.state.is_end());
            if asked.is_trial && asked.has_cell && !is_there {
                return Ok(Next::Send(valid(), None));
            }
            let is_under_way = asked.is_under_way;
            let is_trial = asked.is_trial;
            let (job, unfinished) = found(asked)?;
            if !is_under_way {
                return self.wait(&job, unfinished, (work.answer)(work.input));
            }
            let input = self.joined(&job, work.input, work.is_generated)?;
            if is_trial {
                return Ok(Next::Send(valid(), None));
            }
            let Some(idempotency) = &self.idempotency else {
                return self.wait(&job, unfinished, (work.answer)(input));
            };
            // This request remembers the job of the other one.
            let secret = self.secret(&input, work.is_generated, &sealer, context.random)?;
            let remember = idempotency.remember_job(&self.caller, &job.id, secret);
            let batch = Batch::one(remember);
            let pending = Pending::write_then(batch, move |_, _| {
                self.wait(&job, unfinished, (work.answer)(input))
            });
            Ok(Next::run(pending))
        }))
    }

    /// Waits for the job of the same request, which was sent before. If it failed, the request is judged anew.
    pub(crate) fn ask_again(self, past: PastJob, mut work: Work) -> Pending {
        let batch = Batch::one(work::look(&past.id));
        Pending::then(batch, move |results, context| {
            let Some(job) = alive(results, context.unix_seconds)? else {
                return Ok(Next::run(self.ask(work, context.random)?));
            };
            if let Some((fingerprint, sealed)) = &past.secret {
                let password = open_secret(fingerprint, sealed, self.sealer.as_deref())?;
                work.input.set_password(&password);
            }
            let answer = (work.answer)(work.input);
            self.watch(&job, answer, past.replayed_until).next(&job)
        })
    }

    /// A generated password, encrypted, if the response is remembered.
    fn secret(
        &self,
        input: &Input,
        is_generated: bool,
        sealer: &Sealer,
        random: &mut dyn Random,
    ) -> Result<Option<String>, ApiError> {
        match &self.idempotency {
            Some(idempotency) if is_generated => {
                let place = idempotency.secret_place();
                seal_text(place, &input.password, sealer, random).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The input of the job that is under way, if this request's is the same. A generated password is that of the job.
    fn joined(&self, job: &Job, input: Input, is_generated: bool) -> Result<Input, ApiError> {
        let other = || ApiError::Cell(CellConflict::OtherJob);
        let sealed = job.input.as_deref().ok_or_else(other)?;
        let stored = Input::open(&job.id, sealed, self.sealer.as_deref())?;
        let is_same = job.is_generated == is_generated
            && stored.username == input.username
            && stored.email == input.email
            && (is_generated || stored.password == input.password);
        if is_same { Ok(stored) } else { Err(other()) }
    }

    /// Waits for a job, unless too many requests wait for its cell.
    fn wait(&self, job: &Job, unfinished: i64, answer: Answer) -> Result<Next, ApiError> {
        let watch = self.watch(job, answer, None);
        if unfinished > MOST_UNFINISHED && !job.state.is_end() {
            return Ok(watch.accepted(job, false));
        }
        watch.next(job)
    }

    fn watch(&self, job: &Job, answer: Answer, replayed_until: Option<Timestamp>) -> Watch {
        Watch {
            job_id: job.id.clone(),
            location: format!("{}/{}", self.jobs_path, job.id),
            left_ms: self.wait_ms,
            looks: 0,
            wishes: self.wishes,
            answer,
            replayed_until,
        }
    }
}

fn dropped(job: &Job) -> Result<Response, ApiError> {
    match job.state {
        State::Done => Ok(Response::empty(204)),
        _ => Err(failed(job)),
    }
}

/// Reads a job. `None` if it is gone, or if it failed or was cancelled, so that the request that it was made for is judged anew.
fn alive(results: &mut Results, unix_seconds: i64) -> Result<Option<Job>, ApiError> {
    let now = Timestamp::of_clock(unix_seconds)?;
    let job = match results.row()? {
        Some(mut row) => Job::decode(&mut row, now.as_str())?,
        None => None,
    };
    Ok(job.filter(|job| !matches!(job.state, State::Failed | State::Cancelled)))
}

impl Watch {
    /// The response to a job that has ended, or else a pause before the next look, unless the time is over.
    fn next(mut self, job: &Job) -> Result<Next, ApiError> {
        if job.state.is_end() {
            let response = self.wishes.applied((self.answer)(job)?, true);
            return Ok(Next::Send(replay(response, self.replayed_until), None));
        }
        if self.left_ms == 0 || self.looks == MOST_LOOKS {
            return Ok(self.accepted(job, true));
        }
        let milliseconds = pause_ms(self.looks, self.left_ms);
        self.left_ms -= milliseconds;
        self.looks += 1;
        let otherwise = self
            .wishes
            .applied(accepted(job, self.location.clone()), false);
        let otherwise = replay(otherwise, self.replayed_until.clone());
        Ok(Next::Wait {
            milliseconds,
            then: self.look(),
            otherwise,
        })
    }

    fn accepted(self, job: &Job, waited: bool) -> Next {
        let response = self.wishes.applied(accepted(job, self.location), waited);
        Next::Send(replay(response, self.replayed_until), None)
    }

    fn look(self) -> Pending {
        let batch = Batch::one(work::look(&self.job_id));
        Pending::then(batch, move |results, context| {
            let now = Timestamp::of_clock(context.unix_seconds)?;
            let job = match results.row()? {
                Some(mut row) => Job::decode(&mut row, now.as_str())?,
                None => None,
            };
            let job = job.ok_or_else(|| unexpected_result("the job is gone".into()))?;
            self.next(&job)
        })
    }
}

/// The pause before a look: each half as long again as the one before it, up to the longest. If the looks would end before the time, those
/// pauses are longer.
fn pause_ms(looks: u32, left_ms: u32) -> u32 {
    let mut pause = FIRST_PAUSE_MS;
    for _ in 0..looks {
        pause = (pause + pause / 2).min(LONGEST_PAUSE_MS);
    }
    if pause == LONGEST_PAUSE_MS {
        pause = pause.max(left_ms.div_ceil(MOST_LOOKS - looks));
    }
    pause.min(left_ms)
}

/// The response to a request whose job has not ended.
fn accepted(job: &Job, location: String) -> Response {
    Response::json(202, jobs::to_json(job, None)).with("location", location)
}

fn failed(job: &Job) -> ApiError {
    let reason = job.error.clone().unwrap_or_default();
    ApiError::JobFailed {
        id: job.id.clone(),
        reason: format!("{} {reason}", job.state.as_str()),
    }
}

/// The unfinished job that the batch found or made.
fn found(asked: Asked) -> Result<(Job, i64), ApiError> {
    if !asked.tenant_is_there {
        return Err(ApiError::NotFound { what: "tenant" });
    }
    if !asked.has_cell {
        return Err(ApiError::Cell(CellConflict::Changed));
    }
    asked
        .job
        .ok_or_else(|| unexpected_result("no job after one was made".into()))
}

fn new_id(random: &mut dyn Random) -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    random
        .fill(&mut bytes)
        .map_err(|_| ApiError::Internal(Internal::Random))?;
    Ok(hex_text(&bytes))
}

#[cfg(test)]
mod tests {
    use super::{MOST_LOOKS, pause_ms};

    fn pauses(mut left_ms: u32) -> alloc::vec::Vec<u32> {
        let mut all = alloc::vec::Vec::new();
        while left_ms > 0 && (all.len() as u32) < MOST_LOOKS {
            let pause = pause_ms(all.len() as u32, left_ms);
            left_ms -= pause;
            all.push(pause);
        }
        assert_eq!(left_ms, 0);
        all
    }

    #[test]
    fn pauses_grow_and_cover_the_time_in_fifteen_looks() {
        assert_eq!(
            pauses(20_000),
            [
                300, 450, 675, 1012, 1518, 2000, 2000, 2000, 2000, 2000, 2000, 2000, 2000, 45
            ]
        );
        assert_eq!(pauses(1_000), [300, 450, 250]);
        let minute = pauses(60_000);
        assert_eq!(minute.len(), 15);
        assert!(minute[5..].iter().all(|pause| *pause >= 5_000));
    }
}
