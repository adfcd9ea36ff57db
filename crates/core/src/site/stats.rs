//! Statistics (contract §5 and §8): counted from a tenant's own tables, and kept in its row.
//!
//! [`Refresh`] is a job. Its first batch chooses tenants, those first whose turn was longest ago, and notes in the same statement
//! that their turn has come: whatever happens then, they are last in the next run. So a site that cannot be counted (a table
//! that is missing or broken) is never first again for ever. Then they are counted in slices, each a transaction with a
//! statement a tenant; where one fails, its tenants are counted one by one, so that the site that cannot be counted stops
//! none of the others. Neither `updated_at` nor the audit log changes.
//!
//! Sums are made in SQL, and the object of all sixteen too: no number passes through a host, and none beyond 2^53 is rounded.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::mem;

use serde::Serialize;

use super::name::{Names, TablePrefix};
use super::schema;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::http::Random;
use crate::id::TenantId;
use crate::job::{Job, JobError, JobStep};
use crate::problem::ApiError;
use crate::sql::{Answers, Batch, Columns, Rows, Sql};

/// Which tenants to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(TenantId),
    /// At most so many of those that are installed: first those that were never counted, then those whose turn was longest ago.
    Oldest(u32),
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// How many tenants were counted.
    pub counted: u64,
    /// How many were deleted while they were about to be counted.
    pub gone: u64,
    /// Those that could not be counted. What was counted of them before stays.
    pub failed: Vec<Failed>,
}

/// A tenant that could not be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The tenant's id.
    pub tenant: String,
    /// What the database says, or what is wrong with the id.
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
    /// Whether the batch chooses tenants; else it counts those of `current`.
    chooses: bool,
    current: Vec<TenantId>,
    /// Those of slices that failed: to be counted one by one.
    alone: Vec<TenantId>,
    rest: Vec<TenantId>,
    report: Report,
}

impl Refresh {
    /// Begins. `now` becomes `last_job_at`. `slice` is how many tenants one batch counts; 0 counts as 1. A run takes at most one
    /// batch and one statement to choose, and two statements for each tenant that it chooses.
    #[must_use]
    pub fn begin(config: &Config, now: &Timestamp, which: Which, slice: u32) -> Self {
        let prefix = config.table_prefix.clone();
        let batch = Batch::of_job(choose(&prefix, now, &which));
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

    /// How many tenants were dealt with, and how many were chosen.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let done = self.report.counted + self.report.gone + count(self.report.failed.len());
        let waiting = self.current.len() + self.alone.len() + self.rest.len();
        (done, done + count(waiting))
    }

    /// Takes the tenants that were chosen.
    fn take(&mut self, answers: &mut Answers) -> Result<(), ApiError> {
        for row in answers.rows()? {
            let id = Columns::new(row).text("id")?;
            match TenantId::parse(&id) {
                Ok(id) => self.rest.push(id),
                Err(reason) => self.report.failed.push(Failed { tenant: id, reason }),
            }
        }
        if matches!(self.which, Which::One(_)) && self.rest.is_empty() {
            let mut row = answers.row()?.ok_or(NO_TENANT)?;
            return Err(if row.boolean("is_there")? {
                NO_SITE
            } else {
                NO_TENANT
            });
        }
        Ok(())
    }

    /// Takes what came of the counting of `current`.
    fn note(&mut self, rows: Result<Vec<Rows>, String>) -> Result<(), ApiError> {
        let current = mem::take(&mut self.current);
        match rows {
            Ok(rows) => {
                let mut answers = Answers::new(rows, current.len())?;
                for _ in current {
                    match answers.row()? {
                        Some(_) => self.report.counted += 1,
                        None => self.report.gone += 1,
                    }
                }
            }
            Err(reason) => match current.as_slice() {
                [id] => self.report.failed.push(Failed {
                    tenant: id.to_string(),
                    reason,
                }),
                _ => self.alone.extend(current),
            },
        }
        Ok(())
    }

    fn next(mut self) -> JobStep<Self, Report> {
        self.current = match self.alone.pop() {
            Some(id) => [id].into(),
            None => self.rest.drain(..self.rest.len().min(self.slice)).collect(),
        };
        if self.current.is_empty() {
            return JobStep::Done(self.report);
        }
        let counts = self
            .current
            .iter()
            .map(|id| count(&self.prefix, id, &self.now));
        self.batch = Batch::of_job(counts);
        JobStep::Run(self)
    }
}

impl Job for Refresh {
    type Report = Report;

    fn batch(&self) -> &Batch {
        &self.batch
    }

    /// # Errors
    /// Where no tenant could be chosen: the database failed, or the one that was named is not there or not installed.
    fn resume(
        mut self,
        rows: Result<Vec<Rows>, String>,
        _: &mut dyn Random,
    ) -> Result<JobStep<Self, Report>, JobError> {
        if mem::take(&mut self.chooses) {
            let mut answers = Answers::of_job(rows, &self.batch)?;
            self.take(&mut answers)?;
        } else {
            self.note(rows)?;
        }
        Ok(self.next())
    }
}

const NO_TENANT: ApiError = ApiError::NotFound { what: "tenant" };

const NO_SITE: ApiError = ApiError::NotFound {
    what: "site: nothing is installed for this tenant",
};

/// The statement that chooses tenants and notes that their turn has come; after it, where one was named, whether it is there.
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
            turn(Sql::of_nobody(
                "UPDATE tenants SET stats_turn_at = ?1 \
                 WHERE EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) AND id = ",
            ))
            .bind(id.as_str())
            .sql(" RETURNING id"),
            Sql::of_nobody("SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ")
                .bind(id.as_str())
                .sql(") AS is_there"),
        ]
        .into(),
        // Whether its users are there is looked up by the name. `NULL`, never, comes first.
        Which::Oldest(limit) => [turn(Sql::of_nobody(
            "UPDATE tenants SET stats_turn_at = ?1 WHERE id IN (SELECT t.id FROM tenants AS t \
             WHERE EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(t.id) || ?3)) \
             ORDER BY t.stats_turn_at LIMIT ",
        ))
        .bind(i64::from(*limit))
        .sql(") RETURNING id")]
        .into(),
    }
}

/// Each of the sixteen, in the order of [`crate::tenant::Stats`], and what it is of the rows of [`count`]. Two arguments each:
/// D1 takes 32 for a function
/// (<https://developers.cloudflare.com/d1/platform/limits/>: "Maximum number of arguments per SQL function: 32").
const COUNTERS: [(&str, &str); 16] = [
    ("tags", ", tags.n"),
    ("files", ", files.n"),
    ("pages", ", pages.n"),
    ("users", ", users.n"),
    ("admins", ", users.admins"),
    ("albums", ", albums.n"),
    ("managers", ", users.managers"),
    ("storages", ", storages.n"),
    ("cron_time", ", jobs.seconds"),
    ("categories", ", categories.n"),
    ("file_likes", ", likes.of_files"),
    ("file_views", ", files.views"),
    ("album_likes", ", likes.of_albums"),
    ("album_views", ", albums.views"),
    ("storage_used", ", files.bytes"),
    ("login_providers", ", login_providers.n"),
];

/// One row of each table: its part of the name, what is counted of it, and its name in [`COUNTERS`]. A table is walked once.
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

/// The statement that counts one tenant; it answers a row, unless the tenant is gone.
fn count(prefix: &TablePrefix, id: &TenantId, now: &Timestamp) -> Sql {
    let names = Names::of(prefix, id);
    let mut sql = Sql::of_nobody("UPDATE tenants SET stats = (SELECT json_object(");
    for (i, (counter, column)) in COUNTERS.into_iter().enumerate() {
        let separated = if i == 0 { sql } else { sql.sql(", ") };
        sql = separated.bind(counter).sql(column);
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
