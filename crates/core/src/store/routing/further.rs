//! The hostnames besides the tenants' own, as Traefik's configuration needs them (contract §18).
//!
//! They come in a statement of their own, so a registry without any pays one look into an empty table.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::ProxyReader;
use crate::sql::{Columns, Results, Sql, unexpected_result};
use crate::store::standing::{self, CellOf, allowed_caller, cell_standing};
use crate::value::fault::ApiError;
use crate::value::hostname_kind::HostnameKind;
use crate::value::id::CellId;

/// Ends each id and each hostname.
const BREAK: char = '\n';

/// SQLite joins the rows to texts, as it does those of tenants. The table's own conditions leave no hostname in it that is too long or has a break,
/// so 5,000 rows, with [`BREAK`] (10) after each part, have 5,000 * (16 + 255 + 8 + 3) bytes = 1,410,000 bytes at the most.
const SELECT: &str = "SELECT group_concat(h.route, char(10)) AS hostnames FROM (SELECT (row_number() OVER () - 1) / 5000 AS part, \
                      f.tenant_id || char(10) || f.hostname || char(10) || f.kind AS route FROM ";

/// A table of one row, or of none if the reader may not read, comes before.
const ROWS: &str = " AS k CROSS JOIN tenant_hostnames AS f";

/// A claim is not routed.
const PROVEN: &str = " WHERE f.claimed_until IS NULL";

const GROUPS: &str = ") AS h GROUP BY h.part";

/// Reads the hostnames of all tenants.
pub(super) fn all(reader: &ProxyReader) -> Sql {
    let sql = match reader {
        ProxyReader::Developer => Sql::new(SELECT).sql("(SELECT 1)"),
        ProxyReader::Holder(holder) => standing::statement(holder, SELECT).sql(allowed_caller!()),
    };
    sql.sql(ROWS).sql(PROVEN).sql(GROUPS)
}

/// Reads the hostnames of the tenants of a cell.
pub(super) fn of_cell(reader: &ProxyReader, cell: &CellId) -> Sql {
    let sql = match reader {
        ProxyReader::Developer => Sql::new(SELECT).sql("(SELECT 1)"),
        ProxyReader::Holder(holder) => {
            let sql = standing::statement(holder, SELECT).sql("(SELECT 1 WHERE ");
            cell_standing(sql, CellOf::Routes(cell)).sql(")")
        }
    };
    sql.sql(ROWS)
        .sql(" CROSS JOIN tenants AS t ON t.id = f.tenant_id AND t.cell_id = ")
        .bind(cell.as_str())
        .sql(PROVEN)
        .sql(GROUPS)
}

/// The hostnames of tenants besides their own, by the tenants' ids in lower case.
#[derive(Debug, Default)]
pub(crate) struct Further(BTreeMap<String, Vec<(String, HostnameKind)>>);

impl Further {
    /// Reads the rows. Their order does not matter: the hostnames of a tenant are sorted.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut all: BTreeMap<String, Vec<(String, HostnameKind)>> = BTreeMap::new();
        for row in results.rows()? {
            let text = Columns::new(row).text("hostnames")?;
            let mut parts = text.split(BREAK);
            while let Some(id) = parts.next() {
                let hostname = parts.next();
                let kind = parts.next().and_then(|kind| HostnameKind::parse(kind).ok());
                let (Some(hostname), Some(kind)) = (hostname, kind) else {
                    return Err(unexpected_result(
                        "column hostnames: expected a hostname and its kind".into(),
                    ));
                };
                let of_tenant = all.entry(id.to_ascii_lowercase()).or_default();
                of_tenant.push((hostname.into(), kind));
            }
        }
        for of_tenant in all.values_mut() {
            of_tenant.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        Ok(Self(all))
    }

    /// The hostnames of a tenant, in the order of their names.
    pub(crate) fn of(&self, id: &str) -> &[(String, HostnameKind)] {
        if self.0.is_empty() {
            return &[];
        }
        self.0
            .get(&id.to_ascii_lowercase())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}
