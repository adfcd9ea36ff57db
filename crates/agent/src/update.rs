//! `update`: migrates the tables of every installed site, one after the other. A run that was cut off goes on where it stopped, if the
//! installation is still the same release.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::state::State;
use crate::tables::{self, Tables};

/// Runs `cli -C update` for every installed site, held and disabled ones too.
///
/// # Errors
/// [`Error::Attention`] if the state file has not followed the registry yet, if a site fails or is left out because the registry cannot read its
/// tenant, or if the run is stopped. The next run tries only what is left.
pub(crate) fn run(shared: &Arc<Shared>, state: &State) -> Result<(), Error> {
    let settings = &shared.settings;
    shared.runner.prepare()?;
    let Some(database) = &settings.database else {
        return Err(Error::Configuration(
            "CHEVERETO_DB_* is not set, so the agent cannot tell which sites are installed".into(),
        ));
    };
    if state.meta("cursor")?.is_none() {
        return Err(Error::Attention(format!(
            "{} knows no tenant, since it is new. Start the agent, or run `tenants-agent once`, and then this again",
            settings.state.display()
        )));
    }
    let names = tables::names(settings.schema.as_deref())?;
    let there = Tables::connect(database)?.all()?;
    let is_installed = |id: &String| tables::is_installed(id, &names, &there);
    let ids = state.ids()?;
    let tenants = ids.len();
    // Those of whom the state file has an older version are updated like all others.
    let mut unreadable = state.broken()?;
    unreadable.retain(|id| !ids.contains(id));
    let installed = only(ids, is_installed)?;
    let unreadable = only(unreadable, is_installed)?;
    if installed.is_empty() && tenants > 0 {
        return Err(Error::Attention(format!(
            "of {tenants} tenants none is installed, as far as MySQL tells. Look at CHEVERETO_DB_* and TENANTS_AGENT_SCHEMA"
        )));
    }
    let release = release(settings)?;
    if !settings.dry_run {
        state.begin_update(&release)?;
    }
    let done = state.updated(&release)?;
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
            .run(&lock, id, &["-C", "update"], settings.update_limit)?;
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
    for id in &unreadable {
        println!("{id}: left out, since the registry cannot read it");
    }
    if settings.dry_run {
        return Ok(());
    }
    if failed == 0 && !unreadable.is_empty() {
        return Err(Error::Attention(format!(
            "sites that were left out: {}. Run it again for them once the registry can read them",
            unreadable.join(", ")
        )));
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

/// Returns the ids of which `is_wanted` is true.
fn only(
    ids: impl IntoIterator<Item = String>,
    is_wanted: impl Fn(&String) -> Result<bool, Error>,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for id in ids {
        if is_wanted(&id)? {
            found.push(id);
        }
    }
    Ok(found)
}

/// Returns a text that is the same for as long as the installation's program is: a digest of its own files.
fn release(settings: &Settings) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let app = settings
        .installation
        .as_ref()
        .map(|folder| folder.join("app"));
    for folder in [app.as_deref(), settings.schema.as_deref()]
        .into_iter()
        .flatten()
    {
        let failed = |e| Error::failed(&folder.display().to_string(), e);
        digest(folder, &mut hash).map_err(failed)?;
    }
    Ok(hex::encode(&hash.finalize()[..16]))
}

/// Adds the names and contents of a folder's program files. Of a file that the agent's user may not read the size counts, of such a folder the name.
fn digest(folder: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Libraries and caches change with a release, or without one.
        if name.starts_with('.') || name == "vendor" {
            continue;
        }
        let found = std::fs::symlink_metadata(&path)?;
        if found.is_dir() {
            hash.update(format!("{}\n", path.display()));
            match digest(&path, hash) {
                Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => {
                    return Err(error);
                }
                Ok(()) | Err(_) => {}
            }
        } else if found.is_file()
            && matches!(
                path.extension().and_then(|e| e.to_str()),
                Some("php" | "sql" | "json")
            )
        {
            hash.update(format!("{}\n{}\n", path.display(), found.len()));
            if let Ok(bytes) = std::fs::read(&path) {
                hash.update(bytes);
            }
        }
    }
    Ok(())
}

fn stopped() -> Error {
    Error::Attention("stopped; run it again to go on".into())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::digest;

    #[test]
    fn another_release_has_another_digest() {
        let folder = std::env::temp_dir().join(format!(
            "tenants-agent-release-{:016x}",
            getrandom::u64().unwrap()
        ));
        std::fs::create_dir_all(folder.join("src")).unwrap();
        let now = || {
            let mut hash = Sha256::new();
            digest(&folder, &mut hash).unwrap();
            hex::encode(hash.finalize())
        };
        std::fs::write(folder.join("src/version.php"), "4.5.3").unwrap();
        let first = now();
        std::fs::write(folder.join("src/a.log"), "a line").unwrap();
        assert_eq!(now(), first);
        std::fs::write(folder.join("src/version.php"), "4.5.4").unwrap();
        assert_ne!(now(), first);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
