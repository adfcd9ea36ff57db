//! `orphans`: the tables of tenants that are no longer there.

use clap::Args;
use serde_json::value::RawValue;
use tenants_core::task::orphans::{OrphanDrop, OrphanList, Report, Which};
use tenants_core::task::stats::Failed;
use tenants_core::value::id::TenantId;

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World};
use crate::progress::Progress;
use crate::session::{Session, now, to_json};
use crate::settings::Needs;
use crate::task::{self, SLICE};

/// The options of `orphans`.
#[derive(Debug, Clone, Args)]
#[group(id = "which", multiple = false, args = ["id", "all"])]
pub struct OrphansArgs {
    /// Drop the tables of the deleted tenants that --id or --all names
    #[arg(long, requires = "which")]
    pub drop: bool,

    /// A deleted tenant; may be given several times
    #[arg(long, value_parser = TenantId::parse, requires = "drop")]
    pub id: Vec<TenantId>,

    /// Every deleted tenant that has left tables
    #[arg(long, requires = "drop")]
    pub all: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// Lists the deleted tenants that have left tables, or drops the tables of some or all of them.
///
/// # Errors
/// Fails if the database fails, if a named tenant has left no tables, or if tables could not be dropped.
pub fn run(args: &OrphansArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    const COLUMNS: &[(&str, &str)] = &[("TENANT", "/tenant"), ("TABLES", "/tables")];
    let needs = Needs {
        site_databases: true,
        ..Needs::of_sites(args.database.config.clone())
    };
    let config = session.settings.config(&needs, !args.database.remote)?;
    let database = Database::open(&session.settings, &args.database)?;
    if !args.drop {
        let found = task::run(&database, OrphanList::begin(&config), world.now, |_| ())?;
        let rows = found.iter().map(|orphan| {
            RawValue::from_string(to_json(orphan)?).map_err(|e| Error::Machine(e.to_string()))
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        return session.show_list(&rows, COLUMNS, "tables of deleted tenants", world);
    }
    let which = if args.all {
        Which::All
    } else {
        Which::These(args.id.clone())
    };
    let now = now(world)?;
    let clock = world.now;
    let task = OrphanDrop::begin(&config, which, session.run()?, &now, SLICE.into());
    let report = {
        let mut progress = Progress::new("dropping", world);
        task::run(&database, task, clock, |task| {
            let (done, total) = task.progress();
            progress.show(done, total);
        })?
    };
    show(&report, session, world)?;
    judge(&report)
}

fn show(report: &Report, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    if session.format == Format::Json {
        return session.show_own(report, world);
    }
    if *report == Report::default() {
        return session.say("no deleted tenant has left tables", world);
    }
    for (own_database, what) in [
        (false, "dropped the tables of"),
        (true, "the cron trigger will drop the sites of"),
    ] {
        let these = report.dropped.iter();
        let these = these.filter(|orphan| orphan.own_database == own_database);
        let ids: Vec<&str> = these.map(|orphan| orphan.tenant.as_str()).collect();
        if !ids.is_empty() {
            session.say(&format!("{what} {}", ids.join(", ")), world)?;
        }
    }
    Ok(())
}

fn judge(report: &Report) -> Result<(), Error> {
    if report.failed.is_empty() {
        return Ok(());
    }
    let mut detail = String::from("the tables of these tenants could not be dropped:");
    for Failed { tenant, reason } in &report.failed {
        detail += &format!("\n{tenant}: {reason}");
    }
    Err(Error::Database(detail))
}
