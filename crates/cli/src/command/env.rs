//! `env:reseal`: encrypts every `env` again after the encryption key has changed.
//!
//! The keys stay in this program. wrangler receives only encrypted texts.

use clap::Args;
use serde::Serialize;
use tenants_core::config::Config;
use tenants_core::task::reseal::{Count, Counts, Report, Reseal, Survey, Table};

use crate::database::{CALL_BYTES, Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World, table};
use crate::progress::Progress;
use crate::session::{Session, now};
use crate::settings::Needs;
use crate::task;

/// The number of rows that an error names for people.
const SHOWN_ROWS: usize = 20;

/// The options of `env:reseal`.
#[derive(Debug, Clone, Args)]
pub struct ResealArgs {
    /// Count how many texts are encrypted under which key, and change nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The number of a table's encrypted texts under each key, for programs.
#[derive(Serialize)]
struct Sealed {
    current: i64,
    previous: i64,
    other: i64,
}

#[derive(Serialize)]
struct Tables {
    tenants: Sealed,
    plans: Sealed,
    answers: Sealed,
    jobs: Sealed,
    deleted: Sealed,
    webhooks: Sealed,
}

#[derive(Serialize)]
struct Place<'a> {
    place: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Outcome<'a> {
    resealed: u64,
    overtaken: u64,
    unreadable: Vec<Place<'a>>,
    before: Tables,
    after: Tables,
}

impl From<Count> for Sealed {
    fn from(count: Count) -> Self {
        Self {
            current: count.current,
            previous: count.previous,
            other: count.other,
        }
    }
}

impl From<Counts> for Tables {
    fn from(counts: Counts) -> Self {
        Self {
            tenants: counts.tenants.into(),
            plans: counts.plans.into(),
            answers: counts.answers.into(),
            jobs: counts.jobs.into(),
            deleted: counts.deleted.into(),
            webhooks: counts.webhooks.into(),
        }
    }
}

/// Encrypts again, under the current key, every text that another key encrypted. With `--dry-run` only counts them.
///
/// # Errors
/// Fails if a key is missing, the database fails, or a row is not encrypted under the current key in the end.
pub fn reseal(
    args: &ResealArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let needs = Needs {
        secrets: &["CHEVERETO_ENCRYPTION_KEY"],
        optional_secrets: &["CHEVERETO_ENCRYPTION_KEY_PREVIOUS"],
        ..Needs::default()
    };
    let config = session.settings.config(&needs, !args.database.remote)?;
    let database = Database::open(&session.settings, &args.database)?;
    if args.dry_run {
        let survey = Survey::begin(&config).map_err(task::stopped)?;
        let counts = task::run(&database, survey, world.now, |_| ())?;
        return show_counts(counts, session, world);
    }
    let report = run(&config, &database, session, world)?;
    show(&report, session, world)?;
    judge(&report)
}

fn run(
    config: &Config,
    database: &Database,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<Report, Error> {
    let now = now(world)?;
    let clock = world.now;
    let reseal = Reseal::begin(config, &session.run()?, &now, CALL_BYTES).map_err(task::stopped)?;
    let mut progress = Progress::new("encrypting again", world);
    Ok(task::run(database, reseal, clock, |reseal| {
        let (done, total) = reseal.progress();
        progress.show(done, total);
    })?)
}

fn show_counts(counts: Counts, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if session.format == Format::Json {
        return session.show_own(&Tables::from(counts), world);
    }
    let rows = Table::ALL.map(|of| {
        let count = counts.of(of);
        let numbers = [count.current, count.previous, count.other].map(|n| n.to_string());
        [of.name().to_owned()].into_iter().chain(numbers).collect()
    });
    let text = table(
        &["TABLE", "CURRENT KEY", "PREVIOUS KEY", "NEITHER"],
        rows.into(),
        world.width,
    );
    world.print(&text)
}

fn show(report: &Report, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if session.format == Format::Json {
        let unreadable = report.unreadable.iter();
        let outcome = Outcome {
            resealed: report.resealed,
            overtaken: report.overtaken,
            unreadable: unreadable
                .map(|row| Place {
                    place: &row.place,
                    reason: row.reason,
                })
                .collect(),
            before: report.before.into(),
            after: report.after.into(),
        };
        return session.show_own(&outcome, world);
    }
    let mut sentence = format!("encrypted {} again", rows(report.resealed));
    if report.overtaken > 0 {
        sentence += &format!(
            "; {} edited meanwhile and left unchanged",
            rows(report.overtaken)
        );
    }
    if report.after.to_do() == 0 {
        let after = report.after;
        let all: i64 = Table::ALL.map(|table| after.of(table).current).iter().sum();
        sentence += &format!("; everything encrypted ({all}) is under the current key");
    }
    session.say(&sentence, world)
}

fn rows(n: u64) -> String {
    if n == 1 {
        "1 row".into()
    } else {
        format!("{n} rows")
    }
}

/// Returns an error if a row is not encrypted under the current key.
fn judge(report: &Report) -> Result<(), Error> {
    let left = report.after.to_do();
    if left == 0 {
        return Ok(());
    }
    let mut detail = format!(
        "{} not encrypted under the current key",
        match left {
            1 => "1 row is".into(),
            n => format!("{n} rows are"),
        }
    );
    if report.unreadable.is_empty() {
        detail += ". Did a Worker with another key write to the database meanwhile? Deploy the new key everywhere, and run this command again";
    } else {
        detail += ", and these do not decrypt:";
        for row in report.unreadable.iter().take(SHOWN_ROWS) {
            detail += &format!("\n{} {}", row.place, row.reason);
        }
        match report.unreadable.len().checked_sub(SHOWN_ROWS) {
            None | Some(0) => {}
            Some(more) => detail += &format!("\n… and {more} more (--format json names all)"),
        }
        detail += "\nWas another key in use before? Set CHEVERETO_ENCRYPTION_KEY_PREVIOUS to it. These rows are unchanged";
    }
    Err(Error::Refused {
        code: "incomplete",
        detail,
    })
}
