//! `init` and `database:migrate`: bring the database's tables up to date.

use clap::Args;
use tenants_core::value::id::TenantId;

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// Which tables to bring up to date.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// The tenant whose own tables are meant; all without it
    #[arg(long, value_parser = TenantId::parse)]
    pub id: Option<TenantId>,

    /// Show what wrangler says
    #[arg(long, short)]
    pub verbose: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// Applies the migrations that the database does not have yet.
///
/// # Errors
/// Where wrangler or the database fails.
pub fn run(args: &DatabaseArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    apply(args, session, world)?;
    session.say(&format!("the {} database is ready", args.name()), world)
}

/// Applies the migrations that the database does not have yet. Tenants' own tables have one version, and so nothing to be
/// brought up to.
///
/// # Errors
/// Where wrangler or the database fails.
pub fn migrate(
    args: &MigrateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let said = apply(&args.database, session, world)?;
    if args.verbose {
        world.note(said.trim());
    }
    let whose = match &args.id {
        Some(id) => format!("the tables of tenant `{id}`"),
        None => "tenants' own tables".into(),
    };
    session.say(
        &format!(
            "the {} database is up to date; {whose} have one version so far, nothing to do",
            args.database.name()
        ),
        world,
    )
}

/// Answers what wrangler said.
fn apply(
    args: &DatabaseArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<String, Error> {
    let database = Database::open(&session.settings, args)?;
    world.note(&format!(
        "bringing the {} database up to date…",
        args.name()
    ));
    database.migrate()
}
