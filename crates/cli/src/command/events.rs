//! `events`: what happened, through the API, as JSON lines; and what happens, as long as the command runs.

use std::thread;
use std::time::Duration;

use clap::Args;
use tenants_client::{Request, query_value};

use super::rows;
use crate::error::{Error, Exit};
use crate::output::World;
use crate::patience::{self, Patience};
use crate::session::Session;

/// How long the command waits before it asks again for what happens.
const PAUSE: Duration = Duration::from_secs(3);

/// The most events of one request.
const PAGE: u32 = 1000;

/// The options of `events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// Only events of this type, such as tenant.created
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// Only those after the event with this id; `now`: only those from now on
    #[arg(long, value_name = "ID")]
    after: Option<String>,

    /// Go on, and ask again every three seconds
    #[arg(long)]
    follow: bool,
}

/// Shows events, the oldest first, one a line.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request. With `--follow` only the first request must reach it.
pub fn run(args: &EventsArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = session.client(world)?;
    let mut path = format!("/events?limit={PAGE}");
    for (name, value) in [("after", &args.after), ("type", &args.kind)] {
        if let Some(value) = value {
            path += &format!("&{name}={}", query_value(value));
        }
    }
    let patience = Patience::default();
    let mut answer = patience.ask(
        || client.call(Request::Get, &path),
        |pause| world.note(&patience::note(pause)),
    )?;
    loop {
        let events = rows(&answer)?;
        for event in &events {
            world.print(event.get())?;
        }
        if events.is_empty() {
            if !args.follow {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        answer = loop {
            let next = patience.ask(
                || client.following(&answer),
                |pause| world.note(&patience::note(pause)),
            );
            let is_limit = next.as_ref().is_err_and(patience::is_limit);
            match next.map_err(Error::from) {
                Ok(Some(next)) => break next,
                Ok(None) => return Err(strange("the answer does not name the next page")),
                Err(error) if args.follow && (is_limit || error.exit() == Exit::Failed) => {
                    world.note(&error.problem().to_text());
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        };
    }
}

fn strange(detail: &str) -> Error {
    Error::Strange {
        detail: detail.into(),
        request_id: String::new(),
    }
}
