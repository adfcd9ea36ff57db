//! The rows that Traefik's configuration is made from: enabled tenants, and the revision of the registry.

use alloc::string::String;

use crate::auth::ProxyReader;
use crate::sql::{Batch, Columns, Row, Sql};
use crate::store::audit::Action;
use crate::store::standing::{self, Judged, caller};
use crate::value::fault::ApiError;

/// The newest audit entry is the revision, since every write leaves one in its own transaction. Entries of a re-encryption are
/// skipped, because nothing that can be read changes by it. If the reader knows the revision, the sought id is `NULL`, and SQLite reads
/// no tenant. (It would check a plain condition on the revision for each tenant.)
macro_rules! select {
    ($from:expr, $known:literal, $reseal:literal, $first:literal) => {
        concat!(
            "SELECT k.standing, ",
            revision!($reseal),
            " AS revision, t.id, t.hostname FROM ",
            $from,
            " AS k LEFT JOIN tenants AS t ON t.is_enabled = 1 AND t.id >= iif(",
            revision!($reseal),
            " <> ",
            $known,
            ", ",
            $first,
            ", NULL) ORDER BY t.id"
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

/// Reads the revision and all enabled tenants; no tenants if `known` is the revision.
pub(crate) fn select(reader: &ProxyReader, known: i64) -> Batch {
    let statement = match reader {
        ProxyReader::Developer => Sql::new(select!("(SELECT 1 AS standing)", "?1", "?2", "?3")),
        ProxyReader::Holder(holder) => {
            standing::statement(holder, select!(caller!(), "?4", "?5", "?6"))
        }
    };
    Batch::one(statement.values([known.into(), Action::EnvReseal.as_str().into(), "".into()]))
}

/// A row of [`select()`].
#[derive(Debug)]
pub(crate) struct RouteRow {
    pub(crate) revision: i64,
    /// The id and the hostname of a tenant, if the row has one.
    pub(crate) tenant: Option<(String, String)>,
}

impl RouteRow {
    /// Reads a row.
    pub(crate) fn decode(row: Row) -> Result<Self, ApiError> {
        let mut row: Judged = standing::judge(Columns::new(row))?;
        let revision = row.integer("revision")?;
        let tenant = match row.optional_text("id")? {
            Some(id) => Some((id, row.text("hostname")?)),
            None => None,
        };
        Ok(Self { revision, tenant })
    }
}
