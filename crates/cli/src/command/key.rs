//! `api:key:create`, `api:key:verify`, `api:key:rotate`, `api:key:delete` and `api:key:list`: API keys, in the database.
//!
//! The program issues a key and shows it once. The database receives only its digest.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_core::config::Config;
use tenants_core::crypto::api_key::{KeyError, KeySecret};
use tenants_core::crypto::secret::Secret;
use tenants_core::task::keys::{
    CreatedKey, KeyChoice, KeyCreation, KeyDeletion, KeyList, KeyName, KeyRotation, KeyRow,
    MAX_OVERLAP_SECONDS,
};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::scope::Scopes;
use zeroize::Zeroizing;

use super::or_lost;
use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::names::{API_KEY, KEY_SECRET, SIGNING_SECRET};
use crate::output::{Format, World};
use crate::random::SystemRandom;
use crate::session::{Session, now, to_json};
use crate::task;

/// The options of `api:key:create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// A name that says what the key is for, 1 to 255 characters
    #[arg(long, value_parser = name)]
    pub name: Option<String>,

    /// The time, in UTC, from which the key is refused
    #[arg(long, value_name = "YYYY-MM-DD HH:MM:SS", value_parser = timestamp)]
    pub expires: Option<Timestamp>,

    /// What the key may do, such as tenants:read,plans:read; without it, everything
    #[arg(long, value_name = "SCOPE,…", value_parser = scopes)]
    pub scopes: Option<Scopes>,

    /// A bound key: it signs each request as a whole, with a signing secret of its own, and takes no other signature
    #[arg(long)]
    pub bound: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `api:key:rotate`.
#[derive(Debug, Clone, Args)]
pub struct RotateArgs {
    /// The key with this id
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_ID))]
    pub id: u64,

    /// For how long the secret before stays valid, at most a week
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_OVERLAP_SECONDS)))]
    pub overlap: u32,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `api:key:verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The key; `-` reads it from standard input, where other users of this machine cannot see it
    #[arg(long, allow_hyphen_values = true)]
    pub key: String,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `api:key:delete`.
#[derive(Debug, Clone, Args)]
#[group(id = "choice", required = true, multiple = true, args = ["id", "name"])]
pub struct DeleteArgs {
    /// The key with this id
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_ID))]
    pub id: Option<u64>,

    /// All keys with this name; with --id, that key if it has this name
    #[arg(long, value_parser = name)]
    pub name: Option<String>,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `api:key:list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl DeleteArgs {
    fn choice(&self) -> Result<KeyChoice, Error> {
        // The argument parsers accept only ids and names that the core accepts, too.
        let unusable = |what: &str| Error::Usage(format!("expected {what}"));
        let id = self.id.map(i64::try_from).transpose();
        let id = id.map_err(|_| unusable("an id of at most 2^63 - 1"))?;
        let name = self.name.as_deref().map(KeyName::parse).transpose();
        let name = name.map_err(|error| Error::Usage(error.to_string()))?;
        match (id, name) {
            (Some(id), Some(name)) => Ok(KeyChoice::Both(id, name)),
            (Some(id), None) => Ok(KeyChoice::Id(id)),
            (None, Some(name)) => Ok(KeyChoice::Name(name)),
            (None, None) => Err(unusable("--id or --name")),
        }
    }
}

/// The highest row id of SQLite: 2^63 - 1.
const MAX_ID: u64 = i64::MAX.unsigned_abs();

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    name: Option<&'a str>,
    state: &'static str,
    scopes: &'a [String],
    bound: bool,
    created_at: &'a str,
    expires_at: Option<&'a str>,
    last_used_at: Option<&'a str>,
    deleted_at: Option<&'a str>,
}

#[derive(Serialize)]
struct Created<'a> {
    id: u64,
    name: Option<&'a str>,
    created_at: &'a str,
    expires_at: Option<&'a str>,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a str>,
}

#[derive(Serialize)]
struct Rotated<'a> {
    id: u64,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a str>,
}

#[derive(Serialize)]
struct Verified<'a> {
    valid: bool,
    key: Shown<'a>,
}

#[derive(Serialize)]
struct Deleted {
    deleted: Vec<i64>,
}

/// Returns a key as it is shown at this time.
fn shown<'a>(row: &'a KeyRow, now: &Timestamp) -> Shown<'a> {
    let expired = row
        .expires_at
        .as_deref()
        .is_some_and(|at| at <= now.as_str());
    Shown {
        id: row.id,
        name: row.name.as_deref(),
        state: match (&row.deleted_at, expired) {
            (Some(_), _) => "deleted",
            (None, true) => "expired",
            (None, false) => "active",
        },
        scopes: &row.scopes,
        bound: row.bound,
        created_at: &row.created_at,
        expires_at: row.expires_at.as_deref(),
        last_used_at: row.last_used_at.as_deref(),
        deleted_at: row.deleted_at.as_deref(),
    }
}

/// Creates a key and shows it once.
///
/// # Errors
/// Fails if `--expires` is in the past, the secret is missing, or the database fails.
pub fn create(
    args: &CreateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let now = now(world)?;
    if let Some(expires) = args.expires.as_ref().filter(|at| **at <= now) {
        return Err(Error::Usage(format!(
            "--expires: expected a time in the future, in UTC; `{expires}` is past (it is now {now})"
        )));
    }
    let database = Database::open(&session.settings, &args.database)?;
    let found = session.settings.key_secret(!args.database.remote)?;
    let config = Config::read(|name| (name == KEY_SECRET).then(|| found.secret.text().to_owned()))
        .map_err(Error::of_variables)?;
    let creation = KeyCreation::begin(
        &config,
        args.name
            .as_deref()
            .and_then(|name| KeyName::parse(name).ok()),
        args.expires.clone(),
        (world.now)(),
        &mut SystemRandom,
    );
    let scopes = args.scopes.clone().unwrap_or_else(Scopes::all);
    let creation = creation.map_err(task::stopped)?;
    let creation = creation
        .with_scopes(scopes)
        .bound(args.bound)
        .under(session.run()?);
    let mut inserted = None;
    let created = task::run(&database, creation, world.now, |creation| {
        inserted = creation.inserts();
    });
    let created = created.map_err(|stopped| match inserted {
        Some(id) if stopped.is_batch_unknown => may_exist(stopped.error, id, &now, &args.database),
        _ => stopped.error,
    })?;
    let id = created.id;
    let shown = match session.format {
        Format::Table => print_secrets(&created, world),
        Format::Json => {
            let created = Created {
                id,
                name: args.name.as_deref(),
                created_at: now.as_str(),
                expires_at: args.expires.as_ref().map(Timestamp::as_str),
                key: created.key.text(),
                signing_secret: created.signing_secret.as_ref().map(Secret::text),
            };
            let json = Zeroizing::new(to_json(&created)?);
            world.print(&json)
        }
    };
    let options = args.database.options();
    let advice = format!(
        "Key {id} was created, but nobody has its text now. `tenants api:key:delete --id {id}{options}` deletes it"
    );
    or_lost(shown, &advice)?;
    if session.format == Format::Table {
        world.note(&format!(
            "This is key {id}. It cannot be shown again: the database has only its digest."
        ));
    }
    Ok(())
}

/// Prints a key that cannot be shown again. An ordinary key stands alone, so that `KEY=$(tenants api:key:create)` works in a script. A bound
/// key and its signing secret are two variables, as a client reads them.
fn print_secrets(created: &CreatedKey, world: &mut World<'_>) -> Result<(), Error> {
    match &created.signing_secret {
        None => world.print(created.key.text()),
        Some(secret) => {
            let both = Zeroizing::new(format!(
                "{API_KEY}={}\n{SIGNING_SECRET}={}",
                created.key.text(),
                secret.text()
            ));
            world.print(&both)
        }
    }
}

/// Gives a key another secret under the same id, and shows it once.
///
/// # Errors
/// Fails if there is no such key, the secret of keys is missing, or the database fails.
pub fn rotate(
    args: &RotateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let database = Database::open(&session.settings, &args.database)?;
    let found = session.settings.key_secret(!args.database.remote)?;
    let config = Config::read(|name| (name == KEY_SECRET).then(|| found.secret.text().to_owned()))
        .map_err(Error::of_variables)?;
    let id = i64::try_from(args.id)
        .map_err(|_| Error::Usage("expected an id of at most 2^63 - 1".into()))?;
    let rotation = KeyRotation::begin(&config, id, args.overlap, session.run()?, (world.now)());
    let rotation = rotation.map_err(task::stopped)?;
    let mut rotates = false;
    let note = |rotation: &KeyRotation| rotates = rotation.rotates();
    let rotated = task::run(&database, rotation, world.now, note).map_err(|stopped| {
        if stopped.is_batch_unknown && rotates {
            may_be_rotated(stopped.error, args)
        } else {
            stopped.error
        }
    })?;
    let Some(rotated) = rotated else {
        return Err(Error::Refused {
            code: "not_found",
            detail: "there is no such key, or it is deleted".into(),
        });
    };
    let shown = match session.format {
        Format::Table => print_secrets(&rotated, world),
        Format::Json => {
            let shown = Rotated {
                id: rotated.id,
                key: rotated.key.text(),
                signing_secret: rotated.signing_secret.as_ref().map(Secret::text),
            };
            let json = Zeroizing::new(to_json(&shown)?);
            world.print(&json)
        }
    };
    let options = args.database.options();
    let advice = format!(
        "Key {id} has a new secret, which nobody has now. Rotate it again, which ends the secret before that: \
         `tenants api:key:rotate --id {id}{options}`"
    );
    or_lost(shown, &advice)?;
    if session.format == Format::Table {
        world.note(&format!(
            "This is key {id}, under a new secret. It cannot be shown again: the database has only its digest."
        ));
    }
    Ok(())
}

/// Adds to the error of a rotation that the database may have committed it all the same.
fn may_be_rotated(error: Error, args: &RotateArgs) -> Error {
    error.with_advice(&format!(
        "Key {} may have a new secret all the same, which nobody has: the failure may have come after the change. \
         Rotate it again",
        args.id
    ))
}

/// Adds to the error of an insertion that the database may have committed it all the same. Nobody has the key's text then, but the key is
/// valid, so it has to be deleted. Somebody else may have got the id instead: only the list shows whose it is.
fn may_exist(error: Error, id: u64, now: &Timestamp, database: &DatabaseArgs) -> Error {
    let options = database.options();
    error.with_advice(&format!(
        "Key {id} may exist all the same, although nobody has its text: the failure may have come after it was created. \
         `tenants api:key:list{options}` shows whether there is a key {id}, created about {now} UTC. If so, \
         `tenants api:key:delete --id {id}{options}` deletes it"
    ))
}

/// Says whether a key is valid.
///
/// # Errors
/// Fails if the key is not valid (the error says why), the secret is missing, or the database fails.
pub fn verify(
    args: &VerifyArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let mut key = Zeroizing::new(args.key.clone());
    if *key == "-" {
        key.clear();
        let read = world.input.read_to_string(&mut key);
        read.map_err(|e| Error::Machine(format!("standard input cannot be read: {e}")))?;
    }
    let local = !args.database.remote;
    let mut secret = KeySecret::new(&session.settings.key_secret(local)?.secret);
    if let Some(previous) = session.settings.previous_key_secret(local)? {
        secret = secret.after(&previous);
    }
    let claimed = secret.verify(key.trim()).map_err(|error| match error {
        KeyError::Malformed => invalid(
            "key_malformed",
            "it does not have the form chv_<id>_<secret>",
        ),
        KeyError::Forged => invalid("key_forged", "it was not issued under this secret"),
    })?;
    let database = Database::open(&session.settings, &args.database)?;
    let list = KeyList::of(claimed.id(), &claimed.digest());
    let rows = task::run(&database, list, world.now, |_| ())?;
    let row = rows
        .first()
        .ok_or_else(|| invalid("key_unknown", "this database does not have it"))?;
    let now = now(world)?;
    let shown = shown(row, &now);
    if let Some(at) = shown.deleted_at {
        return Err(invalid("key_deleted", &format!("it was deleted, {at} UTC")));
    }
    if let ("expired", Some(at)) = (shown.state, shown.expires_at) {
        return Err(invalid("key_expired", &format!("it has expired, {at} UTC")));
    }
    match session.format {
        Format::Table => session.show_own(&shown, world),
        Format::Json => session.show_own(
            &Verified {
                valid: true,
                key: shown,
            },
            world,
        ),
    }
}

fn invalid(code: &'static str, why: &str) -> Error {
    Error::Refused {
        code,
        detail: format!("the key is not valid: {why}"),
    }
}

/// Deletes the chosen keys. Their rows stay, with the time of the deletion.
///
/// # Errors
/// Fails if there is no such key, or if the database fails.
pub fn delete(
    args: &DeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let database = Database::open(&session.settings, &args.database)?;
    let run = session.run()?;
    let now = now(world)?;
    let choice = args.choice()?;
    let deletion = KeyDeletion::begin(&choice, &run, &now);
    let deleted = task::run(&database, deletion, world.now, |_| ())?;
    if deleted.is_empty() {
        return Err(Error::Refused {
            code: "not_found",
            detail: "there is no such key, or it is already deleted".into(),
        });
    }
    match session.format {
        Format::Json => session.show_own(&Deleted { deleted }, world),
        Format::Table => {
            let ids: Vec<String> = deleted.iter().map(i64::to_string).collect();
            session.say(&format!("deleted key {}", ids.join(", ")), world)
        }
    }
}

/// Shows all keys, including deleted ones, but never the keys' text: the database has only digests.
///
/// # Errors
/// Fails if the database fails.
pub fn list(args: &ListArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    const COLUMNS: &[(&str, &str)] = &[
        ("ID", "/id"),
        ("NAME", "/name"),
        ("STATE", "/state"),
        ("SCOPES", "/scopes"),
        ("BOUND", "/bound"),
        ("CREATED", "/created_at"),
        ("EXPIRES", "/expires_at"),
        ("LAST USED", "/last_used_at"),
        ("DELETED", "/deleted_at"),
    ];
    let database = Database::open(&session.settings, &args.database)?;
    let rows = task::run(&database, KeyList::all(), world.now, |_| ())?;
    let now = now(world)?;
    let rows = rows
        .iter()
        .map(|row| {
            RawValue::from_string(to_json(&shown(row, &now))?)
                .map_err(|e| Error::Machine(e.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    session.show_list(&rows, COLUMNS, "keys", world)
}

pub(super) fn name(text: &str) -> Result<String, String> {
    match KeyName::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn scopes(text: &str) -> Result<Scopes, String> {
    Scopes::parse(text.split(',').map(str::trim)).map_err(|(_, reason)| reason)
}

pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| {
        "expected a date and a time that exist, such as \"2027-01-31 00:00:00\"".into()
    })
}

#[cfg(test)]
mod tests {
    use super::{name, timestamp};

    #[test]
    fn names_and_times_are_checked_at_their_limits() {
        assert!(name(&"世".repeat(255)).is_ok());
        for bad in ["", "a\0b", &"a".repeat(256)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(timestamp("2027-01-31 00:00:00").is_ok());
        for bad in ["2027-02-31 00:00:00", "2027-01-31", "tomorrow"] {
            assert!(timestamp(bad).is_err(), "{bad}");
        }
    }
}
