//! `create`, `get`, `list`, `edit` and `delete`: tenants, through the API.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_core::value::id::TenantId;

use super::{ListArgs, MapArgs, Maps, body};
use crate::api::{Client, Request};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

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
}

#[derive(Debug, Clone, Args)]
struct TenantSettings {
    /// Its plan; '' means no plan
    #[arg(long = "plan_id", alias = "plan-id", value_name = "PLAN")]
    plan_id: Option<String>,

    #[command(flatten)]
    maps: MapArgs,
}

/// The options of `get`.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// Its identifier
    #[arg(long, value_parser = TenantId::parse)]
    pub id: TenantId,
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
    limits: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Box<RawValue>>,
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
    let Maps { limits, env } = args.settings.maps.read(session, world)?;
    let body = body(&Fields {
        id: Some(&args.id),
        hostname: Some(&args.hostname),
        is_enabled: Some(args.is_enabled),
        plan_id: args.settings.plan_id.as_deref(),
        limits,
        env,
    })?;
    let answer = Client::new(&session.settings, world)?.call(Request::Post(&body), "/tenants")?;
    session.show(&answer.body, world)
}

/// Shows a tenant.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn get(args: &ChoiceArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = format!("/tenants/{}", args.id);
    let answer = Client::new(&session.settings, world)?.call(Request::Get, &path)?;
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
    super::list("/tenants", "tenants", COLUMNS, args, session, world)
}

/// Changes only the fields of a tenant that the options name.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, which needs at least one field.
pub fn edit(args: &EditArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let Maps { limits, env } = args.settings.maps.read(session, world)?;
    let fields = Fields {
        id: None,
        hostname: args.hostname.as_deref(),
        is_enabled: args.is_enabled,
        plan_id: args.settings.plan_id.as_deref(),
        limits,
        env,
    };
    let path = format!("/tenants/{}", args.id);
    Client::new(&session.settings, world)?.call(Request::Patch(&body(&fields)?), &path)?;
    session.say(&format!("edited tenant `{}`", args.id), world)
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
    let path = format!("/tenants/{}", args.id);
    Client::new(&session.settings, world)?.call(Request::Delete(body), &path)?;
    session.say(&format!("deleted tenant `{}`", args.id), world)
}

/// Parses `1` or `0`, as Chevereto's own program does, or `true` or `false`.
fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("expected 1 or 0".into()),
    }
}
