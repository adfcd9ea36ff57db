//! Jobs: what the registry wants done to a site. Each runs in a thread of its own, under a lease that is renewed until its end is reported.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cache::Cache;
use crate::command::{Ended, Output, TenantLock};
use crate::error::Error;
use crate::key_check;
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
    let running = shared.running.load(Ordering::Relaxed);
    let free = shared.settings.workers.saturating_sub(running);
    if free == 0 {
        return Ok(0);
    }
    let mut started = 0;
    for job in shared.registry.lease(free, shared.settings.lease_seconds)? {
        log::info(
            "job_started",
            json!({"job": job.id, "kind": job.kind, "tenant": job.tenant_id, "attempt": job.attempt}),
        );
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
        shared.running.fetch_add(1, Ordering::Relaxed);
        let guard = Running(Arc::clone(shared));
        std::thread::spawn(move || {
            run(&guard.0, &state, &job, lock);
        });
        started += 1;
    }
    Ok(started)
}

/// Counts a job as running until it is dropped, also when its thread panics.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(shared: &Shared, state: &State, job: &Job, lock: Option<TenantLock>) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| renew(shared, job, &is_over));
        match perform(shared, state, job, lock) {
            Some(ending) => report(shared, job, &ending),
            // The agent stops, and the job has not begun: the lease gives it back.
            None => log::info("job_given_back", json!({"job": job.id})),
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

fn renew(shared: &Shared, job: &Job, is_over: &AtomicBool) {
    let seconds = shared.settings.lease_seconds;
    // Two renewals may fail before the lease is lost.
    let every = Duration::from_secs(seconds) / 3;
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(100));
        if last.elapsed() < every {
            continue;
        }
        last = Instant::now();
        match shared.registry.renew(job, seconds) {
            Ok(()) => {}
            Err(RegistryError::Conflict(detail)) => {
                // The command goes on, and holds its tenant's lock. The next attempt waits for that.
                log::warn("lease_lost", json!({"job": job.id, "detail": detail}));
                return;
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

/// Reports a job's end. Tries until the registry has it, since the same report again is good.
fn report(shared: &Shared, job: &Job, ending: &Ending) {
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
        match shared.registry.finish(job, ending) {
            Ok(()) => return,
            Err(RegistryError::Conflict(detail) | RegistryError::Refused(detail)) => {
                log::warn("job_not_reported", json!({"job": job.id, "detail": detail}));
                return;
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
            return;
        }
        let end = Instant::now() + pause;
        while Instant::now() < end {
            if shared.is_stopping() && started.elapsed() > Duration::from_secs(10) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        pause = (pause * 2).min(Duration::from_secs(20));
    }
}

/// Does a job, under the tenant's lock. Waits for the lock if it was not free before. `None` means that the job was not begun, because the agent
/// stops.
fn perform(shared: &Shared, state: &State, job: &Job, lock: Option<TenantLock>) -> Option<Ending> {
    if !is_id(&job.tenant_id) {
        return Some(Ending::Failed("the tenant's id is none".into()));
    }
    let started = Instant::now();
    let limit = shared.settings.job_limit;
    let is_over = || shared.is_stopping() || started.elapsed() > limit;
    let lock = match lock {
        Some(lock) => Ok(Some(lock)),
        None => shared.runner.lock(&job.tenant_id, is_over),
    };
    let lock = match lock {
        Ok(Some(lock)) => lock,
        Ok(None) if shared.is_stopping() => return None,
        Ok(None) => {
            return Some(Ending::Failed(
                "another command still runs for the tenant".into(),
            ));
        }
        Err(error) => return Some(Ending::Failed(error.to_string())),
    };
    let ending = match (job.kind.as_str(), &job.input) {
        ("install", Some(input)) => install(shared, state, job, input, &lock),
        ("password_reset", Some(input)) => reset(shared, state, job, input, &lock),
        ("drop", _) => drop_site(shared, state, job),
        (kind, _) => Ok(Ending::Failed(format!(
            "this agent does not know the job `{kind}`; is it too old?"
        ))),
    };
    let ending = ending.unwrap_or_else(|error| Ending::Failed(error.to_string()));
    if ending == Ending::Done
        && job.kind != "drop"
        && let Err(error) = key_check::proved(shared, state, &job.tenant_id)
    {
        log::warn("state_file", json!({"detail": error.to_string()}));
    }
    Some(ending)
}

fn install(
    shared: &Shared,
    state: &State,
    job: &Job,
    input: &Input,
    lock: &TenantLock,
) -> Result<Ending, Error> {
    wait_for_tenant(shared, state, &job.tenant_id)?;
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
    let output = shared
        .runner
        .run(lock, &job.tenant_id, &arguments, shared.settings.job_limit)?;
    if output.is_success() || output.ended == Ended::Code(INSTALLED_ALREADY) {
        state.set_site(&job.tenant_id, Site::Installed)?;
    }
    if output.is_success() {
        return Ok(Ending::Done);
    }
    if output.ended != Ended::Code(INSTALLED_ALREADY) {
        return Ok(failed(&output, input));
    }
    if job.attempt == 1 {
        return Ok(Ending::Refused(None));
    }
    // An earlier attempt may have installed it, or half of it. Setting the administrator's password proves that it is whole.
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
) -> Result<Ending, Error> {
    wait_for_tenant(shared, state, &job.tenant_id)?;
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
fn wait_for_tenant(shared: &Shared, state: &State, id: &str) -> Result<(), Error> {
    let end = Instant::now() + ARRIVAL;
    loop {
        if state.tenant(id)?.is_some() && state.is_clean()? {
            return Ok(());
        }
        if Instant::now() > end || shared.is_stopping() {
            return Err(Error::Failed(
                "the tenant has not arrived in the cell's Redis".into(),
            ));
        }
        sleep(Duration::from_millis(100));
    }
}

/// Tries until it succeeds, as long as a job may take: what is half dropped is not to be left.
fn persist<T>(
    shared: &Shared,
    job: &Job,
    event: &str,
    attempt: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error @ Error::Failed(_))
                if !shared.is_stopping() && started.elapsed() <= shared.settings.job_limit =>
            {
                log::warn(event, json!({"job": job.id, "detail": error.to_string()}));
                sleep(Duration::from_secs(2));
            }
            outcome => return outcome,
        }
    }
}

fn drop_site(shared: &Shared, state: &State, job: &Job) -> Result<Ending, Error> {
    let settings = &shared.settings;
    let id = &job.tenant_id;
    if settings.is_isolated_by_database {
        return Ok(Ending::Failed(
            "CHEVERETO_TENANTS_DB_ISOLATION_MODE is not `table`: this agent only knows tables with a prefix, so drop the site's database by hand".into(),
        ));
    }
    let Some(database) = &settings.database else {
        return Ok(Ending::Failed(
            "the agent has no access to MySQL (CHEVERETO_DB_*)".into(),
        ));
    };
    if state.tenant(id)?.is_some() {
        return Ok(Ending::Failed("the tenant is still the cell's".into()));
    }
    let names = tables::names(settings.schema.as_deref())?;
    let others = state.ids()?;
    let dropped = persist(shared, job, "database_down", || {
        let mut tables = Tables::connect(database)?;
        let there = tables.all()?;
        let doomed = tables::doomed(id, &names, &there, &others)?;
        if doomed.is_empty() {
            refuse_unfound(
                state,
                id,
                tables::is_any_installed(&names, &there),
                !others.is_empty(),
            )?;
        }
        // First, so that the next attempt of a job that is cut off here knows it.
        state.set_site(id, Site::Dropped)?;
        tables.drop(&doomed)?;
        Ok(doomed.len())
    })?;
    let keys = persist(shared, job, "redis_down", || {
        Cache::connect(&settings.redis, &settings.keys)?
            .clear_site(id)
            .map_err(|e| Error::failed("Redis", e))
    })?;
    log::info(
        "site_dropped",
        json!({"tenant": id, "tables": dropped, "keys": keys}),
    );
    Ok(Ending::Done)
}

/// Judges a drop that finds no table. It is done if an earlier attempt dropped them, or if the tenant was never installed. It fails if the tables
/// should be there: they may be in another database.
fn refuse_unfound(
    state: &State,
    id: &str,
    is_any_installed: bool,
    has_others: bool,
) -> Result<(), Error> {
    let why = match state.site(id)? {
        Some(Site::Dropped) => return Ok(()),
        Some(Site::Installed) => "though it was installed",
        None if is_any_installed || !has_others => return Ok(()),
        None => "and none of any other tenant",
    };
    Err(Error::Attention(format!(
        "MySQL has none of the tables of {id}, {why}. Look at CHEVERETO_DB_*, at TENANTS_AGENT_SCHEMA, and whether the installation gives each \
         tenant a database of its own (CHEVERETO_TENANTS_DB_ISOLATION_MODE). If it has tables, drop them by hand"
    )))
}

#[cfg(test)]
mod tests {
    use super::failed;
    use crate::command::{Ended, Output};
    use crate::registry::Ending;
    use crate::wire::Input;

    #[test]
    fn an_error_does_not_repeat_the_password() {
        let output = Output {
            ended: Ended::Code(1),
            stdout: String::new(),
            stderr: "bad password hunter2!".into(),
        };
        let input: Input =
            serde_json::from_str(r#"{"username": "u", "email": "e", "password": "hunter2"}"#)
                .unwrap();
        let Ending::Failed(text) = failed(&output, &input) else {
            panic!()
        };
        assert_eq!(text, "exit code 1: bad password …!");
        // Nor a part of it, where the line is cut.
        let long = Output {
            stderr: format!("{}hunter2", "x".repeat(296)),
            ..output
        };
        let Ending::Failed(text) = failed(&long, &input) else {
            panic!()
        };
        assert!(!text.contains("hunt"), "{text}");
    }
}
