//! Writes the file that D1 imports.

use std::io::{self, Write};

use super::{Dump, Row, Value};

/// D1's longest statement, in bytes.
const MAX_STATEMENT_BYTES: usize = 100_000;
/// The longest part of a text in one statement, in bytes. As hexadecimal digits it takes twice as many.
const PART_BYTES: usize = 30_000;

impl Dump<'_> {
    /// Writes statements that create everything in a database that has nothing. Views come before the triggers on them. `corrected` gives a
    /// row's values if they differ from the file's.
    ///
    /// # Errors
    /// Fails if the file cannot be written, or if a row of a table without row ids is too long.
    pub fn write_script(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "PRAGMA defer_foreign_keys = true;")?;
        for table in &self.tables {
            writeln!(out, "{};", table.sql)?;
        }
        for row in &self.rows {
            let is_without_rowid = self.table(&row.table).is_some_and(|t| t.is_without_rowid);
            for statement in insert(row, is_without_rowid).map_err(io::Error::other)? {
                writeln!(out, "{statement};")?;
            }
        }
        writeln!(out, "DELETE FROM sqlite_sequence;")?;
        for row in &self.sequences {
            for statement in insert(row, true).map_err(io::Error::other)? {
                writeln!(out, "{statement};")?;
            }
        }
        for statement in self.indexes.iter().chain(&self.views).chain(&self.triggers) {
            writeln!(out, "{statement};")?;
        }
        Ok(())
    }
}

/// Returns the statements that insert a row. A row that exceeds one statement has the rest of its long texts appended by further ones.
///
/// # Errors
/// Fails if that is not possible.
pub fn insert(row: &Row<'_>, is_without_rowid: bool) -> Result<Vec<String>, String> {
    let table = quoted(&row.table);
    let mut values: Vec<String> = row.values.iter().map(literal).collect();
    let mut statements = vec![whole(row, &values)];
    while statements[0].len() >= MAX_STATEMENT_BYTES {
        let longest = (0..values.len()).max_by_key(|at| values[*at].len());
        let text = longest.and_then(|at| match &row.values[at] {
            Value::Text(text) if text.len() > PART_BYTES && !is_without_rowid => Some((at, text)),
            _ => None,
        });
        let Some((at, text)) = text.filter(|(at, _)| values[*at] == literal(&row.values[*at]))
        else {
            return Err(format!(
                "a row of {table} does not fit into a statement of {MAX_STATEMENT_BYTES} bytes"
            ));
        };
        let mut parts = parts(text);
        values[at] = parts.next().map_or_else(|| "''".into(), text_literal);
        let column = quoted(&row.columns[at]);
        statements.extend(parts.map(|part| {
            let part = text_literal(part);
            format!("UPDATE {table} SET {column} = {column} || {part} WHERE _rowid_ = last_insert_rowid()")
        }));
        statements[0] = whole(row, &values);
    }
    Ok(statements)
}

/// Returns the statement that inserts a row, however long it is.
#[must_use]
pub fn insert_whole(row: &Row<'_>) -> String {
    let values: Vec<String> = row.values.iter().map(literal).collect();
    whole(row, &values)
}

fn whole(row: &Row<'_>, values: &[String]) -> String {
    let columns: Vec<String> = row.columns.iter().map(|name| quoted(name)).collect();
    let (table, columns, values) = (quoted(&row.table), columns.join(","), values.join(","));
    format!("INSERT INTO {table} ({columns}) VALUES({values})")
}

/// Cuts a text into parts of at most [`PART_BYTES`].
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (part, after) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
        rest = after;
        Some(part)
    })
}

/// Returns a name in quotes.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Number(digits) => digits.clone(),
        Value::Text(text) => text_literal(text),
        Value::Blob(digits) => format!("X'{digits}'"),
    }
}

/// Returns a text as a literal. A text that wrangler or D1 might cut or edit is written as its bytes: both cut the file themselves, perhaps
/// without regard to quotes, and wrangler removes `BEGIN TRANSACTION;` wherever it is.
fn text_literal(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    let is_plain = !text.chars().any(|c| c.is_control() || c == ';')
        && !["--", "/*", "BEGIN", "END"]
            .iter()
            .any(|odd| upper.contains(odd));
    if is_plain {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("CAST(X'{}' AS TEXT)", hex::encode(text))
    }
}
