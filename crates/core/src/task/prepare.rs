//! Prepares a database: applies the migrations that it lacks.
//!
//! Each migration is one batch, together with its entry in the record, so it is applied whole or not at all. Two processes may prepare one
//! database at the same time: the entry's name is unique, so the batch of the slower one fails. It reads the record again and goes on.

use alloc::vec::Vec;
use core::mem;

use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::Batch;
pub use crate::store::migrations::{MIGRATIONS, Migration};
use crate::store::migrations::{Schema, apply, has, record, recorded};
use crate::task::{TaskError, results};
use crate::value::fault::{ApiError, Internal};

/// Prepares a database. A new database gets all tables; an older one gets what it lacks.
#[derive(Debug)]
pub struct Preparation {
    batch: Batch,
    /// The migration that the batch applies, if it does not only read the record.
    applies: Option<&'static Migration>,
    /// The migration that could not be applied, and why. It is an error if the record does not have it.
    refused: Option<(&'static Migration, ApiError)>,
    applied: Vec<&'static str>,
}

impl Preparation {
    /// Begins.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            batch: record(),
            applies: None,
            refused: None,
            applied: Vec::new(),
        }
    }

    fn next(mut self, outcome: Outcome) -> Result<Step<Self>, ApiError> {
        let names = results(outcome, &self.batch).and_then(|mut results| recorded(&mut results));
        let names = match (names, self.applies.take()) {
            (Ok(names), applied) => {
                self.applied.extend(applied.map(|migration| migration.name));
                names
            }
            (Err(error), Some(migration)) => {
                self.refused = Some((migration, error));
                self.batch = record();
                return Ok(Step::Run(self));
            }
            (Err(error), None) => return Err(error),
        };
        if let Some((migration, error)) = mem::take(&mut self.refused)
            && !has(&names, migration)
        {
            return Err(error);
        }
        match Schema::of(&names) {
            Schema::Newer(name) => Err(ApiError::Internal(Internal::NewerDatabase(name.into()))),
            Schema::Lacks(missing) => {
                self.batch = apply(missing);
                self.applies = Some(missing);
                Ok(Step::Run(self))
            }
            Schema::Current(_) => Ok(Step::Done(Ok(self.applied))),
        }
    }
}

impl Machine for Preparation {
    /// The names of the migrations that it applied. The error is also that a newer version made the database.
    type Output = Result<Vec<&'static str>, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        self.next(outcome)
            .unwrap_or_else(|error| Step::Done(Err(error.into())))
    }
}
