//! When a key was last used: to the hour, and written once an hour at most.
//!
//! A request never waits for it, and its own batch knows nothing of it. The [`Api`](crate::Api) remembers for which hour it has handed out a
//! write for each key. The first answer of an hour comes with that write, which the host runs after it has sent the answer. Each instance of
//! the core has a memory of its own, so the write has the condition that the row has no such hour yet. It leaves no audit entry.

use alloc::collections::BTreeMap;
use core::fmt;

use spin::Mutex;

use crate::auth::KeyHolder;
use crate::sql::{Batch, Sql};
use crate::store::standing::valid_key;
use crate::value::clock::Timestamp;

/// The most keys to remember. If there are more, all are forgotten: a key is then written once more, which changes nothing.
const MAX_KEYS: usize = 4096;

const HOUR_SECONDS: i64 = 60 * 60;

/// The hours for which writes were handed out, by the keys' ids. Threads may share it.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<BTreeMap<i64, i64>>);

/// The use of a key that the database should know.
#[derive(Clone)]
pub(crate) struct Use {
    holder: KeyHolder,
    hour: i64,
}

impl KeyUses {
    /// The use of a key at this time, unless its hour is known. It does not wait for another thread: another request will do.
    pub(crate) fn of(&self, holder: &KeyHolder, unix_seconds: i64) -> Option<Use> {
        let hour = unix_seconds.div_euclid(HOUR_SECONDS);
        let is_known = self.0.try_lock()?.get(&holder.key_id()) == Some(&hour);
        (!is_known).then(|| Use {
            holder: holder.clone(),
            hour,
        })
    }

    /// The write of a use, once an hour.
    pub(crate) fn take(&self, used: &Use) -> Option<Batch> {
        let write = used.write()?;
        let mut hours = self.0.try_lock()?;
        if hours.len() >= MAX_KEYS && !hours.contains_key(&used.holder.key_id()) {
            hours.clear();
        }
        let before = hours.insert(used.holder.key_id(), used.hour);
        (before != Some(used.hour)).then_some(write)
    }
}

impl fmt::Debug for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Use({}, {})", self.holder.key_id(), self.hour)
    }
}

impl Use {
    fn write(&self) -> Option<Batch> {
        let at = Timestamp::from_unix(self.hour.checked_mul(HOUR_SECONDS)?).ok()?;
        let sql = Sql::new(concat!(
            "UPDATE api_keys SET last_used_at = ?4 WHERE ",
            valid_key!(),
            " AND (last_used_at IS NULL OR last_used_at < ?4)"
        ));
        Some(Batch::one(sql.values([
            self.holder.key_id().into(),
            self.holder.digest().into(),
            self.holder.now().as_str().into(),
            at.as_str().into(),
        ])))
    }
}
