//! `tenant_hostnames`: the hostnames of tenants besides their own (contract §18).
//!
//! A hostname is unique among both tables' columns. Each statement that gives one away looks into both, and a database runs one transaction after
//! another, so two that ask at the same time cannot both get it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Columns, Results, Sql, unexpected_result};
use crate::store::registry::{is_stale, revision, revision_of};
use crate::store::standing::{self, Judged, caller, if_allowed};
use crate::store::write::{WriteText, Writer, write, write_into};
use crate::value::clock::Timestamp;
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
            ") OR EXISTS (SELECT 1 FROM tenant_hostnames WHERE hostname = ?7 AND claimed_until IS NULL",
            $further,
            ")"
        )
    };
}

/// The tenant that has the hostname `?7`, or `NULL` if it is free. Nothing is looked up if it is free.
macro_rules! hostname_holder {
    () => {
        "iif(hostname_is_taken, coalesce((SELECT id FROM tenants WHERE hostname = ?7), \
         (SELECT tenant_id FROM tenant_hostnames WHERE hostname = ?7 AND claimed_until IS NULL)), NULL) AS hostname_holder"
    };
}

pub(crate) use {hostname_holder, is_taken};

/// How long a claim waits for its record, for SQLite's `datetime`.
const CLAIM_LASTS: &str = "+7 days";

/// The columns of a hostname but its name, as one text.
macro_rules! stored {
    () => {
        "json_array(h.kind, h.created_at, h.updated_at, h.claimed_until, h.proof, h.missing_since)"
    };
}

/// The row of the hostname `?7` of the tenant `?6`, after the write that returns it.
macro_rules! stored_one {
    () => {
        concat!(
            "(SELECT ",
            stored!(),
            " FROM tenant_hostnames AS h WHERE h.tenant_id = ?6 AND h.hostname = ?7) AS stored"
        )
    };
}

/// A hostname that a tenant has besides its own, or claims.
#[derive(Debug)]
pub(crate) struct FurtherHostname {
    pub(crate) hostname: String,
    pub(crate) kind: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    /// The end of a claim. `None`: the tenant has the hostname.
    pub(crate) claimed_until: Option<String>,
    /// The value of the record that shows the owner. `None`: none was asked for.
    pub(crate) proof: Option<String>,
    /// Since when the record of a hostname that the tenant has is not found.
    pub(crate) missing_since: Option<String>,
}

impl FurtherHostname {
    /// Reads the text of [`stored!`].
    pub(crate) fn of_stored(hostname: String, stored: &str) -> Result<Self, ApiError> {
        let columns = serde_json::from_str(stored)
            .map_err(|_| unexpected_result("column stored: expected a hostname's columns".into()));
        let (kind, created_at, updated_at, claimed_until, proof, missing_since) = columns?;
        Ok(Self {
            hostname,
            kind,
            created_at,
            updated_at,
            claimed_until,
            proof,
            missing_since,
        })
    }
}

/// Reads the hostnames of a tenant, in the order of their names. A valid key and no tenant give one row of `NULL`s.
pub(crate) fn list(caller: &Caller, id: &TenantId) -> Batch {
    let text = concat!(
        "SELECT k.standing, t.id, ",
        revision!("t.revision"),
        " AS revision, h.hostname, ",
        stored!(),
        " AS stored FROM ",
        caller!(),
        " AS k LEFT JOIN tenants AS t ON t.id = ",
        if_allowed!("?5"),
        " LEFT JOIN tenant_hostnames AS h ON h.tenant_id = t.id ORDER BY h.hostname"
    );
    Batch::one(standing::statement(caller, text).values([id.as_str().into()]))
}

/// Reads one hostname of a tenant, in the form of [`list`].
pub(crate) fn one(caller: &Caller, id: &TenantId, hostname: &Hostname) -> Batch {
    let text = concat!(
        "SELECT k.standing, t.id, ",
        revision!("t.revision"),
        " AS revision, h.hostname, ",
        stored!(),
        " AS stored FROM ",
        caller!(),
        " AS k LEFT JOIN tenants AS t ON t.id = ",
        if_allowed!("?5"),
        " LEFT JOIN tenant_hostnames AS h ON h.tenant_id = t.id AND h.hostname = ?6"
    );
    let values = [id.as_str().into(), hostname.as_str().into()];
    Batch::one(standing::statement(caller, text).values(values))
}

/// Reads the rows of [`list`] or [`one`]: the revision, and the hostnames.
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
            all.push(FurtherHostname::of_stored(hostname, &row.text("stored")?)?);
        }
    }
    Ok((found.ok_or_else(standing::invalid_key)?, all))
}

/// Gives a tenant a hostname, or changes its kind. With a `proof` a new one is a claim. The result is whether the tenant is there, the hostname's
/// holder, whether there is room for it, [`Put`], and the revision.
pub(crate) fn put(
    writer: &Writer,
    id: &TenantId,
    hostname: &Hostname,
    kind: HostnameKind,
    proof: Option<String>,
) -> Batch {
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..write_into!(
            "put_hostname",
            "id_is_there, hostname_is_taken, has_room, is_same, is_new, id, hostname, kind, proof, claimed_until",
            concat!(
                "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), ",
                is_taken!("", " AND tenant_id <> ?6"),
                // MAX_HOSTNAMES of operation/hostnames.rs
                ", (SELECT count(*) FROM tenant_hostnames WHERE tenant_id = ?6) < 100 \
                 OR EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), \
                 EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7 AND kind = ?8 \
                 AND (claimed_until IS NULL OR ?10 IS NOT NULL AND claimed_until > ?3)), \
                 NOT EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7), ?6, ?7, ?8, ?10, \
                 iif(?10 IS NULL, NULL, datetime(?3, ?11))"
            ),
            concat!(
                "id_is_there, ",
                hostname_holder!(),
                ", has_room, EXISTS (SELECT 1 FROM audit_log WHERE token = ?12 AND detail = ?9) AS is_made, ",
                stored_one!(),
                ", ",
                revision_of!("tenants")
            ),
            // As the write will leave the row.
            "(SELECT json_array(h.hostname IS NULL, trim(json_array(?8, coalesce(h.created_at, ?3), \
             iif(h.kind = ?8 AND (h.claimed_until IS NULL OR ?10 IS NOT NULL AND h.claimed_until > ?3), h.updated_at, ?3), \
             iif(?10 IS NULL, NULL, iif(h.hostname IS NULL OR h.claimed_until <= ?3, datetime(?3, ?11), h.claimed_until)), \
             iif(h.hostname IS NULL OR h.claimed_until <= ?3, ?10, iif(?10 IS NULL AND h.claimed_until IS NOT NULL, NULL, h.proof)), h.missing_since))) \
             FROM (SELECT 1) LEFT JOIN tenant_hostnames AS h ON h.tenant_id = ?6 AND h.hostname = ?7)"
        )
    };
    let values = [
        id.as_str().into(),
        hostname.as_str().into(),
        kind.as_str().into(),
        ADDED.into(),
        proof.into(),
        CLAIM_LASTS.into(),
    ];
    write(writer, text, values)
}

/// The values of [`put`] that only its statement knew.
#[derive(Debug)]
pub(crate) struct Put {
    /// Whether the tenant did not have the hostname before.
    pub(crate) is_made: bool,
    pub(crate) hostname: FurtherHostname,
}

impl Put {
    /// Reads them, after the obstacles and before the revision.
    pub(crate) fn decode(row: &mut Judged, hostname: &Hostname) -> Result<Self, ApiError> {
        Ok(Self {
            is_made: row.boolean("is_made")?,
            hostname: FurtherHostname::of_stored(hostname.as_str().into(), &row.text("stored")?)?,
        })
    }
}

/// Notes whether the record of a hostname was found. The result is whether the tenant still has or claims the hostname with this proof, the holder
/// of the hostname, and the row.
pub(crate) fn check(
    writer: &Writer,
    id: &TenantId,
    hostname: &Hostname,
    proof: String,
    is_found: bool,
) -> Batch {
    let text = write_into!(
        "check_hostname",
        "id_is_there, id, hostname, proof, is_found",
        "EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = ?6 AND hostname = ?7 AND proof = ?8), ?6, ?7, ?8, ?9",
        concat!(
            "id_is_there, coalesce((SELECT id FROM tenants WHERE hostname = ?7), \
             (SELECT tenant_id FROM tenant_hostnames WHERE hostname = ?7 AND claimed_until IS NULL AND tenant_id <> ?6)) AS hostname_holder, ",
            stored_one!()
        )
    );
    let values = [
        id.as_str().into(),
        hostname.as_str().into(),
        proof.into(),
        is_found.into(),
    ];
    write(writer, text, values)
}

/// A record to look up.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) tenant_id: String,
    pub(crate) hostname: String,
    pub(crate) proof: String,
}

/// Chooses the records that the cron trigger looks up next, and notes when they come again: a claim's in ten minutes, and the one of a hostname
/// that a tenant has in a day.
pub(crate) fn due(now: &Timestamp, most: i64) -> Sql {
    Sql::new("UPDATE tenant_hostnames SET check_at = datetime(")
        .bind(now.as_str())
        .sql(", iif(claimed_until IS NULL, ")
        .bind("+1 day")
        .sql(", ")
        .bind("+10 minutes")
        .sql(")) WHERE (tenant_id, hostname) IN (SELECT tenant_id, hostname FROM tenant_hostnames WHERE check_at <= ?1 ORDER BY check_at LIMIT ")
        .bind(most)
        .sql(") RETURNING tenant_id, hostname, proof")
}

/// Reads the rows of [`due`].
pub(crate) fn decode_due(results: &mut Results) -> Result<Vec<Due>, ApiError> {
    let mut all = Vec::new();
    for row in results.rows()? {
        let mut row = Columns::new(row);
        let (tenant_id, hostname) = (row.text("tenant_id")?, row.text("hostname")?);
        // Somebody may have put a time and no proof there by hand.
        if let Some(proof) = row.optional_text("proof")? {
            all.push(Due {
                tenant_id,
                hostname,
                proof,
            });
        }
    }
    Ok(all)
}

/// Notes what the cron trigger has found.
pub(crate) fn checked(now: &Timestamp, found: &[(Due, bool)]) -> Sql {
    let items: Vec<_> = found
        .iter()
        .map(|(due, is_found)| (&due.tenant_id, &due.hostname, &due.proof, is_found))
        .collect();
    // Strings always encode.
    let items = serde_json::to_string(&items).unwrap_or_default();
    Sql::new("INSERT INTO check_hostname (request_id, now, key_stands, id_is_there, id, hostname, proof, is_found) SELECT ")
        .bind("cron-")
        .sql(" || lower(hex(randomblob(8))), ")
        .bind(now.as_str())
        .sql(", 1, 1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(")
        .bind(items)
        .sql(")")
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
