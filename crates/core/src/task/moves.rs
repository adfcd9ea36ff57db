//! Moves sites from tables in the registry to databases of their own, and back (contract §19, `store/moves.rs`).
//!
//! [`SiteMove`] marks a site. The cron trigger moves the sites that are marked, some steps in each run, since it alone reaches a site's database on every
//! host ([`stats::Refresh`](crate::task::stats::Refresh)).

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::config::Config;
use crate::machine::{Context, Effect, Failure, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results, Rows, Value};
use crate::store::audit::{self, Action, Author, Entry};
use crate::store::moves::{self, Move};
use crate::store::site_databases;
use crate::store::site_schema::TABLES;
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::value::run::Run;
use crate::value::table_name::TablePrefix;

/// The place of a tenant's site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Tables in the registry.
    Tables,
    /// A database of its own.
    Database,
    /// It is being moved into a database of its own. The tables are in force.
    ToDatabase,
    /// It is being moved into tables in the registry. The database is in force.
    ToTables,
}

/// The report of [`SiteMove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// The place of the site now.
    pub place: Place,
    /// Whether the order ended a move the other way, so that the site stays where it was.
    pub gave_up: bool,
}

/// Marks an installed site to be moved, or only looks where it is.
#[derive(Debug)]
pub struct SiteMove {
    batch: Batch,
    stage: Order,
}

/// The meaning of the batch.
#[derive(Debug)]
enum Order {
    /// It looks.
    Look,
    /// It marks the site. If that is being moved into tables although a database was asked for, the next batch gives the move up.
    Mark(Option<Batch>),
    /// It gives the move into tables up.
    GiveUp,
}

impl SiteMove {
    /// Looks where a tenant's site is.
    #[must_use]
    pub fn look(config: &Config, id: &TenantId) -> Self {
        Self {
            batch: Batch::one(moves::place(id, &config.site.table_prefix)),
            stage: Order::Look,
        }
    }

    /// Marks a tenant's site to be moved into a database of its own, or into tables. If it is there already, or is being moved there, nothing
    /// changes. If it is being moved the other way, that move is given up: the place that is in force stays, and the copy is dropped.
    #[must_use]
    pub fn begin(
        config: &Config,
        id: &TenantId,
        to_database: bool,
        run: &Run,
        now: &Timestamp,
    ) -> Self {
        let prefix = &config.site.table_prefix;
        let (mark, give_up) = if to_database {
            let give_up = moves::give_up_tables(id, prefix, run, now);
            (moves::to_database(id, prefix, now), Some(give_up))
        } else {
            (moves::to_tables(id, now), None)
        };
        let entry = audit::after_change(Entry {
            author: Author::Run(run),
            action: Action::TenantSiteMove,
            subject: id.as_str(),
            now,
        });
        Self {
            batch: Batch::of([mark, entry, moves::place(id, prefix)]),
            stage: Order::Mark(give_up),
        }
    }

    /// Reads where the site is, and whether a move was given up.
    fn read(&self, results: &mut Results) -> Result<Ordered, ApiError> {
        let row = results.last()?;
        let mut row = row.ok_or(ApiError::NotFound { what: "tenant" })?;
        let is_there = row.boolean("is_there")?;
        let has_cell = row.boolean("has_cell")?;
        let has_tables = row.boolean("has_tables")?;
        let state = row.optional_integer("state")?;
        let place = match state {
            _ if !is_there => return Err(ApiError::NotFound { what: "tenant" }),
            _ if has_cell => {
                return Err(ApiError::NotFound {
                    what: "site: this tenant's is on a cell",
                });
            }
            Some(site_databases::TO_DATABASE) => Place::ToDatabase,
            Some(site_databases::TO_TABLES) => Place::ToTables,
            Some(site_databases::INSTALLED) => Place::Database,
            _ if has_tables => Place::Tables,
            _ => {
                return Err(ApiError::NotFound {
                    what: "site: nothing is installed for this tenant",
                });
            }
        };
        let gave_up = match self.stage {
            Order::Look => false,
            Order::Mark(_) => moves::gave_up(results.row()?)?,
            Order::GiveUp => true,
        };
        Ok(Ordered { place, gave_up })
    }
}

impl Machine for SiteMove {
    /// The error is that there is no such tenant, or no site in a place that this service knows.
    type Output = Result<Ordered, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let found = results(outcome, &self.batch).and_then(|mut results| self.read(&mut results));
        match (found, self.stage) {
            (Ok(found), Order::Mark(Some(batch))) if found.place == Place::ToTables => {
                Step::Run(Self {
                    batch,
                    stage: Order::GiveUp,
                })
            }
            (found, _) => Step::Done(found.map_err(TaskError::from)),
        }
    }
}

/// The most batches of moves in one run of the cron trigger. A site without rows takes some twenty of them.
const BATCHES: u32 = 80;

/// The part of a run of the cron trigger that moves sites.
#[derive(Debug)]
pub(crate) struct Moves {
    prefix: TablePrefix,
    now: Timestamp,
    /// The batches that the run has left.
    left: u32,
    current: Move,
    /// The number of rows that each table has at the new place.
    done: Vec<i64>,
    /// The table that is copied.
    table: usize,
    stage: Stage,
    batch: Batch,
}

/// The meaning of the current batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    TakingUp,
    Closing,
    Looking,
    Emptying,
    Preparing,
    Reading,
    /// It writes so many rows.
    Writing(i64),
    Finishing,
    Dropping,
    Dropped,
}

/// The end of a step of [`Moves`].
pub(crate) enum Moved {
    /// There is another batch to run.
    More(Box<Moves>),
    /// The run has done its share.
    Enough,
    /// A site could not be moved further. The next run tries again.
    Failed(TenantId, String),
}

impl Moves {
    /// Goes on with the move that a run's first batch has taken up ([`moves::take_up`]).
    pub(crate) fn begin(
        row: Vec<Value>,
        prefix: &TablePrefix,
        now: &Timestamp,
    ) -> Result<Box<Self>, ApiError> {
        Self::of(row, prefix, now, BATCHES)
    }

    fn of(
        row: Vec<Value>,
        prefix: &TablePrefix,
        now: &Timestamp,
        left: u32,
    ) -> Result<Box<Self>, ApiError> {
        let current = Move::decode(Columns::new(row), prefix)?;
        let (stage, batch) = if current.to_database {
            (Stage::Looking, current.look())
        } else {
            (Stage::Closing, current.close())
        };
        Ok(Box::new(Self {
            prefix: prefix.clone(),
            now: now.clone(),
            left,
            current,
            done: Vec::new(),
            table: 0,
            stage,
            batch,
        }))
    }

    /// The batch to run.
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Goes on with the batch's rows.
    pub(crate) fn resume(self: Box<Self>, rows: Result<Vec<Rows>, Failure>) -> Moved {
        let tenant = self.current.id.clone();
        let failed = |reason| Moved::Failed(tenant, reason);
        match rows {
            Ok(rows) => match self.next(rows) {
                Ok(moved) => moved,
                Err(error) => failed(TaskError::from(error).to_string()),
            },
            Err(failure) => failed(failure.reason),
        }
    }

    fn next(mut self: Box<Self>, rows: Vec<Rows>) -> Result<Moved, ApiError> {
        let mut results = Results::new(rows, self.batch.statements().len())?;
        self.left -= 1;
        if self.left == 0 {
            return Ok(Moved::Enough);
        }
        (self.stage, self.batch) = match self.stage {
            Stage::TakingUp => {
                let row = results.rows()?.into_iter().next();
                return match row {
                    Some(row) => Self::of(row, &self.prefix, &self.now, self.left).map(Moved::More),
                    None => Ok(Moved::Enough),
                };
            }
            Stage::Closing => self.prepare(self.current.may_be_before()),
            Stage::Looking => {
                let row = results.last()?;
                let mut row = row.ok_or(ApiError::NotFound { what: "site" })?;
                self.prepare(self.current.is_before(&mut row)?)
            }
            Stage::Emptying => self.prepare(false),
            Stage::Preparing => {
                if self.current.to_database {
                    // The last statement of work in a site's database returns nothing.
                    results.last_rows()?;
                }
                let counts = results.last()?;
                let mut counts = counts.ok_or(ApiError::NotFound { what: "site" })?;
                for _ in TABLES {
                    self.done.push(counts.integer("count")?);
                }
                self.read()
            }
            Stage::Reading => {
                let mut row = results.outcome()?;
                let part = row.text("part")?;
                let n = row.integer("n")?;
                let total = row.optional_integer("total")?;
                match total {
                    None => (
                        Stage::Writing(n),
                        self.current.write(&TABLES[self.table], part),
                    ),
                    Some(total) if total == self.done[self.table] => {
                        self.table += 1;
                        self.read()
                    }
                    Some(_) => {
                        return Err(ApiError::Unavailable(
                            "the new place has rows that the old one lacks".into(),
                        ));
                    }
                }
            }
            Stage::Writing(n) => {
                self.done[self.table] += n;
                self.read()
            }
            Stage::Finishing if self.current.to_database => self.take_up(),
            Stage::Finishing => (Stage::Dropping, self.current.drop()),
            Stage::Dropping => (Stage::Dropped, self.current.dropped()),
            Stage::Dropped => self.take_up(),
        };
        Ok(Moved::More(self))
    }

    /// Makes the tables of the new place, or first drops what it has from before the order.
    fn prepare(&self, is_before: bool) -> (Stage, Batch) {
        if is_before {
            (Stage::Emptying, self.current.empty())
        } else {
            (Stage::Preparing, self.current.prepare())
        }
    }

    /// The next read, or the end of the move.
    fn read(&self) -> (Stage, Batch) {
        match TABLES.get(self.table) {
            Some(table) => (
                Stage::Reading,
                self.current.read(table, self.done[self.table]),
            ),
            None => (Stage::Finishing, self.current.finish()),
        }
    }

    fn take_up(&self) -> (Stage, Batch) {
        (Stage::TakingUp, Batch::one(moves::take_up(&self.now)))
    }
}
