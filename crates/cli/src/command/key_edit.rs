//! `api:key:edit`: another name or another end of an API key, through the API.

use clap::Args;
use serde::Serialize;
use tenants_client::Request;

use super::key::{name, timestamp};
use super::{TrialArg, body};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

/// The options of `api:key:edit`.
#[derive(Debug, Clone, Args)]
#[group(id = "change", required = true, multiple = true, args = ["name", "expires"])]
pub struct EditArgs {
    /// The key with this id
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,

    /// A name that says what the key is for, 1 to 255 characters; '' removes it
    #[arg(long, value_parser = or_none(name))]
    name: Option<String>,

    /// The time, in UTC, from which the key is refused; '' removes it
    #[arg(long, value_name = "YYYY-MM-DD HH:MM:SS", value_parser = or_none(time))]
    expires: Option<String>,

    #[command(flatten)]
    trial: TrialArg,
}

/// Takes the empty text besides what a parser takes.
fn or_none(
    parse: fn(&str) -> Result<String, String>,
) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| match text {
        "" => Ok(String::new()),
        text => parse(text),
    }
}

fn time(text: &str) -> Result<String, String> {
    timestamp(text).map(|at| at.as_str().to_owned())
}

#[derive(Serialize)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Option<String>>,
}

/// Changes what the options name. The key's text stays.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn run(args: &EditArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    // `null` removes a value.
    let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let body = body(&Fields {
        name: args.name.as_deref().map(value),
        expires_at: args.expires.as_deref().map(value),
    })?;
    let path = args.trial.path(&format!("/keys/{}", args.id));
    let answer = session.client(world)?.call(Request::Patch(&body), &path)?;
    let done = format!("edited key {}", args.id);
    args.trial.say(&answer, &done, session, world)
}
