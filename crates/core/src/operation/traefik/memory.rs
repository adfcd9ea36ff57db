//! The last body of Traefik's configuration, kept with the state of the registry that it was made from.
//!
//! Traefik polls every few seconds and sends no `If-None-Match`. A reader counts as one that sent the kept body's state, so that a request
//! reads no tenant while nothing has changed. The request's own batch still judges the key and reads the state, and the kept body is the
//! response only if it shows that very state.
//!
//! A memory belongs to one [`Api`](crate::Api), so other settings or another release of the core never meet it. Nothing in the body depends
//! on the clock. A row that somebody changes by hand, without an audit entry, changes no state: a body is therefore used for
//! [`MAX_AGE_SECONDS`] only, and then read again.

use alloc::string::String;
use alloc::sync::Arc;

use spin::Mutex;

use crate::operation::traefik::version::{Tags, Version};

/// The longest body to keep, in bytes: that of 100,000 tenants has about 13 MB, and a Worker's isolate has 128 MB.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The time for which a body is used, by the host's clock.
const MAX_AGE_SECONDS: i64 = 60;

/// A body, and what it was made from.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) version: Version,
    pub(crate) body: Arc<String>,
    /// The note that names the rows that the body leaves out.
    pub(crate) note: Option<String>,
    /// The host's clock when the body was asked for.
    pub(crate) unix_seconds: i64,
}

/// The newest body, if there is one. Threads may share it.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Option<Arc<Kept>>>);

impl Memory {
    /// The kept body, if it has one of these tags and is not too old. It does not wait for another thread: without a body, the tenants are read.
    pub(super) fn get(&self, tags: &Tags, unix_seconds: i64) -> Option<Arc<Kept>> {
        let kept = self.0.try_lock()?.clone()?;
        // A clock that was set back makes a body useless, too.
        let age = unix_seconds.checked_sub(kept.unix_seconds)?;
        ((0..MAX_AGE_SECONDS).contains(&age) && tags.have(&kept.version.tag)).then_some(kept)
    }

    /// Keeps a body in place of the one before it, unless it is too long.
    pub(crate) fn keep(&self, kept: Kept) {
        let kept = (kept.body.len() <= MAX_BYTES).then(|| Arc::new(kept));
        let Some(mut place) = self.0.try_lock() else {
            return;
        };
        let before = core::mem::replace(&mut *place, kept);
        drop(place);
        // Frees a long body after the lock is released.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::{Kept, MAX_BYTES, Memory};
    use crate::operation::traefik::version::{Tags, Version};
    use crate::store::routing::State;

    fn kept(bytes: usize, unix_seconds: i64) -> Kept {
        Kept {
            version: Version {
                tag: "t".into(),
                state: State {
                    epoch: "e".into(),
                    revision: 1,
                },
            },
            body: Arc::new("x".repeat(bytes)),
            note: None,
            unix_seconds,
        }
    }

    #[test]
    fn a_body_is_kept_for_a_minute_unless_it_is_too_long() {
        let memory = Memory::default();
        assert!(memory.get(&Tags::at("t", None), 0).is_none());
        memory.keep(kept(MAX_BYTES, 1000));
        for (now, is_there) in [
            (999, false),
            (1000, true),
            (1059, true),
            (1060, false),
            (i64::MIN, false),
        ] {
            assert_eq!(
                memory.get(&Tags::at("t", None), now).is_some(),
                is_there,
                "{now}"
            );
        }
        memory.keep(kept(1, 1000));
        assert!(
            memory.get(&Tags::at("t", None), 1000).is_some()
                && memory.get(&Tags::at("u", None), 1000).is_none()
        );
        // The body before it would be out of date.
        memory.keep(kept(MAX_BYTES + 1, 1000));
        assert!(memory.get(&Tags::at("t", None), 1000).is_none());
    }
}
