//! Whether the encryption key is the installation's. `env` has no MAC, so a wrong key would break every site without a word.

use serde_json::json;

use crate::error::Error;
use crate::log;
use crate::shared::Shared;
use crate::state::{Row, State};
use crate::tables::{self, Tables};

const CHECKED: &str = "key_checked";
const REFUSED: &str = "key_refused";

/// Whether the key with this fingerprint was checked, or accepted by a person.
pub(crate) fn is_done(state: &State, fingerprint: &str) -> Result<bool, Error> {
    Ok(state.meta(CHECKED)?.as_deref() == Some(fingerprint))
}

pub(crate) fn set_done(state: &State, fingerprint: &str) -> Result<(), Error> {
    state.set_meta(REFUSED, None)?;
    state.set_meta(CHECKED, Some(fingerprint))
}

/// Remembers a refused key, and returns the error that ends the agent.
pub(crate) fn refuse(state: &State, fingerprint: &str, detail: &str) -> Result<Error, Error> {
    state.set_meta(REFUSED, Some(fingerprint))?;
    Ok(Error::Attention(format!(
        "CHEVERETO_ENCRYPTION_KEY is not the installation's: {detail}. If the installation's key was changed on \
         purpose, run `tenants-agent accept`"
    )))
}

/// Takes a refused key as the right one. Returns whether there was one.
pub(crate) fn accept(state: &State) -> Result<bool, Error> {
    match state.meta(REFUSED)? {
        None => Ok(false),
        Some(fingerprint) => {
            set_done(state, &fingerprint)?;
            Ok(true)
        }
    }
}

/// Returns a site that is installed, served and has an `env`, if the agent can tell.
pub(crate) fn candidate(shared: &Shared, state: &State) -> Result<Option<Row>, Error> {
    let settings = &shared.settings;
    let Some(database) = &settings.database else {
        return Ok(None);
    };
    let mut rows = state.tenants()?;
    rows.retain(|row| row.env.is_some() && row.is_enabled);
    if settings.cli.is_empty() || rows.is_empty() {
        return Ok(None);
    }
    let names = match tables::names(settings.schema.as_deref()) {
        Ok(names) => names,
        Err(error) => {
            log::warn(
                "encryption_key_unchecked",
                json!({"detail": error.to_string()}),
            );
            return Ok(None);
        }
    };
    let there = Tables::connect(database)?.all()?;
    for row in rows {
        if tables::is_installed(&row.id, &names, &there)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Has the installation read a site that was just written. Returns what is wrong.
pub(crate) fn by_site(shared: &Shared, id: &str) -> Result<Option<String>, Error> {
    let runner = &shared.runner;
    let Some(lock) = runner.lock(id, || shared.is_stopping())? else {
        return Err(Error::Failed("the agent is stopping".into()));
    };
    let arguments = ["-C", "stats", "--format", "json"];
    let output = runner.run(&lock, id, &arguments, shared.settings.cron_limit)?;
    Ok((!output.is_success()).then(|| output.describe()))
}
