//! The state of the service: the numbers that an operator watches, and the findings that need attention. It changes nothing.
//!
//! The first batch reads which migrations the database has. If it lacks one, the task ends there, since the other statements need the
//! newest tables. The second batch counts. If the encryption key is configured, it reads the first slice of each table's encrypted values, too, to find
//! those that do not decrypt, and further batches read the next slices of all tables that have one. At the command line each batch starts a program
//! and asks the platform, which takes seconds, so there are few. The size of a database is the host's to find out: D1 tells it beside a result's rows.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::Serialize;

use crate::config::Config;
use crate::crypto::seal::Sealer;
use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results, Rows, Sql};
use crate::store::keys::{self, KeyRow};
use crate::store::migrations::{self, Schema};
use crate::store::site_databases;
use crate::task::reseal::{Table, Unreadable};
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;

/// Keys are named if they expire within this time.
const EXPIRING_SECONDS: i64 = 30 * 24 * 60 * 60;
/// Statistics are late if they are this much older than they may be. The cron trigger runs every few minutes.
const LATE_SECONDS: i64 = 24 * 60 * 60;
/// The most rows that a slice has.
const SLICE_ROWS: i64 = 5_000;
/// The bytes of encrypted values with which a slice ends. The value that reaches them is the slice's last one.
const SLICE_BYTES: i64 = 1_000_000;

/// A database's schema, compared with the one that this version needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum SchemaState {
    /// The database has every migration.
    Current {
        /// The name of the newest one.
        newest: &'static str,
    },
    /// The database lacks a migration.
    Behind {
        /// The name of the first one that it lacks.
        lacks: &'static str,
    },
    /// A newer version made the database.
    Newer {
        /// The name of a migration that this version does not know.
        unknown: String,
    },
}

/// The state of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The database's schema.
    pub schema: SchemaState,
    /// The numbers. `None` if the schema is behind.
    pub registry: Option<Registry>,
}

/// The numbers of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// The tenants.
    pub tenants: i64,
    /// The tenants that are enabled.
    pub enabled: i64,
    /// The plans.
    pub plans: i64,
    /// The valid keys.
    pub keys: i64,
    /// The valid keys that expire within 30 days, the next one first.
    pub expiring: Vec<KeyRow>,
    /// The sites whose statistics are a day older than they may be.
    pub late_statistics: i64,
    /// The entries of the audit log.
    pub audit_entries: i64,
    /// The webhooks.
    pub webhooks: Webhooks,
    /// The sites that are being installed or are to be dropped. `None` unless each site has a database of its own.
    pub sites_under_way: Option<i64>,
    /// The rows whose `env` does not decrypt. `None` without `CHEVERETO_ENCRYPTION_KEY`.
    pub unreadable: Option<Vec<Unreadable>>,
}

/// The numbers of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Webhooks {
    /// All of them.
    pub all: i64,
    /// Those that are disabled.
    pub disabled: i64,
    /// The subjects, of all webhooks, with an event that was refused and is tried again.
    pub behind: i64,
    /// The events that were given up in the last 30 days.
    pub given_up: i64,
}

/// Reads the state of the service.
#[derive(Debug)]
pub struct Status {
    sealer: Option<Arc<Sealer>>,
    has_site_databases: bool,
    now: Timestamp,
    /// Keys that expire until then are named.
    expiring_until: Timestamp,
    /// Statistics from before are late.
    late_before: Timestamp,
    batch: Batch,
    reads: Reads,
    /// The tables whose slices the batch ends with.
    slices: Vec<Table>,
}

#[derive(Debug)]
enum Reads {
    Schema,
    /// The numbers, before the first slices.
    Numbers(SchemaState),
    /// Slices alone.
    Slices(Box<(SchemaState, Registry)>),
}

impl Status {
    /// Begins.
    ///
    /// # Errors
    /// If the clock is outside the years 0000 to 9999.
    pub fn begin(config: &Config, unix_seconds: i64) -> Result<Self, TaskError> {
        let at = |seconds: i64| Timestamp::of_clock(unix_seconds.saturating_add(seconds));
        let late = LATE_SECONDS + i64::from(config.stats_min_age_s);
        Ok(Self {
            sealer: config.sealer.clone(),
            has_site_databases: config.has_site_databases(),
            now: at(0)?,
            expiring_until: at(EXPIRING_SECONDS)?,
            late_before: at(-late)?,
            batch: migrations::read(),
            reads: Reads::Schema,
            slices: Vec::new(),
        })
    }

    fn next(mut self, outcome: Outcome) -> Result<Step<Self>, ApiError> {
        let mut results = results(outcome, &self.batch)?;
        let mut so_far = match self.reads {
            Reads::Schema => {
                let names = migrations::recorded(&mut results)?;
                let schema = match Schema::of(&names) {
                    Schema::Current(newest) => SchemaState::Current { newest },
                    Schema::Newer(name) => SchemaState::Newer {
                        unknown: name.into(),
                    },
                    Schema::Lacks(migration) => {
                        let lacks = migration.name;
                        return Ok(Step::Done(Ok(Report {
                            schema: SchemaState::Behind { lacks },
                            registry: None,
                        })));
                    }
                };
                return Ok(Step::Run(self.count(schema)));
            }
            Reads::Numbers(schema) => {
                let mut registry = read_numbers(&mut results)?;
                if self.has_site_databases {
                    registry.sites_under_way = Some(results.outcome()?.integer("sites")?);
                }
                registry.unreadable = self.sealer.is_some().then(Vec::new);
                Box::new((schema, registry))
            }
            Reads::Slices(so_far) => so_far,
        };
        let mut next = Vec::new();
        if let (Some(sealer), Some(unreadable)) = (&self.sealer, &mut so_far.1.unreadable) {
            for table in self.slices {
                if let Some(last) = check(table, results.rows()?, sealer, unreadable)? {
                    next.push((table, last));
                }
            }
        }
        if next.is_empty() {
            let (schema, registry) = *so_far;
            return Ok(Step::Done(Ok(Report {
                schema,
                registry: Some(registry),
            })));
        }
        self.slices = next.iter().map(|(table, _)| *table).collect();
        self.batch = Batch::of(next.iter().map(|(table, after)| slice(*table, after)));
        self.reads = Reads::Slices(so_far);
        Ok(Step::Run(self))
    }

    /// Counts, and reads the first slice of each table.
    fn count(mut self, schema: SchemaState) -> Self {
        self.batch = Batch::of([
            numbers(&self.now, &self.late_before),
            keys::expiring(&self.now, &self.expiring_until),
        ]);
        if self.has_site_databases {
            self.batch = self.batch.and(site_databases::under_way());
        }
        if self.sealer.is_some() {
            self.slices = Table::ALL.into();
            for table in Table::ALL {
                self.batch = self.batch.and(slice(table, ""));
            }
        }
        self.reads = Reads::Numbers(schema);
        self
    }
}

impl Machine for Status {
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        self.next(outcome)
            .unwrap_or_else(|error| Step::Done(Err(error.into())))
    }
}

/// Counts. A site that was never counted is as old as its tenant, so the site of an old tenant that has just been installed is late until
/// the cron trigger runs.
fn numbers(now: &Timestamp, late_before: &Timestamp) -> Sql {
    Sql::new(
        "SELECT (SELECT count(*) FROM tenants) AS tenants, (SELECT count(*) FROM tenants WHERE is_enabled = 1) AS enabled, \
         (SELECT count(*) FROM tenants_plans) AS plans, \
         (SELECT count(*) FROM api_keys WHERE deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)) AS valid_keys, \
         (SELECT count(*) FROM tenants WHERE has_site = 1 AND coalesce(last_job_at, created_at) < ?2) AS late_statistics, \
         (SELECT count(*) FROM audit_log) AS audit_entries, (SELECT count(*) FROM webhooks) AS webhooks, \
         (SELECT count(*) FROM webhooks WHERE NOT is_enabled) AS webhooks_disabled, (SELECT count(*) FROM webhook_behind) AS events_behind, \
         (SELECT count(*) FROM webhook_deliveries WHERE outcome = 2) AS events_given_up",
    )
    .values([now.as_str().into(), late_before.as_str().into()])
}

fn read_numbers(results: &mut Results) -> Result<Registry, ApiError> {
    let mut row = results.outcome()?;
    Ok(Registry {
        tenants: row.integer("tenants")?,
        enabled: row.integer("enabled")?,
        plans: row.integer("plans")?,
        keys: row.integer("valid_keys")?,
        late_statistics: row.integer("late_statistics")?,
        audit_entries: row.integer("audit_entries")?,
        webhooks: Webhooks {
            all: row.integer("webhooks")?,
            disabled: row.integer("webhooks_disabled")?,
            behind: row.integer("events_behind")?,
            given_up: row.integer("events_given_up")?,
        },
        expiring: KeyRow::decode_all(results)?,
        sites_under_way: None,
        unreadable: None,
    })
}

/// Reads the next rows of a table that have an encrypted value. `is_full` says of the last one whether others may follow.
fn slice(table: Table, after: &str) -> Sql {
    macro_rules! slice_of {
        ($table:literal, $id:literal, $column:literal) => {
            concat!(
                "SELECT id, env, bytes >= ?3 OR number = ?2 AS is_full FROM (SELECT id, env, length(CAST(env AS BLOB)) AS own, \
                 sum(length(CAST(env AS BLOB))) OVER upto AS bytes, row_number() OVER upto AS number FROM (SELECT ",
                $id,
                " AS id, ",
                $column,
                " AS env FROM ",
                $table,
                " WHERE ",
                $id,
                " > ?1 AND ",
                $column,
                " IS NOT NULL ORDER BY ",
                $id,
                " LIMIT ?2) WINDOW upto AS (ORDER BY id ROWS UNBOUNDED PRECEDING)) WHERE bytes - own < ?3 ORDER BY id"
            )
        };
    }
    let text = match table {
        Table::Tenants => slice_of!("tenants", "id", "env"),
        Table::Plans => slice_of!("tenants_plans", "id", "env"),
        Table::Answers => slice_of!("idempotency", "fingerprint", "secret"),
        Table::Jobs => slice_of!("cell_work", "id", "input"),
        Table::Deleted => slice_of!("deleted_tenants", "id", "env"),
        Table::Webhooks => slice_of!("webhook_secrets", "id", "secret"),
    };
    Sql::new(text).values([after.into(), SLICE_ROWS.into(), SLICE_BYTES.into()])
}

/// Decrypts a slice's rows, and notes those that do not decrypt. Returns the last id if others may follow.
fn check(
    table: Table,
    rows: Rows,
    sealer: &Sealer,
    unreadable: &mut Vec<Unreadable>,
) -> Result<Option<String>, ApiError> {
    let mut last = None;
    for row in rows {
        let mut row = Columns::new(row);
        let id = row.text("id")?;
        let text = row.text("env")?;
        let is_full = row.boolean("is_full")?;
        let (place, sealed, _) = table.placed(&id, &text);
        if let Err(error) = sealer.open(place, sealed) {
            unreadable.push(Unreadable {
                place: format!("{place}"),
                reason: error.reason(),
            });
        }
        last = is_full.then_some(id);
    }
    Ok(last)
}
