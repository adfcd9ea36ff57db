//! `api_keys`: the rows of the keys themselves.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::auth::Caller;
use crate::sql::{Batch, Columns, Results, Sql, Value};
use crate::store::audit::{self, Action, Author, Entry};
use crate::store::standing::{self, Judged, standing_of_row, valid_key};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::run::Run;

/// A key as the contract shows it.
#[derive(Debug)]
pub(crate) struct OwnKey {
    pub(crate) id: i64,
    pub(crate) name: Option<String>,
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
            " AS standing, id, name, created_at, expires_at FROM api_keys WHERE ",
            valid_key!()
        ),
    ))
}

impl OwnKey {
    /// Reads a row of [`own`].
    pub(crate) fn decode(mut row: Judged) -> Result<Self, ApiError> {
        Ok(Self {
            id: row.integer("id")?,
            name: row.optional_text("name")?,
            created_at: row.text("created_at")?,
            expires_at: row.optional_text("expires_at")?,
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
        "INSERT INTO api_keys (id, name, digest, created_at, expires_at) SELECT ?1, ?2, ?3, ?4, ?5 \
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?6 AND seq >= ?1) RETURNING id",
    )
    .values([
        new.id.into(),
        new.name.into(),
        new.digest.into(),
        new.created_at.as_str().into(),
        new.expires_at.map(Timestamp::as_str).into(),
        TABLE.into(),
    ]);
    let entry = audit::after_change(Entry {
        author: Author::Run(run),
        action: Action::ApiKeyCreate,
        subject: &new.id.to_string(),
        now: new.created_at,
    });
    Batch::of([insert, entry])
}

/// Inserts a key of a Chevereto installation with its audit entry, unless its id is there already. Then reads the row with that id and the
/// digest of an imported key, which is another one's if there is none.
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
    let read = Sql::new("SELECT deleted_at FROM api_keys WHERE id = ?1 AND digest = ?2")
        .values([new.id.into(), new.digest.into()]);
    [insert, entry, read]
}

/// A key's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// The row's id.
    pub id: i64,
    /// The key's purpose.
    pub name: Option<String>,
    /// The time of its creation.
    pub created_at: String,
    /// The first second in which the key is no longer valid.
    pub expires_at: Option<String>,
    /// The time of its deletion.
    pub deleted_at: Option<String>,
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
                    created_at: row.text("created_at")?,
                    expires_at: row.optional_text("expires_at")?,
                    deleted_at: row.optional_text("deleted_at")?,
                })
            })
            .collect()
    }
}

/// Reads all keys, deleted ones too.
pub(crate) fn all() -> Batch {
    Batch::one(Sql::new(
        "SELECT id, name, created_at, expires_at, deleted_at FROM api_keys ORDER BY id",
    ))
}

/// Reads the valid keys that expire until a time, the next one first.
pub(crate) fn expiring(now: &Timestamp, until: &Timestamp) -> Sql {
    Sql::new(
        "SELECT id, name, created_at, expires_at, deleted_at FROM api_keys \
         WHERE deleted_at IS NULL AND expires_at > ?1 AND expires_at <= ?2 ORDER BY expires_at, id",
    )
    .values([now.as_str().into(), until.as_str().into()])
}

/// Reads the key with this id, if it has this digest.
pub(crate) fn by_digest(id: i64, digest: &str) -> Batch {
    Batch::one(
        Sql::new(
            "SELECT id, name, created_at, expires_at, deleted_at FROM api_keys WHERE id = ?1 AND digest = ?2",
        )
        .values([id.into(), digest.into()]),
    )
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
