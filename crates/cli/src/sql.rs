//! The statements that the command line runs, as text: wrangler binds no values.
//!
//! [`text`] is the one place where a value becomes part of a statement; [`script`] writes the core's own statements with it.

use std::iter::Peekable;
use std::str::CharIndices;

use tenants_core::sql::{Batch, Statement, Value};
use tenants_core::value::clock::Timestamp;

/// A text as a literal of SQL.
///
/// Where it is more than one word (as identifiers and sealed texts are) or a time, it is written as the bytes of its UTF-8.
/// Quotes doubled would do for SQLite, but wrangler edits a statement before SQLite sees it: it takes `BEGIN TRANSACTION;` and
/// `COMMIT;` out of it wherever they stand, and for a remote database it rewrites line ends. U+0000, at which SQLite's own
/// functions end a text, is for the caller to refuse.
fn text(value: &str) -> String {
    let is_word = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let is_time = value
        .bytes()
        .all(|b| b.is_ascii_digit() || b"-: ".contains(&b));
    if is_word || is_time {
        format!("'{value}'")
    } else {
        format!("CAST(X'{}' AS TEXT)", hex::encode(value))
    }
}

/// A batch's statements as text, values and all: what wrangler is given.
#[must_use]
pub fn script(batch: &Batch) -> String {
    let statements: Vec<String> = batch.statements().iter().map(statement).collect();
    statements.join("; ")
}

/// A statement with its values in the place of `?1`, `?2`, …
fn statement(statement: &Statement) -> String {
    let text = statement.text();
    let mut sql = String::with_capacity(text.len());
    let mut chars = text.char_indices().peekable();
    while let Some((_, c)) = chars.next() {
        if c == '?' {
            // INVARIANT: the core numbers its placeholders, binds a value to each, and writes no other `?` (its tests hold it).
            let value = number(&mut chars, text).and_then(|n| statement.values().get(n - 1));
            sql += &value.map_or_else(|| "?".into(), literal);
        } else {
            sql.push(c);
        }
    }
    sql
}

/// Reads the digits that follow.
fn number(chars: &mut Peekable<CharIndices<'_>>, text: &str) -> Option<usize> {
    let (start, _) = *chars.peek()?;
    while chars.next_if(|(_, c)| c.is_ascii_digit()).is_some() {}
    let end = chars.peek().map_or(text.len(), |(at, _)| *at);
    text[start..end].parse().ok().filter(|n| *n > 0)
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(n) => n.to_string(),
        Value::Text(value) => text(value),
    }
}

/// What is written down of who did it: an operator at the command line, who has no key.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// The run's id, in the place of a request's.
    pub request_id: &'a str,
    /// When.
    pub now: &'a Timestamp,
}

impl Trace<'_> {
    fn entry(&self, action: &str, subject: &str) -> String {
        format!(
            "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT NULL, {}, {subject}, {}, {}",
            // Not `text`: ours, and it has an underscore and a dot.
            format_args!("'{action}'"),
            text(self.request_id),
            text(self.now.as_str()),
        )
    }
}

/// Which keys are meant: by id, by name, or by both at once.
#[derive(Debug, Clone, Copy)]
pub struct KeyChoice<'a> {
    /// That id.
    pub id: Option<u64>,
    /// That name.
    pub name: Option<&'a str>,
}

/// Deletes the keys that are meant and not yet deleted. The second result has their ids.
#[must_use]
pub fn delete_keys(choice: KeyChoice<'_>, trace: Trace<'_>) -> String {
    let mut meant = "deleted_at IS NULL".to_owned();
    if let Some(id) = choice.id {
        meant += &format!(" AND id = {id}");
    }
    if let Some(name) = choice.name {
        meant += &format!(" AND name = {}", text(name));
    }
    let now = text(trace.now.as_str());
    let entry = trace.entry("api_key.delete", "CAST(id AS TEXT)");
    format!(
        "{entry} FROM api_keys WHERE {meant}; UPDATE api_keys SET deleted_at = {now} WHERE {meant} RETURNING id"
    )
}

/// All keys.
pub const KEYS: &str =
    "SELECT id, name, created_at, expires_at, deleted_at FROM api_keys ORDER BY id";

/// The row of a key, if its digest is that key's.
#[must_use]
pub fn key_row(id: i64, digest: &str) -> String {
    format!(
        "SELECT id, name, created_at, expires_at, deleted_at FROM api_keys WHERE id = {id} AND digest = {}",
        text(digest)
    )
}

#[cfg(test)]
mod tests;
