//! `status`: the state of the service, and the findings that need attention.

use clap::Args;
use serde::Serialize;
use tenants_core::VERSION;
use tenants_core::task::reseal::Unreadable;
use tenants_core::task::status::{Registry, Report, SchemaState, Status, Webhooks};

use crate::database::{Database, DatabaseArgs};
use crate::error::Error;
use crate::output::{Format, NOTHING_THERE, World, record};
use crate::session::Session;
use crate::settings::Needs;
use crate::task;

/// D1's limits of one database (<https://developers.cloudflare.com/d1/platform/limits/>: "Maximum database size: 10 GB (Workers Paid) /
/// 500 MB (Free)").
const PAID_BYTES: u64 = 10_000_000_000;
const FREE_BYTES: u64 = 500_000_000;
/// A database needs attention from this part of its limit on, in percent.
const FULL_PERCENT: u64 = 80;
/// The number of rows and keys that a line names for people.
const SHOWN: usize = 20;

mod asked;

use asked::Asked;

/// The options of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The database is on D1's free plan: compare its size with 500 MB instead of 10 GB
    #[arg(long)]
    pub free_plan: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// A finding that needs attention. Programs read these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Attention {
    /// The database's schema is not this version's.
    Schema,
    /// Keys expire soon.
    Keys,
    /// Statistics are late.
    Statistics,
    /// Rows do not decrypt.
    Env,
    /// The database is nearly full.
    Size,
}

#[derive(Serialize)]
struct ExpiringKey<'a> {
    id: i64,
    name: Option<&'a str>,
    expires_at: Option<&'a str>,
}

#[derive(Serialize)]
struct Place<'a> {
    place: &'a str,
    reason: &'a str,
}

/// The state for programs. Members of the registry are `null` if the schema is behind.
#[derive(Serialize)]
struct Shown<'a> {
    version: &'static str,
    schema: &'a SchemaState,
    tenants: Option<i64>,
    enabled: Option<i64>,
    plans: Option<i64>,
    keys: Option<i64>,
    expiring_keys: Option<Vec<ExpiringKey<'a>>>,
    late_statistics: Option<i64>,
    unreadable: Option<Vec<Place<'a>>>,
    audit_entries: Option<i64>,
    /// Absent without webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Webhooks>,
    /// Absent unless each site has a database of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    sites_under_way: Option<i64>,
    #[serde(flatten)]
    asked: &'a Asked,
    database_bytes: Option<u64>,
    database_limit_bytes: u64,
    attention: &'a [Attention],
}

/// Shows the state of the service.
///
/// # Errors
/// Fails if something needs attention, or if the database fails.
pub fn run(args: &StatusArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let needs = Needs {
        optional_secrets: &[
            "CHEVERETO_ENCRYPTION_KEY",
            "CHEVERETO_ENCRYPTION_KEY_PREVIOUS",
        ],
        plain: &[
            "TENANTS_STATS_MIN_AGE",
            "CHEVERETO_TENANTS_DB_ISOLATION_MODE",
        ],
        site_databases: true,
        wrangler_toml: args.database.config.clone(),
        ..Needs::default()
    };
    let config = session.settings.config(&needs, !args.database.remote)?;
    let database = Database::open(&session.settings, &args.database)?;
    let status = Status::begin(&config, (world.now)()).map_err(task::stopped)?;
    let report = task::run(&database, status, world.now, |_| ())?;
    let limit = if args.free_plan {
        FREE_BYTES
    } else {
        PAID_BYTES
    };
    let size = Size {
        bytes: database.size_bytes(),
        limit,
    };
    let asked = match report.registry {
        Some(_) => Asked::ask(args.database.remote, session, world),
        None => Asked::default(),
    };
    let attention = attention(&report, &size);
    match session.format {
        Format::Json => session.show_own(&shown(&report, &asked, &size, &attention), world)?,
        Format::Table => {
            let text = record(fields(&report, &asked, &size), world.width);
            world.print(&text)?;
        }
    }
    judge(&attention)
}

/// A database's size, if wrangler tells it, and its limit.
struct Size {
    bytes: Option<u64>,
    limit: u64,
}

impl Size {
    fn percent(&self) -> Option<u64> {
        Some(self.bytes?.saturating_mul(100) / self.limit)
    }
}

fn attention(report: &Report, size: &Size) -> Vec<Attention> {
    let registry = report.registry.as_ref();
    let is = |condition: fn(&Registry) -> bool| registry.is_some_and(condition);
    let findings = [
        (
            Attention::Schema,
            !matches!(report.schema, SchemaState::Current { .. }),
        ),
        (Attention::Keys, is(|r| !r.expiring.is_empty())),
        (Attention::Statistics, is(|r| r.late_statistics > 0)),
        (
            Attention::Env,
            is(|r| r.unreadable.as_ref().is_some_and(|u| !u.is_empty())),
        ),
        (
            Attention::Size,
            size.percent()
                .is_some_and(|percent| percent >= FULL_PERCENT),
        ),
    ];
    let found = findings.into_iter().filter(|(_, is_found)| *is_found);
    found.map(|(finding, _)| finding).collect()
}

fn shown<'a>(
    report: &'a Report,
    asked: &'a Asked,
    size: &Size,
    attention: &'a [Attention],
) -> Shown<'a> {
    let registry = report.registry.as_ref();
    let places = |unreadable: &'a Vec<Unreadable>| {
        let places = unreadable.iter().map(|row| Place {
            place: &row.place,
            reason: row.reason,
        });
        places.collect()
    };
    let expiring = |registry: &'a Registry| {
        let keys = registry.expiring.iter().map(|key| ExpiringKey {
            id: key.id,
            name: key.name.as_deref(),
            expires_at: key.expires_at.as_deref(),
        });
        keys.collect()
    };
    Shown {
        version: VERSION,
        schema: &report.schema,
        tenants: registry.map(|r| r.tenants),
        enabled: registry.map(|r| r.enabled),
        plans: registry.map(|r| r.plans),
        keys: registry.map(|r| r.keys),
        expiring_keys: registry.map(expiring),
        late_statistics: registry.map(|r| r.late_statistics),
        unreadable: registry.and_then(|r| r.unreadable.as_ref()).map(places),
        audit_entries: registry.map(|r| r.audit_entries),
        webhooks: registry.map(|r| r.webhooks).filter(|w| w.all > 0),
        sites_under_way: registry.and_then(|r| r.sites_under_way),
        asked,
        database_bytes: size.bytes,
        database_limit_bytes: size.limit,
        attention,
    }
}

/// The fields for people.
fn fields(report: &Report, asked: &Asked, size: &Size) -> Vec<(String, String)> {
    let schema = match &report.schema {
        SchemaState::Current { newest } => format!("{newest}, as this version needs it"),
        SchemaState::Behind { lacks } => {
            format!("behind: it lacks {lacks}; `tenants database:migrate` applies it")
        }
        SchemaState::Newer { unknown } => {
            format!("newer than this version, which does not know {unknown}")
        }
    };
    let mut fields = vec![("version", VERSION.to_owned()), ("schema", schema)];
    if let Some(registry) = &report.registry {
        fields.extend([
            (
                "tenants",
                format!("{}, {} enabled", registry.tenants, registry.enabled),
            ),
            ("plans", registry.plans.to_string()),
            ("API keys", keys(registry)),
            ("statistics", statistics(registry.late_statistics)),
            ("env", env(registry.unreadable.as_deref())),
            ("audit log", format!("{} entries", registry.audit_entries)),
        ]);
        let Webhooks {
            all,
            disabled,
            behind,
            given_up,
        } = registry.webhooks;
        if all > 0 {
            fields.push((
                "webhooks",
                format!(
                    "{all}, {disabled} disabled; {behind} events behind, {given_up} given up in 30 days"
                ),
            ));
        }
        fields.extend(asked.fields());
        if let Some(sites) = registry.sites_under_way {
            fields.push((
                "sites",
                format!("{sites} to be installed, moved or dropped"),
            ));
        }
    }
    fields.push(("database", bytes(size)));
    let fields = fields.into_iter();
    fields.map(|(name, text)| (name.into(), text)).collect()
}

fn keys(registry: &Registry) -> String {
    let expiring = &registry.expiring;
    let mut text = format!("{} valid", registry.keys);
    if expiring.is_empty() {
        return text + ", none of which expires within 30 days";
    }
    text += &format!(", {} of which expire within 30 days:", expiring.len());
    for key in expiring.iter().take(SHOWN) {
        let name = key.name.as_deref().unwrap_or(NOTHING_THERE);
        let at = key.expires_at.as_deref().unwrap_or(NOTHING_THERE);
        text += &format!(
            "\n{at}  {} {}",
            key.id,
            tenants_client::terminal::printable(name)
        );
    }
    text + &more(expiring.len())
}

fn statistics(late: i64) -> String {
    match late {
        0 => "no site's are late".into(),
        1 => "late for 1 site".into(),
        n => format!("late for {n} sites"),
    }
}

fn env(unreadable: Option<&[Unreadable]>) -> String {
    let Some(rows) = unreadable else {
        return "not checked: CHEVERETO_ENCRYPTION_KEY is not set".into();
    };
    if rows.is_empty() {
        return "every row decrypts".into();
    }
    let mut text = match rows.len() {
        1 => "1 row does not decrypt:".into(),
        n => format!("{n} rows do not decrypt:"),
    };
    for row in rows.iter().take(SHOWN) {
        text += &format!("\n{} {}", row.place, row.reason);
    }
    text + &more(rows.len())
}

fn more(n: usize) -> String {
    match n.checked_sub(SHOWN) {
        None | Some(0) => String::new(),
        Some(more) => format!("\n… and {more} more (--format json names all)"),
    }
}

fn bytes(size: &Size) -> String {
    /// Bytes in a megabyte.
    const MB: u64 = 1_000_000;
    match (size.bytes, size.percent()) {
        (Some(bytes), Some(percent)) => format!(
            "{}.{} MB, {percent} % of {} MB",
            bytes / MB,
            bytes % MB / (MB / 10),
            size.limit / MB
        ),
        _ => "of unknown size: wrangler tells a remote database's only".into(),
    }
}

fn judge(attention: &[Attention]) -> Result<(), Error> {
    if attention.is_empty() {
        return Ok(());
    }
    let sentences = attention.iter().map(|finding| match finding {
        Attention::Schema => "the database's schema is not this version's",
        Attention::Keys => "API keys expire within 30 days",
        Attention::Statistics => "statistics are late",
        Attention::Env => "rows do not decrypt",
        Attention::Size => "the database is nearly full",
    });
    let sentences: Vec<&str> = sentences.collect();
    Err(Error::Refused {
        code: "attention",
        detail: format!(
            "something needs attention (docs/OPERATING.md): {}",
            sentences.join("; ")
        ),
    })
}
