//! Cron and statistics: runs each served site's background jobs when they are due, and counts it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tenants_core::COUNTERS;
use tenants_core::value::clock::Timestamp;

use crate::command::TenantLock;
use crate::error::Error;
use crate::key_check;
use crate::log;
use crate::registry::Counted;
use crate::shared::Shared;
use crate::state::State;
use crate::tables::{self, Tables};

/// How often the list of sites is read again.
const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// How often MySQL is asked which sites are installed.
const INSTALLED_EVERY: Duration = Duration::from_secs(60);
/// When a site is tried again for which a command still runs.
const BUSY_PAUSE: Duration = Duration::from_secs(10);

/// When each site is due.
#[derive(Default)]
struct Schedule {
    due: BTreeMap<String, Instant>,
    seconds: BTreeMap<String, u32>,
    refreshed: Option<Instant>,
    installed: Option<BTreeSet<String>>,
    looked: Option<Instant>,
    /// Whether MySQL did not answer the last time.
    is_down: bool,
    /// Whether MySQL has no table of any tenant.
    is_empty: bool,
}

/// Starts the workers. They end when the agent stops.
///
/// # Errors
/// Fails if the state file does.
pub(crate) fn start(shared: &Arc<Shared>, state: &State) -> Result<Vec<JoinHandle<()>>, Error> {
    let schedule = Arc::new(Mutex::new(Schedule::default()));
    let mut workers = Vec::new();
    let count = if shared.settings.cli.is_empty() {
        0
    } else {
        shared.settings.cron_workers
    };
    for _ in 0..count {
        let (shared, schedule) = (Arc::clone(shared), Arc::clone(&schedule));
        let state = state.again()?;
        workers.push(std::thread::spawn(move || work(&shared, &state, &schedule)));
    }
    Ok(workers)
}

fn work(shared: &Shared, state: &State, schedule: &Mutex<Schedule>) {
    while !shared.is_stopping() {
        let next = if shared.is_redis_good.load(Ordering::Relaxed) {
            let mut schedule = schedule.lock().unwrap_or_else(PoisonError::into_inner);
            schedule.refresh(shared, state);
            schedule.take()
        } else {
            None
        };
        match next {
            None => sleep(Duration::from_millis(200)),
            Some(id) => match lock_served(shared, state, &id) {
                Ok(Some(lock)) => run(shared, state, &id, &lock),
                Ok(None) => {
                    let mut schedule = schedule.lock().unwrap_or_else(PoisonError::into_inner);
                    schedule.due.insert(id, Instant::now() + BUSY_PAUSE);
                }
                Err(error) => log::error(
                    "cron_failed",
                    json!({"tenant": id, "detail": error.to_string()}),
                ),
            },
        }
    }
}

/// Takes the site's lock, unless something still runs for it, or it is served no longer: the list of sites may be some seconds old.
fn lock_served(shared: &Shared, state: &State, id: &str) -> Result<Option<TenantLock>, Error> {
    match state.tenant(id)? {
        Some(row) if row.is_enabled => shared.runner.try_lock(id),
        _ => Ok(None),
    }
}

fn run(shared: &Shared, state: &State, id: &str, lock: &TenantLock) {
    let limit = shared.settings.cron_limit;
    match shared.runner.run(lock, id, &["-C", "cron"], limit) {
        Ok(output) if output.is_success() => {
            if let Err(error) = key_check::proved(shared, state, id) {
                log::warn("state_file", json!({"detail": error.to_string()}));
            }
        }
        Ok(output) => {
            log::warn(
                "cron_failed",
                json!({"tenant": id, "detail": output.describe()}),
            );
            return;
        }
        Err(error) => {
            log::warn(
                "cron_failed",
                json!({"tenant": id, "detail": error.to_string()}),
            );
            return;
        }
    }
    match shared
        .runner
        .run(lock, id, &["-C", "stats", "--format", "json"], limit)
    {
        Ok(output) if output.is_success() => match counted(id, &output.stdout) {
            Some(counted) => shared.counted.add(vec![counted]),
            None => log::warn(
                "stats_failed",
                json!({"tenant": id, "detail": "the output is no JSON object of counters"}),
            ),
        },
        Ok(output) => log::warn(
            "stats_failed",
            json!({"tenant": id, "detail": output.describe()}),
        ),
        Err(error) => log::warn(
            "stats_failed",
            json!({"tenant": id, "detail": error.to_string()}),
        ),
    }
}

/// Reads the counters that the installation prints. Its version decides which those are: one that it lacks is 0, and one that the registry does not
/// know is left out, since the registry refuses the whole report otherwise.
fn counted(id: &str, output: &str) -> Option<Counted> {
    let printed: Map<String, Value> = serde_json::from_str(output.trim()).ok()?;
    if !COUNTERS.iter().any(|&name| printed.contains_key(name)) {
        return None;
    }
    let stats: Map<String, Value> = COUNTERS
        .iter()
        .map(|&name| (name.into(), whole(printed.get(name)).into()))
        .collect();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let now = Timestamp::from_unix(i64::try_from(seconds).ok()?).ok()?;
    Some(Counted {
        id: id.into(),
        stats: stats.into(),
        counted_at: now.as_str().into(),
    })
}

/// A counter as a whole number: PHP may print it as a text, and seconds with a fraction.
fn whole(value: Option<&Value>) -> u64 {
    let text = match value {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        _ => return 0,
    };
    let digits = text.split('.').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

impl Schedule {
    fn refresh(&mut self, shared: &Shared, state: &State) {
        if self
            .refreshed
            .is_some_and(|at| at.elapsed() < REFRESH_EVERY)
        {
            return;
        }
        self.refreshed = Some(Instant::now());
        if let Err(error) = self.refresh_or_fail(shared, state) {
            log::warn("cron_waits", json!({"detail": error.to_string()}));
        }
    }

    fn refresh_or_fail(&mut self, shared: &Shared, state: &State) -> Result<(), Error> {
        let settings = &shared.settings;
        let served = state.served()?;
        let mut names = BTreeSet::new();
        if let Some(database) = &settings.database {
            names = tables::names(settings.schema.as_deref())?;
            if self.looked.is_none_or(|at| at.elapsed() >= INSTALLED_EVERY) {
                let found = Tables::connect(database).and_then(|mut tables| tables.all());
                if let Some(there) = self.answered(found) {
                    self.look(state, &names, &served, &there)?;
                    self.installed = Some(there);
                    self.looked = Some(Instant::now());
                } else if self.installed.is_none() {
                    return Ok(());
                }
            }
        }
        let mut seconds = BTreeMap::new();
        for (id, pause) in served {
            let is_installed = match &self.installed {
                Some(there) => tables::is_installed(&id, &names, there)?,
                None => true,
            };
            if is_installed {
                seconds.insert(id, pause);
            }
        }
        let now = Instant::now();
        self.due.retain(|id, _| seconds.contains_key(id));
        self.replan(seconds, now);
        Ok(())
    }

    /// Takes note of MySQL's answer, and logs when an outage begins and ends.
    fn answered(&mut self, found: Result<BTreeSet<String>, Error>) -> Option<BTreeSet<String>> {
        let was_down = self.is_down;
        self.is_down = found.is_err();
        match &found {
            Ok(_) if was_down => log::info("database_up", json!({})),
            Err(error) if !was_down => {
                let sites = match self.installed {
                    Some(_) => "new sites get",
                    None => "sites get",
                };
                log::error(
                    "database_down",
                    json!({"detail": format!("{error}; {sites} no cron until it is back")}),
                );
            }
            Ok(_) | Err(_) => {}
        }
        found.ok()
    }

    /// Plans the first run of each new site, and an earlier one for a site whose pause changed: its former one may be long.
    fn replan(&mut self, seconds: BTreeMap<String, u32>, now: Instant) {
        for (id, pause) in &seconds {
            let next = now + spread(id, *pause);
            let has_changed = self.seconds.get(id) != Some(pause);
            let due = self.due.entry(id.clone()).or_insert(next);
            if has_changed {
                *due = next.min(*due);
            }
        }
        self.seconds = seconds;
    }

    /// Remembers which sites are installed, and tells when MySQL has no table of any of them.
    fn look(
        &mut self,
        state: &State,
        names: &BTreeSet<String>,
        served: &[(String, u32)],
        there: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut installed = Vec::new();
        for (id, _) in served {
            if tables::is_installed(id, names, there)? {
                installed.push(id.as_str());
            }
        }
        state.set_installed(&installed)?;
        let is_empty =
            installed.is_empty() && !served.is_empty() && !tables::is_any_installed(names, there);
        if is_empty && !self.is_empty {
            let detail = json!({"sites": served.len(), "detail": "MySQL has no table of any tenant, so no cron runs. On a new cell this is so until the first \
                installation. Otherwise look at CHEVERETO_DB_*, TENANTS_AGENT_SCHEMA and CHEVERETO_TENANTS_DB_ISOLATION_MODE"});
            if state.has_installed()? {
                log::error("no_tables", detail);
            } else {
                log::warn("no_tables", detail);
            }
        }
        self.is_empty = is_empty;
        Ok(())
    }

    /// Takes the site that has been due for longest, and sets when it is due again.
    fn take(&mut self) -> Option<String> {
        let now = Instant::now();
        let (id, _) = self
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .min_by_key(|(_, at)| **at)?;
        let id = id.clone();
        let pause = self
            .seconds
            .get(&id)
            .copied()
            .unwrap_or(crate::settings::DEFAULT_CRON_SECONDS);
        self.due
            .insert(id.clone(), now + Duration::from_secs(pause.into()));
        Some(id)
    }
}

/// Spreads the first runs of sites over their pause.
fn spread(id: &str, pause: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    Duration::from_millis(hasher.finish() % 1000 * u64::from(pause))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::{Duration, Instant};

    use super::{Schedule, counted, spread};
    use crate::testing::{Agent, present};

    #[test]
    fn without_mysql_cron_goes_on_for_the_sites_that_were_installed() {
        let mut agent = Agent::with_database("exit 0", "");
        agent.apply(&[present("a"), present("new")]);
        let mut schedule = Schedule::default();
        let mut planned = |installed| {
            schedule.installed = installed;
            schedule
                .refresh_or_fail(&agent.shared, &agent.state)
                .unwrap();
            assert!(schedule.is_down);
            schedule.due.keys().cloned().collect::<Vec<_>>()
        };
        // It is not known which sites are installed.
        assert!(planned(None).is_empty());
        let there = BTreeSet::from(["chv_a_users".to_owned()]);
        assert_eq!(planned(Some(there)), ["a"]);
    }

    #[test]
    fn first_runs_are_spread_over_the_pause() {
        let at: Vec<Duration> = (0..100)
            .map(|n| spread(&format!("tenant{n}"), 300))
            .collect();
        assert!(at.iter().all(|at| *at < Duration::from_secs(300)));
        let early = at
            .iter()
            .filter(|at| **at < Duration::from_secs(150))
            .count();
        assert!((20..80).contains(&early), "{early}");
    }

    #[test]
    fn a_pause_that_becomes_shorter_does_not_wait_for_the_longer_one() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        let pauses = |pause| BTreeMap::from([("a".to_owned(), pause)]);
        schedule.replan(pauses(86_400), now);
        let first = schedule.due["a"];
        schedule.replan(pauses(86_400), now + Duration::from_secs(10));
        assert_eq!(schedule.due["a"], first);
        schedule.replan(pauses(60), now);
        assert!(schedule.due["a"] <= now + Duration::from_secs(60));
        let second = schedule.due["a"];
        schedule.replan(pauses(86_400), now + Duration::from_secs(10));
        assert_eq!(schedule.due["a"], second);
    }

    #[test]
    fn the_registry_gets_its_sixteen_counters_whatever_the_installation_prints() {
        let output = r#"{"files": 4, "storage_used": 9007199254740993, "users": "2", "cron_time": 1.5, "tags": null, "pages": -1, "new": 7}"#;
        let read = counted("a", &format!("{output}\n")).unwrap();
        assert_eq!(read.stats.as_object().unwrap().len(), 16);
        let numbers = [
            "files",
            "storage_used",
            "users",
            "cron_time",
            "tags",
            "pages",
            "albums",
        ];
        let numbers = numbers.map(|name| read.stats[name].as_u64().unwrap());
        assert_eq!(numbers, [4, 9_007_199_254_740_993, 2, 1, 0, 0, 0]);
        assert_eq!(read.counted_at.len(), 19);
        for bad in ["", "[]", "PHP Warning", "4", "{}", r#"{"new": 7}"#] {
            assert!(counted("a", bad).is_none(), "{bad}");
        }
    }
}
