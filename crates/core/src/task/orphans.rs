//! Orphans: the tables of tenants that are no longer there. A tenant that was deleted without `drop_tables` leaves them.
//!
//! A table belongs to a tenant by its exact name: prefix, identifier in lower case, and the name of a table that tenants have. Other
//! tables with the prefix are left alone. Each tenant's tables are dropped in one transaction with their audit entry. If somebody creates a
//! tenant with the id meanwhile, its transaction fails and changes nothing.
//!
//! The registry knows the sites of tenants that are no longer there and have a database of their own. They are marked "to drop", and the cron
//! trigger drops them, since whoever runs this task may not reach them.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

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
    /// The tenant whose tables the batch drops, if it does not look for them.
    current: Option<Orphan>,
    /// The tenants whose tables are still to be dropped, the next one last.
    rest: Vec<Orphan>,
    report: Report,
}

impl OrphanDrop {
    /// Begins. The audit entries name the run.
    #[must_use]
    pub fn begin(config: &Config, which: Which, run: Run, now: &Timestamp) -> Self {
        let prefix = config.site.table_prefix.clone();
        Self {
            batch: Batch::one(find(&prefix)),
            prefix,
            which,
            run,
            now: now.clone(),
            current: None,
            rest: Vec::new(),
            report: Report::default(),
        }
    }

    /// The number of tenants done, and the number of all.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let done = count(self.report.dropped.len() + self.report.failed.len());
        let waiting = self.rest.len() + usize::from(self.current.is_some());
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
        let Some(orphan) = self.rest.pop() else {
            return Step::Done(Ok(self.report));
        };
        let names = TableNames::in_registry(&self.prefix, &orphan.tenant);
        let entry = audit::tables_drop(&orphan.tenant, &self.run, &self.now);
        let condemn = site_databases::condemn(&orphan.tenant, &self.now);
        let drops = site_schema::drop(&names).chain([condemn]);
        self.batch = Batch::of(core::iter::once(entry).chain(drops));
        self.current = Some(orphan);
        Step::Run(self)
    }
}

impl Machine for OrphanDrop {
    /// The error is that nothing was dropped.
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(mut self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        match self.current.take() {
            Some(orphan) => match rows(outcome) {
                Ok(_) => self.report.dropped.push(orphan),
                Err(failure) => self.report.failed.push(Failed {
                    tenant: orphan.tenant.to_string(),
                    reason: failure.reason,
                }),
            },
            None => {
                let chosen = results(outcome, &self.batch)
                    .and_then(|mut results| read(&self.prefix, &mut results))
                    .and_then(|found| self.choose(found));
                if let Err(error) = chosen {
                    return Step::Done(Err(error.into()));
                }
            }
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
                },
            );
            continue;
        }
        if !TABLES.iter().any(|t| names.name(t.name).as_str() == name) {
            continue;
        }
        let orphan = found.entry(id).or_insert(Orphan { tenant, tables: 0 });
        // One that is being moved may be in both places.
        orphan.tables = all.min(orphan.tables + 1);
    }
    Ok(found.into_values().collect())
}
