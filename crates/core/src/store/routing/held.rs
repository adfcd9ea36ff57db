//! The enabled tenants that a hold keeps off, as Traefik's configuration needs them (contract §16).
//!
//! They come in a statement of their own, so a registry without any pays one look into an empty index.

use alloc::collections::BTreeSet;
use alloc::string::String;

use crate::auth::ProxyReader;
use crate::sql::{Results, Sql, unexpected_result};
use crate::store::standing::{self, CellOf, allowed_caller, cell_standing};
use crate::value::fault::ApiError;
use crate::value::id::{CellId, TenantId};

/// Two texts: 100,000 ids have room in a value of D1, which has 2,000,000 bytes at the most. Somebody may have put a longer id into a row by
/// hand, so each is cut one character after the longest that a tenant can have. A table of one row, or of none if the reader may not read,
/// comes after.
const SELECT: &str = "SELECT json_group_array(lower(substr(t.id, 1, 17))) FILTER (WHERE t.cell_id IS NULL) AS without_cell, \
                      json_group_array(lower(substr(t.id, 1, 17))) FILTER (WHERE t.cell_id IS NOT NULL) AS on_cell FROM ";

const _: () = assert!(TenantId::MAX_LENGTH < 17);

/// The index of tenants with holds finds them. Each `+` keeps SQLite from another index, by which it would read the rows of all tenants.
const ROWS: &str = " AS k CROSS JOIN tenants AS t WHERE t.holds IS NOT NULL AND +t.is_enabled = 1";

/// Reads the held tenants of the registry.
pub(super) fn all(reader: &ProxyReader) -> Sql {
    let sql = match reader {
        ProxyReader::Developer => Sql::new(SELECT).sql("(SELECT 1)"),
        ProxyReader::Holder(holder) => standing::statement(holder, SELECT).sql(allowed_caller!()),
    };
    sql.sql(ROWS)
}

/// Reads those of a cell.
pub(super) fn of_cell(reader: &ProxyReader, cell: &CellId) -> Sql {
    let sql = match reader {
        ProxyReader::Developer => Sql::new(SELECT).sql("(SELECT 1)"),
        ProxyReader::Holder(holder) => {
            let sql = standing::statement(holder, SELECT).sql("(SELECT 1 WHERE ");
            cell_standing(sql, CellOf::Routes(cell)).sql(")")
        }
    };
    sql.sql(ROWS).sql(" AND +t.cell_id = ").bind(cell.as_str())
}

/// Where the site of a held tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldAt {
    Cell,
    NoCell,
}

/// The ids of the held tenants, in lower case.
#[derive(Debug, Default)]
pub(crate) struct Held {
    without_cell: BTreeSet<String>,
    on_cell: BTreeSet<String>,
}

impl Held {
    /// Reads the row.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let Some(mut row) = results.row()? else {
            return Ok(Self::default());
        };
        let ids = |text: String| {
            serde_json::from_str(&text)
                .map_err(|_| unexpected_result("columns of held tenants: expected ids".into()))
        };
        Ok(Self {
            without_cell: ids(row.text("without_cell")?)?,
            on_cell: ids(row.text("on_cell")?)?,
        })
    }

    /// Where the site of this tenant is, if it is held.
    pub(crate) fn of(&self, id: &str) -> Option<HeldAt> {
        if self.without_cell.is_empty() && self.on_cell.is_empty() {
            return None;
        }
        let id = id.to_ascii_lowercase();
        if self.without_cell.contains(&id) {
            Some(HeldAt::NoCell)
        } else {
            self.on_cell.contains(&id).then_some(HeldAt::Cell)
        }
    }
}
