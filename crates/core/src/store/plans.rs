//! `tenants_plans`: a row each (contract §6).

use alloc::string::String;

use crate::auth::Caller;
use crate::crypto::seal::Sealer;
use crate::sql::{Batch, Sql, unexpected_result};
use crate::store::answers::Answers;
use crate::store::registry::{is_stale, revision, revision_of, version};
use crate::store::sealed::{self, EnvSealer};
use crate::store::slice;
use crate::store::standing::{self, Judged, caller, if_allowed};
use crate::store::write::{
    Found, Shown, Shows, WriteText, Writer, Written, holder, labels_fit, merged_labels, write,
    write_into,
};
use crate::value::external_id::ExternalId;
use crate::value::fault::ApiError;
use crate::value::id::PlanId;
use crate::value::patch::Edit;
use crate::wire::conditional::Version;
use crate::wire::labels::{Labels, LabelsPatch};
use crate::wire::page::Page;
use crate::wire::variables::{Variables, VariablesText};

pub(crate) const TABLE: &str = sealed::WITH_ENV[1];

/// A plan to create.
#[derive(Debug)]
pub(crate) struct NewPlan {
    pub(crate) id: PlanId,
    /// The name, which the legacy dialect requires and the current one lacks.
    pub(crate) name: Option<String>,
    /// The description, which only the legacy dialect has.
    pub(crate) description: Option<String>,
    /// `None` if the map was never set. An empty map is set.
    pub(crate) limits: Option<Variables>,
    pub(crate) env: Option<Variables>,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) labels: Labels,
}

/// Changes to a plan. `limits` and `env` replace the stored maps as a whole, `labels` merges (RFC 7396).
#[derive(Debug)]
pub(crate) struct PlanPatch {
    pub(crate) name: Option<String>,
    pub(crate) description: Edit<String>,
    pub(crate) limits: Edit<Variables>,
    pub(crate) env: Edit<Variables>,
    pub(crate) external_id: Edit<ExternalId>,
    pub(crate) labels: Edit<LabelsPatch>,
}

/// A plan's row, decrypted.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) limits: Option<VariablesText>,
    pub(crate) env: Option<VariablesText>,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// The columns that [`Plan::decode`] reads.
macro_rules! members {
    ($env:literal) => {
        concat!(
            "p.id, p.external_id, p.labels, p.limits, ",
            $env,
            ", p.created_at, p.updated_at, p.name, p.description"
        )
    };
}

/// These columns, after the caller's standing.
macro_rules! columns {
    () => {
        concat!("k.standing, ", $crate::store::plans::members!("p.env"))
    };
}

pub(crate) use {columns, members};

/// Reads `$what` of plans. A valid key and no plan give one row of `NULL`s.
macro_rules! select {
    ($what:expr, $on:literal, $bound:literal, $order:expr) => {
        concat!(
            "SELECT ",
            $what,
            " FROM ",
            caller!(),
            " AS k LEFT JOIN tenants_plans AS p ON ",
            $on,
            if_allowed!($bound),
            $order
        )
    };
}

/// What is remembered of the responses that show a plan. A PUT remembers whether the plan is new, too.
pub(crate) const ANSWERS: Answers = Answers {
    table: TABLE,
    of_tenants: false,
    patched: concat!(
        "json_array(",
        revision!("p.revision"),
        ", ",
        members!("NULL"),
        ") FROM tenants_plans AS p WHERE p.id = "
    ),
    put: concat!(
        "json_array(0, ",
        members!("NULL"),
        ") FROM tenants_plans AS p WHERE p.id = "
    ),
    put_new: concat!(
        "json_array(1, ",
        members!("NULL"),
        ") FROM tenants_plans AS p WHERE p.id = "
    ),
};

/// Reads a page of plans, in the order of their ids.
pub(crate) fn list(caller: &Caller, page: &Page) -> Batch {
    slice::page(
        caller,
        page,
        select!(
            slice::row!(columns!()),
            "p.id > ",
            "?5",
            " ORDER BY p.id LIMIT ?6"
        ),
        select!(
            slice::row!(columns!()),
            "p.id > ",
            "?5",
            concat!(
                " ORDER BY p.id",
                slice::limit!("tenants_plans", "?5", "?6", "?7")
            )
        ),
    )
}

/// Reads one plan and its revision. [`Plan::decode_versioned`] reads the row.
pub(crate) fn get(caller: &Caller, id: &PlanId) -> Sql {
    let text = select!(
        concat!(columns!(), ", ", revision!("p.revision"), " AS revision"),
        "p.id = ",
        "?5",
        ""
    );
    standing::statement(caller, text).values([id.as_str().into()])
}

impl Plan {
    /// Reads a row. `None` is the row of `NULL`s: the key is valid, and there is no plan.
    pub(crate) fn decode(
        mut row: Judged,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Self>, ApiError> {
        Self::decode_columns(&mut row, |id, env| sealed::open_env(TABLE, id, env, sealer))
    }

    /// Reads the row that a response shows.
    pub(crate) fn decode_shown(shown: Shown, sealer: Option<&Sealer>) -> Result<Self, ApiError> {
        let Shown { mut row, env } = shown;
        let open = |id: &str, own: Option<String>| sealed::open_env(TABLE, id, own.or(env), sealer);
        Self::decode_columns(&mut row, open)?
            .ok_or_else(|| unexpected_result("no plan after its write".into()))
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
        let Some(stored) = Self::decode_columns(&mut row, open)? else {
            return Ok(None);
        };
        Ok(Some(Found {
            version: version(&mut row)?,
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
        let Some(plan) = Self::decode_columns(&mut row, open)? else {
            return Ok(None);
        };
        Ok(Some((plan, version(&mut row)?)))
    }

    /// `open` decrypts the column `env`.
    fn decode_columns(
        row: &mut Judged,
        open: impl FnOnce(&str, Option<String>) -> Result<Option<VariablesText>, ApiError>,
    ) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            external_id: row.optional_text("external_id")?,
            labels: sealed::labels(TABLE, &id, &row.text("labels")?)?,
            limits: sealed::limits(TABLE, &id, row.optional_text("limits")?)?,
            env: open(&id, row.optional_text("env")?)?,
            created_at: row.text("created_at")?,
            updated_at: row.text("updated_at")?,
            name: row.optional_text("name")?,
            description: row.optional_text("description")?,
            id,
        }))
    }
}

/// Creates a plan. The result is a [`Created`].
pub(crate) fn create(
    writer: &Writer,
    new: &NewPlan,
    shows: Shows,
    sealer: &mut EnvSealer<'_>,
) -> Result<Batch, ApiError> {
    let env = match &new.env {
        Some(env) => Some(sealer.seal(TABLE, new.id.as_str(), env)?),
        None => None,
    };
    let text = write_into!(
        "create_plan",
        "id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels",
        "EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, \
         EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?11), ?11, ?12",
        concat!(
            holder!("id_is_there", "tenants_plans", "id = ?6"),
            " AS id_holder, ",
            holder!("external_id_is_taken", "tenants_plans", "external_id = ?11"),
            " AS external_id_holder, now, ",
            revision_of!("tenants_plans")
        ),
        "json_array(?3)"
    );
    let values = [
        new.id.as_str().into(),
        new.name.as_deref().into(),
        new.description.as_deref().into(),
        new.limits.as_ref().map(Variables::to_stored).into(),
        env.into(),
        new.external_id.as_ref().map(ExternalId::as_str).into(),
        new.labels.to_json().into(),
    ];
    let read = || get(writer, &new.id);
    Ok(ANSWERS.batch(writer, new.id.as_str(), text, (shows, true), values, read))
}

impl PlanPatch {
    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            name,
            description,
            limits,
            env,
            external_id,
            labels,
        } = self;
        name.is_none()
            && description.keeps()
            && limits.keeps()
            && env.keeps()
            && external_id.keeps()
            && labels.keeps()
    }
}

/// The ids of the plans that have the values of a new one already.
#[derive(Debug)]
pub(crate) struct Holders {
    pub(crate) id: Option<String>,
    pub(crate) external_id: Option<String>,
}

/// The outcome of [`create`].
#[derive(Debug)]
pub(crate) enum Created {
    Taken(Holders),
    /// The plan could be created.
    Tried,
    /// The plan was created at this time, and has this version.
    At(String, Version),
}

impl Created {
    /// Reads the obstacles alone.
    pub(crate) fn holders(row: &mut Written) -> Result<Holders, ApiError> {
        Ok(Holders {
            id: row.holder("id_holder")?,
            external_id: row.holder("external_id_holder")?,
        })
    }

    /// Reads the row that [`create`] returns.
    pub(crate) fn decode(mut row: Written) -> Result<Self, ApiError> {
        let holders = Self::holders(&mut row)?;
        Ok(if holders.id.is_some() || holders.external_id.is_some() {
            Self::Taken(holders)
        } else if row.is_trial() {
            Self::Tried
        } else {
            Self::At(row.text("now")?, version(&mut row)?)
        })
    }
}

/// Changes a plan. The result is [`Edited`], and the new [`version`]. If the response shows the plan, the last statement reads it.
pub(crate) fn edit(
    writer: &Writer,
    id: &PlanId,
    patch: &PlanPatch,
    shows: Shows,
    sealer: &mut EnvSealer<'_>,
) -> Result<Batch, ApiError> {
    let (sets_description, description) =
        patch.description.columns(|text| Ok(Some(text.as_str())))?;
    let (sets_limits, limits) = patch.limits.columns(|map| Ok(Some(map.to_stored())))?;
    let (sets_env, env) = patch
        .env
        .columns(|map| sealer.seal(TABLE, id.as_str(), map).map(Some))?;
    let (sets_external_id, external_id) = patch.external_id.columns(|id| Ok(Some(id.as_str())))?;
    let (sets_labels, labels) = patch.labels.columns(|patch| Ok(Some(patch.to_json())))?;
    let text = write_into!(
        "edit_plan",
        "id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env, \
         external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels",
        concat!(
            "EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
             EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?15 AND id <> ?6), ",
            labels_fit!("tenants_plans", "?17"),
            ", ?14, ?15, ?16, ",
            merged_labels!("tenants_plans", "?17")
        ),
        concat!(
            "id_is_there, ",
            holder!("external_id_is_taken", "tenants_plans", "external_id = ?15"),
            " AS external_id_holder, labels_fit, ",
            revision_of!("tenants_plans")
        )
    );
    let text = WriteText {
        is_stale: Some(is_stale!("tenants_plans")),
        ..text
    };
    let values = [
        id.as_str().into(),
        patch.name.as_deref().into(),
        sets_description.into(),
        description.into(),
        sets_limits.into(),
        limits.into(),
        sets_env.into(),
        env.into(),
        sets_external_id.into(),
        external_id.into(),
        sets_labels.into(),
        labels.into(),
    ];
    let read = || get(writer, id);
    Ok(ANSWERS.batch(writer, id.as_str(), text, (shows, false), values, read))
}

/// The outcome of [`edit`].
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) id_is_there: bool,
    /// The id of the plan that has the external id already.
    pub(crate) external_id_holder: Option<String>,
    pub(crate) labels_fit: bool,
}

impl Edited {
    /// Reads the row that [`edit`] returns.
    pub(crate) fn decode(row: &mut Written) -> Result<Self, ApiError> {
        Ok(Self {
            id_is_there: row.obstacle("id_is_there", true)?,
            external_id_holder: row.holder("external_id_holder")?,
            labels_fit: row.obstacle("labels_fit", true)?,
        })
    }
}

/// Deletes a plan. Its tenants keep running without one. The result is a row of
/// [`write::was_there`](crate::store::write::was_there).
pub(crate) fn delete(writer: &Writer, id: &PlanId) -> Batch {
    let text = write_into!(
        "delete_plan",
        "id_is_there, id",
        "EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6",
        "id_is_there"
    );
    let text = WriteText {
        is_stale: Some(is_stale!("tenants_plans")),
        ..text
    };
    write(writer, text, [id.as_str().into()])
}
