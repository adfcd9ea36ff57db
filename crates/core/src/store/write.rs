//! Writes of tenants and plans: one statement each.
//!
//! A write inserts a row into one of `schema.sql`'s views. The row holds the request, its caller's standing, and the obstacles that the
//! statement found. If there is no obstacle, the view's trigger carries the write out, and writes its audit entry. `RETURNING` answers
//! the standing and the obstacles. So no write can forget the caller's key or its entry.

use crate::auth::Caller;
use crate::sql::{Batch, Results, Value};
use crate::store::standing;
use crate::value::fault::ApiError;

/// The placeholder of the request's id in a write. A write's own values follow it.
macro_rules! request_id {
    () => {
        "?5"
    };
}

/// The text of a write. `$columns` and `$values` begin with the obstacles. `$returning` names the columns to return.
macro_rules! write_into {
    ($view:literal, $columns:literal, $values:expr, $returning:expr) => {
        concat!(
            "INSERT INTO ",
            $view,
            " (key_id, request_id, now, key_stands, ",
            $columns,
            ") SELECT ",
            $crate::store::standing::key!(id),
            ", ",
            $crate::store::write::request_id!(),
            ", ",
            $crate::store::standing::key!(now),
            ", ",
            $crate::store::standing::standing!(),
            ", ",
            $values,
            " RETURNING key_stands, ",
            $returning
        )
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

/// A write of a caller. `text` comes from [`write_into!`], and `values` are bound from `?6` on.
pub(crate) fn write(
    caller: &Caller,
    request_id: &str,
    text: &'static str,
    values: impl IntoIterator<Item = Value>,
) -> Batch {
    let statement = standing::statement(caller, text)
        .values([request_id.into()])
        .values(values);
    Batch::one(statement)
}

/// Reads the row of a write whose only obstacle is that there is nothing to change.
pub(crate) fn was_there(results: &mut Results) -> Result<bool, ApiError> {
    standing::judged(results)?.boolean("id_is_there")
}
