//! The lease of a running job.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A job's lease, which one thread renews while another one does the job.
pub(crate) struct Lease(Mutex<Option<Instant>>);

impl Lease {
    pub(crate) fn new(end: Instant) -> Self {
        Self(Mutex::new(Some(end)))
    }

    /// Whether the job may be somebody else's by now: the registry said so, or the lease ran out without a good renewal.
    pub(crate) fn is_lost(&self) -> bool {
        self.lock().is_none_or(|end| Instant::now() >= end)
    }

    /// Takes note of a renewal.
    pub(crate) fn renewed(&self, end: Instant) {
        *self.lock() = Some(end);
    }

    /// Takes note that the registry does not know the lease any more.
    pub(crate) fn lose(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        // The data is whole even if a thread panicked while it had the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Lease;

    #[test]
    fn a_lease_is_lost_at_its_end_or_when_the_registry_says_so() {
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let lease = Lease::new(now);
        assert!(lease.is_lost());
        lease.renewed(now + minute);
        assert!(!lease.is_lost());
        lease.lose();
        assert!(lease.is_lost());
    }
}
