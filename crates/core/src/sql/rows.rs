//! The rows that a database returns, read statement by statement and column by column. If a result does not fit its statement, the
//! error is internal, never the caller's.

use alloc::format;
use alloc::string::String;
use alloc::vec::{self, Vec};

use super::Value;
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal};

/// A row: its values in the order of the statement's columns.
pub type Row = Vec<Value>;

/// The rows of one statement.
pub type Rows = Vec<Row>;

/// The rows of every statement of a batch.
#[derive(Debug)]
pub(crate) struct Results {
    rows: vec::IntoIter<Rows>,
    replayed_until: Option<Timestamp>,
}

impl Results {
    /// Takes the results of a batch of `expected` statements.
    pub(crate) fn new(results: Vec<Rows>, expected: usize) -> Result<Self, ApiError> {
        if results.len() == expected {
            Ok(Self {
                rows: results.into_iter(),
                replayed_until: None,
            })
        } else {
            Err(unexpected_result(format!(
                "{} results of {expected} statements",
                results.len()
            )))
        }
    }

    /// Notes that the response is the one of an earlier request, which is remembered until this time.
    pub(crate) fn replay(&mut self, until: Option<Timestamp>) {
        self.replayed_until = until;
    }

    /// Until when the earlier request is remembered, if the response is that of one.
    pub(crate) fn replayed_until(&self) -> Option<&Timestamp> {
        self.replayed_until.as_ref()
    }

    /// The next statement's rows.
    pub(crate) fn rows(&mut self) -> Result<Rows, ApiError> {
        self.rows
            .next()
            .ok_or_else(|| unexpected_result("one result too few".into()))
    }

    /// The next statement's only row, if it has one.
    pub(crate) fn row(&mut self) -> Result<Option<Columns>, ApiError> {
        Ok(self.rows()?.into_iter().next().map(Columns::new))
    }

    /// The rows of the last statement. The statements before it return nothing.
    pub(crate) fn last_rows(&mut self) -> Result<Rows, ApiError> {
        self.rows
            .next_back()
            .ok_or_else(|| unexpected_result("one result too few".into()))
    }

    /// The only row of the last statement, if it has one.
    pub(crate) fn last(&mut self) -> Result<Option<Columns>, ApiError> {
        Ok(self.last_rows()?.into_iter().next().map(Columns::new))
    }

    /// The row of a statement that always returns one.
    pub(crate) fn outcome(&mut self) -> Result<Columns, ApiError> {
        self.row()?
            .ok_or_else(|| unexpected_result("no row from a statement that always has one".into()))
    }

    /// Skips a statement that returns nothing.
    pub(crate) fn skip(&mut self) -> Result<(), ApiError> {
        self.rows().map(drop)
    }
}

/// A row's columns, read in order.
#[derive(Debug)]
pub(crate) struct Columns(vec::IntoIter<Value>);

impl Columns {
    pub(crate) fn new(row: Row) -> Self {
        Self(row.into_iter())
    }

    /// Reads a value of any kind.
    pub(crate) fn value(&mut self, name: &'static str) -> Result<Value, ApiError> {
        self.0
            .next()
            .ok_or_else(|| unexpected(name, "a value", None))
    }

    /// Whether all columns were read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// Reads a text.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, ApiError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            other => Err(unexpected(name, "a text", other.as_ref())),
        }
    }

    /// Reads a text or `NULL`.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected(name, "a text or NULL", other.as_ref())),
        }
    }

    /// Reads an integer.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<i64, ApiError> {
        match self.0.next() {
            Some(Value::Integer(n)) => Ok(n),
            other => Err(unexpected(name, "an integer", other.as_ref())),
        }
    }

    /// Reads an integer or `NULL`.
    pub(crate) fn optional_integer(&mut self, name: &'static str) -> Result<Option<i64>, ApiError> {
        match self.0.next() {
            Some(Value::Integer(n)) => Ok(Some(n)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected(name, "an integer or NULL", other.as_ref())),
        }
    }

    /// Reads 0 or 1.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<bool, ApiError> {
        match self.0.next() {
            Some(Value::Integer(0)) => Ok(false),
            Some(Value::Integer(1)) => Ok(true),
            other => Err(unexpected(name, "0 or 1", other.as_ref())),
        }
    }
}

/// The message names the kind of the value only, since a value may be a secret.
fn unexpected(name: &str, expected: &str, got: Option<&Value>) -> ApiError {
    let got = match got {
        None => "no column",
        Some(Value::Null) => "NULL",
        Some(Value::Integer(_)) => "an integer",
        Some(Value::Text(_)) => "a text",
    };
    unexpected_result(format!("column {name}: expected {expected}; got {got}"))
}

/// The error of a result that does not fit its statement.
pub(crate) fn unexpected_result(reason: String) -> ApiError {
    ApiError::Internal(Internal::Rows(reason))
}
