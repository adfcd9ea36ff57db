//! Randomness. The core has none of its own: the host passes in its source with each call.

/// A source of unpredictable bytes, provided by the host.
pub trait Random {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// If the host has no randomness. The request then fails with a 500.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable>;
}

/// The host has no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomUnavailable;
