//! `api_keys`: the rows of the keys themselves.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::auth::Caller;
use crate::crypto::api_key::bound_digest;
use crate::sql::{Batch, Columns, Results, Sql, Value};
use crate::store::audit::{self, Action, Author, Entry};
use crate::store::idempotency::{Idempotency, Past};
use crate::store::standing::{self, Judged, caller, if_allowed, standing_of_row, valid_key};
use crate::store::write::{self, Writer, Written, write, write_into};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal};
use crate::value::run::Run;
use crate::value::scope::Scopes;

/// The longest time for which the secret before a rotation stays valid: a week.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 24 * 60 * 60;

/// A key as the contract shows it.
#[derive(Debug)]
pub(crate) struct OwnKey {
    pub(crate) id: i64,
    pub(crate) name: Option<String>,
    pub(crate) scopes: Scopes,
    pub(crate) is_bound: bool,
    pub(crate) created_at: String,
    pub(crate) expires_at: Option<String>,
}

/// Reads the caller's own key.
pub(crate) fn own(caller: &Caller) -> Batch {
    Batch::one(standing::statement(
        caller,
        concat!(
            "SELECT ",
            standing_of_row!(),
            " AS standing, id, name, scopes, is_bound, created_at, expires_at FROM api_keys WHERE ",
            valid_key!()
        ),
    ))
}

impl OwnKey {
    /// Reads a row of [`own`].
    pub(crate) fn decode(mut row: Judged) -> Result<Self, ApiError> {
        let id = row.integer("id")?;
        let name = row.optional_text("name")?;
        let scopes = row.text("scopes")?;
        Ok(Self {
            id,
            name,
            scopes: stored_scopes(&id.to_string(), &scopes)?,
            is_bound: row.boolean("is_bound")?,
            created_at: row.text("created_at")?,
            expires_at: row.optional_text("expires_at")?,
        })
    }
}

/// A key as a caller sees it, which is not its own.
#[derive(Debug)]
pub(crate) struct ShownKey {
    pub(crate) id: i64,
    pub(crate) name: Option<String>,
    pub(crate) scopes: Scopes,
    /// Whether it signs whole requests.
    pub(crate) is_bound: bool,
    pub(crate) created_at: String,
    pub(crate) expires_at: Option<String>,
    /// The hour of its last use, if that is known.
    pub(crate) last_used_at: Option<String>,
}

/// Reads all keys that are not deleted. [`ShownKey::decode`] reads the rows.
pub(crate) fn shown(caller: &Caller) -> Batch {
    Batch::one(
        standing::statement(
            caller,
            concat!(
                "SELECT k.standing, t.id, t.name, t.scopes, t.is_bound, t.created_at, t.expires_at, t.last_used_at FROM ",
                caller!(),
                " AS k LEFT JOIN api_keys AS t ON t.id > ",
                if_allowed!("?5"),
                " AND t.deleted_at IS NULL ORDER BY t.id"
            ),
        )
        .values([0.into()]),
    )
}

/// Reads the scopes and the end of the caller's own key, the id of the next key, and the key with this id, if it is not deleted. If the request
/// has an `Idempotency-Key`, also what is remembered of it. [`Authority::decode`] reads the row.
pub(crate) fn authority(
    caller: &Caller,
    id: Option<i64>,
    idempotency: Option<&Idempotency>,
) -> Batch {
    let sql = standing::statement(
        caller,
        "SELECT k.standing, k.scopes AS own_scopes, k.is_bound AS own_is_bound, k.expires_at AS own_expires_at, \
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?6), 0) + 1 AS next_id, ",
    )
    .values([id.into(), TABLE.into()]);
    let sql = match idempotency {
        None => sql.sql("NULL"),
        Some(idempotency) => {
            let sql = sql.values([idempotency.key()]);
            let key = sql.bound();
            idempotency.recall(sql, key, None)
        }
    };
    Batch::one(sql.sql(concat!(
        " AS remembered, t.id, t.name, t.scopes, t.is_bound, t.created_at, t.expires_at, t.last_used_at FROM (SELECT ",
        standing_of_row!(),
        " AS standing, scopes, is_bound, expires_at FROM api_keys WHERE ",
        valid_key!(),
        ") AS k LEFT JOIN api_keys AS t ON t.id = ",
        if_allowed!("?5"),
        " AND t.deleted_at IS NULL"
    )))
}

/// What a caller's own key lets it do with keys, and the key that it asked for.
#[derive(Debug)]
pub(crate) struct Authority {
    scopes: Scopes,
    is_bound: bool,
    expires_at: Option<String>,
    pub(crate) next_id: i64,
    /// The same request, carried out before.
    pub(crate) past: Option<Past>,
    pub(crate) key: Option<ShownKey>,
}

impl Authority {
    /// Reads the row of [`authority()`].
    ///
    /// # Errors
    /// 422 if the `Idempotency-Key` belongs to another request.
    pub(crate) fn decode(mut row: Judged) -> Result<Self, ApiError> {
        let scopes = row.text("own_scopes")?;
        let is_bound = row.boolean("own_is_bound")?;
        let expires_at = row.optional_text("own_expires_at")?;
        let next_id = row.integer("next_id")?;
        let past = Past::remembered(&mut row)?;
        Ok(Self {
            scopes: stored_scopes("own", &scopes)?,
            is_bound,
            expires_at,
            next_id,
            past,
            key: ShownKey::decode(row)?,
        })
    }

    /// Checks that the caller may make or change a key with these scopes and this end, which is bound or not.
    ///
    /// # Errors
    /// 403 if it has a scope that the caller lacks, outlives the caller's own key, or is not bound although the caller's own key is.
    pub(crate) fn covers(
        &self,
        scopes: &Scopes,
        is_bound: bool,
        expires_at: Option<&str>,
    ) -> Result<(), ApiError> {
        let missing = self.scopes.lacks(scopes);
        if !missing.is_empty() {
            let missing = missing.into_iter().map(Into::into).collect();
            return Err(ApiError::InsufficientScope { missing });
        }
        match &self.expires_at {
            _ if self.is_bound && !is_bound => Err(ApiError::ExceedsOwnKey),
            Some(own) if expires_at.is_none_or(|at| at > own.as_str()) => {
                Err(ApiError::ExceedsOwnKey)
            }
            _ => Ok(()),
        }
    }
}

impl ShownKey {
    /// Reads the columns of a key with this id: of a row after the id, or of what [`rotate`] remembers.
    pub(crate) fn of_columns(id: i64, row: &mut Columns) -> Result<Self, ApiError> {
        let name = row.optional_text("name")?;
        let scopes = row.text("scopes")?;
        Ok(Self {
            id,
            name,
            scopes: stored_scopes(&id.to_string(), &scopes)?,
            is_bound: row.boolean("is_bound")?,
            created_at: row.text("created_at")?,
            expires_at: row.optional_text("expires_at")?,
            last_used_at: row.optional_text("last_used_at")?,
        })
    }

    /// Reads a row. `None` is the row of `NULL`s: the caller may read, and there is no key.
    pub(crate) fn decode(mut row: Judged) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_integer("id")? else {
            return Ok(None);
        };
        Self::of_columns(id, &mut row).map(Some)
    }
}

pub(crate) fn stored_scopes(id: &str, text: &str) -> Result<Scopes, ApiError> {
    Scopes::of_stored(text).map_err(|reason| {
        ApiError::Internal(Internal::Stored {
            place: format!("{TABLE}/{id}/scopes"),
            reason,
        })
    })
}

/// Whether the caller's own key ends before the key `?6` does, or before the time in this parameter. A key without an end outlives all that
/// have one: 58 is `:`, which comes after every digit.
macro_rules! exceeds_own {
    ($expires_at:expr) => {
        concat!(
            "EXISTS (SELECT 1 FROM api_keys WHERE id = ",
            $crate::store::standing::key!(id),
            " AND expires_at < coalesce(",
            $expires_at,
            ", char(58)))"
        )
    };
}

/// The end of the key `?6`.
macro_rules! end_of_key {
    () => {
        "(SELECT expires_at FROM api_keys WHERE id = ?6)"
    };
}

macro_rules! key_is_there {
    () => {
        "EXISTS (SELECT 1 FROM api_keys WHERE id = ?6 AND deleted_at IS NULL)"
    };
}

/// The key `?6`, if the caller proves itself with that key's previous secret.
macro_rules! of_previous_secret {
    () => {
        concat!(
            " WHERE id = ?6 AND previous_digest = ",
            $crate::store::standing::key!(digest),
            " COLLATE NOCASE"
        )
    };
}

/// Creates a key in the name of a caller. `secret` is the key's text, encrypted, if the response is remembered: its id and its time.
/// [`Changed::decode`] reads the result.
pub(crate) fn create(writer: &Writer, new: NewKey<'_>, secret: Option<String>) -> Batch {
    let text = write_into!(
        "create_key",
        "exceeds_own, id_is_given, id, name, digest, scopes, permits, expires_at",
        concat!(
            exceeds_own!("?11"),
            ", EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?12 AND seq >= ?6), ?6, ?7, ?8, ?9, ?10, ?11"
        ),
        "exceeds_own, NOT id_is_given AS id_is_there",
        "json_array(CAST(?6 AS INTEGER), ?3)"
    );
    let values = [
        new.id.into(),
        new.name.into(),
        stored_digest(new.digest, new.scopes, new.is_bound).into(),
        new.scopes.to_stored().into(),
        new.scopes.permits().into(),
        new.expires_at.map(Timestamp::as_str).into(),
        TABLE.into(),
    ];
    let create = Batch::one(write::statement(writer, text, values, secret));
    if !new.is_bound {
        return create;
    }
    // A request is judged by the digest alone. The rules for what a key may do with keys, and a rotation, go by the column.
    let mark = Sql::new("UPDATE api_keys SET is_bound = 1 WHERE id = ?1 AND digest = ?2")
        .values([new.id.into(), bound_digest(new.digest).into()]);
    create.and(mark)
}

/// Changes a key's name, its end, or both. [`Changed::decode`] reads the result.
pub(crate) fn edit(
    writer: &Writer,
    id: i64,
    name: Option<Option<&str>>,
    expires_at: Option<Option<&str>>,
) -> Batch {
    let text = write_into!(
        "edit_key",
        "exceeds_own, id_is_there, is_same, id, sets_name, name, sets_expires_at, expires_at",
        concat!(
            exceeds_own!("iif(?9, ?10, NULL)"),
            " AND ?9 OR ",
            exceeds_own!(end_of_key!()),
            ", ",
            key_is_there!(),
            ", (SELECT (name, expires_at) IS (iif(?7, ?8, name), iif(?9, ?10, expires_at)) FROM api_keys WHERE id = ?6), ?6, ?7, ?8, ?9, ?10"
        ),
        "exceeds_own, id_is_there"
    );
    let values = [
        id.into(),
        name.is_some().into(),
        name.flatten().into(),
        expires_at.is_some().into(),
        expires_at.flatten().into(),
    ];
    write(writer, text, values)
}

/// Deletes a key. Its row stays, marked. [`Changed::decode`] reads the result.
pub(crate) fn delete_one(writer: &Writer, id: i64) -> Batch {
    let text = write_into!(
        "delete_key",
        "exceeds_own, id_is_there, id",
        concat!(exceeds_own!(end_of_key!()), ", ", key_is_there!(), ", ?6"),
        "exceeds_own, id_is_there"
    );
    write(writer, text, [id.into()])
}

/// Gives a key another secret. The one before stays valid until `previous_until`, but no earlier one. A caller that proves itself with a key's previous
/// secret never got the one after it: when it rotates that key, its own secret is the one that stays. If somebody else made the last rotation, the
/// previous secret may be one that leaked, and rotates its key no more. `secret` is the key's text, encrypted, if the response is remembered: what a
/// caller sees of the key. [`Changed::decode`] reads the result.
pub(crate) fn rotate(
    writer: &Writer,
    id: i64,
    digest: &str,
    key: &ShownKey,
    previous_until: Option<&Timestamp>,
    secret: Option<String>,
) -> Batch {
    let text = write_into!(
        "rotate_key",
        "exceeds_own, id_is_there, id, digest, previous_digest, previous_until",
        concat!(
            exceeds_own!(end_of_key!()),
            " OR EXISTS (SELECT 1 FROM api_keys",
            of_previous_secret!(),
            " AND NOT previous_is_own), ",
            key_is_there!(),
            ", ?6, ?7, (SELECT previous_digest FROM api_keys",
            of_previous_secret!(),
            "), ?8"
        ),
        "exceeds_own, id_is_there",
        "(SELECT json_array(name, scopes, is_bound, created_at, expires_at, last_used_at) FROM api_keys WHERE id = ?6)"
    );
    let values = [
        id.into(),
        stored_digest(digest, &key.scopes, key.is_bound).into(),
        previous_until.map(Timestamp::as_str).into(),
    ];
    Batch::one(write::statement(writer, text, values, secret))
}

/// The result of a write of a key.
#[derive(Debug)]
pub(crate) enum Changed {
    /// The key is not there. For [`create`], somebody else got its id meanwhile.
    No,
    Yes,
    /// The same request was carried out before: its values, and the key's text if it has one, encrypted for the place of a fingerprint.
    Before(Judged, Option<(String, String)>),
}

impl Changed {
    /// Reads the row.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = Written::read(results)?;
        if row.obstacle("exceeds_own", false)? {
            return Err(ApiError::ExceedsOwnKey);
        }
        if !row.obstacle("id_is_there", true)? {
            return Ok(Self::No);
        }
        let secret = row.secret();
        Ok(match row.remembered() {
            Ok(row) => Self::Before(row, secret),
            Err(_) => Self::Yes,
        })
    }
}

/// The table's name in `sqlite_sequence`, which counts the ids.
const TABLE: &str = "api_keys";

/// A key that is about to be inserted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewKey<'a> {
    pub(crate) id: i64,
    pub(crate) name: Option<&'a str>,
    pub(crate) digest: &'a str,
    pub(crate) created_at: &'a Timestamp,
    pub(crate) expires_at: Option<&'a Timestamp>,
    pub(crate) scopes: &'a Scopes,
    pub(crate) is_bound: bool,
}

/// The digest to store of a key with these scopes: earlier releases, which know no scopes, do not match one in upper case, nor a bound one.
fn stored_digest(digest: &str, scopes: &Scopes, is_bound: bool) -> String {
    if is_bound {
        bound_digest(digest)
    } else if *scopes == Scopes::all() {
        digest.into()
    } else {
        digest.to_ascii_uppercase()
    }
}

/// The failure to issue a key with this id, which no key's text can have. Ids only count up, so it comes of a row with a very high id.
pub(crate) fn not_issuable(id: i64) -> ApiError {
    ApiError::Internal(Internal::Stored {
        place: "api_keys.id".into(),
        reason: format!(
            "the key would have the id {id}, and a key's text has room for 15 digits; a row with a very high id was imported"
        ),
    })
}

/// Reads the id of the next key.
pub(crate) fn next_id() -> Batch {
    Batch::one(
        Sql::new("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0) + 1 AS id")
            .values([TABLE.into()]),
    )
}

/// Inserts a key with its audit entry, unless its id was given away meanwhile. The first statement returns a row if the key was
/// inserted.
pub(crate) fn insert(new: NewKey<'_>, run: &Run) -> Batch {
    let insert = Sql::new(
        "INSERT INTO api_keys (id, name, digest, created_at, expires_at, scopes, permits, is_bound) SELECT ?1, ?2, ?3, ?4, ?5, ?7, ?8, ?9 \
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?6 AND seq >= ?1) RETURNING id",
    )
    .values([
        new.id.into(),
        new.name.into(),
        stored_digest(new.digest, new.scopes, new.is_bound).into(),
        new.created_at.as_str().into(),
        new.expires_at.map(Timestamp::as_str).into(),
        TABLE.into(),
        new.scopes.to_stored().into(),
        new.scopes.permits().into(),
        new.is_bound.into(),
    ]);
    let entry = audit::after_change(Entry {
        author: Author::Run(run),
        action: Action::ApiKeyCreate,
        subject: &new.id.to_string(),
        now: new.created_at,
    });
    Batch::of([insert, entry])
}

/// Inserts a key of a Chevereto installation with its audit entry, unless its id is there already. Then reads the row with that id if it is of an
/// imported key: it has such a key's digest, or an entry, which stays when the key is rotated. Without a row the id is another key's.
pub(crate) fn import(new: NewKey<'_>, run: &Run, now: &Timestamp) -> [Sql; 3] {
    let insert = Sql::new(
        "INSERT INTO api_keys (id, name, digest, created_at, expires_at) SELECT ?1, ?2, ?3, ?4, ?5 \
         WHERE NOT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1) RETURNING id",
    )
    .values([
        new.id.into(),
        new.name.into(),
        new.digest.into(),
        new.created_at.as_str().into(),
        new.expires_at.map(Timestamp::as_str).into(),
    ]);
    let entry = audit::after_change(Entry {
        author: Author::Run(run),
        action: Action::ApiKeyImport,
        subject: &new.id.to_string(),
        now,
    });
    let read = Sql::new(
        "SELECT deleted_at FROM api_keys WHERE id = ?1 AND (digest = ?2 OR EXISTS (SELECT 1 FROM audit_log WHERE subject = ?3 AND action = ?4))",
    )
    .values([
        new.id.into(),
        new.digest.into(),
        new.id.to_string().into(),
        Action::ApiKeyImport.as_str().into(),
    ]);
    [insert, entry, read]
}

/// A key's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// The row's id.
    pub id: i64,
    /// The key's purpose.
    pub name: Option<String>,
    /// What it may do, such as `tenants:read`; `*` for everything.
    pub scopes: Vec<String>,
    /// Whether it signs whole requests.
    pub bound: bool,
    /// The time of its creation.
    pub created_at: String,
    /// The first second in which the key is no longer valid.
    pub expires_at: Option<String>,
    /// The hour of its last use, if that is known.
    pub last_used_at: Option<String>,
    /// The time of its deletion.
    pub deleted_at: Option<String>,
}

/// The columns of a [`KeyRow`].
macro_rules! key_columns {
    () => {
        "SELECT id, name, scopes, is_bound, created_at, expires_at, last_used_at, deleted_at FROM api_keys"
    };
}

impl KeyRow {
    /// Reads the rows of [`all`], [`by_digest`] or [`expiring`].
    pub(crate) fn decode_all(results: &mut Results) -> Result<Vec<Self>, ApiError> {
        results
            .rows()?
            .into_iter()
            .map(|row| {
                let mut row = Columns::new(row);
                Ok(Self {
                    id: row.integer("id")?,
                    name: row.optional_text("name")?,
                    scopes: row.text("scopes")?.split(' ').map(Into::into).collect(),
                    bound: row.boolean("is_bound")?,
                    created_at: row.text("created_at")?,
                    expires_at: row.optional_text("expires_at")?,
                    last_used_at: row.optional_text("last_used_at")?,
                    deleted_at: row.optional_text("deleted_at")?,
                })
            })
            .collect()
    }
}

/// Reads all keys, deleted ones too.
pub(crate) fn all() -> Batch {
    Batch::one(Sql::new(concat!(key_columns!(), " ORDER BY id")))
}

/// Reads the valid keys that expire until a time, the next one first.
pub(crate) fn expiring(now: &Timestamp, until: &Timestamp) -> Sql {
    Sql::new(concat!(
        key_columns!(),
        " WHERE deleted_at IS NULL AND expires_at > ?1 AND expires_at <= ?2 ORDER BY expires_at, id",
    ))
    .values([now.as_str().into(), until.as_str().into()])
}

/// Reads the key with this id, if it has this digest, bound or not.
pub(crate) fn by_digest(id: i64, digest: &str) -> Batch {
    Batch::one(
        Sql::new(concat!(
            key_columns!(),
            " WHERE id = ?1 AND (digest = ?2 COLLATE NOCASE OR digest = ?3)"
        ))
        .values([id.into(), digest.into(), bound_digest(digest).into()]),
    )
}

/// Gives a key another secret, without a caller, and writes the entry. The one before stays valid until `previous_until`, and
/// rotates the key no more. The first statement returns a row if there is such a key.
pub(crate) fn rotate_row(
    key: &KeyRow,
    digest: &str,
    previous_until: Option<&Timestamp>,
    run: &Run,
    now: &Timestamp,
) -> Result<Batch, ApiError> {
    let scopes = stored_scopes(&key.id.to_string(), &key.scopes.join(" "))?;
    let update = Sql::new(
        "UPDATE api_keys SET previous_digest = digest, previous_until = ?2, previous_is_own = 0, digest = ?3 \
         WHERE id = ?1 AND deleted_at IS NULL RETURNING id",
    )
    .values([
        key.id.into(),
        previous_until.map(Timestamp::as_str).into(),
        stored_digest(digest, &scopes, key.bound).into(),
    ]);
    let entry = audit::after_change(Entry {
        author: Author::Run(run),
        action: Action::ApiKeyRotate,
        subject: &key.id.to_string(),
        now,
    });
    Ok(Batch::of([update, entry]))
}

/// Reads the key with this id.
pub(crate) fn by_id(id: i64) -> Batch {
    Batch::one(Sql::new(concat!(key_columns!(), " WHERE id = ?1")).values([id.into()]))
}

/// Deletes the keys with this id, with this name, or with both, and writes an entry for each. Their rows stay, marked. The second
/// statement returns their ids.
pub(crate) fn delete(id: Option<i64>, name: Option<&str>, run: &Run, now: &Timestamp) -> Batch {
    let chosen: [Value; 3] = [now.as_str().into(), id.into(), name.into()];
    let entries = audit::for_each(
        Action::ApiKeyDelete,
        "CAST(id AS TEXT)",
        "api_keys WHERE deleted_at IS NULL AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR name = ?3)",
        chosen.clone(),
        run,
    );
    let update = Sql::new(
        "UPDATE api_keys SET deleted_at = ?1 \
         WHERE deleted_at IS NULL AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR name = ?3) RETURNING id",
    )
    .values(chosen);
    Batch::of([entries, update])
}
