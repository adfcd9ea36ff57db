//! The statements that the command line runs, as text: wrangler binds no values.
//!
//! [`text`] is the one place where a value becomes part of a statement.

use tenants_core::auth::key::IssuedKey;
use tenants_core::clock::Timestamp;

/// A text as a literal of SQL.
///
/// Where it is more than lower-case letters, digits and the marks of a time, it is written as the bytes of its UTF-8. Quotes
/// doubled would do for SQLite, but wrangler edits a statement before SQLite sees it: it takes `BEGIN TRANSACTION;` and
/// `COMMIT;` out of it wherever they stand, and for a remote database it rewrites line ends. U+0000, at which SQLite's own
/// functions end a text, is for the caller to refuse.
fn text(value: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-: ".contains(&b);
    if value.bytes().all(is_plain) {
        format!("'{value}'")
    } else {
        format!("CAST(X'{}' AS TEXT)", hex::encode(value))
    }
}

fn nullable(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".into(), text)
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

/// The id that the next key is to have: ids count up and are never given twice.
pub const NEXT_KEY_ID: &str =
    "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'api_keys'), 0) + 1 AS id";

/// Inserts a key under the id it was issued for, unless that id was given away since [`NEXT_KEY_ID`] was asked. The first
/// result has a row where it was inserted.
#[must_use]
pub fn insert_key(
    id: u64,
    key: &IssuedKey,
    name: Option<&str>,
    expires_at: Option<&Timestamp>,
    trace: Trace<'_>,
) -> String {
    let digest = text(key.digest());
    let now = text(trace.now.as_str());
    let name = nullable(name);
    let expires_at = nullable(expires_at.map(Timestamp::as_str));
    let entry = trace.entry("api_key.create", &format!("'{id}'"));
    format!(
        "INSERT INTO api_keys (id, name, digest, created_at, expires_at) SELECT {id}, {name}, {digest}, {now}, {expires_at} \
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'api_keys' AND seq >= {id}) RETURNING id; \
         {entry} FROM api_keys WHERE id = {id} AND digest = {digest}"
    )
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
