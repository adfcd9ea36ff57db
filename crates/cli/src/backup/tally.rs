//! Compares the rows of a file with those of a database: how many a table has, and a digest of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Dump, Value, quoted};
use crate::database::{CALL_BYTES, Database};
use crate::error::Error;
use crate::progress::Progress;

/// The most rows of a table in one reading.
const PAGE_ROWS: u64 = 10_000;
/// The characters of rows with which a call ends, which its tables share. A row that reaches a table's part is its last one.
const CALL_CHARACTERS: usize = 8_000_000;
/// The most tables whose rows one call of wrangler reads. Each call takes a second or more, so one for each table would take hours.
const TABLES_A_CALL: usize = 20;
/// The most tables that one statement counts: D1 lets a row have a hundred columns.
const TABLES_A_COUNT: usize = 100;

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

/// The columns that a service in use writes all the time, after their tables: the agents of cells ask every two seconds, also while a backup is made. They
/// are left out where a file is compared with a database.
const IN_MOTION: [(&str, &str); 7] = [
    ("api_keys", "last_used_at"),
    ("cells", "agent"),
    ("cells", "agent_version"),
    ("cells", "last_seen_at"),
    ("cells", "seen_id"),
    ("cells", "seen_revision"),
    ("console_sessions", "last_used_at"),
];

/// Whether a service in use writes this column all the time.
#[must_use]
pub fn is_in_motion(table: &str, column: &str) -> bool {
    IN_MOTION.contains(&(table, column))
}

/// The columns that the end of a restore changes besides, after their tables: it ends jobs and sessions.
const ENDED: [(&str, &str); 10] = [
    ("cell_work", "error"),
    ("cell_work", "finished_at"),
    ("cell_work", "input"),
    ("cell_work", "lease"),
    ("cell_work", "lease_until"),
    ("cell_work", "state"),
    ("cell_work", "wipe_at"),
    ("console_sessions", "ended_at"),
    ("kept_sites", "job_id"),
    ("tenants", "site_state"),
];

/// Whether a service in use writes this column all the time, or the end of a restore changes it.
#[must_use]
pub fn is_changed_by_restore(table: &str, column: &str) -> bool {
    is_in_motion(table, column) || ENDED.contains(&(table, column))
}

/// Says of a table's column whether it is left out of a comparison.
pub type LeftOut = fn(&str, &str) -> bool;

/// Returns a row's values as they are compared with a database's: NULL in place of those that are left out.
pub fn at_rest<'v>(
    table: &'v str,
    columns: &'v [Cow<'v, str>],
    values: impl IntoIterator<Item = &'v Value> + 'v,
    left_out: LeftOut,
) -> impl Iterator<Item = &'v Value> {
    let values = columns.iter().zip(values);
    values.map(move |(column, value)| match left_out(table, column) {
        true => &Value::Null,
        false => value,
    })
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
    /// The columns that are read as NULL.
    pub left_out: LeftOut,
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
            left_out: is_in_motion,
        };
        dump.tables.iter().map(reading).collect()
    }

    fn condition(&self) -> String {
        match self.upto {
            Some(upto) => format!("_rowid_ <= {upto}"),
            None => "true".into(),
        }
    }

    /// The number of rows, as a value of a statement.
    fn count(&self) -> String {
        let (table, condition) = (quoted(&self.table), self.condition());
        format!("(SELECT count(*) FROM {table} WHERE {condition})")
    }

    /// The statement that reads the next rows, after row id `after`, or after the first `read` rows of a table without row ids. The row with which they reach
    /// so many `characters` is the last one. Each row begins with its id.
    fn page(&self, after: i64, read: u64, characters: usize) -> String {
        let table = quoted(&self.table);
        let mut values = Vec::new();
        let mut lengths = Vec::new();
        for (n, column) in self.columns.iter().enumerate() {
            lengths.push(format!("length(c{n})"));
            if (self.left_out)(&self.table, column) {
                values.push(format!("'n' AS c{n}"));
                continue;
            }
            let column = quoted(column);
            // Not CASE, whose END might be taken for the one of a trigger where statements are cut apart.
            values.push(format!(
                "iif(typeof({column}) = 'text', 't' || {column}, iif(typeof({column}) = 'blob', 'b' || hex({column}), \
                 iif({column} IS NULL, 'n', 'i' || quote({column})))) AS c{n}"
            ));
        }
        let names: Vec<String> = (0..values.len()).map(|n| format!("c{n}")).collect();
        let (values, names) = (values.join(", "), names.join(", "));
        let length = lengths.join(" + ");
        let condition = self.condition();
        // SQLite reads a table without row ids in the order of its key.
        let (rows, order) = if self.is_without_rowid {
            (
                format!("SELECT 0 AS k, {values} FROM {table} LIMIT {PAGE_ROWS} OFFSET {read}"),
                "",
            )
        } else {
            (
                format!(
                    "SELECT _rowid_ AS k, {values} FROM {table} WHERE _rowid_ > {after} AND {condition} ORDER BY _rowid_ LIMIT {PAGE_ROWS}"
                ),
                "ORDER BY k",
            )
        };
        format!(
            "SELECT k, {names} FROM (SELECT *, {length} AS own, sum({length}) OVER ({order} ROWS UNBOUNDED PRECEDING) AS upto FROM ({rows})) \
             WHERE upto - own < {characters} {order}"
        )
    }
}

/// Reads tables of a database. Gives each row to `see`, without the values that are left out.
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
    let statements: Vec<String> = tables.chunks(TABLES_A_COUNT).map(counted).collect();
    let mut rest = &statements[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest.iter().map(String::len)));
        rest = later;
        for rows in database.query(now)? {
            counts.extend(rows.into_iter().next().ok_or_else(unreadable)?);
        }
    }
    if counts.len() != tables.len() {
        return Err(unreadable());
    }
    let counts = tables.iter().zip(counts).map(|(table, count)| {
        let count = count.as_u64().ok_or_else(unreadable)?;
        Ok((table, count))
    });
    let counts = counts.collect::<Result<Vec<_>, Error>>()?;
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
        let tables = open.len().min(TABLES_A_CALL);
        let characters = CALL_CHARACTERS / tables;
        let mut statements: Vec<String> = open[..tables]
            .iter()
            .map(|(table, after, _)| table.page(*after, read(table), characters))
            .collect();
        statements.truncate(fitting(statements.iter().map(String::len)));
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

/// The statement that counts the rows of tables.
fn counted(tables: &[Reading]) -> String {
    let count = |(n, table): (usize, &Reading)| format!("{} AS n{n}", table.count());
    let counts: Vec<String> = tables.iter().enumerate().map(count).collect();
    format!("SELECT {}", counts.join(", "))
}

/// How many statements of these lengths one call of wrangler can have: at least one.
fn fitting(lengths: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = lengths.take_while(|length| {
        bytes += length + "; ".len();
        bytes <= CALL_BYTES as usize
    });
    fits.count().max(1)
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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{CALL_BYTES, Reading, TABLES_A_COUNT, counted, fitting, is_in_motion};

    /// Reads a table page by page. Returns the length of each page, and the texts of all rows.
    fn pages(db: &Connection, table: &Reading, characters: usize) -> (Vec<usize>, Vec<String>) {
        let (mut after, mut lengths, mut texts) = (i64::MIN, Vec::new(), Vec::new());
        loop {
            let read = u64::try_from(texts.len()).unwrap();
            let mut page = db.prepare(&table.page(after, read, characters)).unwrap();
            let rows = page.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
            let rows: Vec<(i64, String)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
            let Some((last, _)) = rows.last() else {
                return (lengths, texts);
            };
            after = *last;
            lengths.push(rows.len());
            texts.extend(rows.into_iter().map(|(_, text)| text));
        }
    }

    #[test]
    fn pages_have_every_row_once_and_end_at_their_rows_or_characters() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE a (text TEXT); CREATE TABLE b (text TEXT PRIMARY KEY) WITHOUT ROWID; \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) INSERT INTO a SELECT printf('%05d', i) FROM n; \
             DELETE FROM a WHERE _rowid_ = 7; INSERT INTO b SELECT text FROM a;",
        )
        .unwrap();
        for (name, is_without_rowid) in [("a", false), ("b", true)] {
            let table = Reading {
                table: name.into(),
                columns: vec!["text".into()],
                is_without_rowid,
                upto: None,
                left_out: is_in_motion,
            };
            // A row has six characters: its kind and five digits.
            for (characters, expected) in [
                (1_000_000, vec![10_000]),
                (60_000, vec![10_000]),
                (59_999, vec![10_000]),
                (59_994, vec![9_999, 1]),
                (30_000, vec![5_000, 5_000]),
            ] {
                let (lengths, texts) = pages(&db, &table, characters);
                assert_eq!(lengths, expected, "{name}, {characters}");
                let all = (1..=10_001).filter(|n| *n != 7);
                assert!(texts.into_iter().eq(all.map(|n| format!("t{n:05}"))));
            }
            let one = table.page(9_990, 9_989, 1);
            let one: Vec<i64> = db
                .prepare(&one)
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(one.len(), 1, "at least one");
        }
    }

    #[test]
    fn a_statement_counts_a_hundred_tables_and_a_call_has_as_many_as_fit() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE a (x); INSERT INTO a VALUES (1), (2), (3)")
            .unwrap();
        let table = |upto| Reading {
            table: "a".into(),
            columns: Vec::new(),
            is_without_rowid: false,
            upto,
            left_out: is_in_motion,
        };
        let mut tables: Vec<Reading> = (1..TABLES_A_COUNT).map(|_| table(None)).collect();
        tables.push(table(Some(2)));
        let counts: Vec<i64> = db
            .query_row(&counted(&tables), [], |row| {
                (0..TABLES_A_COUNT).map(|n| row.get(n)).collect()
            })
            .unwrap();
        assert_eq!(counts[..TABLES_A_COUNT - 1], [3; TABLES_A_COUNT - 1]);
        assert_eq!(counts[TABLES_A_COUNT - 1], 2);

        let most = CALL_BYTES as usize;
        assert_eq!(fitting([most, 1].into_iter()), 1, "at least one");
        assert_eq!(fitting([most / 2 - 2; 3].into_iter()), 2);
        assert_eq!(fitting([most / 2; 3].into_iter()), 1);
    }
}
