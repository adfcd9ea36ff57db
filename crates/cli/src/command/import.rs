//! `import`: tenants and plans of a file, through the API.
//!
//! Each line is a PUT: it creates what is not there, and makes it as the line says if it is. A tenant's holds and further hostnames are PUTs of
//! their own. So an import that was cut off is run again, and what changes nothing writes nothing. Each PUT has an Idempotency-Key, of this run
//! alone, for the program's own second tries. A key of the line itself would replay the answer of an earlier run, even if somebody has changed the
//! tenant since.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use tenants_chevereto::seal::EncryptionKey;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::output::World;
use crate::random::request_id;
use crate::records;
use crate::session::Session;

mod below;
mod map;
mod report;
mod row;
mod send;

use report::{Refusal, Report};
use row::{Kind, Reading, Row};
use send::{Clock, Import};

/// The options of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The file: JSON lines, or CSV whose first line names the columns; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Check every line and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// The kind of the lines that have no `type`
    #[arg(
        long = "type",
        value_enum,
        value_name = "TYPE",
        default_value = "tenant"
    )]
    pub kind: Kind,

    /// The encryption key of a Chevereto installation, whose rows the file has; `@FILE` reads it from a file, which other users cannot see
    #[arg(long, value_name = "KEY")]
    pub chevereto_key: Option<String>,

    /// Send this many requests at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub jobs: u8,
}

/// Imports a file.
///
/// # Errors
/// Fails if the file cannot be read, if a line was refused, while the others are imported all the same, or with [`Error::Stopped`] if the API
/// cannot be reached or refuses the caller.
pub fn run(args: &ImportArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let key = chevereto_key(args, session)?;
    let bytes = read(&args.file, session, world)?;
    let records = records::read(&bytes).map_err(Error::Usage)?;
    if records.is_empty() {
        return Err(Error::Usage("the file has no lines".into()));
    }
    let reading = Reading {
        kind: args.kind,
        key: key.as_ref(),
    };
    let mut rows = Vec::new();
    let mut refused = Vec::new();
    for record in records {
        let line = record.line;
        match row::row(record, reading) {
            Ok(row) => rows.push(row),
            Err(unusable) => refused.push(Refusal::of(line, unusable)),
        }
    }
    refused.extend(refuse_repeated(&mut rows));
    let (plans, tenants): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| row.kind == Kind::Plan);

    let mut import = Import {
        client: session.client(world)?,
        run_id: request_id()?,
        clock: Clock::begin(world)?,
        dry_run: args.dry_run,
        jobs: args.jobs,
        plans: plans
            .iter()
            .map(|plan| (plan.id.to_ascii_lowercase(), plan.line))
            .collect(),
        report: Report::new(args.dry_run, refused),
    };
    let end = import.carry_out(plans, tenants, world);
    let report = import.report.finish(end.is_err());
    let shown = report.show(session, world);
    // The verdict on the lines counts more than a report that nobody reads.
    end.and_then(|()| report.verdict()).and(shown)
}

/// Refuses all but the first of the lines that want the same id, hostname or external id: with several requests at a time, which of them came
/// first would be chance.
fn refuse_repeated(rows: &mut Vec<Row>) -> Vec<Refusal> {
    let mut seen: HashMap<(Kind, &str, String), u64> = HashMap::new();
    let mut refused = Vec::new();
    rows.retain(|row| {
        let own = row.hostname.as_ref().map(|name| name.to_ascii_lowercase());
        let further = row.hostnames.iter().map(|one| one.name.clone());
        let wants = [
            ("id", Some(row.id.to_ascii_lowercase())),
            ("external_id", row.external_id.clone()),
            ("hostname", own),
        ]
        .into_iter()
        .chain(further.map(|name| ("hostname", Some(name))));
        let wants: Vec<_> = wants
            .filter_map(|(name, value)| Some((row.kind, name, value?)))
            .collect();
        let twice = wants.iter().find_map(|key| Some((key.1, seen.get(key)?)));
        if let Some((name, line)) = twice {
            let detail = format!("{name}: line {line} has the same");
            refused.push(Refusal::of_row(row, detail));
            return false;
        }
        seen.extend(wants.into_iter().map(|key| (key, row.line)));
        true
    });
    refused
}

fn chevereto_key(args: &ImportArgs, session: &Session<'_>) -> Result<Option<EncryptionKey>, Error> {
    let Some(text) = &args.chevereto_key else {
        return Ok(None);
    };
    let text = Zeroizing::new(match text.strip_prefix('@') {
        None => text.clone(),
        Some(file) => {
            let path = session.settings.path(Path::new(file));
            fs::read_to_string(&path)
                .map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?
        }
    });
    match EncryptionKey::parse(&text) {
        Some(key) => Ok(Some(key)),
        None => Err(Error::Usage(
            "--chevereto-key: expected CHEVERETO_ENCRYPTION_KEY of the installation, base64 of 32 bytes".into(),
        )),
    }
}

/// Reads a file of records, or standard input.
pub(super) fn read(
    file: &Path,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    let (read, name) = if file == Path::new("-") {
        (
            world.input.read_to_end(&mut bytes).map(drop),
            "standard input".into(),
        )
    } else {
        let path = session.settings.path(file);
        let read = fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes));
        (read.map(drop), path.display().to_string())
    };
    read.map_err(|e| Error::Usage(format!("{name} cannot be read: {e}")))?;
    Ok(bytes)
}
