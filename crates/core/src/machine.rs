//! The shape that requests and tasks share: work that pauses for something only the host can do.
//!
//! A [`Machine`] says what it needs next ([`Machine::effect`]), and goes on once the host has done it ([`Machine::resume`], which
//! consumes it, so calling out of order does not compile). [`drive`] runs one to its end on a host that can block. An `async` host
//! writes the same loop with its own `await`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::sql::{Batch, Rows};
use crate::value::fault::{ApiError, Internal};
use crate::value::random::Random;

mod fetch;

pub use fetch::{FetchFailure, FetchRequest, FetchedAnswer};

/// Work that waits for the host.
pub trait Machine: Sized {
    /// The result in the end.
    type Output;

    /// The work that the host must do now.
    fn effect(&self) -> Effect<'_>;

    /// Goes on with the result of that work.
    fn resume(self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self>;
}

/// The next step of a machine.
#[derive(Debug)]
pub enum Step<M: Machine> {
    /// Carry out [`Machine::effect`], then call [`Machine::resume`].
    Run(M),
    /// The machine has finished.
    Done(M::Output),
}

/// Work for the host.
#[derive(Debug, Clone, Copy)]
pub enum Effect<'a> {
    /// Run the batch in one transaction.
    Batch(&'a Batch),
    /// Let so many milliseconds pass. Only requests do that, those that wait for a cell (contract §15).
    Wait(u32),
    /// Send the request, and read its answer.
    Fetch(&'a FetchRequest),
}

impl<'a> Effect<'a> {
    /// The batch to run, if the work is one.
    #[must_use]
    pub fn batch(self) -> Option<&'a Batch> {
        match self {
            Self::Batch(batch) => Some(batch),
            Self::Wait(_) | Self::Fetch(_) => None,
        }
    }
}

/// The result of an [`Effect`].
#[derive(Debug)]
pub enum Outcome {
    /// The rows of each statement of the batch, or the reason why it failed.
    Batch(Result<Vec<Rows>, Failure>),
    /// The time has passed.
    Waited,
    /// The host cannot wait. The request is answered at once, with a 202.
    CannotWait,
    /// The answer to the request, or the reason why there is none.
    Fetched(Result<FetchedAnswer, FetchFailure>),
    /// The host has no network.
    CannotFetch,
}

impl Outcome {
    /// The result of a batch.
    ///
    /// # Errors
    /// The reason why it failed, or that there was no batch, which a host that follows the effects never reports.
    pub(crate) fn of_batch(self) -> Result<Vec<Rows>, Failure> {
        match self {
            Self::Batch(result) => result,
            Self::Waited | Self::CannotWait | Self::Fetched(_) | Self::CannotFetch => {
                Err(Failure::new("the host ran no batch"))
            }
        }
    }
}

/// The reason why a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The database's message. It goes to the log and decides nothing.
    pub reason: String,
    /// The kind of the failure. The host decides it by its database's error codes.
    pub kind: FailureKind,
}

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The database failed. A read is answered with a 500.
    Failed,
    /// The database is busy, locked or out of reach for a while. A read is answered with a 503 and `Retry-After`. (A write is tried again after a
    /// failure of either kind, and is a 503 if it fails twice.)
    Unavailable,
}

impl Failure {
    /// A failure with the database's message.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: FailureKind::Failed,
        }
    }

    /// A failure that will soon be over, with the database's message.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: FailureKind::Unavailable,
        }
    }
}

/// The kind and the reason, for the log.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FailureKind::Failed => "the database failed: ",
            FailureKind::Unavailable => "the database is unavailable: ",
        })?;
        f.write_str(&self.reason)
    }
}

impl From<Failure> for ApiError {
    fn from(Failure { reason, kind }: Failure) -> Self {
        match kind {
            FailureKind::Failed => Self::Internal(Internal::Database(reason)),
            FailureKind::Unavailable => Self::Unavailable(reason),
        }
    }
}

/// The host's clock and randomness at the moment of a step.
pub struct Context<'a> {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix_seconds: i64,
    /// The host's randomness.
    pub random: &'a mut dyn Random,
}

/// The abilities of a host that can block.
pub trait Host {
    /// Runs a batch in one transaction.
    ///
    /// # Errors
    /// The database's message. Nothing of the batch may be left behind, as far as the host can tell.
    fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, Failure>;

    /// Lets so many milliseconds pass, and returns whether it did. A host that must not block its thread leaves this as it is, and requests
    /// that wait for a cell are answered at once.
    fn wait(&mut self, milliseconds: u32) -> bool {
        let _ = milliseconds;
        false
    }

    /// Sends a request, and returns its answer or the reason why there is none. A host without a network leaves this as it is: `None`.
    fn fetch(&mut self, request: &FetchRequest) -> Option<Result<FetchedAnswer, FetchFailure>> {
        let _ = request;
        None
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    fn unix_seconds(&mut self) -> i64;

    /// The randomness.
    fn random(&mut self) -> &mut dyn Random;
}

/// Runs a machine to its end.
pub fn drive<M: Machine>(step: Step<M>, host: &mut impl Host) -> M::Output {
    drive_watched(step, host, |_| ())
}

/// Runs a machine to its end, and shows it to `watch` after every step.
pub fn drive_watched<M: Machine>(
    mut step: Step<M>,
    host: &mut impl Host,
    mut watch: impl FnMut(&M),
) -> M::Output {
    loop {
        let machine = match step {
            Step::Done(output) => return output,
            Step::Run(machine) => machine,
        };
        let outcome = match machine.effect() {
            Effect::Batch(batch) => Outcome::Batch(host.run(batch)),
            Effect::Wait(milliseconds) if host.wait(milliseconds) => Outcome::Waited,
            Effect::Wait(_) => Outcome::CannotWait,
            Effect::Fetch(request) => host
                .fetch(request)
                .map_or(Outcome::CannotFetch, Outcome::Fetched),
        };
        let unix_seconds = host.unix_seconds();
        let random = host.random();
        step = machine.resume(
            outcome,
            &mut Context {
                unix_seconds,
                random,
            },
        );
        if let Step::Run(machine) = &step {
            watch(machine);
        }
    }
}
