//! Files that get their final name only once they are whole.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The files that there are, for the end by a signal.
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that only this user can read. It is deleted unless it is finished, also if a signal ends the program (Ctrl-C).
pub struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// Creates the file beside `file`, under its name and this ending.
    ///
    /// # Errors
    /// If the file cannot be created, or is there already.
    pub fn new(file: &Path, ending: &str) -> Result<Self, Error> {
        let mut path = file.to_path_buf().into_os_string();
        path.push(format!(".{ending}"));
        let path = PathBuf::from(path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        #[cfg(unix)]
        signals::watch();
        // A signal in between finds either no file, or one that is known.
        let mut all = all();
        options.open(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::Usage(format!(
                "{} exists already: the unfinished file of a command that was cut off, or that still runs. If none runs, delete it",
                path.display()
            )),
            _ => failed(&path, &error),
        })?;
        all.push(path.clone());
        drop(all);
        Ok(Self { path })
    }

    /// Its path as long as it is unfinished.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn finish(self, file: &Path) -> Result<(), Error> {
        fs::rename(&self.path, file).map_err(|e| failed(file, &e))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = all();
        // A finished file has another name by now.
        let _ = fs::remove_file(&self.path);
        all.retain(|path| *path != self.path);
    }
}

/// The error of a file or folder that cannot be written.
pub(crate) fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Machine(format!("{} could not be written: {error}", path.display()))
}

#[cfg(unix)]
mod signals {
    use std::fs;
    use std::sync::Once;
    use std::thread;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// From now on, deletes the unfinished files before a signal ends the program.
    pub(super) fn watch() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // If the system refuses, the file stays after a signal, and the next run says what it is.
            let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
                return;
            };
            thread::spawn(move || {
                for signal in signals.forever() {
                    let all = super::all();
                    for path in all.iter() {
                        // One that has its final name by now is finished.
                        let _ = fs::remove_file(path);
                    }
                    // Ends the program as the signal does, while nobody can create another file.
                    let _ = emulate_default_handler(signal);
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Unfinished;
    use crate::error::Exit;
    use crate::testing::Folder;

    #[test]
    fn a_file_is_whole_or_gone_and_one_that_is_there_is_explained() {
        let folder = Folder::new();
        let file = folder.path().join("out");
        let part = Unfinished::new(&file, "part").unwrap();
        let other = Unfinished::new(&file, "part").err().unwrap();
        assert_eq!(other.exit(), Exit::Usage);
        let detail = other.problem().detail;
        assert!(
            detail.contains("out.part exists already: the unfinished file of a command"),
            "{detail}"
        );
        part.finish(&file).unwrap();
        let part = Unfinished::new(&file, "part").unwrap();
        drop(part);
        let names = fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["out"]);
    }
}
