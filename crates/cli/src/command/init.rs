//! `init`: brings the database's tables up to date.

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// Applies the migrations that the database does not have yet.
///
/// # Errors
/// Where wrangler or the database fails.
pub fn run(args: &DatabaseArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let which = if args.remote { "remote" } else { "local" };
    let database = Database::open(&session.settings, args)?;
    world.note(&format!("bringing the {which} database up to date…"));
    database.migrate()?;
    session.say(&format!("the {which} database is ready"), world)
}
