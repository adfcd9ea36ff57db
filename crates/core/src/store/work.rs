//! `cell_work`: the jobs of cells (contract §15).
//!
//! A job is unfinished until `finished_at`. Its input is encrypted, and wiped when it ends, or at `wipe_at`, whatever happens to its agent.

use alloc::string::String;

use crate::auth::Caller;
use crate::crypto::seal::Place;
use crate::sql::{Batch, Columns, Results, Sql, Value};
use crate::store::idempotency::Past;
use crate::store::registry::revision;
use crate::store::standing::{self, allowed_caller, caller};
use crate::store::write::{self, WriteText, Writer, Written, write_into};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;

/// How long a job waits for an agent, for SQLite's `datetime`: a day, or a quarter of an hour if its input has a password.
const EXPIRES_AFTER: &str = "+86400 seconds";
const EXPIRES_AFTER_WITH_PASSWORD: &str = "+900 seconds";

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
const RESTORED: &str = "the registry was restored, and may have an older idea of the site";

/// The most jobs that one statement ends, so that nothing waits long for it. The cron trigger comes back for the rest.
pub(crate) const SWEPT_ROWS: i64 = 500;

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
pub(crate) fn sweep_job(now: &str, id: &str) -> Sql {
    ending(now)
        .sql("id = ")
        .bind(id)
        .sql(" AND wipe_at <= ")
        .bind(now)
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
pub(crate) fn for_its_tenant(sql: Sql) -> Sql {
    sql.sql("(kind = ")
        .bind("drop")
        .sql(" OR EXISTS (SELECT 1 FROM tenants AS t WHERE t.id = cell_work.tenant_id AND t.created_at <= cell_work.created_at))")
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
            .sql(") AND ifnull(w.wipe_at > ")
            .bind(now)
            .sql(", 1)"),
        State::Running => of(sql.sql(" AND w.finished_at IS NULL AND "), state)
            .sql(" AND ifnull(w.lease_until > ")
            .bind(now)
            .sql(", 1) AND ifnull(w.wipe_at > ")
            .bind(now)
            .sql(", 1)"),
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
