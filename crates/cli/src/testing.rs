//! Helpers that several test modules share.

use std::fs;
use std::path::{Path, PathBuf};

/// A temporary folder for one test. Dropping the value deletes it.
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
        // A folder left behind in the system's temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
