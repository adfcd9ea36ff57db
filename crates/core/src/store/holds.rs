//! The holds of tenants: why a site is off (contract §16). They are in the columns `holds` and `hold_until` of `tenants`.
//!
//! The trigger `holds_swept` lifts those that are past their time, when the cron trigger sweeps (`store/idempotency.rs`).

use alloc::string::String;

use crate::sql::{Batch, Sql, Value};
use crate::store::registry::{is_stale, revision_of};
use crate::store::tenants::state_of_site;
use crate::store::write::{WriteText, Writer, write, write_into};
use crate::value::hold::HoldKind;
use crate::value::id::TenantId;

/// What [`tenants::version`](crate::store::tenants::version) reads at the end of a row.
macro_rules! returning {
    ($obstacles:literal) => {
        concat!(
            $obstacles,
            ", (SELECT stats FROM tenants WHERE id = ?6) AS stats, (SELECT last_job_at FROM tenants WHERE id = ?6) AS last_job_at, \
             (SELECT ",
            state_of_site!(""),
            " FROM tenants WHERE id = ?6) AS site, ",
            revision_of!("tenants")
        )
    };
}

/// What is remembered of the response: the values of [`returning!`] without the revision.
const ANSWER: &str = concat!(
    "(SELECT json_array(stats, last_job_at, trim(",
    state_of_site!(""),
    ")) FROM tenants WHERE id = ?6)"
);

/// Reads the holds of an enabled tenant, a row for each: its kind, its `message` and its `until`.
pub(crate) fn of(id: &TenantId) -> Batch {
    let sql = Sql::new(
        "SELECT h.key AS kind, h.value ->> ?2 AS message, h.value ->> ?3 AS until FROM tenants AS t, json_each(t.holds) AS h WHERE t.id = ?1 AND t.is_enabled = 1",
    );
    Batch::one(sql.values([id.as_str(), "message", "until"].map(Value::from)))
}

/// Puts a hold on a tenant. `hold` is its JSON object. The result is whether the tenant is there, and the new version.
pub(crate) fn put(writer: &Writer, id: &TenantId, kind: HoldKind, hold: String) -> Batch {
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..write_into!(
            "put_hold",
            "id_is_there, is_same, id, kind, hold",
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND holds -> ?7 = ?8), ?6, ?7, ?8",
            returning!("id_is_there"),
            ANSWER
        )
    };
    let values = [id.as_str().into(), kind.as_str().into(), hold.into()];
    write(writer, text, values)
}

/// Lifts a hold. The result is whether the tenant is there, whether it has the hold, and the new version.
pub(crate) fn release(writer: &Writer, id: &TenantId, kind: HoldKind) -> Batch {
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..write_into!(
            "release_hold",
            "id_is_there, hold_is_there, id, kind",
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND holds -> ?7 IS NOT NULL), ?6, ?7",
            returning!("id_is_there, hold_is_there"),
            ANSWER
        )
    };
    write(writer, text, [id.as_str().into(), kind.as_str().into()])
}
