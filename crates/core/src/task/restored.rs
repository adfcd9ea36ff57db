//! The end of a restore: no unfinished jobs, no living sessions, a new epoch, and an audit entry.
//!
//! A backup takes the audit log back, so its ids come a second time, and with them the revisions that Traefik's `ETag` names. The new epoch
//! keeps the two apart.

use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::Batch;
use crate::store::audit::{self, Action, Author, Entry};
use crate::store::{registry, sessions, work};
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::run::Run;

/// Begins a new epoch. The host may also run the batch together with the restored rows.
#[derive(Debug)]
pub struct Restored {
    batch: Batch,
}

impl Restored {
    /// Begins. The audit entry names the run.
    #[must_use]
    pub fn begin(run: &Run, now: &Timestamp) -> Self {
        let entry = audit::after_change(Entry {
            author: Author::Run(run),
            action: Action::RegistryRestore,
            subject: "registry",
            now,
        });
        Self {
            batch: Batch::of([
                work::end_all(now),
                sessions::end_all(now),
                registry::begin_epoch(),
                entry,
            ]),
        }
    }
}

impl Machine for Restored {
    type Output = Result<(), TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let done = results(outcome, &self.batch).map(|_| ());
        Step::Done(done.map_err(TaskError::from))
    }
}
