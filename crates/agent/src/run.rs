//! The agent's rounds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cron;
use crate::error::Error;
use crate::jobs;
use crate::log;
use crate::registry::RegistryError;
use crate::shared::Shared;
use crate::state::State;
use crate::sync::{Engine, Followed, Outage};
use crate::traefik::TraefikFile;

/// The longest pause between two tries to reach the registry.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long running jobs have after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(25);
/// How long the process has after SIGTERM, whatever it waits for: a registry or a Redis may hold an answer back for longer.
const END_WITHIN: Duration = Duration::from_secs(28);

/// How many rounds `once` does at the most.
const MOST_ROUNDS: usize = 1000;

/// Ends the process some time after SIGTERM, with this exit code, if it has not ended by itself. Every change of the state file is a
/// transaction, and commands go on and hold their tenants' locks, so the next start finds everything.
pub(crate) fn end_in_time(shared: &Arc<Shared>, code: i32) {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        while !shared.is_stopping() {
            sleep(Duration::from_millis(100));
        }
        sleep(END_WITHIN);
        log::warn(
            "stopped",
            json!({"jobs": shared.running.count(), "detail": "something did not answer in time"}),
        );
        std::process::exit(code);
    });
}

/// Runs rounds until SIGTERM.
///
/// # Errors
/// Fails if the agent cannot go on: the state file fails, or the encryption key is not the installation's.
pub(crate) fn forever(shared: &Arc<Shared>, state: State) -> Result<(), Error> {
    let workers = cron::start(shared, &state)?;
    let mut rounds = Rounds::new(shared, state);
    log::info(
        "started",
        json!({"version": env!("CARGO_PKG_VERSION"), "registry": shared.settings.address.origin(), "cell": shared.settings.cell}),
    );
    let outcome = loop {
        if shared.is_stopping() {
            break Ok(());
        }
        if let Err(error) = rounds.round() {
            break Err(error);
        }
        let end = Instant::now() + shared.settings.interval;
        while Instant::now() < end && !shared.is_stopping() {
            sleep(Duration::from_millis(20));
        }
    };
    shared.stop.store(true, Ordering::Relaxed);
    log::info("stopping", json!({"jobs": shared.running.count()}));
    wait_while(|| shared.running.count() > 0 || workers.iter().any(|w| !w.is_finished()));
    // Commands that still run hold their tenants' locks, and end by themselves.
    log::info("stopped", json!({"jobs": shared.running.count()}));
    outcome
}

/// Does rounds until no job waits any more, and ends.
///
/// # Errors
/// Fails if a part of a round does, or a job. [`Error::Attention`] if it is stopped before no job waits any more.
pub(crate) fn once(shared: &Arc<Shared>, state: State) -> Result<(), Error> {
    let mut rounds = Rounds::new(shared, state);
    let registry = |e| Error::failed("the registry", e);
    let keep = |rounds: &mut Rounds| match rounds.engine.keep()? {
        true => Ok(()),
        false => Err(Error::Failed("Redis is down".into())),
    };
    for round in 0..MOST_ROUNDS {
        keep(&mut rounds)?;
        shared.is_redis_good.store(true, Ordering::Relaxed);
        let followed = rounds.engine.follow()?;
        if followed == Followed::Held {
            return Err(Error::Attention(
                "a change waits: see `tenants-agent accept`".into(),
            ));
        }
        keep(&mut rounds)?;
        let Followed::Applied {
            jobs_waiting: true, ..
        } = followed
        else {
            break;
        };
        let stopped = || Err(Error::Attention("stopped, and jobs wait or run".into()));
        if shared.is_stopping() {
            return stopped();
        }
        let started = jobs::start(shared, rounds.engine.state()).map_err(registry)?;
        while shared.running.count() > 0 && !shared.is_stopping() {
            sleep(Duration::from_millis(20));
        }
        if shared.is_stopping() {
            wait_while(|| shared.running.count() > 0);
            return stopped();
        }
        // A drop can be leased only after the registry was told, by the next round, that its tenant is gone here.
        if started == 0 && round > 0 {
            break;
        }
    }
    rounds.keep_traefik(true).map_err(registry)?;
    match shared.failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => Err(Error::Attention(format!(
            "jobs that failed or were given back: {failed}"
        ))),
    }
}

/// Waits for what still runs after SIGTERM, up to [`STOP_WITHIN`].
fn wait_while(is_busy: impl Fn() -> bool) {
    let end = Instant::now() + STOP_WITHIN;
    while is_busy() && Instant::now() < end {
        sleep(Duration::from_millis(20));
    }
}

struct Rounds {
    shared: Arc<Shared>,
    engine: Engine,
    traefik: TraefikFile,
    /// When the registry may be asked again, and the pause after the next failure.
    next: Instant,
    pause: Duration,
    is_registry_down: bool,
}

impl Rounds {
    fn new(shared: &Arc<Shared>, state: State) -> Self {
        Self {
            shared: Arc::clone(shared),
            engine: Engine::new(Arc::clone(shared), state),
            traefik: TraefikFile::default(),
            next: Instant::now(),
            pause: shared.settings.interval,
            is_registry_down: false,
        }
    }

    fn round(&mut self) -> Result<(), Error> {
        let is_good = self.engine.keep()?;
        self.shared.is_redis_good.store(is_good, Ordering::Relaxed);
        if !is_good || Instant::now() < self.next {
            return Ok(());
        }
        match self.talk() {
            Ok(()) => {
                if self.is_registry_down {
                    log::info("registry_up", json!({}));
                }
                self.is_registry_down = false;
                self.pause = self.shared.settings.interval;
                Ok(())
            }
            Err(Outage::Registry(error)) => {
                self.is_registry_down = true;
                self.next = Instant::now() + self.pause;
                log::error(
                    "registry_down",
                    json!({"detail": error.to_string(), "again_in_seconds": self.pause.as_secs_f64()}),
                );
                self.pause = longer(self.pause);
                Ok(())
            }
            // The next round connects anew, and says so.
            Err(Outage::Redis(_)) => Ok(()),
            Err(Outage::Own(error)) => Err(error),
        }
    }

    /// Everything that needs the registry.
    fn talk(&mut self) -> Result<(), Outage> {
        let followed = self.engine.follow()?;
        let mut has_changed = false;
        if let Followed::Applied {
            jobs_waiting,
            has_changed: has,
        } = followed
        {
            has_changed = has;
            let is_good = self.engine.keep()?;
            self.shared.is_redis_good.store(is_good, Ordering::Relaxed);
            if is_good && jobs_waiting && !self.shared.is_stopping() {
                jobs::start(&self.shared, self.engine.state())?;
            }
        }
        // A configuration that cannot be read must not hold up the sites. The file is tried again after a minute, or with the next change.
        // It belongs to the same change as the sites, and waits for `accept` with them.
        if followed != Followed::Held
            && let Err(error) = self.keep_traefik(has_changed)
        {
            log::warn("traefik_not_read", json!({"detail": error.to_string()}));
        }
        self.report_counted()?;
        Ok(())
    }

    fn keep_traefik(&mut self, has_changed: bool) -> Result<(), RegistryError> {
        match &self.shared.settings.traefik_file {
            Some(path) => self.traefik.keep(&self.shared.registry, path, has_changed),
            None => Ok(()),
        }
    }

    fn report_counted(&self) -> Result<(), RegistryError> {
        let counted = self.shared.counted.take();
        if counted.is_empty() {
            return Ok(());
        }
        match self.shared.registry.report(&counted) {
            // The next run of each site's cron counts it again.
            Err(RegistryError::Refused(detail)) => {
                log::warn("stats_refused", json!({"detail": detail}));
                Ok(())
            }
            Err(error) => {
                self.shared.counted.add(counted);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }
}

/// The pause after another failure.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

impl From<RegistryError> for Outage {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::longer;

    #[test]
    fn pauses_grow_to_a_minute() {
        let mut pause = Duration::from_secs(2);
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push(pause.as_secs());
            pause = longer(pause);
        }
        assert_eq!(seen, [2, 4, 8, 16, 32, 60, 60]);
    }
}
