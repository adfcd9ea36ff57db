//! Encrypting again: after a change of `CHEVERETO_ENCRYPTION_KEY`, values of an earlier key get the new one (contract §5).
//!
//! [`Reseal`] goes through every encrypted column ([`Table`]) in slices, in key order. It decrypts each value of another key, encrypts it for
//! the same place, and writes it back only if the row still holds the value that was read: an edit made meanwhile wins. A value that
//! cannot be decrypted is reported by its place and left as it is. Every slice stands by itself, so a run may be interrupted anywhere and
//! repeated. Nothing else of a row changes, not even `updated_at`.
//!
//! [`Survey`] counts and changes nothing.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::Config;
use crate::crypto::seal::{self, Place, Sealer};
use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results, Rows, Sql};
use crate::store::audit::{self, Action, Author, Entry};
use crate::store::idempotency;
use crate::store::sealed;
use crate::store::webhooks;
use crate::store::work;
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::random::Random;
use crate::value::run::Run;

/// The most rows that a slice has.
const SLICE_ROWS: i64 = 500;
/// The length of a row's statement without its texts, in bytes.
const ROW_BYTES: i64 = 256;

/// A table with an encrypted column. A test compares the list with the comments of `schema.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `tenants`
    Tenants,
    /// `tenants_plans`
    Plans,
    /// `idempotency`: remembered responses with a secret.
    Answers,
    /// `cell_work`: the inputs of jobs.
    Jobs,
    /// `deleted_tenants`
    Deleted,
    /// `webhook_secrets`: what signs messages.
    Webhooks,
}

impl Table {
    /// All tables, in the order of a run.
    pub const ALL: [Self; 6] = [
        Self::Tenants,
        Self::Plans,
        Self::Answers,
        Self::Jobs,
        Self::Deleted,
        Self::Webhooks,
    ];

    /// The tables after this one.
    pub(crate) fn further(self) -> &'static [Self] {
        let after = Self::ALL.iter().position(|table| *table == self);
        after.map_or(&[], |at| &Self::ALL[at + 1..])
    }

    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Plans => "tenants_plans",
            Self::Answers => "idempotency",
            Self::Jobs => "cell_work",
            Self::Deleted => "deleted_tenants",
            Self::Webhooks => "webhook_secrets",
        }
    }

    /// The encrypted column.
    #[must_use]
    pub fn column(self) -> &'static str {
        self.place("").column
    }

    /// The place of a row's encrypted column.
    pub(crate) fn place(self, id: &str) -> Place<'_> {
        match self {
            Self::Tenants | Self::Plans => sealed::env_place(self.name(), id),
            Self::Answers => idempotency::secret_place(id),
            Self::Jobs => work::input_place(id),
            Self::Deleted => sealed::env_place(Self::Tenants.name(), id),
            Self::Webhooks => webhooks::secret_place(id),
        }
    }

    /// The place of a row's encrypted column, the encrypted text in it, and what follows that text.
    pub(crate) fn placed<'a>(self, id: &'a str, column: &'a str) -> (Place<'a>, &'a str, &'a str) {
        match self {
            Self::Answers => sealed::placed(id, column),
            Self::Tenants | Self::Plans | Self::Jobs | Self::Deleted | Self::Webhooks => {
                (self.place(id), column, "")
            }
        }
    }
}

/// The number of rows of a table with an encrypted text, by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Under the current key.
    pub current: i64,
    /// Under the previous key.
    pub previous: i64,
    /// Under neither key, or not encrypted. These cannot be decrypted.
    pub other: i64,
}

impl Count {
    /// The rows that are not under the current key.
    #[must_use]
    pub fn to_do(self) -> i64 {
        self.previous + self.other
    }
}

/// A count for each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The tenants.
    pub tenants: Count,
    /// The plans.
    pub plans: Count,
    /// The remembered responses with a secret.
    pub answers: Count,
    /// The inputs of jobs.
    pub jobs: Count,
    /// The deleted tenants that can be brought back.
    pub deleted: Count,
    /// The secrets of webhooks.
    pub webhooks: Count,
}

impl Counts {
    /// The counts of a table.
    #[must_use]
    pub fn of(self, table: Table) -> Count {
        match table {
            Table::Tenants => self.tenants,
            Table::Plans => self.plans,
            Table::Answers => self.answers,
            Table::Jobs => self.jobs,
            Table::Deleted => self.deleted,
            Table::Webhooks => self.webhooks,
        }
    }

    /// The rows of all tables that are not under the current key.
    #[must_use]
    pub fn to_do(self) -> i64 {
        Table::ALL.map(|table| self.of(table).to_do()).iter().sum()
    }
}

/// A row with a text that cannot be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The table, the identifier in lower case, and the column: `tenants/acme/env`.
    pub place: String,
    /// The reason, as the rest of a sentence that begins with the place.
    pub reason: &'static str,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The counts at the beginning.
    pub before: Counts,
    /// The counts at the end.
    pub after: Counts,
    /// The number of rows that it encrypted again.
    pub resealed: u64,
    /// The number of rows that somebody edited or deleted meanwhile. The run left them alone.
    pub overtaken: u64,
    /// The rows that cannot be decrypted. The run left them alone.
    pub unreadable: Vec<Unreadable>,
}

/// Counts the encrypted values of each key, and changes nothing.
#[derive(Debug)]
pub struct Survey {
    batch: Batch,
}

impl Survey {
    /// Begins.
    ///
    /// # Errors
    /// If `CHEVERETO_ENCRYPTION_KEY` is not configured.
    pub fn begin(config: &Config) -> Result<Self, TaskError> {
        let batch = Batch::one(counts(sealer(config)?));
        Ok(Self { batch })
    }
}

impl Machine for Survey {
    type Output = Result<Counts, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let counts =
            results(outcome, &self.batch).and_then(|mut results| read_counts(&mut results));
        Step::Done(counts.map_err(TaskError::from))
    }
}

/// Encrypts values of another key again.
#[derive(Debug)]
pub struct Reseal {
    sealer: Sealer,
    run: Run,
    now: Timestamp,
    slice_bytes: i64,
    batch: Batch,
    /// The number of statements that write a row. They come first in the batch.
    writes: usize,
    /// Whether the audit entry follows them.
    has_entry: bool,
    /// Whether the run has written its audit entry.
    is_audited: bool,
    reads: Reads,
    report: Report,
}

/// The read at the end of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// The counts at the beginning.
    Before,
    /// The next slice of a table.
    Slice(Table),
    /// The counts at the end.
    After,
}

/// A row that was encrypted again.
struct Resealed {
    id: String,
    mark: String,
    env: String,
}

impl Reseal {
    /// Begins. The audit entry names the run. `slice_bytes` limits the statements of one batch with their
    /// values. A single longer row (up to 90 KB) gets a batch of its own.
    ///
    /// # Errors
    /// If `CHEVERETO_ENCRYPTION_KEY` is not configured.
    pub fn begin(
        config: &Config,
        run: &Run,
        now: &Timestamp,
        slice_bytes: u32,
    ) -> Result<Self, TaskError> {
        let sealer = sealer(config)?.clone();
        Ok(Self {
            batch: Batch::one(counts(&sealer)),
            sealer,
            run: run.clone(),
            now: now.clone(),
            slice_bytes: slice_bytes.into(),
            writes: 0,
            has_entry: false,
            is_audited: false,
            reads: Reads::Before,
            report: Report::default(),
        })
    }

    /// The number of rows done, and the number of rows to do at the beginning.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let done = self.report.resealed
            + self.report.overtaken
            + u64::try_from(self.report.unreadable.len()).unwrap_or(u64::MAX);
        (done, self.report.before.to_do().try_into().unwrap_or(0))
    }

    /// Reads which rows were written.
    fn read_writes(&mut self, results: &mut Results) -> Result<(), ApiError> {
        for _ in 0..self.writes {
            match results.row()? {
                Some(_) => {
                    self.report.resealed += 1;
                    self.is_audited |= self.has_entry;
                }
                None => self.report.overtaken += 1,
            }
        }
        if self.has_entry {
            results.skip()?;
        }
        Ok(())
    }

    /// Decrypts a slice's rows and encrypts them again. Returns the rows to update and the last id processed. Until the run has its audit
    /// entry, stops after the first re-encrypted row, so that entry and update share a batch.
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
            let text = row.text("env")?;
            upto.clone_from(&id);
            let (place, sealed, rest) = table.placed(&id, &text);
            match self.sealer.open(place, sealed) {
                Ok(plain) => {
                    resealed.push(Resealed {
                        env: sealed::seal_text(place, &plain, &self.sealer, random)? + rest,
                        // Every value that decrypts has a mark.
                        mark: seal::mark(&text).unwrap_or_default().into(),
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

    /// The next batch: the writes, and the read after them.
    fn next(mut self, table: Table, resealed: Vec<Resealed>, reads: Sql, what: Reads) -> Self {
        self.writes = resealed.len();
        self.has_entry = !self.is_audited && self.writes > 0;
        let mut statements: Vec<Sql> = resealed.into_iter().map(|row| write(table, row)).collect();
        if self.has_entry {
            statements.push(self.entry());
        }
        statements.push(reads);
        self.batch = Batch::of(statements);
        self.reads = what;
        self
    }

    /// Counts once more, and ends.
    fn recount(mut self) -> Self {
        self.writes = 0;
        self.has_entry = false;
        self.batch = Batch::one(counts(&self.sealer));
        self.reads = Reads::After;
        self
    }

    /// The first slice of the first given table that has rows to do.
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

    /// Reads rows of a table that are under another key: at least one, and no more than fit into a batch.
    fn slice(&self, table: Table, after: &str) -> Sql {
        let text = match table {
            Table::Tenants => slice_of!("tenants", "id", "env"),
            Table::Plans => slice_of!("tenants_plans", "id", "env"),
            Table::Answers => slice_of!("idempotency", "fingerprint", "secret"),
            Table::Jobs => slice_of!("cell_work", "id", "input"),
            Table::Deleted => slice_of!("deleted_tenants", "id", "env"),
            Table::Webhooks => slice_of!("webhook_secrets", "id", "secret"),
        };
        Sql::new(text).values([
            after.into(),
            self.sealer.current_prefix().into(),
            SLICE_ROWS.into(),
            ROW_BYTES.into(),
            self.slice_bytes.into(),
        ])
    }

    /// The run's audit entry, which is written if the statement before it changed a row. The subject is the fingerprint of the current
    /// key.
    fn entry(&self) -> Sql {
        audit::after_change(Entry {
            author: Author::Run(&self.run),
            action: Action::EnvReseal,
            subject: self.sealer.current_fingerprint(),
            now: &self.now,
        })
    }

    fn go_on(mut self, outcome: Outcome, random: &mut dyn Random) -> Result<Step<Self>, TaskError> {
        let mut results = results(outcome, &self.batch)?;
        self.read_writes(&mut results)?;
        Ok(match self.reads {
            Reads::Before => {
                self.report.before = read_counts(&mut results)?;
                Step::Run(self.first_slice(&Table::ALL))
            }
            Reads::Slice(table) => {
                let rows = results.rows()?;
                if rows.is_empty() {
                    return Ok(Step::Run(self.first_slice(table.further())));
                }
                let (resealed, upto) = self.seal_slice(table, rows, random)?;
                let slice = self.slice(table, &upto);
                Step::Run(self.next(table, resealed, slice, Reads::Slice(table)))
            }
            Reads::After => {
                self.report.after = read_counts(&mut results)?;
                Step::Done(Ok(self.report))
            }
        })
    }
}

impl Machine for Reseal {
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self> {
        self.go_on(outcome, context.random)
            .unwrap_or_else(|error| Step::Done(Err(error)))
    }
}

fn sealer(config: &Config) -> Result<&Sealer, ApiError> {
    config.sealer.as_deref().ok_or(sealed::NO_ENCRYPTION_KEY)
}

/// A slice's rows. `?1` is the identifier before them, `?2` the start of every text under the current key, `?3` the most rows, `?4` a
/// row's length without its text, and `?5` the length of all rows together, which the first one may exceed.
macro_rules! slice_of {
    ($table:literal, $id:literal, $column:literal) => {
        concat!(
            "SELECT id, env FROM (SELECT id, env, sum(length(env) + ?4) OVER (ORDER BY id) AS bytes FROM (SELECT ",
            $id,
            " AS id, ",
            $column,
            " AS env FROM ",
            $table,
            " WHERE ",
            $id,
            " > ?1 AND ",
            $column,
            " IS NOT NULL AND substr(",
            $column,
            ", 1, 11) <> ?2 ORDER BY ",
            $id,
            " LIMIT ?3)) WHERE bytes <= ?5 OR bytes = length(env) + ?4 ORDER BY id"
        )
    };
}
use slice_of;

/// Writes a row's new `env` if the row still holds the text that was read. The text's mark stands for all of it, because it holds the
/// nonce of 24 random bytes. So the old text need not be sent back; both texts together could exceed a statement's limit.
fn write(table: Table, row: Resealed) -> Sql {
    macro_rules! update {
        ($table:literal, $id:literal, $column:literal) => {
            concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = ?1 WHERE ",
                $id,
                " = ?2 AND substr(",
                $column,
                ", 1, 43) = ?3 RETURNING ",
                $id
            )
        };
    }
    let text = match table {
        Table::Tenants => update!("tenants", "id", "env"),
        Table::Plans => update!("tenants_plans", "id", "env"),
        Table::Answers => update!("idempotency", "fingerprint", "secret"),
        Table::Jobs => update!("cell_work", "id", "input"),
        Table::Deleted => update!("deleted_tenants", "id", "env"),
        Table::Webhooks => update!("webhook_secrets", "id", "secret"),
    };
    Sql::new(text).values([row.env.into(), row.id.into(), row.mark.into()])
}

/// Counts the texts under each key, a row for each table. It returns no part of a text, which might be in clear.
fn counts(sealer: &Sealer) -> Sql {
    macro_rules! count {
        ($table:literal, $column:literal) => {
            concat!(
                "SELECT count(*) AS sealed, coalesce(sum(substr(",
                $column,
                ", 1, 11) = ?1), 0) AS current, coalesce(sum(substr(",
                $column,
                ", 1, 11) = ?2), 0) AS previous FROM ",
                $table,
                " WHERE ",
                $column,
                " IS NOT NULL"
            )
        };
    }
    // D1 takes no more than five terms in one compound SELECT.
    let text = concat!(
        "SELECT * FROM (",
        count!("tenants", "env"),
        " UNION ALL ",
        count!("tenants_plans", "env"),
        " UNION ALL ",
        count!("idempotency", "secret"),
        ") UNION ALL SELECT * FROM (",
        count!("cell_work", "input"),
        " UNION ALL ",
        count!("deleted_tenants", "env"),
        " UNION ALL ",
        count!("webhook_secrets", "secret"),
        ")"
    );
    Sql::new(text).values([
        sealer.current_prefix().into(),
        sealer.previous_prefix().into(),
    ])
}

fn read_counts(results: &mut Results) -> Result<Counts, ApiError> {
    let mut rows = results.rows()?.into_iter();
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
        answers: count()?,
        jobs: count()?,
        deleted: count()?,
        webhooks: count()?,
    })
}
