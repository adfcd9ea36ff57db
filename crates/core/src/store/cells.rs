//! `cells`: a row each (contract §15).

use alloc::string::String;

use crate::auth::Caller;
use crate::sql::{Batch, Sql};
use crate::store::feed::Cursor;
use crate::store::standing::{self, Judged, caller};
use crate::store::write;
use crate::value::fault::ApiError;
use crate::value::id::CellId;
use crate::value::patch::Edit;

/// The most changes that `behind` counts.
const MOST_BEHIND: i64 = 10_000;

/// Traefik's service for the tenants of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) port: u16,
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

/// Starts a read of cells up to the condition.
fn select(caller: &Caller) -> Sql {
    standing::statement(
        caller,
        "SELECT k.standing, c.id, c.name, c.service_name, c.service_port, c.is_accepting, c.created_at, c.updated_at, \
         (SELECT count(*) FROM tenants WHERE cell_id = c.id) AS tenants, \
         (SELECT count(*) FROM cell_work WHERE cell_id = c.id AND finished_at IS NULL AND coalesce(lease_until <= ",
    )
    .bind(caller.now().as_str())
    .sql(
        ", 1)) AS jobs_waiting, c.last_seen_at, c.agent_version, (SELECT epoch FROM registry WHERE id = 1) AS epoch, \
         c.seen_revision, c.seen_id, (SELECT count(*) FROM (SELECT 1 FROM cell_feed WHERE cell_id = c.id \
         AND (revision, tenant_id) > (c.seen_revision, c.seen_id) LIMIT ",
    )
    .bind(MOST_BEHIND)
    .sql(concat!(")) AS behind FROM ", caller!(), " AS k LEFT JOIN cells AS c ON "))
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

/// Makes or changes a cell. The first result is whether it was there, the second one the cell.
pub(crate) fn put(caller: &Caller, request_id: &str, id: &CellId, patch: &CellPatch) -> Batch {
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
    let values = write::insert(
        caller,
        request_id,
        "INSERT INTO put_cell (key_stands, key_id, now, request_id, id_is_there, is_same, id, sets_name, name, sets_service, service_name, \
         service_port, is_accepting) SELECT ",
    );
    // The new values have columns of their own, so that the comparison can name each.
    let insert = values
        .sql(
            ", c.id IS NOT NULL, c.id IS NOT NULL AND (c.name, c.service_name, c.service_port, c.is_accepting) IS (\
             iif(v.sets_name, v.name, c.name), iif(v.sets_service, v.service_name, c.service_name), \
             iif(v.sets_service, v.service_port, c.service_port), coalesce(v.is_accepting, c.is_accepting)), \
             v.id, v.sets_name, v.name, v.sets_service, v.service_name, v.service_port, v.is_accepting FROM (SELECT ",
        )
        .bind(id.as_str())
        .sql(" AS id, ")
        .bind(sets_name)
        .sql(" AS sets_name, ")
        .bind(name)
        .sql(" AS name, ")
        .bind(sets_service)
        .sql(" AS sets_service, ")
        .bind(service_name)
        .sql(" AS service_name, ")
        .bind(service_port)
        .sql(" AS service_port, ")
        .bind(patch.is_accepting)
        .sql(
            " AS is_accepting) AS v LEFT JOIN cells AS c ON c.id = v.id RETURNING key_stands, id_is_there",
        );
    Batch::of([insert, one(caller, id)])
}

/// Deletes a cell. The result is whether it was there, and whether it is in use.
pub(crate) fn delete(caller: &Caller, request_id: &str, id: &CellId) -> Batch {
    let delete = write::insert(
        caller,
        request_id,
        "INSERT INTO delete_cell (key_stands, key_id, now, request_id, id_is_there, is_in_use, id) SELECT ",
    )
        .sql(
            ", c.id IS NOT NULL, EXISTS (SELECT 1 FROM tenants WHERE cell_id = c.id) OR EXISTS (SELECT 1 FROM kept_sites WHERE cell_id = c.id) \
             OR EXISTS (SELECT 1 FROM cell_work WHERE cell_id = c.id AND finished_at IS NULL), v.id FROM (SELECT ",
        )
        .bind(id.as_str())
        .sql(
            " AS id) AS v LEFT JOIN cells AS c ON c.id = v.id RETURNING key_stands, id_is_there, is_in_use",
        );
    Batch::one(delete)
}
