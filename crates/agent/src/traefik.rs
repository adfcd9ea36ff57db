//! The cell's part of Traefik's configuration, in a file for Traefik's file provider. A Traefik that restarts while the registry is down
//! still routes.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::log;
use crate::registry::{Registry, RegistryError};

/// How often the configuration is asked for if no tenant changed: some variables of the registry change it, too.
const EVERY: Duration = Duration::from_secs(60);

/// The file, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct TraefikFile {
    /// The `ETag` of the configuration that was written last, and the SHA-256 of its text.
    written: Option<(String, [u8; 32])>,
    asked: Option<Instant>,
    has_failed: bool,
}

impl TraefikFile {
    /// Brings the file up to date, if a tenant changed or a minute has passed.
    ///
    /// # Errors
    /// Fails if the registry does. A file that cannot be written is logged, and tried again.
    pub(crate) fn keep(
        &mut self,
        registry: &Registry,
        path: &Path,
        has_changed: bool,
    ) -> Result<(), RegistryError> {
        let is_there = path.is_file();
        let is_due = self.asked.is_none_or(|at| at.elapsed() >= EVERY);
        // Without a file, a refusal is not asked for again in every round.
        if !is_due && !has_changed && (is_there || self.has_failed) {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        self.has_failed = true;
        let Some(answer) = registry.traefik(self.etag(path))? else {
            self.has_failed = false;
            return Ok(());
        };
        let is_configuration = serde_json::from_str::<serde_json::Value>(&answer.body)
            .is_ok_and(|value| value.is_object());
        if !is_configuration {
            return Err(RegistryError::Down(
                "Traefik's configuration is no JSON object".into(),
            ));
        }
        match write(path, &answer.body) {
            Ok(has_changed) => {
                if has_changed {
                    log::info("traefik_written", json!({"bytes": answer.body.len()}));
                }
                self.has_failed = false;
                self.remember(answer.etag, &answer.body);
            }
            Err(error) => log::error(
                "traefik_not_written",
                json!({"detail": format!("{}: {error}", path.display())}),
            ),
        }
        Ok(())
    }

    fn remember(&mut self, etag: Option<String>, text: &str) {
        self.written = etag.map(|etag| (etag, Sha256::digest(text).into()));
    }

    /// The `ETag` of the file's content, unless the file is not as it was written: a 304 would leave it so.
    fn etag(&self, path: &Path) -> Option<&str> {
        let (etag, digest) = self.written.as_ref()?;
        let text = fs::read(path).ok()?;
        (Sha256::digest(text)[..] == digest[..]).then_some(etag)
    }
}

/// Replaces a file in one step. Returns whether its content changed.
fn write(path: &Path, text: &str) -> std::io::Result<bool> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(false);
    }
    // Traefik reads files that end in .yml or .yaml, so it does not see this one. Nobody can know its name before, and put a link there.
    let number = getrandom::u64().map_err(std::io::Error::other)?;
    let new = path.with_extension(format!("{number:016x}.new"));
    // Traefik runs as another user. The configuration has no secret.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)?;
    let written = file
        .set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::{TraefikFile, write};

    /// Makes a folder for a file.
    fn folder() -> std::path::PathBuf {
        let number = getrandom::u64().unwrap();
        let folder = std::env::temp_dir().join(format!("tenants-agent-traefik-{number:016x}"));
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_that_somebody_changed_is_asked_for_without_its_etag() {
        let folder = folder();
        let path = folder.join("tenants.yml");
        let mut file = TraefikFile::default();
        assert_eq!(file.etag(&path), None);
        write(&path, "{}").unwrap();
        file.remember(Some("\"1\"".into()), "{}");
        assert_eq!(file.etag(&path), Some("\"1\""));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(file.etag(&path), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_is_replaced_only_if_it_changes() {
        let folder = folder();
        let path = folder.join("tenants.yml");
        assert!(write(&path, "{}").unwrap());
        assert!(!write(&path, "{}").unwrap());
        assert!(write(&path, "{\"http\": {}}").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"http\": {}}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
