//! The job `drop`: removes the tables of a tenant that is gone, and the keys that its site wrote.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cache::Cache;
use crate::error::Error;
use crate::jobs::Unfinished;
use crate::lease::Lease;
use crate::log;
use crate::registry::Ending;
use crate::shared::Shared;
use crate::state::{Site, State};
use crate::tables::{self, Tables};
use crate::wire::Job;

/// The pause before MySQL or Redis is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// Drops the tables of a site, and then removes its keys from Redis.
///
/// # Errors
/// Gives the job back if its lease is lost: the tenant may be back, with tables of its own. Fails if MySQL or Redis does, if the tenant is the
/// cell's, or if the tables may be another site's.
pub(crate) fn drop_site(
    shared: &Shared,
    state: &State,
    job: &Job,
    lease: &Lease,
) -> Result<Ending, Unfinished> {
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
    // MySQL and Redis may be away for minutes, so this is asked right before anything is removed.
    let check = || -> Result<(), Unfinished> {
        if lease.is_lost() {
            return Err(Unfinished::GivenBack("its lease is lost"));
        }
        if state.tenant(id)?.is_some() {
            return Err(Error::Attention("the tenant is still the cell's".into()).into());
        }
        Ok(())
    };
    check()?;
    let names = tables::names(settings.schema.as_deref())?;
    let dropped = persist(shared, job, "database_down", || {
        let mut tables = Tables::connect(database)?;
        let there = tables.all()?;
        let others = state.ids()?;
        let doomed = tables::doomed(id, &names, &there, &others)?;
        if doomed.is_empty() {
            refuse_unfound(
                state,
                id,
                tables::is_any_installed(&names, &there),
                !others.is_empty(),
            )?;
        }
        check()?;
        // First, so that the next attempt of a job that is cut off here knows it.
        state.set_site(id, Site::Dropped)?;
        state.end_install(id)?;
        tables.drop(&doomed, check)?;
        Ok(doomed.len())
    })?;
    let keys = persist(shared, job, "redis_down", || {
        let mut cache = Cache::connect(&settings.redis, &settings.keys)?;
        check()?;
        Ok(cache
            .clear_site(id)
            .map_err(|e| Error::failed("Redis", e))?)
    })?;
    log::info(
        "site_dropped",
        json!({"tenant": id, "tables": dropped, "keys": keys}),
    );
    Ok(Ending::Done)
}

/// Tries until it succeeds, as long as a job may take: what is half dropped is not to be left. An [`Error::Attention`] stays the same.
///
/// # Errors
/// Gives the job back if the agent stops. Otherwise fails with the last error.
fn persist<T>(
    shared: &Shared,
    job: &Job,
    event: &str,
    attempt: impl Fn() -> Result<T, Unfinished>,
) -> Result<T, Unfinished> {
    let started = Instant::now();
    loop {
        match attempt() {
            // A Redis that is a replica now may be the master soon, so `Configuration` may pass as well.
            Err(Unfinished::Failed(error @ (Error::Failed(_) | Error::Configuration(_))))
                if started.elapsed() <= shared.settings.job_limit =>
            {
                log::warn(event, json!({"job": job.id, "detail": error.to_string()}));
                if shared.is_stopping() {
                    return Err(Unfinished::GivenBack("the agent stops"));
                }
                sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
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
    use std::cell::Cell;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::{drop_site, persist};
    use crate::error::Error;
    use crate::jobs::Unfinished;
    use crate::lease::Lease;
    use crate::testing::{Agent, job};

    #[test]
    fn a_drop_without_mysql_is_given_back_if_the_agent_stops_and_fails_after_the_time_of_a_job() {
        let agent = Agent::with_database("exit 0", "TENANTS_AGENT_JOB_SECONDS=1\n");
        let lease = Lease::new("l", Instant::now() + Duration::from_secs(60));
        let drop = || drop_site(&agent.shared, &agent.state, &job("drop", 1), &lease);
        let outcome = drop();
        assert!(
            matches!(outcome, Err(Unfinished::Failed(Error::Failed(_)))),
            "{outcome:?}"
        );
        agent.shared.stop.store(true, Ordering::Relaxed);
        let outcome = drop();
        assert!(
            matches!(outcome, Err(Unfinished::GivenBack(_))),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_redis_that_is_a_replica_for_a_while_is_waited_for() {
        let agent = Agent::new("exit 0", "");
        let tries = Cell::new(0);
        let outcome = persist(&agent.shared, &job("drop", 1), "redis_down", || {
            tries.set(tries.get() + 1);
            match tries.get() {
                1 => Err(Error::Configuration("Redis: it is a replica".into()).into()),
                _ => Ok(()),
            }
        });
        assert!(outcome.is_ok() && tries.get() == 2, "{outcome:?}");
    }
}
