//! SQLite as the core's database: each batch one transaction.

use std::sync::{Mutex, PoisonError};

use rusqlite::types::{Value as SqliteValue, ValueRef};
use rusqlite::{Connection, Error, Result, TransactionBehavior, params_from_iter};
use tenants_core::sql::{Batch, Rows, Statement, Value};

/// A connection, one request at a time.
pub(crate) struct Database(Mutex<Connection>);

impl Database {
    /// Opens a file, and makes its tables where it has none.
    pub(crate) fn open(path: &str) -> Result<Self> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "foreign_keys", true)?;
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))?;
        if tables == 0 {
            db.execute_batch(include_str!("../../../schema.sql"))?;
        }
        Ok(Self(Mutex::new(db)))
    }

    /// Whether no API key was ever made.
    pub(crate) fn is_without_keys(&self) -> Result<bool> {
        self.with(|db| db.query_row("SELECT count(*) = 0 FROM api_keys", [], |row| row.get(0)))
    }

    /// Runs a batch in one transaction, which is taken back where a statement fails.
    pub(crate) fn run(&self, batch: &Batch) -> std::result::Result<Vec<Rows>, String> {
        self.with(|db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let rows = batch
                .statements()
                .iter()
                .map(|statement| rows_of(&transaction, statement))
                .collect::<Result<_>>()?;
            transaction.commit()?;
            Ok(rows)
        })
        .map_err(|error| error.to_string())
    }

    fn with<T>(&self, then: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        // A thread that panicked in the middle of a transaction has taken it back.
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn rows_of(db: &Connection, statement: &Statement) -> Result<Rows> {
    // Texts are few and never have anything of a caller's in them: each is prepared once.
    let mut prepared = db.prepare_cached(statement.text())?;
    let columns = prepared.column_count();
    let values = statement.values().iter().map(|value| match value {
        Value::Null => SqliteValue::Null,
        Value::Integer(n) => SqliteValue::Integer(*n),
        Value::Text(text) => SqliteValue::Text(text.clone()),
    });
    let rows = prepared.query_map(params_from_iter(values), |row| {
        (0..columns).map(|at| value(row.get_ref(at)?, at)).collect()
    })?;
    rows.collect()
}

fn value(found: ValueRef<'_>, column: usize) -> Result<Value> {
    match found {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(n) => Ok(Value::Integer(n)),
        ValueRef::Text(text) => Ok(std::str::from_utf8(text)?.into()),
        ValueRef::Real(_) | ValueRef::Blob(_) => Err(Error::InvalidColumnType(
            column,
            "a column of no type that the API has".into(),
            found.data_type(),
        )),
    }
}
