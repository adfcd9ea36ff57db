//! `cells`: a row each (contract §15).

use alloc::string::String;

use crate::auth::Caller;
use crate::sql::{Batch, Sql};
use crate::store::audit::Action;
use crate::store::ends::before;
use crate::store::feed::Cursor;
use crate::store::registry::epoch;
use crate::store::standing::{self, Judged, caller};
use crate::store::write::{self, WriteText, Writer, write, write_into};
use crate::value::fault::ApiError;
use crate::value::id::CellId;
use crate::value::patch::Edit;
use crate::value::text::traefik_name;

/// Traefik's service for the tenants of a cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Service {
    /// Checks stored columns again: somebody may have put anything there by hand.
    pub(crate) fn of_stored(name: &str, port: Option<i64>) -> Option<Self> {
        let port = port.and_then(|port| u16::try_from(port).ok());
        Some(Self {
            name: traefik_name(name).ok()?,
            port: port.filter(|port| *port > 0)?,
        })
    }
}

/// A PUT of a cell. It keeps what it does not set.
#[derive(Debug)]
pub(crate) struct CellPatch {
    pub(crate) name: Edit<String>,
    pub(crate) service: Edit<Service>,
    pub(crate) is_accepting: Option<bool>,
}

/// A cell's row, and the counts that belong to it.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) service_name: Option<String>,
    pub(crate) service_port: Option<i64>,
    pub(crate) is_accepting: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) tenants: i64,
    pub(crate) jobs_waiting: i64,
    pub(crate) last_seen_at: Option<String>,
    pub(crate) agent_version: Option<String>,
    /// How far the agent has followed. `None`: no agent has come yet.
    pub(crate) cursor: Option<Cursor>,
    /// The number of changes that the agent has not seen.
    pub(crate) behind: i64,
}

/// The columns that [`Cell::decode`] reads, each with what follows it. `behind` counts 10,000 changes at the most.
macro_rules! columns {
    ($tenants:literal, $jobs:literal, $epoch:literal, $behind:literal) => {
        concat!(
            "c.id, c.name, c.service_name, c.service_port, c.is_accepting, c.created_at, c.updated_at, \
             (SELECT count(*) FROM tenants WHERE cell_id = c.id)",
            $tenants,
            ", (SELECT count(*) FROM cell_work WHERE cell_id = c.id AND finished_at IS NULL AND coalesce(lease_until <= ",
            standing::key!(now),
            ", 1) AND wipe_at > ",
            standing::key!(now),
            ")",
            $jobs,
            ", c.last_seen_at, c.agent_version, ",
            epoch!(),
            $epoch,
            ", c.seen_revision, c.seen_id, (SELECT count(*) FROM (SELECT 1 FROM cell_feed WHERE cell_id = c.id \
             AND (revision, tenant_id) > (c.seen_revision, c.seen_id) LIMIT 10000))",
            $behind
        )
    };
}

/// Starts a read of cells up to the condition.
fn select(caller: &Caller) -> Sql {
    standing::statement(
        caller,
        concat!(
            "SELECT k.standing, ",
            columns!(" AS tenants", " AS jobs_waiting", " AS epoch", " AS behind"),
            " FROM ",
            caller!(),
            " AS k LEFT JOIN cells AS c ON "
        ),
    )
}

/// Reads all cells.
pub(crate) fn list(caller: &Caller) -> Batch {
    Batch::one(select(caller).sql("c.id > ").bind("").sql(" ORDER BY c.id"))
}

/// Reads a cell.
pub(crate) fn get(caller: &Caller, id: &CellId) -> Batch {
    Batch::one(one(caller, id))
}

fn one(caller: &Caller, id: &CellId) -> Sql {
    select(caller).sql("c.id = ").bind(id.as_str())
}

impl Cell {
    /// Reads a row. `None` is the row of `NULL`s: the key is valid, and there is no cell.
    pub(crate) fn decode(mut row: Judged) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let name = row.optional_text("name")?;
        let service_name = row.optional_text("service_name")?;
        let service_port = row.optional_integer("service_port")?;
        let is_accepting = row.boolean("is_accepting")?;
        let created_at = row.text("created_at")?;
        let updated_at = row.text("updated_at")?;
        let tenants = row.integer("tenants")?;
        let jobs_waiting = row.integer("jobs_waiting")?;
        let last_seen_at = row.optional_text("last_seen_at")?;
        let agent_version = row.optional_text("agent_version")?;
        let cursor = Cursor {
            epoch: row.text("epoch")?,
            revision: row.integer("seen_revision")?,
            id: row.text("seen_id")?,
            begun_at: 0,
        };
        Ok(Some(Self {
            id,
            name,
            service_name,
            service_port,
            is_accepting,
            created_at,
            updated_at,
            tenants,
            jobs_waiting,
            cursor: last_seen_at.is_some().then_some(cursor),
            last_seen_at,
            agent_version,
            behind: row.integer("behind")?,
        }))
    }
}

/// Makes or changes a cell. The first result is a [`Written`](write::Written): whether this write made the cell, and, if the request was carried out
/// before, the cell as it was then. The last result is the cell.
pub(crate) fn put(writer: &Writer, id: &CellId, patch: &CellPatch) -> Batch {
    let (sets_name, name) = match &patch.name {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(name) => (true, Some(name.as_str())),
    };
    let (sets_service, service) = match &patch.service {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(service) => (true, Some(service)),
    };
    let service_name = service.map(|service| service.name.as_str());
    let service_port = service.map(|service| i64::from(service.port));
    let text = WriteText {
        from: OF_CELL,
        // A PUT that changes nothing is remembered, too.
        answer: None,
        ..write_into!(
            "put_cell",
            "id_is_there, is_same, id, sets_name, name, sets_service, service_name, service_port, is_accepting",
            "c.id IS NOT NULL, c.id IS NOT NULL AND (c.name, c.service_name, c.service_port, c.is_accepting) IS (\
             iif(?7, ?8, c.name), iif(?9, ?10, c.service_name), iif(?9, ?11, c.service_port), coalesce(?12, c.is_accepting)), \
             ?6, ?7, ?8, ?9, ?10, ?11, ?12",
            "EXISTS (SELECT 1 FROM audit_log WHERE token = ?14 AND action = ?13) AS is_made"
        )
    };
    let values = [
        id.as_str().into(),
        sets_name.into(),
        name.into(),
        sets_service.into(),
        service_name.into(),
        service_port.into(),
        patch.is_accepting.into(),
        Action::CellCreate.as_str().into(),
    ];
    let write = write::statement(writer, text, values, None);
    let remember = writer.idempotency().map(|idempotency| {
        idempotency.remember_all(writer, |sql| {
            sql.sql("json_array(EXISTS (SELECT 1 FROM audit_log WHERE token = ")
                .bind(writer.token())
                .sql(" AND action = ")
                .bind(Action::CellCreate.as_str())
                .sql(concat!(
                    "), ",
                    columns!("", "", "", ""),
                    ") FROM cells AS c WHERE c.id = "
                ))
                .bind(id.as_str())
        })
    });
    let all = [write].into_iter().chain(remember);
    Batch::of(all.chain([one(writer, id)]))
}

/// The cell with the id of a write, if there is one.
const OF_CELL: &str = " FROM (SELECT ?6 AS id) AS v LEFT JOIN cells AS c ON c.id = v.id";

/// Deletes a cell. The result is a [`Written`](write::Written): whether it was there, and whether it is in use. A deleted tenant of it can be brought back
/// for `days`, and needs its cell until then.
pub(crate) fn delete(writer: &Writer, id: &CellId, days: u32) -> Batch {
    let text = WriteText {
        from: OF_CELL,
        ..write_into!(
            "delete_cell",
            "id_is_there, is_in_use, id",
            "c.id IS NOT NULL, EXISTS (SELECT 1 FROM tenants WHERE cell_id = c.id) OR EXISTS (SELECT 1 FROM kept_sites WHERE cell_id = c.id) \
             OR EXISTS (SELECT 1 FROM cell_work WHERE cell_id = c.id AND finished_at IS NULL) \
             OR EXISTS (SELECT 1 FROM deleted_tenants WHERE cell_id = c.id COLLATE NOCASE AND deleted_at > datetime(?3, ?7)), ?6",
            "id_is_there, is_in_use"
        )
    };
    write(writer, text, [id.as_str().into(), before(days).into()])
}
