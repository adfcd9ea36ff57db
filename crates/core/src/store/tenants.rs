//! `tenants`: a row each (contract §5).

use alloc::format;
use alloc::string::String;

use crate::auth::Caller;
use crate::config::{ReusedId, Site};
use crate::crypto::seal::Sealer;
use crate::sql::Batch;
use crate::store::counters::{self, Counters};
use crate::store::plans;
use crate::store::registry::{revision, revision_of};
use crate::store::sealed::{self, EnvSealer};
use crate::store::site_schema;
use crate::store::slice;
use crate::store::standing::{self, Judged, caller, if_allowed};
use crate::store::write::{Writer, Written, holder, labels_fit, merged_labels, write, write_into};
use crate::value::external_id::ExternalId;
use crate::value::fault::{ApiError, Internal};
use crate::value::hostname::Hostname;
use crate::value::id::{PlanId, TenantId};
use crate::value::patch::Edit;
use crate::value::table_name::{TableNames, TablePrefix};
use crate::wire::conditional::Version;
use crate::wire::labels::{Labels, LabelsPatch};
use crate::wire::page::{Page, RowsToRead};
use crate::wire::variables::{Variables, VariablesText};

const TABLE: &str = "tenants";

/// A tenant to create.
#[derive(Debug)]
pub(crate) struct NewTenant {
    pub(crate) id: TenantId,
    pub(crate) hostname: Hostname,
    pub(crate) is_enabled: bool,
    /// The tenant's plan. Only the database knows whether it exists.
    pub(crate) plan_id: Option<PlanId>,
    pub(crate) limits: Variables,
    pub(crate) env: Variables,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) labels: Labels,
}

/// Changes to a tenant. `limits` and `env` replace the stored maps as a whole, `labels` merges (RFC 7396).
#[derive(Debug)]
pub(crate) struct TenantPatch {
    pub(crate) hostname: Option<Hostname>,
    pub(crate) is_enabled: Option<bool>,
    pub(crate) plan_id: Edit<PlanId>,
    pub(crate) limits: Edit<Variables>,
    pub(crate) env: Edit<Variables>,
    pub(crate) external_id: Edit<ExternalId>,
    pub(crate) labels: Edit<LabelsPatch>,
}

/// A tenant's row, decrypted.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) hostname: String,
    pub(crate) is_enabled: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) plan_id: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) limits: VariablesText,
    pub(crate) env: VariablesText,
    /// `None` if the tenant was never counted.
    pub(crate) stats: Option<Counters>,
    pub(crate) last_job_at: Option<String>,
}

/// The columns that [`Tenant::decode`] reads. A valid key and no tenant give one row of `NULL`s.
macro_rules! select {
    ($more:expr, $on:literal, $bound:literal, $order:expr) => {
        concat!(
            "SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, \
             t.env, t.stats, t.last_job_at",
            $more,
            " FROM ",
            caller!(),
            " AS k LEFT JOIN tenants AS t ON ",
            $on,
            if_allowed!($bound),
            $order
        )
    };
}

/// Reads a page of tenants, in the order of their ids.
pub(crate) fn list(caller: &Caller, page: &Page) -> Batch {
    let after = [page.after().into()];
    Batch::one(match page.rows_to_read() {
        RowsToRead::Few(rows) => standing::statement(
            caller,
            select!("", "t.id > ", "?5", " ORDER BY t.id LIMIT ?6"),
        )
        .values(after)
        .values([rows.into()]),
        RowsToRead::Cut { rows, bytes } => standing::statement(
            caller,
            select!(
                "",
                "t.id > ",
                "?5",
                concat!(" ORDER BY t.id", slice::limit!("tenants", "?5", "?6", "?7"))
            ),
        )
        .values(after)
        .values([rows.into(), bytes.into()]),
    })
}

/// Reads one tenant and its revision. [`Tenant::decode_versioned`] reads the row.
pub(crate) fn get(caller: &Caller, id: &TenantId) -> Batch {
    let text = select!(
        concat!(", ", revision!("t.revision"), " AS revision"),
        "t.id = ",
        "?5",
        ""
    );
    Batch::one(standing::statement(caller, text).values([id.as_str().into()]))
}

/// Reads the maps of a tenant and of its plan.
pub(crate) fn settings(caller: &Caller, id: &TenantId) -> Batch {
    Batch::one(
        standing::statement(
            caller,
            concat!(
                "SELECT k.standing, t.id, k.has_all, t.limits, t.env, p.id AS plan_id, p.limits AS plan_limits, p.env AS plan_env FROM ",
                caller!(),
                " AS k LEFT JOIN tenants AS t ON t.id = ",
                if_allowed!("?5"),
                " LEFT JOIN tenants_plans AS p ON p.id = t.plan_id"
            ),
        )
        .values([id.as_str().into()]),
    )
}

/// The maps of a tenant and of its plan, decrypted.
#[derive(Debug)]
pub(crate) struct SettingsRow {
    /// Whether the caller's key has every scope.
    pub(crate) caller_has_all: bool,
    pub(crate) limits: Option<Variables>,
    pub(crate) env: Option<Variables>,
    pub(crate) plan_limits: Option<Variables>,
    pub(crate) plan_env: Option<Variables>,
}

impl SettingsRow {
    /// Reads the row of [`settings`]. `None`: there is no such tenant.
    pub(crate) fn decode(
        mut row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let caller_has_all = row.boolean("has_all")?;
        let (limits, env) = (row.optional_text("limits")?, row.optional_text("env")?);
        let plan_id = row.optional_text("plan_id")?.unwrap_or_default();
        let plan_limits = row.optional_text("plan_limits")?;
        let plan_env = row.optional_text("plan_env")?;
        Ok(Some(Self {
            caller_has_all,
            limits: sealed::limits_map(TABLE, &id, limits)?,
            env: sealed::open_env_map(TABLE, &id, env, sealer)?,
            plan_limits: sealed::limits_map(plans::TABLE, &plan_id, plan_limits)?,
            plan_env: sealed::open_env_map(plans::TABLE, &plan_id, plan_env, sealer)?,
        }))
    }
}

impl Tenant {
    /// Reads a row. `None` is the row of `NULL`s: the key is valid, and there is no tenant.
    pub(crate) fn decode(
        mut row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Self>, ApiError> {
        Self::decode_columns(&mut row, sealer)
    }

    /// Reads the row of [`get`].
    pub(crate) fn decode_versioned(
        mut row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<(Self, Version)>, ApiError> {
        let Some(tenant) = Self::decode_columns(&mut row, sealer)? else {
            return Ok(None);
        };
        let version = Version {
            revision: row.text("revision")?,
            statistics: counters::digest(tenant.stats.as_ref(), tenant.last_job_at.as_deref()),
        };
        Ok(Some((tenant, version)))
    }

    fn decode_columns(row: &mut Judged, sealer: Option<&Sealer>) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let hostname = row.text("hostname")?;
        let is_enabled = row.boolean("is_enabled")?;
        let created_at = row.text("created_at")?;
        let updated_at = row.text("updated_at")?;
        let plan_id = row.optional_text("plan_id")?;
        let external_id = row.optional_text("external_id")?;
        let labels = sealed::labels(TABLE, &id, &row.text("labels")?)?;
        let limits = sealed::limits(TABLE, &id, row.optional_text("limits")?)?
            .unwrap_or_else(VariablesText::empty);
        let env = sealed::open_env(TABLE, &id, row.optional_text("env")?, sealer)?
            .unwrap_or_else(VariablesText::empty);
        let stats = row
            .optional_text("stats")?
            .map(|text| Counters::from_stored(&text))
            .transpose()
            .map_err(|reason| {
                ApiError::Internal(Internal::Stored {
                    place: format!("{TABLE}/{id}/stats"),
                    reason,
                })
            })?;
        Ok(Some(Self {
            hostname,
            is_enabled,
            created_at,
            updated_at,
            plan_id,
            external_id,
            labels,
            limits,
            env,
            stats,
            last_job_at: row.optional_text("last_job_at")?,
            id,
        }))
    }
}

/// Creates a tenant. The result is the holder of its id, [`Obstacles`], and a [`Created`].
pub(crate) fn create(
    writer: &Writer,
    new: &NewTenant,
    site: &Site,
    sealer: &mut EnvSealer<'_>,
) -> Result<Batch, ApiError> {
    let users = TableNames::of(&site.table_prefix, &new.id).name(site_schema::USERS);
    let may_adopt = site.reused_id == ReusedId::Adopt;
    let limits = stored_limits(&new.limits);
    let env = stored_env(&new.id, &new.env, sealer)?;
    // The row holds the plan's id as the plan spells it.
    let text = write_into!(
        "create_tenant",
        "id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, \
         id, hostname, is_enabled, plan_id, limits, env, external_id_is_taken, external_id, labels",
        "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?7), \
         ?9 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?9), \
         EXISTS (SELECT 1 FROM pragma_table_info(?12)), ?13, \
         ?6, ?7, ?8, (SELECT id FROM tenants_plans WHERE id = ?9), ?10, ?11, \
         EXISTS (SELECT 1 FROM tenants WHERE external_id = ?14), ?14, ?15",
        concat!(
            holder!("id_is_there", "tenants", "id = ?6"),
            " AS id_holder, ",
            holder!("hostname_is_taken", "tenants", "hostname = ?7"),
            " AS hostname_holder, ",
            holder!("external_id_is_taken", "tenants", "external_id = ?14"),
            " AS external_id_holder, plan_is_there, site_is_there, now, plan_id, ",
            revision_of!("tenants")
        ),
        Some(concat!(
            "json_array(has_site, created_at, plan_id, ",
            revision!("revision"),
            ") FROM tenants WHERE id = "
        ))
    );
    let values = [
        new.id.as_str().into(),
        new.hostname.as_str().into(),
        new.is_enabled.into(),
        new.plan_id.as_ref().map(PlanId::as_str).into(),
        limits.into(),
        env.into(),
        users.as_str().into(),
        may_adopt.into(),
        new.external_id.as_ref().map(ExternalId::as_str).into(),
        new.labels.to_json().into(),
    ];
    Ok(write(writer, text, values))
}

/// Changes a tenant. The result is whether it is there, [`Obstacles`], whether the labels fit, and the new version
/// ([`version`]).
pub(crate) fn edit(
    writer: &Writer,
    id: &TenantId,
    patch: &TenantPatch,
    sealer: &mut EnvSealer<'_>,
) -> Result<Batch, ApiError> {
    let (sets_plan_id, plan_id) = patch.plan_id.columns(|id| Ok(Some(id.as_str())))?;
    let (sets_limits, limits) = patch.limits.columns(|map| Ok(stored_limits(map)))?;
    let (sets_env, env) = patch.env.columns(|map| stored_env(id, map, sealer))?;
    let (sets_external_id, external_id) = patch.external_id.columns(|id| Ok(Some(id.as_str())))?;
    let (sets_labels, labels) = patch.labels.columns(|patch| Ok(Some(patch.to_json())))?;
    let text = write_into!(
        "edit_tenant",
        "id_is_there, hostname_is_taken, plan_is_there, \
         id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env, \
         external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels",
        concat!(
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?7 AND id <> ?6), \
             ?10 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?10), \
             ?6, ?7, ?8, ?9, (SELECT id FROM tenants_plans WHERE id = ?10), ?11, ?12, ?13, ?14, \
             EXISTS (SELECT 1 FROM tenants WHERE external_id = ?16 AND id <> ?6), ",
            labels_fit!("tenants", "?18"),
            ", ?15, ?16, ?17, ",
            merged_labels!("tenants", "?18")
        ),
        concat!(
            "id_is_there, ",
            holder!("hostname_is_taken", "tenants", "hostname = ?7"),
            " AS hostname_holder, ",
            holder!("external_id_is_taken", "tenants", "external_id = ?16"),
            " AS external_id_holder, plan_is_there, labels_fit, ",
            revision_of!("tenants"),
            ", (SELECT stats FROM tenants WHERE id = ?6) AS stats, \
             (SELECT last_job_at FROM tenants WHERE id = ?6) AS last_job_at"
        ),
        Some(concat!(
            "json_array(",
            revision!("revision"),
            ", stats, last_job_at) FROM tenants WHERE id = "
        ))
    );
    let values = [
        id.as_str().into(),
        patch.hostname.as_ref().map(Hostname::as_str).into(),
        patch.is_enabled.into(),
        sets_plan_id.into(),
        plan_id.into(),
        sets_limits.into(),
        limits.into(),
        sets_env.into(),
        env.into(),
        sets_external_id.into(),
        external_id.into(),
        sets_labels.into(),
        labels.into(),
    ];
    Ok(write(writer, text, values))
}

/// Reads the version of a tenant at the end of the row that [`edit`] returns. `None` if its statistics cannot be read: the write has happened
/// all the same.
pub(crate) fn version(row: &mut Judged) -> Result<Option<Version>, ApiError> {
    let revision = row.text("revision")?;
    let stats = row.optional_text("stats")?;
    let last_job_at = row.optional_text("last_job_at")?;
    let stats = match stats.map(|text| Counters::from_stored(&text)) {
        Some(Err(_)) => return Ok(None),
        Some(Ok(stats)) => Some(stats),
        None => None,
    };
    Ok(Some(Version {
        revision,
        statistics: counters::digest(stats.as_ref(), last_job_at.as_deref()),
    }))
}

/// Deletes a tenant and keeps its tables. The audit entry says whether it had any. The result is a row of [`write::was_there`](crate::store::write::was_there).
pub(crate) fn delete(writer: &Writer, id: &TenantId, prefix: &TablePrefix) -> Batch {
    let users = TableNames::of(prefix, id).name(site_schema::USERS);
    let text = write_into!(
        "delete_tenant",
        "id_is_there, site_is_there, id",
        "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM pragma_table_info(?7)), ?6",
        "id_is_there"
    );
    let values = [id.as_str().into(), users.as_str().into()];
    write(writer, text, values)
}

/// A tenant's empty map is stored as `NULL`.
fn stored_limits(limits: &Variables) -> Option<String> {
    (!limits.is_empty()).then(|| limits.to_stored())
}

fn stored_env(
    id: &TenantId,
    env: &Variables,
    sealer: &mut EnvSealer<'_>,
) -> Result<Option<String>, ApiError> {
    if env.is_empty() {
        return Ok(None);
    }
    sealer.seal(TABLE, id.as_str(), env).map(Some)
}

/// The obstacles to a write besides its id, as its statement found them. A holder is the id of the tenant that has the value already.
#[derive(Debug)]
pub(crate) struct Obstacles {
    pub(crate) hostname_holder: Option<String>,
    pub(crate) external_id_holder: Option<String>,
    pub(crate) plan_is_there: bool,
}

impl Obstacles {
    /// Reads the row that a write returns.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            hostname_holder: row.holder("hostname_holder")?,
            external_id_holder: row.holder("external_id_holder")?,
            plan_is_there: row.obstacle("plan_is_there", true)?,
        })
    }
}

/// The values of a new tenant that only its statement knew.
#[derive(Debug)]
pub(crate) struct Created {
    /// Whether a deleted tenant with the same id has left its tables.
    pub(crate) site_is_there: bool,
    pub(crate) now: String,
    /// The plan's id as the plan spells it.
    pub(crate) plan_id: Option<String>,
}

impl Created {
    /// Reads the rest of the row that [`create`] returns, after its [`Obstacles`] and before the version.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            site_is_there: row.boolean("site_is_there")?,
            now: row.text("now")?,
            plan_id: row.optional_text("plan_id")?,
        })
    }
}
