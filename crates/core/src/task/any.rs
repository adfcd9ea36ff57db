//! Any task, for a host that drives tasks of several kinds in one place.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::task::TaskError;
use crate::task::deliver::{self, Delivery};
use crate::task::keys::{
    CreatedKey, KeyChoice, KeyCreation, KeyDeletion, KeyList, KeyName, KeyRow,
};
use crate::task::prepare::Preparation;
use crate::task::proofs::Proofs;
use crate::task::stats::{self, Refresh};
use crate::value::clock::Timestamp;
use crate::value::scope::Scopes;

/// The task that a host asks for. [`Api::begin_task`](crate::Api::begin_task) begins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Create an API key.
    CreateKey {
        /// Its purpose.
        name: Option<KeyName>,
        /// The first second in which it is no longer valid.
        expires_at: Option<Timestamp>,
        /// What it may do; everything without it.
        scopes: Option<Scopes>,
        /// Whether it signs whole requests.
        is_bound: bool,
    },
    /// List the API keys.
    ListKeys,
    /// Delete API keys.
    DeleteKeys(KeyChoice),
    /// Count the statistics of the tenants whose turn it is.
    CountStats,
    /// Send the events that webhooks wait for.
    Deliver,
    /// Look up the records that show the owners of hostnames, those whose turn it is.
    LookUpProofs,
    /// Apply the migrations that the database lacks.
    Prepare,
}

/// A task of any kind.
#[derive(Debug)]
pub enum Task {
    /// Creates a key.
    KeyCreation(Box<KeyCreation>),
    /// Lists the keys.
    KeyList(KeyList),
    /// Deletes keys.
    KeyDeletion(KeyDeletion),
    /// Counts statistics.
    Stats(Box<Refresh>),
    /// Sends events to webhooks.
    Delivery(Delivery),
    /// Looks up records.
    Proofs(Box<Proofs>),
    /// Applies migrations.
    Preparation(Preparation),
}

/// The result of a [`Task`] of the same kind.
#[derive(Debug)]
pub enum Report {
    /// The new key.
    KeyCreation(CreatedKey),
    /// The keys, deleted ones too.
    KeyList(Vec<KeyRow>),
    /// The ids of the deleted keys.
    KeyDeletion(Vec<i64>),
    /// The tenants that were counted, and those that could not be.
    Stats(stats::Report),
    /// What receivers of webhooks accepted and refused.
    Delivery(deliver::Report),
    /// The number of records that were looked up, and those that could not be.
    Proofs(stats::Report),
    /// The names of the migrations that were applied.
    Preparation(Vec<&'static str>),
}

impl From<KeyCreation> for Task {
    fn from(task: KeyCreation) -> Self {
        Self::KeyCreation(Box::new(task))
    }
}

impl From<KeyList> for Task {
    fn from(task: KeyList) -> Self {
        Self::KeyList(task)
    }
}

impl From<KeyDeletion> for Task {
    fn from(task: KeyDeletion) -> Self {
        Self::KeyDeletion(task)
    }
}

impl From<Refresh> for Task {
    fn from(task: Refresh) -> Self {
        Self::Stats(Box::new(task))
    }
}

impl From<Delivery> for Task {
    fn from(task: Delivery) -> Self {
        Self::Delivery(task)
    }
}

impl From<Proofs> for Task {
    fn from(task: Proofs) -> Self {
        Self::Proofs(Box::new(task))
    }
}

impl From<Preparation> for Task {
    fn from(task: Preparation) -> Self {
        Self::Preparation(task)
    }
}

impl Machine for Task {
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        match self {
            Self::KeyCreation(task) => task.effect(),
            Self::KeyList(task) => task.effect(),
            Self::KeyDeletion(task) => task.effect(),
            Self::Stats(task) => task.effect(),
            Self::Delivery(task) => task.effect(),
            Self::Proofs(task) => task.effect(),
            Self::Preparation(task) => task.effect(),
        }
    }

    fn resume(self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self> {
        match self {
            Self::KeyCreation(task) => lift(task.resume(outcome, context), Report::KeyCreation),
            Self::KeyList(task) => lift(task.resume(outcome, context), Report::KeyList),
            Self::KeyDeletion(task) => lift(task.resume(outcome, context), Report::KeyDeletion),
            Self::Stats(task) => lift(task.resume(outcome, context), Report::Stats),
            Self::Delivery(task) => lift(task.resume(outcome, context), Report::Delivery),
            Self::Proofs(task) => lift(task.resume(outcome, context), Report::Proofs),
            Self::Preparation(task) => lift(task.resume(outcome, context), Report::Preparation),
        }
    }
}

/// Turns the step of one kind of task into a step of any.
fn lift<M, T>(step: Step<M>, report: impl FnOnce(T) -> Report) -> Step<Task>
where
    M: Machine<Output = Result<T, TaskError>> + Into<Task>,
{
    match step {
        Step::Run(task) => Step::Run(task.into()),
        Step::Done(output) => Step::Done(output.map(report)),
    }
}
