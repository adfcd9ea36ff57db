//! Jobs: what the registry wants done to a site. Each runs in a thread of its own, under a lease that is renewed until its end is reported.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::command::{Ended, Output, TenantLock};
use crate::drop::drop_site;
use crate::error::Error;
use crate::key_check;
use crate::lease::Lease;
use crate::log;
use crate::registry::{Ending, RegistryError};
use crate::shared::Shared;
use crate::state::{Site, State};
use crate::tables::{self, Tables};
use crate::tenant::is_id;
use crate::wire::{Input, Job};

/// How long a job waits for its tenant to arrive from the registry.
const ARRIVAL: Duration = Duration::from_secs(30);
/// The exit code of `cli -C install` on an installed site.
const INSTALLED_ALREADY: i32 = 5;

/// Leases waiting jobs and starts them, as many as there are free workers. Returns their number.
pub(crate) fn start(shared: &Arc<Shared>, state: &State) -> Result<usize, RegistryError> {
    let free = shared
        .settings
        .workers
        .saturating_sub(shared.running.count());
    if free == 0 {
        return Ok(0);
    }
    let mut started = 0;
    let end = Instant::now() + Duration::from_secs(shared.settings.lease_seconds);
    for job in shared.registry.lease(free, shared.settings.lease_seconds)? {
        let Some(lease) = shared.running.add(&job.id, &job.lease, end) else {
            log::warn("lease_taken_again", json!({"job": job.id}));
            continue;
        };
        let guard = Guard(Arc::clone(shared), job.id.clone());
        let state = match state.again() {
            Ok(state) => state,
            // The lease runs out, and gives the job back.
            Err(error) => {
                log::error(
                    "job_not_started",
                    json!({"job": job.id, "detail": error.to_string()}),
                );
                continue;
            }
        };
        // Here, and not in the job's thread: the older one of two jobs for a tenant goes first. If it fails, so does the thread's own try.
        let lock = if is_id(&job.tenant_id) {
            shared.runner.try_lock(&job.tenant_id).unwrap_or_default()
        } else {
            None
        };
        log::info(
            "job_started",
            json!({"job": job.id, "kind": job.kind, "tenant": job.tenant_id, "attempt": job.attempt}),
        );
        std::thread::spawn(move || {
            run(&guard.0, &state, &job, &lease, lock);
        });
        started += 1;
    }
    Ok(started)
}

/// Counts a job as running until it is dropped, also when its thread panics.
struct Guard(Arc<Shared>, String);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.running.remove(&self.1);
    }
}

/// The reason why a job has no end of its own.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The job was not done, and another attempt may do it. Nothing is reported: the end of the lease gives the job back.
    GivenBack(&'static str),
    Failed(Error),
}

impl From<Error> for Unfinished {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn run(shared: &Shared, state: &State, job: &Job, lease: &Lease, lock: Option<TenantLock>) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| renew(shared, job, lease, &is_over));
        match perform(shared, state, job, lease, lock) {
            Ok(ending) => {
                // After a failure the note stays: the next installation may find half a site.
                if report(shared, job, lease, &ending)
                    && ending == Ending::Done
                    && job.kind == "install"
                {
                    logged(state.end_install(&job.tenant_id));
                }
            }
            Err(Unfinished::Failed(error)) => {
                report(shared, job, lease, &Ending::Failed(error.to_string()));
            }
            Err(Unfinished::GivenBack(why)) => {
                shared.failed.fetch_add(1, Ordering::Relaxed);
                log::info("job_given_back", json!({"job": job.id, "detail": why}));
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

fn renew(shared: &Shared, job: &Job, lease: &Lease, is_over: &AtomicBool) {
    let seconds = shared.settings.lease_seconds;
    // Two renewals may fail before the lease is lost.
    let every = Duration::from_secs(seconds) / 3;
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(100));
        let Some(token) = lease.renewable().filter(|_| last.elapsed() >= every) else {
            continue;
        };
        last = Instant::now();
        match shared.registry.renew(&job.id, &token, seconds) {
            Ok(()) => lease.renewed(&token, Some(last + Duration::from_secs(seconds))),
            Err(RegistryError::Conflict(detail)) => {
                // A command goes on, and holds its tenant's lock. The next attempt waits for that, or is this one under another token.
                lease.renewed(&token, None);
                log::warn("lease_lost", json!({"job": job.id, "detail": detail}));
            }
            Err(error) => {
                log::warn(
                    "lease_not_renewed",
                    json!({"job": job.id, "detail": error.to_string()}),
                );
            }
        }
    }
}

/// Reports a job's end. Tries until the registry has it, since the same report again is good. Returns whether the registry took it.
fn report(shared: &Shared, job: &Job, lease: &Lease, ending: &Ending) -> bool {
    let detail = match ending {
        Ending::Failed(text) | Ending::Refused(Some(text)) => Some(text),
        Ending::Done | Ending::Refused(None) => None,
    };
    let state = match ending {
        Ending::Done => "done",
        Ending::Refused(_) => "refused",
        Ending::Failed(_) => "failed",
    };
    log::info(
        "job_ended",
        json!({"job": job.id, "tenant": job.tenant_id, "state": state, "detail": detail}),
    );
    if matches!(ending, Ending::Failed(_)) {
        shared.failed.fetch_add(1, Ordering::Relaxed);
    }
    let started = Instant::now();
    let mut pause = Duration::from_millis(500);
    loop {
        let token = lease.token();
        match shared.registry.finish(&job.id, &token, ending) {
            Ok(()) => return true,
            Err(RegistryError::Conflict(_)) if lease.token() != token => continue,
            Err(RegistryError::Conflict(detail) | RegistryError::Refused(detail)) => {
                log::warn("job_not_reported", json!({"job": job.id, "detail": detail}));
                return false;
            }
            Err(error) => {
                log::warn(
                    "job_not_reported",
                    json!({"job": job.id, "detail": error.to_string()}),
                );
            }
        }
        // The registry gives the job to someone again, who finds it done.
        if started.elapsed() > shared.settings.job_limit {
            return false;
        }
        let end = Instant::now() + pause;
        while Instant::now() < end {
            if shared.is_stopping() && started.elapsed() > Duration::from_secs(10) {
                return false;
            }
            sleep(Duration::from_millis(100));
        }
        pause = (pause * 2).min(Duration::from_secs(20));
    }
}

/// Does a job, under the tenant's lock. Waits for the lock if it was not free before.
fn perform(
    shared: &Shared,
    state: &State,
    job: &Job,
    lease: &Lease,
    lock: Option<TenantLock>,
) -> Result<Ending, Unfinished> {
    if !is_id(&job.tenant_id) {
        return Ok(Ending::Failed("the tenant's id is none".into()));
    }
    let started = Instant::now();
    let limit = shared.settings.job_limit;
    let is_over = || shared.is_stopping() || started.elapsed() > limit;
    let lock = match lock {
        Some(lock) => Some(lock),
        None => shared.runner.lock(&job.tenant_id, is_over)?,
    };
    let lock = match lock {
        Some(lock) => lock,
        None if shared.is_stopping() => return Err(Unfinished::GivenBack("the agent stops")),
        // It may be `update`, which takes its time.
        None => {
            return Err(Unfinished::GivenBack(
                "another command still runs for the tenant",
            ));
        }
    };
    let ending = match (job.kind.as_str(), &job.input) {
        ("install", Some(input)) => install(shared, state, job, input, &lock)?,
        ("password_reset", Some(input)) => reset(shared, state, job, input, &lock)?,
        ("drop", _) => drop_site(shared, state, job, lease)?,
        (kind, _) => Ending::Failed(format!(
            "this agent does not know the job `{kind}`; is it too old?"
        )),
    };
    if ending == Ending::Done && job.kind != "drop" {
        logged(key_check::proved(shared, state, &job.tenant_id));
    }
    Ok(ending)
}

/// Logs that the state file cannot be written, where the job's end does not depend on it.
fn logged(outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        log::warn("state_file", json!({"detail": error.to_string()}));
    }
}

fn install(
    shared: &Shared,
    state: &State,
    job: &Job,
    input: &Input,
    lock: &TenantLock,
) -> Result<Ending, Unfinished> {
    wait_for_tenant(shared, state, &job.tenant_id, ARRIVAL)?;
    let Some(email) = &input.email else {
        return Ok(Ending::Failed("the job has no e-mail address".into()));
    };
    if let Some(schema) = &shared.settings.schema {
        let names = tables::names(Some(schema))?;
        let there = match &shared.settings.database {
            Some(database) => Tables::connect(database)?.all()?,
            None => BTreeSet::new(),
        };
        tables::refuse_shared(&job.tenant_id, &names, &there, &state.ids()?)?;
    }
    let arguments = [
        "-C",
        "install",
        "-u",
        &input.username,
        "-e",
        email,
        "-x",
        input.password.as_str(),
    ];
    // The job's `attempt` does not tell whether the command has run before: it counts leases.
    let was_begun = state.begin_install(&job.tenant_id)?;
    let output = shared
        .runner
        .run(lock, &job.tenant_id, &arguments, shared.settings.job_limit)?;
    if output.is_success() || output.ended == Ended::Code(INSTALLED_ALREADY) {
        // The site is there, whether or not it can be noted. Its next `cron` makes up for the note.
        logged(state.set_site(&job.tenant_id, Site::Installed));
    }
    if output.is_success() {
        return Ok(Ending::Done);
    }
    if output.ended != Ended::Code(INSTALLED_ALREADY) {
        return Ok(failed(&output, input));
    }
    if !was_begun {
        logged(state.end_install(&job.tenant_id));
        return Ok(Ending::Refused(None));
    }
    // An earlier run of the command may have installed it, or half of it. Setting the administrator's password proves that it is whole.
    let proof = set_password(shared, job, input, lock)?;
    Ok(if proof.is_success() {
        Ending::Done
    } else {
        Ending::Failed(format!(
            "it is installed already, and the administrator's password cannot be set: {}",
            proof.describe_without(&input.password)
        ))
    })
}

fn reset(
    shared: &Shared,
    state: &State,
    job: &Job,
    input: &Input,
    lock: &TenantLock,
) -> Result<Ending, Unfinished> {
    wait_for_tenant(shared, state, &job.tenant_id, ARRIVAL)?;
    let output = set_password(shared, job, input, lock)?;
    if output.is_success() {
        return Ok(Ending::Done);
    }
    if !matches!(output.ended, Ended::Code(_)) {
        return Ok(failed(&output, input));
    }
    // The command's exit codes do not tell an unknown user from a database that is down. If the site can count, the user is unknown. If its
    // tables are not there, nothing is installed.
    let arguments = ["-C", "stats", "--format", "json"];
    let stats = shared
        .runner
        .run(lock, &job.tenant_id, &arguments, shared.settings.cron_limit)?;
    if stats.is_success() || is_not_installed(shared, &job.tenant_id) {
        return Ok(Ending::Refused(Some(
            output.describe_without(&input.password),
        )));
    }
    Ok(failed(&output, input))
}

/// Whether the database is there, and has none of the site's tables.
fn is_not_installed(shared: &Shared, id: &str) -> bool {
    let Some(database) = &shared.settings.database else {
        return false;
    };
    let look = || -> Result<bool, Error> {
        let names = tables::names(shared.settings.schema.as_deref())?;
        let there = Tables::connect(database)?.all()?;
        Ok(!tables::is_installed(id, &names, &there)?)
    };
    look().unwrap_or_default()
}

fn set_password(
    shared: &Shared,
    job: &Job,
    input: &Input,
    lock: &TenantLock,
) -> Result<Output, Error> {
    let arguments = [
        "-C",
        "password-reset",
        "-u",
        &input.username,
        "-x",
        input.password.as_str(),
    ];
    shared
        .runner
        .run(lock, &job.tenant_id, &arguments, shared.settings.job_limit)
}

/// Describes a failed command without the password that its output may repeat.
fn failed(output: &Output, input: &Input) -> Ending {
    Ending::Failed(output.describe_without(&input.password))
}

/// Waits until Redis has the tenant, without which no command of the installation finds it.
fn wait_for_tenant(
    shared: &Shared,
    state: &State,
    id: &str,
    within: Duration,
) -> Result<(), Unfinished> {
    let end = Instant::now() + within;
    while !state.is_written(id)? {
        if shared.is_stopping() {
            return Err(Unfinished::GivenBack("the agent stops"));
        }
        if Instant::now() < end {
            sleep(Duration::from_millis(100));
        } else if state.broken()?.contains(id) {
            return Err(Error::Attention(
                "the registry cannot read the tenant, or the agent cannot use it. The agent's log has `tenant_unreadable` or `tenant_unusable`".into(),
            )
            .into());
        } else {
            return Err(Unfinished::GivenBack(
                "the tenant has not arrived in the cell's Redis",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
