//! The view `move_tenant`: another cell for an installed tenant (contract §15).

use crate::sql::Batch;
use crate::store::write::{Writer, Written, write, write_into};
use crate::value::fault::{ApiError, CellConflict};
use crate::value::hold::HoldKind;
use crate::value::id::{CellId, TenantId};

/// Gives an installed tenant another cell. The result is a [`Moved`].
pub(crate) fn move_to(writer: &Writer, id: &TenantId, cell: &CellId) -> Batch {
    let text = write_into!(
        "move_tenant",
        "id_is_there, cell_is_there, is_free, id, cell_id",
        "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), \
         EXISTS (SELECT 1 FROM cells WHERE id = ?7 AND (is_accepting = 1 OR id = (SELECT cell_id FROM tenants WHERE id = ?6))), \
         EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND cell_id IS NOT NULL AND (is_enabled = 0 OR holds -> ?8 IS NOT NULL)) \
         AND NOT EXISTS (SELECT 1 FROM cell_work WHERE tenant_id = ?6 AND finished_at IS NULL), ?6, (SELECT id FROM cells WHERE id = ?7)",
        "id_is_there, cell_is_there, is_free, \
         EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND cell_id IS NULL) AS has_none, \
         EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND is_enabled = 1 AND holds -> ?8 IS NULL) AS is_enabled"
    );
    let values = [
        id.as_str().into(),
        cell.as_str().into(),
        HoldKind::Maintenance.as_str().into(),
    ];
    write(writer, text, values)
}

/// The result of [`move_to`].
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) id_is_there: bool,
    /// There is the cell, and it takes tenants or has this one already.
    pub(crate) cell_is_there: bool,
    is_free: bool,
    has_none: bool,
    is_enabled: bool,
}

impl Moved {
    /// Reads the row.
    pub(crate) fn decode(mut row: Written) -> Result<Self, ApiError> {
        Ok(Self {
            id_is_there: row.obstacle("id_is_there", true)?,
            cell_is_there: row.obstacle("cell_is_there", true)?,
            is_free: row.obstacle("is_free", true)?,
            has_none: row.obstacle("has_none", false)?,
            is_enabled: row.obstacle("is_enabled", false)?,
        })
    }

    /// The reason why the tenant stays.
    pub(crate) fn obstacle(&self) -> Option<CellConflict> {
        match self {
            Self { is_free: true, .. } => None,
            Self { has_none: true, .. } => Some(CellConflict::NoCell),
            Self {
                is_enabled: true, ..
            } => Some(CellConflict::Enabled),
            _ => Some(CellConflict::UnderWay),
        }
    }
}
