//! The rows of lists, and the size of a slice: how many rows a `LIMIT` lets through, by the bytes of their large columns.
//!
//! Each row is one JSON array. A row of many values costs D1 and its binding for each of them: 10,000 tenants as arrays take half of D1's
//! processor time, and two thirds of what the Worker needs to take the rows over.
//!
//! A list's rows cannot be cut while they are read. So the `LIMIT` is a subquery that sums up the columns' lengths in the list's order. It costs less
//! than half of reading the rows in SQLite, and a twentieth of what they cost in all.

use core::ops::Range;

use crate::auth::Caller;
use crate::sql::json::row_from_json;
use crate::sql::{Batch, Row, Sql, Value, unexpected_result};
use crate::store::standing;
use crate::value::fault::ApiError;
use crate::wire::page::{Page, RowsToRead};

/// The large columns of a tenant and of a plan, in bytes. `$of` is the table's alias with its dot.
macro_rules! bytes {
    ($of:literal) => {
        concat!(
            "coalesce(length(CAST(",
            $of,
            "limits AS BLOB)), 0) + coalesce(length(CAST(",
            $of,
            "env AS BLOB)), 0) + length(CAST(",
            $of,
            "labels AS BLOB))"
        )
    };
}

/// `LIMIT` for a slice of a table in the order of its ids, after `$after`. Most often all `$rows` fit into `$most` bytes: to see that costs half
/// of finding the first row that does not.
macro_rules! limit {
    ($table:literal, $after:literal, $rows:literal, $most:literal) => {
        concat!(
            " LIMIT 1 + iif((SELECT sum(bytes) FROM (SELECT ",
            $crate::store::slice::bytes!(""),
            " AS bytes FROM ",
            $table,
            " WHERE id > ",
            $after,
            " ORDER BY id LIMIT ",
            $rows,
            ")) <= ",
            $most,
            ", ",
            $rows,
            ", max(1, (SELECT count(*) FROM (SELECT sum(",
            $crate::store::slice::bytes!(""),
            ") OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS bytes FROM ",
            $table,
            " WHERE id > ",
            $after,
            " ORDER BY id LIMIT ",
            $rows,
            ") WHERE bytes <= ",
            $most,
            ")))"
        )
    };
}

/// A row of a list. `$columns` begin with the caller's standing.
macro_rules! row {
    ($columns:expr) => {
        concat!("json_array(", $columns, ") AS row")
    };
}

pub(crate) use {bytes, limit, row};

/// The columns of a row of a list. A host that hands rows on as JSON may have put the array in the row's place
/// ([`crate::sql::json::JSON_ROWS`]).
pub(crate) fn columns(row: Row) -> Result<Row, ApiError> {
    match row.as_slice() {
        [Value::Text(array)] => row_from_json(array).map_err(unexpected_result),
        _ => Ok(row),
    }
}

/// Reads a page in the order of the ids. `few` binds the page's start and its number of rows, and `cut`, which ends with [`limit!`], the bytes of a
/// slice as well.
pub(crate) fn page(caller: &Caller, page: &Page, few: &'static str, cut: &'static str) -> Batch {
    let after = page.after().into();
    Batch::one(match page.rows_to_read() {
        RowsToRead::Few(rows) => standing::statement(caller, few).values([after, rows.into()]),
        RowsToRead::Cut { rows, bytes } => {
            standing::statement(caller, cut).values([after, rows.into(), bytes.into()])
        }
    })
}

/// Ends a statement with `ORDER BY` and the `LIMIT` of a page. `source` is the part of its text from the tables to the last condition, and `bytes`
/// the size of a row's large columns.
pub(crate) fn ordered(
    sql: Sql,
    source: Range<usize>,
    order: &'static str,
    bytes: &'static str,
    page: &Page,
) -> Sql {
    let sql = sql.sql(" ORDER BY ").sql(order).sql(" LIMIT ");
    let (rows, most) = match page.rows_to_read() {
        RowsToRead::Few(rows) => return sql.bind(rows),
        RowsToRead::Cut { rows, bytes } => (rows, bytes),
    };
    let sql = sql
        .sql("1 + iif((SELECT sum(bytes) FROM (SELECT ")
        .sql(bytes)
        .sql(" AS bytes FROM ")
        .repeat(source.clone())
        .sql(" ORDER BY ")
        .sql(order)
        .sql(" LIMIT ")
        .bind(rows)
        .sql(")) <= ")
        .bind(most);
    sql.sql(", ")
        .bind(rows)
        .sql(", max(1, (SELECT count(*) FROM (SELECT sum(")
        .sql(bytes)
        .sql(") OVER (ORDER BY ")
        .sql(order)
        .sql(" ROWS UNBOUNDED PRECEDING) AS bytes FROM ")
        .repeat(source)
        .sql(" ORDER BY ")
        .sql(order)
        .sql(" LIMIT ")
        .bind(rows)
        .sql(") WHERE bytes <= ")
        .bind(most)
        .sql(")))")
}
