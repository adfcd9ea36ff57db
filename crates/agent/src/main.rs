//! `tenants-agent` runs beside a Chevereto installation, a *cell*. It keeps the installation's Redis equal to the registry, runs the
//! installation's own commands for the registry's jobs, and reports. It only calls out, and never listens.

mod cache;
mod check;
mod command;
mod cron;
mod drop;
mod error;
mod hold;
mod jobs;
mod key_check;
mod lease;
mod log;
mod registry;
mod run;
mod settings;
mod shared;
mod state;
mod sync;
mod tables;
mod tenant;
#[cfg(test)]
mod testing;
mod traefik;
mod update;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use serde_json::json;

use error::Error;
use registry::Registry;
use settings::{Options, Settings};
use shared::Shared;
use state::State;
use sync::Engine;

/// Keeps a Chevereto installation equal to the registry, and runs its commands
#[derive(Debug, Parser)]
#[command(name = "tenants-agent", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Run until SIGTERM (the default)
    Run,
    /// Do one round, with the jobs that wait, and end
    Once,
    /// Compare all keys of Redis with the registry, and print what differs
    Check,
    /// Let a change pass that waits because it removes or disables many sites, or an encryption key that was refused
    Accept,
    /// Run `cli -C update` for every installed site. A run that was cut off goes on
    Update,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match perform(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error("ended", json!({"detail": error.to_string()}));
            ExitCode::from(error.code())
        }
    }
}

fn perform(cli: &Cli) -> Result<(), Error> {
    let settings = Settings::read(&cli.options, |name| std::env::var(name).ok())?;
    let command = cli.command.unwrap_or(Command::Run);
    if matches!(command, Command::Accept) {
        return accept(&settings, &State::open(&settings.state)?);
    }
    if matches!(command, Command::Check) {
        let registry = Registry::new(&settings, "")?;
        return check::run(&Arc::new(Shared::new(settings, registry)));
    }
    let state = State::open(&settings.state)?;
    let agent = agent_name(&state)?;
    let registry = Registry::new(&settings, &agent)?;
    let shared = Arc::new(Shared::new(settings, registry));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&shared.stop))
            .map_err(|e| Error::failed("signals", e))?;
    }
    // A service that was told to stop has done well; a command that was cut off has not done its work.
    run::end_in_time(&shared, i32::from(!matches!(command, Command::Run)));
    shared.runner.prepare()?;
    if matches!(command, Command::Update) {
        // It runs beside the agent: the sites' locks keep the two apart.
        return update::run(&shared, &state);
    }
    let _lock = State::lock(&shared.settings.state)?;
    if shared.settings.is_isolated_by_database {
        log::warn(
            "isolation",
            json!({"detail": "CHEVERETO_TENANTS_DB_ISOLATION_MODE is not `table`: this agent refuses to drop sites"}),
        );
    }
    if shared.settings.dry_run {
        return preview(&shared, state);
    }
    match command {
        Command::Once => run::once(&shared, state),
        _ => run::forever(&shared, state),
    }
}

/// Returns the name by which the registry knows this agent again.
fn agent_name(state: &State) -> Result<String, Error> {
    if let Some(name) = state.meta("agent")? {
        return Ok(name);
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Error::failed("random bytes", e))?;
    let name = hex::encode(bytes);
    state.set_meta("agent", Some(&name))?;
    Ok(name)
}

fn accept(settings: &Settings, state: &State) -> Result<(), Error> {
    let is_key = key_check::accept(state, &tenant::fingerprint(&settings.encryption_key))?;
    if is_key {
        println!("the encryption key is taken as the installation's");
    }
    let Some(mut hold) = hold::current(state)? else {
        if !is_key {
            println!("nothing waits");
        }
        return Ok(());
    };
    println!(
        "{}: of {} sites, {} are removed and {} are disabled, {} first",
        hold.reason,
        hold.sites,
        hold.removed,
        hold.disabled,
        hold.first.join(", ")
    );
    hold.is_accepted = true;
    hold::store(state, &hold)?;
    println!("accepted");
    Ok(())
}

/// Prints what a round would do.
fn preview(shared: &Arc<Shared>, state: State) -> Result<(), Error> {
    let mut engine = Engine::new(Arc::clone(shared), state);
    let (plan, reason) = engine.preview()?;
    if let Some(reason) = reason {
        println!("would wait for `tenants-agent accept`: {reason}");
    }
    for (what, ids) in [
        ("remove", &plan.removed),
        ("disable", &plan.disabled),
        ("write", &plan.written),
    ] {
        for id in ids {
            println!("would {what} {id}");
        }
    }
    if plan.removed.is_empty() && plan.written.is_empty() {
        println!("nothing to do");
    }
    Ok(())
}
