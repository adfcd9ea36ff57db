//! A caller's standing: whether its key is valid, judged in the request's own batch.
//!
//! A statement of a caller begins with three bound values: [`key!`] names their placeholders. Its first column is the key's *standing*.
//! [`judge`] reads that column, and is the only way to the columns after it.

use core::ops::{Deref, DerefMut};

use crate::auth::{Caller, KeyHolder};
use crate::sql::{Columns, Results, Sql, unexpected_result};
use crate::value::fault::{ApiError, Unauthorized};

/// The placeholders of the values that every statement of a caller begins with.
macro_rules! key {
    (id) => {
        "?1"
    };
    (digest) => {
        "?2"
    };
    (now) => {
        "?3"
    };
}

/// The condition that a row of `api_keys` is the caller's and valid: neither deleted nor expired.
macro_rules! valid_key {
    () => {
        concat!(
            "id = ",
            $crate::store::standing::key!(id),
            " AND digest = ",
            $crate::store::standing::key!(digest),
            " AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ",
            $crate::store::standing::key!(now),
            ")"
        )
    };
}

/// The caller's standing: 1 if its key is valid and may do this, 0 if the key is not valid, `NULL` if the key lacks a scope. Only 1 is
/// true in SQL, so a standing is a condition, too.
macro_rules! standing {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM api_keys WHERE ",
            $crate::store::standing::valid_key!(),
            ")"
        )
    };
}

/// A table with the caller's standing: one row, or none if the key is not valid. Reads start from it. SQLite sees that it has one row at
/// most, so it needs no sorting for the rows that are joined to it.
macro_rules! caller {
    () => {
        concat!(
            "(SELECT 1 AS standing FROM api_keys WHERE ",
            $crate::store::standing::valid_key!(),
            ")"
        )
    };
}

pub(crate) use {caller, key, standing, valid_key};

/// Starts a statement of a caller.
pub(crate) fn statement(holder: &KeyHolder, text: &'static str) -> Sql {
    Sql::new(text).values([
        holder.key_id().into(),
        holder.digest().into(),
        holder.now().as_str().into(),
    ])
}

/// The columns of a row whose standing was judged.
#[derive(Debug)]
pub(crate) struct Judged(Columns);

impl Deref for Judged {
    type Target = Columns;

    fn deref(&self) -> &Columns {
        &self.0
    }
}

impl DerefMut for Judged {
    fn deref_mut(&mut self) -> &mut Columns {
        &mut self.0
    }
}

/// Reads the standing, the first column of a caller's row.
///
/// # Errors
/// 401 if the key is unknown, deleted or expired; 403 if it lacks a scope that the route needs.
pub(crate) fn judge(mut row: Columns) -> Result<Judged, ApiError> {
    match row.optional_integer("standing")? {
        Some(1) => Ok(Judged(row)),
        Some(0) => Err(invalid_key()),
        None => Err(ApiError::InsufficientScope),
        Some(_) => Err(unexpected_result(
            "column standing: expected 0, 1 or NULL; got another integer".into(),
        )),
    }
}

/// Judges the first row of a read that starts from [`caller!`]. No row means that the key is not valid.
pub(crate) fn judged_read(results: &mut Results) -> Result<Judged, ApiError> {
    judge(results.row()?.ok_or_else(invalid_key)?)
}

/// The error of a key that is unknown, deleted or expired.
pub(crate) fn invalid_key() -> ApiError {
    ApiError::Unauthorized(Unauthorized::KeyDead)
}

/// Judges the row of a statement that always returns one.
pub(crate) fn judged(results: &mut Results) -> Result<Judged, ApiError> {
    judge(results.outcome()?)
}

/// Reads the caller's standing and nothing else.
pub(crate) fn alone(caller: &Caller) -> Sql {
    statement(caller, concat!("SELECT ", standing!(), " AS standing"))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::judge;
    use crate::sql::{Columns, Value};
    use crate::value::fault::{ApiError, Internal, Unauthorized};

    #[test]
    fn a_standing_is_judged_before_any_other_column() {
        let row = |standing| Columns::new(vec![standing, Value::from("next")]);
        assert_eq!(
            judge(row(Value::Integer(1))).unwrap().text("next"),
            Ok("next".into())
        );
        let refused = |standing| judge(row(standing)).unwrap_err();
        assert_eq!(
            refused(Value::Integer(0)),
            ApiError::Unauthorized(Unauthorized::KeyDead)
        );
        assert_eq!(refused(Value::Null), ApiError::InsufficientScope);
        for other in [Value::Integer(2), Value::Integer(-1), "1".into()] {
            assert!(matches!(
                refused(other),
                ApiError::Internal(Internal::Rows(_))
            ));
        }
    }
}
