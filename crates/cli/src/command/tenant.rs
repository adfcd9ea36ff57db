//! `create`, `get`, `list`, `edit` and `delete`: tenants, through the API.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_client::{Part, Request, query_value};
use tenants_core::value::id::TenantId;

use super::{EtagArg, ExternalIdArg, MapArgs, Maps, TrialArg, VersionArg, body, job};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;
use tenants_client::terminal::printable;

/// The options of `create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// Its identifier: 1 to 16 letters, digits, `_` and `-`
    #[arg(long)]
    pub id: String,

    /// Its hostname
    #[arg(long)]
    pub hostname: String,

    /// Whether its site is served
    #[arg(long = "is_enabled", alias = "is-enabled", value_name = "1|0", value_parser = flag, action = clap::ArgAction::Set)]
    pub is_enabled: bool,

    #[command(flatten)]
    settings: TenantSettings,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `edit`.
#[derive(Debug, Clone, Args)]
pub struct EditArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,

    /// Its new hostname
    #[arg(long)]
    pub hostname: Option<String>,

    /// Whether its site is served from now on
    #[arg(long = "is_enabled", alias = "is-enabled", value_name = "1|0", value_parser = flag, action = clap::ArgAction::Set)]
    pub is_enabled: Option<bool>,

    #[command(flatten)]
    settings: TenantSettings,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Debug, Clone, Args)]
struct TenantSettings {
    /// Its plan; '' means no plan
    #[arg(long = "plan_id", alias = "plan-id", value_name = "PLAN")]
    plan_id: Option<String>,

    /// Its cell; '' means none [default of a new one: the service's]
    #[arg(long = "cell_id", alias = "cell-id", value_name = "CELL")]
    cell_id: Option<String>,

    /// When it is held for non_payment, in UTC; '' means never
    #[arg(
        long = "suspend-at",
        alias = "suspend_at",
        value_name = "YYYY-MM-DD HH:MM:SS"
    )]
    suspend_at: Option<String>,

    /// When it is deleted, in UTC; '' means never
    #[arg(
        long = "delete-at",
        alias = "delete_at",
        value_name = "YYYY-MM-DD HH:MM:SS"
    )]
    delete_at: Option<String>,

    /// Whether nothing deletes it
    #[arg(long = "deletion-protection", alias = "deletion_protection", value_name = "1|0", value_parser = flag, action = clap::ArgAction::Set)]
    deletion_protection: Option<bool>,

    #[command(flatten)]
    external_id: ExternalIdArg,

    #[command(flatten)]
    maps: MapArgs,
}

impl TenantSettings {
    /// Returns the cell to send, if any: `null` for none.
    fn cell_id(&self) -> Option<Option<&str>> {
        or_null(self.cell_id.as_deref())
    }
}

/// Returns the value of an option to send, if any: `null` for `''`.
fn or_null(option: Option<&str>) -> Option<Option<&str>> {
    option.map(|text| Some(text).filter(|text| !text.is_empty()))
}

/// The options of `get`.
#[derive(Debug, Clone, Args)]
pub struct GetArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse, required_unless_present = "external_id")]
    pub id: Option<TenantId>,

    /// Another system's identifier of it
    #[arg(
        long = "external-id",
        alias = "external_id",
        value_name = "ID",
        conflicts_with_all = ["id", "etag"]
    )]
    pub external_id: Option<String>,

    #[command(flatten)]
    etag: EtagArg,
}

/// The options of `list`.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "tenant_list")]
pub struct ListArgs {
    #[command(flatten)]
    part: super::ListArgs,

    /// Show only the one with this identifier; may be repeated, up to 100 times
    #[arg(long, value_parser = TenantId::parse)]
    id: Vec<TenantId>,

    /// Show only those of this plan; '' means no plan
    #[arg(long = "plan_id", alias = "plan-id", value_name = "PLAN")]
    plan_id: Option<String>,

    /// Show only those that are enabled, or only those that are not
    #[arg(long = "is_enabled", alias = "is-enabled", value_name = "1|0", value_parser = flag, action = clap::ArgAction::Set)]
    is_enabled: Option<bool>,

    /// Show only the one with this hostname
    #[arg(long)]
    hostname: Option<String>,

    /// Show only the one with this identifier of another system
    #[arg(long = "external-id", alias = "external_id", value_name = "ID")]
    external_id: Option<String>,

    /// Show only those with this label, as NAME:VALUE or NAME; may be repeated
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,

    /// Show only those created at or after this time, in UTC
    #[arg(
        long = "created-since",
        alias = "created_since",
        value_name = "YYYY-MM-DD HH:MM:SS"
    )]
    created_since: Option<String>,

    /// Show only those changed at or after this time, in UTC
    #[arg(
        long = "updated-since",
        alias = "updated_since",
        value_name = "YYYY-MM-DD HH:MM:SS"
    )]
    updated_since: Option<String>,

    /// Show only those whose id or hostname begins with this
    #[arg(long = "query", alias = "q", value_name = "PREFIX")]
    query: Option<String>,

    /// Order by this, then by id; with a `-` before it, from the last to the first [default: by id]
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, value_parser = [
        "updated_at", "-updated_at", "created_at", "-created_at", "hostname", "-hostname",
    ])]
    sort: Option<String>,

    /// Show the deleted ones that can be brought back
    #[arg(long, conflicts_with_all = [
        "id", "plan_id", "is_enabled", "hostname", "external_id", "label", "created_since", "updated_since", "query", "sort",
    ])]
    deleted: bool,
}

impl ListArgs {
    /// Returns the path of the list with its filters.
    fn path(&self) -> String {
        let is_enabled = self.is_enabled.map(|is| is.to_string());
        let filters = [
            ("plan_id", self.plan_id.as_deref()),
            ("is_enabled", is_enabled.as_deref()),
            ("hostname", self.hostname.as_deref()),
            ("external_id", self.external_id.as_deref()),
            ("created_since", self.created_since.as_deref()),
            ("updated_since", self.updated_since.as_deref()),
            ("q", self.query.as_deref()),
            ("sort", self.sort.as_deref()),
            ("deleted", self.deleted.then_some("true")),
        ];
        let ids = self.id.iter().map(|id| ("id", id.as_str()));
        let labels = self.label.iter().map(|label| ("label", label.as_str()));
        let all: Vec<String> = filters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .chain(ids)
            .chain(labels)
            .map(|(name, value)| format!("{name}={}", query_value(value)))
            .collect();
        match all.as_slice() {
            [] => "/tenants".into(),
            all => format!("/tenants?{}", all.join("&")),
        }
    }
}

/// The options of `settings`.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,
}

/// The options of `undelete`.
#[derive(Debug, Clone, Args)]
pub struct UndeleteArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `erase`.
#[derive(Debug, Clone, Args)]
pub struct EraseArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,

    /// Drop its tables too, with everything that its users ever created
    #[arg(long, alias = "drop_tables")]
    pub drop_tables: bool,

    #[command(flatten)]
    version: VersionArg,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell_id: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspend_at: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_at: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_protection: Option<bool>,
}

/// Creates a tenant and shows it.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn create(
    args: &CreateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let Maps {
        limits,
        env,
        labels,
    } = args.settings.maps.read(session, world)?;
    let body = body(&Fields {
        id: Some(&args.id),
        hostname: Some(&args.hostname),
        is_enabled: Some(args.is_enabled),
        plan_id: args.settings.plan_id.as_deref(),
        cell_id: args.settings.cell_id(),
        external_id: args.settings.external_id.value(),
        labels,
        limits,
        env,
        suspend_at: or_null(args.settings.suspend_at.as_deref()),
        delete_at: or_null(args.settings.delete_at.as_deref()),
        deletion_protection: args.settings.deletion_protection,
    })?;
    let answer = session
        .client(world)?
        .call(Request::Post(&body), &args.trial.path("/tenants"))?;
    session.show(&answer.body, world)
}

/// Shows a tenant.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn get(args: &GetArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = session.client(world)?;
    let external_id = args.external_id.as_deref().unwrap_or_default();
    let Some(id) = &args.id else {
        let path = format!("/tenants?external_id={}", query_value(external_id));
        let (rows, _) = client.list(&path, Part::ALL)?;
        return match rows.first() {
            Some(tenant) => session.show(tenant.get(), world),
            None => Err(Error::Refused {
                code: "not_found",
                detail: format!(
                    "there is no tenant with the external id `{}`",
                    printable(external_id)
                ),
            }),
        };
    };
    let answer = client.call(Request::Get, &format!("/tenants/{id}"))?;
    args.etag.show(&answer, session, world)
}

/// Shows the settings that a tenant's site runs with.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn settings(
    args: &ChoiceArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = format!("/tenants/{}/settings", args.id);
    let answer = session.client(world)?.call(Request::Get, &path)?;
    session.show(&answer.body, world)
}

/// Shows all tenants, or a part of them.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(args: &ListArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    const COLUMNS: &[(&str, &str)] = &[
        ("ID", "/id"),
        ("HOSTNAME", "/hostname"),
        ("ENABLED", "/is_enabled"),
        ("PLAN", "/plan_id"),
        ("USERS", "/stats/users"),
        ("FILES", "/stats/files"),
        ("BYTES", "/stats/storage_used"),
        ("CREATED", "/created_at"),
    ];
    let order = args
        .sort
        .as_deref()
        .map(|sort| sort.trim_start_matches('-'));
    let list = super::List {
        path: &args.path(),
        what: "tenants",
        columns: COLUMNS,
        order,
    };
    list.show(&args.part, session, world)
}

/// Changes only the fields of a tenant that the options name.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, which needs at least one field.
pub fn edit(args: &EditArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let Maps {
        limits,
        env,
        labels,
    } = args.settings.maps.read(session, world)?;
    let fields = Fields {
        id: None,
        hostname: args.hostname.as_deref(),
        is_enabled: args.is_enabled,
        plan_id: args.settings.plan_id.as_deref(),
        cell_id: args.settings.cell_id(),
        external_id: args.settings.external_id.value(),
        labels,
        limits,
        env,
        suspend_at: or_null(args.settings.suspend_at.as_deref()),
        delete_at: or_null(args.settings.delete_at.as_deref()),
        deletion_protection: args.settings.deletion_protection,
    };
    let path = args.trial.path(&format!("/tenants/{}", args.id));
    let if_match = args.version.if_match.as_deref();
    let answer =
        session
            .client(world)?
            .call_if(if_match, Request::Patch(&body(&fields)?), &path)?;
    let done = format!("edited tenant `{}`", args.id);
    args.trial.say(&answer, &done, session, world)
}

/// Deletes a tenant.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn delete(
    args: &DeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let body: &[u8] = if args.drop_tables {
        br#"{"drop_tables":true}"#
    } else {
        b""
    };
    let path = args.trial.path(&format!("/tenants/{}", args.id));
    let if_match = args.version.if_match.as_deref();
    let client = session.client(world)?;
    let answer = job::call(if_match, Request::Delete(body), &path, &client, world)?;
    job::wait(&answer, &client, world)?;
    let done = format!("deleted tenant `{}`", args.id);
    args.trial.say(&answer, &done, session, world)
}

/// Brings a deleted tenant back.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn undelete(
    args: &UndeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = args.trial.path(&format!("/tenants/{}/restore", args.id));
    let answer = session.client(world)?.call(Request::Post(b""), &path)?;
    let done = format!("brought tenant `{}` back", args.id);
    args.trial.say(&answer, &done, session, world)
}

/// Wipes a tenant, living or deleted, with its tables.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, or if a cell does not drop the tables.
pub fn erase(args: &EraseArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = args.trial.path(&format!("/tenants/{}/erase", args.id));
    let client = session.client(world)?;
    let answer = job::call(None, Request::Post(b""), &path, &client, world)?;
    job::wait(&answer, &client, world)?;
    let done = format!(
        "erased tenant `{}`, but for uploaded files and backups",
        args.id
    );
    args.trial.say(&answer, &done, session, world)
}

/// Parses `1` or `0`, as Chevereto's own program does, or `true` or `false`.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("expected 1 or 0".into()),
    }
}
