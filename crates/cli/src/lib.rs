//! The command line of the Tenants API, a drop-in for Chevereto's own `tenants`.
//!
//! Commands for tenants and plans call the API ([`tenants_client`]). Commands for API keys use wrangler to reach the database
//! ([`database`]). The core has the rules; this crate moves bytes between the core, the API and a terminal. [`run`] is the
//! whole program except for its process.

pub mod backup;
pub mod cli;
pub mod command;
pub mod database;
pub mod error;
pub mod names;
pub mod output;
pub mod patience;
pub mod progress;
pub mod random;
pub mod records;
pub mod session;
pub mod settings;
pub mod sql;
pub mod task;
#[cfg(test)]
mod testing;
pub mod unfinished;

use std::ffi::OsString;
use std::io;

use cli::{Cli, Command};
use error::{Error, Exit};
use output::{Format, World};
use session::Session;
use settings::Settings;

/// Runs the program: reads its arguments (the first is its own name), runs the command and reports any error.
pub fn run(args: impl IntoIterator<Item = OsString>, world: &mut World<'_>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::read(args.iter().cloned()) {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, &args, world),
    };
    world.is_quiet = cli.options.quiet;
    let Err(error) = perform(&cli, world) else {
        return Exit::Done;
    };
    match &error {
        // The reader closed the pipe because it needs no more, as in `tenants list | head`. The outcome of another command is lost.
        Error::Output(cause)
            if cause.kind() == io::ErrorKind::BrokenPipe && only_reads(&cli.command) =>
        {
            return Exit::Done;
        }
        _ => {}
    }
    let problem = error.problem();
    match cli.options.format {
        Format::Json => world.complain(&problem.to_json()),
        Format::Table => {
            world.complain(&problem.to_text());
            if let Some(note) = error.note() {
                world.complain(note);
            }
        }
    }
    error.exit()
}

/// Whether a command changes nothing, and has no verdict but that it could read.
fn only_reads(command: &Command) -> bool {
    matches!(
        command,
        Command::KeyList(_)
            | Command::Export(_)
            | Command::Get(_)
            | Command::Settings(_)
            | Command::List(_)
            | Command::Hostnames(_)
            | Command::WebhookList
            | Command::WebhookGet(_)
            | Command::WebhookDeliveries(_)
            | Command::PlanGet(_)
            | Command::PlanList(_)
            | Command::CellList
            | Command::CellGet(_)
            | Command::JobList(_)
            | Command::JobGet(_)
            | Command::AuditList(_)
            | Command::Events(_)
            | Command::ConfigTraefik(_)
            | Command::Completions(_)
    )
}

fn perform(cli: &Cli, world: &mut World<'_>) -> Result<(), Error> {
    let session = &Session {
        settings: Settings::new(&cli.options, world.variable, world.folder.clone())?,
        format: cli.options.format,
    };
    match &cli.command {
        Command::Init(args) => command::init::run(args, session, world),
        Command::DatabaseMigrate(args) => command::init::migrate(args, session, world),
        Command::Status(args) => command::status::run(args, session, world),
        Command::DatabaseMove(args) => command::site_move::run(args, session, world),
        Command::Orphans(args) => command::orphans::run(args, session, world),
        Command::Backup(args) => command::backup::run(args, session, world),
        Command::Restore(args) => command::restore::run(args, session, world),
        Command::Cache => command::cache::run(session, world),
        Command::EnvReseal(args) => command::env::reseal(args, session, world),
        Command::KeyCreate(args) => command::key::create(args, session, world),
        Command::KeyVerify(args) => command::key::verify(args, session, world),
        Command::KeyImport(args) => command::key_import::run(args, session, world),
        Command::KeyEdit(args) => command::key_edit::run(args, session, world),
        Command::KeyRotate(args) => command::key::rotate(args, session, world),
        Command::KeyDelete(args) => command::key::delete(args, session, world),
        Command::KeyList(args) => command::key::list(args, session, world),
        Command::Import(args) => command::import::run(args, session, world),
        Command::Export(args) => command::export::run(args, session, world),
        Command::Create(args) => command::tenant::create(args, session, world),
        Command::Get(args) => command::tenant::get(args, session, world),
        Command::Settings(args) => command::tenant::settings(args, session, world),
        Command::List(args) => command::tenant::list(args, session, world),
        Command::Edit(args) => command::tenant::edit(args, session, world),
        Command::Delete(args) => command::tenant::delete(args, session, world),
        Command::Undelete(args) => command::tenant::undelete(args, session, world),
        Command::Erase(args) => command::tenant::erase(args, session, world),
        Command::Hold(args) => command::hold::hold(args, session, world),
        Command::Release(args) => command::hold::release(args, session, world),
        Command::Hostnames(args) => command::hostname::list(args, session, world),
        Command::HostnameAdd(args) => command::hostname::add(args, session, world),
        Command::HostnameVerify(args) => command::hostname::verify(args, session, world),
        Command::HostnameDelete(args) => command::hostname::delete(args, session, world),
        Command::WebhookCreate(args) => command::webhook::create(args, session, world),
        Command::WebhookList => command::webhook::list(session, world),
        Command::WebhookGet(args) => command::webhook::get(args, session, world),
        Command::WebhookEdit(args) => command::webhook::edit(args, session, world),
        Command::WebhookDelete(args) => command::webhook::delete(args, session, world),
        Command::WebhookRotate(args) => command::webhook::rotate(args, session, world),
        Command::WebhookTest(args) => command::webhook::test(args, session, world),
        Command::WebhookDeliveries(args) => command::webhook::deliveries(args, session, world),
        Command::WebhookRetry(args) => command::webhook::retry(args, session, world),
        Command::Install(args) => command::site::install(args, session, world),
        Command::UserPasswordReset(args) => command::site::reset(args, session, world),
        Command::StatsRefresh(args) => command::stats::refresh(args, session, world),
        Command::JobsWorker(args) => command::stats::work(args, session, world),
        Command::PlanCreate(args) => command::plan::create(args, session, world),
        Command::PlanGet(args) => command::plan::get(args, session, world),
        Command::PlanList(args) => command::plan::list(args, session, world),
        Command::PlanEdit(args) => command::plan::edit(args, session, world),
        Command::PlanDelete(args) => command::plan::delete(args, session, world),
        Command::CellCreate(args) => command::cell::create(args, session, world),
        Command::CellList => command::cell::list(session, world),
        Command::CellGet(args) => command::cell::get(args, session, world),
        Command::CellDelete(args) => command::cell::delete(args, session, world),
        Command::JobList(args) => command::job::list(args, session, world),
        Command::JobGet(args) => command::job::get(args, session, world),
        Command::JobCancel(args) => command::job::cancel(args, session, world),
        Command::AuditList(args) => command::audit::list(args, session, world),
        Command::Events(args) => command::events::run(args, session, world),
        Command::ConfigTraefik(args) => command::config::traefik(args, session, world),
        Command::AuthVerify => command::auth::verify(session, world),
        Command::Sign => command::auth::sign(session, world),
        Command::Completions(args) => command::completions::run(args, cli::command(), world),
    }
}

/// Prints the help or version text if the arguments ask for it. Otherwise reports why the command line is not valid.
fn not_parsed(error: &clap::Error, args: &[OsString], world: &mut World<'_>) -> Exit {
    let text = error.render().to_string();
    if !error.use_stderr() {
        return match world.print(text.trim_end()) {
            Ok(()) => Exit::Done,
            Err(_) => Exit::Failed,
        };
    }
    if wants_json(args) {
        let detail = text.trim().trim_start_matches("error: ").to_owned();
        world.complain(&Error::Usage(detail).problem().to_json());
    } else {
        world.complain(text.trim_end());
    }
    Exit::Usage
}

/// Looks for `--format json`, since invalid arguments cannot be parsed as a whole.
fn wants_json(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg == "--format=json")
        || args
            .windows(2)
            .any(|pair| pair[0] == "--format" && pair[1] == "json")
}
