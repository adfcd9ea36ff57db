//! The statements that the command line runs, as text, since wrangler binds no values.
//!
//! Only `text` makes a value part of a statement. [`script`] uses it to write the core's statements.

use std::iter::Peekable;
use std::str::CharIndices;

use tenants_core::sql::{Batch, Statement, Value};

/// Returns a text as an SQL literal.
///
/// A word (such as an identifier, or an encrypted text, which may be followed by its place) or a time is quoted. Any other text is written as its UTF-8 bytes.
/// SQLite would accept doubled quotes, but wrangler edits a statement before SQLite sees it: it removes `BEGIN TRANSACTION;`
/// and `COMMIT;` wherever they are, and for a remote database it rewrites line ends. The caller must refuse U+0000, at which
/// SQLite's own functions end a text.
fn text(value: &str) -> String {
    let is_word = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-@/".contains(&b));
    let is_time = value
        .bytes()
        .all(|b| b.is_ascii_digit() || b"-: ".contains(&b));
    if is_word || is_time {
        format!("'{value}'")
    } else {
        format!("CAST(X'{}' AS TEXT)", hex::encode(value))
    }
}

/// Returns a batch's statements with their values, as text for wrangler.
#[must_use]
pub fn script(batch: &Batch) -> String {
    statements(batch).join("; ")
}

/// Returns each of a batch's statements with its values.
#[must_use]
pub fn statements(batch: &Batch) -> Vec<String> {
    batch.statements().iter().map(statement).collect()
}

/// Returns a statement with its values in place of `?1`, `?2`, …
fn statement(statement: &Statement) -> String {
    let text = statement.text();
    let mut sql = String::with_capacity(text.len());
    let mut chars = text.char_indices().peekable();
    while let Some((_, c)) = chars.next() {
        if c == '?' {
            // INVARIANT: the core numbers its placeholders, binds a value to each, and writes no other `?`. Its tests check this.
            let value = number(&mut chars, text).and_then(|n| statement.values().get(n - 1));
            sql += &value.map_or_else(|| "?".into(), literal);
        } else {
            sql.push(c);
        }
    }
    sql
}

/// Reads a placeholder's number.
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

#[cfg(test)]
mod tests;
