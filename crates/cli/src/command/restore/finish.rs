//! `restore --finish`: a new epoch, and the keys to delete.

use tenants_core::Machine as _;
use tenants_core::task::Run;
use tenants_core::task::keys::{KeyChoice, KeyDeletion, KeyList};
use tenants_core::task::restored::Restored;
use tenants_core::value::clock::Timestamp;

use super::keys::{Choice, Key};
use super::{Outcome, RestoreArgs, choose, show, state, statements};
use crate::database::{CALL_BYTES, Database};
use crate::error::Error;
use crate::output::World;
use crate::session::{Session, now};
use crate::task;

/// A restore by other means has taken the rows back. This adds what it lacks.
pub(super) fn run(
    args: &RestoreArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let database = Database::open(&session.settings, &args.database)?;
    let now = now(world)?;
    let rows = task::run(&database, KeyList::all(), world.now, |_| ())?;
    let mut keys: Vec<Key> = rows
        .into_iter()
        .filter(|row| state(row.deleted_at.as_deref(), row.expires_at.as_deref(), &now) == "valid")
        .map(|row| Key {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
            was: "unknown",
            deleted: false,
            differences: Vec::new(),
        })
        .collect();
    if args.delete_keys == Some(Choice::Deleted) {
        return Err(Error::Usage(
            "--delete-keys deleted: the database that had them deleted is gone; name their ids"
                .into(),
        ));
    }
    choose(&mut keys, args.delete_keys.as_ref())?;
    let run = session.run()?;
    begin_epoch(&keys, &run, &now, &database)?;
    let outcome = Outcome {
        restored: true,
        tables: 0,
        rows: 0,
        keys: &keys,
        lost_keys: &[],
        bookmark: None,
    };
    show(&outcome, session, world)
}

/// Begins a new epoch and deletes the chosen keys, as many in one call as fit: until then they are valid.
fn begin_epoch(keys: &[Key], run: &Run, now: &Timestamp, database: &Database) -> Result<(), Error> {
    let mut call = statements(&Restored::begin(run, now).effect());
    let mut done = Vec::new();
    let mut ids = Vec::new();
    for key in keys.iter().filter(|key| key.deleted) {
        let deletion = KeyDeletion::begin(&KeyChoice::Id(key.id), run, now);
        let deletion = statements(&deletion.effect());
        let bytes: usize = call.iter().chain(&deletion).map(|s| s.len() + 2).sum();
        if bytes > CALL_BYTES as usize {
            database
                .query(&call)
                .map_err(|error| half_done(error, &done))?;
            done.append(&mut ids);
            call.clear();
        }
        call.extend(deletion);
        ids.push(key.id.to_string());
    }
    let ended = database.query(&call);
    ended.map(drop).map_err(|error| half_done(error, &done))
}

/// Adds to an error which keys earlier calls have deleted.
fn half_done(error: Error, deleted: &[String]) -> Error {
    if deleted.is_empty() {
        return error;
    }
    error.with_advice(&format!(
        "The new epoch has begun, and these keys are deleted: {}. Name the others again",
        deleted.join(",")
    ))
}
