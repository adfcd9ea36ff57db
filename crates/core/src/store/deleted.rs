//! `deleted_tenants`: tenants that can be brought back (contract §16).
//!
//! The trigger of `delete_tenant` moves a tenant here, and that of `restore_tenant` moves it back. Its `env` stays encrypted for its place in `tenants`.
//! The cron trigger wipes what is too old (`store/ends.rs`); until then the clock decides.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Sql, unexpected_result};
use crate::store::ends::before;
use crate::store::registry::revision_of;
use crate::store::slice;
use crate::store::standing::{self, allowed_caller, key, standing};
use crate::store::tenants::{self, ANSWERS};
use crate::store::write::{Shows, WriteText, Writer, Written, holder, write_into};
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::wire::page::Page;

/// Reads a page of the tenants that can be brought back, in the order of their ids. A row ends with the time of its deletion.
pub(crate) fn list(caller: &Caller, page: &Page, days: u32) -> Batch {
    let rows = standing::statement(
        caller,
        concat!(
            "SELECT ",
            slice::row!(concat!(tenants::columns!("t.env"), ", t.deleted_at")),
            " FROM "
        ),
    );
    let begin = rows.len();
    let rows = rows
        .sql(allowed_caller!())
        .sql(" AS k CROSS JOIN deleted_tenants AS t ON t.id > ")
        .bind(page.after())
        .sql(concat!(" AND +t.deleted_at > datetime(", key!(now), ", "))
        .bind(before(days))
        .sql(")");
    let source = begin..rows.len();
    let rows = slice::ordered(rows, source, "t.id", slice::bytes!("t."), page);
    Batch::of([standing::alone(caller), rows])
}

/// Begins the batch that erases a tenant: wipes what is encrypted, and makes a tenant of a deleted one, so that the rest can delete it with its tables.
pub(crate) fn erase(writer: &Writer, id: &TenantId) -> Sql {
    let sql = standing::statement(
        writer,
        concat!(
            "INSERT INTO erase_tenant (key_stands, is_refused, now, id) SELECT ",
            standing!(),
            ", EXISTS (SELECT 1 FROM audit_log WHERE token = ?5) OR EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND deletion_protection = 1)"
        ),
    )
    .values([writer.token().into(), id.as_str().into()]);
    let sql = match writer.idempotency() {
        None => sql,
        Some(idempotency) => idempotency.known(sql.sql(" OR ")),
    };
    sql.sql(concat!(", ", key!(now), ", ?6"))
}

/// The hostnames that the deleted tenant `?6` had, its own and the further ones.
macro_rules! names {
    () => {
        "(SELECT hostname AS name FROM deleted_tenants WHERE id = ?6 \
         UNION ALL SELECT h.value ->> 0 FROM deleted_tenants AS d, json_each(d.hostnames) AS h WHERE d.id = ?6)"
    };
}

/// Brings a tenant back. The result is whether it can be, [`Taken`], and the new version ([`tenants::version`]); the last statement reads the tenant.
pub(crate) fn restore(writer: &Writer, id: &TenantId, days: u32) -> Batch {
    let text = WriteText {
        answer: None,
        ..write_into!(
            "restore_tenant",
            "id_is_there, id_is_taken, hostname_is_taken, external_id_is_taken, site_is_elsewhere, id",
            concat!(
                "EXISTS (SELECT 1 FROM deleted_tenants WHERE id = ?6 AND deleted_at > datetime(",
                key!(now),
                ", ?7)), EXISTS (SELECT 1 FROM tenants WHERE id = ?6), \
                 EXISTS (SELECT 1 FROM ",
                names!(),
                " AS n WHERE EXISTS (SELECT 1 FROM tenants WHERE hostname = n.name) \
                 OR EXISTS (SELECT 1 FROM tenant_hostnames WHERE hostname = n.name AND claimed_until IS NULL)), EXISTS (SELECT 1 FROM tenants WHERE external_id = (SELECT external_id FROM deleted_tenants WHERE id = ?6)), \
                 EXISTS (SELECT 1 FROM kept_sites WHERE tenant_id = ?6 \
                 AND (job_id IS NOT NULL OR cell_id IS NOT (SELECT cell_id FROM deleted_tenants WHERE id = ?6))), ?6"
            ),
            concat!(
                "id_is_there, ",
                holder!("id_is_taken", "tenants", "id = ?6"),
                " AS id_holder, iif(hostname_is_taken, (SELECT json_group_array(json_array(name, holder)) FROM (SELECT n.name, coalesce(\
                 (SELECT id FROM tenants WHERE hostname = n.name), (SELECT tenant_id FROM tenant_hostnames WHERE hostname = n.name AND claimed_until IS NULL)) AS holder FROM ",
                names!(),
                " AS n) WHERE holder IS NOT NULL), NULL) AS hostname_holders, ",
                holder!(
                    "external_id_is_taken",
                    "tenants",
                    "external_id = (SELECT external_id FROM deleted_tenants WHERE id = ?6)"
                ),
                " AS external_id_holder, (SELECT external_id FROM deleted_tenants WHERE id = ?6) AS external_id, site_is_elsewhere, \
                 (SELECT stats FROM tenants WHERE id = ?6) AS stats, (SELECT last_job_at FROM tenants WHERE id = ?6) AS last_job_at, (SELECT ",
                tenants::state_of_site!(""),
                " FROM tenants WHERE id = ?6) AS site, ",
                revision_of!("tenants")
            )
        )
    };
    let values = [id.as_str().into(), before(days).into()];
    let read = || -> Sql { tenants::get(writer, id) };
    ANSWERS.batch(
        writer,
        id.as_str(),
        text,
        (Shows::Patched, false),
        values,
        read,
    )
}

/// The obstacles to a restoring, as its statement found them. A holder is the id of the tenant that has the value now.
#[derive(Debug)]
pub(crate) struct Taken {
    /// It was deleted, and not too long ago.
    pub(crate) id_is_there: bool,
    pub(crate) id_holder: Option<String>,
    /// The hostnames that are taken, and who has each.
    pub(crate) hostname_holders: Vec<(String, String)>,
    pub(crate) external_id_holder: Option<String>,
    /// The external id that may be taken.
    pub(crate) external_id: Option<String>,
    /// Its tables are being dropped, or are not where it would find them.
    pub(crate) site_is_elsewhere: bool,
}

impl Taken {
    /// Reads the row that [`restore`] returns, up to the version.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            id_is_there: row.obstacle("id_is_there", true)?,
            id_holder: row.holder("id_holder")?,
            hostname_holders: row
                .holder("hostname_holders")?
                .map_or(Ok(Vec::new()), |text| serde_json::from_str(&text))
                .map_err(|_| {
                    unexpected_result("column hostname_holders: expected hostnames".into())
                })?,
            external_id_holder: row.holder("external_id_holder")?,
            external_id: row.holder("external_id")?,
            site_is_elsewhere: row.obstacle("site_is_elsewhere", false)?,
        })
    }
}
