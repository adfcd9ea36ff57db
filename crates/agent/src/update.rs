//! `update`: migrates the tables of every installed site, one after the other. A run that was cut off goes on where it stopped.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Error;
use crate::shared::Shared;
use crate::state::State;
use crate::tables::{self, Tables};

/// Runs `cli -C update` for every installed site, held and disabled ones too.
///
/// # Errors
/// [`Error::Attention`] if a site fails, or if the run is stopped. The next run tries only what is left.
pub(crate) fn run(shared: &Arc<Shared>, state: &State) -> Result<(), Error> {
    let settings = &shared.settings;
    shared.runner.prepare()?;
    let Some(database) = &settings.database else {
        return Err(Error::Configuration(
            "CHEVERETO_DB_* is not set, so the agent cannot tell which sites are installed".into(),
        ));
    };
    let names = tables::names(settings.schema.as_deref())?;
    let there = Tables::connect(database)?.all()?;
    let mut installed = Vec::new();
    for id in state.ids()? {
        if tables::is_installed(&id, &names, &there)? {
            installed.push(id);
        }
    }
    let done: BTreeSet<String> = state.updated()?;
    let left: Vec<String> = installed
        .iter()
        .filter(|id| !done.contains(*id))
        .cloned()
        .collect();
    if left.len() < installed.len() {
        println!(
            "going on: {} of {} sites are done",
            installed.len() - left.len(),
            installed.len()
        );
    }
    let mut failed = 0;
    for (number, id) in left.iter().enumerate() {
        let place = format!(
            "{}/{}",
            installed.len() - left.len() + number + 1,
            installed.len()
        );
        if settings.dry_run {
            println!("{place} {id}: would be updated");
            continue;
        }
        let Some(lock) = shared.runner.lock(id, || shared.is_stopping())? else {
            return Err(stopped());
        };
        let output = shared
            .runner
            .run(&lock, id, &["-C", "update"], settings.job_limit)?;
        if output.is_success() {
            state.set_updated(id)?;
            println!("{place} {id}: updated");
        } else {
            failed += 1;
            println!("{place} {id}: failed: {}", output.describe());
        }
        if shared.is_stopping() {
            return Err(stopped());
        }
    }
    if settings.dry_run {
        return Ok(());
    }
    if failed > 0 {
        return Err(Error::Attention(format!(
            "sites that failed: {failed}. Run it again for them"
        )));
    }
    state.forget_updated()?;
    println!("all {} sites are up to date", installed.len());
    Ok(())
}

fn stopped() -> Error {
    Error::Attention("stopped; run it again to go on".into())
}
