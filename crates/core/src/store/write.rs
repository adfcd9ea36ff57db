//! Writes of tenants and plans: one statement each.
//!
//! A write inserts a row into one of `schema.sql`'s views. The row holds the request, its caller's standing, and the obstacles that the
//! statement found. If there is no obstacle, the view's trigger carries the write out, and writes its audit entry. `RETURNING` answers
//! the standing and the obstacles. So no write can forget the caller's key or its entry.
//!
//! A database that fails may have committed the write all the same. So every write carries a random token into its audit entry, where it is
//! unique, and does nothing if the log has the token already. The same batch can therefore run again: it makes the write if the first try
//! did not, and [`Written`] has the answer either way.

use alloc::string::String;
use core::ops::{Deref, DerefMut};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::Caller;
use crate::sql::{Batch, Results, Value};
use crate::store::standing::{self, Judged};
use crate::value::fault::{ApiError, Internal};
use crate::value::random::{Random, RandomUnavailable};

/// A caller that writes, in a request of this id.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    caller: Caller,
    request_id: String,
    token: String,
}

impl Writer {
    /// The length of a token, in bytes: as many as a random UUID has, since no two writes may ever share one.
    const TOKEN_BYTES: usize = 16;

    /// Gives a caller's write its token.
    pub(crate) fn new(
        caller: &Caller,
        request_id: &str,
        random: &mut dyn Random,
    ) -> Result<Self, ApiError> {
        let mut bytes = [0; Self::TOKEN_BYTES];
        random
            .fill(&mut bytes)
            .map_err(|RandomUnavailable| ApiError::Internal(Internal::Random))?;
        Ok(Self {
            caller: caller.clone(),
            request_id: request_id.into(),
            token: URL_SAFE_NO_PAD.encode(bytes),
        })
    }

    /// The id of the request.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The token of the write.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Deref for Writer {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// The text of a write, in parts: the token's placeholder comes after those of the write's own values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteText {
    pub(crate) columns: &'static str,
    pub(crate) values: &'static str,
    pub(crate) returning: &'static str,
}

/// The placeholder of the request's id in a write. A write's own values follow it.
macro_rules! request_id {
    () => {
        "?5"
    };
}

/// The text of a write. `$columns` and `$values` begin with the obstacles. `$returning` names the columns to return.
macro_rules! write_into {
    ($view:literal, $columns:literal, $values:expr, $returning:expr) => {
        $crate::store::write::WriteText {
            columns: concat!(
                "INSERT INTO ",
                $view,
                " (key_id, request_id, now, key_stands, ",
                $columns,
                ", token, is_done) SELECT "
            ),
            values: concat!(
                $crate::store::standing::key!(id),
                ", ",
                $crate::store::write::request_id!(),
                ", ",
                $crate::store::standing::key!(now),
                ", ",
                $crate::store::standing::standing!(),
                ", ",
                $values,
                ", "
            ),
            returning: concat!(" RETURNING key_stands, is_done, ", $returning),
        }
    };
}

/// The id of the row of a table that holds a taken value, or `NULL` if the value is free. Nothing is looked up if it is free.
macro_rules! holder {
    ($is_taken:literal, $table:literal, $condition:literal) => {
        concat!(
            "iif(",
            $is_taken,
            ", (SELECT id FROM ",
            $table,
            " WHERE ",
            $condition,
            "), NULL)"
        )
    };
}

/// The labels of the row `?6` of a table, after the merge of the patch in this parameter.
macro_rules! merged_labels {
    ($table:literal, $patch:literal) => {
        concat!(
            "json_patch((SELECT labels FROM ",
            $table,
            " WHERE id = ?6), ",
            $patch,
            ")"
        )
    };
}

/// Whether the merged labels keep within `MAX_LABELS` and `MAX_LABELS_BYTES` of `wire/labels.rs`.
macro_rules! labels_fit {
    ($table:literal, $patch:literal) => {
        concat!(
            "(SELECT count(*) FROM json_each(",
            $crate::store::write::merged_labels!($table, $patch),
            ")) <= 32 AND coalesce(length(CAST(replace(",
            $crate::store::write::merged_labels!($table, $patch),
            ", char(39), char(39, 39)) AS BLOB)), 0) <= 12000"
        )
    };
}

pub(crate) use {holder, labels_fit, merged_labels, request_id, write_into};

/// A write. `text` comes from [`write_into!`], and `values` are bound from `?6` on. The result is a [`Written`].
pub(crate) fn write(
    writer: &Writer,
    text: WriteText,
    values: impl IntoIterator<Item = Value>,
) -> Batch {
    let statement = standing::statement(writer, text.columns)
        .sql(text.values)
        .values([writer.request_id().into()])
        .values(values)
        .bind(writer.token())
        .sql(", EXISTS (SELECT 1 FROM audit_log WHERE token = ")
        .again()
        .sql(")")
        .sql(text.returning);
    Batch::one(statement)
}

/// The row of a write: its obstacles, and then the values that only the statement knew.
#[derive(Debug)]
pub(crate) struct Written {
    row: Judged,
    is_done: bool,
}

impl Written {
    /// Reads the row that [`write`] returns.
    pub(crate) fn read(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = standing::judged(results)?;
        let is_done = row.boolean("is_done")?;
        Ok(Self { row, is_done })
    }

    /// Reads an obstacle. `free` is its value if it is not in the way. An earlier try that made the write met no obstacle, although the
    /// write itself may be one by now.
    pub(crate) fn obstacle(&mut self, name: &'static str, free: bool) -> Result<bool, ApiError> {
        let found = self.row.boolean(name)?;
        Ok(if self.is_done { free } else { found })
    }

    /// Reads the holder of a value that the write needs, an obstacle. `None` if the value is free.
    pub(crate) fn holder(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let found = self.row.optional_text(name)?;
        Ok(found.filter(|_| !self.is_done))
    }
}

impl Deref for Written {
    type Target = Judged;

    fn deref(&self) -> &Judged {
        &self.row
    }
}

impl DerefMut for Written {
    fn deref_mut(&mut self) -> &mut Judged {
        &mut self.row
    }
}

/// Reads the row of a write whose only obstacle is that there is nothing to change.
pub(crate) fn was_there(results: &mut Results) -> Result<bool, ApiError> {
    Written::read(results)?.obstacle("id_is_there", true)
}
