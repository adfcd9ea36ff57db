//! The rows that Traefik's configuration is made from: enabled tenants, and the state of the registry.

use alloc::string::String;

use crate::auth::ProxyReader;
use crate::sql::{Batch, Columns, Row, Sql};
use crate::store::audit::Action;
use crate::store::registry::epoch;
use crate::store::standing::{self, Judged, caller};
use crate::value::fault::ApiError;

/// The state of the registry. Every write leads to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// It changes when a backup is restored, since revisions then start again from an older one.
    pub(crate) epoch: String,
    /// The newest audit entry, since every write leaves one in its own transaction. Entries of a re-encryption are skipped, because nothing
    /// that can be read changes by it.
    pub(crate) revision: i64,
}

/// If the reader may not read or knows the state, the sought id is `NULL`, and SQLite reads no tenant. (It would check a plain condition on the state for
/// each tenant.)
macro_rules! select {
    ($from:expr, $epoch:literal, $revision:literal, $reseal:literal, $first:literal) => {
        concat!(
            "SELECT k.standing, ",
            epoch!(),
            " AS epoch, ",
            revision!($reseal),
            " AS revision, t.id, t.hostname FROM ",
            $from,
            " AS k LEFT JOIN tenants AS t ON t.is_enabled = 1 AND t.id >= iif(NOT k.standing OR ",
            epoch!(),
            " = ",
            $epoch,
            " AND ",
            revision!($reseal),
            " = ",
            $revision,
            ", NULL, ",
            $first,
            ") ORDER BY t.id"
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

/// Reads the state and all enabled tenants; no tenants if `known` is the state.
pub(crate) fn select(reader: &ProxyReader, known: Option<&State>) -> Batch {
    let statement = match reader {
        ProxyReader::Developer => {
            Sql::new(select!("(SELECT 1 AS standing)", "?1", "?2", "?3", "?4"))
        }
        ProxyReader::Holder(holder) => {
            standing::statement(holder, select!(caller!(), "?5", "?6", "?7", "?8"))
        }
    };
    Batch::one(statement.values([
        known.map(|state| state.epoch.as_str()).into(),
        known.map(|state| state.revision).into(),
        Action::EnvReseal.as_str().into(),
        "".into(),
    ]))
}

/// A row of [`select()`].
#[derive(Debug)]
pub(crate) struct RouteRow {
    pub(crate) state: State,
    /// The id and the hostname of a tenant, if the row has one.
    pub(crate) tenant: Option<(String, String)>,
}

impl RouteRow {
    /// Reads a row.
    pub(crate) fn decode(row: Row) -> Result<Self, ApiError> {
        let mut row: Judged = standing::judge(Columns::new(row))?;
        let state = State {
            epoch: row.text("epoch")?,
            revision: row.integer("revision")?,
        };
        let tenant = match row.optional_text("id")? {
            Some(id) => Some((id, row.text("hostname")?)),
            None => None,
        };
        Ok(Self { state, tenant })
    }
}
