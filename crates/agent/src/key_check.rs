//! Whether the encryption key is the installation's. `env` has no MAC, so a wrong key would break every site without a word.
//!
//! The check is for the first start under a key. Later a site that fails may fail for any reason, and is served: nothing is tried on it.

use std::collections::BTreeSet;
use std::sync::Once;

use serde_json::json;

use crate::command::Ended;
use crate::error::Error;
use crate::log;
use crate::settings::{DatabaseSettings, Settings};
use crate::shared::Shared;
use crate::state::{Row, State};
use crate::tables::{self, Tables};
use crate::tenant;

/// The key that was checked, or accepted by a person.
const CHECKED: &str = "key_checked";
/// The key that was refused.
const REFUSED: &str = "key_refused";
/// The key under which all sites were written to Redis.
const WRITTEN: &str = "key_written";
/// How many sites are tried: one alone may be broken.
const TRIED: usize = 3;
/// The exit codes of a shell, `env` and `timeout` for a program that they cannot run.
const CANNOT_RUN: [i32; 3] = [125, 126, 127];

/// What a site says about the key.
#[derive(Debug)]
pub(crate) enum Verdict {
    Good,
    /// The installation cannot read the site, and why.
    Bad(String),
    /// The installation was not asked, or did not answer.
    Unknown(String),
}

/// Whether the key with this fingerprint was checked, or accepted by a person.
pub(crate) fn is_done(state: &State, fingerprint: &str) -> Result<bool, Error> {
    let is_done = state.meta(CHECKED)?.as_deref() == Some(fingerprint);
    if is_done && state.meta(REFUSED)?.is_some() {
        // Another key, which was tried meanwhile.
        state.set_meta(REFUSED, None)?;
    }
    Ok(is_done)
}

pub(crate) fn set_done(state: &State, fingerprint: &str) -> Result<(), Error> {
    state.set_meta(REFUSED, None)?;
    state.set_meta(CHECKED, Some(fingerprint))
}

/// Whether all sites were written under this key once.
pub(crate) fn is_written(state: &State, fingerprint: &str) -> Result<bool, Error> {
    Ok(state.meta(WRITTEN)?.as_deref() == Some(fingerprint))
}

/// Takes note that all sites are written, if any of them has an `env`: the others say nothing about the key.
pub(crate) fn set_written(state: &State, fingerprint: &str) -> Result<(), Error> {
    if is_written(state, fingerprint)? || !state.has_env()? {
        return Ok(());
    }
    state.set_meta(WRITTEN, Some(fingerprint))
}

/// Takes note that the installation's command did its work for a site: if the site has an `env`, the key is the right one.
pub(crate) fn proved(shared: &Shared, state: &State, id: &str) -> Result<(), Error> {
    let fingerprint = tenant::fingerprint(&shared.settings.encryption_key);
    if is_done(state, &fingerprint)?
        || state.meta("fingerprint")?.as_deref() != Some(&fingerprint)
        || state.tenant(id)?.is_none_or(|row| row.env.is_none())
    {
        return Ok(());
    }
    log::info("encryption_key_checked", json!({"by": id}));
    set_done(state, &fingerprint)
}

/// Remembers a refused key, and returns the error that ends the agent.
pub(crate) fn refuse(state: &State, fingerprint: &str, detail: &str) -> Result<Error, Error> {
    state.set_meta(REFUSED, Some(fingerprint))?;
    Ok(Error::Attention(format!(
        "CHEVERETO_ENCRYPTION_KEY is not the installation's: {detail}. If it is the right one all the same, \
         run `tenants-agent accept`"
    )))
}

/// Takes the configured key as the right one if it was refused. Returns whether it was.
pub(crate) fn accept(state: &State, fingerprint: &str) -> Result<bool, Error> {
    let is_refused = state.meta(REFUSED)?.as_deref() == Some(fingerprint);
    if is_refused {
        set_done(state, fingerprint)?;
    }
    Ok(is_refused)
}

/// Returns sites that are installed, served and have an `env`. If the agent cannot have any of them read, logs why, and returns none.
pub(crate) fn candidates(shared: &Shared, state: &State) -> Result<Vec<Row>, Error> {
    let mut rows = state.tenants()?;
    rows.retain(|row| row.env.is_some() && row.is_enabled);
    if rows.is_empty() {
        return Ok(rows);
    }
    let (database, names) = match means(&shared.settings) {
        Ok(means) => means,
        Err(error) => {
            // Redis may refuse the sites, and then this is asked in every round.
            static ONCE: Once = Once::new();
            ONCE.call_once(|| {
                log::error(
                    "encryption_key_unchecked",
                    json!({"detail": format!("no site is read to check CHEVERETO_ENCRYPTION_KEY, and all are written: {error}")}),
                );
            });
            return Ok(Vec::new());
        }
    };
    let there = Tables::connect(database)?.all()?;
    let mut found = Vec::new();
    for row in rows {
        if found.len() < TRIED && tables::is_installed(&row.id, &names, &there)? {
            found.push(row);
        }
    }
    Ok(found)
}

/// Returns what the agent needs to find an installed site and have it read: MySQL, and the names of a site's tables, besides the command.
///
/// # Errors
/// Says what is missing.
fn means(settings: &Settings) -> Result<(&DatabaseSettings, BTreeSet<String>), Error> {
    if settings.cli.is_empty() {
        return Err(Error::Configuration("TENANTS_AGENT_CLI is not set".into()));
    }
    let database = settings
        .database
        .as_ref()
        .ok_or_else(|| Error::Configuration("CHEVERETO_DB_NAME is not set".into()))?;
    Ok((database, tables::names(settings.schema.as_deref())?))
}

/// Has the installation read a site that was just written.
pub(crate) fn by_site(shared: &Shared, id: &str) -> Verdict {
    let runner = &shared.runner;
    let lock = match runner.lock(id, || shared.is_stopping()) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Verdict::Unknown("the agent is stopping".into()),
        Err(error) => return Verdict::Unknown(error.to_string()),
    };
    let arguments = ["-C", "stats", "--format", "json"];
    match runner.run(&lock, id, &arguments, shared.settings.cron_limit) {
        Ok(output) => match output.ended {
            Ended::Code(0) => Verdict::Good,
            // `sudo` has the exit code 1 for a command that it does not run.
            Ended::Code(code)
                if !CANNOT_RUN.contains(&code) && !output.stderr.starts_with("sudo: ") =>
            {
                Verdict::Bad(output.describe())
            }
            _ => Verdict::Unknown(output.describe()),
        },
        Err(error) => Verdict::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{accept, is_done, is_written, means, refuse, set_done, set_written};
    use crate::state::{Row, Staged, State};
    use crate::testing::Agent;

    #[test]
    fn a_key_that_cannot_be_checked_names_what_is_missing() {
        let missing = |agent: &Agent| means(&agent.shared.settings).err().map(|e| e.to_string());
        let without = missing(&Agent::new("exit 0", "")).unwrap();
        assert_eq!(without, "CHEVERETO_DB_NAME is not set");
        let mut agent = Agent::with_database("exit 0", "");
        assert_eq!(missing(&agent), None);
        agent.shared.settings.schema = Some(agent.folder.join("nowhere"));
        assert!(missing(&agent).unwrap().contains("nowhere"));
        agent.shared.settings.cli.clear();
        assert_eq!(missing(&agent).unwrap(), "TENANTS_AGENT_CLI is not set");
    }

    #[test]
    fn a_key_is_in_use_only_when_a_site_with_an_env_is_written_and_accepted_only_if_it_was_refused()
    {
        let folder = std::env::temp_dir().join(format!(
            "tenants-agent-key-{:016x}",
            getrandom::u64().unwrap()
        ));
        let mut state = State::open(&folder.join("state.db")).unwrap();
        set_written(&state, "k").unwrap();
        assert!(!is_written(&state, "k").unwrap());
        let row = Row {
            id: "a".into(),
            is_enabled: true,
            cron_seconds: 300,
            env: Some("sealed".into()),
            value: Vec::new(),
            hostnames: Vec::new(),
        };
        state.stage(&[Staged::Present(row)]).unwrap();
        let plan = state.plan(true).unwrap();
        state.apply(&plan, "c", true).unwrap();
        set_written(&state, "k").unwrap();
        assert!(is_written(&state, "k").unwrap() && !is_written(&state, "other").unwrap());

        assert!(!accept(&state, "k").unwrap());
        refuse(&state, "wrong", "a reason").unwrap();
        assert!(!accept(&state, "k").unwrap());
        assert!(accept(&state, "wrong").unwrap() && is_done(&state, "wrong").unwrap());
        // A key that passes forgets the one that was refused meanwhile.
        set_done(&state, "k").unwrap();
        refuse(&state, "wrong", "a reason").unwrap();
        assert!(is_done(&state, "k").unwrap());
        assert!(!accept(&state, "wrong").unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
