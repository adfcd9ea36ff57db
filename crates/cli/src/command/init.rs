//! `init` and `database:migrate`: apply the database's migrations.

use clap::Args;
use tenants_core::value::id::TenantId;

use crate::command::backup::note_bookmark;
use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The options of `database:migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// The tenant whose own tables to migrate [default: every tenant]
    #[arg(long, value_parser = TenantId::parse)]
    pub id: Option<TenantId>,

    /// Show wrangler's output
    #[arg(long, short)]
    pub verbose: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// Applies the migrations that the database does not have yet.
///
/// # Errors
/// Fails if wrangler or the database fails.
pub fn run(args: &DatabaseArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    apply(args, session, world)?;
    session.say(&format!("the {} database is ready", args.name()), world)
}

/// Applies the migrations that the database does not have yet. Tenants' own tables have had one version so far, so they need
/// no migration.
///
/// # Errors
/// Fails if wrangler or the database fails.
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
            "the {} database is up to date; {whose} have had one version so far and need no migration",
            args.database.name()
        ),
        world,
    )
}

/// Applies the migrations and returns wrangler's output.
fn apply(
    args: &DatabaseArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<String, Error> {
    let database = Database::open(&session.settings, args)?;
    note_bookmark(args, &database, world);
    world.note(&format!(
        "bringing the {} database up to date…",
        args.name()
    ));
    database.migrate()
}
