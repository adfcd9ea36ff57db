//! `backup`: writes the whole database to a file with the platform's own export, and checks the file against the database.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::backup::{
    self, Dump, Reading, Row, Seal, Tallies, Value, insert_whole, is_in_motion, shown,
};
use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World};
use crate::progress::Progress;
use crate::session::{Session, now};
use crate::unfinished::{Unfinished, failed};
use tenants_client::terminal::printable;

/// The folder of the backups in the project. Git ignores it.
pub(super) const FOLDER: &str = "backups";

/// The options of `backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The file to write [default: backups/tenants-<local or remote>-<time>.sql of the project]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct Written<'a> {
    file: &'a str,
    tables: usize,
    rows: u64,
    bookmark: Option<&'a str>,
}

/// Writes a backup and checks it.
///
/// # Errors
/// Fails if wrangler or the database fails, the file cannot be written, or its rows are not those of the database.
pub fn run(args: &BackupArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if args.database.persist_to.is_some() {
        return Err(Error::Usage(
            "--persist-to: wrangler's export reads only the local database beside a wrangler.toml; name that file with --config"
                .into(),
        ));
    }
    let database = Database::open(&session.settings, &args.database)?;
    let file = match &args.output {
        Some(file) => session.settings.path(file),
        None => {
            let time = now(world)?.as_str().replace(' ', "T").replace(':', "");
            let name = format!("tenants-{}-{time}.sql", args.database.name());
            private_folder(database.folder())?.join(name)
        }
    };
    if file.exists() {
        return Err(Error::Usage(format!("{} exists already", file.display())));
    }
    let bookmark = note_bookmark(&args.database, &database, world);
    // The final name appears only once the file is checked.
    let part = Unfinished::in_folder(&file, "part")?;
    world.note(&format!("exporting the {} database…", args.database.name()));
    database.export(part.path())?;
    let text = read(part.path())?;
    let dump = Dump::read(&text)?;
    let (corrections, seal) = check(&dump, &database, world)?;
    if !corrections.is_empty() {
        rewrite(part.path(), &text, &dump, &corrections)?;
    }
    append(part.path(), &format!("\n{}\n", seal.line()?))?;
    part.finish(&file)?;

    let shown = file.display().to_string();
    let rows = seal.tables.values().map(|tally| tally.rows).sum();
    let tables = seal.tables.len();
    match session.format {
        Format::Json => session.show_own(
            &Written {
                file: &shown,
                tables,
                rows,
                bookmark: bookmark.as_deref(),
            },
            world,
        ),
        Format::Table => session.say(
            &format!("wrote {shown}: {rows} rows of {tables} tables, the same as in the database"),
            world,
        ),
    }
}

/// Notes the bookmark to which Time Travel can return. A local database has none.
pub(super) fn note_bookmark(
    args: &DatabaseArgs,
    database: &Database,
    world: &mut World<'_>,
) -> Option<String> {
    if !args.remote {
        return None;
    }
    match database.bookmark() {
        Ok(bookmark) => {
            world.note(&format!("the database's bookmark is {bookmark}"));
            Some(bookmark)
        }
        Err(error) => {
            let detail = error.problem().detail;
            world.note(&format!(
                "warning: the database's bookmark could not be read: {}",
                printable(detail.lines().next().unwrap_or_default())
            ));
            None
        }
    }
}

/// The rows, by their place in the file, that the export did not keep exactly, with their exact values.
type Corrections = HashMap<usize, Vec<Value>>;

/// Compares the file with the database. If the export shows a row as it is but a text of it was lost, the database has the exact one.
fn check(
    dump: &Dump<'_>,
    database: &Database,
    world: &mut World<'_>,
) -> Result<(Corrections, Seal), Error> {
    // Only rows with escaped line ends can have lost a text.
    let mut escaped: HashMap<(String, Vec<String>), Vec<usize>> = HashMap::new();
    for (at, row) in dump
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.is_escaped)
    {
        let values = backup::at_rest(&row.table, &row.columns, &row.values, is_in_motion);
        let values: Vec<Value> = values.cloned().collect();
        escaped
            .entry((row.table.to_string(), shown(&values)))
            .or_default()
            .push(at);
    }
    let mut exact: Corrections = HashMap::new();
    let mut see = |table: &str, values: &[Value]| {
        if let Some(places) = escaped.get_mut(&(table.to_owned(), shown(values)))
            && let Some(at) = places.pop()
            && let Some(row) = dump.rows.get(at)
        {
            let both = row.columns.iter().zip(&row.values).zip(values);
            let whole = both.map(
                |((column, own), stored)| match is_in_motion(table, column) {
                    true => own.clone(),
                    false => stored.clone(),
                },
            );
            exact.insert(at, whole.collect());
        }
    };
    let mut progress = Progress::new("checking rows", world);
    let tables = Reading::of_dump(dump);
    let stored = backup::of_database(database, &tables, &mut see, &mut progress)?;
    drop(progress);
    exact.retain(|at, values| {
        let canonical = |values: &[Value]| -> Vec<String> {
            values
                .iter()
                .map(|value| value.canonical().into())
                .collect()
        };
        dump.rows
            .get(*at)
            .is_some_and(|row| canonical(&row.values) != canonical(values))
    });
    let mut sealed: Tallies = dump
        .tables
        .iter()
        .map(|table| (table.name.to_string(), backup::Tally::default()))
        .collect();
    let mut compared = sealed.clone();
    for (at, row) in dump.rows.iter().enumerate() {
        let values = exact.get(&at).unwrap_or(&row.values);
        let table = row.table.to_string();
        let at_rest = backup::at_rest(&row.table, &row.columns, values, is_in_motion);
        compared.entry(table.clone()).or_default().add(at_rest);
        sealed.entry(table).or_default().add(values);
    }
    let differences = backup::differences(&compared, &stored);
    if differences.is_empty() {
        return Ok((exact, Seal { tables: sealed }));
    }
    Err(Error::Refused {
        code: "backup_differs",
        detail: format!(
            "the export is not what the database has, so no file was written. Did somebody write to the database meanwhile? Run the command again\n{}",
            differences.join("\n")
        ),
    })
}

/// Writes the file again with exact rows in place of some.
fn rewrite(
    path: &Path,
    text: &str,
    dump: &Dump<'_>,
    corrections: &Corrections,
) -> Result<(), Error> {
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .map_err(|e| failed(path, &e))?;
    let mut from = 0;
    let mut out = String::with_capacity(text.len());
    for (at, row) in dump.rows.iter().enumerate() {
        let Some(values) = corrections.get(&at) else {
            continue;
        };
        // A row's statement is a part of the text.
        let start = row.sql.as_ptr().addr() - text.as_ptr().addr();
        let exact = Row {
            values: values.clone(),
            ..row.clone()
        };
        out += &text[from..start];
        out += &insert_whole(&exact);
        from = start + row.sql.len();
    }
    out += &text[from..];
    file.write_all(out.as_bytes()).map_err(|e| failed(path, &e))
}

fn append(path: &Path, text: &str) -> Result<(), Error> {
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|e| failed(path, &e))
}

/// Reads a file.
///
/// # Errors
/// Fails if it cannot be read or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))
}

/// Returns the folder of the backups, and creates it for nobody else to read.
pub(super) fn private_folder(project: &Path) -> Result<PathBuf, Error> {
    let folder = project.join(FOLDER);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(|e| failed(&folder, &e))?;
    Ok(folder)
}
