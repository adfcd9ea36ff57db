//! The list of the audit log's entries.
//!
//! As in `store/find.rs`, the first filter that a request sets finds the rows, by its own index, and each further one is written so that
//! SQLite cannot use an index for it (a `+` before its column). Filters come in the order of how few entries they leave.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Columns, Results, Sql, Value};
use crate::store::audit::Action;
use crate::store::registry::epoch;
use crate::store::standing::{self, allowed_caller};
use crate::value::fault::ApiError;
use crate::wire::audit::{AuditFilter, AuditQuery};
use crate::wire::events::EventQuery;

/// An entry of the log.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) created_at: String,
    /// `None`: an operator at the command line.
    pub(crate) key_id: Option<i64>,
    pub(crate) action: String,
    pub(crate) subject: String,
    /// The names of the members that an edit changed, with a space between them.
    pub(crate) changed: Option<String>,
    pub(crate) request_id: String,
    /// The session of the console that wrote it: what its token has before a full stop (`store/write.rs`).
    pub(crate) session_id: Option<String>,
}

/// What the log has.
#[derive(Debug)]
pub(crate) struct Span {
    /// The database's epoch. A restored database has another one.
    pub(crate) epoch: String,
    /// The first and the last entry's number: 0 if there is none.
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
}

impl Span {
    /// Reads the first result of [`events`].
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = standing::judged(results)?;
        Ok(Self {
            epoch: row.text("epoch")?,
            oldest: row.integer("oldest")?,
            newest: row.integer("newest")?,
        })
    }
}

/// The expression that the index of the subject's types has. 46 is the full stop.
macro_rules! subject_type {
    () => {
        "substr(a.action, 1, instr(a.action, char(46)) - 1) = "
    };
}

/// By how much the times of entries may contradict the order of their ids, for SQLite's `datetime`. Each request has the time of its own host, so ids and
/// times ascend together, but for the difference of the hosts' clocks and the time that a batch waits for the database.
const UNORDERED: &str = "-3600 seconds";

/// Reads a page of entries, and one more if there is one. The results are the caller's standing and the rows.
pub(crate) fn page(caller: &Caller, query: &AuditQuery) -> Batch {
    let rows = entries(caller, &query.filter, query.after);
    Batch::of([standing::alone(caller), limited(rows, query.limit)])
}

/// Reads a page of events, and one more if there is one. The results are a [`Span`] and the rows.
pub(crate) fn events(caller: &Caller, query: &EventQuery) -> Batch {
    let head = standing::statement(
        caller,
        concat!(
            "SELECT ",
            standing::standing!(),
            " AS standing, ",
            epoch!(),
            " AS epoch, (SELECT coalesce(min(id), 0) FROM audit_log) AS oldest, (SELECT coalesce(max(id), 0) FROM audit_log) AS newest"
        ),
    );
    let mut rows = entries(caller, &query.filter, query.after.number());
    if query.filter.action.is_none() {
        for action in Action::ALL {
            if action.event().is_none() {
                rows = rows.sql(" AND +a.action <> ").bind(action.as_str());
            }
        }
    }
    Batch::of([head, limited(rows, query.limit)])
}

/// The entries after a number for which a filter holds.
fn entries(caller: &Caller, filter: &AuditFilter, after: i64) -> Sql {
    let rows = standing::statement(
        caller,
        concat!(
            "SELECT a.id, a.created_at, a.key_id, a.action, a.subject, a.changed, a.request_id, \
             iif(instr(a.token, char(46)) > 0, substr(a.token, 1, instr(a.token, char(46)) - 1), NULL) AS session_id FROM ",
            allowed_caller!(),
            " AS k CROSS JOIN audit_log AS a ON a.id > "
        ),
    );
    conditions(rows, filter, after)
}

/// The first rows, and one more if there is one.
fn limited(rows: Sql, limit: i64) -> Sql {
    rows.sql(" ORDER BY a.id LIMIT ").bind(limit + 1)
}

/// The time of the first entry from the middle between two numbers on.
macro_rules! middle {
    () => {
        "(SELECT created_at FROM audit_log WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1)"
    };
}

/// Adds the number of the entry before the first one, and the conditions.
fn conditions(sql: Sql, filter: &AuditFilter, after: i64) -> Sql {
    let AuditFilter {
        subject_type,
        subject,
        action,
        key_id,
        since,
    } = filter;
    let subject: Option<Value> = subject.as_deref().map(Into::into);
    let action: Option<Value> = action.map(Into::into);
    let key_id: Option<Value> = key_id.map(Into::into);
    let subject_type: Option<Value> = subject_type.map(Into::into);
    let others = [
        (subject, "a.subject = ", "+a.subject = "),
        (action, "a.action = ", "+a.action = "),
        (key_id, "a.key_id IS ", "+a.key_id IS "),
        (
            subject_type,
            subject_type!(),
            "substr(+a.action, 1, instr(a.action, char(46)) - 1) = ",
        ),
    ];
    let mut sql = match since {
        // Halves the ids until the last entry before the time is found: 20 times for a million.
        Some(since) if others.iter().all(|(value, ..)| value.is_none()) => sql
            .sql("max(")
            .bind(after)
            .sql(
                ", (WITH RECURSIVE b (low, high, since) AS (SELECT 0, coalesce(max(id), 0) + 1, datetime(",
            )
            .bind(since.as_str())
            .sql(", ")
            .bind(UNORDERED)
            .sql(concat!(
                ") FROM audit_log UNION ALL SELECT iif(",
                middle!(),
                " < since, (low + high) / 2, low), iif(",
                middle!(),
                " < since, high, (low + high) / 2), since FROM b WHERE high - low > 1) SELECT max(low) FROM b))"
            )),
        _ => sql.bind(after),
    };
    let mut is_found = false;
    for (value, indexed, other) in others {
        let Some(value) = value else { continue };
        let text = if is_found { other } else { indexed };
        sql = sql.sql(" AND ").sql(text).bind(value);
        is_found = true;
    }
    match since {
        Some(since) => sql.sql(" AND +a.created_at >= ").bind(since.as_str()),
        None => sql,
    }
}

impl Entry {
    /// Reads the results of [`page`]: the entries, and whether others follow.
    pub(crate) fn decode_page(
        results: &mut Results,
        limit: i64,
    ) -> Result<(Vec<Self>, bool), ApiError> {
        standing::judged(results)?;
        Self::decode_rows(results, limit)
    }

    /// Reads the rows alone: the entries, and whether others follow.
    pub(crate) fn decode_rows(
        results: &mut Results,
        limit: i64,
    ) -> Result<(Vec<Self>, bool), ApiError> {
        let mut entries = Vec::new();
        for row in results.rows()? {
            let mut row = Columns::new(row);
            entries.push(Self {
                id: row.integer("id")?,
                created_at: row.text("created_at")?,
                key_id: row.optional_integer("key_id")?,
                action: row.text("action")?,
                subject: row.text("subject")?,
                changed: row.optional_text("changed")?,
                request_id: row.text("request_id")?,
                session_id: row.optional_text("session_id")?,
            });
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok((entries, more))
    }
}
