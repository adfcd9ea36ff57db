//! Statements and batches: what the core asks of a database.
//!
//! A statement is text and values. Its text grows from `&'static str` and from [`TableName`]s only, so nothing that a caller sends can
//! become part of it. Values are bound to numbered placeholders.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::ops::Range;

use super::Value;
use crate::value::table_name::TableName;

/// The number of values that D1 binds to one statement
/// (<https://developers.cloudflare.com/d1/platform/limits/>: "Maximum number of bound parameters for a query: 100").
pub const MAX_BOUND_VALUES: usize = 100;

/// One statement in SQLite's SQL. Its placeholders are `?1`, `?2`, …, one for each value.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// Shows the text only, since a value may be a secret.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("text", &self.text)
            .field("values", &format_args!("{} of them", self.values.len()))
            .finish()
    }
}

impl Statement {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The values, the one of `?1` first.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

/// The database that a batch runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// The registry itself: `schema.sql`.
    Registry,
    /// The database of one tenant's site, by the tenant's id in lower case: 1 to 64 of `[a-z0-9_-]`. It begins empty.
    Site(String),
}

impl Database {
    /// The id of the site. `None`: it is the registry.
    #[must_use]
    pub fn site(&self) -> Option<&str> {
        match self {
            Self::Registry => None,
            Self::Site(id) => Some(id),
        }
    }
}

/// Statements to run in order in one transaction, all or nothing, on one database. The result has the rows of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    database: Database,
    statements: Vec<Statement>,
}

impl Batch {
    /// The database to run it on.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The statements to run.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// A batch of one statement.
    pub(crate) fn one(statement: Sql) -> Self {
        Self {
            database: Database::Registry,
            statements: [statement.into_statement()].into(),
        }
    }

    /// The same statements after this one.
    pub(crate) fn after(self, first: Sql) -> Self {
        let statements = core::iter::once(first.into_statement()).chain(self.statements);
        Self {
            statements: statements.collect(),
            ..self
        }
    }

    /// The same statements on another database.
    pub(crate) fn on(self, database: Database) -> Self {
        Self { database, ..self }
    }

    /// Changes the text of each statement. One without a text does nothing any more, and returns no row.
    pub(crate) fn map(
        mut self,
        change: impl Fn(Cow<'static, str>) -> Option<Cow<'static, str>>,
    ) -> Self {
        for statement in &mut self.statements {
            let text = core::mem::take(&mut statement.text);
            statement.text = change(text).unwrap_or_else(|| {
                statement.values.clear();
                Cow::Borrowed("SELECT 1 AS skipped WHERE 0")
            });
        }
        self
    }

    /// Adds a statement at the end.
    pub(crate) fn and(mut self, statement: Sql) -> Self {
        self.statements.push(statement.into_statement());
        self
    }

    /// A batch of several statements.
    pub(crate) fn of(statements: impl IntoIterator<Item = Sql>) -> Self {
        Self::of_all(statements.into_iter().collect())
    }

    /// Is compiled once, however many kinds of iterators there are.
    fn of_all(statements: Vec<Sql>) -> Self {
        Self {
            database: Database::Registry,
            statements: statements.into_iter().map(Sql::into_statement).collect(),
        }
    }
}

/// A statement under construction. Each [`Sql::bind`] takes the next placeholder number.
pub(crate) struct Sql {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

impl Sql {
    /// Starts a statement.
    pub(crate) fn new(text: &'static str) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// Adds text.
    pub(crate) fn sql(mut self, text: &'static str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Adds the quoted name of a tenant's table.
    pub(crate) fn name(mut self, name: &TableName) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.text.to_mut(), "{name}");
        self
    }

    /// Adds the next placeholder and binds a value to it.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        // Writing to a String cannot fail.
        let _ = write!(self.text.to_mut(), "?{}", self.values.len());
        self
    }

    /// The number of the placeholder that was bound last.
    pub(crate) fn bound(&self) -> usize {
        self.values.len()
    }

    /// Adds the placeholder of a value that is bound already.
    pub(crate) fn placeholder(mut self, number: usize) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.text.to_mut(), "?{number}");
        self
    }

    /// Binds values to the next placeholders, which the text already has.
    pub(crate) fn values(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }

    /// The length of the text so far, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Adds a part of its own text again. The placeholders in it keep their values.
    pub(crate) fn repeat(mut self, part: Range<usize>) -> Self {
        self.text.to_mut().extend_from_within(part);
        self
    }

    fn into_statement(self) -> Statement {
        Statement {
            text: self.text,
            values: self.values,
        }
    }
}
