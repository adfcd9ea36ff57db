//! `console_sessions`: the sessions of people at the console (contract §20).
//!
//! A session is judged where its key is, in the request's own batch (`store/standing.rs`). Its row outlives it until the cron trigger sweeps, since it keeps
//! the nonce that it began with from being used again.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::{Caller, KeyHolder};
use crate::crypto::session::SessionToken;
use crate::sql::{Batch, Results, Sql};
use crate::store::keys::stored_scopes;
use crate::store::standing::{self, Judged, caller, if_allowed, key, living_session, valid_key};
use crate::store::write::{Writer, Written, write, write_into};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, SignatureFault, Unauthorized};
use crate::value::scope::Scopes;

/// The seconds after which a session ends that nobody uses: 30 minutes.
pub(crate) const IDLE_SECONDS: i64 = 30 * 60;

/// A session that is about to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSession<'a> {
    pub(crate) token: &'a SessionToken,
    pub(crate) nonce: &'a str,
    pub(crate) scopes: &'a Scopes,
    pub(crate) expires_at: &'a str,
    pub(crate) idle_until: &'a str,
}

/// Begins a session of the caller's key. [`created`] reads the result.
pub(crate) fn create(writer: &Writer, new: NewSession<'_>) -> Batch {
    let text = write_into!(
        "create_session",
        "nonce_is_used, key_is_current, id, digest, nonce, scopes, permits, expires_at, idle_until",
        concat!(
            "EXISTS (SELECT 1 FROM console_sessions WHERE key_id = ",
            key!(id),
            " AND nonce = ?8), EXISTS (SELECT 1 FROM api_keys WHERE id = ",
            key!(id),
            " AND digest = ",
            key!(digest),
            "), ?6, ?7, ?8, ?9, ?10, ?11, ?12"
        ),
        "nonce_is_used, key_is_current"
    );
    let values = [
        new.token.id().into(),
        new.token.digest().into(),
        new.nonce.into(),
        new.scopes.to_stored().into(),
        new.scopes.permits().into(),
        new.expires_at.into(),
        new.idle_until.into(),
    ];
    write(writer, text, values)
}

/// Reads the result of [`create`].
///
/// # Errors
/// 401 if the nonce was used, or if the key has a newer secret: the session would outlive the secret that it began with.
pub(crate) fn created(results: &mut Results) -> Result<(), ApiError> {
    let mut row = Written::read(results)?;
    let nonce_is_used = row.obstacle("nonce_is_used", false)?;
    let key_is_current = row.obstacle("key_is_current", true)?;
    if nonce_is_used {
        let why = Unauthorized::Request(SignatureFault::NonceUsed);
        return Err(ApiError::Unauthorized(why));
    }
    if !key_is_current {
        return Err(ApiError::Unauthorized(Unauthorized::KeyRotated));
    }
    Ok(())
}

/// A session's row.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) key_id: i64,
    pub(crate) key_name: Option<String>,
    pub(crate) scopes: Scopes,
    pub(crate) created_at: String,
    pub(crate) last_used_at: String,
    pub(crate) expires_at: String,
    pub(crate) idle_until: String,
}

impl Session {
    /// Reads a row of [`own`] or [`living`]. `None` is the row of `NULL`s: the caller may read, and there is no session.
    pub(crate) fn decode(mut row: Judged) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let key_id = row.integer("key_id")?;
        let key_name = row.optional_text("key_name")?;
        let scopes = row.text("scopes")?;
        Ok(Some(Self {
            key_id,
            key_name,
            scopes: stored_scopes(&id, &scopes)?,
            id,
            created_at: row.text("created_at")?,
            last_used_at: row.text("last_used_at")?,
            expires_at: row.text("expires_at")?,
            idle_until: row.text("idle_until")?,
        }))
    }
}

/// The columns of a [`Session`].
macro_rules! columns {
    () => {
        "s.id, s.key_id, k.name AS key_name, s.scopes, s.created_at, s.last_used_at, s.expires_at, s.idle_until FROM console_sessions AS s \
         CROSS JOIN api_keys AS k"
    };
}

/// Reads the session that the caller has.
pub(crate) fn own(caller: &Caller) -> Batch {
    let sql = standing::statement(
        caller,
        concat!(
            "SELECT c.standing, s.* FROM ",
            caller!(),
            " AS c CROSS JOIN (SELECT ",
            columns!(),
            " WHERE s.id = ?5 AND k.id = s.key_id) AS s"
        ),
    );
    Batch::one(sql.values([caller.session_id().into()]))
}

/// Reads all living sessions, the oldest first.
pub(crate) fn living(caller: &Caller) -> Batch {
    Batch::one(standing::statement(
        caller,
        concat!(
            "SELECT k.standing, v.* FROM ",
            caller!(),
            " AS k LEFT JOIN (SELECT ",
            columns!(),
            " WHERE k.id = s.key_id AND ",
            living_session!(),
            ") AS v ON v.expires_at > ",
            if_allowed!("?3"),
            " ORDER BY v.created_at, v.id"
        ),
    ))
}

/// Ends a session. [`ended`] reads the result.
pub(crate) fn end(writer: &Writer, id: &str) -> Batch {
    let text = write_into!(
        "end_session",
        "exceeds_own, id_is_there, id",
        concat!(
            "coalesce((SELECT s.permits & (SELECT permits FROM api_keys WHERE ",
            valid_key!(),
            ") <> s.permits FROM console_sessions AS s WHERE s.id = ?6), 0), \
             EXISTS (SELECT 1 FROM console_sessions AS s CROSS JOIN api_keys AS k WHERE s.id = ?6 AND k.id = s.key_id AND ",
            living_session!(),
            "), ?6"
        ),
        "exceeds_own, id_is_there"
    );
    write(writer, text, [id.into()])
}

/// Reads the result of [`end`].
///
/// # Errors
/// 404 if there is no such living session, 403 if it may do something that the caller may not.
pub(crate) fn ended(results: &mut Results) -> Result<(), ApiError> {
    let mut row = Written::read(results)?;
    let exceeds_own = row.obstacle("exceeds_own", false)?;
    if !row.obstacle("id_is_there", true)? {
        return Err(ApiError::NotFound { what: "session" });
    }
    if exceeds_own {
        return Err(ApiError::ExceedsOwnKey);
    }
    Ok(())
}

/// Ends all sessions. A restored registry has those of its backup, which somebody may have ended since.
pub(crate) fn end_all(now: &Timestamp) -> Sql {
    Sql::new("UPDATE console_sessions SET ended_at = ?1 WHERE ended_at IS NULL")
        .values([now.as_str().into()])
}

/// Notes the use of a session, if the row has none of this minute, and of its key, if its row has none of this hour.
pub(crate) fn used(
    holder: &KeyHolder,
    unix_seconds: i64,
    minute: &Timestamp,
    hour: &Timestamp,
) -> Option<Batch> {
    let idle_until = Timestamp::from_unix(unix_seconds.checked_add(IDLE_SECONDS)?).ok()?;
    let session = Sql::new(
        "UPDATE console_sessions SET last_used_at = ?3, idle_until = ?4 WHERE id = substr(?2, 1, 16) AND digest = ?2 AND key_id = ?1 \
         AND ended_at IS NULL AND expires_at > ?3 AND idle_until > ?3 AND last_used_at < ?5",
    )
    .values([
        holder.key_id().into(),
        holder.digest().into(),
        holder.now().as_str().into(),
        idle_until.as_str().into(),
        minute.as_str().into(),
    ]);
    let key = Sql::new(
        "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND deleted_at IS NULL AND (last_used_at IS NULL OR last_used_at < ?2)",
    )
    .values([holder.key_id().into(), hour.as_str().into()]);
    Some(Batch::of(Vec::from([session, key])))
}
