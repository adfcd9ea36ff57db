//! `cell_work`: the jobs of cells (contract §15).
//!
//! A job is unfinished until `finished_at`. Its input is encrypted, and wiped when it ends, or at `wipe_at`, whatever happens to its agent.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::crypto::seal::Place;
use crate::sql::{Batch, Columns, Results, Sql};
use crate::store::standing::{self, CellOf, allowed_caller, caller, cell_standing};
use crate::store::write;
use crate::value::fault::ApiError;
use crate::value::id::{CellId, TenantId};

/// A job has failed after so many leases.
const MAX_ATTEMPTS: i64 = 5;

/// How long a job waits for an agent, for SQLite's `datetime`: a day, or a quarter of an hour if its input has a password.
const EXPIRES_AFTER: &str = "+86400 seconds";
const EXPIRES_AFTER_WITH_PASSWORD: &str = "+900 seconds";

/// How long a generated password can be read after the job's end.
const KEPT_FOR: &str = "+600 seconds";

/// The most unfinished jobs of a cell that are counted: one more than may be waited for.
const MOST_COUNTED: i64 = 21;

/// The work that a job with an input stands for. (The other kind is `drop`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Install,
    PasswordReset,
}

impl Kind {
    /// The stored name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::PasswordReset => "password_reset",
        }
    }
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Running,
    Done,
    Refused,
    Failed,
    Cancelled,
}

impl State {
    pub(crate) const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Refused,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The stored name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub(crate) fn is_end(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// The place of a job's input.
pub(crate) fn input_place(id: &str) -> Place<'_> {
    Place {
        table: "cell_work",
        row: id,
        column: "input",
    }
}

/// A job to make.
#[derive(Debug)]
pub(crate) struct NewJob<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: Kind,
    /// Encrypted.
    pub(crate) input: &'a str,
    /// Whether the service made the password.
    pub(crate) is_generated: bool,
}

/// A job's row.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) cell_id: String,
    pub(crate) kind: String,
    pub(crate) state: State,
    pub(crate) attempts: i64,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) expires_at: String,
    pub(crate) error: Option<String>,
    pub(crate) is_generated: bool,
    /// The encrypted input, if it is there still.
    pub(crate) input: Option<String>,
}

/// The columns that [`Job::decode`] reads. `w` is the job. The state is judged by the clock, whether or not [`sweep`] came by.
macro_rules! columns {
    () => {
        "w.id, w.tenant_id, w.cell_id, w.kind, w.state, w.attempts, w.created_at, w.started_at, w.finished_at, w.expires_at, w.error, \
         w.is_generated, w.input, w.lease_until, w.wipe_at"
    };
}

impl Job {
    /// Reads a job. `None`: there is none.
    pub(crate) fn decode(row: &mut Columns, now: &str) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let tenant_id = row.text("tenant_id")?;
        let cell_id = row.text("cell_id")?;
        let kind = row.text("kind")?;
        let stored = row.text("state")?;
        let attempts = row.integer("attempts")?;
        let created_at = row.text("created_at")?;
        let started_at = row.optional_text("started_at")?;
        let finished_at = row.optional_text("finished_at")?;
        let expires_at = row.text("expires_at")?;
        let error = row.optional_text("error")?;
        let is_generated = row.boolean("is_generated")?;
        let input = row.optional_text("input")?;
        let lease_until = row.optional_text("lease_until")?;
        let wipe_at = row.optional_text("wipe_at")?;
        let state = State::parse(&stored).ok_or_else(|| {
            crate::sql::unexpected_result("column state: expected a job's state".into())
        })?;
        let is_past = |time: &Option<String>| time.as_deref().is_some_and(|time| time <= now);
        let is_over = finished_at.is_none() && is_past(&wipe_at);
        let (state, error) = match state {
            _ if is_over => (State::Failed, Some(EXPIRED.into())),
            State::Running if is_past(&lease_until) => (State::Waiting, error),
            other => (other, error),
        };
        Ok(Some(Self {
            id,
            tenant_id,
            cell_id,
            kind,
            state,
            attempts,
            created_at,
            started_at,
            finished_at,
            expires_at,
            error,
            is_generated,
            input: input.filter(|_| !is_past(&wipe_at)),
        }))
    }
}

/// The errors that the service writes itself.
const EXPIRED: &str = "no agent did it in time";
const EXHAUSTED: &str = "its lease ran out five times";

/// Fails the unfinished jobs that are past their time, and wipes what is past its time.
pub(crate) fn sweep(now: &str) -> Sql {
    Sql::new("UPDATE cell_work SET state = iif(finished_at IS NULL, ")
        .bind(State::Failed.as_str())
        .sql(", state), error = iif(finished_at IS NULL, ")
        .bind(EXPIRED)
        .sql(", error), finished_at = coalesce(finished_at, ")
        .bind(now)
        .sql("), input = NULL, lease = NULL, lease_until = NULL, wipe_at = NULL WHERE wipe_at <= ")
        .bind(now)
}

/// Adds the condition of the jobs that can be leased: those that nobody has, and for which the agent has followed far enough.
fn free(sql: Sql, cell: &CellId, now: &str) -> Sql {
    sql.sql("cell_id = ")
        .bind(cell.as_str())
        .sql(" AND finished_at IS NULL AND (lease_until IS NULL OR lease_until <= ")
        .bind(now)
        .sql(") AND after_revision <= (SELECT seen_revision FROM cells WHERE id = ")
        .bind(cell.as_str())
        .sql(")")
}

/// Adds whether a job can be leased.
pub(crate) fn can_be_leased(sql: Sql, cell: &CellId, now: &str) -> Sql {
    free(sql.sql("EXISTS (SELECT 1 FROM cell_work WHERE "), cell, now).sql(")")
}

/// Leases the oldest jobs. The results are two without rows, whether there is the cell, and the jobs.
pub(crate) fn lease(caller: &Caller, cell: &CellId, max: i64, lease: &str, seconds: &str) -> Batch {
    let now = caller.now().as_str();
    let exhausted = standing::statement(caller, "UPDATE cell_work SET state = ")
        .bind(State::Failed.as_str())
        .sql(", error = ")
        .bind(EXHAUSTED)
        .sql(", finished_at = ")
        .bind(now)
        .sql(", input = NULL, lease = NULL, lease_until = NULL, wipe_at = NULL WHERE cell_id = ")
        .bind(cell.as_str())
        .sql(" AND finished_at IS NULL AND lease_until <= ")
        .bind(now)
        .sql(" AND attempts >= ")
        .bind(MAX_ATTEMPTS)
        .sql(" AND ");
    let exhausted = cell_standing(exhausted, CellOf::Id(cell));
    let standing = standing::statement(caller, "SELECT ");
    let standing = cell_standing(standing, CellOf::Id(cell))
        .sql(" AS standing, EXISTS (SELECT 1 FROM cells WHERE id = ")
        .bind(cell.as_str())
        .sql(") AS cell_is_there");
    let update = standing::statement(caller, "UPDATE cell_work SET state = ")
        .bind(State::Running.as_str())
        .sql(", attempts = attempts + 1, lease = ")
        .bind(lease)
        .sql(", lease_until = datetime(")
        .bind(now)
        .sql(", ")
        .bind(seconds)
        .sql("), wipe_at = max(expires_at, datetime(")
        .bind(now)
        .sql(", ")
        .bind(seconds)
        .sql(")), started_at = coalesce(started_at, ")
        .bind(now)
        .sql(") WHERE seq IN (SELECT seq FROM cell_work WHERE ");
    let update = free(update, cell, now)
        .sql(" ORDER BY seq LIMIT ")
        .bind(max)
        .sql(") AND ");
    let update = cell_standing(update, CellOf::Id(cell))
        .sql(" RETURNING seq, id, tenant_id, kind, input, lease_until, attempts");
    Batch::of([sweep(now), exhausted, standing, update])
}

/// A job that was leased.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) kind: String,
    pub(crate) input: Option<String>,
    pub(crate) leased_until: String,
    pub(crate) attempt: i64,
}

impl Leased {
    /// Reads the results of [`lease`], the oldest job first.
    pub(crate) fn decode_all(results: &mut Results) -> Result<Vec<Self>, ApiError> {
        results.skip()?;
        results.skip()?;
        if !standing::judged(results)?.boolean("cell_is_there")? {
            return Err(ApiError::NotFound { what: "cell" });
        }
        let mut jobs = Vec::new();
        for row in results.rows()? {
            let mut row = Columns::new(row);
            jobs.push(Self {
                seq: row.integer("seq")?,
                id: row.text("id")?,
                tenant_id: row.text("tenant_id")?,
                kind: row.text("kind")?,
                input: row.optional_text("input")?,
                leased_until: row.text("lease_until")?,
                attempt: row.integer("attempts")?,
            });
        }
        jobs.sort_unstable_by_key(|job| job.seq);
        Ok(jobs)
    }
}

/// Moves the end of a lease. The second result says whether there is the job, and whether the token is its lease's.
pub(crate) fn renew(caller: &Caller, id: &str, lease: &str, seconds: &str) -> Batch {
    let now = caller.now().as_str();
    let update = standing::statement(caller, "UPDATE cell_work SET lease_until = datetime(")
        .bind(now)
        .sql(", ")
        .bind(seconds)
        .sql("), wipe_at = max(expires_at, datetime(")
        .bind(now)
        .sql(", ")
        .bind(seconds)
        .sql(")) WHERE id = ")
        .bind(id)
        .sql(" AND lease = ")
        .bind(lease)
        .sql(" AND finished_at IS NULL AND ");
    let update = cell_standing(update, CellOf::Job(id));
    let read = standing::statement(caller, "SELECT ");
    let read = cell_standing(read, CellOf::Job(id))
        .sql(" AS standing, w.id IS NOT NULL AS id_is_there, coalesce(w.lease = ")
        .bind(lease)
        .sql(" AND w.finished_at IS NULL, 0) AS has_lease FROM (SELECT ")
        .bind(id)
        .sql(" AS id) AS v LEFT JOIN cell_work AS w ON w.id = v.id");
    Batch::of([update, read])
}

/// Ends a job. The results are the obstacles of [`Finished`], and the job.
pub(crate) fn finish(
    caller: &Caller,
    request_id: &str,
    id: &str,
    lease: &str,
    state: State,
    error: Option<&str>,
) -> Batch {
    let now = caller.now().as_str();
    let values = standing::statement(
        caller,
        "INSERT INTO finish_work (key_stands, key_id, now, request_id, id_is_there, has_lease, is_finished, id, state, error, wipe_at) SELECT ",
    );
    let values = cell_standing(values, CellOf::Job(id));
    let insert = write::author(values, caller, request_id)
        .sql(", w.id IS NOT NULL, coalesce(w.lease = ")
        .bind(lease)
        .sql(", 0), w.finished_at IS NOT NULL, w.id, ")
        .bind(state.as_str())
        .sql(", ")
        .bind(error)
        .sql(", datetime(")
        .bind(now)
        .sql(", ")
        .bind(KEPT_FOR)
        .sql(") FROM (SELECT ")
        .bind(id)
        .sql(" AS id) AS v LEFT JOIN cell_work AS w ON w.id = v.id RETURNING key_stands, id_is_there, has_lease");
    Batch::of([insert, look(id)])
}

/// The obstacles to a renewal or an end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseRow {
    pub(crate) id_is_there: bool,
    pub(crate) has_lease: bool,
}

impl LeaseRow {
    /// Reads the row of [`renew`] or [`finish`].
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = standing::judged(results)?;
        Ok(Self {
            id_is_there: row.boolean("id_is_there")?,
            has_lease: row.boolean("has_lease")?,
        })
    }
}

/// Cancels a job that nobody has leased. The results are its obstacles, and the job.
pub(crate) fn cancel(caller: &Caller, request_id: &str, id: &str) -> Batch {
    let now = caller.now().as_str();
    let insert = write::insert(
        caller,
        request_id,
        "INSERT INTO cancel_work (key_stands, key_id, now, request_id, id_is_there, is_waiting, id) SELECT ",
    )
        .sql(", w.id IS NOT NULL, coalesce(w.finished_at IS NULL AND (w.lease_until IS NULL OR w.lease_until <= ")
        .bind(now)
        .sql("), 0), w.id FROM (SELECT ")
        .bind(id)
        .sql(" AS id) AS v LEFT JOIN cell_work AS w ON w.id = v.id RETURNING key_stands, id_is_there, is_waiting");
    Batch::of([sweep(now), insert, look(id)])
}

/// Reads a job for a request that waits for it, whose key was judged before.
pub(crate) fn look(id: &str) -> Sql {
    Sql::new(concat!(
        "SELECT ",
        columns!(),
        " FROM cell_work AS w WHERE w.id = "
    ))
    .bind(id)
}

/// Reads a job.
pub(crate) fn get(caller: &Caller, id: &str) -> Batch {
    Batch::one(
        standing::statement(
            caller,
            concat!(
                "SELECT k.standing, ",
                columns!(),
                " FROM ",
                caller!(),
                " AS k LEFT JOIN cell_work AS w ON w.id = "
            ),
        )
        .bind(id),
    )
}

/// The jobs to list.
#[derive(Debug, Default)]
pub(crate) struct JobFilter {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) state: Option<State>,
    /// The job before the first one.
    pub(crate) after: Option<String>,
    pub(crate) limit: i64,
}

/// Reads jobs, the newest first. The results are the caller's standing and the jobs.
pub(crate) fn list(caller: &Caller, filter: &JobFilter) -> Batch {
    let sql = standing::statement(
        caller,
        concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            allowed_caller!(),
            " AS k CROSS JOIN cell_work AS w ON w.seq < "
        ),
    );
    let sql = match &filter.after {
        Some(id) => sql
            .sql("coalesce((SELECT seq FROM cell_work WHERE id = ")
            .bind(id.as_str())
            .sql("), 0)"),
        None => sql.bind(i64::from(u32::MAX) << 16),
    };
    let sql = match &filter.tenant {
        Some(id) => sql.sql(" AND w.tenant_id = ").bind(id.as_str()),
        None => sql,
    };
    let sql = match filter.state {
        Some(state) => sql.sql(" AND w.state = ").bind(state.as_str()),
        None => sql,
    };
    Batch::of([
        standing::alone(caller),
        sql.sql(" ORDER BY w.seq DESC LIMIT ").bind(filter.limit),
    ])
}

/// Makes a job for the cell of a tenant, unless an unfinished one of the kind is there. The results are [`Asked`]'s.
pub(crate) fn create(
    caller: &Caller,
    request_id: &str,
    tenant: &TenantId,
    new: &NewJob<'_>,
) -> Batch {
    let now = caller.now().as_str();
    let insert = write::insert(
        caller,
        request_id,
        "INSERT INTO create_work (key_stands, key_id, now, request_id, is_under_way, is_installed, id, tenant_id, cell_id, kind, input, \
         is_generated, site_state, expires_at) SELECT ",
    )
        .sql(", EXISTS (SELECT 1 FROM cell_work WHERE tenant_id = t.id AND kind = ")
        .bind(new.kind.as_str())
        .sql(" AND finished_at IS NULL), t.site_state IS ")
        .bind("installed")
        .sql(", ")
        .bind(new.id)
        .sql(", t.id, t.cell_id, ")
        .bind(new.kind.as_str())
        .sql(", ")
        .bind(new.input)
        .sql(", ")
        .bind(new.is_generated)
        .sql(", t.site_state, datetime(")
        .bind(now)
        .sql(", ")
        .bind(EXPIRES_AFTER_WITH_PASSWORD)
        .sql(") FROM (SELECT ")
        .bind(tenant.as_str())
        .sql(
            " AS id) AS v LEFT JOIN tenants AS t ON t.id = v.id RETURNING key_stands, tenant_id, cell_id, is_under_way, is_installed",
        );
    let read = Sql::new(concat!(
        "SELECT ",
        columns!(),
        ", (SELECT count(*) FROM (SELECT 1 FROM cell_work WHERE cell_id = w.cell_id AND finished_at IS NULL LIMIT "
    ))
    .bind(MOST_COUNTED)
    .sql(")) AS unfinished FROM cell_work AS w WHERE w.tenant_id = ")
    .bind(tenant.as_str())
    .sql(" AND w.kind = ")
    .bind(new.kind.as_str())
    .sql(" AND w.finished_at IS NULL");
    Batch::of([sweep(now), insert, read])
}

/// Deletes a tenant of a cell, and makes the job that drops its tables. The results are [`Asked`]'s.
pub(crate) fn drop_tables(
    caller: &Caller,
    request_id: &str,
    tenant: &TenantId,
    job_id: &str,
) -> Batch {
    let now = caller.now().as_str();
    let insert = write::insert(
        caller,
        request_id,
        "INSERT INTO drop_at_cell (key_stands, key_id, now, request_id, id, cell_id, job_id, expires_at) SELECT ",
    )
        .sql(", t.id, t.cell_id, ")
        .bind(job_id)
        .sql(", datetime(")
        .bind(now)
        .sql(", ")
        .bind(EXPIRES_AFTER)
        .sql(") FROM (SELECT ")
        .bind(tenant.as_str())
        .sql(
            " AS id) AS v LEFT JOIN tenants AS t ON t.id = v.id RETURNING key_stands, id AS tenant_id, cell_id, 0 AS is_under_way, 0 AS is_installed",
        );
    let read = Sql::new(concat!(
        "SELECT ",
        columns!(),
        ", (SELECT count(*) FROM (SELECT 1 FROM cell_work WHERE cell_id = w.cell_id AND finished_at IS NULL LIMIT "
    ))
    .bind(MOST_COUNTED)
    .sql(")) AS unfinished FROM cell_work AS w WHERE w.id = ")
    .bind(job_id);
    Batch::of([sweep(now), insert, read])
}

/// The result of [`create`] or [`drop_tables`].
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) tenant_is_there: bool,
    pub(crate) has_cell: bool,
    /// An unfinished job of the kind was there already.
    pub(crate) is_under_way: bool,
    pub(crate) is_installed: bool,
    /// The unfinished job of the kind, and how many the cell has.
    pub(crate) job: Option<(Job, i64)>,
}

impl Asked {
    /// Reads the results.
    pub(crate) fn decode(results: &mut Results, now: &str) -> Result<Self, ApiError> {
        results.skip()?;
        let mut row = standing::judged(results)?;
        let tenant_is_there = row.optional_text("tenant_id")?.is_some();
        let has_cell = row.optional_text("cell_id")?.is_some();
        let is_under_way = row.boolean("is_under_way")?;
        let is_installed = row.boolean("is_installed")?;
        let job = match results.row()? {
            None => None,
            Some(mut row) => match Job::decode(&mut row, now)? {
                None => None,
                Some(job) => Some((job, row.integer("unfinished")?)),
            },
        };
        Ok(Self {
            tenant_is_there,
            has_cell,
            is_under_way,
            is_installed,
            job,
        })
    }
}
