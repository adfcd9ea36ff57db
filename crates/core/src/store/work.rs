//! `cell_work`: the jobs of cells (contract §15).
//!
//! A job is unfinished until `finished_at`. Its input is encrypted, and wiped when it ends, or at `wipe_at`, whatever happens to its agent.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::crypto::seal::Place;
use crate::sql::{Batch, Columns, Results, Sql, Value};
use crate::store::idempotency::Past;
use crate::store::registry::revision;
use crate::store::standing::{self, CellOf, allowed_caller, caller, cell_standing, job_standing};
use crate::store::write::{self, WriteText, Writer, Written, write_into};
use crate::value::clock::Timestamp;
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
const RESTORED: &str = "the registry was restored, and may have an older idea of the site";

/// The most jobs that one statement ends, so that nothing waits long for it. The cron trigger comes back for the rest.
const SWEPT_ROWS: i64 = 500;

/// Fails the unfinished jobs that are past their time, and wipes what is past its time: the oldest of all.
pub(crate) fn sweep(now: &str) -> Sql {
    ending(now)
        .sql("seq IN (SELECT seq FROM cell_work WHERE wipe_at <= ")
        .bind(now)
        .sql(" ORDER BY wipe_at LIMIT ")
        .bind(SWEPT_ROWS)
        .sql(")")
}

/// The same for the unfinished jobs of one tenant, which would be in the way of another one, and for those of an earlier tenant of the id that no agent has any
/// more: nobody can lease them ([`free`]).
fn sweep_tenant(now: &str, tenant: &TenantId) -> Sql {
    let sql = ending(now)
        .sql("tenant_id = ")
        .bind(tenant.as_str())
        .sql(" AND finished_at IS NULL AND (wipe_at <= ")
        .bind(now)
        .sql(" OR ifnull(lease_until <= ")
        .bind(now)
        .sql(", 1) AND NOT ");
    for_its_tenant(sql).sql(")")
}

/// The same for one job.
fn sweep_job(now: &str, id: &str) -> Sql {
    ending(now)
        .sql("id = ")
        .bind(id)
        .sql(" AND wipe_at <= ")
        .bind(now)
}

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

/// Fails all unfinished jobs. A restored registry has those of its backup, which may have been done since: a drop that is done again would take the
/// tables of a site that came later.
pub(crate) fn end_all(now: &Timestamp) -> Sql {
    Sql::new("UPDATE cell_work SET state = ")
        .bind(State::Failed.as_str())
        .sql(", error = ")
        .bind(RESTORED)
        .sql(", finished_at = ")
        .bind(now.as_str())
        .sql(", input = NULL, lease = NULL, lease_until = NULL, wipe_at = NULL WHERE finished_at IS NULL")
}

/// Starts the statement that ends or wipes jobs, up to its condition. A job that its agent ended keeps the token, with which the end may be reported again.
fn ending(now: &str) -> Sql {
    Sql::new("UPDATE cell_work SET state = iif(finished_at IS NULL, ")
        .bind(State::Failed.as_str())
        .sql(", state), error = iif(finished_at IS NULL, ")
        .bind(EXPIRED)
        .sql(", error), finished_at = coalesce(finished_at, ")
        .bind(now)
        .sql("), input = NULL, lease = iif(finished_at IS NULL, NULL, lease), lease_until = NULL, wipe_at = NULL WHERE ")
}

/// Adds the condition that a job with an input is for the tenant that is there: for the one that was there when it was made, and for no later one of the same
/// id. A job that drops tables is for none.
fn for_its_tenant(sql: Sql) -> Sql {
    sql.sql("(kind = ")
        .bind("drop")
        .sql(" OR EXISTS (SELECT 1 FROM tenants AS t WHERE t.id = cell_work.tenant_id AND t.created_at <= cell_work.created_at))")
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

/// Adds the condition that a job is in this state, as [`Job::decode`] judges it.
fn in_state(sql: Sql, state: State, now: &str) -> Sql {
    let of = |sql: Sql, state: State| sql.sql("w.state = ").bind(state.as_str());
    match state {
        State::Waiting => of(sql.sql(" AND w.finished_at IS NULL AND ("), state)
            .sql(" OR w.lease_until <= ")
            .bind(now)
            .sql(") AND w.wipe_at > ")
            .bind(now),
        State::Running => of(sql.sql(" AND w.finished_at IS NULL AND "), state)
            .sql(" AND w.lease_until > ")
            .bind(now)
            .sql(" AND w.wipe_at > ")
            .bind(now),
        State::Failed => of(sql.sql(" AND ("), state)
            .sql(" OR w.finished_at IS NULL AND w.wipe_at <= ")
            .bind(now)
            .sql(")"),
        _ => of(sql.sql(" AND "), state),
    }
}

/// Reads jobs, the newest first, and one more than the page may have. The results are the caller's standing and the jobs.
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
        Some(state) => in_state(sql, state, caller.now().as_str()),
        None => sql,
    };
    Batch::of([
        standing::alone(caller),
        sql.sql(" ORDER BY w.seq DESC LIMIT ")
            .bind(filter.limit + 1),
    ])
}

/// The tenant with the id of a write, if there is one.
const OF_TENANT: &str = " FROM (SELECT ?6 AS id) AS v LEFT JOIN tenants AS t ON t.id = v.id";

/// Makes a job for the cell of a tenant, unless an unfinished one of the kind is there. `secret` is a generated password, encrypted, if the response
/// is remembered. The results are [`Asked`]'s.
pub(crate) fn create(
    writer: &Writer,
    tenant: &TenantId,
    new: &NewJob<'_>,
    secret: Option<String>,
) -> Batch {
    let text = WriteText {
        from: OF_TENANT,
        ..write_into!(
            "create_work",
            "is_under_way, is_installed, id, tenant_id, cell_id, kind, input, is_generated, site_state, expires_at",
            "EXISTS (SELECT 1 FROM cell_work WHERE tenant_id = t.id AND kind = ?7 AND finished_at IS NULL), t.site_state IS ?8, ?9, t.id, \
             t.cell_id, ?7, ?10, ?11, t.site_state, datetime(?3, ?12)",
            "tenant_id, cell_id, is_under_way, is_installed",
            "json_array(?9)"
        )
    };
    let values = [
        tenant.as_str().into(),
        new.kind.as_str().into(),
        "installed".into(),
        new.id.into(),
        new.input.into(),
        new.is_generated.into(),
        EXPIRES_AFTER_WITH_PASSWORD.into(),
    ];
    // The job may have ended before a second try.
    let read = unfinished(new.id)
        .sql(", (SELECT id FROM cell_work WHERE tenant_id = ")
        .bind(tenant.as_str())
        .sql(" AND kind = ")
        .bind(new.kind.as_str())
        .sql(" AND finished_at IS NULL))");
    Batch::of([
        sweep_tenant(writer.now().as_str(), tenant),
        write::statement(writer, text, values, secret),
        read,
    ])
}

/// Starts to read a job, and how many unfinished ones its cell has: the job with this id if there is one, or else that of the next expression.
fn unfinished(id: &str) -> Sql {
    Sql::new(concat!(
        "SELECT ",
        columns!(),
        ", (SELECT count(*) FROM (SELECT 1 FROM cell_work WHERE cell_id = w.cell_id AND finished_at IS NULL LIMIT "
    ))
    .bind(MOST_COUNTED)
    .sql(")) AS unfinished FROM cell_work AS w WHERE w.id = coalesce((SELECT id FROM cell_work WHERE id = ")
    .bind(id)
    .sql(")")
}

/// Deletes a tenant of a cell, and makes the job that drops its tables. If the tenant has none of these revisions (a list in JSON), it is as if it had
/// no cell. The results are [`Asked`]'s.
pub(crate) fn drop_tables(
    writer: &Writer,
    tenant: &TenantId,
    job_id: &str,
    revisions: Option<&str>,
) -> Batch {
    macro_rules! of_cell {
        ($cell_id:expr) => {
            write_into!(
                "drop_at_cell",
                "id, cell_id, job_id, expires_at",
                concat!("t.id, ", $cell_id, ", ?7, datetime(?3, ?8)"),
                "id AS tenant_id, cell_id, 0 AS is_under_way, 0 AS is_installed",
                "json_array(?7)"
            )
        };
    }
    let text = match revisions {
        None => of_cell!("t.cell_id"),
        Some(_) => of_cell!(concat!(
            "iif(",
            revision!("t.revision"),
            " IN (SELECT value FROM json_each(?9)), t.cell_id, NULL)"
        )),
    };
    let text = WriteText {
        from: OF_TENANT,
        ..text
    };
    let values = [tenant.as_str().into(), job_id.into(), EXPIRES_AFTER.into()];
    let values = values.into_iter().chain(revisions.map(Value::from));
    Batch::of([
        sweep_tenant(writer.now().as_str(), tenant),
        write::statement(writer, text, values, None),
        unfinished(job_id).sql(", NULL)"),
    ])
}

/// The job of the same request, which was sent before.
#[derive(Debug)]
pub(crate) struct PastJob {
    pub(crate) id: String,
    /// The password that the service made, encrypted for the place of this fingerprint.
    pub(crate) secret: Option<(String, String)>,
    /// Until when the request is remembered. `None` if it was an earlier try of the very same request.
    pub(crate) replayed_until: Option<Timestamp>,
}

impl PastJob {
    /// The job that a request waits for; `None` if it was carried out without one.
    pub(crate) fn of(past: &mut Past) -> Option<Self> {
        Some(Self {
            id: past.job_id.take()?,
            secret: past.secret.take(),
            replayed_until: past.replayed_until.take(),
        })
    }
}

/// The result of [`create`] or [`drop_tables`].
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) tenant_is_there: bool,
    pub(crate) has_cell: bool,
    /// An unfinished job of the kind was there already.
    pub(crate) is_under_way: bool,
    pub(crate) is_installed: bool,
    /// Nothing was written.
    pub(crate) is_trial: bool,
    /// The job that was made, or the unfinished one of the kind; and how many the cell has.
    pub(crate) job: Option<(Job, i64)>,
}

impl Asked {
    /// Reads the results. The error is the job of the same request, which was sent before.
    pub(crate) fn decode(
        results: &mut Results,
        now: &str,
    ) -> Result<Result<Self, PastJob>, ApiError> {
        results.skip()?;
        let mut row = Written::read(results)?;
        let secret = row.secret();
        let mut row = match row.remembered() {
            Ok(mut row) => {
                return Ok(Err(PastJob {
                    id: row.text("job_id")?,
                    secret,
                    replayed_until: results.replayed_until().cloned(),
                }));
            }
            Err(row) => row,
        };
        let tenant_is_there = row.optional_text("tenant_id")?.is_some();
        let has_cell = row.optional_text("cell_id")?.is_some();
        let is_under_way = row.obstacle("is_under_way", false)?;
        let is_installed = row.obstacle("is_installed", false)?;
        let is_trial = row.is_trial();
        let job = match results.row()? {
            None => None,
            Some(mut row) => match Job::decode(&mut row, now)? {
                None => None,
                Some(job) => Some((job, row.integer("unfinished")?)),
            },
        };
        Ok(Ok(Self {
            tenant_is_there,
            has_cell,
            is_under_way,
            is_installed,
            is_trial,
            job,
        }))
    }
}
