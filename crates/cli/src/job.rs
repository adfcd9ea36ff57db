//! Jobs of the core, driven by way of wrangler: a batch out, its rows in, until there is a report.

use tenants_core::job::{Job, JobError, JobStep};

use crate::database::Database;
use crate::error::Error;
use crate::random::SystemRandom;

/// Runs a job to its end. `watch` sees it after every batch.
///
/// # Errors
/// Where the database fails, or the job cannot go on. What earlier batches did stays done.
pub fn run<J: Job>(
    database: &Database,
    mut job: J,
    mut watch: impl FnMut(&J),
) -> Result<J::Report, Error> {
    loop {
        let rows = match database.run_batch(job.batch()) {
            Err(Error::Database(reason)) => Err(reason),
            answered => Ok(answered?),
        };
        match job.resume(rows, &mut SystemRandom).map_err(stopped)? {
            JobStep::Run(next) => job = next,
            JobStep::Done(report) => return Ok(report),
        }
        watch(&job);
    }
}

/// What is said of a job that cannot begin, or not go on.
#[must_use]
pub fn stopped(error: JobError) -> Error {
    if let Some(what) = error.not_found() {
        return Error::Refused {
            code: "not_found",
            detail: format!("there is no such {what}"),
        };
    }
    match error.missing_variable() {
        Some(variable) => Error::Configuration(format!("{variable} is not set")),
        None => Error::Database(error.to_string()),
    }
}
