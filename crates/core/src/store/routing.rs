//! The texts that Traefik's configuration is made from: the ids and hostnames of the tenants that are routed, the services of cells, and the state
//! of the registry.

pub(crate) mod further;
pub(crate) mod held;

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::ProxyReader;
use crate::sql::{Batch, Columns, Results, Sql, unexpected_result};
use crate::store::audit::Action;
use crate::store::cells::Service;
use crate::store::registry::epoch;
use crate::store::routing::further::Further;
use crate::store::routing::held::Held;
use crate::store::standing::{self, CellOf, Judged, allowed_caller, caller, cell_standing};
use crate::value::fault::ApiError;
use crate::value::hostname::Hostname;
use crate::value::id::{CellId, TenantId};

/// The state of the registry. Every write leads to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// It changes when a backup is restored, since revisions then start again from an older one.
    pub(crate) epoch: String,
    /// The newest audit entry, since every write leaves one in its own transaction. Entries of a re-encryption are skipped, because nothing
    /// that can be read changes by it.
    pub(crate) revision: i64,
}

/// Ends each id and each hostname in the text of [`Chunk::routes`].
pub(crate) const BREAK: char = '\n';

/// The tenants of one chunk. SQLite joins them to one text, because a host copies a few long texts sooner than thousands of short ones. A
/// value of D1 has 2,000,000 bytes at the most (<https://developers.cloudflare.com/d1/platform/limits/>), and the longest chunk has
/// 5,000 * (2 + 19 + 16 + 255 + 2) bytes = 1,470,000 bytes. A row of [`Route::Unfit`] takes less: each of its 48 characters has at most 6 bytes.
const CHUNK_ROWS: i64 = 5_000;

/// The longest id and hostname together, in bytes.
const LONGEST: usize = TenantId::MAX_LENGTH + Hostname::MAX_LENGTH;

/// The tenants that are routed, in the words of the index `tenants_by_route`. Chevereto itself answers for a disabled tenant of a cell.
macro_rules! routed {
    () => {
        "(is_enabled = 1 OR cell_id IS NOT NULL)"
    };
}

/// The rows of the chunks in any order: to sort them, SQLite would copy their texts. A chunk's rows begin with the id `start`. If the
/// reader's key is not valid or lacks a scope, there are no chunks. The tenants are those of `$which`.
///
/// Somebody may have put anything into a row by hand. A row that is too long for a chunk, that has a line break, or that has no id, is written
/// as a JSON array of shortened texts, in which a line break is escaped. `$service` is what comes before the others.
///
/// The text comes in two parts. Between them there must be a table of one row, or of none if the reader may not read.
macro_rules! chunks {
    ($start:literal) => {
        concat!(
            "WITH RECURSIVE chunk (number, start) AS (SELECT 0, ",
            $start,
            " FROM "
        )
    };
    ($which:expr, $service:expr, $start:literal, $rows:literal, $longest:literal, $break:literal) => {
        concat!(
            " UNION ALL SELECT number + 1, (SELECT id FROM tenants WHERE ",
            $which,
            " AND id >= chunk.start ORDER BY id LIMIT 1 OFFSET ",
            $rows,
            ") FROM chunk WHERE start IS NOT NULL) SELECT number, (SELECT group_concat(route, ",
            $break,
            ") FROM (SELECT CASE WHEN length(CAST(id || hostname AS BLOB)) > ",
            $longest,
            " OR instr(id || hostname, ",
            $break,
            ") > 0 OR id = ",
            $start,
            " THEN json_array(substr(id, 1, 16), substr(hostname, 1, 32)) || ",
            $break,
            " WHEN cell_id IS NULL THEN id || ",
            $break,
            " || hostname ELSE ",
            $service,
            "id || ",
            $break,
            " || hostname END AS route FROM tenants WHERE ",
            $which,
            " AND id >= chunk.start ORDER BY id LIMIT ",
            $rows,
            ")) AS routes FROM chunk WHERE start IS NOT NULL"
        )
    };
}

/// The number of the service of a tenant's cell, between two breaks, if it has one.
macro_rules! service {
    ($empty:literal, $break:literal) => {
        concat!(
            "coalesce(",
            $break,
            " || (SELECT rowid FROM cells WHERE id = tenants.cell_id AND service_name IS NOT NULL) || ",
            $break,
            ", ",
            $empty,
            ") || "
        )
    };
}

/// The standing of a developer, who needs no key.
macro_rules! developer {
    () => {
        "(SELECT 1 AS standing)"
    };
}

/// The state, and what else is `$selected`.
macro_rules! state {
    ($from:expr, $reseal:literal, $selected:literal) => {
        concat!(
            "SELECT k.standing, ",
            epoch!(),
            " AS epoch, ",
            revision!($reseal),
            " AS revision",
            $selected,
            " FROM ",
            $from,
            " AS k"
        )
    };
}

macro_rules! all {
    ($from:expr, $allowed:expr, $reseal:literal, $start:literal, $rows:literal, $longest:literal, $break:literal) => {
        concat!(
            state!(
                $from,
                $reseal,
                ", c.number, c.routes, iif(c.number = 0, (SELECT json_group_array(json_array(rowid, service_name, service_port)) FROM cells WHERE service_name IS NOT NULL), NULL) AS services"
            ),
            " LEFT JOIN (",
            chunks!($start),
            $allowed,
            chunks!(routed!(), service!($start, $break), $start, $rows, $longest, $break),
            ") AS c"
        )
    };
}

macro_rules! revision {
    ($reseal:literal) => {
        concat!(
            "(SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ",
            $reseal,
            ")"
        )
    };
}

/// Reads the state alone. The text is short because almost every poll runs it: the planning of [`tenants`] alone takes D1 longer.
pub(crate) fn state(reader: &ProxyReader) -> Batch {
    let statement = match reader {
        ProxyReader::Developer => Sql::new(state!(developer!(), "?1", "")),
        ProxyReader::Holder(holder) => standing::statement(holder, state!(caller!(), "?5", "")),
    };
    Batch::one(statement.values([Action::EnvReseal.as_str().into()]))
}

/// Reads the row of [`state`].
pub(crate) fn read_state(results: &mut Results) -> Result<State, ApiError> {
    State::decode(&mut standing::judged_read(results)?)
}

/// Reads the state and all tenants that are routed: those of [`Routes::decode`].
pub(crate) fn tenants(reader: &ProxyReader) -> Batch {
    let statement = match reader {
        ProxyReader::Developer => Sql::new(all!(
            developer!(),
            developer!(),
            "?1",
            "?2",
            "?3",
            "?4",
            "?5"
        )),
        ProxyReader::Holder(holder) => standing::statement(
            holder,
            all!(caller!(), allowed_caller!(), "?5", "?6", "?7", "?8", "?9"),
        ),
    };
    let all = statement.values([
        Action::EnvReseal.as_str().into(),
        "".into(),
        CHUNK_ROWS.into(),
        i64::try_from(LONGEST).unwrap_or(i64::MAX).into(),
        String::from(BREAK).into(),
    ]);
    Batch::of([all, held::all(reader), further::all(reader)])
}

/// Reads the state, and the service of a cell.
pub(crate) fn state_of_cell(reader: &ProxyReader, cell: &CellId) -> Batch {
    Batch::one(cell_state(reader, cell))
}

/// Reads the state, the service of a cell, and all tenants of the cell.
pub(crate) fn tenants_of_cell(reader: &ProxyReader, cell: &CellId) -> Batch {
    let values = [
        "".into(),
        CHUNK_ROWS.into(),
        i64::try_from(LONGEST).unwrap_or(i64::MAX).into(),
        String::from(BREAK).into(),
        cell.as_str().into(),
    ];
    let chunks = match reader {
        ProxyReader::Developer => Sql::new(concat!(
            chunks!("?1"),
            "cells WHERE id = ?5",
            chunks!("cell_id = ?5", "", "?1", "?2", "?3", "?4")
        ))
        .values(values),
        ProxyReader::Holder(holder) => {
            let sql =
                standing::statement(holder, concat!(chunks!("?5"), "cells WHERE id = ?9 AND "));
            cell_standing(sql.values(values), CellOf::Routes(cell)).sql(chunks!(
                "cell_id = ?9",
                "",
                "?5",
                "?6",
                "?7",
                "?8"
            ))
        }
    };
    Batch::of([
        cell_state(reader, cell),
        chunks,
        held::of_cell(reader, cell),
        further::of_cell(reader, cell),
    ])
}

/// The parts of [`tenants_of_cell`] before the chunks.
fn cell_state(reader: &ProxyReader, cell: &CellId) -> Sql {
    let sql = match reader {
        ProxyReader::Developer => Sql::new("SELECT 1"),
        ProxyReader::Holder(holder) => {
            cell_standing(standing::statement(holder, "SELECT "), CellOf::Routes(cell))
        }
    };
    sql.sql(concat!(
        " AS standing, ",
        epoch!(),
        " AS epoch, (SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> "
    ))
    .bind(Action::EnvReseal.as_str())
    .sql(") AS revision, c.id, c.service_name, c.service_port FROM (SELECT ")
    .bind(cell.as_str())
    .sql(" AS id) AS v LEFT JOIN cells AS c ON c.id = v.id")
}

/// Reads the row of [`state_of_cell`], and the first one of [`tenants_of_cell`]: the state, and the cell's service if it has its own.
///
/// # Errors
/// 401 or 403 by the key's standing, 404 if there is no such cell, 500 if its service is not valid.
pub(crate) fn read_cell(results: &mut Results) -> Result<(State, Option<Service>), ApiError> {
    let mut row = standing::judged(results)?;
    let state = State::decode(&mut row)?;
    if row.optional_text("id")?.is_none() {
        return Err(ApiError::NotFound { what: "cell" });
    }
    let name = row.optional_text("service_name")?;
    let port = row.optional_integer("service_port")?;
    let service = match name {
        None => None,
        Some(name) => Some(Service::of_stored(&name, port).ok_or_else(|| {
            unexpected_result("columns service_name and service_port: expected a service".into())
        })?),
    };
    Ok((state, service))
}

impl State {
    fn decode(row: &mut Judged) -> Result<Self, ApiError> {
        Ok(Self {
            epoch: row.text("epoch")?,
            revision: row.integer("revision")?,
        })
    }
}

/// The cells' own services, by the number that the tenants' rows have. `None`: somebody put something else there by hand.
pub(crate) type Services = Vec<(i64, Option<Service>)>;

/// The tenants of [`tenants`].
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) state: State,
    pub(crate) services: Services,
    pub(crate) held: Held,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) further: Further,
}

impl Routes {
    /// Reads the rows.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut found: Option<(State, Services)> = None;
        let mut chunks = Vec::new();
        for row in results.rows()? {
            let mut row = standing::judge(Columns::new(row))?;
            let state = State::decode(&mut row)?;
            Chunk::decode(&mut row)?.place(&mut chunks);
            let services = row.optional_text("services")?;
            let services = services.map_or(Ok(Vec::new()), |text| read_services(&text))?;
            match &mut found {
                None => found = Some((state, services)),
                Some((_, before)) => before.extend(services),
            }
        }
        let (state, services) = found.ok_or_else(standing::invalid_key)?;
        Ok(Self {
            state,
            services,
            held: Held::decode(results)?,
            chunks,
            further: Further::decode(results)?,
        })
    }
}

fn read_services(text: &str) -> Result<Services, ApiError> {
    let all: Vec<(i64, String, Option<i64>)> = serde_json::from_str(text)
        .map_err(|_| unexpected_result("column services: expected services".into()))?;
    let checked =
        |(number, name, port): (i64, String, _)| (number, Service::of_stored(&name, port));
    Ok(all.into_iter().map(checked).collect())
}

/// A row of tenants.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The chunk's place among the others.
    number: Option<i64>,
    /// The tenants. `None` if there are no more of them.
    routes: Option<String>,
}

/// A tenant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Its columns, unchecked, and the number of its cell's own service.
    Row {
        id: &'a str,
        hostname: &'a str,
        service: Option<&'a str>,
    },
    /// Its columns are too long or empty, or one of them has a line break. They come shortened, in a JSON array.
    Unfit(&'a str),
}

impl Chunk {
    fn decode(row: &mut Columns) -> Result<Self, ApiError> {
        Ok(Self {
            number: row.optional_integer("number")?,
            routes: row.optional_text("routes")?,
        })
    }

    /// Reads the rows of [`tenants_of_cell`].
    pub(crate) fn decode_all(results: &mut Results) -> Result<Vec<Self>, ApiError> {
        let mut chunks = Vec::new();
        for row in results.rows()? {
            Self::decode(&mut Columns::new(row))?.place(&mut chunks);
        }
        Ok(chunks)
    }

    /// Puts the chunk in its place by its number. SQLite mostly returns the rows in that order.
    fn place(self, chunks: &mut Vec<Self>) {
        let place = chunks.partition_point(|chunk| chunk.number <= self.number);
        chunks.insert(place, self);
    }

    /// The length of the text, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.routes.as_ref().map_or(0, String::len)
    }

    /// The tenants, in the order of their ids.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route<'_>> {
        let mut texts = self.routes.iter().flat_map(|text| text.split(BREAK));
        core::iter::from_fn(move || {
            // SQLite wrote a break into each row, and two more around a service's number.
            let mut id = texts.next()?;
            let mut service = None;
            if id.is_empty() {
                service = Some(texts.next().unwrap_or(""));
                id = texts.next().unwrap_or("");
            }
            let hostname = texts.next().unwrap_or("");
            Some(if hostname.is_empty() {
                Route::Unfit(id)
            } else {
                Route::Row {
                    id,
                    hostname,
                    service,
                }
            })
        })
    }
}
