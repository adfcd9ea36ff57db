//! `import`: tenants and plans of a file, through the API.
//!
//! Each line is a PUT: it creates what is not there, and makes it as the line says if it is. So an import that was cut off is run again,
//! and a line that changes nothing writes nothing. Each PUT has an Idempotency-Key, of this run alone, for the program's own second tries. A key of
//! the line itself would replay the answer of an earlier run, even if somebody has changed the tenant since.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tenants_chevereto::seal::EncryptionKey;
use tenants_client::problem::Problem;
use tenants_client::terminal::printable;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::output::{Format, World};
use crate::random::request_id;
use crate::records;
use crate::session::Session;

mod map;
mod row;
mod send;

use row::{Kind, Row, Unusable};
use send::Import;

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

/// A line that was refused.
#[derive(Debug, Serialize)]
struct Refusal {
    line: u64,
    #[serde(rename = "type")]
    kind: Kind,
    id: Option<String>,
    #[serde(flatten)]
    problem: Problem,
}

impl Refusal {
    fn of(line: u64, unusable: Unusable) -> Self {
        let Unusable { kind, id, detail } = unusable;
        Self {
            line,
            kind,
            id,
            problem: Problem::own("Unusable line", "unusable_line", detail),
        }
    }

    fn of_row(row: &Row, detail: String) -> Self {
        Self::of(
            row.line,
            Unusable {
                kind: row.kind,
                id: Some(row.id.clone()),
                detail,
            },
        )
    }
}

/// The outcomes of the lines of one kind.
#[derive(Debug, Default, Serialize)]
struct Count {
    /// They were not there.
    created: u64,
    /// They were there, and are now as their lines say.
    existing: u64,
    /// Of a trial: they would be accepted.
    valid: u64,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    plans: Count,
    tenants: Count,
    refused: Vec<Refusal>,
}

/// Imports a file.
///
/// # Errors
/// Fails if the file cannot be read, if the API cannot be reached or refuses the caller, or if a line was refused. The other lines are
/// imported all the same.
pub fn run(args: &ImportArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let key = chevereto_key(args, session)?;
    let bytes = read(&args.file, session, world)?;
    let records = records::read(&bytes).map_err(Error::Usage)?;
    if records.is_empty() {
        return Err(Error::Usage("the file has no lines".into()));
    }
    let mut rows = Vec::new();
    let mut refused = Vec::new();
    for record in records {
        let line = record.line;
        match row::row(record, args.kind, key.as_ref()) {
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
        dry_run: args.dry_run,
        jobs: args.jobs,
        plans: plans
            .iter()
            .map(|plan| (plan.id.to_ascii_lowercase(), plan.line))
            .collect(),
        report: Report {
            dry_run: args.dry_run,
            plans: Count::default(),
            tenants: Count::default(),
            refused,
        },
    };
    import.carry_out(plans, tenants, world)?;
    import.finish().show(session, world)
}

/// Refuses all but the first of the lines that want the same id, hostname or external id: with several requests at a time, which of them came
/// first would be chance.
fn refuse_repeated(rows: &mut Vec<Row>) -> Vec<Refusal> {
    let mut seen: HashMap<(Kind, &str, String), u64> = HashMap::new();
    let mut refused = Vec::new();
    rows.retain(|row| {
        let wants = [
            ("id", Some(row.id.to_ascii_lowercase())),
            (
                "hostname",
                row.hostname.as_ref().map(|name| name.to_ascii_lowercase()),
            ),
            ("external_id", row.external_id.clone()),
        ];
        let wants = wants.map(|(name, value)| Some(((row.kind, name, value?), name)));
        for (key, name) in wants.iter().flatten() {
            if let Some(line) = seen.get(key) {
                let detail = format!("{name}: line {line} has the same");
                refused.push(Refusal::of_row(row, detail));
                return false;
            }
        }
        for (key, _) in wants.into_iter().flatten() {
            seen.insert(key, row.line);
        }
        true
    });
    refused
}

/// The outcome of a line that the API answered.
enum Outcome {
    Created,
    Existing,
    Valid,
    Refused(Box<Problem>),
}

impl Report {
    fn count(&mut self, row: &Row, outcome: Outcome) {
        let count = match row.kind {
            Kind::Plan => &mut self.plans,
            Kind::Tenant => &mut self.tenants,
        };
        match outcome {
            Outcome::Created => count.created += 1,
            Outcome::Existing => count.existing += 1,
            Outcome::Valid => count.valid += 1,
            Outcome::Refused(problem) => self.refused.push(Refusal {
                line: row.line,
                kind: row.kind,
                id: Some(row.id.clone()),
                problem: *problem,
            }),
        }
    }

    fn show(&self, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
        match session.format {
            Format::Json => session.show_own(self, world)?,
            Format::Table => {
                for Refusal {
                    line,
                    kind,
                    id,
                    problem,
                } in &self.refused
                {
                    let id = id.as_deref().map(printable);
                    let id = id.map_or_else(String::new, |id| format!(" `{id}`"));
                    world.complain(&format!(
                        "line {line}, {}{id}: {}",
                        kind.name(),
                        problem.to_text()
                    ));
                }
                for (what, count) in [("plans", &self.plans), ("tenants", &self.tenants)] {
                    let Count {
                        created,
                        existing,
                        valid,
                        refused,
                    } = count;
                    let sentence = match (self.dry_run, created + existing + valid + refused) {
                        (_, 0) => continue,
                        (true, _) => format!(
                            "{what}: {valid} would be accepted, {refused} refused; nothing was written"
                        ),
                        (false, _) => format!(
                            "{what}: {created} created, {existing} were there and are as the file says, {refused} refused"
                        ),
                    };
                    session.say(&sentence, world)?;
                }
            }
        }
        match self.refused.len() {
            0 => Ok(()),
            n => Err(Error::Refused {
                code: "lines_refused",
                detail: format!("{n} of the file's lines were refused"),
            }),
        }
    }
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
