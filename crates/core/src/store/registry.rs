//! `registry`: one row, with the epoch of the revisions.

use crate::sql::Sql;

/// Begins a new epoch: 8 random bytes in hexadecimal digits.
pub(crate) fn begin_epoch() -> Sql {
    Sql::new("INSERT OR REPLACE INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))))")
}
