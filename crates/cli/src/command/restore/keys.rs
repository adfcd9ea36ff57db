//! The API keys of a backup: those that are valid after the restore, and what the file grants them that the database did not.
//!
//! A person who can write the file can change its checksums, too. Only the database before the restore shows what was changed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use tenants_client::terminal::printable;
use tenants_core::task::keys::KeyRow;
use tenants_core::value::clock::Timestamp;

use crate::backup::{Dump, Row, Value};
use crate::error::Error;

/// The API keys to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// All that are valid.
    All,
    /// Those that the replaced database had deleted.
    Deleted,
    /// Those with these ids.
    Ids(Vec<i64>),
}

impl Choice {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "deleted" => Ok(Self::Deleted),
            ids => ids
                .split(',')
                .map(|id| id.trim().parse().ok().filter(|id| *id > 0))
                .collect::<Option<_>>()
                .map(Self::Ids)
                .ok_or_else(|| "expected `all`, `deleted`, or ids such as `3,7`".into()),
        }
    }

    fn has(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Deleted => key.was == "deleted",
            Self::Ids(ids) => ids.contains(&key.id),
        }
    }
}

/// A key that is valid after the restore.
#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) name: Option<String>,
    pub(super) created_at: String,
    pub(super) expires_at: Option<String>,
    /// The key's state in the database before the restore: `valid`, `deleted`, `expired`, or `unknown` if it had no such key.
    pub(super) was: &'static str,
    pub(super) deleted: bool,
    /// The differences between the file and the database before the restore, a sentence each. Somebody may have changed the file.
    pub(super) differences: Vec<String>,
}

/// A key of the database before the restore.
pub(super) struct Present {
    pub(super) row: KeyRow,
    pub(super) grants: Grants,
}

/// The columns that decide what a key may do, and which text it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Grants {
    digest: String,
    scopes: String,
    permits: String,
    is_bound: bool,
    expires_at: Option<String>,
    /// The digest before the last rotation, and its end.
    previous: Option<(String, String)>,
}

impl Grants {
    /// Reads them from the database, by the keys' ids.
    pub(super) const SELECT: &str = "SELECT id, digest, scopes, permits, is_bound, expires_at, previous_digest, previous_until FROM api_keys";

    /// Reads a row of [`Self::SELECT`].
    pub(super) fn of_database(row: &[Json]) -> Option<(i64, Self)> {
        let [id, rest @ ..] = row else {
            return None;
        };
        let texts = rest.iter().map(|value| match value {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        });
        Some((id.as_i64()?, Self::read(texts)))
    }

    /// Reads a row of the file. One from before there were scopes has what the migrations will give it.
    fn of_file(row: &Row<'_>) -> Self {
        let columns = [
            ("digest", ""),
            ("scopes", "*"),
            ("permits", "-1"),
            ("is_bound", "0"),
            ("expires_at", ""),
            ("previous_digest", ""),
            ("previous_until", ""),
        ];
        Self::read(
            columns
                .into_iter()
                .map(|(name, default)| match row.value(name) {
                    Some(Value::Text(text) | Value::Number(text)) => Some(text.clone()),
                    Some(_) => None,
                    None => Some(default.to_owned()).filter(|text| !text.is_empty()),
                }),
        )
    }

    fn read(mut texts: impl Iterator<Item = Option<String>>) -> Self {
        let mut next = || texts.next().flatten();
        Self {
            digest: next().unwrap_or_default(),
            scopes: next().unwrap_or_default(),
            permits: next().unwrap_or_default(),
            is_bound: next().is_some_and(|text| text != "0"),
            expires_at: next(),
            previous: next().zip(next()),
        }
    }

    /// Says what the file has in place of these, in a sentence for each difference.
    fn differences(&self, file: &Self, now: &Timestamp) -> Vec<String> {
        let mut all = Vec::new();
        for (what, before, in_file) in [
            ("scopes are", &self.scopes, &file.scopes),
            ("permits are", &self.permits, &file.permits),
        ] {
            if before != in_file {
                let (before, in_file) = (printable(before), printable(in_file));
                all.push(format!(
                    "its {what} `{in_file}` in the file and `{before}` in the database"
                ));
            }
        }
        if self.is_bound != file.is_bound {
            let (file, database) = if file.is_bound {
                ("bound", "not bound")
            } else {
                ("not bound", "bound")
            };
            all.push(format!(
                "it is {file} in the file and {database} in the database"
            ));
        }
        if self.expires_at != file.expires_at {
            let end = |at: &Option<String>| match at {
                None => "never".into(),
                Some(at) => format!("at {}", printable(at)),
            };
            let (before, in_file) = (end(&self.expires_at), end(&file.expires_at));
            all.push(format!(
                "it expires {in_file} in the file and {before} in the database"
            ));
        }
        if self.digest != file.digest {
            all.push(
                "its digest in the file is another than in the database, so another text is the key: it was rotated since the backup, or the file was changed".into(),
            );
        }
        let lives = |(_, until): &&(String, String)| until.as_str() > now.as_str();
        if let Some((digest, until)) = file.previous.as_ref().filter(lives)
            && self.previous != file.previous
            && self.digest != *digest
        {
            let until = printable(until);
            all.push(format!(
                "the file has an old secret of it, valid until {until}, that the database does not have"
            ));
        }
        all
    }
}

pub(super) fn id_of(row: &Row<'_>) -> Option<i64> {
    match row.value("id") {
        Some(Value::Number(digits)) => digits.parse().ok(),
        _ => None,
    }
}

pub(super) fn state(
    deleted_at: Option<&str>,
    expires_at: Option<&str>,
    now: &Timestamp,
) -> &'static str {
    if deleted_at.is_some() {
        "deleted"
    } else if expires_at.is_some_and(|at| at <= now.as_str()) {
        "expired"
    } else {
        "valid"
    }
}

/// Returns the keys of the file that are valid now.
pub(super) fn valid_keys(
    dump: &Dump<'_>,
    present: &BTreeMap<i64, Present>,
    now: &Timestamp,
) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    for row in dump.rows_of("api_keys") {
        if state(row.text("deleted_at"), row.text("expires_at"), now) != "valid" {
            continue;
        }
        let (Some(id), Some(created_at)) = (id_of(row), row.text("created_at")) else {
            return Err(Error::Refused {
                code: "not_a_backup",
                detail: "the file has an API key without an id or a time".into(),
            });
        };
        let before = present.get(&id);
        let was = before.map_or("unknown", |Present { row, .. }| {
            state(row.deleted_at.as_deref(), row.expires_at.as_deref(), now)
        });
        keys.push(Key {
            id,
            name: row.text("name").map(Into::into),
            created_at: created_at.into(),
            expires_at: row.text("expires_at").map(Into::into),
            was,
            deleted: false,
            differences: before.map_or_else(Vec::new, |before| {
                before.grants.differences(&Grants::of_file(row), now)
            }),
        });
    }
    Ok(keys)
}

/// Marks the keys to delete.
pub(super) fn choose(keys: &mut [Key], choice: Option<&Choice>) -> Result<(), Error> {
    let Some(choice) = choice else {
        return Ok(());
    };
    if let Choice::Ids(ids) = choice
        && let Some(id) = ids.iter().find(|id| !keys.iter().any(|key| key.id == **id))
    {
        return Err(Error::Usage(format!(
            "--delete-keys: {id} is not a key that is valid after the restore"
        )));
    }
    for key in keys {
        key.deleted = choice.has(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenants_core::value::clock::Timestamp;

    use super::Grants;
    use crate::backup::{Row, Value};

    #[test]
    fn each_difference_between_a_key_of_the_file_and_of_the_database_is_a_sentence() {
        let now = Timestamp::parse("2026-08-18 23:16:57").unwrap();
        let row = json!([
            7,
            "aa",
            "tenants:read",
            1,
            1,
            "2027-01-01 00:00:00",
            null,
            null
        ]);
        let (id, before) = Grants::of_database(row.as_array().unwrap()).unwrap();
        assert_eq!(id, 7);
        let text = |text: &str| Value::Text(text.into());
        let number = |digits: &str| Value::Number(digits.into());
        let file = |columns: &[(&'static str, Value)]| {
            let row = Row {
                table: "api_keys".into(),
                columns: columns.iter().map(|(name, _)| (*name).into()).collect(),
                values: columns.iter().map(|(_, value)| value.clone()).collect(),
                is_escaped: false,
                sql: "",
            };
            before.differences(&Grants::of_file(&row), &now)
        };
        let same = [
            ("digest", text("aa")),
            ("scopes", text("tenants:read")),
            ("permits", number("1")),
            ("is_bound", number("1")),
            ("expires_at", text("2027-01-01 00:00:00")),
            ("previous_digest", Value::Null),
            ("previous_until", Value::Null),
        ];
        assert!(file(&same).is_empty());
        let with = |changes: &[(&'static str, Value)]| {
            let mut columns = same.clone().to_vec();
            columns.retain(|(name, _)| changes.iter().all(|(other, _)| other != name));
            file(&[&columns[..], changes].concat())
        };
        for (changes, sentence) in [
            (
                &[("scopes", text("*"))][..],
                "its scopes are `*` in the file and `tenants:read` in the database",
            ),
            (
                &[("permits", number("-1"))],
                "its permits are `-1` in the file and `1` in the database",
            ),
            (
                &[("is_bound", number("0"))],
                "it is not bound in the file and bound in the database",
            ),
            (
                &[("expires_at", Value::Null)],
                "it expires never in the file and at 2027-01-01 00:00:00 in the database",
            ),
            (
                &[("digest", text("bb"))],
                "its digest in the file is another",
            ),
            (
                &[
                    ("previous_digest", text("cc")),
                    ("previous_until", text("2026-08-18 23:16:58")),
                ],
                "the file has an old secret of it, valid until 2026-08-18 23:16:58, that the database does not have",
            ),
        ] {
            let found = with(changes);
            assert_eq!(found.len(), 1, "{changes:?}: {found:?}");
            assert!(found[0].starts_with(sentence), "{found:?}");
        }
        // An old secret that has ended opens nothing.
        let ended = [
            ("previous_digest", text("cc")),
            ("previous_until", text("2026-08-18 23:16:57")),
        ];
        assert!(with(&ended).is_empty());
        // A backup from before there were scopes, which the migrations add.
        let old = file(&[("digest", text("aa")), ("expires_at", Value::Null)]);
        assert_eq!(old.len(), 4, "{old:?}");
    }
}
