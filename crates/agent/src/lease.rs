//! The leases of the jobs that run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A job's lease, which one thread renews while another one does the job.
pub(crate) struct Lease(Mutex<Held>);

struct Held {
    token: String,
    /// `None` if the registry does not know the lease any more.
    end: Option<Instant>,
}

impl Lease {
    pub(crate) fn new(token: &str, end: Instant) -> Self {
        Self(Mutex::new(Held {
            token: token.into(),
            end: Some(end),
        }))
    }

    /// The token to report with.
    pub(crate) fn token(&self) -> String {
        self.lock().token.clone()
    }

    /// The token to renew, unless the registry does not know it any more.
    pub(crate) fn renewable(&self) -> Option<String> {
        let held = self.lock();
        held.end.map(|_| held.token.clone())
    }

    /// Whether the job may be somebody else's by now: the registry said so, or the lease ran out without a good renewal.
    pub(crate) fn is_lost(&self) -> bool {
        self.lock().end.is_none_or(|end| Instant::now() >= end)
    }

    /// Takes note of an answer to the renewal of a token: its new end, or `None` if the lease is lost. The job may have another token by now.
    pub(crate) fn renewed(&self, token: &str, end: Option<Instant>) {
        let mut held = self.lock();
        if held.token == token {
            held.end = end;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // The data is whole even if a thread panicked while it had the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The jobs that run, by id.
#[derive(Default)]
pub(crate) struct Running(Mutex<BTreeMap<String, Arc<Lease>>>);

impl Running {
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Adds a job. If it runs already, its thread gets the new token, and this returns `None`: the registry gave the job back after a lease that
    /// was not renewed in time.
    pub(crate) fn add(&self, id: &str, token: &str, end: Instant) -> Option<Arc<Lease>> {
        let mut running = self.lock();
        if let Some(lease) = running.get(id) {
            *lease.lock() = Held {
                token: token.into(),
                end: Some(end),
            };
            return None;
        }
        let lease = Arc::new(Lease::new(token, end));
        running.insert(id.into(), Arc::clone(&lease));
        Some(lease)
    }

    pub(crate) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Lease>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Lease, Running};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_lease_is_lost_at_its_end_or_when_the_registry_says_so() {
        let now = Instant::now();
        let lease = Lease::new("1", now);
        assert!(lease.is_lost());
        lease.renewed("1", Some(now + MINUTE));
        assert!(!lease.is_lost());
        lease.renewed("1", None);
        assert!(lease.is_lost());
        assert_eq!(lease.renewable(), None);
    }

    #[test]
    fn a_job_that_is_leased_again_while_it_runs_goes_on_under_the_new_token() {
        let running = Running::default();
        let end = Instant::now() + MINUTE;
        let lease = running.add("j", "1", end).unwrap();
        lease.renewed("1", None);
        assert!(running.add("j", "2", end).is_none());
        assert!(!lease.is_lost());
        // The answer to a renewal of the old token comes late.
        lease.renewed("1", None);
        assert!(!lease.is_lost());
        assert_eq!(lease.renewable().as_deref(), Some("2"));
        assert_eq!(running.count(), 1);
        running.remove("j");
        assert_eq!(running.count(), 0);
        assert!(running.add("j", "3", end).is_some());
    }
}
