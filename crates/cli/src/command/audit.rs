//! `audit:list`: what was written to the registry, by whom and when, through the API.

use clap::Args;
use tenants_client::{Request, query_value};

use super::rows;
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The columns of a list of entries.
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("TIME", "/created_at"),
    ("KEY", "/key_id"),
    ("ACTION", "/action"),
    ("SUBJECT", "/subject"),
    ("CHANGED", "/changed"),
    ("REQUEST", "/request_id"),
];

/// The options of `audit:list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only entries of subjects of this type, such as tenant or plan
    #[arg(long, value_name = "TYPE")]
    subject_type: Option<String>,

    /// Only entries of the subject with this identifier
    #[arg(long, value_name = "ID")]
    subject: Option<String>,

    /// Only entries of this action, such as tenant.update
    #[arg(long)]
    action: Option<String>,

    /// Only entries of the API key with this number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    key_id: Option<u64>,

    /// Only entries of the command line, which have no key
    #[arg(long, conflicts_with = "key_id")]
    without_key: bool,

    /// Only entries of this time or later (YYYY-MM-DD HH:MM:SS, in UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Show at most this many, the oldest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,

    /// Show only those that come after the entry with this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
}

/// Shows entries of the audit log, the oldest first.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(args: &ListArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let mut path = format!("/audit?limit={}", args.limit);
    let key = match args.key_id {
        _ if args.without_key => Some(String::new()),
        key => key.map(|key| key.to_string()),
    };
    for (name, value) in [
        ("subject_type", args.subject_type.clone()),
        ("subject", args.subject.clone()),
        ("action", args.action.clone()),
        ("key_id", key),
        ("since", args.since.clone()),
        ("after", args.after.map(|id| id.to_string())),
    ] {
        if let Some(value) = value {
            path += &format!("&{name}={}", query_value(&value));
        }
    }
    let answer = session.client(world)?.call(Request::Get, &path)?;
    session.show_list(&rows(&answer)?, COLUMNS, "entries", world)
}
