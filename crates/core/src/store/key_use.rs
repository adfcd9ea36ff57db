//! When a key was last used, to the hour, and written once an hour at most; and when a session of the console was, once a minute at most.
//!
//! A request never waits for it, and its own batch knows nothing of it. The [`Api`](crate::Api) remembers for which hour (or minute) it has handed out a
//! write for each key (or session). The first answer of that time comes with that write, which the host runs after it has sent the answer. Each instance of
//! the core has a memory of its own, so the write has the condition that the row has no such time yet. It leaves no audit entry.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use spin::Mutex;

use crate::auth::KeyHolder;
use crate::sql::{Batch, Sql};
use crate::store::sessions;
use crate::store::standing::valid_key;
use crate::value::clock::Timestamp;

/// The most keys, and the most sessions, to remember. If there are more, all are forgotten: a key is then written once more, which changes nothing.
const MAX_KNOWN: usize = 4096;

const HOUR_SECONDS: i64 = 60 * 60;
const MINUTE_SECONDS: i64 = 60;

/// The times for which writes were handed out. Threads may share it.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Hours, by the keys' ids.
    keys: BTreeMap<i64, i64>,
    /// Minutes, by the sessions' ids.
    sessions: BTreeMap<String, i64>,
}

/// The use of a key, or of a session, that the database should know.
#[derive(Clone)]
pub(crate) struct Use {
    holder: KeyHolder,
    unix_seconds: i64,
    /// The hour, or the minute of a session.
    slot: i64,
}

impl KeyUses {
    /// The use of a key at this time, unless its hour is known. It does not wait for another thread: another request will do.
    pub(crate) fn of(&self, holder: &KeyHolder, unix_seconds: i64) -> Option<Use> {
        let known = self.0.try_lock()?;
        let (slot, before) = match holder.session_id() {
            None => (
                unix_seconds.div_euclid(HOUR_SECONDS),
                known.keys.get(&holder.key_id()),
            ),
            Some(session) => (
                unix_seconds.div_euclid(MINUTE_SECONDS),
                known.sessions.get(session),
            ),
        };
        (before != Some(&slot)).then(|| Use {
            holder: holder.clone(),
            unix_seconds,
            slot,
        })
    }

    /// The write of a use, once an hour, or once a minute.
    pub(crate) fn take(&self, used: &Use) -> Option<Batch> {
        let write = used.write()?;
        let mut known = self.0.try_lock()?;
        let before = match used.holder.session_id() {
            None => noted(&mut known.keys, used.holder.key_id(), used.slot),
            Some(session) => noted(&mut known.sessions, session.into(), used.slot),
        };
        (before != Some(used.slot)).then_some(write)
    }
}

fn noted<K: Ord>(known: &mut BTreeMap<K, i64>, key: K, slot: i64) -> Option<i64> {
    if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
        known.clear();
    }
    known.insert(key, slot)
}

impl fmt::Debug for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Use({}, {})", self.holder.key_id(), self.slot)
    }
}

impl Use {
    fn write(&self) -> Option<Batch> {
        let hour = self.unix_seconds.div_euclid(HOUR_SECONDS);
        let at = Timestamp::from_unix(hour.checked_mul(HOUR_SECONDS)?).ok()?;
        if self.holder.session_id().is_some() {
            let minute = Timestamp::from_unix(self.slot.checked_mul(MINUTE_SECONDS)?).ok()?;
            return sessions::used(&self.holder, self.unix_seconds, &minute, &at);
        }
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
