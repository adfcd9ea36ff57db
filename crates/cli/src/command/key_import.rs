//! `api:key:import`: API keys of a Chevereto installation, in the database.
//!
//! Nobody has the keys' texts but their holders. The MAC of a key proves it, under the secret that the installation and this service share,
//! so the database gets the ids and the times alone.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tenants_core::task::key_import::{ForeignKey, Imported, KeyImport, MAX_ID};
use tenants_core::task::keys::KeyName;
use tenants_core::value::clock::Timestamp;

use super::import::read;
use super::key::{name, timestamp};
use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World};
use crate::records::{self, Members, Record};
use crate::session::{Session, now};
use crate::task::{self, SLICE};

/// The options of `api:key:import`.
#[derive(Debug, Clone, Args)]
#[group(id = "keys", required = true, multiple = true, args = ["file", "id"])]
pub struct KeyImportArgs {
    /// A file of rows, as JSON lines or CSV: `id`, and `name`, `created_at`, `expires_at` if they have them; `-` reads standard input
    #[arg(value_name = "FILE", conflicts_with_all = ["id", "name", "expires"])]
    pub file: Option<PathBuf>,

    /// The id of one key
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=MAX_ID))]
    pub id: Option<i64>,

    /// Its name
    #[arg(long, value_parser = name, requires = "id")]
    pub name: Option<String>,

    /// The time, in UTC, from which it is refused
    #[arg(long, value_name = "YYYY-MM-DD HH:MM:SS", value_parser = timestamp, requires = "id")]
    pub expires: Option<Timestamp>,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    /// Whether the import ended before every key had its turn.
    stopped: bool,
    imported: Vec<i64>,
    /// Those that an earlier import took over.
    known: Vec<i64>,
    /// Those that were deleted here since. They stay deleted.
    deleted: Vec<i64>,
    /// Those whose id another key has.
    taken: Vec<i64>,
}

/// Takes over keys.
///
/// # Errors
/// Fails if the file has a line that cannot be used, if the database fails, or if another key has one of the ids. The other keys are
/// imported all the same.
pub fn run(
    args: &KeyImportArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let keys = keys(args, session, world)?;
    let database = Database::open(&session.settings, &args.database)?;
    let run = session.run()?;
    let now = now(world)?;
    let mut report = Report::default();
    let mut end = Ok(());
    let mut done = 0;
    for some in keys.chunks(SLICE.into()) {
        let import = KeyImport::begin(some, &run, &now);
        match task::run(&database, import, world.now, |_| ()) {
            Ok(outcomes) => {
                done += some.len();
                report.count(some, outcomes);
            }
            Err(stopped) => {
                report.stopped = true;
                world.note(&format!(
                    "The import stopped. Run it again: keys that are imported already stay as they are ({done} of {} keys done)",
                    keys.len()
                ));
                end = Err(stopped.error);
                break;
            }
        }
    }
    let shown = report.show(session, world);
    if report.stopped && !report.taken.is_empty() {
        world.complain(&report.taken_ids());
    }
    // The verdict on the keys counts more than a report that nobody reads.
    end.and_then(|()| report.verdict()).and(shown)
}

impl Report {
    /// Adds the outcomes of some keys.
    fn count(&mut self, keys: &[ForeignKey], outcomes: Vec<Imported>) {
        for (key, outcome) in keys.iter().zip(outcomes) {
            let ids = match outcome {
                Imported::Now => &mut self.imported,
                Imported::Before { deleted_at: None } => &mut self.known,
                Imported::Before { .. } => &mut self.deleted,
                Imported::Taken => &mut self.taken,
            };
            ids.push(key.id);
        }
    }

    fn show(&self, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
        if session.format == Format::Json {
            return session.show_own(self, world);
        }
        let deleted = "imported before and deleted since, which they stay";
        let mut shown = Ok(());
        for (what, ids) in [
            ("imported", &self.imported),
            ("imported before", &self.known),
            (deleted, &self.deleted),
        ] {
            if !ids.is_empty() {
                shown = shown.and(session.say(&format!("{what}: key {}", listed(ids)), world));
            }
        }
        if !self.imported.is_empty() {
            world.note(
                "The Worker must have the installation's CHEVERETO_TENANTS_API_KEY_SECRET, or have it as the previous one. `tenants api:key:verify` checks a key",
            );
        }
        shown
    }

    fn taken_ids(&self) -> String {
        format!(
            "another key has the id: {}. Its holder needs a new key (`tenants api:key:create`)",
            listed(&self.taken)
        )
    }

    /// Whether no other key has one of the ids.
    fn verdict(&self) -> Result<(), Error> {
        if self.taken.is_empty() {
            return Ok(());
        }
        Err(Error::Refused {
            code: "key_id_taken",
            detail: self.taken_ids(),
        })
    }
}

fn keys(
    args: &KeyImportArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<Vec<ForeignKey>, Error> {
    let Some(file) = &args.file else {
        let name = args.name.as_deref().map(KeyName::parse).transpose();
        return Ok(vec![ForeignKey {
            // The group of the options requires the file or the id.
            id: args.id.unwrap_or_default(),
            name: name.map_err(|error| Error::Usage(error.to_string()))?,
            created_at: None,
            expires_at: args.expires.clone(),
        }]);
    };
    let bytes = read(file, session, world)?;
    let records = records::read(&bytes).map_err(Error::Usage)?;
    let mut keys: Vec<ForeignKey> = Vec::new();
    let mut wrong = Vec::new();
    for Record { line, members } in records {
        match members.and_then(key) {
            Ok(key) if keys.iter().any(|other| other.id == key.id) => {
                wrong.push(format!("line {line}: id: another line has the same"));
            }
            Ok(key) => keys.push(key),
            Err(detail) => wrong.push(format!("line {line}: {detail}")),
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Refused {
            code: "lines_refused",
            detail: format!("nothing was imported\n{}", wrong.join("\n")),
        });
    }
    if keys.is_empty() {
        return Err(Error::Usage("the file has no lines".into()));
    }
    Ok(keys)
}

/// Reads a row of `tenants_api_keys`. Its `hash` is of no use here: it is PHP's slow hash of the key, which the MAC proves sooner.
fn key(mut members: Members) -> Result<ForeignKey, String> {
    let id = members.take("id").ok_or("id: required; it is missing")?;
    let text = serde_json::from_str::<String>(id.get());
    let id = text.as_deref().unwrap_or(id.get()).parse().ok();
    let id = id
        .filter(|id| (1..=MAX_ID).contains(id))
        .ok_or_else(|| format!("id: expected a whole number from 1 to {MAX_ID}"))?;
    let name = members.take_text("name")?.filter(|name| !name.is_empty());
    let name = name.as_deref().map(KeyName::parse).transpose();
    let mut time = |name: &str| {
        let text = members.take_text(name)?;
        let time = text.as_deref().map(Timestamp::parse).transpose();
        time.map_err(|_| format!("{name}: expected YYYY-MM-DD HH:MM:SS"))
    };
    let (created_at, expires_at) = (time("created_at")?, time("expires_at")?);
    members.take("hash");
    if let Some((unknown, _)) = members.rest().first() {
        return Err(format!(
            "{unknown}: unknown; expected id, name, hash, created_at, expires_at"
        ));
    }
    Ok(ForeignKey {
        id,
        name: name.map_err(|error| format!("name: {error}"))?,
        created_at,
        expires_at,
    })
}

fn listed(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(", ")
}
