//! The values that the agent's threads share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::command::{Runner, locks_beside};
use crate::lease::Running;
use crate::registry::{Counted, Registry};
use crate::settings::Settings;

/// The values that the agent's threads share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    pub(crate) runner: Runner,
    /// Set by SIGTERM and SIGINT.
    pub(crate) stop: Arc<AtomicBool>,
    /// Whether Redis is there and has everything: nothing is run for a site otherwise.
    pub(crate) is_redis_good: AtomicBool,
    pub(crate) running: Running,
    /// The number of jobs that failed, or were given back.
    pub(crate) failed: AtomicUsize,
    pub(crate) counted: Counters,
}

impl Shared {
    pub(crate) fn new(settings: Settings, registry: Registry) -> Self {
        Self {
            runner: Runner {
                cli: settings.cli.clone(),
                folder: settings.installation.clone(),
                locks: locks_beside(&settings.state),
            },
            settings,
            registry,
            stop: Arc::new(AtomicBool::new(false)),
            is_redis_good: AtomicBool::new(false),
            running: Running::default(),
            failed: AtomicUsize::new(0),
            counted: Counters::default(),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The most tenants of one report.
const REPORTED: usize = 100;

/// Counters of sites that are not reported yet.
#[derive(Default)]
pub(crate) struct Counters(Mutex<Vec<Counted>>);

impl Counters {
    /// Takes counters to report, as many as one report may have.
    pub(crate) fn take(&self) -> Vec<Counted> {
        let mut counted = self.lock();
        let count = counted.len().min(REPORTED);
        counted.drain(..count).collect()
    }

    /// Adds counters. Newer ones of a tenant replace older ones.
    pub(crate) fn add(&self, new: Vec<Counted>) {
        let mut counted = self.lock();
        for new in new {
            match counted.iter_mut().find(|old| old.id == new.id) {
                Some(old) if old.counted_at <= new.counted_at => *old = new,
                Some(_) => {}
                None => counted.push(new),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Counted>> {
        // The data is whole even if a thread panicked while it had the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;
    use crate::registry::Counted;

    fn counted(id: usize, files: u64, at: &str) -> Counted {
        Counted {
            id: format!("t{id}"),
            stats: serde_json::json!({"files": files}),
            counted_at: at.into(),
        }
    }

    #[test]
    fn counters_are_reported_in_batches_of_a_hundred() {
        let counters = Counters::default();
        counters.add((0..250).map(|n| counted(n, 1, "1")).collect());
        assert_eq!([0; 4].map(|_| counters.take().len()), [100, 100, 50, 0]);
    }

    #[test]
    fn newer_counters_replace_older_ones_and_not_the_other_way() {
        let counters = Counters::default();
        counters.add(vec![counted(1, 1, "2"), counted(2, 1, "2")]);
        // A report that failed comes back, and is older than what was counted meanwhile.
        counters.add(vec![counted(1, 2, "3"), counted(2, 2, "1")]);
        let files: Vec<_> = counters
            .take()
            .into_iter()
            .map(|c| c.stats["files"].clone())
            .collect();
        assert_eq!(files, [2, 1]);
    }
}
