//! The leases of jobs (contract §15): an agent takes, renews and finishes a job, or its lease runs out. A job that nobody has can be cancelled.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Columns, Results, Sql};
use crate::store::standing::{self, CellOf, cell_standing, job_standing};
use crate::store::work::{Kind, SWEPT_ROWS, State, for_its_tenant, look, sweep, sweep_job};
use crate::store::write::{self, WriteText, Writer, Written, write_into};
use crate::value::fault::ApiError;
use crate::value::id::CellId;

/// A job has failed after so many leases.
const MAX_ATTEMPTS: i64 = 5;

/// How long a generated password can be read after the job's end.
const KEPT_FOR: &str = "+600 seconds";

/// The error of a job that was leased too often.
const EXHAUSTED: &str = "its lease ran out five times";

/// Gives back the jobs whose lease ran out, and fails those whose last attempt that was. For the cron trigger: until it comes, and without it,
/// the clock and the next lease tell the same.
pub(crate) fn give_back(now: &str) -> Sql {
    Sql::new("UPDATE cell_work SET (state, error, finished_at, input, lease, lease_until, wipe_at) = (SELECT iif(is_over, ")
        .bind(State::Failed.as_str())
        .sql(", ")
        .bind(State::Waiting.as_str())
        .sql("), iif(is_over, ")
        .bind(EXHAUSTED)
        .sql(", error), iif(is_over, ")
        .bind(now)
        .sql(
            ", NULL), iif(is_over, NULL, input), iif(is_over, NULL, lease), NULL, iif(is_over, NULL, wipe_at) FROM (SELECT attempts >= ",
        )
        .bind(MAX_ATTEMPTS)
        .sql(
            " AS is_over)) WHERE seq IN (SELECT seq FROM cell_work WHERE lease_until <= ",
        )
        .bind(now)
        .sql(" ORDER BY lease_until LIMIT ")
        .bind(SWEPT_ROWS)
        .sql(")")
}

/// Adds the condition of the jobs that can be leased: those that nobody has, for which the agent has followed far enough, and whose tenant is there.
fn free(sql: Sql, cell: &CellId, now: &str) -> Sql {
    let sql = sql
        .sql("cell_id = ")
        .bind(cell.as_str())
        .sql(" AND finished_at IS NULL AND (lease_until IS NULL OR lease_until <= ")
        .bind(now)
        .sql(") AND wipe_at > ")
        .bind(now)
        .sql(" AND after_revision <= (SELECT seen_revision FROM cells WHERE id = ")
        .bind(cell.as_str())
        .sql(") AND ");
    for_its_tenant(sql)
}

/// Adds whether a job can be leased.
pub(crate) fn can_be_leased(sql: Sql, cell: &CellId, now: &str) -> Sql {
    free(sql.sql("EXISTS (SELECT 1 FROM cell_work WHERE "), cell, now).sql(")")
}

/// Adds the end of a lease that lasts from now on, before which the job is not past its time.
fn lasting(sql: Sql, now: &str, seconds: &str) -> Sql {
    sql.sql("lease_until = datetime(")
        .bind(now)
        .sql(", ")
        .bind(seconds)
        .sql("), wipe_at = max(expires_at, datetime(")
        .bind(now)
        .sql(", ")
        .bind(seconds)
        .sql("))")
}

/// Leases the oldest jobs. The results are two without rows, whether there is the cell, one without rows, and the jobs.
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
    // The same batch may run a second time: then the jobs are leased already, and no further ones are.
    let update = standing::statement(caller, "UPDATE cell_work SET state = ")
        .bind(State::Running.as_str())
        .sql(", attempts = attempts + 1, lease = ")
        .bind(lease)
        .sql(", ");
    let update = lasting(update, now, seconds)
        .sql(", started_at = coalesce(started_at, ")
        .bind(now)
        .sql(") WHERE seq IN (SELECT seq FROM cell_work WHERE ");
    let update = free(update, cell, now)
        .sql(" ORDER BY seq LIMIT ")
        .bind(max)
        .sql(") AND NOT EXISTS (SELECT 1 FROM cell_work WHERE cell_id = ")
        .bind(cell.as_str())
        .sql(" AND finished_at IS NULL AND lease = ")
        .bind(lease)
        .sql(") AND ");
    let update = cell_standing(update, CellOf::Id(cell));
    let leased = Sql::new("SELECT id, tenant_id, kind, input, lease_until, attempts + (kind = ")
        .bind(Kind::Install.as_str())
        .sql(" AND site_before IS ")
        .bind("failed")
        .sql(") AS attempt FROM cell_work WHERE cell_id = ")
        .bind(cell.as_str())
        .sql(" AND finished_at IS NULL AND lease = ")
        .bind(lease)
        .sql(" ORDER BY seq");
    Batch::of([sweep(now), exhausted, standing, update, leased])
}

/// A job that was leased.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) kind: String,
    pub(crate) input: Option<String>,
    pub(crate) leased_until: String,
    /// From 1. An installation after one that failed is no first attempt: the site that it finds may be whole or half of one.
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
        results.skip()?;
        let mut jobs = Vec::new();
        for row in results.rows()? {
            let mut row = Columns::new(row);
            jobs.push(Self {
                id: row.text("id")?,
                tenant_id: row.text("tenant_id")?,
                kind: row.text("kind")?,
                input: row.optional_text("input")?,
                leased_until: row.text("lease_until")?,
                attempt: row.integer("attempt")?,
            });
        }
        Ok(jobs)
    }
}

/// Moves the end of a lease, unless the job is past its time: then somebody may have been told that it failed. The second result says whether there is the job, and whether the token is its lease's.
pub(crate) fn renew(caller: &Caller, id: &str, lease: &str, seconds: &str) -> Batch {
    let now = caller.now().as_str();
    let update = standing::statement(caller, "UPDATE cell_work SET ");
    let update = lasting(update, now, seconds)
        .sql(" WHERE id = ")
        .bind(id)
        .sql(" AND lease = ")
        .bind(lease)
        .sql(" AND finished_at IS NULL AND wipe_at > ")
        .bind(now)
        .sql(" AND ");
    let update = cell_standing(update, CellOf::Job(id));
    let read = standing::statement(caller, "SELECT ");
    let read = cell_standing(read, CellOf::Job(id))
        .sql(" AS standing, w.id IS NOT NULL AS id_is_there, coalesce(w.lease = ")
        .bind(lease)
        .sql(" AND w.finished_at IS NULL AND w.wipe_at > ")
        .bind(now)
        .sql(", 0) AS has_lease FROM (SELECT ")
        .bind(id)
        .sql(" AS id) AS v LEFT JOIN cell_work AS w ON w.id = v.id");
    Batch::of([update, read])
}

/// Ends a job. The results are a [`Written`](write::Written), which [`LeaseRow::of_end`] reads, and the job.
pub(crate) fn finish(
    writer: &Writer,
    id: &str,
    lease: &str,
    state: State,
    error: Option<&str>,
) -> Batch {
    let text = WriteText {
        from: OF_JOB,
        ..write_into!(
            job_standing!("?6", "?7"),
            "finish_work",
            "id_is_there, has_lease, is_finished, id, state, error, wipe_at",
            "w.id IS NOT NULL, coalesce(w.lease = ?8 AND w.state <> ?12, 0), w.finished_at IS NOT NULL, w.id, ?9, ?10, datetime(?3, ?11)",
            "id_is_there, has_lease",
            "json_array()"
        )
    };
    let values = [
        id.into(),
        standing::OF_CELL.into(),
        lease.into(),
        state.as_str().into(),
        error.into(),
        KEPT_FOR.into(),
        State::Cancelled.as_str().into(),
    ];
    Batch::of([write::statement(writer, text, values, None), look(id)])
}

/// The job with the id of a write, if there is one.
const OF_JOB: &str = " FROM (SELECT ?6 AS id) AS v LEFT JOIN cell_work AS w ON w.id = v.id";

/// The obstacles to a renewal or an end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseRow {
    pub(crate) id_is_there: bool,
    pub(crate) has_lease: bool,
}

impl LeaseRow {
    /// Reads the row of [`renew`].
    pub(crate) fn of_renewal(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = standing::judged(results)?;
        Ok(Self {
            id_is_there: row.boolean("id_is_there")?,
            has_lease: row.boolean("has_lease")?,
        })
    }

    /// Reads the row of [`finish`].
    pub(crate) fn of_end(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = Written::read(results)?;
        Ok(Self {
            id_is_there: row.obstacle("id_is_there", true)?,
            has_lease: row.obstacle("has_lease", true)?,
        })
    }
}

/// Cancels a job that nobody has leased. The results are one without rows, a [`Written`](write::Written), and the job.
pub(crate) fn cancel(writer: &Writer, id: &str) -> Batch {
    let text = WriteText {
        from: OF_JOB,
        ..write_into!(
            "cancel_work",
            "id_is_there, is_waiting, id",
            "w.id IS NOT NULL, coalesce(w.finished_at IS NULL AND (w.lease_until IS NULL OR w.lease_until <= ?3), 0), w.id",
            "id_is_there, is_waiting"
        )
    };
    let cancel = write::statement(writer, text, [id.into()], None);
    Batch::of([sweep_job(writer.now().as_str(), id), cancel, look(id)])
}
