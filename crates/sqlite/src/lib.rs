//! SQLite as the core's database: the half of a host that runs batches.
//!
//! A host in Rust copies this file or depends on this crate. The tests run the core on it, and `examples/axum` serves requests
//! with it. Opening a database applies the migrations that it lacks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::{Type, Value as SqliteValue, ValueRef};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params_from_iter};
use tenants_core::machine::{Step, drive};
use tenants_core::sql::{Batch, Database, Row, Rows, Statement, Value};
use tenants_core::task::TaskError;
use tenants_core::task::prepare::Preparation;
use tenants_core::{Failure, Host, Random, RandomUnavailable};

/// How long a batch waits for another connection's transaction before it fails with "database is locked".
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a batch failed. Prints without any value of a row, which may be a secret.
#[derive(Debug)]
pub enum Error {
    /// SQLite refused a statement or could not commit.
    Sqlite(rusqlite::Error),
    /// A column holds a type that the core does not read: a real number or a blob.
    Type {
        /// The column's name in the statement.
        column: String,
        /// The type of its value.
        found: Type,
    },
    /// A text is not UTF-8.
    NotUtf8 {
        /// The column's name in the statement.
        column: String,
    },
    /// The batch is for a site's database, and the host has none.
    NoSites,
}

/// The databases of tenants' sites: a file each, in one folder.
#[derive(Debug, Clone)]
pub struct Sites(PathBuf);

impl Sites {
    /// Keeps them in this folder, which must exist.
    pub fn in_folder(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Runs a batch on the database of the site with this id, as [`run`] does. The file is created if it does not exist, and closed again: there
    /// may be more sites than a process can have open files.
    ///
    /// # Errors
    /// As [`run`], and if SQLite cannot open the file.
    pub fn run(&self, id: &str, batch: &Batch) -> Result<Vec<Rows>, Error> {
        // The id has no character but `[a-z0-9_-]`. Windows knows devices by names such as `con`, so something comes before it.
        let mut db = Connection::open(self.0.join(format!("site-{id}.sqlite")))?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        run(&mut db, batch)
    }
}

/// Why a database could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// SQLite could not open the file.
    Sqlite(rusqlite::Error),
    /// The migrations could not be applied, or a newer version of the core made the database.
    Preparation(TaskError),
}

/// Opens a file, which is created if it does not exist. Applies the migrations that it lacks.
///
/// # Errors
/// If SQLite cannot open the file or write to it, or if a newer version of the core made the database.
pub fn open(path: impl AsRef<Path>) -> Result<Connection, OpenError> {
    prepare(Connection::open(path)?)
}

/// Opens a database in memory, with all tables.
///
/// # Errors
/// If SQLite has no memory left.
pub fn open_in_memory() -> Result<Connection, OpenError> {
    prepare(Connection::open_in_memory()?)
}

fn prepare(mut db: Connection) -> Result<Connection, OpenError> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    // D1 enforces them, too: https://developers.cloudflare.com/d1/sql-api/foreign-keys/
    db.pragma_update(None, "foreign_keys", true)?;
    let step = Step::Run(Preparation::begin());
    drive(step, &mut SystemHost::new(&mut db)).map_err(OpenError::Preparation)?;
    Ok(db)
}

/// A host on this machine: a SQLite database, and the system's clock and randomness. [`tenants_core::machine::drive`] takes it.
#[derive(Debug)]
pub struct SystemHost<'a> {
    db: &'a mut Connection,
    sites: Option<&'a Sites>,
    random: SystemRandom,
}

impl<'a> SystemHost<'a> {
    /// A host on this database.
    pub fn new(db: &'a mut Connection) -> Self {
        Self {
            db,
            sites: None,
            random: SystemRandom,
        }
    }

    /// The same, with databases of sites. Its API is made by [`Api::for_host`](tenants_core::Api::for_host).
    #[must_use]
    pub fn with_sites(self, sites: &'a Sites) -> Self {
        Self {
            sites: Some(sites),
            ..self
        }
    }
}

impl Host for SystemHost<'_> {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        let rows = match (batch.database(), self.sites) {
            (Database::Registry, _) => run(self.db, batch),
            (Database::Site(id), Some(sites)) => sites.run(id, batch),
            (Database::Site(_), None) => Err(Error::NoSites),
        };
        rows.map_err(Failure::from)
    }

    fn unix_seconds(&mut self) -> i64 {
        unix_seconds()
    }

    fn random(&mut self) -> &mut dyn Random {
        &mut self.random
    }
}

/// The system's clock: seconds since 1970. The core refuses a clock that stands before that.
#[must_use]
pub fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(i64::MIN)
}

/// The system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}

/// Runs a batch in one transaction and returns the rows of each statement. If a statement fails, nothing is changed.
///
/// # Errors
/// If a statement fails, if a row holds a value that the core does not read, or if SQLite cannot commit.
pub fn run(db: &mut Connection, batch: &Batch) -> Result<Vec<Rows>, Error> {
    run_observed(db, batch, |_, _| ())
}

/// The same as [`run`], and calls `observe` before each statement, inside the transaction. Tests check the statement there.
///
/// # Errors
/// As [`run`].
pub fn run_observed(
    db: &mut Connection,
    batch: &Batch,
    mut observe: impl FnMut(&Connection, &Statement),
) -> Result<Vec<Rows>, Error> {
    let transaction = begin(db)?;
    let mut results = Vec::with_capacity(batch.statements().len());
    for statement in batch.statements() {
        observe(&transaction, statement);
        results.push(query(&transaction, statement.text(), statement.values())?);
    }
    transaction.commit()?;
    Ok(results)
}

/// `BEGIN IMMEDIATE`: takes the write lock at once. A transaction that begins by reading and then writes would fail, instead of
/// waiting, if another connection has written in between.
fn begin(db: &mut Connection) -> Result<Transaction<'_>, Error> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Runs one statement, with its values bound to `?1`, `?2`, …, and returns its rows.
///
/// # Errors
/// If SQLite refuses it, or if a row holds a value that the core does not read.
pub fn query(db: &Connection, text: &str, values: &[Value]) -> Result<Rows, Error> {
    // The core has few texts, and no caller's data is part of one, so that each is prepared once.
    let mut prepared = db.prepare_cached(text)?;
    let values = values.iter().map(|value| match value {
        Value::Null => SqliteValue::Null,
        Value::Integer(n) => SqliteValue::Integer(*n),
        Value::Text(text) => SqliteValue::Text(text.clone()),
    });
    let mut found = prepared.query(params_from_iter(values))?;
    let mut rows = Rows::new();
    while let Some(row) = found.next()? {
        rows.push(read_row(row)?);
    }
    Ok(rows)
}

fn read_row(row: &rusqlite::Row<'_>) -> Result<Row, Error> {
    // Counted at the row: SQLite prepares a cached statement again if a table has changed.
    let statement = row.as_ref();
    let column = |at| statement.column_name(at).unwrap_or("?").to_owned();
    (0..statement.column_count())
        .map(|at| match row.get_ref(at)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(n) => Ok(Value::Integer(n)),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.into()),
                Err(_) => Err(Error::NotUtf8 { column: column(at) }),
            },
            other @ (ValueRef::Real(_) | ValueRef::Blob(_)) => Err(Error::Type {
                column: column(at),
                found: other.data_type(),
            }),
        })
        .collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Type { column, found } => {
                write!(
                    f,
                    "column {column}: expected an integer, a text or NULL; found {found}"
                )
            }
            Self::NotUtf8 { column } => write!(f, "column {column}: expected UTF-8"),
            Self::NoSites => f.write_str("this host has no databases of sites"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Type { .. } | Self::NotUtf8 { .. } | Self::NoSites => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
                if matches!(
                    failure.code,
                    ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked
                ) =>
            {
                Self::unavailable(reason)
            }
            Error::Sqlite(_) | Error::Type { .. } | Error::NotUtf8 { .. } | Error::NoSites => {
                Self::new(reason)
            }
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Preparation(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Preparation(_) => None,
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenants_core::sql::Value;
    use tenants_core::task::keys::KeyList;
    use tenants_core::{Failure, FailureKind, Host as _, Machine as _};

    use super::{Error, SystemHost, open, open_in_memory, query};

    #[test]
    fn a_row_comes_back_as_it_was_bound() {
        let db = open_in_memory().unwrap();
        let values = [
            Value::Null,
            i64::MIN.into(),
            "grüße 🐘\0x".into(),
            "".into(),
        ];
        let rows = query(&db, "SELECT ?1, ?2, ?3, ?4", &values).unwrap();
        assert_eq!(rows, [values]);
    }

    #[test]
    fn a_value_that_the_core_does_not_read_is_an_error_that_names_its_column() {
        let db = open_in_memory().unwrap();
        for (text, error) in [
            (
                "SELECT 1 AS a, 1.5 AS b",
                "column b: expected an integer, a text or NULL; found Real",
            ),
            (
                "SELECT X'00' AS b",
                "column b: expected an integer, a text or NULL; found Blob",
            ),
            (
                "SELECT CAST(X'ff' AS TEXT) AS b",
                "column b: expected UTF-8",
            ),
        ] {
            assert_eq!(query(&db, text, &[]).unwrap_err().to_string(), error);
        }
        assert!(matches!(query(&db, "SELECT", &[]), Err(Error::Sqlite(_))));
    }

    #[test]
    fn a_column_that_a_table_gained_is_read_by_a_cached_statement() {
        let db = open_in_memory().unwrap();
        let all = || query(&db, "SELECT * FROM t", &[]).unwrap();
        query(&db, "CREATE TABLE t AS SELECT 1 AS a", &[]).unwrap();
        assert_eq!(all(), [[Value::Integer(1)]]);
        query(&db, "ALTER TABLE t ADD COLUMN b DEFAULT 2", &[]).unwrap();
        assert_eq!(all(), [[Value::Integer(1), Value::Integer(2)]]);
    }

    #[test]
    fn a_batch_that_waits_for_too_long_is_unavailable_and_another_error_is_not() {
        let folder = std::env::temp_dir().join(format!("tenants-busy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.sqlite");
        let first = open(&path).unwrap();
        let mut second = open(&path).unwrap();
        second.busy_timeout(Duration::from_millis(1)).unwrap();
        let list = KeyList::all();
        let batch = list.effect().batch().unwrap();
        query(&first, "BEGIN IMMEDIATE", &[]).unwrap();
        let busy = SystemHost::new(&mut second).run(batch).unwrap_err();
        query(&first, "COMMIT", &[]).unwrap();
        assert_eq!(busy, Failure::unavailable("database is locked"));
        assert!(SystemHost::new(&mut second).run(batch).is_ok());
        query(&first, "DROP TABLE api_keys", &[]).unwrap();
        let failed = SystemHost::new(&mut second).run(batch).unwrap_err();
        assert_eq!(failed.kind, FailureKind::Failed, "{failed:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn two_connections_share_a_file_and_the_second_waits_for_the_first() {
        let folder = std::env::temp_dir().join(format!("tenants-sqlite-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.sqlite");
        let first = open(&path).unwrap();
        query(&first, "BEGIN IMMEDIATE", &[]).unwrap();
        let insert = "INSERT INTO api_keys (digest, created_at) VALUES (?1, '')";
        query(&first, insert, &["first".into()]).unwrap();
        let waiting = std::thread::spawn(move || {
            let second = open(&path).unwrap();
            query(&second, insert, &["second".into()]).unwrap();
            query(&second, "SELECT digest FROM api_keys ORDER BY id", &[]).unwrap()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiting.is_finished(), "it did not wait");
        query(&first, "COMMIT", &[]).unwrap();
        let rows = waiting.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(rows, [["first".into()], [Value::from("second")]]);
    }
}
