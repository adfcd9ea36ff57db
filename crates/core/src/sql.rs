//! Statements: what the core asks of a database. What it gets is [`rows`]'s matter.
//!
//! A statement is text and values. Its text grows from `&'static str` alone, and from names of tenants' tables, which have a
//! type of their own; so nothing that a caller sends can become part of it. Values are bound to numbered placeholders. A
//! caller's write is a [`Write`] or [`Guarded`], which hold the condition that its key stands, or it stands behind an entry that
//! cannot be written where that condition does not hold ([`Batch::entered`]). A job's batch ([`Batch::of_job`]) has no caller.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::auth::{Caller, KeyHolder};
use crate::site::name::Name;

pub mod json;
mod rows;

pub(crate) use rows::{Answers, Columns};
pub use rows::{Row, Rows};

/// How many values D1 binds to one statement
/// (<https://developers.cloudflare.com/d1/platform/limits/>: "Maximum number of bound parameters for a query: 100").
pub const MAX_BOUND_VALUES: usize = 100;

/// A value bound to a placeholder, or found in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `NULL`
    Null,
    /// An integer; the core binds none beyond ±2^53, the last that a JavaScript number holds exactly.
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

/// One statement in SQLite's SQL: placeholders are `?1`, `?2`, … and as many as there are values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

impl Statement {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The values, `?1` first.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

/// Which database a batch runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// The service's own: `schema.sql`.
    Registry,
}

/// Statements to run in one transaction, all or nothing, in their order, on one database. The answer to it has the rows of
/// each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    database: Database,
    statements: Vec<Statement>,
}

impl Batch {
    /// Which database.
    #[must_use]
    pub fn database(&self) -> Database {
        self.database
    }

    /// What to run.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// A single statement that reads, and that itself looks at the caller's key.
    pub(crate) fn read(read: Sql) -> Self {
        Self {
            database: Database::Registry,
            statements: [read.into_statement()].into(),
        }
    }

    /// What a job does, which no caller asked for.
    pub(crate) fn of_job(statements: impl IntoIterator<Item = Sql>) -> Self {
        Self {
            database: Database::Registry,
            statements: statements.into_iter().map(Sql::into_statement).collect(),
        }
    }

    /// A single statement that writes, and answers one row: what stood against it, the caller's key first.
    pub(crate) fn one(write: Write) -> Self {
        Self {
            database: Database::Registry,
            statements: [write.0.into_statement()].into(),
        }
    }

    /// The beginning of a transaction that writes.
    pub(crate) fn write() -> Self {
        Self {
            database: Database::Registry,
            statements: Vec::new(),
        }
    }

    /// Adds a write.
    pub(crate) fn then(mut self, write: Guarded) -> Self {
        self.statements.push(write.0.into_statement());
        self
    }

    /// Adds the audit entry of the write before it: made only if that one changed something.
    /// Subjects are folded to lower case: one subject, one spelling.
    pub(crate) fn audit(
        mut self,
        caller: &Caller,
        action: &'static str,
        subject: &str,
        request_id: &str,
    ) -> Self {
        self.statements.push(Statement {
            text: Cow::Borrowed(
                "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) \
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0",
            ),
            values: [
                caller.key_id().into(),
                action.into(),
                subject.to_ascii_lowercase().into(),
                request_id.into(),
                caller.now().as_str().into(),
            ]
            .into(),
        });
        self
    }

    /// Adds a read that says why a write before it did nothing.
    pub(crate) fn explain(mut self, read: Sql) -> Self {
        self.statements.push(read.into_statement());
        self
    }

    /// The beginning of a transaction whose writes cannot carry a condition: its first statement is the audit entry, and where
    /// the caller's key does not stand, or `provided` does not hold, the entry's action is `NULL`, which the table refuses, and
    /// with that the whole transaction. In `provided`, `?6` is the subject.
    pub(crate) fn entered(
        caller: &Caller,
        action: &'static str,
        subject: &str,
        request_id: &str,
        provided: &'static str,
    ) -> Entered {
        let entry = Sql::of(
            caller,
            concat!(
                "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) \
                 SELECT ?1, CASE WHEN EXISTS (SELECT 1 FROM api_keys WHERE ",
                key_stands!(),
                ") AND "
            ),
        )
        .sql(provided)
        .sql(" THEN ?4 END, ?6, ?5, ?3")
        .values([
            action.into(),
            request_id.into(),
            subject.to_ascii_lowercase().into(),
        ]);
        Entered(Self {
            database: Database::Registry,
            statements: [entry.into_statement()].into(),
        })
    }
}

/// A transaction that began with [`Batch::entered`].
#[derive(Debug)]
pub(crate) struct Entered(Batch);

impl Entered {
    /// Adds a statement: it happens only if the entry could be written.
    pub(crate) fn then(mut self, statement: Sql) -> Self {
        self.0.statements.push(statement.into_statement());
        self
    }

    pub(crate) fn into_batch(self) -> Batch {
        self.0
    }
}

/// The condition that the caller's key stands, for the columns of `api_keys`: `?1` its id, `?2` its digest, `?3` now.
macro_rules! key_stands {
    () => {
        "id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)"
    };
}

/// A table of one row where the caller's key stands, and of none where it does not: what reads begin with.
macro_rules! standing_key {
    () => {
        concat!(
            "(SELECT 1 AS stands FROM api_keys WHERE ",
            $crate::sql::key_stands!(),
            ")"
        )
    };
}

/// The text of a [`Write`]: a row of one of `schema.sql`'s views, which does the rest, with the audit entry, where nothing stands
/// against it. `?4` is the request's id. `$columns` and `$values` begin with what may stand against it besides the key;
/// `$returning` names what of them is answered.
macro_rules! write_into {
    ($view:literal, $columns:literal, $values:literal, $returning:literal) => {
        concat!(
            "INSERT INTO ",
            $view,
            " (key_id, request_id, now, key_stands, ",
            $columns,
            ") SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE ",
            $crate::sql::key_stands!(),
            "), ",
            $values,
            " RETURNING key_stands, ",
            $returning
        )
    };
}

pub(crate) use {key_stands, standing_key, write_into};

/// A write that is one statement: a row inserted into a view whose trigger carries it out. Its text is [`write_into!`]'s, so that the
/// caller's key is always among its conditions.
#[derive(Debug)]
pub(crate) struct Write(Sql);

impl Write {
    /// Of a caller, in a request; `text` is [`write_into!`]'s, and `values` are bound from `?5` on.
    pub(crate) fn of(
        caller: &Caller,
        request_id: &str,
        text: &'static str,
        values: impl IntoIterator<Item = Value>,
    ) -> Self {
        let sql = Sql::of(caller, text).values([request_id.into()]);
        Self(sql.values(values))
    }
}

/// A statement being written. `?1`, `?2` and `?3` are the caller's key id, its digest and now; each [`Sql::bind`] takes the
/// next number.
#[derive(Debug)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

impl Sql {
    /// Begins a statement of the caller's.
    pub(crate) fn of(caller: &Caller, text: &'static str) -> Self {
        Self::held_by(caller, text)
    }

    /// Begins a statement that no caller's key stands behind: a read that needs none, or a job's.
    pub(crate) fn of_nobody(text: &'static str) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// Begins a statement that reads what needs no signature.
    pub(crate) fn held_by(caller: &KeyHolder, text: &'static str) -> Self {
        Self {
            text: text.into(),
            values: [
                caller.key_id().into(),
                caller.digest().into(),
                caller.now().as_str().into(),
            ]
            .into(),
        }
    }

    /// Adds text.
    pub(crate) fn sql(mut self, text: &'static str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Adds the name of a tenant's table, quoted.
    pub(crate) fn name(mut self, name: &Name) -> Self {
        // Writing to a String does not fail.
        let _ = write!(self.text.to_mut(), "{name}");
        self
    }

    /// Adds a placeholder, and binds a value to it.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        // Writing to a String does not fail.
        let _ = write!(self.text.to_mut(), "?{}", self.values.len());
        self
    }

    /// Binds values to the placeholders that the text already has.
    pub(crate) fn values(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }

    /// Ends what is written, and begins the conditions under which it is: the first is that the caller's key stands.
    pub(crate) fn guarded(self) -> Guarded {
        Guarded(self.sql(concat!(
            " WHERE EXISTS (SELECT 1 FROM api_keys WHERE ",
            key_stands!(),
            ")"
        )))
    }

    fn into_statement(self) -> Statement {
        Statement {
            text: self.text,
            values: self.values,
        }
    }
}

/// A write that happens only if the caller's key stands. Conditions may be added, none taken away.
#[derive(Debug)]
pub(crate) struct Guarded(Sql);

impl Guarded {
    /// Adds text.
    pub(crate) fn sql(self, text: &'static str) -> Self {
        Self(self.0.sql(text))
    }

    /// Adds a placeholder, and binds a value to it.
    pub(crate) fn bind(self, value: impl Into<Value>) -> Self {
        Self(self.0.bind(value))
    }
}
