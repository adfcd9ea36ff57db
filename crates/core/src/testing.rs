//! Helpers that the tests of several modules share.

use crate::value::random::{Random, RandomUnavailable};

/// Predictable randomness: bytes that count up.
#[derive(Default)]
pub(crate) struct Counter(u8);

impl Random for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}
