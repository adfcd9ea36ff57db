//! `registry`: one row, with the epoch of the revisions.

use crate::sql::Sql;
use crate::store::standing::Judged;
use crate::value::fault::ApiError;
use crate::wire::conditional::Version;

/// The epoch of the registry.
macro_rules! epoch {
    () => {
        "(SELECT epoch FROM registry WHERE id = 1)"
    };
}

/// The revision of a row, as a text. The parameter is its column. An epoch keeps revisions of two histories apart: a restored backup counts on
/// from an older number.
macro_rules! revision {
    ($column:literal) => {
        concat!(
            $crate::store::registry::epoch!(),
            " || char(46) || ",
            $column
        )
    };
}

/// The revision of the row `?6` of a table, after the write that returns it.
macro_rules! revision_of {
    ($table:literal) => {
        concat!(
            "(SELECT ",
            $crate::store::registry::revision!("revision"),
            " FROM ",
            $table,
            " WHERE id = ?6) AS revision"
        )
    };
}

/// Starts a condition: the row `?6` of a table has none of the revisions that [`is_one_of`] adds.
macro_rules! is_stale {
    ($table:literal) => {
        concat!("NOT EXISTS (SELECT 1 FROM ", $table, " WHERE id = ?6 AND ")
    };
}

pub(crate) use {epoch, is_stale, revision, revision_of};

/// Adds a condition on a row: its revision is one of a list in JSON.
pub(crate) fn is_one_of(sql: Sql, revisions: &str) -> Sql {
    sql.sql(concat!(
        revision!("revision"),
        " IN (SELECT value FROM json_each("
    ))
    .bind(revisions)
    .sql("))")
}

/// Reads the version of a row without statistics.
pub(crate) fn version(row: &mut Judged) -> Result<Version, ApiError> {
    Ok(Version {
        revision: row.text("revision")?,
        statistics: None,
    })
}

/// Begins a new epoch: 8 random bytes in hexadecimal digits.
pub(crate) fn begin_epoch() -> Sql {
    Sql::new("INSERT OR REPLACE INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))))")
}
