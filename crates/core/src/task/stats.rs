//! Statistics (contract §5 and §8): counts a tenant's own tables, and keeps the result in the tenant's row.
//!
//! The first batch of [`Refresh`] chooses the tenants whose last turn is longest ago, and notes their turn in the same statement. So they
//! come last in the next run, whatever happens now: a site that cannot be counted (a table is missing or broken) does not come first for
//! ever. The next batches count the tenants in slices, a statement for each. If a slice fails, its tenants are counted one by one, so one
//! broken site does not stop the others. Neither `updated_at` nor the audit log changes.
//!
//! SQL makes the sums and the object of all sixteen counters. No number passes through a host, so none beyond 2^53 is rounded.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::mem;

use serde::Serialize;

use crate::config::Config;
use crate::machine::{Context, Effect, Failure, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results, Rows, Sql};
use crate::store::counters::COUNTERS;
use crate::store::site_schema as schema;
use crate::task::{TaskError, results, rows};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::value::table_name::{TableNames, TablePrefix};

/// The tenants to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This tenant.
    One(TenantId),
    /// At most so many installed tenants: first those that never had a turn, then those whose last turn is longest ago.
    Oldest(u32),
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The number of tenants that were counted.
    pub counted: u64,
    /// The number of tenants that were deleted meanwhile.
    pub gone: u64,
    /// The tenants that could not be counted. They keep their older statistics.
    pub failed: Vec<Failed>,
}

/// A tenant that could not be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The tenant's id.
    pub tenant: String,
    /// The database's message, or the error in the id.
    pub reason: String,
}

/// Counts tenants' statistics.
#[derive(Debug)]
pub struct Refresh {
    prefix: TablePrefix,
    now: Timestamp,
    which: Which,
    slice: usize,
    batch: Batch,
    /// Whether the batch chooses tenants. Otherwise it counts those of `current`.
    chooses: bool,
    current: Vec<TenantId>,
    /// The tenants of slices that failed. They are counted one by one.
    alone: Vec<TenantId>,
    rest: Vec<TenantId>,
    report: Report,
}

impl Refresh {
    /// Begins. `now` becomes `last_job_at`. `slice` is the number of tenants that one batch counts; 0 means 1. A run takes at most one
    /// batch to choose, and two statements for each chosen tenant.
    #[must_use]
    pub fn begin(config: &Config, now: &Timestamp, which: Which, slice: u32) -> Self {
        let prefix = config.site.table_prefix.clone();
        let batch = Batch::of(choose(&prefix, now, &which));
        Self {
            prefix,
            now: now.clone(),
            which,
            slice: usize::try_from(slice.max(1)).unwrap_or(usize::MAX),
            batch,
            chooses: true,
            current: Vec::new(),
            alone: Vec::new(),
            rest: Vec::new(),
            report: Report::default(),
        }
    }

    /// The number of tenants done, and the number chosen.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let done = self.report.counted + self.report.gone + count(self.report.failed.len());
        let waiting = self.current.len() + self.alone.len() + self.rest.len();
        (done, done + count(waiting))
    }

    /// Reads the chosen tenants.
    fn take(&mut self, results: &mut Results) -> Result<(), ApiError> {
        for row in results.rows()? {
            let id = Columns::new(row).text("id")?;
            match TenantId::parse(&id) {
                Ok(id) => self.rest.push(id),
                Err(reason) => self.report.failed.push(Failed { tenant: id, reason }),
            }
        }
        if matches!(self.which, Which::One(_)) && self.rest.is_empty() {
            let mut row = results.row()?.ok_or(NO_TENANT)?;
            return Err(if row.boolean("is_there")? {
                NO_SITE
            } else {
                NO_TENANT
            });
        }
        Ok(())
    }

    /// Reads the result of counting `current`.
    fn note(&mut self, rows: Result<Vec<Rows>, Failure>) -> Result<(), ApiError> {
        let current = mem::take(&mut self.current);
        match rows {
            Ok(rows) => {
                let mut results = Results::new(rows, current.len())?;
                for _ in current {
                    match results.row()? {
                        Some(_) => self.report.counted += 1,
                        None => self.report.gone += 1,
                    }
                }
            }
            Err(failure) => match current.as_slice() {
                [id] => self.report.failed.push(Failed {
                    tenant: id.to_string(),
                    reason: failure.reason,
                }),
                _ => self.alone.extend(current),
            },
        }
        Ok(())
    }

    fn next(mut self) -> Step<Self> {
        self.current = match self.alone.pop() {
            Some(id) => [id].into(),
            None => self.rest.drain(..self.rest.len().min(self.slice)).collect(),
        };
        if self.current.is_empty() {
            return Step::Done(Ok(self.report));
        }
        let counts = self
            .current
            .iter()
            .map(|id| count(&self.prefix, id, &self.now));
        self.batch = Batch::of(counts);
        Step::Run(self)
    }
}

impl Machine for Refresh {
    /// The error is that no tenant could be chosen: the database failed, or the named tenant does not exist or is not installed.
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(mut self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let taken = if mem::take(&mut self.chooses) {
            results(outcome, &self.batch).and_then(|mut results| self.take(&mut results))
        } else {
            self.note(rows(outcome))
        };
        match taken {
            Ok(()) => self.next(),
            Err(error) => Step::Done(Err(error.into())),
        }
    }
}

const NO_TENANT: ApiError = ApiError::NotFound { what: "tenant" };

const NO_SITE: ApiError = ApiError::NotFound {
    what: "site: nothing is installed for this tenant",
};

/// Chooses tenants and notes their turn. If one tenant was named, a second statement reads whether it exists.
fn choose(prefix: &TablePrefix, now: &Timestamp, which: &Which) -> Vec<Sql> {
    let turn = |sql: Sql| {
        sql.values([
            now.as_str().into(),
            prefix.as_str().into(),
            alloc::format!("_{}", schema::USERS).into(),
        ])
    };
    match which {
        Which::One(id) => [
            turn(Sql::new(
                "UPDATE tenants SET stats_turn_at = ?1 \
                 WHERE EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) AND id = ",
            ))
            .bind(id.as_str())
            .sql(" RETURNING id"),
            Sql::new("SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ")
                .bind(id.as_str())
                .sql(") AS is_there"),
        ]
        .into(),
        // `NULL`, for never, sorts first. The users' table is looked up by its name.
        Which::Oldest(limit) => [turn(Sql::new(
            "UPDATE tenants SET stats_turn_at = ?1 WHERE id IN (SELECT t.id FROM tenants AS t \
             WHERE EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(t.id) || ?3)) \
             ORDER BY t.stats_turn_at LIMIT ",
        ))
        .bind(i64::from(*limit))
        .sql(") RETURNING id")]
        .into(),
    }
}

/// One row for each table to count: its part of the name, the sums, and the name that [`COUNTERS`] uses. Each table is walked once.
const COUNTED: [(&str, &str, &str); 10] = [
    (schema::TAGS, "(SELECT count(*) AS n FROM ", ") AS tags"),
    (
        schema::FILES,
        ", (SELECT count(*) AS n, coalesce(sum(views), 0) AS views, coalesce(sum(size_bytes), 0) AS bytes FROM ",
        ") AS files",
    ),
    (schema::PAGES, ", (SELECT count(*) AS n FROM ", ") AS pages"),
    (
        schema::USERS,
        ", (SELECT count(*) AS n, coalesce(sum(is_admin), 0) AS admins, coalesce(sum(is_manager), 0) AS managers FROM ",
        ") AS users",
    ),
    (
        schema::ALBUMS,
        ", (SELECT count(*) AS n, coalesce(sum(views), 0) AS views FROM ",
        ") AS albums",
    ),
    (
        schema::STORAGES,
        ", (SELECT count(*) AS n FROM ",
        ") AS storages",
    ),
    (
        schema::JOBS,
        ", (SELECT coalesce(sum(duration_s), 0) AS seconds FROM ",
        ") AS jobs",
    ),
    (
        schema::CATEGORIES,
        ", (SELECT count(*) AS n FROM ",
        ") AS categories",
    ),
    (
        schema::LIKES,
        ", (SELECT count(file_id) AS of_files, count(album_id) AS of_albums FROM ",
        ") AS likes",
    ),
    (
        schema::LOGIN_PROVIDERS,
        ", (SELECT count(*) AS n FROM ",
        ") AS login_providers",
    ),
];

/// Counts one tenant. The statement returns a row unless the tenant is gone. `json_object` gets 32 arguments, the most that D1 allows
/// (<https://developers.cloudflare.com/d1/platform/limits/>: "Maximum number of arguments per SQL function: 32").
fn count(prefix: &TablePrefix, id: &TenantId, now: &Timestamp) -> Sql {
    let names = TableNames::of(prefix, id);
    let mut sql = Sql::new("UPDATE tenants SET stats = (SELECT json_object(");
    for (i, (counter, column)) in COUNTERS.into_iter().enumerate() {
        let separated = if i == 0 { sql } else { sql.sql(", ") };
        sql = separated.bind(counter).sql(", ").sql(column);
    }
    sql = sql.sql(") FROM ");
    for (table, select, name) in COUNTED {
        sql = sql.sql(select).name(&names.name(table)).sql(name);
    }
    sql.sql("), last_job_at = ")
        .bind(now.as_str())
        .sql(" WHERE id = ")
        .bind(id.as_str())
        .sql(" RETURNING id")
}
