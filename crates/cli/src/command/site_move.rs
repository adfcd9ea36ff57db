//! `database:move`: a tenant's site from tables in the registry to a database of its own, or back.

use clap::{Args, ValueEnum};
use serde::Serialize;
use tenants_core::task::moves::{Ordered, Place, SiteMove};
use tenants_core::value::id::TenantId;

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, World};
use crate::session::{Session, now};
use crate::settings::Needs;
use crate::task;

/// The options of `database:move`.
#[derive(Debug, Clone, Args)]
pub struct MoveArgs {
    /// The tenant whose site to move
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,

    /// Where to
    #[arg(long, value_enum, default_value = "database")]
    pub to: To,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// The place that a site moves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// A database of its own
    Database,
    /// Tables in the registry
    Tables,
}

#[derive(Serialize)]
struct Shown<'a> {
    tenant: &'a str,
    place: Place,
    /// Whether the command ended a move the other way.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    given_up: bool,
}

/// Marks a site to be moved by the cron trigger, and says where it is now. To run it again changes nothing. A move the other way is given up, so
/// that the site stays where it is.
///
/// # Errors
/// Fails if the database fails, if sites have no databases of their own in this configuration, or if the tenant has no site.
pub fn run(args: &MoveArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let needs = Needs {
        site_databases: true,
        ..Needs::of_sites(args.database.config.clone())
    };
    let config = session.settings.config(&needs, !args.database.remote)?;
    if !config.has_site_databases() {
        return Err(Error::Configuration(
            "CHEVERETO_TENANTS_DB_ISOLATION_MODE: expected `database`, the mode in which sites move; a site that is not moved yet works there, too".into(),
        ));
    }
    let database = Database::open(&session.settings, &args.database)?;
    let to_database = args.to == To::Database;
    let task = SiteMove::begin(
        &config,
        &args.id,
        to_database,
        &session.run()?,
        &now(world)?,
    );
    let Ordered { place, gave_up } = task::run(&database, task, world.now, |_| ())?;
    if session.format == Format::Json {
        let shown = Shown {
            tenant: args.id.as_str(),
            place,
            given_up: gave_up,
        };
        return session.show_own(&shown, world);
    }
    let id = &args.id;
    session.say(
        &match place {
            Place::Database if gave_up => format!(
                "the move is given up: the site of tenant `{id}` stays in a database of its own"
            ),
            Place::Tables if gave_up => format!(
                "the move is given up: the site of tenant `{id}` stays in tables of the registry"
            ),
            Place::Database => format!("the site of tenant `{id}` is in a database of its own"),
            Place::Tables => format!("the site of tenant `{id}` is in tables of the registry"),
            Place::ToDatabase => format!(
                "the cron trigger moves the site of tenant `{id}` into a database of its own"
            ),
            Place::ToTables => format!(
                "the cron trigger moves the site of tenant `{id}` into tables of the registry"
            ),
        },
        world,
    )
}
