//! PUT of one tenant or plan (contract §12): makes the resource as the request says, whether it was there or not.
//!
//! An encrypted `env` cannot be compared in SQL. So the request reads the resource, compares, and writes what differs, on the revision that it
//! read: if somebody else writes in between, it reads again. A PUT that changes nothing writes nothing, except that it is remembered under its
//! `Idempotency-Key`.

use alloc::string::String;
use alloc::sync::Arc;

use crate::auth::Caller;
use crate::crypto::seal::Sealer;
use crate::machine::Context;
use crate::operation::call::{Call, Next, Pending, valid};
use crate::sql::{Batch, Results, Sql, unexpected_result};
use crate::store::idempotency::{Idempotency, Past, past};
use crate::store::sealed::EnvSealer;
use crate::store::standing::{self, Judged};
use crate::store::write::{Found, Shown, Writer, Written};
use crate::value::fault::ApiError;
use crate::value::patch::Edit;
use crate::wire::conditional::Condition;
use crate::wire::http::Response;

pub(crate) mod plan;
pub(crate) mod tenant;

/// How often a request reads the resource. Each round after the first one means that another write came in between.
const MOST_ROUNDS: u32 = 5;

/// A resource as a PUT wants it.
pub(crate) trait Wanted: Send + 'static {
    /// The resource as it is.
    type Stored: Send;

    /// Reads the resource and its revision.
    fn read(&self, caller: &Caller) -> Sql;

    /// Reads the row of [`Self::read`]. `None`: the key is valid, and there is no such resource.
    fn decode(
        &self,
        row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Found<Self::Stored>>, ApiError>;

    /// Whether the resource is as it is wanted.
    fn is_met(&self, found: &Found<Self::Stored>) -> bool;

    /// Creates the resource. The last statement reads it.
    fn create(&self, writer: &Writer, env: &mut EnvSealer<'_>) -> Result<Batch, ApiError>;

    /// Changes what differs. The last statement reads the resource.
    fn edit(
        &self,
        found: &Found<Self::Stored>,
        writer: &Writer,
        env: &mut EnvSealer<'_>,
    ) -> Result<Batch, ApiError>;

    /// Judges the obstacles of [`Self::create`]. `false`: the resource is there by now.
    fn judge_created(&self, row: &mut Written) -> Result<bool, ApiError>;

    /// Judges the obstacles of [`Self::edit`]. `false`: the resource is gone by now.
    fn judge_edited(&self, row: &mut Written) -> Result<bool, ApiError>;

    /// Remembers the response to a request that changes nothing, if the resource has one of these revisions still. Returns a row if it was remembered.
    fn remember(&self, caller: &Caller, idempotency: &Idempotency, revisions: &str) -> Sql;

    /// Reads the row from which a response shows the resource.
    fn shown(shown: Shown, sealer: Option<&Sealer>) -> Result<Self::Stored, ApiError>;

    /// The response. `is_new`: the request has created the resource.
    fn respond(&self, stored: &Self::Stored, is_new: bool) -> Response;

    /// The note for the log on a resource that was created.
    fn note(&self, stored: &Self::Stored) -> Option<String>;
}

/// A PUT under way.
struct Put<W> {
    wanted: W,
    writer: Writer,
    sealer: Option<Arc<Sealer>>,
    if_match: Option<Condition>,
    if_none_match: Option<Condition>,
    rounds: u32,
}

/// Begins a PUT.
pub(crate) fn put<W: Wanted>(call: &mut Call<'_>, wanted: W) -> Result<Pending, ApiError> {
    // All rounds are one write: a batch that is late finds that the request is done.
    let writer = call.writer()?;
    let put = Put {
        wanted,
        writer,
        sealer: call.env.sealer.cloned(),
        if_match: call.if_match.take(),
        if_none_match: call.if_none_match.take(),
        rounds: 0,
    };
    Ok(put.round())
}

impl<W: Wanted> Put<W> {
    /// Reads the resource, and whether the same request was carried out before.
    fn round(mut self) -> Pending {
        self.rounds += 1;
        let read = Batch::one(self.wanted.read(&self.writer));
        let batch = match self.writer.idempotency() {
            None => read,
            Some(idempotency) => read.and(idempotency.recalled(&self.writer)),
        };
        Pending::then(batch, |results, context| {
            let row = standing::judged_read(results)?;
            if self.writer.idempotency().is_some()
                && let Some((row, past)) = past(results)?
            {
                return self.replay(row, past, results);
            }
            let found = self.wanted.decode(row, self.sealer.as_deref())?;
            self.judge_versions(found.as_ref())?;
            match found {
                None => self.create(context),
                Some(found) if self.wanted.is_met(&found) => self.keep(found),
                Some(found) => self.edit(&found, context),
            }
        })
    }

    /// Compares `If-Match` and `If-None-Match` (RFC 9110 §13.2.2).
    fn judge_versions(&self, found: Option<&Found<W::Stored>>) -> Result<(), ApiError> {
        let etag = found.map(|found| found.version.etag());
        let holds = |condition: &Condition| condition.holds(etag.as_deref(), true);
        let matches =
            |condition: &Condition| etag.as_deref().is_some_and(|etag| condition.matches(etag));
        if self.if_match.as_ref().is_none_or(holds)
            && !self.if_none_match.as_ref().is_some_and(matches)
        {
            Ok(())
        } else {
            Err(ApiError::PreconditionFailed)
        }
    }

    fn create(self, context: &mut Context<'_>) -> Result<Next, ApiError> {
        let batch = self
            .wanted
            .create(&self.writer, &mut env(self.sealer.as_ref(), context))?;
        Ok(self.written(batch, true))
    }

    fn edit(self, found: &Found<W::Stored>, context: &mut Context<'_>) -> Result<Next, ApiError> {
        let writer = self
            .writer
            .clone()
            .if_one_of(Some(found.version.revisions()));
        let mut env = env(self.sealer.as_ref(), context);
        let batch = self.wanted.edit(found, &writer, &mut env)?;
        Ok(self.written(batch, false))
    }

    /// Runs a write, and begins again if another one came in between.
    fn written(self, batch: Batch, is_new: bool) -> Next {
        let pending = Pending::write_then(batch, move |results, _| {
            let mut row = Written::read(results)?;
            let is_made = if is_new {
                self.wanted.judge_created(&mut row)?
            } else {
                !row.is_stale() && self.wanted.judge_edited(&mut row)?
            };
            if !is_made {
                return self.again();
            }
            if row.is_trial() {
                return Ok(Next::Send(valid(), None));
            }
            self.show(row, is_new, results)
        });
        Next::run(pending)
    }

    fn again(self) -> Result<Next, ApiError> {
        if self.rounds < MOST_ROUNDS {
            return Ok(Next::run(self.round()));
        }
        let reason = "other writes changed the resource again and again";
        Err(ApiError::Unavailable(reason.into()))
    }

    /// Answers with a resource that needs no change.
    fn keep(self, found: Found<W::Stored>) -> Result<Next, ApiError> {
        let Some(idempotency) = self.writer.idempotency() else {
            return Ok(Next::Send(self.wanted.respond(&found.stored, false), None));
        };
        let revisions = found.version.revisions();
        let remember = self.wanted.remember(&self.writer, idempotency, &revisions);
        let batch = Batch::one(remember).and(idempotency.recalled(&self.writer));
        let pending = Pending::write_then(batch, move |results, _| {
            if results.row()?.is_some() {
                return Ok(Next::Send(self.wanted.respond(&found.stored, false), None));
            }
            match past(results)? {
                Some((row, past)) => self.replay(row, past, results),
                None => self.again(),
            }
        });
        Ok(Next::run(pending))
    }

    /// The response to the same request, which was carried out before.
    fn replay(self, row: Judged, past: Past, results: &mut Results) -> Result<Next, ApiError> {
        let row = Written::of_past(row, past, results);
        self.show(row, false, results)
    }

    /// Makes the response from the resource after the write.
    fn show(self, mut row: Written, is_new: bool, results: &mut Results) -> Result<Next, ApiError> {
        let is_remembered = row.is_remembered();
        let is_new = if is_remembered {
            row.boolean("is_new")?
        } else {
            is_new
        };
        let shown = row
            .shown(results, true)?
            .ok_or_else(|| unexpected_result("no row of the resource".into()))?;
        let stored = W::shown(shown, self.sealer.as_deref())?;
        let note = if is_new && !is_remembered {
            self.wanted.note(&stored)
        } else {
            None
        };
        let response = self.wanted.respond(&stored, is_new);
        Ok(Next::Send(response, note))
    }
}

fn env<'a>(sealer: Option<&'a Arc<Sealer>>, context: &'a mut Context<'_>) -> EnvSealer<'a> {
    EnvSealer {
        sealer,
        random: context.random,
    }
}

/// The change of a field to the value that is wanted.
fn change<T: Clone>(is_same: bool, wanted: Option<&T>) -> Edit<T> {
    match wanted {
        _ if is_same => Edit::Keep,
        None => Edit::Clear,
        Some(value) => Edit::Set(value.clone()),
    }
}
