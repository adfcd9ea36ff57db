//! Randomness for the core: the platform's `crypto.getRandomValues`.

use std::cell::RefCell;

use tenants_core::{Random, RandomUnavailable};

/// The platform's randomness, taken a kilobyte at a time, since the call costs more than the bytes.
pub(crate) struct HostRandom;

/// Random bytes. The bytes before `at` are used up.
struct Pool {
    bytes: [u8; 1024],
    at: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 1024], at: 1024 }) };
}

impl Random for HostRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        POOL.with_borrow_mut(|pool| {
            if out.len() > pool.bytes.len() {
                return getrandom::fill(out).map_err(|_| RandomUnavailable);
            }
            if pool.at + out.len() > pool.bytes.len() {
                getrandom::fill(&mut pool.bytes).map_err(|_| RandomUnavailable)?;
                pool.at = 0;
            }
            let taken = &mut pool.bytes[pool.at..pool.at + out.len()];
            out.copy_from_slice(taken);
            // Zero the bytes once they are handed out.
            taken.fill(0);
            pool.at += out.len();
            Ok(())
        })
    }
}
