//! `stats:refresh` and `jobs:worker`: counts tenants' statistics from their own tables, as the Worker's cron trigger does.

use clap::Args;
use serde::Serialize;
use tenants_core::task::stats::{Failed, Refresh, Report, Which};
use tenants_core::value::id::TenantId;

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::job;
use crate::output::{Format, World};
use crate::progress::Progress;
use crate::session::{Session, now};
use crate::settings::Needs;

/// How many tenants a batch counts: a statement is some 2 KB long, and Linux takes 128 KiB for one argument of a program,
/// Windows 32 KiB for all of them.
const SLICE_TENANTS: u32 = if cfg!(windows) { 8 } else { 30 };
/// How many tenants that could not be counted are named for people.
const SHOWN_TENANTS: usize = 20;

/// Whose statistics to count.
#[derive(Debug, Clone, Args)]
pub struct RefreshArgs {
    /// The tenant; all that are installed without it
    #[arg(long, value_parser = TenantId::parse)]
    pub id: Option<TenantId>,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// Whose jobs to run.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    refresh: RefreshArgs,

    /// Say what each job does
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(Serialize)]
struct Outcome<'a> {
    counted: u64,
    gone: u64,
    failed: &'a [Failed],
}

/// Counts a tenant's statistics, or those of all.
///
/// # Errors
/// Where the database fails, or a tenant cannot be counted.
pub fn refresh(
    args: &RefreshArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let report = count(args, session, world)?;
    show(&report, session, world)?;
    judge(&report)
}

/// Runs every job once: there is one, the statistics.
///
/// # Errors
/// As [`refresh`].
pub fn work(args: &WorkerArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    world.note(
        "Nothing runs on here: the deployed Worker's cron trigger runs the jobs. Each is run once now.",
    );
    if args.verbose {
        world.note("job 1 of 1: statistics, as stats:refresh counts them");
    }
    refresh(&args.refresh, session, world)
}

fn count(
    args: &RefreshArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<Report, Error> {
    let needs = Needs {
        plain: &[
            "CHEVERETO_DB_TABLE_PREFIX",
            "CHEVERETO_TENANTS_DB_ISOLATION_MODE",
        ],
        wrangler_toml: args.database.config.clone(),
        ..Needs::default()
    };
    let config = session.settings.config(&needs, !args.database.remote)?;
    let database = Database::open(&session.settings, &args.database)?;
    let now = now(world)?;
    let which = match &args.id {
        Some(id) => Which::One(id.clone()),
        None => Which::Oldest(u32::MAX),
    };
    let job = Refresh::begin(&config, &now, which, SLICE_TENANTS);
    let mut progress = Progress::new("counting", world);
    job::run(&database, job, |job| {
        let (done, total) = job.progress();
        progress.show(done, total);
    })
}

fn show(report: &Report, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if session.format == Format::Json {
        let outcome = Outcome {
            counted: report.counted,
            gone: report.gone,
            failed: &report.failed,
        };
        return session.show_own(&outcome, world);
    }
    let mut sentence = match report.counted {
        1 => "counted 1 tenant".into(),
        n => format!("counted {n} tenants"),
    };
    if report.gone > 0 {
        sentence += &format!("; {} deleted meanwhile", report.gone);
    }
    if *report == Report::default() {
        sentence += ": none is installed";
    }
    session.say(&sentence, world)
}

fn judge(report: &Report) -> Result<(), Error> {
    let failed = &report.failed;
    if failed.is_empty() {
        return Ok(());
    }
    let mut detail = match failed.len() {
        1 => "1 tenant could not be counted, and keeps what was counted before:".into(),
        n => format!("{n} tenants could not be counted, and keep what was counted before:"),
    };
    for Failed { tenant, reason } in failed.iter().take(SHOWN_TENANTS) {
        detail += &format!("\n{tenant}: {reason}");
    }
    if let Some(more @ 1..) = failed.len().checked_sub(SHOWN_TENANTS) {
        detail += &format!("\n… and {more} more (--format json names all)");
    }
    Err(Error::Database(detail))
}
