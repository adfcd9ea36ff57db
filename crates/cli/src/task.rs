//! Runs the core's tasks on the database: sends each batch through wrangler and returns its rows to the task.

use tenants_core::task::TaskError;
use tenants_core::{Context, Effect, Failure, Machine, Outcome, Step};

use crate::database::Database;
use crate::error::Error;
use crate::random::SystemRandom;

/// The number of tenants or keys of a batch, if each takes up to about 2 KB of statements: no more than a call has room for.
pub const SLICE: u8 = if cfg!(windows) { 8 } else { 30 };

/// The reason why a task stopped before its end.
#[derive(Debug)]
pub struct Stopped {
    /// The error.
    pub error: Error,
    /// Whether the result of the task's last batch never arrived. The database may have committed that batch all the same.
    pub is_batch_unknown: bool,
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        stopped.error
    }
}

/// A task may go on with the rest of its work after a batch that failed. After so many in a row, the database is asked whether it answers at all: without
/// a network each of thousands of batches would fail, and take seconds.
const FAILURES_IN_A_ROW: u32 = 3;

/// Runs a task to its end. Calls `watch` after every batch but the last. `clock` is the world's.
///
/// # Errors
/// Fails if the database fails or the task cannot continue. Changes of earlier batches stay.
pub fn run<M, R>(
    database: &Database,
    mut task: M,
    clock: &dyn Fn() -> i64,
    mut watch: impl FnMut(&M),
) -> Result<R, Stopped>
where
    M: Machine<Output = Result<R, TaskError>>,
{
    let mut failures = 0;
    loop {
        let (outcome, is_batch_unknown) = match task.effect() {
            Effect::Wait(_) => (Outcome::CannotWait, false),
            Effect::Fetch(_) => (Outcome::CannotFetch, false),
            Effect::Batch(batch) => match database.run_batch(batch) {
                Ok(rows) => {
                    failures = 0;
                    (Outcome::Batch(Ok(rows)), false)
                }
                Err(Error::Database(reason)) => {
                    failures += 1;
                    if failures % FAILURES_IN_A_ROW == 0 {
                        database.query(&["SELECT 1".into()]).map_err(silent)?;
                    }
                    (Outcome::Batch(Err(Failure::new(reason))), true)
                }
                Err(error) => {
                    return Err(Stopped {
                        error,
                        is_batch_unknown: true,
                    });
                }
            },
        };
        let mut context = Context {
            unix_seconds: clock(),
            random: &mut SystemRandom,
        };
        match task.resume(outcome, &mut context) {
            Step::Run(next) => task = next,
            Step::Done(result) => {
                return result.map_err(|error| Stopped {
                    error: stopped(error),
                    is_batch_unknown,
                });
            }
        }
        watch(&task);
    }
}

/// Returns the error for a database that does not even answer `SELECT 1`.
fn silent(error: Error) -> Stopped {
    let error = match error {
        Error::Database(reason) => Error::Database(format!(
            "it does not answer any more; what was done before stays\n{reason}"
        )),
        other => other,
    };
    Stopped {
        error,
        is_batch_unknown: true,
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
