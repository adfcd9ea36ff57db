//! Runs the core's tasks on the database: sends each batch through wrangler and returns its rows to the task.

use tenants_core::task::TaskError;
use tenants_core::{Context, Effect, Failure, Machine, Outcome, Step};

use crate::database::Database;
use crate::error::Error;
use crate::random::SystemRandom;

/// Runs a task to its end. Calls `watch` after every batch but the last. `clock` is the world's.
///
/// # Errors
/// Fails if the database fails or the task cannot continue. Changes of earlier batches stay.
pub fn run<M, R>(
    database: &Database,
    mut task: M,
    clock: &dyn Fn() -> i64,
    mut watch: impl FnMut(&M),
) -> Result<R, Error>
where
    M: Machine<Output = Result<R, TaskError>>,
{
    loop {
        let Effect::Batch(batch) = task.effect();
        let rows = match database.run_batch(batch) {
            Err(Error::Database(reason)) => Err(Failure::new(reason)),
            ran => Ok(ran?),
        };
        let mut context = Context {
            unix_seconds: clock(),
            random: &mut SystemRandom,
        };
        match task.resume(Outcome::Batch(rows), &mut context) {
            Step::Run(next) => task = next,
            Step::Done(result) => return result.map_err(stopped),
        }
        watch(&task);
    }
}

/// Returns the error for a task that cannot begin or cannot continue.
#[must_use]
pub fn stopped(error: TaskError) -> Error {
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
