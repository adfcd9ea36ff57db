//! `stats:refresh` and `jobs:worker`: count tenants' statistics from their own tables, as the Worker's cron trigger does.

use clap::Args;
use tenants_core::task::stats::{Failed, Refresh, Report, Which};
use tenants_core::value::id::TenantId;

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World};
use crate::progress::Progress;
use crate::session::{Session, now};
use crate::settings::Needs;
use crate::task::{self, SLICE};

/// The number of failed tenants that an error names for people.
const SHOWN_TENANTS: usize = 20;

/// The options of `stats:refresh`.
#[derive(Debug, Clone, Args)]
pub struct RefreshArgs {
    /// The tenant [default: every installed tenant]
    #[arg(long, value_parser = TenantId::parse)]
    pub id: Option<TenantId>,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `jobs:worker`.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    refresh: RefreshArgs,

    /// Say which job begins
    #[arg(long, short)]
    pub verbose: bool,
}

/// Counts the statistics of one tenant, or of every installed tenant.
///
/// # Errors
/// Fails if the database fails or a tenant cannot be counted.
pub fn refresh(
    args: &RefreshArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let report = count(args, session, world)?;
    show(&report, session, world)?;
    judge(&report)
}

/// Runs every job once. There is one job, the statistics.
///
/// # Errors
/// Fails as [`refresh`] does.
pub fn work(args: &WorkerArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    world.note(
        "No worker keeps running: the deployed Worker's cron trigger runs the jobs. This command runs each of them once.",
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
    let needs = Needs::of_sites(args.database.config.clone());
    let config = session.settings.config(&needs, !args.database.remote)?;
    let database = Database::open(&session.settings, &args.database)?;
    let now = now(world)?;
    let which = match &args.id {
        Some(id) => Which::One(id.clone()),
        None => Which::All,
    };
    let clock = world.now;
    let refresh = Refresh::begin(&config, &now, which, SLICE.into());
    let mut progress = Progress::new("counting", world);
    Ok(task::run(&database, refresh, clock, |refresh| {
        let (done, total) = refresh.progress();
        progress.show(done, total);
    })?)
}

fn show(report: &Report, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if session.format == Format::Json {
        return session.show_own(report, world);
    }
    let mut sentence = match report.counted {
        1 => "counted 1 tenant".into(),
        n => format!("counted {n} tenants"),
    };
    if report.gone > 0 {
        sentence += &format!("; {} deleted meanwhile", report.gone);
    }
    if *report == Report::default() {
        sentence += ": none is installed, or their sites are being moved";
    }
    session.say(&sentence, world)
}

fn judge(report: &Report) -> Result<(), Error> {
    let failed = &report.failed;
    if failed.is_empty() {
        return Ok(());
    }
    let mut detail = match failed.len() {
        1 => "1 tenant could not be counted and keeps its previous numbers:".into(),
        n => format!("{n} tenants could not be counted and keep their previous numbers:"),
    };
    for Failed { tenant, reason } in failed.iter().take(SHOWN_TENANTS) {
        detail += &format!("\n{tenant}: {reason}");
    }
    if let Some(more @ 1..) = failed.len().checked_sub(SHOWN_TENANTS) {
        detail += &format!("\n… and {more} more (--format json names all)");
    }
    Err(Error::Database(detail))
}
