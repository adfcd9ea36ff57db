//! `webhook_behind` and `webhook_deliveries`: what the receivers of webhooks have and have not accepted (contract §17).
//!
//! A run takes a webhook by a lease, a random text, on which every write of the run depends. So of two runs that overlap, the one whose lease ran out
//! changes nothing any more.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Columns, Results, Sql, Value, unexpected_result};
use crate::store::audit::{self, Action};
use crate::store::history::Entry;
use crate::store::registry::epoch;
use crate::store::standing::{self, Judged, caller};
use crate::store::write::random_part;
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::run::Run;

/// For how many days deliveries are kept.
pub(crate) const KEPT_DAYS: i64 = 30;

/// The old deliveries that a run deletes at most: more than it makes.
const DELETED: i64 = 60;

/// The entries of the log that a batch reads at most.
pub(crate) const FRESH: i64 = 200;

/// A webhook that a run has taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) url: String,
    /// A list in JSON.
    pub(crate) types: String,
    pub(crate) failing_since: Option<String>,
    pub(crate) epoch: String,
    /// The secrets that sign, the newest one first: the id of each, and its encrypted text.
    pub(crate) secrets: Vec<(String, String)>,
}

/// Deletes old deliveries.
pub(crate) fn forget(now: &Timestamp) -> Sql {
    Sql::new(
        "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM (SELECT id, at FROM webhook_deliveries ORDER BY id LIMIT ?1) \
         WHERE at < datetime(?2, ?3))",
    )
    .values([
        DELETED.into(),
        now.as_str().into(),
        alloc::format!("-{KEPT_DAYS} days").into(),
    ])
}

/// Takes the enabled webhook that has something to send and was served longest ago, unless another run has it. If the lease has one, it keeps that.
pub(crate) fn take(lease: &str, now: &Timestamp, until: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE webhooks SET lease = ?1, lease_until = ?3, served_at = ?2 WHERE id = (SELECT w.id FROM webhooks AS w \
         WHERE w.is_enabled AND coalesce(w.lease_until <= ?2, 1) AND (w.cursor < (SELECT max(id) FROM audit_log) \
         OR EXISTS (SELECT 1 FROM webhook_behind AS b WHERE b.webhook_id = w.id AND b.next_at <= ?2)) \
         AND NOT EXISTS (SELECT 1 FROM webhooks WHERE lease = ?1) ORDER BY w.served_at, w.id LIMIT 1)",
    )
    .values([lease.into(), now.as_str().into(), until.as_str().into()])
}

/// Reads whether there is an enabled webhook, and then the webhook of a lease as it is now, if there is one. [`Taken::decode`] reads the rest of the row.
pub(crate) fn leased(lease: &str, now: &Timestamp) -> Sql {
    Sql::new(concat!(
        "SELECT EXISTS (SELECT 1 FROM webhooks WHERE is_enabled) AS any_enabled, w.id, w.url, w.types, w.failing_since, ",
        epoch!(),
        " AS epoch, (SELECT json_group_array(json_array(id, secret)) FROM (SELECT id, secret FROM webhook_secrets WHERE webhook_id = w.id \
         AND (valid_until IS NULL OR valid_until > ?2) ORDER BY valid_until)) AS secrets \
         FROM (SELECT 1) LEFT JOIN webhooks AS w ON w.lease = ?1"
    ))
    .values([lease.into(), now.as_str().into()])
}

impl Taken {
    /// Reads the row of [`leased`], after its first column.
    pub(crate) fn decode(mut row: Columns) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let url = row.text("url")?;
        let types = row.text("types")?;
        let failing_since = row.optional_text("failing_since")?;
        let epoch = row.text("epoch")?;
        let secrets = serde_json::from_str(&row.text("secrets")?)
            .map_err(|_| unexpected_result("column secrets: expected ids and texts".into()))?;
        Ok(Some(Self {
            id,
            url,
            types,
            failing_since,
            epoch,
            secrets,
        }))
    }
}

/// The webhook of a lease, which is `?1`.
macro_rules! leased {
    () => {
        "(SELECT id FROM webhooks WHERE lease = ?1)"
    };
}

macro_rules! columns {
    () => {
        "a.id, a.created_at, a.key_id, a.action, a.subject, a.changed, a.request_id, a.token"
    };
}

/// Reads the subjects that are due again, of the webhook of a lease, so many at most: the event that each is behind with, and those after it up to the cursor, so
/// many of each at most. [`decode_due`] reads the rows.
pub(crate) fn due(lease: &str, now: &Timestamp, (subjects, events): (usize, usize)) -> Sql {
    let most = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // The sign keeps SQLite from other indexes than that of the subject.
    Sql::new(concat!(
        "SELECT b.entry_id, b.subject_type, b.subject AS of_subject, b.attempts, ",
        columns!(),
        " FROM (SELECT b.*, w.cursor FROM webhooks AS w CROSS JOIN webhook_behind AS b ON b.webhook_id = w.id AND b.next_at <= ?2 \
         WHERE w.lease = ?1 ORDER BY b.next_at LIMIT ?3) AS b LEFT JOIN audit_log AS a ON a.id IN (SELECT x.id FROM audit_log AS x \
         WHERE x.subject = b.subject AND x.id BETWEEN b.entry_id AND max(b.cursor, b.entry_id) \
         AND substr(+x.action, 1, instr(x.action, char(46)) - 1) = b.subject_type ORDER BY x.id LIMIT ?4) \
         ORDER BY b.next_at, b.subject_type, b.subject, a.id"
    ))
    .values([
        lease.into(),
        now.as_str().into(),
        most(subjects).into(),
        most(events).into(),
    ])
}

/// Reads the rows of [`due`]: the events of each subject, in their order. The first one is that which the subject is behind with.
pub(crate) fn decode_due(results: &mut Results) -> Result<Vec<Vec<Event>>, ApiError> {
    let mut all: Vec<Vec<Event>> = Vec::new();
    for row in results.rows()? {
        let event = Event::decode(Columns::new(row), false)?;
        let same = all
            .last_mut()
            .filter(|events| events.iter().any(|first| first.is_of_subject_of(&event)));
        match (same, event.entry.as_ref().map(|entry| entry.id)) {
            (Some(events), Some(id)) => events.push(event.of_entry(id)),
            (None, Some(id)) if id != event.entry_id => {
                all.push([event.gone(), event.of_entry(id)].into());
            }
            _ => all.push([event].into()),
        }
    }
    Ok(all)
}

/// Reads the entries after the cursor of the webhook of a lease. [`Event::decode_all`] reads the rows. Each has 0 attempts, or 1 if its subject is behind, so that it must wait.
pub(crate) fn fresh(lease: &str) -> Sql {
    Sql::new(concat!(
        "SELECT a.id AS entry_id, substr(a.action, 1, instr(a.action, char(46)) - 1) AS subject_type, a.subject AS of_subject, \
         EXISTS (SELECT 1 FROM webhook_behind AS b WHERE b.webhook_id = w.id \
         AND b.subject_type = substr(a.action, 1, instr(a.action, char(46)) - 1) AND b.subject = a.subject) AS attempts, ",
        columns!(),
        " FROM webhooks AS w CROSS JOIN audit_log AS a ON a.id > w.cursor WHERE w.lease = ?1 ORDER BY a.id LIMIT ?2"
    ))
    .values([lease.into(), FRESH.into()])
}

/// An entry that a webhook's receiver has not accepted.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) entry_id: i64,
    pub(crate) subject_type: String,
    pub(crate) subject: String,
    pub(crate) attempts: i64,
    /// Whether it comes after the cursor.
    pub(crate) is_fresh: bool,
    /// `None`: it was deleted from the log.
    pub(crate) entry: Option<Entry>,
    /// The random part of the entry's token. `None`: it has none.
    pub(crate) token: Option<String>,
}

impl Event {
    /// Reads the rows of [`fresh`].
    pub(crate) fn decode_all(results: &mut Results) -> Result<Vec<Self>, ApiError> {
        results
            .rows()?
            .into_iter()
            .map(|row| Self::decode(Columns::new(row), true))
            .collect()
    }

    fn is_of_subject_of(&self, other: &Self) -> bool {
        (&self.subject_type, &self.subject) == (&other.subject_type, &other.subject)
    }

    /// The event that its subject is behind with, without its entry, which was deleted from the log.
    fn gone(&self) -> Self {
        Self {
            entry_id: self.entry_id,
            subject_type: self.subject_type.clone(),
            subject: self.subject.clone(),
            attempts: self.attempts,
            is_fresh: self.is_fresh,
            entry: None,
            token: None,
        }
    }

    /// A later event of its subject, which was never sent.
    fn of_entry(mut self, entry_id: i64) -> Self {
        self.entry_id = entry_id;
        self.attempts = 0;
        self
    }

    fn decode(mut row: Columns, is_fresh: bool) -> Result<Self, ApiError> {
        let entry_id = row.integer("entry_id")?;
        let subject_type = row.text("subject_type")?;
        let subject = row.text("of_subject")?;
        let attempts = row.integer("attempts")?;
        let (entry, token) = match row.optional_integer("id")? {
            None => (None, None),
            Some(id) => {
                let entry = Entry {
                    id,
                    created_at: row.text("created_at")?,
                    key_id: row.optional_integer("key_id")?,
                    action: row.text("action")?,
                    subject: row.text("subject")?,
                    changed: row.optional_text("changed")?,
                    request_id: row.text("request_id")?,
                    session_id: None,
                };
                let token = row.optional_text("token")?;
                (Some(entry), token.map(|token| random_part(&token).into()))
            }
        };
        Ok(Self {
            entry_id,
            subject_type,
            subject,
            attempts,
            is_fresh,
            entry,
            token,
        })
    }
}

/// What came of an attempt. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Refused = 0,
    Accepted = 1,
    GivenUp = 2,
    /// Nothing was sent: the log has no such entry any more, or the webhook does not want it any more.
    Nothing = 3,
}

/// The work of a run between two batches, of the webhook of a lease.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) lease: &'a str,
    /// The address that the events were sent to. If the webhook has another URL by now, its receiver has refused nothing.
    pub(crate) url: &'a str,
    pub(crate) now: &'a Timestamp,
    pub(crate) lease_until: &'a Timestamp,
    /// A list in JSON: for each attempt the subject's type, the subject, the entry, the [`Outcome`], when to try again, the event's type, the status, the
    /// milliseconds, the answer, and the attempts before.
    pub(crate) attempts: &'a str,
    /// A list in JSON of the actions whose events the webhook wants, or of those whose events it does not want.
    pub(crate) actions: &'a str,
    /// Whether it wants the listed ones.
    pub(crate) are_wanted: bool,
    /// The last entry that was looked at.
    pub(crate) cursor: i64,
    /// Whether the receiver accepted something.
    pub(crate) accepted: bool,
    /// Whether it refused something.
    pub(crate) refused: bool,
}

impl Record<'_> {
    /// Moves the cursor, and keeps the lease or gives it back. An enabled webhook that has nothing left to send again fails no more. `goes_on` says whether the run goes on with this webhook if it is enabled still and there
    /// is more to send.
    pub(crate) fn release(&self, goes_on: bool) -> Sql {
        Sql::new(
            "UPDATE webhooks SET cursor = max(cursor, ?2), \
             failing_since = iif(?3 OR is_enabled AND NOT EXISTS (SELECT 1 FROM webhook_behind AS b WHERE b.webhook_id = webhooks.id), NULL, iif(?4 AND url = ?8, coalesce(failing_since, ?5), failing_since)), \
             (lease, lease_until) = (SELECT iif(goes_on, ?1, NULL), iif(goes_on, ?7, NULL) FROM (SELECT ?6 AND is_enabled \
             AND (max(cursor, ?2) < (SELECT max(id) FROM audit_log) OR EXISTS (SELECT 1 FROM webhook_behind AS b \
             WHERE b.webhook_id = webhooks.id AND b.next_at <= ?5)) AS goes_on)) WHERE lease = ?1",
        )
        .values([
            self.lease.into(),
            self.cursor.into(),
            self.accepted.into(),
            self.refused.into(),
            self.now.as_str().into(),
            goes_on.into(),
            self.lease_until.as_str().into(),
            self.url.into(),
        ])
    }

    /// Writes what came of the attempts, before [`Self::release`].
    pub(crate) fn of_attempts(&self) -> Vec<Sql> {
        if self.attempts == "[]" {
            return Vec::new();
        }
        let deliveries = Sql::new(
            "INSERT INTO webhook_deliveries (webhook_id, entry_id, subject, outcome, type, status, milliseconds, answer, at) \
             SELECT w.id, value ->> 2, value ->> 1, value ->> 3, value ->> 5, value ->> 6, value ->> 7, value ->> 8, ?3 \
             FROM webhooks AS w, json_each(?2) WHERE w.lease = ?1 AND value ->> 3 < 3",
        )
        .values([
            self.lease.into(),
            self.attempts.into(),
            self.now.as_str().into(),
        ]);
        // The events of the subject before this one were accepted or given up in the same run. A row with another event or other attempts than were read
        // stays as it is: somebody asked for that event, or gave the webhook another URL, meanwhile.
        let refused = Sql::new(
            "INSERT INTO webhook_behind (webhook_id, subject_type, subject, entry_id, attempts, next_at) \
             SELECT w.id, value ->> 0, value ->> 1, value ->> 2, iif(w.url = ?3, (value ->> 9) + 1, 0), iif(w.url = ?3, value ->> 4, ?4) \
             FROM webhooks AS w, json_each(?2) \
             WHERE w.lease = ?1 AND value ->> 3 = 0 ON CONFLICT (webhook_id, subject_type, subject) \
             DO UPDATE SET attempts = excluded.attempts, entry_id = excluded.entry_id, next_at = excluded.next_at \
             WHERE (entry_id, attempts) IN (SELECT j.value ->> 2, j.value ->> 9 FROM json_each(?2) AS j \
             WHERE j.value ->> 0 = excluded.subject_type AND j.value ->> 1 = excluded.subject)",
        )
        .values([
            self.lease.into(),
            self.attempts.into(),
            self.url.into(),
            self.now.as_str().into(),
        ]);
        // The next event of the same subject, up to the cursor. The signs keep SQLite from other indexes than that of the subject.
        let next = Sql::new(concat!(
            "UPDATE webhook_behind SET attempts = 0, next_at = ?5, entry_id = coalesce((SELECT a.id FROM audit_log AS a \
             WHERE a.subject = webhook_behind.subject AND a.id > (SELECT max(value ->> 2) FROM json_each(?2) \
             WHERE value ->> 0 = webhook_behind.subject_type AND value ->> 1 = webhook_behind.subject AND value ->> 3 > 0) \
             AND a.id <= max(?3, (SELECT cursor FROM webhooks WHERE lease = ?1)) \
             AND substr(+a.action, 1, instr(a.action, char(46)) - 1) = webhook_behind.subject_type \
             AND (+a.action IN (SELECT value FROM json_each(?4))) = ?6 ORDER BY a.id LIMIT 1), 0) WHERE webhook_id = ",
            leased!(),
            " AND (subject_type, subject, entry_id, attempts) IN \
             (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 9 FROM json_each(?2) WHERE value ->> 3 > 0)"
        ))
        .values([
            self.lease.into(),
            self.attempts.into(),
            self.cursor.into(),
            self.actions.into(),
            self.now.as_str().into(),
            self.are_wanted.into(),
        ]);
        let done = Sql::new(concat!(
            "DELETE FROM webhook_behind WHERE webhook_id = ",
            leased!(),
            " AND entry_id = 0"
        ))
        .values([self.lease.into()]);
        let mut all = Vec::from([deliveries]);
        if self.refused {
            all.push(refused);
        }
        all.extend([next, done]);
        all
    }

    /// Disables the webhook, with its audit entry.
    pub(crate) fn disable(&self, run: &Run, limit: &Timestamp) -> [Sql; 2] {
        let entry = audit::for_each(
            Action::WebhookDisable,
            "id",
            "webhooks WHERE lease = ?2 AND is_enabled AND url = ?3 AND failing_since <= ?4",
            [self.now.as_str(), self.lease, self.url, limit.as_str()].map(Value::from),
            run,
        );
        let update = Sql::new(
            "UPDATE webhooks SET is_enabled = 0, updated_at = ?2 WHERE lease = ?1 AND is_enabled AND url = ?3 AND failing_since <= ?4",
        )
        .values([self.lease, self.now.as_str(), self.url, limit.as_str()].map(Value::from));
        [entry, update]
    }
}

/// A delivery as a caller sees it.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: i64,
    pub(crate) epoch: String,
    pub(crate) entry_id: i64,
    pub(crate) event: String,
    pub(crate) subject: String,
    pub(crate) at: String,
    pub(crate) outcome: i64,
    pub(crate) status: Option<i64>,
    pub(crate) milliseconds: i64,
    pub(crate) answer: String,
}

/// Reads the deliveries of a webhook before one of them, the newest first, and one more than `limit` if there is one. The results are whether there is such a
/// webhook, and the rows.
pub(crate) fn list(caller: &Caller, id: &str, before: i64, limit: i64) -> Sql {
    standing::statement(
        caller,
        concat!(
            "SELECT k.standing, w.id IS NOT NULL AS id_is_there, d.id, ",
            epoch!(),
            " AS epoch, d.entry_id, d.type, d.subject, d.at, d.outcome, d.status, d.milliseconds, d.answer FROM ",
            caller!(),
            " AS k LEFT JOIN webhooks AS w ON w.id = iif(k.standing, ?5, NULL) \
             LEFT JOIN webhook_deliveries AS d ON d.webhook_id = w.id AND d.id < ?6 ORDER BY d.id DESC LIMIT ?7"
        ),
    )
    .values([id.into(), before.into(), (limit + 1).into()])
}

impl Delivery {
    /// Reads a row of [`list`]. `None`: the webhook has no delivery.
    pub(crate) fn decode(mut row: Judged) -> Result<Option<Self>, ApiError> {
        if !row.boolean("id_is_there")? {
            return Err(ApiError::NotFound { what: "webhook" });
        }
        let Some(id) = row.optional_integer("id")? else {
            return Ok(None);
        };
        let epoch = row.text("epoch")?;
        let entry_id = row.integer("entry_id")?;
        let event = row.text("type")?;
        let subject = row.text("subject")?;
        let at = row.text("at")?;
        let outcome = row.integer("outcome")?;
        let status = row.optional_integer("status")?;
        let milliseconds = row.integer("milliseconds")?;
        Ok(Some(Self {
            id,
            epoch,
            entry_id,
            event,
            subject,
            at,
            outcome,
            status,
            milliseconds,
            answer: row.text("answer")?,
        }))
    }
}
