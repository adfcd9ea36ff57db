//! Sealing again: after a new `CHEVERETO_ENCRYPTION_KEY`, what an earlier one sealed is sealed under it (contract §5).
//!
//! [`Reseal`] goes through `tenants` and `tenants_plans` in slices, in key order. It opens each `env` that another key sealed,
//! seals it for the same place, and writes it back only where the sealing that was read still stands: an edit made meanwhile
//! wins. What does not open is reported by its place and left as it is. Every slice stands by itself, so that a run may be
//! interrupted anywhere, and run again. Nothing else of a row changes, `updated_at` neither.
//!
//! [`Survey`] counts, and changes nothing.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::http::Random;
use crate::job::{Job, JobError, JobStep};
use crate::problem::ApiError;
use crate::seal::{self, Sealer};
use crate::sql::{Answers, Batch, Columns, Rows, Sql};
use crate::stored;

/// What a run leaves in the audit log, once, with the first row that it changes. The subject is the fingerprint of the key that
/// it seals under. Not a revision of what Traefik reads.
pub(crate) const ACTION: &str = "env.reseal";

/// How many rows a slice has at most.
const SLICE_ROWS: i64 = 500;
/// What a row's statement takes besides its texts, in bytes.
const ROW_BYTES: i64 = 256;

/// A table with a sealed column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `tenants`
    Tenants,
    /// `tenants_plans`
    Plans,
}

impl Table {
    /// All of them, in the order they are gone through.
    pub const ALL: [Self; 2] = [Self::Tenants, Self::Plans];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Plans => "tenants_plans",
        }
    }
}

/// How many rows of a table have a sealed `env`, and under which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Under the current key.
    pub current: i64,
    /// Under the previous key.
    pub previous: i64,
    /// Under neither, or not sealed at all: these do not open.
    pub other: i64,
}

impl Count {
    /// Those that are not under the current key.
    #[must_use]
    pub fn to_do(self) -> i64 {
        self.previous + self.other
    }
}

/// A count for each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Of the tenants.
    pub tenants: Count,
    /// Of the plans.
    pub plans: Count,
}

impl Counts {
    /// Those of a table.
    #[must_use]
    pub fn of(self, table: Table) -> Count {
        match table {
            Table::Tenants => self.tenants,
            Table::Plans => self.plans,
        }
    }

    /// Those that are not under the current key, in both tables.
    #[must_use]
    pub fn to_do(self) -> i64 {
        self.tenants.to_do() + self.plans.to_do()
    }
}

/// A row whose `env` does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Table, identifier in lower case, column: `tenants/acme/env`.
    pub place: String,
    /// Why, as the rest of a sentence that begins with the place.
    pub reason: &'static str,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What there was when it began.
    pub before: Counts,
    /// What there was when it ended.
    pub after: Counts,
    /// How many rows it sealed again.
    pub resealed: u64,
    /// How many rows somebody edited, or deleted, while it was about to write them. They were left as they are.
    pub overtaken: u64,
    /// The rows that do not open. They were left as they are.
    pub unreadable: Vec<Unreadable>,
}

/// Counts what is sealed under which key, and changes nothing.
#[derive(Debug)]
pub struct Survey {
    batch: Batch,
}

impl Survey {
    /// Begins.
    ///
    /// # Errors
    /// Where `CHEVERETO_ENCRYPTION_KEY` is not configured.
    pub fn begin(config: &Config) -> Result<Self, JobError> {
        let batch = Batch::of_job(counts(sealer(config)?));
        Ok(Self { batch })
    }
}

impl Job for Survey {
    type Report = Counts;

    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn resume(
        self,
        rows: Result<Vec<Rows>, String>,
        _: &mut dyn Random,
    ) -> Result<JobStep<Self, Counts>, JobError> {
        let mut answers = Answers::of_job(rows, &self.batch)?;
        Ok(JobStep::Done(read_counts(&mut answers)?))
    }
}

/// Seals again what another key sealed.
#[derive(Debug)]
pub struct Reseal {
    sealer: Sealer,
    run_id: String,
    now: Timestamp,
    slice_bytes: i64,
    batch: Batch,
    /// How many of the batch's first statements write a row.
    writes: usize,
    /// Whether the batch has the audit entry, as the statement after those.
    has_entry: bool,
    /// Whether the run has its audit entry.
    is_audited: bool,
    reads: Reads,
    report: Report,
}

/// What the end of the batch reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// What there is to do.
    Before,
    /// The next slice of a table.
    Slice(Table),
    /// What is left.
    After,
}

/// A row, sealed again.
struct Resealed {
    id: String,
    mark: String,
    env: String,
}

impl Reseal {
    /// Begins. `run_id` stands in the place of a request's id in the audit log. `slice_bytes` is how long the statements of one
    /// batch may become, their values included: a single row that is longer (up to 90 KB) goes by itself.
    ///
    /// # Errors
    /// Where `CHEVERETO_ENCRYPTION_KEY` is not configured.
    pub fn begin(
        config: &Config,
        run_id: &str,
        now: &Timestamp,
        slice_bytes: u32,
    ) -> Result<Self, JobError> {
        let sealer = sealer(config)?.clone();
        Ok(Self {
            batch: Batch::of_job(counts(&sealer)),
            sealer,
            run_id: run_id.into(),
            now: now.clone(),
            slice_bytes: slice_bytes.into(),
            writes: 0,
            has_entry: false,
            is_audited: false,
            reads: Reads::Before,
            report: Report::default(),
        })
    }

    /// How many rows were dealt with, and how many there were to deal with when it began.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let done = self.report.resealed
            + self.report.overtaken
            + u64::try_from(self.report.unreadable.len()).unwrap_or(u64::MAX);
        (done, self.report.before.to_do().try_into().unwrap_or(0))
    }

    /// Reads which of the writes were made.
    fn read_writes(&mut self, answers: &mut Answers) -> Result<(), ApiError> {
        for _ in 0..self.writes {
            match answers.row()? {
                Some(_) => {
                    self.report.resealed += 1;
                    self.is_audited |= self.has_entry;
                }
                None => self.report.overtaken += 1,
            }
        }
        if self.has_entry {
            answers.skip()?;
        }
        Ok(())
    }

    /// Opens and seals a slice's rows. Answers what to write, and up to which identifier that goes: as long as there is no audit
    /// entry, up to the first row that can be written, so that the entry can be made only if that one is.
    fn seal_slice(
        &mut self,
        table: Table,
        rows: Rows,
        random: &mut dyn Random,
    ) -> Result<(Vec<Resealed>, String), ApiError> {
        let mut resealed = Vec::new();
        let mut upto = String::new();
        for row in rows {
            let mut row = Columns::new(row);
            let id = row.text("id")?;
            let sealed = row.text("env")?;
            upto.clone_from(&id);
            let place = stored::env_place(table.name(), &id);
            match self.sealer.open(place, &sealed) {
                Ok(plain) => {
                    resealed.push(Resealed {
                        env: stored::seal_text(place, &plain, &self.sealer, random)?,
                        // What opened has one.
                        mark: seal::mark(&sealed).unwrap_or_default().into(),
                        id,
                    });
                    if !self.is_audited {
                        break;
                    }
                }
                Err(error) => self.report.unreadable.push(Unreadable {
                    place: format!("{place}"),
                    reason: error.reason(),
                }),
            }
        }
        Ok((resealed, upto))
    }

    /// The next batch: what is to be written, and what comes after it.
    fn next(mut self, table: Table, resealed: Vec<Resealed>, reads: Sql, what: Reads) -> Self {
        self.writes = resealed.len();
        self.has_entry = !self.is_audited && self.writes > 0;
        let mut statements: Vec<Sql> = resealed.into_iter().map(|row| write(table, row)).collect();
        if self.has_entry {
            statements.push(self.entry());
        }
        statements.push(reads);
        self.batch = Batch::of_job(statements);
        self.reads = what;
        self
    }

    /// Ends: what is left is counted.
    fn recount(mut self) -> Self {
        self.writes = 0;
        self.has_entry = false;
        self.batch = Batch::of_job(counts(&self.sealer));
        self.reads = Reads::After;
        self
    }

    /// The first slice of the first table, of those given, that has something to do.
    fn first_slice(self, tables: &[Table]) -> Self {
        let before = self.report.before;
        match tables.iter().find(|table| before.of(**table).to_do() > 0) {
            Some(&table) => {
                let slice = self.slice(table, "");
                self.next(table, Vec::new(), slice, Reads::Slice(table))
            }
            None => self.recount(),
        }
    }

    /// Rows of a table that another key sealed: at least one, if there is one, and no more than fit a batch.
    fn slice(&self, table: Table, after: &str) -> Sql {
        let text = match table {
            Table::Tenants => slice_of!("tenants"),
            Table::Plans => slice_of!("tenants_plans"),
        };
        Sql::of_nobody(text).values([
            after.into(),
            self.sealer.current_prefix().into(),
            SLICE_ROWS.into(),
            ROW_BYTES.into(),
            self.slice_bytes.into(),
        ])
    }

    /// The run's audit entry, if the statement before it changed something.
    fn entry(&self) -> Sql {
        Sql::of_nobody(
            "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) \
             SELECT NULL, ?1, ?2, ?3, ?4 WHERE changes() > 0",
        )
        .values([
            ACTION.into(),
            self.sealer.current_fingerprint().into(),
            self.run_id.as_str().into(),
            self.now.as_str().into(),
        ])
    }
}

impl Job for Reseal {
    type Report = Report;

    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn resume(
        mut self,
        rows: Result<Vec<Rows>, String>,
        random: &mut dyn Random,
    ) -> Result<JobStep<Self, Report>, JobError> {
        let mut answers = Answers::of_job(rows, &self.batch)?;
        self.read_writes(&mut answers)?;
        match self.reads {
            Reads::Before => {
                self.report.before = read_counts(&mut answers)?;
                Ok(JobStep::Run(self.first_slice(&Table::ALL)))
            }
            Reads::Slice(table) => {
                let rows = answers.rows()?;
                if rows.is_empty() {
                    let further = match table {
                        Table::Tenants => &Table::ALL[1..],
                        Table::Plans => &[],
                    };
                    return Ok(JobStep::Run(self.first_slice(further)));
                }
                let (resealed, upto) = self.seal_slice(table, rows, random)?;
                let slice = self.slice(table, &upto);
                Ok(JobStep::Run(self.next(
                    table,
                    resealed,
                    slice,
                    Reads::Slice(table),
                )))
            }
            Reads::After => {
                self.report.after = read_counts(&mut answers)?;
                Ok(JobStep::Done(self.report))
            }
        }
    }
}

fn sealer(config: &Config) -> Result<&Sealer, ApiError> {
    config.sealer.as_ref().ok_or(stored::NO_ENCRYPTION_KEY)
}

/// A slice's rows: `?1` the identifier before them, `?2` how a text sealed under the current key begins, `?3` how many at most,
/// `?4` and `?5` what a row takes besides its text and what all of them may take together. The first may take more.
macro_rules! slice_of {
    ($table:literal) => {
        concat!(
            "SELECT id, env FROM (SELECT id, env, sum(length(env) + ?4) OVER (ORDER BY id) AS bytes FROM (SELECT id, env FROM ",
            $table,
            " WHERE id > ?1 AND env IS NOT NULL AND substr(env, 1, 11) <> ?2 ORDER BY id LIMIT ?3)) \
             WHERE bytes <= ?5 OR bytes = length(env) + ?4 ORDER BY id"
        )
    };
}
use slice_of;

/// Writes a row's new `env` where the sealing that was read still stands. That sealing's mark holds its nonce, 24 random bytes,
/// and so stands for all of it: the old text need not be sent back, which together with the new one could be more than a
/// statement may hold.
fn write(table: Table, row: Resealed) -> Sql {
    macro_rules! update {
        ($table:literal) => {
            concat!(
                "UPDATE ",
                $table,
                " SET env = ?1 WHERE id = ?2 AND substr(env, 1, 43) = ?3 RETURNING id"
            )
        };
    }
    let text = match table {
        Table::Tenants => update!("tenants"),
        Table::Plans => update!("tenants_plans"),
    };
    Sql::of_nobody(text).values([row.env.into(), row.id.into(), row.mark.into()])
}

/// How many texts are sealed under which key, a row for each table. No part of a text is read: it may be one in clear.
fn counts(sealer: &Sealer) -> [Sql; 1] {
    macro_rules! count {
        ($table:literal) => {
            concat!(
                "SELECT count(*) AS sealed, coalesce(sum(substr(env, 1, 11) = ?1), 0) AS current, \
                 coalesce(sum(substr(env, 1, 11) = ?2), 0) AS previous FROM ",
                $table,
                " WHERE env IS NOT NULL"
            )
        };
    }
    let text = concat!(count!("tenants"), " UNION ALL ", count!("tenants_plans"));
    [Sql::of_nobody(text).values([
        sealer.current_prefix().into(),
        sealer.previous_prefix().into(),
    ])]
}

fn read_counts(answers: &mut Answers) -> Result<Counts, ApiError> {
    let mut rows = answers.rows()?.into_iter();
    let mut count = || -> Result<Count, ApiError> {
        let mut row = Columns::new(rows.next().unwrap_or_default());
        let sealed = row.integer("sealed")?;
        let current = row.integer("current")?;
        let previous = row.integer("previous")?;
        Ok(Count {
            current,
            previous,
            other: sealed - current - previous,
        })
    };
    Ok(Counts {
        tenants: count()?,
        plans: count()?,
    })
}
