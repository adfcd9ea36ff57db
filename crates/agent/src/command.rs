//! Runs the installation's own commands.
//!
//! A child's standard input is the lock of its tenant: the lock is the file description's, so it is held until the child and all that it
//! started have ended, even if the agent was killed meanwhile. Its output goes to files, which outlive the agent as well: a pipe without a
//! reader would kill an installation in the middle.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::Error;

/// How long a child has between the two signals that end it, and after the second.
const GRACE: Duration = Duration::from_secs(5);
/// How much of a child's output is read.
const OUTPUT_BYTES: u64 = 1024 * 1024;
/// How much disk a child's output may take.
const MOST_OUTPUT_BYTES: u64 = 64 * OUTPUT_BYTES;

/// Runs commands for tenants, one at a time for each.
#[derive(Clone)]
pub(crate) struct Runner {
    /// The words of the command before its own.
    pub(crate) cli: Vec<String>,
    /// The installation's folder, in which commands run.
    pub(crate) folder: Option<PathBuf>,
    /// The folder of the locks and of the output.
    pub(crate) locks: PathBuf,
}

/// The lock of a tenant.
pub(crate) struct TenantLock(File);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an exit code.
    Code(i32),
    /// By a signal that the agent did not send.
    Signal(i32),
    /// It took longer than its limit, and was killed.
    TimedOut,
    /// It took longer than its limit, and could not be killed. It holds its tenant's lock.
    Unkillable,
}

/// A command's end and output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) ended: Ended,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn is_success(&self) -> bool {
        self.ended == Ended::Code(0)
    }

    /// The end, in words, with the last line of the errors.
    pub(crate) fn describe(&self) -> String {
        self.describe_without("")
    }

    /// The same, without a secret that the command may repeat. It is replaced before the line is cut, since a part of it would not be found.
    pub(crate) fn describe_without(&self, secret: &str) -> String {
        let end = match &self.ended {
            Ended::Code(code) => format!("exit code {code}"),
            Ended::Signal(signal) => format!("ended by signal {signal}"),
            Ended::TimedOut => "killed after its time limit".into(),
            Ended::Unkillable => {
                "still running after its time limit, and it cannot be killed".into()
            }
        };
        let text = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        match text.trim().lines().next_back() {
            Some(line) => {
                let line = if secret.is_empty() {
                    line.into()
                } else {
                    line.replace(secret, "…")
                };
                let line: String = line.chars().take(300).collect();
                format!("{end}: {line}")
            }
            None => end,
        }
    }
}

impl Runner {
    /// Makes the folder of the locks.
    ///
    /// # Errors
    /// Fails if it cannot be made, or if others can write there: who holds a lock there could stop every command.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.locks)
            .and_then(|()| std::fs::symlink_metadata(&self.locks))
            .map_err(|e| Error::failed(&self.locks.display().to_string(), e))
            .and_then(|found| {
                let is_own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
                if is_own && found.mode() & 0o077 == 0 {
                    return Ok(());
                }
                Err(Error::Configuration(format!(
                    "{} must be a folder of the agent's user with the mode 0700",
                    self.locks.display()
                )))
            })
    }

    /// Takes the tenant's lock, unless something still runs for it.
    pub(crate) fn try_lock(&self, tenant: &str) -> Result<Option<TenantLock>, Error> {
        let path = self.locks.join(format!("{tenant}.lock"));
        let failed = |e: io::Error| Error::failed(&path.display().to_string(), e);
        let file = crate::state::private(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(TenantLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    /// Takes the tenant's lock, and waits for it until `is_over`.
    pub(crate) fn lock(
        &self,
        tenant: &str,
        is_over: impl Fn() -> bool,
    ) -> Result<Option<TenantLock>, Error> {
        loop {
            if let Some(lock) = self.try_lock(tenant)? {
                return Ok(Some(lock));
            }
            if is_over() {
                return Ok(None);
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// Runs the installation's CLI for a tenant, and waits for its end.
    ///
    /// # Errors
    /// Fails if it cannot be started.
    pub(crate) fn run(
        &self,
        lock: &TenantLock,
        tenant: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Output, Error> {
        let failed = |e: io::Error| Error::failed("the installation's CLI", e);
        let words: Vec<String> = self
            .cli
            .iter()
            .map(|word| {
                word.replace("{tenant}", tenant)
                    .replace("{seconds}", &limit.as_secs().to_string())
            })
            .collect();
        let Some((program, rest)) = words.split_first() else {
            return Err(Error::Configuration(
                "TENANTS_AGENT_CLI is not set, so no command can run".into(),
            ));
        };
        let mut stdout = self.output_file().map_err(failed)?;
        let mut stderr = self.output_file().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .args(arguments)
            .env("CHEVERETO_TENANT", tenant)
            .stdin(Stdio::from(lock.0.try_clone().map_err(failed)?))
            .stdout(Stdio::from(stdout.try_clone().map_err(failed)?))
            .stderr(Stdio::from(stderr.try_clone().map_err(failed)?))
            .process_group(0);
        // The agent's own secrets are none of the installation's.
        for name in SECRETS {
            command.env_remove(name);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(failed)?;
        let ended = wait(&mut child, limit, &[&stdout, &stderr]).map_err(failed)?;
        Ok(Output {
            ended,
            stdout: read(&mut stdout).map_err(failed)?,
            stderr: read(&mut stderr).map_err(failed)?,
        })
    }

    /// Creates a file without a name.
    fn output_file(&self) -> io::Result<File> {
        let number = getrandom::u64().map_err(io::Error::other)?;
        let path = self.locks.join(format!("output-{number:016x}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

/// The variables that a child does not inherit.
const SECRETS: &[&str] = &[
    "TENANTS_API_KEY",
    "TENANTS_SIGNING_SECRET",
    "CHEVERETO_TENANTS_API_REQUEST_SECRET",
];

fn wait(child: &mut Child, limit: Duration, outputs: &[&File]) -> io::Result<Ended> {
    if let Some(status) = wait_for(child, limit, outputs)? {
        return Ok(ended(status));
    }
    for signal in [Signal::TERM, Signal::KILL] {
        // A child that has become another user's, as by sudo, cannot be signalled. Then the limit must be in the command (`timeout`).
        if let Ok(id) = i32::try_from(child.id())
            && let Some(group) = Pid::from_raw(id)
        {
            let _ = kill_process_group(group, signal);
        }
        if wait_for(child, GRACE, outputs)?.is_some() {
            return Ok(Ended::TimedOut);
        }
    }
    Ok(Ended::Unkillable)
}

fn wait_for(
    child: &mut Child,
    limit: Duration,
    outputs: &[&File],
) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        for output in outputs {
            trim(output)?;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Frees the disk of output after the part that is read, if it is very long.
fn trim(output: &File) -> io::Result<()> {
    // `st_blocks` counts 512 bytes each.
    if output.metadata()?.blocks() * 512 > MOST_OUTPUT_BYTES {
        output.set_len(OUTPUT_BYTES)?;
    }
    Ok(())
}

fn ended(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt as _;

    match status.code() {
        // The exit code of coreutils' `timeout`.
        Some(124) => Ended::TimedOut,
        Some(code) => Ended::Code(code),
        None => Ended::Signal(status.signal().unwrap_or_default()),
    }
}

fn read(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The folder of the locks beside a state file.
pub(crate) fn locks_beside(state: &Path) -> PathBuf {
    state.with_extension("locks")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Ended, Runner};

    fn runner(cli: &[&str]) -> Runner {
        let name = format!("tenants-agent-run-{:016x}", getrandom::u64().unwrap());
        let runner = Runner {
            cli: cli.iter().map(|w| (*w).to_owned()).collect(),
            folder: None,
            locks: std::env::temp_dir().join(name),
        };
        runner.prepare().unwrap();
        runner
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_command_gets_its_tenant_and_its_output_is_read() {
        let runner = runner(&[
            "sh",
            "-c",
            "echo $CHEVERETO_TENANT {seconds} $0 $1; echo bad >&2; exit 5",
        ]);
        let lock = runner.try_lock("a").unwrap().unwrap();
        let output = runner.run(&lock, "a", &["-C", "cron"], LIMIT).unwrap();
        assert_eq!(output.ended, Ended::Code(5));
        assert_eq!(output.stdout, "a 20 -C cron\n");
        assert_eq!(output.describe(), "exit code 5: bad");
        std::fs::remove_dir_all(runner.locks).unwrap();
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
        let runner = runner(&["sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60"]);
        let lock = runner.try_lock("a").unwrap().unwrap();
        let started = Instant::now();
        let output = runner
            .run(&lock, "a", &[], Duration::from_millis(200))
            .unwrap();
        assert_eq!(output.ended, Ended::TimedOut);
        assert!(started.elapsed() < LIMIT);
        drop(lock);
        // Nobody holds the lock any more: the background process is gone, too.
        let end = Instant::now() + LIMIT;
        let lock = runner.lock("a", || Instant::now() > end).unwrap();
        assert!(lock.is_some());
        std::fs::remove_dir_all(runner.locks).unwrap();
    }

    #[test]
    fn a_process_that_outlives_its_command_keeps_the_lock() {
        let runner = runner(&["sh", "-c", "exec 3<&0; sleep 0.7 & exit 0"]);
        let lock = runner.try_lock("a").unwrap().unwrap();
        assert!(runner.run(&lock, "a", &[], LIMIT).unwrap().is_success());
        drop(lock);
        assert!(runner.try_lock("a").unwrap().is_none());
        assert!(runner.try_lock("b").unwrap().is_some());
        let end = Instant::now() + LIMIT;
        assert!(runner.lock("a", || Instant::now() > end).unwrap().is_some());
        std::fs::remove_dir_all(runner.locks).unwrap();
    }

    #[test]
    fn output_that_nobody_reads_does_not_fill_the_disk() {
        use std::io::Write as _;
        use std::os::unix::fs::MetadataExt as _;

        let runner = runner(&[]);
        let mut file = runner.output_file().unwrap();
        let part = vec![b'x'; 1024 * 1024];
        for _ in 0..66 {
            file.write_all(&part).unwrap();
        }
        super::trim(&file).unwrap();
        // The command goes on to write where it was.
        file.write_all(b"more").unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 < 2 * super::OUTPUT_BYTES);
        assert!(super::read(&mut file).unwrap().bytes().all(|b| b == b'x'));
        std::fs::remove_dir_all(runner.locks).unwrap();
    }

    #[test]
    fn a_folder_of_locks_that_others_can_enter_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let runner = runner(&[]);
        runner.prepare().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&runner.locks, open).unwrap();
        assert!(runner.prepare().is_err());
        std::fs::remove_dir(&runner.locks).unwrap();
        std::os::unix::fs::symlink(std::env::temp_dir(), &runner.locks).unwrap();
        assert!(runner.prepare().is_err());
        std::fs::remove_file(runner.locks).unwrap();
    }

    #[test]
    fn an_agent_without_a_command_says_so() {
        let runner = runner(&[]);
        let lock = runner.try_lock("a").unwrap().unwrap();
        let error = runner.run(&lock, "a", &[], LIMIT).unwrap_err();
        assert!(error.to_string().contains("TENANTS_AGENT_CLI"));
        std::fs::remove_dir_all(runner.locks).unwrap();
    }
}
