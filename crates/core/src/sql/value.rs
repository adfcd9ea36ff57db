//! Values of SQLite.

use alloc::string::String;

/// A value bound to a placeholder, or read from a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `NULL`
    Null,
    /// An integer. The core binds none beyond ±2^53, the last integer that a JavaScript number holds exactly.
    Integer(i64),
    /// Text in UTF-8.
    Text(String),
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Integer(b.into())
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Text(s.into())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}
