//! Rows: what a database answers, taken statement by statement and column by column. What is not as its statement has it is our
//! fault or the database's, and never the caller's.

use alloc::format;
use alloc::string::String;
use alloc::vec::{self, Vec};

use super::{Batch, Value};
use crate::problem::{ApiError, Internal};

/// A row: its values in the order of the statement's columns.
pub type Row = Vec<Value>;

/// The rows of one statement.
pub type Rows = Vec<Row>;

/// The rows of each statement of a batch.
#[derive(Debug)]
pub(crate) struct Answers {
    results: vec::IntoIter<Rows>,
    note: Option<String>,
}

impl Answers {
    /// Of a batch of `expected` statements.
    pub(crate) fn new(results: Vec<Rows>, expected: usize) -> Result<Self, ApiError> {
        if results.len() == expected {
            Ok(Self {
                results: results.into_iter(),
                note: None,
            })
        } else {
            Err(bad_rows(format!(
                "{} results of {expected} statements",
                results.len()
            )))
        }
    }

    /// Of a job's batch, or the reason why it failed.
    pub(crate) fn of_job(rows: Result<Vec<Rows>, String>, batch: &Batch) -> Result<Self, ApiError> {
        let rows = rows.map_err(|reason| ApiError::Internal(Internal::Database(reason)))?;
        Self::new(rows, batch.statements().len())
    }

    /// The next statement's rows.
    pub(crate) fn rows(&mut self) -> Result<Rows, ApiError> {
        self.results
            .next()
            .ok_or_else(|| bad_rows("one result too few".into()))
    }

    /// Notes what the log is to say of an answer that is none the worse for it.
    pub(crate) fn note(&mut self, text: String) {
        self.note = Some(text);
    }

    /// What was noted.
    pub(crate) fn into_note(self) -> Option<String> {
        self.note
    }

    /// The next statement's only row, if it has one.
    pub(crate) fn row(&mut self) -> Result<Option<Columns>, ApiError> {
        Ok(self.rows()?.into_iter().next().map(Columns::new))
    }

    /// The last statement's only row, if it has one; those before it answer nothing.
    pub(crate) fn last(&mut self) -> Result<Option<Columns>, ApiError> {
        let rows = self.results.next_back();
        let rows = rows.ok_or_else(|| bad_rows("one result too few".into()))?;
        Ok(rows.into_iter().next().map(Columns::new))
    }

    /// The one row of a statement that always has one: without it nobody knows what happened, and nothing is guessed.
    pub(crate) fn outcome(&mut self) -> Result<Columns, ApiError> {
        self.row()?
            .ok_or_else(|| bad_rows("no row of what stood against it".into()))
    }

    /// Passes over a statement that answers nothing.
    pub(crate) fn skip(&mut self) -> Result<(), ApiError> {
        self.rows().map(drop)
    }
}

/// A row's columns, taken one by one in their order.
#[derive(Debug)]
pub(crate) struct Columns(vec::IntoIter<Value>);

impl Columns {
    pub(crate) fn new(row: Row) -> Self {
        Self(row.into_iter())
    }

    /// The next column, a text.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, ApiError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            other => Err(unexpected(name, "a text", other.as_ref())),
        }
    }

    /// The next column, a text or `NULL`.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected(name, "a text or NULL", other.as_ref())),
        }
    }

    /// The next column, an integer.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<i64, ApiError> {
        match self.0.next() {
            Some(Value::Integer(n)) => Ok(n),
            other => Err(unexpected(name, "an integer", other.as_ref())),
        }
    }

    /// The next column, 0 or 1.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<bool, ApiError> {
        match self.0.next() {
            Some(Value::Integer(0)) => Ok(false),
            Some(Value::Integer(1)) => Ok(true),
            other => Err(unexpected(name, "0 or 1", other.as_ref())),
        }
    }
}

fn unexpected(name: &str, expected: &str, got: Option<&Value>) -> ApiError {
    // The kind alone: a value may be a secret.
    let got = match got {
        None => "no column",
        Some(Value::Null) => "NULL",
        Some(Value::Integer(_)) => "an integer",
        Some(Value::Text(_)) => "a text",
    };
    bad_rows(format!("column {name}: expected {expected}; got {got}"))
}

fn bad_rows(reason: String) -> ApiError {
    ApiError::Internal(Internal::Rows(reason))
}
