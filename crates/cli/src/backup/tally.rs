//! Compares the rows of a file with those of a database: how many a table has, and a digest of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Dump, Value, quoted};
use crate::database::Database;
use crate::error::Error;
use crate::progress::Progress;

/// The most rows of a table in one reading.
const PAGE_ROWS: u64 = 1_000;
/// The most characters of a table's rows in one reading, except for its first row.
const PAGE_CHARACTERS: u64 = 400_000;
/// The most tables in one call of wrangler. Each call takes about a second, so one for each table would take hours.
const TABLES_A_CALL: usize = 20;
/// The longest text of one call. Windows limits all arguments of a program to 32 KiB.
const CALL_BYTES: usize = 24_000;

/// The number of a table's rows, and the sum of their digests. Their order does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the rows' SHA-256, as four numbers that wrap around.
    digest: [u64; 4],
}

impl Tally {
    /// Adds a row.
    pub fn add<'v>(&mut self, values: impl IntoIterator<Item = &'v Value>) {
        let mut digest = Sha256::new();
        for value in values {
            let text = value.canonical();
            digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(text.as_bytes());
        }
        self.rows += 1;
        for (sum, bytes) in self.digest.iter_mut().zip(digest.finalize().chunks(8)) {
            let number = bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
            *sum = sum.wrapping_add(number);
        }
    }
}

/// A tally for each table.
pub type Tallies = BTreeMap<String, Tally>;

/// The last line of a file that `tenants backup` wrote.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seal {
    /// The tallies of the file.
    pub tables: Tallies,
}

impl Seal {
    const START: &str = "-- tenants backup ";

    /// Returns the line.
    ///
    /// # Errors
    /// Fails if JSON cannot represent it.
    pub fn line(&self) -> Result<String, Error> {
        Ok(format!("{}{}", Self::START, crate::session::to_json(self)?))
    }

    /// Reads the line at the end of a file, if it has one.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let line = text.trim_end().lines().next_back()?;
        serde_json::from_str(line.strip_prefix(Self::START)?).ok()
    }
}

/// Returns the tallies of a file.
#[must_use]
pub fn of_dump(dump: &Dump<'_>) -> Tallies {
    let mut tallies: Tallies = dump
        .tables
        .iter()
        .map(|table| (table.name.to_string(), Tally::default()))
        .collect();
    for row in &dump.rows {
        tallies
            .entry(row.table.to_string())
            .or_default()
            .add(&row.values);
    }
    tallies
}

/// Names the tables whose tallies differ, with the reason.
#[must_use]
pub fn differences(file: &Tallies, database: &Tallies) -> Vec<String> {
    let mut names: Vec<&String> = file.keys().chain(database.keys()).collect();
    names.sort();
    names.dedup();
    let of = |tallies: &Tallies, name: &String| tallies.get(name).copied().unwrap_or_default();
    let difference = |name: &String| {
        let (file, database) = (of(file, name), of(database, name));
        if file == database {
            None
        } else if file.rows == database.rows {
            Some(format!(
                "{name}: a row of the file differs from the database's"
            ))
        } else {
            Some(format!(
                "{name}: the file has {} rows, the database {}",
                file.rows, database.rows
            ))
        }
    };
    names.into_iter().filter_map(difference).collect()
}

/// A table to read.
#[derive(Debug)]
pub struct Reading {
    /// Its name.
    pub table: String,
    /// Its columns. Without them, only its rows are counted.
    pub columns: Vec<String>,
    /// Whether it has no row ids.
    pub is_without_rowid: bool,
    /// The highest row id to read.
    pub upto: Option<i64>,
}

impl Reading {
    /// Returns the tables of a file, with the columns of those that have rows.
    #[must_use]
    pub fn of_dump(dump: &Dump<'_>) -> Vec<Self> {
        let mut columns: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for row in &dump.rows {
            columns
                .entry(&row.table)
                .or_insert_with(|| row.columns.iter().map(ToString::to_string).collect());
        }
        let reading = |table: &super::Table<'_>| Self {
            table: table.name.to_string(),
            columns: columns.remove(&*table.name).unwrap_or_default(),
            is_without_rowid: table.is_without_rowid,
            upto: None,
        };
        dump.tables.iter().map(reading).collect()
    }

    fn condition(&self) -> String {
        match self.upto {
            Some(upto) => format!("_rowid_ <= {upto}"),
            None => "true".into(),
        }
    }

    fn count(&self) -> String {
        let (table, condition) = (quoted(&self.table), self.condition());
        format!("SELECT count(*) FROM {table} WHERE {condition}")
    }

    /// The statement that reads the rows after row id `after`, of which `read` were read already. Each row begins with its id.
    fn page(&self, after: i64, read: u64) -> String {
        let table = quoted(&self.table);
        let mut values = Vec::new();
        let mut lengths = Vec::new();
        for (n, column) in self.columns.iter().enumerate() {
            let column = quoted(column);
            // Not CASE, whose END might be taken for the one of a trigger where statements are cut apart.
            values.push(format!(
                "iif(typeof({column}) = 'text', 't' || {column}, iif(typeof({column}) = 'blob', 'b' || hex({column}), \
                 iif({column} IS NULL, 'n', 'i' || quote({column})))) AS c{n}"
            ));
            lengths.push(format!("length(c{n})"));
        }
        let names: Vec<String> = (0..values.len()).map(|n| format!("c{n}")).collect();
        let (values, names) = (values.join(", "), names.join(", "));
        if self.is_without_rowid {
            // SQLite reads these in the order of their key.
            return format!("SELECT 0 AS k, {values} FROM {table} LIMIT {PAGE_ROWS} OFFSET {read}");
        }
        let (condition, length) = (self.condition(), lengths.join(" + "));
        format!(
            "SELECT k, {names} FROM (SELECT *, {length} AS own, sum({length}) OVER (ORDER BY k) AS upto FROM \
             (SELECT _rowid_ AS k, {values} FROM {table} WHERE _rowid_ > {after} AND {condition} ORDER BY _rowid_ LIMIT {PAGE_ROWS})) \
             WHERE upto - own < {PAGE_CHARACTERS} ORDER BY k"
        )
    }
}

/// Reads tables of a database. Gives each row to `see`.
///
/// # Errors
/// Fails if the database fails.
pub fn of_database(
    database: &Database,
    tables: &[Reading],
    see: &mut dyn FnMut(&str, &[Value]),
    progress: &mut Progress<'_, '_>,
) -> Result<Tallies, Error> {
    let mut tallies = Tallies::new();
    let mut counts = Vec::new();
    let mut rest = tables;
    while !rest.is_empty() {
        let statements = fitting(rest.iter().map(Reading::count));
        let (now, later) = rest.split_at(statements.len());
        rest = later;
        for (table, rows) in now.iter().zip(database.query(&statements)?) {
            let count = rows.first().and_then(|row| row.first()?.as_u64());
            counts.push((table, count.ok_or_else(unreadable)?));
        }
    }
    let total = counts.iter().map(|(_, count)| count).sum();
    let mut done = 0;
    // Each table that has rows left, with the last row id and the number of rows.
    let mut open = Vec::new();
    for (table, count) in counts {
        let tally = tallies.entry(table.table.clone()).or_default();
        if table.columns.is_empty() {
            tally.rows = count;
            done += count;
        } else if count > 0 {
            open.push((table, i64::MIN, count));
        }
    }
    while !open.is_empty() {
        let read = |table: &Reading| tallies.get(&table.table).map_or(0, |tally| tally.rows);
        let statements = fitting(
            open.iter()
                .map(|(table, after, _)| table.page(*after, read(table))),
        );
        let results = database.query(&statements)?;
        let now: Vec<(&Reading, i64, u64)> = open.drain(..statements.len()).collect();
        let mut again = Vec::new();
        for ((table, mut after, count), rows) in now.into_iter().zip(results) {
            let is_empty = rows.is_empty();
            let tally = tallies.entry(table.table.clone()).or_default();
            for row in rows {
                let mut row = row.into_iter();
                after = row.next().and_then(|k| k.as_i64()).ok_or_else(unreadable)?;
                let values = row
                    .map(|value| decoded(value.as_str()?))
                    .collect::<Option<Vec<_>>>();
                let values = values.ok_or_else(unreadable)?;
                see(&table.table, &values);
                tally.add(&values);
                done += 1;
            }
            if !is_empty && tally.rows < count {
                again.push((table, after, count));
            }
        }
        // A table's pages are read one after the other, so the database is not asked for one large table alone at the end.
        open.extend(again);
        progress.show(done, total);
    }
    Ok(tallies)
}

/// Takes as many statements as one call of wrangler can have, at least one.
fn fitting(statements: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for statement in statements.take(TABLES_A_CALL) {
        bytes += statement.len();
        if !taken.is_empty() && bytes > CALL_BYTES {
            break;
        }
        taken.push(statement);
    }
    taken
}

fn decoded(text: &str) -> Option<Value> {
    let (kind, rest) = text.split_at_checked(1)?;
    Some(match kind {
        "t" => Value::Text(rest.into()),
        "b" => Value::Blob(rest.into()),
        "i" => Value::Number(rest.into()),
        _ => Value::Null,
    })
}

fn unreadable() -> Error {
    Error::Database("cannot read wrangler's output: a row has another form than asked for".into())
}
