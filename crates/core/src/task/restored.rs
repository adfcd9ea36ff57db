//! The end of a restore: a new epoch, and an audit entry.
//!
//! A backup takes the audit log back, so its ids come a second time, and with them the revisions that Traefik's `ETag` names. The new epoch
//! keeps the two apart.

use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::Batch;
use crate::store::audit::{self, Action, Entry};
use crate::store::registry;
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;

/// Begins a new epoch. The host may also run the batch together with the restored rows.
#[derive(Debug)]
pub struct Restored {
    batch: Batch,
}

impl Restored {
    /// Begins. `run_id` takes the place of a request's id in the audit log.
    #[must_use]
    pub fn begin(run_id: &str, now: &Timestamp) -> Self {
        let entry = audit::after_change(Entry {
            key_id: None,
            action: Action::RegistryRestore,
            subject: "registry",
            request_id: run_id,
            now,
        });
        Self {
            batch: Batch::of([registry::begin_epoch(), entry]),
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
