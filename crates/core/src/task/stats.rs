//! Statistics (contract §5 and §8): counts a tenant's own tables, and keeps the result in the tenant's row.
//!
//! A run of the cron trigger first carries out what is past its time ([`ends::carry_out`]), each minute, and goes on only every ten minutes. Then the
//! first batch of [`Refresh`] chooses the tenants whose last turn is longest ago, and notes their turn in the same statement. So they
//! come last in the next run, whatever happens now: a site that cannot be counted (a table is missing or broken) does not come first for
//! ever. Only tenants that may have a site (`has_site`) are chosen. If one turns out to have none, it is not chosen again.
//!
//! The next batches count the tenants in slices, a statement for each. Tenants that may take long are counted one by one, so that requests
//! can come between them: those that had many rows last time, and those that were never counted. If a slice fails, its tenants are
//! counted one by one, too, so one broken site does not stop the others. The last batch looks up whether the sites that could not be
//! counted still exist. Neither `updated_at` nor the audit log changes.
//!
//! SQL makes the sums and the object of all sixteen counters. No number passes through a host, so none beyond 2^53 is rounded.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::mem;

use serde::Serialize;

use crate::config::Config;
use crate::machine::{Context, Effect, Failure, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results, Rows, Sql};
use crate::store::audit;
use crate::store::counters::COUNTERS;
use crate::store::site_databases::{self as databases, Place, dropped, has_site};
use crate::store::site_schema as schema;
use crate::store::sites::{is_moved, is_out_of_reach};
use crate::store::{ends, feed, idempotency, leases, moves, work};
use crate::task::moves::{Moved, Moves};
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
    /// Every tenant that has a site, whenever it was counted last.
    All,
    /// At most so many tenants: first those that never had a turn, then those whose last turn is longest ago. No tenant whose last turn is
    /// less than `TENANTS_STATS_MIN_AGE` seconds ago.
    Oldest(u32),
    /// Those of the cron trigger: what [`Self::Oldest`] is, every ten minutes. However often the trigger runs, it first carries out what is past its
    /// time: the ends of holds, and tenants' `suspend_at` and `delete_at`.
    Due(u32),
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The number of tenants that were counted.
    pub counted: u64,
    /// The number of tenants that were deleted meanwhile, or whose tables were dropped.
    pub gone: u64,
    /// The tenants that could not be counted, or whose site's database could not be moved or dropped. They keep their older statistics.
    pub failed: Vec<Failed>,
    /// The number of `failed` whose site's database could not be moved or dropped.
    #[serde(skip)]
    pub moves_failed: usize,
}

impl Report {
    /// Whether the run counted, or tried to. On Cloudflare's free plan it may then have made all queries that a call may make.
    #[must_use]
    pub fn has_counted(&self) -> bool {
        self.counted > 0 || self.failed.len() > self.moves_failed
    }

    /// Notes a site whose database could not be moved or dropped.
    fn not_moved(&mut self, id: &TenantId, reason: String) {
        self.moves_failed += 1;
        self.failed.push(Failed {
            tenant: id.to_string(),
            reason,
        });
    }
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
    /// The batch of the work that is not due each minute, which ends with the choice.
    due: Option<Batch>,
    stage: Stage,
    current: Vec<TenantId>,
    /// The tenants to count in slices.
    small: Vec<TenantId>,
    /// The tenants to count one by one: those that may take long (or were never counted, in a run that does not count all), and those of slices that failed.
    alone: Vec<TenantId>,
    /// The tenants whose site has a database of its own.
    apart: Vec<TenantId>,
    /// The tenants that could not be counted. Some of them may be gone.
    uncounted: Vec<Failed>,
    /// The counters of sites that have a database of their own, to be stored.
    counted: Vec<(TenantId, String)>,
    /// The databases of sites to drop, with the numbers of the work.
    condemned: Vec<(TenantId, i64)>,
    /// The site to move.
    moves: Option<Box<Moves>>,
    report: Report,
}

/// The meaning of the current batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It carries out what is past its time, and asks whether the rest is due.
    CarryingOut,
    /// It chooses tenants.
    Choosing,
    /// It counts the tenants of `current`.
    Counting,
    /// It counts the tenant of `current`, whose site has a database of its own.
    CountingApart,
    /// It stores `counted`, the tenants of `current`.
    Storing,
    /// It drops the last of `condemned`.
    Dropping,
    /// It takes the mark from the last of `condemned`.
    Dropped,
    /// It looks up which tenants of `uncounted` are gone.
    LookingUp,
    /// It moves a site.
    Moving,
}

impl Refresh {
    /// Begins. `now` becomes `last_job_at`. `slice` is the number of tenants that one batch counts; 0 means 1. A run takes one statement to
    /// choose, at most two for each chosen tenant, and one for each 500 tenants that could not be counted. [`Which::Oldest`] takes eight more for
    /// what has expired, and [`Which::Due`] one more. If each site has a database of its own, two more find the writes that were cut off and the site
    /// to move. Each of those writes takes two batches, and moves take up to 80 in a run.
    #[must_use]
    pub fn begin(config: &Config, now: &Timestamp, which: Which, slice: u32) -> Self {
        let prefix = config.site.table_prefix.clone();
        let which = match which {
            Which::Oldest(limit) => Which::Oldest(limit.min(MOST_CHOSEN)),
            Which::Due(limit) => Which::Due(limit.min(MOST_CHOSEN)),
            other => other,
        };
        let is_paced = matches!(which, Which::Due(_));
        let choice = choose(&prefix, now, &which, config.stats_min_age_s);
        let batch = match which {
            // The cron trigger also ends and deletes what is past its time.
            Which::Oldest(_) | Which::Due(_) => {
                let at = now.as_str();
                let entries = config.audit_days.map(|days| audit::sweep(now, days));
                let sweeps = [
                    idempotency::sweep(now),
                    work::sweep(at),
                    leases::give_back(at),
                ];
                let mut all = Vec::from(sweeps);
                all.extend(feed::prune(at));
                all.extend(entries);
                if !is_paced {
                    all.extend(of_databases(&prefix, now));
                }
                all.push(choice);
                Batch::of(all)
            }
            Which::One(_) | Which::All => Batch::one(choice),
        };
        let (stage, batch, due) = if is_paced {
            let first = [ends::carry_out(now, config.site.restore_days)];
            let first = Batch::of(first.into_iter().chain(of_databases(&prefix, now)));
            (Stage::CarryingOut, first, Some(batch))
        } else {
            (Stage::Choosing, batch, None)
        };
        Self {
            prefix,
            now: now.clone(),
            which,
            slice: usize::try_from(slice.max(1)).unwrap_or(usize::MAX),
            batch,
            due,
            stage,
            current: Vec::new(),
            small: Vec::new(),
            alone: Vec::new(),
            apart: Vec::new(),
            uncounted: Vec::new(),
            counted: Vec::new(),
            condemned: Vec::new(),
            moves: None,
            report: Report::default(),
        }
    }

    /// The number of tenants done, and the number chosen.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let uncounted = self.uncounted.len() + self.report.failed.len();
        let done = self.report.counted + self.report.gone + count(uncounted);
        let waiting = self.current.len()
            + self.counted.len()
            + self.alone.len()
            + self.small.len()
            + self.apart.len();
        (done, done + count(waiting))
    }

    /// Reads the chosen tenants. A tenant without a site has lost its turn in the same statement.
    fn take(&mut self, results: &mut Results) -> Result<(), ApiError> {
        let rows = results.last_rows()?;
        let is_one = matches!(self.which, Which::One(_));
        let is_all = matches!(self.which, Which::All);
        if is_one && rows.is_empty() {
            return Err(NO_TENANT);
        }
        for row in rows {
            let mut row = Columns::new(row);
            let id = row.text("id")?;
            let has_site = row.boolean("has_site")?;
            // A count of all is an operator's, for whom a batch more for each tenant that was never counted would take hours.
            let is_small = row
                .optional_integer("is_small")?
                .map_or(is_all, |small| small == 1);
            let place = Place::of(row.optional_integer("place")?);
            if !has_site && is_one {
                return Err(NO_SITE);
            }
            // One that cannot be counted now waits for its next turn.
            let waits_for = match place {
                Place::Moving => Some(is_moved()),
                Place::Database if !self.prefix.is_apart() => Some(is_out_of_reach()),
                Place::Database | Place::Registry => None,
            };
            let waits = waits_for.is_some();
            if let Some(reason) = waits_for.filter(|_| is_one) {
                return Err(reason);
            }
            if !has_site || waits {
                continue;
            }
            match TenantId::parse(&id) {
                Ok(id) if place == Place::Database => self.apart.push(id),
                Ok(id) if is_small => self.small.push(id),
                Ok(id) => self.alone.push(id),
                Err(reason) => self.report.failed.push(Failed { tenant: id, reason }),
            }
        }
        // A run of [`Which::Due`] has taken them before.
        if matches!(self.which, Which::Oldest(_)) {
            self.take_databases(results)?;
        }
        Ok(())
    }

    /// Reads the writes of sites' databases that were cut off, and the site to move.
    fn take_databases(&mut self, results: &mut Results) -> Result<(), ApiError> {
        if !self.prefix.is_apart() {
            return Ok(());
        }
        for row in results.last_rows()? {
            let (tenant, number) = databases::read_cut_off(row)?;
            match TenantId::parse(&tenant) {
                Ok(id) => self.condemned.push((id, number)),
                Err(reason) => self.report.failed.push(Failed { tenant, reason }),
            }
        }
        for row in results.last_rows()? {
            match Moves::begin(row, &self.prefix, &self.now) {
                Ok(moves) => self.moves = Some(moves),
                Err(error) => self.report.failed.push(Failed {
                    tenant: "a site to move".into(),
                    reason: TaskError::from(error).to_string(),
                }),
            }
        }
        Ok(())
    }

    /// Reads the counters of `current`, whose site has a database of its own.
    fn keep(&mut self, rows: Result<Vec<Rows>, Failure>) -> Result<(), ApiError> {
        let current = mem::take(&mut self.current);
        for id in current {
            match &rows {
                Ok(rows) => {
                    let mut row = Results::new(rows.clone(), 1)?.outcome()?;
                    self.counted.push((id, row.text("stats")?));
                }
                Err(failure) => self.uncounted.push(Failed {
                    tenant: id.to_string(),
                    reason: failure.reason.clone(),
                }),
            }
        }
        Ok(())
    }

    /// Goes on with the drop of the last of `condemned`. One that fails stays marked for a later run.
    fn drop_on(&mut self, rows: Result<Vec<Rows>, Failure>) {
        match rows {
            Ok(_) if self.stage == Stage::Dropping => self.stage = Stage::Dropped,
            result => {
                let condemned = self.condemned.pop();
                if let (Some((id, _)), Err(failure)) = (condemned, result) {
                    self.report.not_moved(&id, failure.reason);
                }
                self.stage = Stage::Dropping;
            }
        }
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
            Err(failure) if current.len() == 1 || self.stage == Stage::Storing => {
                self.uncounted.extend(current.iter().map(|id| Failed {
                    tenant: id.to_string(),
                    reason: failure.reason.clone(),
                }));
            }
            Err(_) => self.alone.extend(current),
        }
        Ok(())
    }

    /// Reads which of the tenants that could not be counted still have a site. The others are gone: the tenant, or its tables. If the
    /// database cannot tell, none is.
    fn sort_out(&mut self, rows: Result<Vec<Rows>, Failure>) -> Result<(), ApiError> {
        let looked_up = self.uncounted.len().min(LOOKED_UP);
        let mut looked_up: Vec<Failed> = self.uncounted.drain(..looked_up).collect();
        if let Ok(rows) = rows {
            let mut there = BTreeSet::new();
            for row in Results::new(rows, 1)?.rows()? {
                let mut row = Columns::new(row);
                let id = row.text("id")?;
                if row.boolean("has_site")? {
                    there.insert(id);
                }
            }
            let all = looked_up.len();
            looked_up.retain(|failed| there.contains(&failed.tenant));
            self.report.gone += u64::try_from(all - looked_up.len()).unwrap_or(u64::MAX);
        }
        self.report.failed.append(&mut looked_up);
        Ok(())
    }

    /// Counts small tenants first, so that a large one that kills the host costs no other its turn.
    fn next(mut self) -> Step<Self> {
        if let Some((id, number)) = self.condemned.last() {
            self.batch = if self.stage == Stage::Dropped {
                Batch::one(dropped(id, *number))
            } else {
                self.stage = Stage::Dropping;
                let names = TableNames::of(&self.prefix, id);
                databases::work(id, *number, schema::drop(&names).collect())
            };
            return Step::Run(self);
        }
        if !self.apart.is_empty() || !self.counted.is_empty() {
            return self.next_apart();
        }
        self.current = if self.small.is_empty() {
            self.alone.pop().into_iter().collect()
        } else {
            self.small
                .drain(..self.small.len().min(self.slice))
                .collect()
        };
        self.batch = if !self.current.is_empty() {
            self.stage = Stage::Counting;
            let counts = self.current.iter();
            Batch::of(counts.map(|id| count(&self.prefix, id, &self.now)))
        } else {
            return self.end();
        };
        Step::Run(self)
    }

    /// Counts sites that have a database each, one after the other, and stores the counters of a slice in one batch.
    fn next_apart(mut self) -> Step<Self> {
        let is_full = self.counted.len() >= self.slice;
        self.batch = if let Some(id) = self.apart.pop_if(|_| !is_full) {
            self.stage = Stage::CountingApart;
            let names = TableNames::of(&self.prefix, &id);
            let counters = counters(Sql::new("SELECT (SELECT "), &names).sql(") AS stats");
            let batch = databases::read(&id, counters);
            self.current = [id].into();
            batch
        } else {
            self.stage = Stage::Storing;
            let counted = mem::take(&mut self.counted);
            let now = &self.now;
            let batch = Batch::of(counted.iter().map(|(id, stats)| store(id, stats, now)));
            self.current = counted.into_iter().map(|(id, _)| id).collect();
            batch
        };
        Step::Run(self)
    }

    /// Looks up what could not be counted, moves sites, or ends.
    fn end(mut self) -> Step<Self> {
        if self.uncounted.is_empty() {
            if self.moves.is_none() {
                return Step::Done(Ok(self.report));
            }
            self.stage = Stage::Moving;
            return Step::Run(self);
        }
        self.stage = Stage::LookingUp;
        self.batch = Batch::one(look_up(&self.prefix, self.uncounted.iter().take(LOOKED_UP)));
        Step::Run(self)
    }
}

impl Machine for Refresh {
    /// The error is that no tenant could be chosen: the database failed, or the named tenant does not exist or is not installed.
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        match &self.moves {
            Some(moves) if self.stage == Stage::Moving => Effect::Batch(moves.batch()),
            _ => Effect::Batch(&self.batch),
        }
    }

    fn resume(mut self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let taken = match self.stage {
            Stage::CarryingOut => {
                let is_due = results(outcome, &self.batch).and_then(|mut results| {
                    self.take_databases(&mut results)?;
                    ends::is_due(&mut results)
                });
                return match (is_due, self.due.take()) {
                    (Ok(true), Some(batch)) => {
                        self.stage = Stage::Choosing;
                        self.batch = batch;
                        Step::Run(self)
                    }
                    (Ok(_), _) => self.next(),
                    (Err(error), _) => Step::Done(Err(error.into())),
                };
            }
            Stage::Choosing => {
                results(outcome, &self.batch).and_then(|mut results| self.take(&mut results))
            }
            Stage::Counting | Stage::Storing => self.note(rows(outcome)),
            Stage::CountingApart => self.keep(rows(outcome)),
            Stage::Dropping | Stage::Dropped => {
                self.drop_on(rows(outcome));
                Ok(())
            }
            Stage::LookingUp => self.sort_out(rows(outcome)),
            Stage::Moving => {
                match self.moves.take().map(|moves| moves.resume(rows(outcome))) {
                    Some(Moved::More(moves)) => self.moves = Some(moves),
                    Some(Moved::Failed(id, reason)) => self.report.not_moved(&id, reason),
                    Some(Moved::Enough) | None => {}
                }
                Ok(())
            }
        };
        match taken {
            Ok(()) => self.next(),
            Err(error) => Step::Done(Err(error.into())),
        }
    }
}

/// The statements that find the site to move and the writes of sites' databases that were cut off, if sites have databases.
fn of_databases(prefix: &TablePrefix, now: &Timestamp) -> impl Iterator<Item = Sql> {
    let found = prefix.is_apart();
    let found = found.then(|| [moves::take_up(now), databases::cut_off(now)]);
    found.into_iter().flatten()
}

const NO_TENANT: ApiError = ApiError::NotFound { what: "tenant" };

const NO_SITE: ApiError = ApiError::NotFound {
    what: "site: nothing is installed for this tenant",
};

/// The number of rows up to which a tenant shares a batch with others. Counting walks through each row: SQLite in memory took 0.7 ms for
/// 10,000 files, and 75 ms for a million. So a slice of eight such tenants takes a few milliseconds.
const SMALL_ROWS: i64 = 10_000;

/// The counters that add up to a site's rows. The tables that no counter covers are as small as these allow.
const ROWS: [&str; 8] = [
    "files",
    "albums",
    "users",
    "tags",
    "categories",
    "pages",
    "file_likes",
    "album_likes",
];

/// The most tenants that a run of the cron trigger chooses: D1 allows 1,000 queries in one call of a Worker on the paid plan, and 50 on the free one
/// (<https://developers.cloudflare.com/d1/platform/limits/>).
const MOST_CHOSEN: u32 = 490;

/// The number of uncounted tenants that one statement looks up. A run of the cron trigger chooses fewer, so it looks up once. The
/// command line may choose more, and its statements are limited in length.
const LOOKED_UP: usize = 500;

/// The lookup of a tenant's site. `?2` comes before the tenant's id in the name of its users' table, and `?3` after it ([`schema::around_key`]).
macro_rules! site {
    () => {
        has_site!("?2 || lower(tenants.id) || ?3", "tenants.id")
    };
}

/// Chooses tenants, notes their turn, and looks up whether each has a site.
fn choose(prefix: &TablePrefix, now: &Timestamp, which: &Which, min_age_s: u32) -> Sql {
    let [before, after] = schema::around_key(prefix);
    let sql = Sql::new(concat!(
        "UPDATE tenants SET stats_turn_at = ?1, has_site = ",
        site!(),
        " WHERE "
    ))
    .values([now.as_str().into(), before, after]);
    let mut sql = match which {
        Which::One(id) => sql.sql("id = ").bind(id.as_str()),
        Which::All => sql.sql(concat!("has_site = 1 OR ", site!())),
        // Two walks along the index, each with its own end: never counted (`NULL`), then counted long ago, the oldest first. The index
        // covers only tenants that may have a site.
        Which::Oldest(limit) | Which::Due(limit) => sql
            .sql(
                "id IN (SELECT id FROM (SELECT id FROM tenants WHERE has_site = 1 AND stats_turn_at IS NULL LIMIT ?4) \
                 UNION ALL SELECT id FROM (SELECT id FROM tenants WHERE has_site = 1 AND stats_turn_at <= datetime(?1, ?5) \
                 ORDER BY stats_turn_at LIMIT ?4) LIMIT ?4)",
            )
            .values([
                i64::from(*limit).into(),
                alloc::format!("-{min_age_s} seconds").into(),
            ]),
    };
    // The statistics of the tenant's last count. `NULL` if there are none, or if they cannot be read.
    sql = sql.sql(" RETURNING id, has_site, iif(json_valid(stats), ");
    for (i, counter) in ROWS.into_iter().enumerate() {
        let separated = if i == 0 { sql } else { sql.sql(" + ") };
        sql = separated.sql("(stats ->> ").bind(counter).sql(")");
    }
    sql.sql(" <= ").bind(SMALL_ROWS).sql(
        ", NULL) AS is_small, (SELECT state FROM site_databases WHERE tenant_id = tenants.id) AS place",
    )
}

/// Looks up tenants that could not be counted. A tenant without a site has no further turn.
fn look_up<'a>(prefix: &TablePrefix, tenants: impl Iterator<Item = &'a Failed>) -> Sql {
    let ids: Vec<&str> = tenants.map(|failed| failed.tenant.as_str()).collect();
    // Strings always encode.
    let ids = serde_json::to_string(&ids).unwrap_or_default();
    let [before, after] = schema::around_key(prefix);
    Sql::new(concat!(
        "UPDATE tenants SET has_site = ",
        site!(),
        " WHERE id IN (SELECT value FROM json_each(?1)) RETURNING id, has_site"
    ))
    .values([ids.into(), before, after])
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

/// Counts one tenant. The statement returns a row unless the tenant is gone.
fn count(prefix: &TablePrefix, id: &TenantId, now: &Timestamp) -> Sql {
    let sql = Sql::new("UPDATE tenants SET stats = (SELECT ");
    counters(sql, &TableNames::in_registry(prefix, id))
        .sql("), last_job_at = ")
        .bind(now.as_str())
        .sql(" WHERE id = ")
        .bind(id.as_str())
        .sql(" RETURNING id")
}

/// Stores the counters of a site that has a database of its own. The statement returns a row unless the tenant is gone. Newer counters stay.
fn store(id: &TenantId, stats: &str, now: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE tenants SET stats = iif(last_job_at > ?3, stats, ?2), last_job_at = max(coalesce(last_job_at, ?3), ?3) WHERE id = ?1 RETURNING id",
    )
    .values([id.as_str().into(), stats.into(), now.as_str().into()])
}

/// Adds the object of all counters and the rows that they come from. `json_object` gets 32 arguments, the most that D1 allows
/// (<https://developers.cloudflare.com/d1/platform/limits/>: "Maximum number of arguments per SQL function: 32").
fn counters(sql: Sql, names: &TableNames) -> Sql {
    let mut sql = sql.sql("json_object(");
    for (i, (counter, column)) in COUNTERS.into_iter().enumerate() {
        let separated = if i == 0 { sql } else { sql.sql(", ") };
        sql = separated.bind(counter).sql(", ").sql(column);
    }
    sql = sql.sql(") FROM ");
    for (table, select, name) in COUNTED {
        sql = sql.sql(select).name(&names.name(table)).sql(name);
    }
    sql
}
