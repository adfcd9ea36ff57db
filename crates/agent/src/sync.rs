//! Keeps Redis equal to the registry.
//!
//! The registry's changes go to the state file first ([`Engine::follow`]), and from there to Redis ([`Engine::flush`]). So Redis can be put
//! right from the state file alone, while the registry is down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tenants_chevereto::php::Value;
use tenants_chevereto::tenant::hostname_value;

use crate::cache::{Cache, Found, Written};
use crate::error::Error;
use crate::hold::{self, Hold};
use crate::key_check::{self, Verdict};
use crate::log;
use crate::registry::RegistryError;
use crate::shared::Shared;
use crate::state::{Garbage, Plan, Staged, State};
use crate::tenant;
use crate::wire::Entry;

/// Says that Redis may be an older copy, until all keys are compared.
const RESTORED: &str = "redis_restored";
/// How often a change that waits for `accept` is read anew.
const HELD_EVERY: Duration = Duration::from_secs(60);

/// The pauses between two tries to read tenants that the registry could not read: the first one, and the longest. Each is a full read, since the
/// registry does not send them again by itself: a key that it got back changes no revision.
const BROKEN_EVERY: Duration = Duration::from_secs(120);
const BROKEN_LONGEST: Duration = Duration::from_secs(30 * 60);

/// The part of the agent that writes Redis.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    state: State,
    cache: Option<Cache>,
    /// The `ETag` of the last page, and the cursor after which it was asked.
    etag: Option<(Option<String>, String)>,
    compared: Option<Instant>,
    /// When a held change was read last.
    held: Option<Instant>,
    /// When tenants that the registry cannot read are asked for again, and the pause after that.
    broken_due: Instant,
    broken_pause: Duration,
    /// The last state of Redis that was logged, so that a long outage is not a long log.
    redis_says: Option<String>,
    fingerprint: String,
}

/// The outcome of a look at the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Nothing changed, and no job waits.
    Unchanged,
    /// The state has all changes, if there were any.
    Applied {
        jobs_waiting: bool,
        has_changed: bool,
    },
    /// The changes wait for `accept`.
    Held,
}

/// The differences between Redis and the state.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Tenants with a key that is missing or different.
    pub(crate) wrong: Vec<String>,
    /// Keys that the agent removed, and that are there again.
    pub(crate) revived: Garbage,
    /// Keys that are neither the registry's nor the agent's own.
    pub(crate) unknown: Vec<Found>,
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>, state: State) -> Self {
        let fingerprint = tenant::fingerprint(&shared.settings.encryption_key);
        Self {
            shared,
            state,
            cache: None,
            etag: None,
            compared: None,
            held: None,
            broken_due: Instant::now(),
            broken_pause: BROKEN_EVERY,
            redis_says: None,
            fingerprint,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Puts Redis right from the state file. Returns whether Redis is there and has everything.
    ///
    /// # Errors
    /// Fails if the state file does, or if the encryption key is not the installation's.
    pub(crate) fn keep(&mut self) -> Result<bool, Error> {
        let outcome = self.keep_or_fail();
        let says = match outcome {
            Ok(()) => None,
            Err(Outage::Redis(text)) => Some(text),
            Err(Outage::Registry(error)) => return Err(Outage::Registry(error).into()),
            Err(Outage::Own(error)) => return Err(error),
        };
        if says != self.redis_says {
            match &says {
                Some(text) => log::error("redis_down", json!({"detail": text})),
                None => log::info("redis_up", json!({})),
            }
            self.redis_says.clone_from(&says);
        }
        if says.is_some() {
            self.cache = None;
        }
        Ok(says.is_none())
    }

    fn keep_or_fail(&mut self) -> Result<(), Outage> {
        if self.cache.is_none() {
            let settings = &self.shared.settings;
            let cache = Cache::connect(&settings.redis, &settings.keys)
                .map_err(|e| Outage::Redis(e.to_string()))?;
            self.cache = Some(cache);
        }
        self.check_key_by_values()?;
        if self.state.meta("cursor")?.is_some() {
            self.mend_marker()?;
            self.flush()?;
            let is_due = |at: Instant| at.elapsed() >= self.shared.settings.compare;
            if self.compared.is_none_or(is_due) {
                self.compare()?;
                self.compared = Some(Instant::now());
            }
        } else if let Some(cache) = &mut self.cache {
            cache.ping()?;
        }
        Ok(())
    }

    /// Has everything written again if Redis does not have the agent's marker: it was flushed, or restored from an older copy.
    fn mend_marker(&mut self) -> Result<(), Outage> {
        let cell = &self.shared.settings.cell;
        let Some(cache) = &mut self.cache else {
            return Ok(());
        };
        // Without a marker of our own, every row is still to be written anyway.
        let Some(expected) = self.state.meta("marker")? else {
            return Ok(());
        };
        if cache.marker(cell)? != Some(expected) {
            log::warn(
                "redis_rewritten",
                json!({"detail": "the agent's marker is missing or another one; every key is written again"}),
            );
            // They were served before: see `check_key_by_site`.
            if !self.is_other_key()? {
                key_check::set_written(&self.state, &self.fingerprint)?;
            }
            self.state.set_all_dirty()?;
            self.state.set_meta("marker", None)?;
            self.state.set_meta(RESTORED, Some("1"))?;
            // A Redis that was restored from an older copy holds keys that are gone since.
            self.compared = None;
        }
        Ok(())
    }

    fn marker(&self) -> Result<String, Error> {
        let cursor = self.state.meta("cursor")?.unwrap_or_default();
        Ok(format!("1 {} {cursor}", self.fingerprint))
    }

    /// Writes to Redis what the state has and Redis has not.
    fn flush(&mut self) -> Result<(), Outage> {
        if self.state.is_clean()? {
            return self.set_marker();
        }
        self.check_key_by_site()?;
        let Some(cache) = &mut self.cache else {
            return Ok(());
        };
        let (mut written, mut removed) = (0, 0);
        loop {
            let dirty = self.state.dirty()?;
            if dirty.is_empty() {
                break;
            }
            if let Err(error) = cache.write(&dirty) {
                // A full Redis refuses to write and still deletes, which makes room. The garbage stays in the state file until all is written.
                if !error.is_io_error() {
                    // If that fails as well, the first error says why.
                    let _ = delete(cache, &self.state.unclaimed_garbage()?);
                }
                return Err(error.into());
            }
            self.state.set_clean(&dirty)?;
            written += dirty.len();
        }
        let garbage = self.state.garbage()?;
        if !garbage.tenants.is_empty() || !garbage.hostnames.is_empty() {
            delete(cache, &garbage)?;
            self.state.forget_garbage()?;
            removed += garbage.tenants.len();
        }
        log::info(
            "redis_written",
            json!({"tenants": written, "removed": removed}),
        );
        self.set_marker()
    }

    fn set_marker(&mut self) -> Result<(), Outage> {
        if !self.is_other_key()? {
            key_check::set_written(&self.state, &self.fingerprint)?;
        }
        let marker = self.marker()?;
        let cell = &self.shared.settings.cell;
        if let Some(cache) = &mut self.cache
            && self.state.meta("marker")?.as_deref() != Some(marker.as_str())
        {
            cache.set_marker(cell, &marker)?;
            self.state.set_meta("marker", Some(&marker))?;
        }
        Ok(())
    }

    /// Compares all keys with the state, and mends what differs.
    fn compare(&mut self) -> Result<(), Outage> {
        let mut differences = self.differences()?;
        if !differences.wrong.is_empty() {
            log::warn(
                "keys_differ",
                json!({"tenants": differences.wrong.len(), "first": differences.wrong.first()}),
            );
            for id in &differences.wrong {
                self.state.set_dirty(id)?;
            }
            self.flush()?;
        }
        // Only an older copy brings keys back by mistake. Otherwise somebody wrote them, and may want them.
        if self.state.meta(RESTORED)?.is_some() {
            if differences.revived != Garbage::default() {
                log::warn(
                    "revived_keys_removed",
                    json!({"tenants": differences.revived.tenants, "hostnames": differences.revived.hostnames.len()}),
                );
                self.state.remove_again(&differences.revived)?;
                self.flush()?;
            }
            self.state.set_meta(RESTORED, None)?;
        } else {
            let Garbage { tenants, hostnames } = differences.revived;
            let tenants = tenants.into_iter().map(|id| Found::Tenant(id, Vec::new()));
            let hostnames = hostnames.into_iter().map(|(name, id)| {
                let value = hostname_value(&id);
                Found::Hostname(name, value)
            });
            differences.unknown.extend(tenants.chain(hostnames));
        }
        if !differences.unknown.is_empty() {
            let prune = self.shared.settings.prune;
            log::warn(
                if prune {
                    "unknown_keys_removed"
                } else {
                    "unknown_keys"
                },
                json!({"keys": differences.unknown.len(), "first": differences.unknown.first().map(Found::name)}),
            );
            if let Some(cache) = &mut self.cache
                && prune
            {
                cache.delete_found(&differences.unknown)?;
            }
        }
        Ok(())
    }

    /// Returns how Redis differs from the state.
    pub(crate) fn differences(&mut self) -> Result<Differences, Outage> {
        let mut tenants = BTreeMap::new();
        let mut hostnames = BTreeMap::new();
        for row in self.state.tenants()? {
            for hostname in row.hostnames {
                hostnames.insert(hostname, row.id.clone());
            }
            tenants.insert(row.id, row.value);
        }
        let removed = self.state.removed()?;
        let removed_tenants: BTreeSet<String> = removed.tenants.into_iter().collect();
        let removed_hostnames: BTreeSet<(String, String)> = removed.hostnames.into_iter().collect();
        // Nothing is known of the keys that these may have, but that they are not a stranger's.
        let broken = self.state.broken()?;
        let broken_values: BTreeSet<Vec<u8>> = broken.iter().map(|id| hostname_value(id)).collect();
        let former = |hostname: &str, value: &[u8]| {
            removed_hostnames
                .iter()
                .find(|(name, id)| name == hostname && hostname_value(id) == value)
                .cloned()
        };
        let mut differences = Differences::default();
        let mut right_tenants = BTreeMap::new();
        let mut right_hostnames = BTreeMap::new();
        let Some(cache) = &mut self.cache else {
            return Err(Outage::Redis("there is no connection".into()));
        };
        for found in cache.all()? {
            match &found {
                Found::Tenant(id, value) => match tenants.get(id) {
                    Some(expected) => {
                        right_tenants.insert(id.clone(), expected == value);
                    }
                    None if broken.contains(id) => {}
                    None if removed_tenants.contains(id) => {
                        differences.revived.tenants.push(id.clone());
                    }
                    None => differences.unknown.push(found),
                },
                Found::Hostname(hostname, value) => match hostnames.get(hostname) {
                    Some(id) => {
                        right_hostnames.insert(hostname.clone(), *value == hostname_value(id));
                    }
                    None if broken_values.contains(value) => {}
                    None => match former(hostname, value) {
                        Some(pair) => differences.revived.hostnames.push(pair),
                        None => differences.unknown.push(found),
                    },
                },
            }
        }
        for id in tenants.keys() {
            if right_tenants.get(id) != Some(&true) {
                differences.wrong.push(id.clone());
            }
        }
        for (hostname, id) in &hostnames {
            if right_hostnames.get(hostname) != Some(&true) {
                differences.wrong.push(id.clone());
            }
        }
        differences.wrong.sort();
        differences.wrong.dedup();
        Ok(differences)
    }

    /// Takes the registry's changes over into the state file.
    ///
    /// # Errors
    /// Fails if the registry or the state file does.
    pub(crate) fn follow(&mut self) -> Result<Followed, Outage> {
        let hold = hold::current(&self.state)?;
        if let Some(hold) = &hold
            && !hold.is_accepted
            && self.held.is_some_and(|at| at.elapsed() < HELD_EVERY)
        {
            return Ok(Followed::Held);
        }
        let Some(read) = self.read(true)? else {
            return Ok(Followed::Unchanged);
        };
        let plan = self.state.plan(read.is_full)?;
        let reason = hold::reason(&plan, read.is_full, self.other_registry()?.as_deref());
        if let Some(reason) = reason {
            let new = Hold::new(reason, &plan, &self.registry_name());
            if !hold
                .as_ref()
                .is_some_and(|old| old.is_accepted && old.token == new.token)
            {
                self.held = Some(Instant::now());
                if hold.is_none_or(|old| old.token != new.token) {
                    hold::store(&self.state, &new)?;
                }
                log::error("held", new.to_json());
                self.state.forget_staged()?;
                self.etag = None;
                return Ok(Followed::Held);
            }
            log::warn("accepted", new.to_json());
        }
        hold::clear(&self.state)?;
        self.held = None;
        self.state.apply(&plan, &read.cursor, read.is_full)?;
        self.plan_broken()?;
        self.remember_registry()?;
        Ok(Followed::Applied {
            jobs_waiting: read.jobs_waiting,
            has_changed: !(plan.removed.is_empty() && plan.written.is_empty()),
        })
    }

    /// Sets when the tenants that the registry cannot read are asked for again.
    fn plan_broken(&mut self) -> Result<(), Error> {
        if self.state.broken()?.is_empty() {
            self.broken_pause = BROKEN_EVERY;
        } else if self.broken_due <= Instant::now() {
            self.broken_due = Instant::now() + self.broken_pause;
            self.broken_pause = (self.broken_pause * 2).min(BROKEN_LONGEST);
        }
        Ok(())
    }

    /// Reads what changed, and stages it. `None` means that nothing did. `named` is false for a look that must leave no trace.
    pub(crate) fn read(&mut self, named: bool) -> Result<Option<Read>, Outage> {
        self.state.forget_staged()?;
        let mut after = self.state.meta("cursor")?;
        if self.other_registry()?.is_some() || self.is_other_key()? {
            after = None;
        }
        if named && self.broken_due <= Instant::now() && !self.state.broken()?.is_empty() {
            after = None;
        }
        let mut is_full = after.is_none();
        let mut is_first = true;
        loop {
            let etag = match &self.etag {
                Some((of, etag)) if is_first && !is_full && *of == after => Some(etag.clone()),
                _ => None,
            };
            let shared = Arc::clone(&self.shared);
            let (page, etag) = match shared.registry.page(
                after.as_deref(),
                etag.as_deref(),
                is_full,
                named,
            ) {
                Ok(Some(answer)) => answer,
                Ok(None) => return Ok(None),
                Err(RegistryError::CursorGone) if after.is_some() => {
                    log::warn(
                        "full_sync",
                        json!({"detail": "the registry does not know the cursor any more: all tenants are read again"}),
                    );
                    self.state.forget_staged()?;
                    after = None;
                    is_full = true;
                    is_first = true;
                    continue;
                }
                Err(error) => return Err(Outage::Registry(error)),
            };
            if named {
                self.etag = etag.map(|etag| (after.clone(), etag));
            }
            let mut changes: Vec<Staged> = page.gone.into_iter().map(Staged::Gone).collect();
            for entry in page.tenants {
                changes.push(self.staged(entry)?);
            }
            self.state.stage(&changes)?;
            if !page.more {
                return Ok(Some(Read {
                    cursor: page.cursor,
                    jobs_waiting: page.jobs_waiting,
                    is_full,
                }));
            }
            if after.as_ref() == Some(&page.cursor) {
                return Err(Outage::Registry(RegistryError::Down(
                    "the registry's next page is the same page".into(),
                )));
            }
            after = Some(page.cursor);
            is_first = false;
        }
    }

    fn staged(&self, entry: Entry) -> Result<Staged, Error> {
        match entry {
            Entry::Broken { id, error } => {
                log::error("tenant_unreadable", json!({"tenant": id, "detail": error}));
                Ok(Staged::Broken(id))
            }
            Entry::Whole(feed) => {
                let existing = self.state.tenant(&feed.id)?;
                let key = &self.shared.settings.encryption_key;
                let id = feed.id.clone();
                match tenant::row(*feed, existing.as_ref(), key) {
                    Ok(row) => Ok(Staged::Present(row)),
                    // One bad tenant must not hold up the others.
                    Err(error) => {
                        log::error(
                            "tenant_unusable",
                            json!({"tenant": id, "detail": error.to_string()}),
                        );
                        Ok(Staged::Broken(id))
                    }
                }
            }
        }
    }

    /// The registry and cell of the state file, if they are not those of the settings.
    fn other_registry(&self) -> Result<Option<String>, Error> {
        let found = self.state.meta("registry")?;
        Ok(found.filter(|found| *found != self.registry_name()))
    }

    fn registry_name(&self) -> String {
        let settings = &self.shared.settings;
        format!("{} {}", settings.address.origin(), settings.cell)
    }

    /// Whether the state file's values are encrypted under another key.
    fn is_other_key(&self) -> Result<bool, Error> {
        let found = self.state.meta("fingerprint")?;
        Ok(found.is_some_and(|found| found != self.fingerprint))
    }

    fn remember_registry(&self) -> Result<(), Error> {
        let name = self.registry_name();
        if self.state.meta("registry")?.as_deref() != Some(&name) {
            self.state.set_meta("registry", Some(&name))?;
        }
        if self.state.meta("fingerprint")?.as_deref() != Some(&self.fingerprint) {
            self.state
                .set_meta("fingerprint", Some(&self.fingerprint))?;
        }
        Ok(())
    }

    /// Returns what a round would do, and why that would wait for `accept`, if it would. Does nothing.
    ///
    /// # Errors
    /// Fails if the registry or the state file does.
    pub(crate) fn preview(&mut self) -> Result<(Plan, Option<String>), Outage> {
        let Some(read) = self.read(false)? else {
            return Ok(Default::default());
        };
        let plan = self.state.plan(read.is_full)?;
        let reason = hold::reason(&plan, read.is_full, self.other_registry()?.as_deref());
        self.state.forget_staged()?;
        Ok((plan, reason))
    }

    /// Takes all of the registry over into a new state file, and leaves Redis alone.
    ///
    /// # Errors
    /// Fails if the registry or the state file does.
    pub(crate) fn take_over(&mut self) -> Result<(), Outage> {
        if let Some(read) = self.read(false)? {
            let plan = self.state.plan(read.is_full)?;
            self.state.apply(&plan, &read.cursor, read.is_full)?;
        }
        Ok(())
    }

    /// First start: decrypts a value that the installation wrote itself. `env` has no MAC, so a wrong key would break every site without a
    /// word.
    fn check_key_by_values(&mut self) -> Result<(), Outage> {
        if key_check::is_done(&self.state, &self.fingerprint)?
            || (self.state.meta("cursor")?.is_some() && !self.is_other_key()?)
        {
            return Ok(());
        }
        let Some(cache) = &mut self.cache else {
            return Ok(());
        };
        let mut envs = Vec::new();
        for found in cache.all()? {
            if let Found::Tenant(_, value) = found
                && let Ok(value) = Value::unserialize(&value)
                && let Some(env) = value.get("env").and_then(Value::as_bytes)
            {
                envs.push(env.to_vec());
            }
        }
        let key = &self.shared.settings.encryption_key;
        if envs.iter().any(|env| key.decrypt(env).is_ok()) {
            key_check::set_done(&self.state, &self.fingerprint)?;
            log::info("encryption_key_checked", json!({"by": "a value in Redis"}));
        } else if !envs.is_empty() {
            return Err(Outage::Own(key_check::refuse(
                &self.state,
                &self.fingerprint,
                "it decrypts no value that is in Redis already",
            )?));
        }
        Ok(())
    }

    /// First start, with nothing in Redis to decrypt: writes an installed site, and has the installation read it. Once everything was written under
    /// this key, nothing is tried on sites that are served: see [`key_check::proved`].
    fn check_key_by_site(&mut self) -> Result<(), Outage> {
        if key_check::is_done(&self.state, &self.fingerprint)?
            || key_check::is_written(&self.state, &self.fingerprint)?
            // The rows are still encrypted under the former key.
            || self.is_other_key()?
        {
            return Ok(());
        }
        let unchecked = |why: &dyn std::fmt::Display| {
            Outage::Redis(format!(
                "not written, since the encryption key cannot be checked yet: {why}"
            ))
        };
        let candidates =
            key_check::candidates(&self.shared, &self.state).map_err(|e| unchecked(&e))?;
        let Some(cache) = &mut self.cache else {
            return Ok(());
        };
        let mut refusal = None;
        for row in candidates {
            let site = Written::from(row);
            let former = cache.former(&site)?;
            cache.write(std::slice::from_ref(&site))?;
            let verdict = key_check::by_site(&self.shared, &site.id);
            if !matches!(verdict, Verdict::Good) {
                cache.put_back(&former)?;
            }
            match verdict {
                Verdict::Good => {
                    key_check::set_done(&self.state, &self.fingerprint)?;
                    log::info("encryption_key_checked", json!({"by": site.id}));
                    return Ok(());
                }
                Verdict::Unknown(detail) => return Err(unchecked(&detail)),
                // It may be the site: another one is tried.
                Verdict::Bad(detail) => {
                    refusal = Some(format!(
                        "`cli -C stats` of {} fails with it: {detail}",
                        site.id
                    ));
                }
            }
        }
        match refusal {
            None => Ok(()),
            Some(detail) => Err(Outage::Own(key_check::refuse(
                &self.state,
                &self.fingerprint,
                &detail,
            )?)),
        }
    }
}

fn delete(cache: &mut Cache, garbage: &Garbage) -> redis::RedisResult<()> {
    cache.delete_tenants(&garbage.tenants)?;
    cache.delete_hostnames(&garbage.hostnames)
}

impl Found {
    /// The key's last part, for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tenant(id, _) => format!("tenant:{id}"),
            Self::Hostname(hostname, _) => format!("hostname:{hostname}"),
        }
    }
}

/// The result of reading the registry's changes, besides the staged changes.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) cursor: String,
    pub(crate) jobs_waiting: bool,
    pub(crate) is_full: bool,
}

/// The reason why a step could not be done now.
#[derive(Debug)]
pub(crate) enum Outage {
    Redis(String),
    Registry(RegistryError),
    /// The agent itself cannot go on.
    Own(Error),
}

impl From<redis::RedisError> for Outage {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error.to_string())
    }
}

impl From<Error> for Outage {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl From<Outage> for Error {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Redis(text) => Self::Failed(format!("Redis: {text}")),
            Outage::Registry(error) => Self::Failed(format!("the registry: {error}")),
            Outage::Own(error) => error,
        }
    }
}
