//! `webhook:create`, `webhook:list`, `webhook:get`, `webhook:edit`, `webhook:delete`, `webhook:rotate`, `webhook:test`, `webhook:deliveries` and
//! `webhook:retry`: the receivers of events, through the API.

use clap::Args;
use serde::{Deserialize, Serialize};
use tenants_client::terminal::printable;
use tenants_client::{Request, query_value};
use tenants_core::task::keys::MAX_OVERLAP_SECONDS;

use super::tenant::flag;
use super::{List, ListArgs, TrialArg, body, or_lost, rows};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("URL", "/url"),
    ("TYPES", "/types"),
    ("ENABLED", "/is_enabled"),
    ("FAILING SINCE", "/failing_since"),
    ("BEHIND", "/behind"),
    ("DESCRIPTION", "/description"),
];

const DELIVERIES: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("TIME", "/at"),
    ("EVENT", "/event"),
    ("TYPE", "/type"),
    ("SUBJECT", "/subject"),
    ("OUTCOME", "/outcome"),
    ("STATUS", "/status"),
    ("MS", "/milliseconds"),
];

/// From where a webhook that is enabled again goes on (contract §17).
const BEGINNINGS: [&str; 2] = ["now", "backlog"];

/// The options of `webhook:create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The URL that events are sent to: https, at a public address
    #[arg(long, value_name = "URL")]
    receiver: String,

    #[command(flatten)]
    types: TypesArg,

    /// What it is for
    #[arg(long)]
    description: Option<String>,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `webhook:edit`.
#[derive(Debug, Clone, Args)]
#[group(id = "change", required = true, multiple = true, args = ["receiver", "types", "description", "is_enabled"])]
pub struct EditArgs {
    #[command(flatten)]
    choice: ChoiceArgs,

    /// The URL that events are sent to from now on
    #[arg(long, value_name = "URL")]
    receiver: Option<String>,

    #[command(flatten)]
    types: TypesArg,

    /// What it is for; '' removes it
    #[arg(long)]
    description: Option<String>,

    /// Whether events are sent
    #[arg(long = "is_enabled", alias = "is-enabled", value_name = "1|0", value_parser = flag, action = clap::ArgAction::Set)]
    is_enabled: Option<bool>,

    /// Where it goes on if it is enabled again: with what it has not sent, or with what comes
    #[arg(long, value_parser = BEGINNINGS, requires = "is_enabled")]
    from: Option<String>,

    #[command(flatten)]
    trial: TrialArg,
}

/// The types of events that a webhook gets.
#[derive(Debug, Clone, Args)]
struct TypesArg {
    /// Only events of this type or family, such as tenant.created or tenant.*; may be repeated; '' alone is all
    #[arg(long = "type", id = "types", value_name = "TYPE")]
    types: Vec<String>,
}

impl TypesArg {
    /// The list to send, if any is named.
    fn value(&self) -> Option<Vec<&str>> {
        let named = self.types.iter().map(String::as_str);
        let all = named.filter(|one| !one.is_empty()).collect();
        (!self.types.is_empty()).then_some(all)
    }
}

/// One webhook.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// The webhook
    #[arg(long)]
    id: String,
}

impl ChoiceArgs {
    fn path(&self) -> String {
        format!("/webhooks/{}", query_value(&self.id))
    }
}

/// The options of `webhook:delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    choice: ChoiceArgs,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `webhook:rotate`.
#[derive(Debug, Clone, Args)]
pub struct RotateArgs {
    #[command(flatten)]
    choice: ChoiceArgs,

    /// For how long messages are signed under the secret before, too, at most a week
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_OVERLAP_SECONDS)))]
    overlap: u32,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `webhook:deliveries`.
#[derive(Debug, Clone, Args)]
pub struct DeliveriesArgs {
    #[command(flatten)]
    choice: ChoiceArgs,

    #[command(flatten)]
    list: ListArgs,
}

/// The options of `webhook:retry`.
#[derive(Debug, Clone, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    choice: ChoiceArgs,

    /// The event, as `webhook:deliveries` and `events` show its id
    #[arg(long, value_name = "ID")]
    event: String,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
}

#[derive(Serialize)]
struct Overlap {
    overlap_seconds: u32,
}

/// Makes a webhook, and shows it with its secret.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn create(
    args: &CreateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let body = body(&Fields {
        url: Some(&args.receiver),
        types: args.types.value(),
        description: args.description.as_deref().map(Some),
        is_enabled: None,
        from: None,
    })?;
    let path = args.trial.path("/webhooks");
    let answer = session.client(world)?.call(Request::Post(&body), &path)?;
    show_secret(&answer.body, None, &args.trial, session, world)
}

/// Shows a webhook's new secret. If that fails, says that it is lost.
fn show_secret(
    answer: &str,
    id: Option<&str>,
    trial: &TrialArg,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }

    let shown = session.show(answer, world);
    if trial.validate_only {
        return shown;
    }
    let made = serde_json::from_str::<Made>(answer).ok();
    let id = id.or(made.as_ref().map(|made| made.id.as_str()));
    let id = printable(id.unwrap_or("ID"));
    let advice = format!(
        "The webhook has a secret that nobody has now. `tenants webhook:rotate --id {id}` gives it another one"
    );
    or_lost(shown, &advice)?;
    world.note("Keep the secret: it is not shown again.");
    Ok(())
}

/// Lists the webhooks.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let answer = session.client(world)?.call(Request::Get, "/webhooks")?;
    session.show_list(&rows(&answer)?, COLUMNS, "webhooks", world)
}

/// Shows a webhook.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn get(args: &ChoiceArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let answer = session.client(world)?.call(Request::Get, &args.path())?;
    session.show(&answer.body, world)
}

/// Changes a webhook.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn edit(args: &EditArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let description = args.description.as_deref();
    let body = body(&Fields {
        url: args.receiver.as_deref(),
        types: args.types.value(),
        description: description.map(|text| Some(text).filter(|text| !text.is_empty())),
        is_enabled: args.is_enabled,
        from: args.from.as_deref(),
    })?;
    let path = args.trial.path(&args.choice.path());
    let answer = session.client(world)?.call(Request::Patch(&body), &path)?;
    let done = format!("edited webhook `{}`", args.choice.id);
    args.trial.say(&answer, &done, session, world)
}

/// Deletes a webhook. What it has not sent is not sent.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn delete(
    args: &DeleteArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = args.trial.path(&args.choice.path());
    let answer = session.client(world)?.call(Request::Delete(b""), &path)?;
    let done = format!("deleted webhook `{}`", args.choice.id);
    args.trial.say(&answer, &done, session, world)
}

/// Gives a webhook a new secret, and shows it.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn rotate(
    args: &RotateArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let body = body(&Overlap {
        overlap_seconds: args.overlap,
    })?;
    let path = args.trial.path(&format!("{}/rotate", args.choice.path()));
    let answer = session.client(world)?.call(Request::Post(&body), &path)?;
    let id = Some(args.choice.id.as_str());
    show_secret(&answer.body, id, &args.trial, session, world)
}

/// Sends an event to a webhook's receiver at once, and shows what it answered.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, or if the receiver did not accept the event.
pub fn test(args: &ChoiceArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = format!("{}/test", args.path());
    let answer = session.client(world)?.call(Request::Post(b""), &path)?;
    let tried: serde_json::Value =
        serde_json::from_str(&answer.body).map_err(|_| Error::Strange {
            detail: "the answer is not a JSON object".into(),
            request_id: String::new(),
        })?;
    session.show(&answer.body, world)?;
    if tried["outcome"] == "accepted" {
        Ok(())
    } else {
        Err(Error::Refused {
            code: "not_accepted",
            detail: "the receiver did not accept the event".into(),
        })
    }
}

/// Lists the attempts of the last 30 days, the newest first.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn deliveries(
    args: &DeliveriesArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let list = List {
        path: &format!("{}/deliveries", args.choice.path()),
        what: "deliveries",
        columns: DELIVERIES,
        order: None,
    };
    list.show(&args.list, session, world)
}

/// Sends an event again, and after it the later ones of its subject.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn retry(args: &RetryArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let event = query_value(&args.event);
    let path = format!("{}/deliveries/{event}/retry", args.choice.path());
    let path = args.trial.path(&path);
    let answer = session.client(world)?.call(Request::Post(b""), &path)?;
    let done = format!("sends event `{}` again", args.event);
    args.trial.say(&answer, &done, session, world)
}
