//! A caller's standing: whether its key is valid and has the scopes that the request needs, judged in the request's own batch.
//!
//! A statement of a caller begins with four bound values: [`key!`] names their placeholders. Its first column is the key's *standing*.
//! [`judge`] reads that column, and is the only way to the columns after it.
//!
//! A standing is 1 if the key is valid and has the scopes, and 0 if it is not valid. If it lacks scopes, the standing is a text: `!` and the
//! bits of the missing ones. SQL takes a text that begins with no digit as false, so a standing is a condition, too.
//!
//! In a trial ([`tried`]) the standing of a write is the text `?` where it would be 1. So every condition on it is false, and nothing is written.

use alloc::format;
use alloc::string::String;
use core::ops::{Deref, DerefMut};

use crate::auth::KeyHolder;
use crate::sql::{Batch, Columns, Results, Sql, Value, unexpected_result};
use crate::value::fault::{ApiError, Unauthorized};
use crate::value::id::CellId;
use crate::value::scope::Needs;

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
    (needs) => {
        "?4"
    };
}

/// The condition that a row of `api_keys` is the caller's and valid: neither deleted nor expired. The digest before the last rotation may be
/// valid, too. Earlier releases compare the digest exactly. A key that they would take for one with more rights is stored with another digest,
/// so that they refuse it.
macro_rules! valid_key {
    () => {
        concat!(
            "id = ",
            $crate::store::standing::key!(id),
            " AND (digest = ",
            $crate::store::standing::key!(digest),
            " COLLATE NOCASE OR previous_until > ",
            $crate::store::standing::key!(now),
            " AND previous_digest = ",
            $crate::store::standing::key!(digest),
            " COLLATE NOCASE) AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ",
            $crate::store::standing::key!(now),
            ")"
        )
    };
}

/// The condition that a row of `api_keys` has the scopes that the request needs.
macro_rules! has_scopes {
    () => {
        concat!(
            "permits & ",
            $crate::store::standing::key!(needs),
            " = ",
            $crate::store::standing::key!(needs)
        )
    };
}

/// The standings of a valid key, with the scopes and without. 33 is `!`, and 63 is `?`.
macro_rules! standings {
    () => {
        $crate::store::standing::standings!("1")
    };
    ($with_scopes:literal) => {
        concat!(
            ", ",
            $with_scopes,
            ", char(33) || (~permits & ",
            $crate::store::standing::key!(needs),
            "))"
        )
    };
}

/// The standing of a valid key's row.
macro_rules! standing_of_row {
    () => {
        concat!(
            "iif(",
            $crate::store::standing::has_scopes!(),
            $crate::store::standing::standings!()
        )
    };
}

/// The caller's standing.
macro_rules! standing {
    () => {
        concat!(
            "coalesce((SELECT ",
            $crate::store::standing::standing_of_row!(),
            " FROM api_keys WHERE ",
            $crate::store::standing::valid_key!(),
            "), 0)"
        )
    };
}

/// A table with the caller's standing, and whether it has every scope: one row, or none if the key is not valid. Reads start from it. SQLite
/// sees that it has one row at most, so it needs no sorting for the rows that are joined to it. A row is joined only [`if_allowed!`].
macro_rules! caller {
    () => {
        concat!(
            "(SELECT ",
            $crate::store::standing::standing_of_row!(),
            " AS standing, permits < 0 AS has_all FROM api_keys WHERE ",
            $crate::store::standing::valid_key!(),
            ")"
        )
    };
}

/// The bounds of an index's rows, if the caller `k` may read them, or else `NULL`. No row compares with `NULL`, and SQLite sees that before it
/// reads one. (It would check a plain condition on the standing for each row.)
macro_rules! if_allowed {
    ($bound:expr) => {
        concat!("iif(k.standing, ", $bound, ", NULL)")
    };
}

/// A table of one row if the caller's key is valid and has the scopes, or else of none. It suits a statement after one that reads the standing.
macro_rules! allowed_caller {
    () => {
        concat!(
            "(SELECT 1 AS standing FROM api_keys WHERE ",
            $crate::store::standing::valid_key!(),
            " AND ",
            $crate::store::standing::has_scopes!(),
            ")"
        )
    };
}

/// The standing of a caller whose key needs the scope of the cell of the job in this parameter, or else the scopes of the route. `$prefix` is the
/// parameter of [`OF_CELL`].
macro_rules! job_standing {
    ($job:literal, $prefix:literal) => {
        concat!(
            "coalesce((SELECT iif(",
            $crate::store::standing::has_scopes!(),
            " OR instr(char(32) || lower(scopes) || char(32), ",
            $prefix,
            " || lower((SELECT cell_id FROM cell_work WHERE id = ",
            $job,
            ")) || char(32)) > 0",
            $crate::store::standing::standings!(),
            " FROM api_keys WHERE ",
            $crate::store::standing::valid_key!(),
            "), 0)"
        )
    };
}

pub(crate) use {
    allowed_caller, caller, has_scopes, if_allowed, job_standing, key, standing, standing_of_row,
    standings, valid_key,
};

/// Makes a trial of a batch: it reads what it read, and writes nothing. Each statement that writes gets the standing of a trial. One that has no standing
/// depends on the writes of others, or prepares them, and is left out.
pub(crate) fn tried(batch: Batch) -> Batch {
    const TRIED: &str = standings!("char(63)");
    batch.map(|text| {
        if text.starts_with("SELECT ") || text.contains(TRIED) {
            Some(text)
        } else if text.contains(standings!()) {
            Some(text.replace(standings!(), TRIED).into())
        } else {
            None
        }
    })
}

/// The condition that the session `s` of the key `k` is living.
macro_rules! living_session {
    () => {
        concat!(
            "s.ended_at IS NULL AND s.expires_at > ",
            $crate::store::standing::key!(now),
            " AND s.idle_until > ",
            $crate::store::standing::key!(now),
            " AND k.digest = s.key_digest AND k.deleted_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ",
            $crate::store::standing::key!(now),
            ")"
        )
    };
}

pub(crate) use living_session;

/// Has the session's row stand for that of its key in each statement of a batch: the key's own values, with the scopes of the session. The value of
/// [`key!`]`(digest)` is then that of the session's token. A statement that this leaves as it is finds no key, since no key has such a digest.
pub(crate) fn of_session(batch: Batch) -> Batch {
    const KEY: &str = concat!(" FROM api_keys WHERE ", valid_key!());
    const SESSION: &str = concat!(
        " FROM (SELECT k.id, k.name, k.is_bound, k.created_at, k.expires_at, s.scopes, s.permits FROM console_sessions AS s CROSS JOIN api_keys AS k \
         WHERE s.id = substr(",
        key!(digest),
        ", 1, 16) AND s.digest = ",
        key!(digest),
        " AND s.key_id = ",
        key!(id),
        " AND k.id = ",
        key!(id),
        " AND ",
        living_session!(),
        ") WHERE 1"
    );
    batch.map(|text| {
        Some(if text.contains(KEY) {
            text.replace(KEY, SESSION).into()
        } else {
            text
        })
    })
}

/// Starts a statement of a caller.
pub(crate) fn statement(holder: &KeyHolder, text: &'static str) -> Sql {
    Sql::new(text).values([
        holder.key_id().into(),
        holder.digest().into(),
        holder.now().as_str().into(),
        holder.needs().bits().into(),
    ])
}

/// What comes before the id of a cell in the scopes of a key.
pub(crate) const OF_CELL: &str = " cell:";

/// The cell whose agent calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CellOf<'a> {
    /// The cell with this id.
    Id(&'a CellId),
    /// The cell that does the job with this id.
    Job(&'a str),
    /// The cell with this id, on a route that has a scope of its own: `cells` will do for it, too.
    Routes(&'a CellId),
}

/// Adds the standing of a caller whose key needs the scope of a cell, or else the scopes of the route.
pub(crate) fn cell_standing(sql: Sql, cell: CellOf<'_>) -> Sql {
    let sql = sql.sql(concat!("coalesce((SELECT iif(", has_scopes!()));
    let sql = match cell {
        CellOf::Id(_) | CellOf::Job(_) => sql,
        CellOf::Routes(_) => {
            let cells = Needs::CELLS.bits();
            sql.sql(" OR permits & ").bind(cells).sql(" <> 0")
        }
    };
    let sql = sql.sql(" OR instr(char(32) || lower(scopes) || char(32), ");
    let sql = match cell {
        CellOf::Id(id) | CellOf::Routes(id) => sql.bind(format!(" cell:{} ", id.folded())),
        CellOf::Job(id) => sql
            .bind(OF_CELL)
            .sql(" || lower((SELECT cell_id FROM cell_work WHERE id = ")
            .bind(id)
            .sql(")) || char(32)"),
    };
    sql.sql(concat!(
        ") > 0",
        standings!(),
        " FROM api_keys WHERE ",
        valid_key!(),
        "), 0)"
    ))
}

/// The columns of a row whose standing was judged.
#[derive(Debug)]
pub(crate) struct Judged {
    columns: Columns,
    is_trial: bool,
}

impl Judged {
    /// The columns.
    pub(crate) fn into_columns(self) -> Columns {
        self.columns
    }

    /// Other columns, of the same caller.
    pub(crate) fn with(self, columns: Columns) -> Self {
        Self { columns, ..self }
    }

    /// Whether the row is that of a write in a trial: nothing was written, whatever its obstacles are.
    pub(crate) fn is_trial(&self) -> bool {
        self.is_trial
    }
}

impl Deref for Judged {
    type Target = Columns;

    fn deref(&self) -> &Columns {
        &self.columns
    }
}

impl DerefMut for Judged {
    fn deref_mut(&mut self) -> &mut Columns {
        &mut self.columns
    }
}

/// Reads the standing, the first column of a caller's row.
///
/// # Errors
/// 401 if the key is unknown, deleted or expired; 403 if it lacks a scope that the request needs.
pub(crate) fn judge(mut columns: Columns) -> Result<Judged, ApiError> {
    let judged = |columns, is_trial| Ok(Judged { columns, is_trial });
    match columns.value("standing")? {
        Value::Integer(1) => judged(columns, false),
        Value::Integer(0) => Err(invalid_key()),
        Value::Text(text) if text == "?" => judged(columns, true),
        Value::Text(text) => Err(lacking(&text)?),
        Value::Integer(_) | Value::Null => Err(unexpected("another value")),
    }
}

/// The error of a key that lacks scopes.
fn lacking(text: &str) -> Result<ApiError, ApiError> {
    let bits = text.strip_prefix('!').and_then(|bits| bits.parse().ok());
    let names = Needs::of_bits(bits.unwrap_or_default()).names();
    if names.is_empty() {
        return Err(unexpected("another text"));
    }
    let missing = names.into_iter().map(Into::into).collect();
    Ok(ApiError::InsufficientScope { missing })
}

fn unexpected(got: &str) -> ApiError {
    let expected = "column standing: expected 0, 1 or the missing scopes; got ";
    unexpected_result(String::from(expected) + got)
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
pub(crate) fn alone(caller: &KeyHolder) -> Sql {
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
        let tried = judge(row("?".into())).unwrap();
        assert!(tried.is_trial() && !judge(row(Value::Integer(1))).unwrap().is_trial());
        let refused = |standing| judge(row(standing)).unwrap_err();
        assert_eq!(
            refused(Value::Integer(0)),
            ApiError::Unauthorized(Unauthorized::KeyDead)
        );
        assert_eq!(
            refused("!18".into()),
            ApiError::InsufficientScope {
                missing: vec!["tenants:write".into(), "sites".into()]
            }
        );
        for other in [
            Value::Null,
            Value::Integer(2),
            Value::Integer(-1),
            "1".into(),
            "!".into(),
            "!0".into(),
            "!x".into(),
        ] {
            assert!(matches!(
                refused(other),
                ApiError::Internal(Internal::Rows(_))
            ));
        }
    }
}
