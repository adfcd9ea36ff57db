//! The state file: what the agent wants Redis to hold, what it has still to do there, and how far it has followed the registry.
//!
//! A change is written here first and then to Redis. A killed agent finds its unfinished work here: rows that are `dirty` are still to be
//! written, and rows of `garbage` still to be deleted. The file can be lost: a full sync makes a new one. `env` is in it in its encrypted
//! form alone.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::cache::Written;
use crate::error::Error;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tenants (
  id TEXT PRIMARY KEY, is_enabled INTEGER NOT NULL, cron_seconds INTEGER NOT NULL, env TEXT, value BLOB NOT NULL, is_dirty INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS hostnames (hostname TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hostnames_of ON hostnames (id);
CREATE INDEX IF NOT EXISTS dirty ON tenants (id) WHERE is_dirty = 1;
CREATE TABLE IF NOT EXISTS garbage (kind TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, name, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (
  kind TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (kind, name, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS broken (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, is_enabled INTEGER, cron_seconds INTEGER, env TEXT, value BLOB, hostnames TEXT
);
CREATE TABLE IF NOT EXISTS sites (id TEXT PRIMARY KEY, site TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS installing (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS updated (id TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// The state file of an agent.
pub(crate) struct State {
    connection: Connection,
    path: PathBuf,
}

/// A tenant of the state file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) is_enabled: bool,
    pub(crate) cron_seconds: u32,
    /// `env` in its encrypted form.
    pub(crate) env: Option<String>,
    pub(crate) value: Vec<u8>,
    pub(crate) hostnames: Vec<String>,
}

/// The registry's word about a tenant.
#[derive(Debug, Clone)]
pub(crate) enum Staged {
    /// The tenant is the cell's, and this is its new content.
    Present(Row),
    /// The tenant is the cell's, but the registry cannot read it.
    Broken(String),
    /// The tenant was deleted, or left the cell.
    Gone(String),
}

/// The agent's knowledge of a site's tables. A state file that is new, or older than this, knows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    Installed,
    Dropped,
}

/// Keys that Redis has still to lose, or lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Garbage {
    pub(crate) tenants: Vec<String>,
    /// Hostnames, each with its former tenant.
    pub(crate) hostnames: Vec<(String, String)>,
}

/// The effect that the staged changes would have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many tenants there are before.
    pub(crate) before: usize,
    pub(crate) removed: Vec<String>,
    pub(crate) disabled: Vec<String>,
    pub(crate) written: Vec<String>,
}

impl State {
    /// Opens the file, and makes it if it is missing.
    ///
    /// # Errors
    /// Fails if the file cannot be made, read or written.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|e| Error::failed(&folder.display().to_string(), e))?;
        }
        // SQLite would make it readable to others, and gives its journals the same mode.
        private(path).map_err(|e| Error::failed(&path.display().to_string(), e))?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection,
            path: path.into(),
        })
    }

    /// Opens the file once more, for another thread.
    pub(crate) fn again(&self) -> Result<Self, Error> {
        Self::open(&self.path)
    }

    pub(crate) fn meta(&self, name: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        Ok(self
            .connection
            .query_row(sql, [name], |row| row.get(0))
            .optional()?)
    }

    pub(crate) fn set_meta(&self, name: &str, value: Option<&str>) -> Result<(), Error> {
        set_meta(&self.connection, name, value)
    }

    /// The tenant's row.
    pub(crate) fn tenant(&self, id: &str) -> Result<Option<Row>, Error> {
        let mut rows = self.rows("WHERE id = ?1", [id])?;
        Ok(rows.pop())
    }

    /// All tenants.
    pub(crate) fn tenants(&self) -> Result<Vec<Row>, Error> {
        self.rows("", [])
    }

    fn rows(&self, clause: &str, values: impl rusqlite::Params) -> Result<Vec<Row>, Error> {
        let sql = format!(
            "SELECT id, is_enabled, cron_seconds, env, value,
                    (SELECT json_group_array(hostname) FROM hostnames h WHERE h.id = tenants.id)
             FROM tenants {clause} ORDER BY id"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(values, row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The tenants that are served, with the pause between two runs of their `cron`.
    pub(crate) fn served(&self) -> Result<Vec<(String, u32)>, Error> {
        let sql = "SELECT id, cron_seconds FROM tenants WHERE is_enabled = 1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The ids of all tenants.
    pub(crate) fn ids(&self) -> Result<Vec<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM tenants ORDER BY id")?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Whether any tenant has an `env`.
    pub(crate) fn has_env(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM tenants WHERE env IS NOT NULL)";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// The tenants that are still to be written to Redis, 1,000 at the most.
    pub(crate) fn dirty(&self) -> Result<Vec<Written>, Error> {
        let rows = self.rows(
            "WHERE id IN (SELECT id FROM tenants WHERE is_dirty = 1 ORDER BY id LIMIT 1000)",
            [],
        )?;
        Ok(rows.into_iter().map(Written::from).collect())
    }

    pub(crate) fn set_clean(&mut self, written: &[Written]) -> Result<(), Error> {
        let tx = self.connection.transaction()?;
        for tenant in written {
            tx.prepare_cached("UPDATE tenants SET is_dirty = 0 WHERE id = ?1")?
                .execute([&tenant.id])?;
        }
        Ok(tx.commit()?)
    }

    /// Has every key written again.
    pub(crate) fn set_all_dirty(&self) -> Result<(), Error> {
        self.connection
            .execute("UPDATE tenants SET is_dirty = 1", [])?;
        Ok(())
    }

    pub(crate) fn set_dirty(&self, id: &str) -> Result<(), Error> {
        self.connection
            .execute("UPDATE tenants SET is_dirty = 1 WHERE id = ?1", [id])?;
        Ok(())
    }

    /// The tenants whose key is still to be deleted, and the hostnames with their former tenants.
    pub(crate) fn garbage(&self) -> Result<Garbage, Error> {
        self.keys("SELECT kind, name, id FROM garbage")
    }

    /// The same, without hostnames that belong to another tenant by now: until that one is written, the former tenant answers there.
    pub(crate) fn unclaimed_garbage(&self) -> Result<Garbage, Error> {
        self.keys("SELECT kind, name, id FROM garbage WHERE kind = 'tenant' OR name NOT IN (SELECT hostname FROM hostnames)")
    }

    /// The keys that the agent removed from Redis within the last month.
    pub(crate) fn removed(&self) -> Result<Garbage, Error> {
        self.keys("SELECT kind, name, id FROM removed")
    }

    fn keys(&self, sql: &str) -> Result<Garbage, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
            ))
        })?;
        let mut garbage = Garbage::default();
        for row in rows {
            let (kind, name, id) = row?;
            if kind == "tenant" {
                garbage.tenants.push(id);
            } else {
                garbage.hostnames.push((name, id));
            }
        }
        Ok(garbage)
    }

    /// Takes note that the garbage is removed. A Redis that is restored from an older copy may bring it back.
    pub(crate) fn forget_garbage(&mut self) -> Result<(), Error> {
        let tx = self.connection.transaction()?;
        tx.execute_batch(
            "INSERT OR REPLACE INTO removed (kind, name, id, at) SELECT kind, name, id, unixepoch() FROM garbage;
             DELETE FROM removed WHERE at < unixepoch('now', '-31 days');
             DELETE FROM garbage;",
        )?;
        Ok(tx.commit()?)
    }

    /// Has keys removed that came back.
    pub(crate) fn remove_again(&mut self, keys: &Garbage) -> Result<(), Error> {
        let tx = self.connection.transaction()?;
        let tenants = keys.tenants.iter().map(|id| ("tenant", id, id));
        let hostnames = keys
            .hostnames
            .iter()
            .map(|(name, id)| ("hostname", name, id));
        for values in tenants.chain(hostnames) {
            tx.prepare_cached(
                "INSERT OR IGNORE INTO garbage (kind, name, id) VALUES (?1, ?2, ?3)",
            )?
            .execute(values)?;
        }
        Ok(tx.commit()?)
    }

    /// The tenants that the registry could not read when it sent them last. The agent keeps what it has of them.
    pub(crate) fn broken(&self) -> Result<BTreeSet<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM broken")?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Whether the tenant is the cell's, and Redis has it.
    pub(crate) fn is_written(&self, id: &str) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND is_dirty = 0)";
        Ok(self.connection.query_row(sql, [id], |row| row.get(0))?)
    }

    /// Whether Redis has everything that the state has.
    pub(crate) fn is_clean(&self) -> Result<bool, Error> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM tenants WHERE is_dirty = 1) AND NOT EXISTS (SELECT 1 FROM garbage)";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Stages what the registry says. A later word about a tenant replaces an earlier one.
    pub(crate) fn stage(&mut self, changes: &[Staged]) -> Result<(), Error> {
        let tx = self.connection.transaction()?;
        for change in changes {
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO staged (id, state, is_enabled, cron_seconds, env, value, hostnames)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            match change {
                Staged::Gone(id) | Staged::Broken(id) => {
                    let state = if matches!(change, Staged::Gone(_)) {
                        "gone"
                    } else {
                        "broken"
                    };
                    let none = None::<String>;
                    insert.execute(params![id, state, none, none, none, none, none])?;
                }
                Staged::Present(row) => {
                    let hostnames = serde_json::to_string(&row.hostnames)
                        .map_err(|e| Error::failed("a hostname", e))?;
                    insert.execute(params![
                        row.id,
                        "present",
                        row.is_enabled,
                        row.cron_seconds,
                        row.env,
                        row.value,
                        hostnames
                    ])?;
                }
            }
        }
        Ok(tx.commit()?)
    }

    pub(crate) fn forget_staged(&self) -> Result<(), Error> {
        self.connection.execute("DELETE FROM staged", [])?;
        Ok(())
    }

    /// Returns what the staged changes would do. `is_full` means that a tenant of which nothing is staged is gone.
    pub(crate) fn plan(&self, is_full: bool) -> Result<Plan, Error> {
        let ids = |sql: &str| -> Result<Vec<String>, Error> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let ids = statement.query_map([], |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        };
        let before = self
            .connection
            .query_row("SELECT count(*) FROM tenants", [], |row| {
                row.get::<_, i64>(0)
            })?;
        Ok(Plan {
            before: usize::try_from(before).unwrap_or_default(),
            removed: ids(if is_full {
                "SELECT id FROM tenants t WHERE NOT EXISTS (SELECT 1 FROM staged s WHERE s.id = t.id AND s.state <> 'gone') ORDER BY id"
            } else {
                "SELECT id FROM tenants WHERE id IN (SELECT id FROM staged WHERE state = 'gone') ORDER BY id"
            })?,
            disabled: ids(
                "SELECT t.id FROM tenants t JOIN staged s ON s.id = t.id
                 WHERE s.state = 'present' AND t.is_enabled = 1 AND s.is_enabled = 0 ORDER BY t.id",
            )?,
            written: ids(
                "SELECT s.id FROM staged s LEFT JOIN tenants t ON t.id = s.id WHERE s.state = 'present' AND (t.value IS NOT s.value OR
                 (SELECT json_group_array(hostname) FROM (SELECT hostname FROM hostnames h WHERE h.id = s.id ORDER BY hostname)) <> s.hostnames)
                 ORDER BY s.id",
            )?,
        })
    }

    /// Takes the staged changes over, with the cursor up to which they go. Redis has still to follow.
    pub(crate) fn apply(&mut self, plan: &Plan, cursor: &str, is_full: bool) -> Result<(), Error> {
        let tx = self.connection.transaction()?;
        if is_full {
            tx.execute("DELETE FROM broken", [])?;
        }
        tx.execute_batch(
            "DELETE FROM broken WHERE id IN (SELECT id FROM staged);
             INSERT INTO broken (id) SELECT id FROM staged WHERE state = 'broken';",
        )?;
        for id in &plan.removed {
            remove(&tx, id)?;
        }
        for id in &plan.written {
            let row = tx.query_row(
                "SELECT id, is_enabled, cron_seconds, env, value, hostnames FROM staged WHERE id = ?1",
                [id],
                row,
            )?;
            write(&tx, &row)?;
        }
        // The first statement keeps settings that are not part of the value.
        tx.execute_batch(
            "UPDATE tenants SET cron_seconds = s.cron_seconds, is_enabled = s.is_enabled FROM staged s WHERE s.id = tenants.id AND s.state = 'present';
             DELETE FROM garbage WHERE kind = 'tenant' AND id IN (SELECT id FROM tenants);
             DELETE FROM garbage WHERE kind = 'hostname' AND EXISTS (SELECT 1 FROM hostnames h WHERE h.hostname = garbage.name AND h.id = garbage.id);
             DELETE FROM staged;",
        )?;
        set_meta(&tx, "cursor", Some(cursor))?;
        Ok(tx.commit()?)
    }

    /// What the agent knows of a site's tables. It outlives the tenant, until its id is installed anew.
    pub(crate) fn site(&self, id: &str) -> Result<Option<Site>, Error> {
        let sql = "SELECT site = 'installed' FROM sites WHERE id = ?1";
        let is_installed = self
            .connection
            .query_row(sql, [id], |row| row.get(0))
            .optional()?;
        Ok(is_installed.map(|is_installed| {
            if is_installed {
                Site::Installed
            } else {
                Site::Dropped
            }
        }))
    }

    pub(crate) fn set_site(&self, id: &str, site: Site) -> Result<(), Error> {
        let text = match site {
            Site::Installed => "installed",
            Site::Dropped => "dropped",
        };
        self.connection.execute(
            "INSERT INTO sites (id, site) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET site = excluded.site WHERE site <> excluded.site",
            [id, text],
        )?;
        Ok(())
    }

    pub(crate) fn set_installed(&self, ids: &[&str]) -> Result<(), Error> {
        let tx = self.connection.unchecked_transaction()?;
        for id in ids {
            self.set_site(id, Site::Installed)?;
        }
        Ok(tx.commit()?)
    }

    /// Takes note that an installation's command is about to run. Returns whether the file had this note already.
    pub(crate) fn begin_install(&self, id: &str) -> Result<bool, Error> {
        let sql = "INSERT OR IGNORE INTO installing (id) VALUES (?1)";
        Ok(self.connection.execute(sql, [id])? == 0)
    }

    /// Forgets the note of [`Self::begin_install`].
    pub(crate) fn end_install(&self, id: &str) -> Result<(), Error> {
        let sql = "DELETE FROM installing WHERE id = ?1";
        self.connection.execute(sql, [id])?;
        Ok(())
    }

    /// Whether the agent knows of a site that is installed.
    pub(crate) fn has_installed(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sites WHERE site = 'installed' AND id IN (SELECT id FROM tenants))";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Begins a run of `update` for a release, or goes on with it. A run for another release is forgotten.
    pub(crate) fn begin_update(&self, release: &str) -> Result<(), Error> {
        if self.meta("updating")?.as_deref() != Some(release) {
            self.forget_updated()?;
            self.set_meta("updating", Some(release))?;
        }
        Ok(())
    }

    /// The tenants that the current run of `update` has done for a release.
    pub(crate) fn updated(&self, release: &str) -> Result<BTreeSet<String>, Error> {
        if self.meta("updating")?.as_deref() != Some(release) {
            return Ok(BTreeSet::new());
        }
        let mut statement = self.connection.prepare_cached("SELECT id FROM updated")?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    pub(crate) fn set_updated(&self, id: &str) -> Result<(), Error> {
        let sql = "INSERT OR IGNORE INTO updated (id) VALUES (?1)";
        self.connection.execute(sql, [id])?;
        Ok(())
    }

    pub(crate) fn forget_updated(&self) -> Result<(), Error> {
        self.connection.execute("DELETE FROM updated", [])?;
        Ok(())
    }

    /// The file that is locked while an agent runs on this state.
    ///
    /// # Errors
    /// Fails if another agent has it.
    pub(crate) fn lock(path: &Path) -> Result<File, Error> {
        let lock = path.with_extension("lock");
        let failed = |e: std::io::Error| Error::failed(&lock.display().to_string(), e);
        let file = private(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Failed(format!(
                "another agent runs on {}",
                path.display()
            ))),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

impl From<Row> for Written {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            value: row.value,
            hostnames: row.hostnames,
        }
    }
}

/// Opens a file that only its owner can read, and makes it if it is missing.
pub(crate) fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let hostnames: String = row.get(5)?;
    Ok(Row {
        id: row.get(0)?,
        is_enabled: row.get(1)?,
        cron_seconds: row.get(2)?,
        env: row.get(3)?,
        value: row.get(4)?,
        // SQLite made the array, or we did. Anything else is an error, since without its hostnames a site would have no route.
        hostnames: serde_json::from_str(&hostnames).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, error.into())
        })?,
    })
}

fn set_meta(connection: &Connection, name: &str, value: Option<&str>) -> Result<(), Error> {
    match value {
        Some(value) => connection.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
            [name, value],
        )?,
        None => connection.execute("DELETE FROM meta WHERE name = ?1", [name])?,
    };
    Ok(())
}

fn remove(tx: &Transaction<'_>, id: &str) -> Result<(), Error> {
    tx.prepare_cached("INSERT OR IGNORE INTO garbage (kind, name, id) SELECT 'hostname', hostname, id FROM hostnames WHERE id = ?1")?
        .execute([id])?;
    tx.prepare_cached("INSERT OR IGNORE INTO garbage (kind, name, id) VALUES ('tenant', ?1, ?1)")?
        .execute([id])?;
    tx.prepare_cached("DELETE FROM hostnames WHERE id = ?1")?
        .execute([id])?;
    tx.prepare_cached("DELETE FROM tenants WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn write(tx: &Transaction<'_>, row: &Row) -> Result<(), Error> {
    tx.prepare_cached("INSERT OR IGNORE INTO garbage (kind, name, id) SELECT 'hostname', hostname, id FROM hostnames WHERE id = ?1")?
        .execute([&row.id])?;
    tx.prepare_cached("DELETE FROM hostnames WHERE id = ?1")?
        .execute([&row.id])?;
    for hostname in &row.hostnames {
        // A name may come from another tenant, whose own change is in the same round.
        tx.prepare_cached("INSERT OR REPLACE INTO hostnames (hostname, id) VALUES (?1, ?2)")?
            .execute([hostname, &row.id])?;
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO tenants (id, is_enabled, cron_seconds, env, value, is_dirty) VALUES (?1, ?2, ?3, ?4, ?5, 1)",
    )?
    .execute(params![row.id, row.is_enabled, row.cron_seconds, row.env, row.value])?;
    Ok(())
}

#[cfg(test)]
mod tests;
