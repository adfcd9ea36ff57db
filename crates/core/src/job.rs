//! Jobs: work that is not a request, such as counting statistics or sealing again.
//!
//! As an exchange is, a job is without I/O. It hands out a batch, is resumed with its rows, and hands out the next batch or
//! its report. A host drives it: the Worker's cron trigger, the command line. What a job does with one batch must stand by
//! itself: it may be interrupted after any of them, and is then begun again.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::http::Random;
use crate::problem::ApiError;
use crate::sql::{Batch, Rows};

/// What a job wants next.
#[derive(Debug)]
pub enum JobStep<J, R> {
    /// Run its batch and resume it.
    Run(J),
    /// It is done.
    Done(R),
}

/// A job that waits for the rows of a batch.
pub trait Job: Sized {
    /// What it tells in the end.
    type Report;

    /// What to run.
    fn batch(&self) -> &Batch;

    /// Goes on with the rows of each statement of the batch, or with the reason why it failed.
    ///
    /// # Errors
    /// Where the job cannot go on. What earlier batches did stays done.
    fn resume(
        self,
        rows: Result<Vec<Rows>, String>,
        random: &mut dyn Random,
    ) -> Result<JobStep<Self, Self::Report>, JobError>;
}

/// Why a job cannot begin, or not go on. Prints as a sentence for the log, without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError(ApiError);

impl JobError {
    /// The variable that has to be configured first, where that is why.
    #[must_use]
    pub fn missing_variable(&self) -> Option<&'static str> {
        match &self.0 {
            ApiError::NotConfigured { variable } => Some(variable),
            _ => None,
        }
    }

    /// What was named and does not exist, where that is why: `tenant`.
    #[must_use]
    pub fn not_found(&self) -> Option<&'static str> {
        match &self.0 {
            ApiError::NotFound { what } => Some(what),
            _ => None,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.cause().map_or_else(|| self.0.detail(), Cow::Owned))
    }
}

impl From<ApiError> for JobError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}
