//! `import`: tenants and plans of a file, through the API.
//!
//! Each line is a PUT: it creates what is not there, and makes it as the line says if it is. So an import that was cut off is run again,
//! and a line that changes nothing writes nothing. Each PUT has an Idempotency-Key, of this run alone, for the program's own second tries. A key of
//! the line itself would replay the answer of an earlier run, even if somebody has changed the tenant since.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tenants_chevereto::seal::EncryptionKey;
use tenants_client::problem::Problem;
use tenants_client::terminal::printable;
use tenants_client::{Client, Request};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::output::{Format, World};
use crate::progress::Progress;
use crate::random::request_id;
use crate::records;
use crate::session::Session;

mod map;
mod row;

use row::{Kind, Row, Unusable};

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

/// The pauses before the second try of a line and those after it, in milliseconds.
const PAUSES_MS: [u64; 5] = [200, 500, 1_000, 2_000, 5_000];

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
    // Tenants name plans, which must be there first.
    import.send(plans, world)?;
    let tenants = import.without_refused_plans(tenants);
    import.send(tenants, world)?;
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

/// An import under way.
struct Import {
    client: Client,
    run_id: String,
    dry_run: bool,
    jobs: u8,
    /// The plans of the file: their ids in lower case, and their lines.
    plans: HashMap<String, u64>,
    report: Report,
}

/// The outcome of a line that the API answered.
enum Outcome {
    Created,
    Existing,
    Valid,
    Refused(Box<Problem>),
}

impl Import {
    /// Sends rows, several at a time. A line that is refused does not stop the others; an API that fails or refuses the caller does.
    fn send(&mut self, rows: Vec<Row>, world: &mut World<'_>) -> Result<(), Error> {
        let Some(kind) = rows.first().map(|row| row.kind) else {
            return Ok(());
        };
        let what = match kind {
            Kind::Plan => "importing plans",
            Kind::Tenant => "importing tenants",
        };
        let total = rows.len();
        let mut progress = Progress::new(what, world);
        let mut done = 0_usize;
        let mut failed = None;
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, answers) = channel();
        let this = &*self;
        let mut outcomes = Vec::with_capacity(total);
        thread::scope(|scope| {
            for _ in 0..this.jobs {
                let sender = sender.clone();
                let (rows, next, is_over) = (&rows, &next, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed)
                        && let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let answer = this.put(row, is_over);
                        // The receiver lives until this scope ends.
                        let _ = sender.send((row, answer));
                    }
                });
            }
            drop(sender);
            for (row, answer) in answers {
                match answer {
                    Ok(outcome) => {
                        done += 1;
                        outcomes.push((row, outcome));
                        progress.show(done as u64, total as u64);
                    }
                    Err(error) => {
                        is_over.store(true, Ordering::Relaxed);
                        failed.get_or_insert(error);
                    }
                }
            }
        });
        drop(progress);
        for (row, outcome) in outcomes {
            self.report.count(row, outcome);
        }
        match failed {
            None => Ok(()),
            Some(error) => {
                let note = if self.dry_run {
                    "The check stopped"
                } else {
                    "The import stopped. Run it again: lines that are done already change nothing"
                };
                world.note(&format!("{note} ({done} of {total} {}s done)", kind.name()));
                Err(error)
            }
        }
    }

    /// Makes one row so. A failure that may pass is tried again, under the same Idempotency-Key.
    fn put(&self, row: &Row, is_over: &AtomicBool) -> Result<Outcome, Error> {
        let in_file = |id: &String| self.plans.contains_key(&id.to_ascii_lowercase());
        let body =
            Zeroizing::new(row.body(self.dry_run && row.plan_id.as_ref().is_some_and(in_file)));
        let path = format!("{}/{}", row.kind.path(), row.id);
        let key = format!("{}-{}", self.run_id, row.line);
        let mut pauses = PAUSES_MS.into_iter();
        loop {
            let answer = if self.dry_run {
                self.client.call(
                    Request::Put(&body, None),
                    &format!("{path}?validate_only=true"),
                )
            } else {
                self.client.call(Request::Put(&body, Some(&key)), &path)
            };
            let error = match answer {
                Ok(_) if self.dry_run => return Ok(Outcome::Valid),
                Ok(answer) if answer.status == 201 => return Ok(Outcome::Created),
                Ok(_) => return Ok(Outcome::Existing),
                Err(error) => Error::from(error),
            };
            let may_pass = match &error {
                Error::Unreachable { .. } => true,
                Error::Answer { problem, .. } => match problem.status {
                    // Whoever may not write one may write none, and an API without PUT has none.
                    Some(401 | 403 | 404 | 405) => false,
                    Some(429 | 500..) => true,
                    _ => return Ok(Outcome::Refused(Box::new((**problem).clone()))),
                },
                _ => false,
            };
            match pauses
                .next()
                .filter(|_| may_pass && !is_over.load(Ordering::Relaxed))
            {
                Some(pause) => thread::sleep(Duration::from_millis(pause)),
                None => return Err(error),
            }
        }
    }

    /// Of a trial, refuses the tenants whose plan is in the file and was refused. Otherwise the API does.
    fn without_refused_plans(&mut self, rows: Vec<Row>) -> Vec<Row> {
        if !self.dry_run {
            return rows;
        }
        let refused: Vec<u64> = self.report.refused.iter().map(|one| one.line).collect();
        let mut kept = Vec::new();
        for row in rows {
            let line = row
                .plan_id
                .as_ref()
                .and_then(|id| self.plans.get(&id.to_ascii_lowercase()))
                .filter(|line| refused.contains(line));
            match line {
                Some(line) => {
                    let detail = format!("plan_id: the plan of line {line} is refused");
                    self.report.refused.push(Refusal::of_row(&row, detail));
                }
                None => kept.push(row),
            }
        }
        kept
    }

    fn finish(mut self) -> Report {
        self.report.refused.sort_by_key(|one| one.line);
        for refusal in &self.report.refused {
            match refusal.kind {
                Kind::Plan => self.report.plans.refused += 1,
                Kind::Tenant => self.report.tenants.refused += 1,
            }
        }
        self.report
    }
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
