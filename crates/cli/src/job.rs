//! Runs the core's jobs on the database: sends each batch through wrangler and returns its rows to the job.

use tenants_core::job::{Job, JobError, JobStep};

use crate::database::Database;
use crate::error::Error;
use crate::random::SystemRandom;

/// Runs a job to its end. Calls `watch` after every batch but the last.
///
/// # Errors
/// Fails if the database fails or the job cannot continue. Changes of earlier batches stay.
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

/// Returns the error for a job that cannot begin or cannot continue.
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
