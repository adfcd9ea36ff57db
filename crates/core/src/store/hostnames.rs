//! `tenant_hostnames`: the hostnames of tenants besides their own (contract §18).
//!
//! A hostname is unique among both tables' columns. Each statement that gives one away looks into both, and a database runs one transaction after
//! another, so two that ask at the same time cannot both get it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Columns, Results};
use crate::store::registry::{is_stale, revision, revision_of};
use crate::store::standing::{self, Judged, caller, if_allowed};
use crate::store::write::{WriteText, Writer, write, write_into};
use crate::value::fault::ApiError;
use crate::value::hostname::Hostname;
use crate::value::hostname_kind::HostnameKind;
use crate::value::id::TenantId;

/// The audit entry's detail of a hostname that the tenant did not have before. The trigger of `put_hostname` writes it.
const ADDED: &str = "hostname_added";

/// Whether a tenant has the hostname `?7`, as its own or as a further one. The parameters are conditions on its id.
macro_rules! is_taken {
    ($own:literal, $further:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM tenants WHERE hostname = ?7",
            $own,
            ") OR EXISTS (SELECT 1 FROM tenant_hostnames WHERE hostname = ?7",
            $further,
            ")"
        )
    };
}

/// The tenant that has the hostname `?7`, or `NULL` if it is free. Nothing is looked up if it is free.
macro_rules! hostname_holder {
    () => {
        "iif(hostname_is_taken, coalesce((SELECT id FROM tenants WHERE hostname = ?7), \
         (SELECT tenant_id FROM tenant_hostnames WHERE hostname = ?7)), NULL) AS hostname_holder"
    };
}

pub(crate) use {hostname_holder, is_taken};

/// A hostname that a tenant has besides its own.
#[derive(Debug)]
pub(crate) struct FurtherHostname {
    pub(crate) hostname: String,
    pub(crate) kind: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// Reads the hostnames of a tenant, in the order of their names. A valid key and no tenant give one row of `NULL`s.
pub(crate) fn list(caller: &Caller, id: &TenantId) -> Batch {
    let text = concat!(
        "SELECT k.standing, t.id, ",
        revision!("t.revision"),
        " AS revision, h.hostname, h.kind, h.created_at, h.updated_at FROM ",
        caller!(),
        " AS k LEFT JOIN tenants AS t ON t.id = ",
        if_allowed!("?5"),
        " LEFT JOIN tenant_hostnames AS h ON h.tenant_id = t.id ORDER BY h.hostname"
    );
    Batch::one(standing::statement(caller, text).values([id.as_str().into()]))
}

/// Reads the rows of [`list`]: the revision, and the hostnames.
///
/// # Errors
/// 401 or 403 by the key's standing, 404 if there is no such tenant.
pub(crate) fn decode_list(
    results: &mut Results,
) -> Result<(String, Vec<FurtherHostname>), ApiError> {
    let mut all = Vec::new();
    let mut found = None;
    for row in results.rows()? {
        let mut row = standing::judge(Columns::new(row))?;
        if row.optional_text("id")?.is_none() {
            return Err(ApiError::NotFound { what: "tenant" });
        }
        found = Some(row.text("revision")?);
        if let Some(hostname) = row.optional_text("hostname")? {
            all.push(FurtherHostname {
                hostname,
                kind: row.text("kind")?,
                created_at: row.text("created_at")?,
                updated_at: row.text("updated_at")?,
            });
        }
    }
    Ok((found.ok_or_else(standing::invalid_key)?, all))
}

/// Gives a tenant a hostname, or changes its kind. The result is whether the tenant is there, the hostname's holder, whether there is room for it,
/// [`Put`], and the revision.
pub(crate) fn put(
    writer: &Writer,
    id: &TenantId,
    hostname: &Hostname,
    kind: HostnameKind,
) -> Batch {
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..write_into!(
            "put_hostname",
            "id_is_there, hostname_is_taken, has_room, is_same, is_new, id, hostname, kind",
            concat!(
                "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), ",
                is_taken!("", " AND tenant_id <> ?6"),
                // MAX_HOSTNAMES of operation/hostnames.rs
                ", (SELECT count(*) FROM tenant_hostnames WHERE tenant_id = ?6) < 100 \
                 OR EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), \
                 EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7 AND kind = ?8), \
                 NOT EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), ?6, ?7, ?8"
            ),
            concat!(
                "id_is_there, ",
                hostname_holder!(),
                ", has_room, EXISTS (SELECT 1 FROM audit_log WHERE token = ?10 AND detail = ?9) AS is_made, \
                 (SELECT created_at FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7) AS created_at, \
                 (SELECT updated_at FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7) AS updated_at, ",
                revision_of!("tenants")
            ),
            "json_array(NOT EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), \
             coalesce((SELECT created_at FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), ?3), \
             coalesce((SELECT updated_at FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7 AND kind = ?8), ?3))"
        )
    };
    let values = [
        id.as_str().into(),
        hostname.as_str().into(),
        kind.as_str().into(),
        ADDED.into(),
    ];
    write(writer, text, values)
}

/// The values of [`put`] that only its statement knew.
#[derive(Debug)]
pub(crate) struct Put {
    /// Whether the tenant did not have the hostname before.
    pub(crate) is_made: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

impl Put {
    /// Reads them, after the obstacles and before the revision.
    pub(crate) fn decode(row: &mut Judged) -> Result<Self, ApiError> {
        Ok(Self {
            is_made: row.boolean("is_made")?,
            created_at: row.text("created_at")?,
            updated_at: row.text("updated_at")?,
        })
    }
}

/// Takes a hostname from a tenant. The result is whether the tenant is there, whether it has the hostname, and the revision.
pub(crate) fn delete(writer: &Writer, id: &TenantId, hostname: &Hostname) -> Batch {
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..write_into!(
            "delete_hostname",
            "id_is_there, hostname_is_there, id, hostname",
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), \
             EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), ?6, ?7",
            concat!("id_is_there, hostname_is_there, ", revision_of!("tenants"))
        )
    };
    write(writer, text, [id.as_str().into(), hostname.as_str().into()])
}
