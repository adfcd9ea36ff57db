//! Files that get their final name only once they are whole.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The files and folders that there are, for the end by a signal.
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that only this user can read. It is deleted unless it is finished, also if a signal ends the program (Ctrl-C).
pub struct Unfinished {
    path: PathBuf,
    /// The file, or its folder, which is deleted in the end.
    whole: PathBuf,
}

impl Unfinished {
    /// Creates the file beside `file`, under its name and this ending.
    ///
    /// # Errors
    /// If the file cannot be created, or is there already.
    pub fn new(file: &Path, ending: &str) -> Result<Self, Error> {
        let path = with_ending(file, ending);
        Self::make(path.clone(), path, create)
    }

    /// The same for a file that another program writes: it is in a folder of its own beside `file`, which only this user can read. A program that outlives a
    /// signal cannot make the file anew, since its folder is gone.
    ///
    /// # Errors
    /// If the folder cannot be created, or is there already.
    pub fn in_folder(file: &Path, ending: &str) -> Result<Self, Error> {
        let folder = with_ending(file, ending);
        Self::make(folder.join("file"), folder, |path| {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            path.parent()
                .map_or(Ok(()), |folder| builder.create(folder))?;
            create(path)
        })
    }

    fn make(
        path: PathBuf,
        whole: PathBuf,
        create: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<Self, Error> {
        #[cfg(unix)]
        signals::watch();
        // A signal in between finds either nothing, or what is known.
        let mut all = all();
        create(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::Usage(format!(
                "{} exists already: the unfinished file of a command that was cut off, or that still runs. If none runs, delete it",
                whole.display()
            )),
            _ => failed(&whole, &error),
        })?;
        all.push(whole.clone());
        drop(all);
        Ok(Self { path, whole })
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
        delete(&self.whole);
        all.retain(|path| *path != self.whole);
    }
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.to_path_buf().into_os_string();
    path.push(format!(".{ending}"));
    PathBuf::from(path)
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Deletes a file or a folder. A finished file has another name by now, and is none any more.
fn delete(whole: &Path) {
    let _ = if whole.is_dir() {
        fs::remove_dir_all(whole)
    } else {
        fs::remove_file(whole)
    };
}

/// The error of a file or folder that cannot be written.
pub(crate) fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Machine(format!("{} could not be written: {error}", path.display()))
}

#[cfg(unix)]
mod signals {
    use std::sync::Once;
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// From now on, deletes the unfinished files before a signal ends the program.
    pub(super) fn watch() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // If the system refuses, the file stays after a signal, and the next run says what it is.
            let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else {
                return;
            };
            thread::spawn(move || {
                for signal in signals.forever() {
                    let all = super::all();
                    all.iter().for_each(|whole| super::delete(whole));
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
        let names = || -> Vec<_> {
            let names = fs::read_dir(folder.path()).unwrap();
            names.map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names(), ["out"]);
        // Another program has written into it, beside it too.
        let part = Unfinished::in_folder(&file, "part").unwrap();
        assert!(Unfinished::in_folder(&file, "part").is_err());
        fs::write(part.path(), "whole").unwrap();
        fs::write(part.path().with_extension("wal"), "").unwrap();
        part.finish(&file).unwrap();
        assert_eq!(names(), ["out"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "whole");
        let part = Unfinished::in_folder(&file, "part").unwrap();
        let late = part.path().to_owned();
        drop(part);
        assert_eq!(names(), ["out"]);
        assert!(fs::write(late, "").is_err());
    }
}
