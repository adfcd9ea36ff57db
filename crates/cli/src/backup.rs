//! Reads the SQL file that `wrangler d1 export` writes, and writes one that D1 imports.
//!
//! The exported file does not import as it is: it has our triggers before their views, and a long row exceeds D1's longest statement. It can
//! also lose a text: a line end becomes `\n`, and so does a backslash before an `n` in the same text.

mod literal;
mod script;
mod split;
mod tally;

use std::borrow::Cow;

use crate::error::Error;

pub use literal::Value;
pub use script::{insert, insert_whole, quoted};
pub use tally::{
    LeftOut, Reading, Seal, Tallies, Tally, at_rest, differences, is_changed_by_restore,
    is_in_motion, of_database, of_dump,
};

/// A table of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its `CREATE TABLE`.
    pub sql: &'a str,
    /// Whether it has no row ids.
    pub is_without_rowid: bool,
}

/// A row of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// The table's name.
    pub table: Cow<'a, str>,
    /// The columns' names.
    pub columns: Vec<Cow<'a, str>>,
    /// A value for each column.
    pub values: Vec<Value>,
    /// Whether the export had to escape line ends, which may have changed a text.
    pub is_escaped: bool,
    /// The statement.
    pub sql: &'a str,
}

impl Row<'_> {
    /// Returns the row's values as an export shows them: two rows that it shows alike may differ in their line ends.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        shown(&self.values)
    }

    /// Returns a column's value.
    #[must_use]
    pub fn value(&self, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values.get(at)
    }

    /// Returns a column's text, if it has one.
    #[must_use]
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.value(column) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Returns values as an export shows them.
#[must_use]
pub fn shown(values: &[Value]) -> Vec<String> {
    values
        .iter()
        .map(|value| literal::escaped(&value.canonical()))
        .collect()
}

/// The content of an exported file.
#[derive(Debug, Default)]
pub struct Dump<'a> {
    /// The tables, in the file's order.
    pub tables: Vec<Table<'a>>,
    /// The rows, in the file's order.
    pub rows: Vec<Row<'a>>,
    /// The rows of `sqlite_sequence`.
    pub sequences: Vec<Row<'a>>,
    /// `CREATE INDEX`.
    pub indexes: Vec<&'a str>,
    /// `CREATE VIEW`.
    pub views: Vec<&'a str>,
    /// `CREATE TRIGGER`.
    pub triggers: Vec<&'a str>,
}

/// The objects that every export of a registry has. The views are its last statements, so a file that was cut lacks them.
const TABLES: [&str; 5] = [
    "d1_migrations",
    "api_keys",
    "tenants_plans",
    "tenants",
    "audit_log",
];
const VIEWS: [&str; 6] = [
    "create_tenant",
    "edit_tenant",
    "delete_tenant",
    "create_plan",
    "edit_plan",
    "delete_plan",
];

impl<'a> Dump<'a> {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Fails if it has a statement that an export does not have, or lacks a part of the registry.
    pub fn read(text: &'a str) -> Result<Self, Error> {
        let mut dump = Self::default();
        for statement in split::statements(text).map_err(unreadable)? {
            dump.add(statement)
                .map_err(|why| unreadable(format!("{why}: {}", start_of(statement))))?;
        }
        for table in TABLES {
            if dump.table(table).is_none() {
                return Err(unreadable(format!("it has no table `{table}`")));
            }
        }
        for view in VIEWS {
            let head = format!("CREATE VIEW {view} ");
            if !dump.views.iter().any(|sql| sql.starts_with(&head)) {
                return Err(unreadable(format!("it has no view `{view}`")));
            }
        }
        Ok(dump)
    }

    fn add(&mut self, sql: &'a str) -> Result<(), String> {
        let mut words = sql.split_ascii_whitespace();
        let first = [words.next().unwrap_or(""), words.next().unwrap_or("")];
        match first
            .map(|word| word.to_ascii_uppercase())
            .each_ref()
            .map(String::as_str)
        {
            ["CREATE", "TABLE"] => {
                let name = split::table_name(sql)?;
                let tail = sql.rsplit(')').next().unwrap_or("").to_ascii_uppercase();
                self.tables.push(Table {
                    name,
                    sql,
                    is_without_rowid: tail.contains("WITHOUT ROWID"),
                });
            }
            ["CREATE", "INDEX" | "UNIQUE"] => self.indexes.push(sql),
            ["CREATE", "VIEW"] => self.views.push(sql),
            ["CREATE", "TRIGGER"] => self.triggers.push(sql),
            ["INSERT", "INTO"] => {
                let row = literal::row(sql)?;
                match &*row.table {
                    "sqlite_sequence" => self.sequences.push(row),
                    // Statistics of the query planner, which SQLite makes again.
                    name if name.starts_with("sqlite_stat") => {}
                    _ => self.rows.push(row),
                }
            }
            ["PRAGMA", _] | ["ANALYZE", _] | ["BEGIN", _] | ["COMMIT", ""] => {}
            ["DELETE", "FROM"] if sql.ends_with("sqlite_sequence") => {}
            _ => return Err("an export has no such statement".into()),
        }
        Ok(())
    }

    /// Returns a table.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table<'a>> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Returns the rows of a table.
    pub fn rows_of<'s>(&'s self, table: &'s str) -> impl Iterator<Item = &'s Row<'a>> {
        self.rows.iter().filter(move |row| row.table == table)
    }
}

fn start_of(statement: &str) -> String {
    let line = statement.lines().next().unwrap_or("");
    let shown: String = line.chars().take(60).collect();
    format!("`{shown}`")
}

/// Returns the error for a file that is no export.
fn unreadable(why: String) -> Error {
    Error::Refused {
        code: "not_a_backup",
        detail: format!("the file is not a complete export of a registry: {why}"),
    }
}

#[cfg(test)]
mod tests;
