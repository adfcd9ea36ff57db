//! `tenants`: a row each (contract §5).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use crate::auth::Caller;
use crate::config::ReusedId;
use crate::crypto::seal::Sealer;
use crate::sql::{Batch, Sql, unexpected_result};
use crate::store::answers::Answers;
use crate::store::counters::{self, Counters};
use crate::store::ends::{Ends, StoredEnds};
use crate::store::hostnames::{hostname_holder, is_taken};
use crate::store::plans;
use crate::store::registry::{is_stale, revision, revision_of};
use crate::store::sealed::{self, EnvSealer};
use crate::store::site_databases::has_site;
use crate::store::site_schema;
use crate::store::slice;
use crate::store::standing::{self, Judged, caller, if_allowed};
use crate::store::write::{
    Found, Shown, Shows, WriteText, Writer, Written, holder, labels_fit, merged_labels, write,
    write_into,
};
use crate::value::external_id::ExternalId;
use crate::value::fault::{ApiError, Internal};
use crate::value::hostname::Hostname;
use crate::value::id::{CellId, PlanId, TenantId};
use crate::value::patch::Edit;
use crate::value::table_name::TablePrefix;
use crate::wire::conditional::Version;
use crate::wire::labels::{Labels, LabelsPatch};
use crate::wire::page::Page;
use crate::wire::variables::{Variables, VariablesText};

pub(crate) const TABLE: &str = sealed::WITH_ENV[0];

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
    /// The tenant's cell. Only the database knows whether it exists.
    pub(crate) cell_id: Option<CellId>,
    pub(crate) ends: Ends,
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
    pub(crate) cell_id: Edit<CellId>,
    pub(crate) ends: Ends,
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
    pub(crate) cell_id: Option<String>,
    pub(crate) site: SiteState,
    /// A JSON object with a member for each hold. `None` if it has no hold.
    pub(crate) holds: Option<String>,
    pub(crate) ends: StoredEnds,
}

/// What the registry knows of a tenant's site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SiteState {
    /// `none`, `installing`, `installed` or `failed`.
    pub(crate) state: Cow<'static, str>,
    /// The last installation's job, of a tenant with a cell.
    pub(crate) job_id: Option<String>,
}

impl SiteState {
    /// A site that was never installed.
    pub(crate) const NONE: Self = Self {
        state: Cow::Borrowed("none"),
        job_id: None,
    };
    pub(crate) const INSTALLED: Self = Self {
        state: Cow::Borrowed("installed"),
        job_id: None,
    };
    pub(crate) const FAILED: Self = Self {
        state: Cow::Borrowed("failed"),
        job_id: None,
    };

    /// Adds the state to the part of an `ETag` that changes without a write, since an installation is none.
    pub(crate) fn marked(&self, digest: Option<String>) -> Option<String> {
        if *self == Self::NONE {
            return digest;
        }
        let digest = digest.unwrap_or_default();
        let job_id = self.job_id.as_deref().unwrap_or_default();
        Some(format!("{digest}.{}{job_id}", self.state))
    }

    /// `has_tables`: the tenant's tables may be in this database.
    fn of(has_cell: bool, state: Option<String>, job_id: Option<String>, has_tables: bool) -> Self {
        match state {
            Some(state) => Self {
                state: state.into(),
                job_id,
            },
            None if has_cell => Self {
                job_id,
                ..Self::NONE
            },
            _ if has_tables => Self::INSTALLED,
            _ => Self::NONE,
        }
    }
}

/// The columns that [`Tenant::decode`] reads. `$env` is the tenant's or `NULL`.
macro_rules! members {
    ($env:literal) => {
        concat!(
            "t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, ",
            $env,
            ", t.stats, t.last_job_at, t.cell_id, t.site_state, t.site_job_id, t.has_site, t.holds, t.suspend_at, t.delete_at, t.deletion_protection"
        )
    };
}

/// The state of a tenant's site, as [`version`] reads it. `$of` is the table's alias with its dot.
macro_rules! state_of_site {
    ($of:literal) => {
        concat!(
            "json_array(",
            $of,
            "cell_id IS NOT NULL, ",
            $of,
            "site_state, ",
            $of,
            "site_job_id, ",
            $of,
            "has_site)"
        )
    };
}

/// These columns, after the caller's standing.
macro_rules! columns {
    ($env:literal) => {
        concat!("k.standing, ", $crate::store::tenants::members!($env))
    };
}

pub(crate) use {columns, members, state_of_site};

/// Reads `$what` of tenants. A valid key and no tenant give one row of `NULL`s.
macro_rules! select {
    ($what:expr, $on:literal, $bound:literal, $order:expr) => {
        concat!(
            "SELECT ",
            $what,
            " FROM ",
            caller!(),
            " AS k LEFT JOIN tenants AS t ON ",
            $on,
            if_allowed!($bound),
            $order
        )
    };
}

/// What is remembered of the responses that show a tenant. A PUT remembers whether the tenant is new, too.
pub(crate) const ANSWERS: Answers = Answers {
    table: TABLE,
    of_tenants: true,
    patched: concat!(
        "json_array(t.stats, t.last_job_at, trim(json_array(t.cell_id IS NOT NULL, t.site_state, t.site_job_id, t.has_site)), ",
        revision!("t.revision"),
        ", ",
        members!("NULL"),
        ") FROM tenants AS t WHERE t.id = "
    ),
    put: concat!(
        "json_array(0, ",
        members!("NULL"),
        ") FROM tenants AS t WHERE t.id = "
    ),
    put_new: concat!(
        "json_array(1, ",
        members!("NULL"),
        ") FROM tenants AS t WHERE t.id = "
    ),
};

/// Reads a page of tenants, in the order of their ids.
pub(crate) fn list(caller: &Caller, page: &Page) -> Batch {
    slice::page(
        caller,
        page,
        select!(
            slice::row!(columns!("t.env")),
            "t.id > ",
            "?5",
            " ORDER BY t.id LIMIT ?6"
        ),
        select!(
            slice::row!(columns!("t.env")),
            "t.id > ",
            "?5",
            concat!(" ORDER BY t.id", slice::limit!("tenants", "?5", "?6", "?7"))
        ),
    )
}

/// Reads one tenant and its revision. [`Tenant::decode_versioned`] reads the row.
pub(crate) fn get(caller: &Caller, id: &TenantId) -> Sql {
    let text = select!(
        concat!(
            columns!("t.env"),
            ", ",
            revision!("t.revision"),
            " AS revision"
        ),
        "t.id = ",
        "?5",
        ""
    );
    standing::statement(caller, text).values([id.as_str().into()])
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
        Self::decode_columns(&mut row, false, |id, env| {
            sealed::open_env(TABLE, id, env, sealer)
        })
    }

    /// Reads the columns at the start of a row.
    pub(crate) fn decode_next(
        row: &mut Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Self>, ApiError> {
        Self::decode_columns(row, false, |id, env| {
            sealed::open_env(TABLE, id, env, sealer)
        })
    }

    /// Reads the row that a response shows.
    pub(crate) fn decode_shown(shown: Shown, sealer: Option<&Sealer>) -> Result<Self, ApiError> {
        let Shown { mut row, env } = shown;
        let open = |id: &str, own: Option<String>| sealed::open_env(TABLE, id, own.or(env), sealer);
        Self::decode_columns(&mut row, true, open)?
            .ok_or_else(|| unexpected_result("no tenant after its write".into()))
    }

    /// Reads the row of [`get`], even if its `env` cannot be decrypted.
    pub(crate) fn decode_found(
        mut row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Found<Self>>, ApiError> {
        let mut env_is_readable = true;
        let open = |id: &str, own: Option<String>| {
            sealed::open_env(TABLE, id, own, sealer).or_else(|_| {
                env_is_readable = false;
                Ok(None)
            })
        };
        let Some(stored) = Self::decode_columns(&mut row, false, open)? else {
            return Ok(None);
        };
        Ok(Some(Found {
            version: stored.version(row.text("revision")?),
            stored,
            env_is_readable,
        }))
    }

    /// Reads the row of [`get`].
    pub(crate) fn decode_versioned(
        mut row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<(Self, Version)>, ApiError> {
        let open = |id: &str, env| sealed::open_env(TABLE, id, env, sealer);
        let Some(tenant) = Self::decode_columns(&mut row, false, open)? else {
            return Ok(None);
        };
        let version = tenant.version(row.text("revision")?);
        Ok(Some((tenant, version)))
    }

    fn version(&self, revision: String) -> Version {
        let digest = counters::digest(self.stats.as_ref(), self.last_job_at.as_deref());
        Version {
            revision,
            statistics: self.site.marked(digest),
        }
    }

    /// `open` decrypts the column `env`. `may_end`: the row may end before `holds` or after it, as one that an earlier version has remembered does.
    fn decode_columns(
        row: &mut Judged,
        may_end: bool,
        open: impl FnOnce(&str, Option<String>) -> Result<Option<VariablesText>, ApiError>,
    ) -> Result<Option<Self>, ApiError> {
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
        let env = open(&id, row.optional_text("env")?)?.unwrap_or_else(VariablesText::empty);
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
        let last_job_at = row.optional_text("last_job_at")?;
        let cell_id = row.optional_text("cell_id")?;
        let site = SiteState::of(
            cell_id.is_some(),
            row.optional_text("site_state")?,
            row.optional_text("site_job_id")?,
            row.boolean("has_site")?,
        );
        let holds = if may_end && row.is_empty() {
            None
        } else {
            sealed::holds(TABLE, &id, row.optional_text("holds")?)?
        };
        let ends = if may_end && row.is_empty() {
            StoredEnds::default()
        } else {
            StoredEnds::decode(row)?
        };
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
            last_job_at,
            site,
            holds,
            ends,
            cell_id,
            id,
        }))
    }
}

/// Creates a tenant. The result is the holder of its id, [`Obstacles`], and a [`Created`].
pub(crate) fn create(
    writer: &Writer,
    new: &NewTenant,
    shows: Shows,
    prefix: &TablePrefix,
    reused_id: ReusedId,
    sealer: &mut EnvSealer<'_>,
) -> Result<Batch, ApiError> {
    let site = site_schema::key(prefix, &new.id);
    let may_adopt = reused_id == ReusedId::Adopt;
    let limits = stored_limits(&new.limits);
    let env = stored_env(&new.id, &new.env, sealer)?;
    // The row holds the plan's id as the plan spells it.
    let text = write_into!(
        "create_tenant",
        "id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, \
         id, hostname, is_enabled, plan_id, limits, env, external_id_is_taken, external_id, labels, \
         cell_fits, site_is_elsewhere, adopts_kept, cell_id, ends",
        concat!(
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), ",
            is_taken!("", ""),
            ", \
         ?9 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?9), \
         ?16 IS NULL AND ",
            has_site!("?12", "?6"),
            ", ?13, \
         ?6, ?7, ?8, (SELECT id FROM tenants_plans WHERE id = ?9), ?10, ?11, \
         EXISTS (SELECT 1 FROM tenants WHERE external_id = ?14), ?14, ?15, \
         ?16 IS NULL OR EXISTS (SELECT 1 FROM cells WHERE id = ?16 AND is_accepting = 1), \
         EXISTS (SELECT 1 FROM kept_sites WHERE tenant_id = ?6 AND NOT (job_id IS NULL AND cell_id IS ?16 AND tenant_id = ?6 COLLATE BINARY)) \
         OR (?16 IS NOT NULL AND ",
            has_site!("?12", "?6"),
            "), \
         coalesce((SELECT state FROM kept_sites WHERE tenant_id = ?6 AND cell_id = ?16), 0), (SELECT id FROM cells WHERE id = ?16), ?17"
        ),
        concat!(
            holder!("id_is_there", "tenants", "id = ?6"),
            " AS id_holder, ",
            hostname_holder!(),
            ", ",
            holder!("external_id_is_taken", "tenants", "external_id = ?14"),
            " AS external_id_holder, plan_is_there, cell_fits, site_is_elsewhere, site_is_there, now, plan_id, adopts_kept, \
             (SELECT id FROM cells WHERE id = ?16) AS cell, ",
            revision_of!("tenants")
        ),
        concat!(
            "json_array(?16 IS NULL AND ",
            has_site!("?12", "?6"),
            ", ?3, (SELECT id FROM tenants_plans WHERE id = ?9), \
             coalesce((SELECT state FROM kept_sites WHERE tenant_id = ?6 AND cell_id = ?16), 0), (SELECT id FROM cells WHERE id = ?16))"
        )
    );
    let values = [
        new.id.as_str().into(),
        new.hostname.as_str().into(),
        new.is_enabled.into(),
        new.plan_id.as_ref().map(PlanId::as_str).into(),
        limits.into(),
        env.into(),
        site.into(),
        may_adopt.into(),
        new.external_id.as_ref().map(ExternalId::as_str).into(),
        new.labels.to_json().into(),
        new.cell_id.as_ref().map(CellId::as_str).into(),
        new.ends.to_json().into(),
    ];
    let read = || get(writer, &new.id);
    Ok(ANSWERS.batch(writer, new.id.as_str(), text, (shows, true), values, read))
}

/// Changes a tenant. The result is whether it is there, [`Obstacles`], whether the labels fit, and the new version
/// ([`version`]). If the response shows the tenant, the last statement reads it.
pub(crate) fn edit(
    writer: &Writer,
    id: &TenantId,
    patch: &TenantPatch,
    shows: Shows,
    prefix: &TablePrefix,
    sealer: &mut EnvSealer<'_>,
) -> Result<Batch, ApiError> {
    let site = site_schema::key(prefix, id);
    let (sets_cell_id, cell_id) = patch.cell_id.columns(|id| Ok(Some(id.as_str())))?;
    let (sets_plan_id, plan_id) = patch.plan_id.columns(|id| Ok(Some(id.as_str())))?;
    let (sets_limits, limits) = patch.limits.columns(|map| Ok(stored_limits(map)))?;
    let (sets_env, env) = patch.env.columns(|map| stored_env(id, map, sealer))?;
    let (sets_external_id, external_id) = patch.external_id.columns(|id| Ok(Some(id.as_str())))?;
    let (sets_labels, labels) = patch.labels.columns(|patch| Ok(Some(patch.to_json())))?;
    let text = write_into!(
        "edit_tenant",
        "id_is_there, hostname_is_taken, plan_is_there, \
         id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env, \
         external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, \
         cell_fits, cell_is_fixed, sets_cell_id, cell_id, ends",
        concat!(
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), ",
            is_taken!(" AND id <> ?6", " AND tenant_id <> ?6"),
            ", ?10 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?10), \
             ?6, ?7, ?8, ?9, (SELECT id FROM tenants_plans WHERE id = ?10), ?11, ?12, ?13, ?14, \
             EXISTS (SELECT 1 FROM tenants WHERE external_id = ?16 AND id <> ?6), ",
            labels_fit!("tenants", "?18"),
            ", ?15, ?16, ?17, ",
            merged_labels!("tenants", "?18"),
            ", ?20 IS NULL OR EXISTS (SELECT 1 FROM cells WHERE id = ?20 AND is_accepting = 1) \
             OR EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND cell_id = ?20), \
             ?19 AND EXISTS (SELECT 1 FROM tenants AS t WHERE t.id = ?6 AND t.cell_id IS NOT ?20 AND (t.site_state IS NOT NULL \
             OR ",
            has_site!("?21", "?6"),
            " OR EXISTS (SELECT 1 FROM kept_sites WHERE tenant_id = ?6) \
             OR EXISTS (SELECT 1 FROM cell_work WHERE tenant_id = ?6 AND finished_at IS NULL))), \
             ?19, (SELECT id FROM cells WHERE id = ?20), ?22"
        ),
        concat!(
            "id_is_there, ",
            hostname_holder!(),
            ", ",
            holder!("external_id_is_taken", "tenants", "external_id = ?16"),
            " AS external_id_holder, plan_is_there, cell_fits, labels_fit, cell_is_fixed, \
             (SELECT stats FROM tenants WHERE id = ?6) AS stats, \
             (SELECT last_job_at FROM tenants WHERE id = ?6) AS last_job_at, \
             (SELECT json_array(cell_id IS NOT NULL, site_state, site_job_id, has_site) FROM tenants WHERE id = ?6) AS site, ",
            revision_of!("tenants")
        ),
        // The list in the list is the site's. It is as the write will leave it, since the write may change the tenant's cell. `trim` makes a text
        // of it: it would be a list in the list otherwise.
        "(SELECT json_array(stats, last_job_at, trim(json_array(iif(?19, ?20, cell_id) IS NOT NULL, site_state, site_job_id, \
         iif(?19 AND (SELECT id FROM cells WHERE id = ?20) IS NOT cell_id, 0, has_site)))) FROM tenants WHERE id = ?6)"
    );
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..text
    };
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
        sets_cell_id.into(),
        cell_id.into(),
        site.into(),
        patch.ends.to_json().into(),
    ];
    let read = || get(writer, id);
    Ok(ANSWERS.batch(writer, id.as_str(), text, (shows, false), values, read))
}

/// Reads the version of a tenant at the end of the row that [`edit`] returns. `None` if its statistics cannot be read: the write has happened
/// all the same.
pub(crate) fn version(row: &mut Judged) -> Result<Option<Version>, ApiError> {
    let stats = row.optional_text("stats")?;
    let last_job_at = row.optional_text("last_job_at")?;
    let site = row.optional_text("site")?.unwrap_or_default();
    let revision = row.text("revision")?;
    let site = serde_json::from_str(&site).map_err(|_| {
        unexpected_result("column site: expected an array of the site's columns".into())
    });
    let (has_cell, state, job_id, has_tables): (u8, _, _, u8) = site?;
    let site = SiteState::of(has_cell != 0, state, job_id, has_tables != 0);
    let stats = match stats.map(|text| Counters::from_stored(&text)) {
        Some(Err(_)) => return Ok(None),
        Some(Ok(stats)) => Some(stats),
        None => None,
    };
    Ok(Some(Version {
        revision,
        statistics: site.marked(counters::digest(stats.as_ref(), last_job_at.as_deref())),
    }))
}

/// Deletes a tenant and keeps its tables. The audit entry says whether it had any. The result is whether it is there, and whether it is protected.
pub(crate) fn delete(writer: &Writer, id: &TenantId, prefix: &TablePrefix) -> Batch {
    let site = site_schema::key(prefix, id);
    let text = write_into!(
        "delete_tenant",
        "id_is_there, is_protected, site_is_there, id",
        concat!(
            "EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE id = ?6 AND deletion_protection = 1), ",
            has_site!("?7", "?6"),
            ", ?6"
        ),
        "id_is_there, is_protected"
    );
    let text = WriteText {
        is_stale: Some(is_stale!("tenants")),
        ..text
    };
    let values = [id.as_str().into(), site.into()];
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

impl TenantPatch {
    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            hostname,
            is_enabled,
            plan_id,
            limits,
            env,
            external_id,
            labels,
            cell_id,
            ends,
        } = self;
        hostname.is_none()
            && is_enabled.is_none()
            && plan_id.keeps()
            && limits.keeps()
            && env.keeps()
            && external_id.keeps()
            && labels.keeps()
            && cell_id.keeps()
            && ends.keep()
    }
}

/// The obstacles to a change of a tenant.
#[derive(Debug)]
pub(crate) struct EditObstacles {
    pub(crate) id_is_there: bool,
    pub(crate) values: Obstacles,
    pub(crate) labels_fit: bool,
    /// Something is installed, so the tenant keeps its cell.
    pub(crate) cell_is_fixed: bool,
}

impl EditObstacles {
    /// Reads the row that [`edit`] returns.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            id_is_there: row.obstacle("id_is_there", true)?,
            values: Obstacles::decode(row)?,
            labels_fit: row.obstacle("labels_fit", true)?,
            cell_is_fixed: row.obstacle("cell_is_fixed", false)?,
        })
    }
}

/// The obstacles to a write besides its id, as its statement found them. A holder is the id of the tenant that has the value already.
#[derive(Debug)]
pub(crate) struct Obstacles {
    pub(crate) hostname_holder: Option<String>,
    pub(crate) external_id_holder: Option<String>,
    pub(crate) plan_is_there: bool,
    /// There is the cell, and it takes tenants.
    pub(crate) cell_fits: bool,
}

impl Obstacles {
    /// Reads the row that a write returns.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            hostname_holder: row.holder("hostname_holder")?,
            external_id_holder: row.holder("external_id_holder")?,
            plan_is_there: row.obstacle("plan_is_there", true)?,
            cell_fits: row.obstacle("cell_fits", true)?,
        })
    }
}

/// The values of a new tenant that only its statement knew.
#[derive(Debug)]
pub(crate) struct Created {
    /// The site of a deleted tenant with the same id, if it has left one where the new tenant finds it.
    pub(crate) adopted: Option<SiteState>,
    /// Whether it has left them where the new tenant would not find them.
    pub(crate) site_is_elsewhere: bool,
    pub(crate) now: String,
    /// The plan's id as the plan spells it.
    pub(crate) plan_id: Option<String>,
    /// The cell's id as the cell spells it.
    pub(crate) cell_id: Option<String>,
}

impl Created {
    /// Reads the rest of the row that [`create`] returns, after its [`Obstacles`] and before the version.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        let site_is_elsewhere = row.obstacle("site_is_elsewhere", false)?;
        let site_is_there = row.boolean("site_is_there")?;
        let now = row.text("now")?;
        let plan_id = row.optional_text("plan_id")?;
        // As `kept_sites` has it.
        let adopted = match row.integer("adopts_kept")? {
            0 => site_is_there.then_some(SiteState::INSTALLED),
            1 => Some(SiteState::INSTALLED),
            2 => Some(SiteState::FAILED),
            other => {
                let detail = format!("column adopts_kept: expected 0 to 2; got {other}");
                return Err(unexpected_result(detail));
            }
        };
        Ok(Self {
            adopted,
            site_is_elsewhere,
            now,
            plan_id,
            cell_id: row.optional_text("cell")?,
        })
    }
}
