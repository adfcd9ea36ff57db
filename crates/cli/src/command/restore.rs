//! `restore`: brings a backup into a database, and lists the API keys that are valid again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value as Json;
use tenants_core::task::Run;
use tenants_core::task::keys::{KeyChoice, KeyDeletion, KeyList};
use tenants_core::task::prepare::MIGRATIONS;
use tenants_core::task::restored::Restored;
use tenants_core::value::clock::Timestamp;
use tenants_core::{Effect, Machine as _};

use crate::backup::{self, Dump, Reading, Seal, Tallies, Value, quoted};
use crate::command::backup::{note_bookmark, private_folder, read};
use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World, table};
use crate::progress::Progress;
use crate::random::request_id;
use crate::session::{Session, now};
use crate::sql;
use crate::task;
use crate::unfinished::Unfinished;

mod finish;
mod keys;

pub use keys::Choice;
use keys::{Grants, Key, choose, id_of, state, valid_keys};

/// The options of `restore`.
#[derive(Debug, Clone, Args)]
#[group(id = "source", required = true, multiple = false, args = ["from", "finish"])]
pub struct RestoreArgs {
    /// The file to restore: of `tenants backup` or of `wrangler d1 export`
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,

    /// Do what follows a restore by other means, such as Time Travel: begin a new epoch for ETag, and list the valid keys
    #[arg(long)]
    pub finish: bool,

    /// Delete everything that the database has first. Without it, a database that is in use is refused
    #[arg(long, conflicts_with = "finish")]
    pub replace: bool,

    /// API keys to delete in the same step: ids with commas between them, `all`, or `deleted` (those that the replaced database had deleted)
    #[arg(long, value_name = "KEYS", value_parser = Choice::parse)]
    pub delete_keys: Option<Choice>,

    /// Check the file, list the keys, and change nothing
    #[arg(long, short = 'n', conflicts_with = "finish")]
    pub dry_run: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct Outcome<'a> {
    restored: bool,
    tables: usize,
    rows: u64,
    keys: &'a [Key],
    /// The ids of the keys that the database had and the backup does not have. They are not valid any more.
    lost_keys: &'a [i64],
    bookmark: Option<String>,
}

/// Restores a backup.
///
/// # Errors
/// Fails if the file is no backup, the database is in use, wrangler or the database fails, or the rows are not those of the file in the end.
pub fn run(args: &RestoreArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    match &args.from {
        Some(file) => restore(args, &session.settings.path(file), session, world),
        None => finish::run(args, session, world),
    }
}

fn restore(
    args: &RestoreArgs,
    file: &std::path::Path,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let text = read(file)?;
    let dump = Dump::read(&text)?;
    check_seal(&text, &dump, world)?;
    let database = Database::open(&session.settings, &args.database)?;
    let now = now(world)?;
    let present = Present::read(&database)?;
    if present.is_used && !args.replace {
        return Err(Error::Refused {
            code: "not_empty",
            detail: format!(
                "the {} database is in use: it has rows of a registry, or tables of tenants. Restore into a new one, or add --replace, \
                 which deletes everything that it has",
                args.database.name()
            ),
        });
    }
    let mut keys = valid_keys(&dump, &present.keys, &now)?;
    let lost = present.lost(&dump);
    choose(&mut keys, args.delete_keys.as_ref())?;
    let deleted: Vec<i64> = keys.iter().filter(|k| k.deleted).map(|k| k.id).collect();
    let expected = expected(&dump, &deleted, &now);
    let mut outcome = Outcome {
        restored: false,
        tables: dump.tables.len(),
        rows: expected.values().map(|tally| tally.rows).sum(),
        keys: &keys,
        lost_keys: &lost,
        bookmark: None,
    };
    if args.dry_run {
        return show(&outcome, session, world);
    }
    outcome.bookmark = note_bookmark(&args.database, &database, world);
    if args.database.remote && present.is_used && outcome.bookmark.is_none() {
        return Err(Error::Database(
            "nothing was restored: the database's bookmark could not be read, and nothing else would undo the restore. Run the command again".into(),
        ));
    }
    world.note(&format!("restoring {} rows…", outcome.rows));
    let bookmark = outcome.bookmark.as_deref();
    import(&dump, &present, &deleted, &now, &database, session)
        .map_err(|error| during_import(error, bookmark, &args.database))?;
    // Before the migrations, which may change rows. They are applied even if the rows differ, so that the service works with what is there.
    let verified = verify(&dump, &expected, &database, world);
    let migrated = database.migrate();
    after_import(verified, migrated.map(drop), bookmark, &args.database)?;
    outcome.restored = true;
    show(&outcome, session, world)
}

/// Adds to an error of a remote import that it may have happened all the same, and how to see that.
fn during_import(error: Error, bookmark: Option<&str>, database: &DatabaseArgs) -> Error {
    if !database.remote {
        return error;
    }
    let options = database.options();
    let mut advice = format!(
        "If only the answer was lost, the backup is in the database all the same: `tenants status{options}` shows what it has."
    );
    if let Some(bookmark) = bookmark {
        advice += &format!(" Its bookmark before was {bookmark}");
    }
    error.with_advice(&advice)
}

/// Adds to the errors after the import that the database is another one now, and what is left to do.
fn after_import(
    verified: Result<(), Error>,
    migrated: Result<(), Error>,
    bookmark: Option<&str>,
    database: &DatabaseArgs,
) -> Result<(), Error> {
    let options = database.options();
    let mut advice = "The backup is in the database, in place of what it had.".to_owned();
    if let Some(bookmark) = bookmark {
        advice += &format!(" Its bookmark before was {bookmark}.");
    }
    if let Err(error) = &migrated {
        if verified.is_err() {
            let reason = error.problem().detail;
            advice += &format!(" Its migrations failed as well: {reason}.");
        }
        advice += &format!(" Run `tenants database:migrate{options}`.");
    }
    advice += &format!(" `tenants api:key:list{options}` shows the keys that are valid now");
    verified
        .and(migrated)
        .map_err(|error| error.with_advice(&advice))
}

/// Compares the file with its last line, if `tenants backup` wrote it.
fn check_seal(text: &str, dump: &Dump<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let Some(seal) = Seal::of(text) else {
        world.note(
            "warning: `tenants backup` did not check this file. If a text has a line end as well as a backslash before an n, \
             wrangler's export has lost the difference",
        );
        return Ok(());
    };
    let differences = backup::differences(&backup::of_dump(dump), &seal.tables);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Refused {
        code: "not_a_backup",
        detail: format!(
            "the file was changed since it was written:\n{}",
            differences.join("\n")
        ),
    })
}

/// The database before the restore.
struct Present {
    /// The kind and the name of every table, view and trigger.
    objects: Vec<(String, String)>,
    /// Whether it has more than an empty registry.
    is_used: bool,
    keys: BTreeMap<i64, keys::Present>,
}

/// The tables that have rows in a new database, or get some while nobody uses it.
const NEVER_EMPTY: [&str; 4] = ["d1_migrations", "registry", "feed_clock", "feed_days"];

/// The tables that wrangler and the migrations make. Any other is a tenant's.
fn registry_tables() -> BTreeSet<&'static str> {
    let lines = MIGRATIONS.iter().flat_map(|step| step.sql.lines());
    let names =
        lines.filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next());
    names.chain(["d1_migrations"]).collect()
}

impl Present {
    fn read(database: &Database) -> Result<Self, Error> {
        let list = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view', 'trigger') \
                    AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_cf_*'";
        let mut results = database.query(&[list.into()])?.into_iter();
        let objects: Vec<(String, String)> = results
            .next()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|row| match row.as_slice() {
                [Json::String(kind), Json::String(name)] => Some((kind.clone(), name.clone())),
                _ => None,
            })
            .collect();
        let tables: Vec<&str> = objects
            .iter()
            .filter(|(kind, _)| kind == "table")
            .map(|(_, name)| name.as_str())
            .collect();
        let registry = registry_tables();
        let mut is_used = tables.iter().any(|name| !registry.contains(name));
        let rows: Vec<String> = tables
            .iter()
            .filter(|name| registry.contains(*name) && !NEVER_EMPTY.contains(name))
            .map(|name| format!("EXISTS (SELECT 1 FROM {name})"))
            .collect();
        if !rows.is_empty() {
            let any = database.query(&[format!("SELECT {}", rows.join(" OR "))])?;
            is_used |= any != [[[Json::from(0)]]];
        }
        let (mut grants, rows) = if tables.contains(&"api_keys") {
            let rows = task::run(database, KeyList::all(), &|| 0, |_| ())?;
            let grants = database.query(&[Grants::SELECT.into()])?;
            let grants = grants.iter().flatten();
            let grants = grants.filter_map(|row| Grants::of_database(row));
            (grants.collect(), rows)
        } else {
            (BTreeMap::new(), Vec::new())
        };
        let keys = rows.into_iter().map(|row| {
            let grants = grants.remove(&row.id).unwrap_or_default();
            (row.id, keys::Present { row, grants })
        });
        Ok(Self {
            keys: keys.collect(),
            objects,
            is_used,
        })
    }

    /// Returns the ids of the keys that the file does not have.
    fn lost(&self, dump: &Dump<'_>) -> Vec<i64> {
        let is_there = |id: &i64| dump.rows_of("api_keys").any(|row| id_of(row) == Some(*id));
        let rows = self.keys.values().map(|key| &key.row);
        let valid = rows.filter(|row| row.deleted_at.is_none());
        valid.map(|row| row.id).filter(|id| !is_there(id)).collect()
    }

    /// Returns the statements that delete everything.
    fn drops(&self) -> Vec<String> {
        let mut objects: Vec<&(String, String)> = self.objects.iter().collect();
        // Triggers first, then views, then tables; of the tables `tenants` before the plans that it refers to.
        objects.sort_by_key(|(kind, name)| {
            let order = ["trigger", "view", "table"].iter().position(|k| k == kind);
            (order, name == "tenants_plans")
        });
        objects
            .into_iter()
            .map(|(kind, name)| {
                format!(
                    "DROP {} IF EXISTS {}",
                    kind.to_ascii_uppercase(),
                    quoted(name)
                )
            })
            .collect()
    }
}

/// Returns the tallies after the restore: those of the file, with the keys deleted, and without the responses to requests whose jobs were unfinished, since
/// those jobs are ended. The epoch is new, so the table `registry` differs.
fn expected(dump: &Dump<'_>, deleted: &[i64], now: &Timestamp) -> Tallies {
    let mut tallies: Tallies = dump
        .tables
        .iter()
        .filter(|table| table.name != "registry")
        .map(|table| (table.name.to_string(), backup::Tally::default()))
        .collect();
    let unfinished: BTreeSet<&str> = dump
        .rows_of("cell_work")
        .filter(|job| job.value("finished_at") == Some(&Value::Null))
        .filter_map(|job| job.text("id"))
        .collect();
    for row in &dump.rows {
        if row.table == "idempotency"
            && row
                .text("job_id")
                .is_some_and(|job| unfinished.contains(job))
        {
            continue;
        }
        let is_deleted =
            row.table == "api_keys" && id_of(row).is_some_and(|id| deleted.contains(&id));
        let at = Value::Text(now.as_str().into());
        let values = row.columns.iter().zip(&row.values).map(|(column, value)| {
            if is_deleted && column == "deleted_at" {
                &at
            } else {
                value
            }
        });
        if let Some(tally) = tallies.get_mut(&*row.table) {
            let left_out = backup::is_changed_by_restore;
            tally.add(backup::at_rest(&row.table, &row.columns, values, left_out));
        }
    }
    tallies
}

/// Writes everything in one transaction: deletes what the database has, creates what the file has, begins a new epoch, deletes keys.
fn import(
    dump: &Dump<'_>,
    present: &Present,
    deleted: &[i64],
    now: &Timestamp,
    database: &Database,
    session: &Session<'_>,
) -> Result<(), Error> {
    let has_epoch = dump.table("registry").is_some();
    // A backup from before the epoch has no column for the operator either.
    let run = if has_epoch {
        session.run()?
    } else {
        Run::new(request_id()?)
    };
    let name = private_folder(database.folder())?.join(run.id());
    let file = Unfinished::new(&name, "import")?;
    let written = || -> std::io::Result<()> {
        let out = OpenOptions::new().write(true).open(file.path())?;
        let mut out = BufWriter::new(out);
        for statement in present.drops() {
            writeln!(out, "{statement};")?;
        }
        dump.write_script(&mut out)?;
        // A backup from before the table gets its first epoch from the migration.
        if has_epoch {
            let restored = Restored::begin(&run, now);
            // A backup from before one of these tables has nothing of it to end.
            let is_absent = |statement: &str| {
                let mut ended = ["cell_work", "console_sessions"].into_iter();
                ended.any(|table| {
                    statement.starts_with(&format!("UPDATE {table} "))
                        && dump.table(table).is_none()
                })
            };
            let restored = statements(&restored.effect()).into_iter();
            write(restored.filter(|statement| !is_absent(statement)), &mut out)?;
        }
        for id in deleted {
            let deletion = KeyDeletion::begin(&KeyChoice::Id(*id), &run, now);
            write(statements(&deletion.effect()), &mut out)?;
        }
        out.flush()
    };
    written().map_err(|e| Error::Machine(format!("{}: {e}", file.path().display())))?;
    database.import(file.path())
}

fn write(
    statements: impl IntoIterator<Item = String>,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    for statement in statements {
        writeln!(out, "{statement};")?;
    }
    Ok(())
}

fn statements(effect: &Effect<'_>) -> Vec<String> {
    effect
        .batch()
        .into_iter()
        .flat_map(sql::statements)
        .collect()
}

/// Compares the database with the file.
fn verify(
    dump: &Dump<'_>,
    expected: &Tallies,
    database: &Database,
    world: &mut World<'_>,
) -> Result<(), Error> {
    // The restore itself adds entries to the audit log.
    let newest = dump
        .rows_of("audit_log")
        .filter_map(id_of)
        .max()
        .unwrap_or(0);
    let tables: Vec<Reading> = Reading::of_dump(dump)
        .into_iter()
        .filter(|table| table.table != "registry")
        .map(|table| Reading {
            upto: (table.table == "audit_log").then_some(newest),
            left_out: backup::is_changed_by_restore,
            ..table
        })
        .collect();
    let mut progress = Progress::new("checking rows", world);
    let stored = backup::of_database(database, &tables, &mut |_, _| (), &mut progress)?;
    drop(progress);
    let differences = backup::differences(expected, &stored);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Refused {
        code: "restore_differs",
        detail: format!(
            "not all rows of the database are as in the file. Did somebody write to it meanwhile?\n{}",
            differences.join("\n")
        ),
    })
}

fn show(outcome: &Outcome<'_>, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if session.format == Format::Json {
        return session.show_own(outcome, world);
    }
    let (rows, tables) = (outcome.rows, outcome.tables);
    let sentence = match (outcome.restored, tables) {
        (true, 0) => "a new epoch has begun".into(),
        (true, _) => {
            format!("restored {rows} rows of {tables} tables; they are as in the file")
        }
        (false, _) => format!("the file has {rows} rows of {tables} tables; nothing was changed"),
    };
    session.say(&sentence, world)?;
    if !outcome.keys.is_empty() {
        let headings = ["KEY", "NAME", "CREATED", "BEFORE", "AFTER"];
        let line = |key: &Key| {
            vec![
                key.id.to_string(),
                key.name
                    .as_deref()
                    .map_or("–".into(), tenants_client::terminal::printable),
                key.created_at.clone(),
                key.was.into(),
                if key.deleted { "deleted" } else { "valid" }.into(),
            ]
        };
        let lines = outcome.keys.iter().map(line).collect();
        world.print(&table(&headings, lines, world.width))?;
    }
    for key in outcome.keys {
        for difference in &key.differences {
            world.print(&format!("key {}: {difference}", key.id))?;
        }
    }
    if !outcome.lost_keys.is_empty() {
        let ids: Vec<String> = outcome.lost_keys.iter().map(i64::to_string).collect();
        world.note(&format!(
            "Keys that the backup does not have, and that are not valid any more: {}",
            ids.join(", ")
        ));
    }
    if outcome.restored {
        world.note(
            "`env` may be under an older key now: `tenants env:reseal --dry-run` counts. docs/BACKUP.md has the other steps",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{NEVER_EMPTY, registry_tables};

    #[test]
    fn the_tables_of_the_schema_are_known() {
        let schema = include_str!("../../../../schema.sql").lines();
        let schema = schema.chain(include_str!("../../../../schema_writes.sql").lines());
        let made = schema.filter_map(|line| line.trim_start().strip_prefix("CREATE TABLE "));
        let made: Vec<&str> = made
            .filter_map(|rest| rest.split([' ', '(']).next())
            .collect();
        let known = registry_tables();
        assert!(made.len() > 20, "{made:?}");
        assert!(made.iter().all(|name| known.contains(name)), "{made:?}");
        assert!(NEVER_EMPTY.iter().all(|name| known.contains(name)));
    }
}
