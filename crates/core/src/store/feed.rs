//! `cell_feed`: what a cell sees of its tenants, in the order of revisions (contract §15). The triggers of `schema.sql` write it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::auth::Caller;
use crate::crypto::seal::Sealer;
use crate::sql::{Batch, Columns, Results, Row, Sql, unexpected_result};
use crate::store::counters::Counters;
use crate::store::registry::epoch;
use crate::store::standing::{self, CellOf, cell_standing};
use crate::store::{leases, plans, sealed, tenants, work};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal};
use crate::value::hostname::Hostname;
use crate::value::hostname_kind::HostnameKind;
use crate::value::id::{CellId, TenantId};
use crate::value::text::is_epoch;
use crate::wire::variables::Variables;

/// The most bytes of maps that a page has, as they are stored. One row more may exceed it.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// How long another agent must not have been seen before the next one may follow, for SQLite's `datetime`. An agent that runs is noted once
/// a minute ([`NOTED_AFTER`]).
const AGENT_IS_GONE_AFTER: &str = "-120 seconds";

/// How old `last_seen_at` is when it is written again.
const NOTED_AFTER: &str = "-60 seconds";

/// How old a mark is when it is pruned, for SQLite's `date`. A day counts from its first run of the cron trigger, so a mark is kept for thirty
/// whole days. An agent that was away for longer reads all tenants again.
const MARKS_ARE_KEPT_FOR: &str = "-31 days";

/// The most marks that one run of the cron trigger prunes.
const PRUNED_ROWS: i64 = 500;

/// A place in a feed: all rows up to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The database's epoch. A restored database has another one.
    pub(crate) epoch: String,
    pub(crate) revision: i64,
    /// The id of a tenant; empty at the start.
    pub(crate) id: String,
    /// Marks up to this revision were missing when the reading began. It began with no tenant, so it needs none of them.
    pub(crate) begun_at: i64,
}

impl Cursor {
    /// Parses a cursor that [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (epoch, revision, id) = (parts.next()?, parts.next()?, parts.next()?);
        let (begun_at, rest) = (parts.next().unwrap_or("0"), parts.next());
        let is_id = id.is_empty() || TenantId::parse(id).is_ok();
        (is_epoch(epoch) && is_id && rest.is_none()).then_some(Self {
            epoch: epoch.into(),
            revision: number(revision)?,
            id: id.into(),
            begun_at: number(begun_at)?,
        })
    }

    /// Whether the rows after this place lead to all changes: it is a place of this database, and no mark after it is missing.
    pub(crate) fn is_known(&self, head: &Head) -> bool {
        let upto = self.revision.max(self.begun_at);
        self.epoch == head.epoch && (head.forgotten..=head.newest).contains(&upto)
    }
}

fn number(digits: &str) -> Option<i64> {
    let is_number = digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.epoch, self.revision, self.id)?;
        if self.begun_at > self.revision {
            write!(f, ".{}", self.begun_at)?;
        }
        Ok(())
    }
}

/// An agent, as it names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
}

/// A read of a cell's feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poll {
    pub(crate) cell: CellId,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: i64,
    /// `None`: a read that notes nothing.
    pub(crate) agent: Option<Agent>,
}

impl Poll {
    fn place(&self) -> (i64, &str) {
        match &self.after {
            Some(cursor) => (cursor.revision, &cursor.id),
            None => (0, ""),
        }
    }
}

/// Reads a page of the feed. The results are those of [`Head::decode`] and [`FeedRow::decode_all`]. If an agent polls, the statements before them note
/// it, and end what is past its time.
///
/// A poll after which nothing has changed reads the same few rows, however many tenants and jobs there are.
pub(crate) fn poll(caller: &Caller, poll: &Poll) -> Batch {
    let notes = poll.agent.as_ref().map(|agent| {
        [
            work::sweep(caller.now().as_str()),
            note(caller, poll, agent),
        ]
    });
    let reads = [head(caller, poll), rows(caller, poll)];
    Batch::of(notes.into_iter().flatten().chain(reads))
}

/// The number of statements before the head.
pub(crate) fn notes(poll: &Poll) -> usize {
    if poll.agent.is_some() { 2 } else { 0 }
}

/// Notes the agent and how far it has followed, unless another agent serves the cell, or the place is not one of this database.
fn note(caller: &Caller, poll: &Poll, agent: &Agent) -> Sql {
    let now = caller.now().as_str();
    let sql = standing::statement(caller, "UPDATE cells SET agent = ")
        .bind(agent.name.as_str())
        .sql(", agent_version = ")
        .bind(agent.version.as_deref())
        .sql(", last_seen_at = ")
        .bind(now);
    let sql = match &poll.after {
        Some(cursor) => sql
            .sql(", seen_revision = ")
            .bind(cursor.revision)
            .sql(", seen_id = ")
            .bind(cursor.id.as_str()),
        None => sql,
    };
    let sql = sql
        .sql(" WHERE id = ")
        .bind(poll.cell.as_str())
        .sql(" AND ");
    let sql = cell_standing(sql, CellOf::Id(&poll.cell))
        .sql(" AND (agent IS NULL OR agent = ")
        .bind(agent.name.as_str())
        .sql(" OR last_seen_at <= datetime(")
        .bind(now)
        .sql(", ")
        .bind(AGENT_IS_GONE_AFTER)
        .sql(")) AND (agent IS NOT ")
        .bind(agent.name.as_str())
        .sql(" OR agent_version IS NOT ")
        .bind(agent.version.as_deref())
        .sql(" OR last_seen_at IS NULL OR last_seen_at <= datetime(")
        .bind(now)
        .sql(", ")
        .bind(NOTED_AFTER)
        .sql(")");
    match &poll.after {
        None => sql.sql(")"),
        Some(cursor) => sql
            .sql(" OR (seen_revision, seen_id) <> (")
            .bind(cursor.revision)
            .sql(", ")
            .bind(cursor.id.as_str())
            .sql(")) AND EXISTS (SELECT 1 FROM registry WHERE id = 1 AND epoch = ")
            .bind(cursor.epoch.as_str())
            .sql(") AND EXISTS (SELECT 1 FROM feed_clock WHERE id = 1 AND revision >= ")
            .bind(cursor.revision)
            .sql(")"),
    }
}

/// Notes the newest revision once a day, and prunes the marks that are older than the day a month ago. For the cron trigger.
///
/// The triggers that write marks know no clock but the database's, so the age of a mark is that of the first day whose revision is not below it.
pub(crate) fn prune(now: &str) -> [Sql; 4] {
    let marks = |sql: Sql, columns: &'static str| {
        sql.sql("(SELECT ")
            .sql(columns)
            .sql(
                " FROM cell_feed WHERE is_gone = 1 AND revision <= (SELECT revision FROM feed_days WHERE day <= date(",
            )
            .bind(now)
            .sql(", ")
            .bind(MARKS_ARE_KEPT_FOR)
            .sql(") ORDER BY day DESC LIMIT 1) ORDER BY revision LIMIT ")
            .bind(PRUNED_ROWS)
            .sql(")")
    };
    let note = Sql::new("INSERT INTO feed_days (day, revision) SELECT date(")
        .bind(now)
        .sql("), revision FROM feed_clock WHERE id = 1 AND revision > 0 ON CONFLICT (day) DO NOTHING");
    let forget = Sql::new(
        "UPDATE cells SET forgotten_revision = max(forgotten_revision, m.revision) FROM (SELECT cell_id, max(revision) AS revision FROM ",
    );
    let forget = marks(forget, "cell_id, revision")
        .sql(" GROUP BY cell_id) AS m WHERE cells.id = m.cell_id");
    let delete = Sql::new("DELETE FROM cell_feed WHERE (cell_id, tenant_id) IN ");
    let delete = marks(delete, "cell_id, tenant_id");
    let days =
        Sql::new("DELETE FROM feed_days WHERE day < (SELECT day FROM feed_days WHERE day <= date(")
            .bind(now)
            .sql(", ")
            .bind(MARKS_ARE_KEPT_FOR)
            .sql(") ORDER BY day DESC LIMIT 1)");
    [note, forget, delete, days]
}

fn head(caller: &Caller, poll: &Poll) -> Sql {
    let now = caller.now().as_str();
    let sql = standing::statement(caller, "SELECT ");
    let sql = cell_standing(sql, CellOf::Id(&poll.cell))
        .sql(concat!(
            " AS standing, c.id, ",
            epoch!(),
            " AS epoch, c.forgotten_revision, \
             (SELECT revision FROM feed_clock WHERE id = 1) AS newest, coalesce(c.agent <> "
        ))
        .bind(poll.agent.as_ref().map(|agent| agent.name.as_str()))
        .sql(" AND c.last_seen_at > datetime(")
        .bind(now)
        .sql(", ")
        .bind(AGENT_IS_GONE_AFTER)
        .sql("), 0) AS is_served_by_another, ");
    leases::can_be_leased(sql, &poll.cell, now)
        .sql(" AS jobs_waiting FROM (SELECT ")
        .bind(poll.cell.as_str())
        .sql(" AS id) AS v LEFT JOIN cells AS c ON c.id = v.id")
}

/// Reads the rows after the cursor, one more than the page may have: it shows that others follow. The bytes are summed up, so that a page of
/// large maps ends sooner. Nothing is read for a caller that may not have it.
fn rows(caller: &Caller, poll: &Poll) -> Sql {
    let (revision, id) = poll.place();
    let sql = standing::statement(
        caller,
        "SELECT g.tenant_id, g.revision, g.is_gone, g.more, t.hostname, t.is_enabled AND t.holds IS NULL AS is_enabled, t.plan_id, t.limits, t.env, p.limits AS plan_limits, \
         p.env AS plan_env, t.created_at, t.updated_at, \
         (SELECT group_concat(hostname, char(32)) FROM tenant_hostnames WHERE tenant_id = t.id AND claimed_until IS NULL AND kind = ",
    )
    .bind(HostnameKind::Alias.as_str())
    .sql(
        ") AS aliases FROM (SELECT w.tenant_id, w.revision, w.is_gone, w.octets, \
         sum(w.octets) OVER (ORDER BY w.revision, w.tenant_id) AS until, \
         count(*) OVER () - row_number() OVER (ORDER BY w.revision, w.tenant_id) AS more FROM (SELECT f.tenant_id, f.revision, f.is_gone, \
         coalesce(length(t.limits), 0) + coalesce(length(t.env), 0) + coalesce(length(p.limits), 0) + coalesce(length(p.env), 0) \
         + coalesce((SELECT sum(length(hostname)) FROM tenant_hostnames WHERE tenant_id = t.id), 0) AS octets \
         FROM cell_feed AS f LEFT JOIN tenants AS t ON t.id = f.tenant_id AND f.is_gone = 0 \
         LEFT JOIN tenants_plans AS p ON p.id = t.plan_id WHERE f.cell_id = ",
    )
    .bind(poll.cell.as_str())
    .sql(" AND ");
    cell_standing(sql, CellOf::Id(&poll.cell))
    .sql(" AND (f.revision, f.tenant_id) > (")
    .bind(revision)
    .sql(", ")
    .bind(id)
    .sql(") ORDER BY f.revision, f.tenant_id LIMIT ")
    .bind(poll.limit + 1)
    .sql(
        ") AS w) AS g LEFT JOIN tenants AS t ON t.id = g.tenant_id AND g.is_gone = 0 LEFT JOIN tenants_plans AS p ON p.id = t.plan_id \
         WHERE g.until - g.octets < ",
    )
    .bind(PAGE_BYTES)
    .sql(" ORDER BY g.revision, g.tenant_id LIMIT ")
    .bind(poll.limit)
}

/// The state of a cell, as a poll sees it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) epoch: String,
    /// Marks up to this revision may be missing.
    pub(crate) forgotten: i64,
    /// No revision is newer.
    pub(crate) newest: i64,
    pub(crate) is_served_by_another: bool,
    /// Whether a job can be leased.
    pub(crate) jobs_waiting: bool,
}

impl Head {
    /// Reads the head's row.
    ///
    /// # Errors
    /// 401 or 403 by the key's standing, 404 if there is no such cell.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = standing::judged(results)?;
        if row.optional_text("id")?.is_none() {
            return Err(ApiError::NotFound { what: "cell" });
        }
        Ok(Self {
            epoch: row.text("epoch")?,
            forgotten: row.integer("forgotten_revision")?,
            newest: row.integer("newest")?,
            is_served_by_another: row.boolean("is_served_by_another")?,
            jobs_waiting: row.boolean("jobs_waiting")?,
        })
    }
}

/// A row of a feed.
#[derive(Debug)]
pub(crate) struct FeedRow {
    pub(crate) id: String,
    pub(crate) revision: i64,
    /// `None`: the tenant was deleted or left the cell.
    pub(crate) tenant: Option<Result<FeedTenant, String>>,
    /// Whether rows follow.
    pub(crate) more: bool,
}

/// What a cell sees of a tenant.
#[derive(Debug)]
pub(crate) struct FeedTenant {
    pub(crate) hostname: String,
    /// The hostnames at which its site answers: its own, and its aliases. The root's own is none of them, whenever it was chosen.
    pub(crate) hostnames: Vec<String>,
    /// The hostnames that are left out of them, as they are left out of the routing.
    pub(crate) left_out: Vec<String>,
    pub(crate) is_enabled: bool,
    pub(crate) plan_id: Option<String>,
    /// The plan's under the tenant's; empty if there is none.
    pub(crate) limits: Variables,
    pub(crate) env: Variables,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

impl FeedRow {
    /// Reads the rows of a page.
    pub(crate) fn decode_all(
        results: &mut Results,
        root: &Hostname,
        sealer: Option<&Sealer>,
    ) -> Result<Vec<Self>, ApiError> {
        let rows = results.rows()?;
        rows.into_iter()
            .map(|row| Self::decode(row, root, sealer))
            .collect()
    }

    fn decode(row: Row, root: &Hostname, sealer: Option<&Sealer>) -> Result<Self, ApiError> {
        let mut row = Columns::new(row);
        let id = row.text("tenant_id")?;
        let revision = row.integer("revision")?;
        let is_gone = row.boolean("is_gone")?;
        let more = row.integer("more")? > 0;
        let tenant = if is_gone {
            None
        } else {
            match FeedTenant::decode(&id, row, root, sealer) {
                Ok(tenant) => Some(Ok(tenant)),
                // A row that cannot be read must not hold up the others.
                Err(ApiError::Internal(Internal::Stored { place, reason })) => {
                    Some(Err(format!("{place}: {reason}")))
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            id,
            revision,
            tenant,
            more,
        })
    }
}

impl FeedTenant {
    fn decode(
        id: &str,
        mut row: Columns,
        root: &Hostname,
        sealer: Option<&Sealer>,
    ) -> Result<Self, ApiError> {
        let hostname = row
            .optional_text("hostname")?
            .ok_or_else(|| unexpected_result(format!("{id} is in the feed and not in tenants")))?;
        let is_enabled = row.boolean("is_enabled")?;
        let plan_id = row.optional_text("plan_id")?;
        let plan = plan_id.as_deref().unwrap_or_default();
        let limits = sealed::limits_map(tenants::TABLE, id, row.optional_text("limits")?)?;
        let env = sealed::open_env_map(tenants::TABLE, id, row.optional_text("env")?, sealer)?;
        let plan_limits =
            sealed::limits_map(plans::TABLE, plan, row.optional_text("plan_limits")?)?;
        let plan_env =
            sealed::open_env_map(plans::TABLE, plan, row.optional_text("plan_env")?, sealer)?;
        let created_at = row.text("created_at")?;
        let updated_at = row.text("updated_at")?;
        let aliases = row.optional_text("aliases")?.unwrap_or_default();
        let aliases = aliases.split(' ').filter(|alias| !alias.is_empty());
        let (hostnames, left_out) = core::iter::once(hostname.as_str())
            .chain(aliases)
            .map(String::from)
            .partition(|name| Hostname::is_canonical(name) && name != root.as_str());
        Ok(Self {
            hostname,
            hostnames,
            left_out,
            is_enabled,
            plan_id,
            limits: Variables::merged(plan_limits, limits),
            env: Variables::merged(plan_env, env),
            created_at,
            updated_at,
        })
    }
}

/// The statistics of a tenant, as its cell counted them.
#[derive(Debug)]
pub(crate) struct StatsOfTenant {
    pub(crate) id: TenantId,
    pub(crate) stats: Counters,
    pub(crate) counted_at: Timestamp,
}

/// How long statistics stand at least, for SQLite's `datetime`.
const STATS_STAND_FOR: &str = "-3600 seconds";

/// Stores statistics of a cell's tenants that changed, `at_once` or if the stored ones have stood for an hour. Who has any is installed, so those of a
/// tenant whose site the registry has not seen yet are stored in any case. A clock that is ahead does not count: until its time nothing else would be
/// stored. An older count does not replace a newer one: a report may come twice, or late. The results are whether there is the cell, and the ids of the tenants.
pub(crate) fn store_stats(
    caller: &Caller,
    cell: &CellId,
    tenants: &[StatsOfTenant],
    at_once: bool,
) -> Batch {
    let items: Vec<[String; 3]> = tenants
        .iter()
        .map(|tenant| {
            let mut stats = String::new();
            tenant.stats.write_json(&mut stats);
            let counted_at = tenant.counted_at.as_str().into();
            [tenant.id.as_str().into(), stats, counted_at]
        })
        .collect();
    // Strings always encode.
    let items = serde_json::to_string(&items).unwrap_or_default();
    let standing = standing::statement(caller, "SELECT ");
    let standing = cell_standing(standing, CellOf::Id(cell))
        .sql(" AS standing, EXISTS (SELECT 1 FROM cells WHERE id = ")
        .bind(cell.as_str())
        .sql(") AS cell_is_there");
    let update = standing::statement(caller, "UPDATE tenants SET stats = json_extract(j.value, ")
        .bind("$[1]")
        .sql("), last_job_at = min(json_extract(j.value, ")
        .bind("$[2]")
        .sql("), ")
        .bind(caller.now().as_str())
        .sql("), site_state = ifnull(tenants.site_state, ")
        .bind("installed")
        .sql(") FROM json_each(")
        .bind(items)
        .sql(") AS j WHERE tenants.id = json_extract(j.value, ")
        .bind("$[0]")
        .sql(") AND tenants.cell_id = ")
        .bind(cell.as_str())
        // A count from before its creation is of an earlier tenant of the id.
        .sql(" AND tenants.created_at <= json_extract(j.value, ")
        .bind("$[2]")
        .sql(") AND ifnull(tenants.last_job_at <= json_extract(j.value, ")
        .bind("$[2]")
        .sql("), 1) AND (tenants.site_state IS NULL OR tenants.stats IS NOT json_extract(j.value, ")
        .bind("$[1]")
        .sql(") AND (")
        .bind(at_once)
        .sql(" OR tenants.last_job_at IS NULL OR tenants.last_job_at <= datetime(")
        .bind(caller.now().as_str())
        .sql(", ")
        .bind(STATS_STAND_FOR)
        .sql("))) AND ");
    let update = cell_standing(update, CellOf::Id(cell)).sql(" RETURNING tenants.id");
    Batch::of([standing, update])
}

/// Reads how many tenants' statistics were stored.
pub(crate) fn stored(results: &mut Results) -> Result<usize, ApiError> {
    if !standing::judged(results)?.boolean("cell_is_there")? {
        return Err(ApiError::NotFound { what: "cell" });
    }
    Ok(results.rows()?.len())
}
