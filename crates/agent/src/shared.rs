//! The values that the agent's threads share.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::command::{Runner, locks_beside};
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
    /// The number of jobs that run.
    pub(crate) running: AtomicUsize,
    /// Counters that are not reported yet.
    pub(crate) counted: Mutex<Vec<Counted>>,
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
            running: AtomicUsize::new(0),
            counted: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Takes counters to report, 100 at the most.
    pub(crate) fn take_counted(&self) -> Vec<Counted> {
        let mut counted = lock(&self.counted);
        let count = counted.len().min(100);
        counted.drain(..count).collect()
    }

    /// Adds counters to report. Newer ones of a tenant replace older ones.
    pub(crate) fn add_counted(&self, new: Vec<Counted>) {
        let mut counted = lock(&self.counted);
        for new in new {
            match counted.iter_mut().find(|old| old.id == new.id) {
                Some(old) if old.counted_at <= new.counted_at => *old = new,
                Some(_) => {}
                None => counted.push(new),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The data is whole even if a thread panicked while it had the lock.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
