//! What several tests need.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of a test's own, gone with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("tenants-cli-{:016x}", getrandom::u64().unwrap()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // One that stays behind in the system's own temporary folder harms no one.
        let _ = fs::remove_dir_all(&self.0);
    }
}
