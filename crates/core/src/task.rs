//! Tasks: work without a request, such as counting statistics or encrypting again under a new key.
//!
//! A task is a [`Machine`](crate::machine::Machine), as a request is, and its output is a report. A host drives it: the Worker's cron
//! trigger, or the command line. Each batch of a task stands by itself, so a task may be interrupted after any batch and begun again.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::machine::{Failure, Outcome};
use crate::sql::{Batch, Results, Rows};
use crate::value::fault::ApiError;
pub use crate::value::run::{Operator, Run};

pub mod any;
pub mod deliver;
pub mod key_import;
pub mod keys;
pub mod moves;
pub mod orphans;
pub mod prepare;
pub mod proofs;
pub mod reseal;
pub mod restored;
pub mod stats;
pub mod status;

/// The reason why a task could not begin or go on. It prints as a sentence without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError(ApiError);

impl TaskError {
    /// The variable to configure first, if that is the reason.
    #[must_use]
    pub fn missing_variable(&self) -> Option<&'static str> {
        match &self.0 {
            ApiError::NotConfigured { variable } => Some(variable),
            _ => None,
        }
    }

    /// Whether the database was busy, locked or out of reach. The same task may succeed in a moment.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self.0, ApiError::Unavailable(_))
    }

    /// The kind of thing that does not exist, if that is the reason: `tenant`.
    #[must_use]
    pub fn not_found(&self) -> Option<&'static str> {
        match &self.0 {
            ApiError::NotFound { what } => Some(what),
            _ => None,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.cause().map_or_else(|| self.0.detail(), Cow::Owned))
    }
}

impl From<ApiError> for TaskError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

/// The rows of a task's batch, or the reason why it failed.
fn rows(outcome: Outcome) -> Result<Vec<Rows>, Failure> {
    outcome.of_batch()
}

/// The results of a task's batch. If the batch failed, the task cannot go on.
fn results(outcome: Outcome, batch: &Batch) -> Result<Results, ApiError> {
    let rows = rows(outcome).map_err(ApiError::from)?;
    Results::new(rows, batch.statements().len())
}
