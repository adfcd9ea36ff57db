//! Orphans: the tables of tenants that are no longer there. A tenant that was deleted without `drop_tables` leaves them.
//!
//! A table belongs to a tenant by its exact name: prefix, identifier in lower case, and the name of a table that tenants have. Other
//! tables with the prefix are left alone. The tables of some tenants are dropped in one transaction with their audit entries. If it fails, as when
//! somebody creates a tenant with one of the ids meanwhile, it changes nothing, and each of them gets a transaction of its own.
//!
//! The registry knows the sites of tenants that are no longer there and have a database of their own. They are marked "to drop", and the cron
//! trigger drops them, since whoever runs this task may not reach them.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::mem;

use serde::Serialize;

use crate::config::Config;
use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results, Sql};
use crate::store::site_schema::{self, TABLES};
use crate::store::{audit, site_databases};
use crate::task::stats::Failed;
use crate::task::{TaskError, results, rows};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::value::run::Run;
use crate::value::table_name::{TableNames, TablePrefix};

/// The tables that a deleted tenant has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// The tenant's id in lower case, as the names of its tables have it.
    pub tenant: TenantId,
    /// The number of its tables. One in a database of its own counts as having all.
    pub tables: u64,
    /// Whether it has a database of its own.
    pub own_database: bool,
}

/// Finds the tables of tenants that are no longer there.
#[derive(Debug)]
pub struct OrphanList {
    prefix: TablePrefix,
    batch: Batch,
}

impl OrphanList {
    /// Begins.
    #[must_use]
    pub fn begin(config: &Config) -> Self {
        let prefix = config.site.table_prefix.clone();
        Self {
            batch: Batch::one(find(&prefix)),
            prefix,
        }
    }
}

impl Machine for OrphanList {
    /// In the order of the ids.
    type Output = Result<Vec<Orphan>, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let found =
            results(outcome, &self.batch).and_then(|mut results| read(&self.prefix, &mut results));
        Step::Done(found.map_err(TaskError::from))
    }
}

/// The orphans to drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The tables of these tenants. If one of them has left no tables, or is still there, nothing is dropped.
    These(Vec<TenantId>),
    /// All of them.
    All,
}

/// The result of a drop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The tenants whose tables were dropped, or are marked "to drop" in a database of their own.
    pub dropped: Vec<Orphan>,
    /// The tenants whose tables could not be dropped.
    pub failed: Vec<Failed>,
}

/// Drops orphans.
#[derive(Debug)]
pub struct OrphanDrop {
    prefix: TablePrefix,
    which: Which,
    run: Run,
    now: Timestamp,
    batch: Batch,
    /// The number of tenants whose tables one batch drops.
    slice: usize,
    /// The tenants whose tables the batch drops. Before the first of them, the batch looks for them.
    current: Vec<Orphan>,
    /// The tenants of a batch that failed, which get one each, the next one last.
    single: Vec<Orphan>,
    /// The tenants whose tables are still to be dropped, the next one last.
    rest: Vec<Orphan>,
    has_found: bool,
    report: Report,
}

impl OrphanDrop {
    /// Begins. The audit entries name the run. `slice` is the number of tenants whose tables one batch drops; 0 means 1. A tenant takes about 2 KB of
    /// statements.
    #[must_use]
    pub fn begin(config: &Config, which: Which, run: Run, now: &Timestamp, slice: u32) -> Self {
        let prefix = config.site.table_prefix.clone();
        Self {
            batch: Batch::one(find(&prefix)),
            prefix,
            which,
            run,
            now: now.clone(),
            slice: usize::try_from(slice.max(1)).unwrap_or(usize::MAX),
            current: Vec::new(),
            single: Vec::new(),
            rest: Vec::new(),
            has_found: false,
            report: Report::default(),
        }
    }

    /// The number of tenants done, and the number of all.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let done = count(self.report.dropped.len() + self.report.failed.len());
        let waiting = self.current.len() + self.single.len() + self.rest.len();
        (done, done + count(waiting))
    }

    fn choose(&mut self, mut found: Vec<Orphan>) -> Result<(), ApiError> {
        if let Which::These(chosen) = &self.which {
            let is_of = |orphan: &Orphan, id: &TenantId| orphan.tenant.folded() == id.folded();
            for id in chosen {
                if !found.iter().any(|orphan| is_of(orphan, id)) {
                    return Err(ApiError::NotFound {
                        what: "orphan: each id must be of a deleted tenant that has left tables",
                    });
                }
            }
            found.retain(|orphan| chosen.iter().any(|id| is_of(orphan, id)));
        }
        found.reverse();
        self.rest = found;
        Ok(())
    }

    fn next(mut self) -> Step<Self> {
        let waiting = self.rest.len();
        self.current = match self.single.pop() {
            Some(orphan) => [orphan].into(),
            None => self.rest.split_off(waiting.saturating_sub(self.slice)),
        };
        if self.current.is_empty() {
            return Step::Done(Ok(self.report));
        }
        let drop = self
            .current
            .iter()
            .rev()
            .flat_map(|orphan| self.drop(orphan));
        self.batch = Batch::of(drop);
        Step::Run(self)
    }

    fn drop(&self, orphan: &Orphan) -> impl Iterator<Item = Sql> {
        let names = TableNames::in_registry(&self.prefix, &orphan.tenant);
        let entry = audit::tables_drop(&orphan.tenant, &self.run, &self.now);
        let condemn = site_databases::condemn(&orphan.tenant, &self.now);
        let drops: Vec<Sql> = site_schema::drop(&names).collect();
        core::iter::once(entry).chain(drops).chain([condemn])
    }
}

impl Machine for OrphanDrop {
    /// The error is that nothing was dropped.
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(mut self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        if !mem::replace(&mut self.has_found, true) {
            let chosen = results(outcome, &self.batch)
                .and_then(|mut results| read(&self.prefix, &mut results))
                .and_then(|found| self.choose(found));
            return match chosen {
                Ok(()) => self.next(),
                Err(error) => Step::Done(Err(error.into())),
            };
        }
        let current = mem::take(&mut self.current);
        match (rows(outcome), current.as_slice()) {
            (Ok(_), _) => self.report.dropped.extend(current.into_iter().rev()),
            (Err(failure), [orphan]) => self.report.failed.push(Failed {
                tenant: orphan.tenant.to_string(),
                reason: failure.reason,
            }),
            (Err(_), _) => self.single = current,
        }
        self.next()
    }
}

/// Finds the tables with the prefix and the name of a table that tenants have, if there is no tenant with the id between the two.
fn find(prefix: &TablePrefix) -> Sql {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    // A list of plain words.
    let names = serde_json::to_string(&names).unwrap_or_default();
    Sql::new(site_databases::ORPHANS).sql(
        " UNION ALL SELECT name, id FROM (SELECT t.name AS name, \
         substr(t.name, length(?1) + 1, length(t.name) - length(?1) - length(part.value) - 1) AS id \
         FROM sqlite_master AS t JOIN json_each(?2) AS part ON substr(t.name, -length(part.value) - 1) = ?3 || part.value \
         WHERE t.type = ?4 AND substr(t.name, 1, length(?1)) = ?1) AS found \
         WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = found.id) ORDER BY id",
    )
    .values([
        prefix.as_str().into(),
        names.into(),
        "_".into(),
        "table".into(),
    ])
}

/// Reads the rows of [`find`]. A name that no tenant can have is somebody else's.
fn read(prefix: &TablePrefix, results: &mut Results) -> Result<Vec<Orphan>, ApiError> {
    let all = u64::try_from(TABLES.len()).unwrap_or(u64::MAX);
    let mut found: BTreeMap<String, Orphan> = BTreeMap::new();
    for row in results.rows()? {
        let mut row = Columns::new(row);
        let name = row.text("name")?;
        let id = row.text("id")?;
        let Ok(tenant) = TenantId::parse(&id) else {
            continue;
        };
        let names = TableNames::in_registry(prefix, &tenant);
        if name == id {
            found.insert(
                id,
                Orphan {
                    tenant,
                    tables: all,
                    own_database: true,
                },
            );
            continue;
        }
        if !TABLES.iter().any(|t| names.name(t.name).as_str() == name) {
            continue;
        }
        let orphan = found.entry(id).or_insert(Orphan {
            tenant,
            tables: 0,
            own_database: false,
        });
        // One that is being moved may be in both places.
        orphan.tables = all.min(orphan.tables + 1);
    }
    Ok(found.into_values().collect())
}
