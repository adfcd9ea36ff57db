//! `job:list`, `job:get` and `job:cancel`: the work that cells do for tenants, through the API; and the wait for the end of a job.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use tenants_client::terminal::printable;
use tenants_client::{Answer, Client, Request, query_value};
use tenants_core::value::id::TenantId;

use crate::error::Error;
use crate::output::World;
use crate::patience::{self, Patience};
use crate::progress::Spinner;
use crate::session::Session;

/// The columns of a list of jobs.
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("TENANT", "/tenant_id"),
    ("CELL", "/cell_id"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("ATTEMPTS", "/attempts"),
    ("CREATED", "/created_at"),
    ("ERROR", "/error"),
];

/// How often a command looks for the end of a job, how often it says that the job goes on, and how long it waits for the end.
const PAUSE: Duration = Duration::from_secs(2);
const SAID_AGAIN: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_secs(600);

/// The options of `job:list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only jobs of this tenant
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,

    /// Only jobs in this state
    #[arg(long, value_parser = ["waiting", "running", "done", "refused", "failed", "cancelled"])]
    state: Option<String>,

    /// Show at most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,

    /// Show only those that are older than this job
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

/// The options of `job:get`.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// Its identifier
    #[arg(long)]
    pub id: String,
}

/// The options of `job:cancel`.
#[derive(Debug, Clone, Args)]
pub struct CancelArgs {
    /// Its identifier
    #[arg(long)]
    pub id: String,

    #[command(flatten)]
    trial: super::TrialArg,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    cell_id: String,
    state: String,
    error: Option<String>,
}

/// Shows jobs, the newest first.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn list(args: &ListArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let mut path = format!("/jobs?limit={}", args.limit);
    for (name, value) in [
        ("tenant", args.tenant.as_ref().map(TenantId::as_str)),
        ("state", args.state.as_deref()),
        ("after", args.after.as_deref()),
    ] {
        if let Some(value) = value {
            path += &format!("&{name}={}", query_value(value));
        }
    }
    let answer = session.client(world)?.call(Request::Get, &path)?;
    session.show_list(&super::rows(&answer)?, COLUMNS, "jobs", world)
}

/// Shows a job.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn get(args: &ChoiceArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let path = format!("/jobs/{}", query_value(&args.id));
    let answer = session.client(world)?.call(Request::Get, &path)?;
    session.show(&answer.body, world)
}

/// Cancels a job that nobody has leased.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn cancel(
    args: &CancelArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let path = args
        .trial
        .path(&format!("/jobs/{}/cancel", query_value(&args.id)));
    let answer = session.client(world)?.call(Request::Post(b""), &path)?;
    let done = format!("cancelled the job `{}`", args.id);
    args.trial.say(&answer, &done, session, world)
}

/// Sends a request that a cell may have to carry out. The API itself waits for the cell, so a terminal shows that it does.
///
/// # Errors
/// As [`Client::call`].
pub fn call(
    if_match: Option<&str>,
    request: Request<'_>,
    path: &str,
    client: &Client,
    world: &World<'_>,
) -> Result<Answer, Error> {
    let _shown = Spinner::new("waiting for the API", world);
    Ok(client.call_if(if_match, request, path)?)
}

/// If the answer is a job that a cell has not finished, waits for its end, and shows its state and the time. Returns whether it was one.
///
/// # Errors
/// Fails if the job fails, or if it takes more than ten minutes.
pub fn wait(answer: &Answer, client: &Client, world: &mut World<'_>) -> Result<bool, Error> {
    if answer.status != 202 {
        return Ok(false);
    }
    let begun = Instant::now();
    let mut job = read(&answer.body)?;
    let spinner = Spinner::new("", world);
    let (mut said, mut said_at) = (String::new(), begun);
    loop {
        let text = format!("job {} on cell `{}`: {}", job.id, job.cell_id, job.state);
        let is_shown = spinner.say(text.as_str());
        if !is_shown && said != job.state {
            world.note(&text);
            (said, said_at) = (job.state.clone(), Instant::now());
        } else if !is_shown && said_at.elapsed() >= SAID_AGAIN {
            world.note(&format!("{text} ({} s)", begun.elapsed().as_secs()));
            said_at = Instant::now();
        }
        match job.state.as_str() {
            "done" => return Ok(true),
            "waiting" | "running" if begun.elapsed() < LONGEST => std::thread::sleep(PAUSE),
            "waiting" | "running" => {
                return Err(strange(&format!(
                    "the job has not ended yet; `tenants job:get --id {}` shows it",
                    job.id
                )));
            }
            state => {
                let error = job.error.unwrap_or_else(|| "no reason was given".into());
                return Err(strange(&format!("the job {} {state}: {error}", job.id)));
            }
        }
        job = read(&poll(&job.id, client, &spinner, world)?.body)?;
    }
}

/// Reads a job. It goes on whatever becomes of the request, so one that fails in a way that may pass, or comes too soon, is sent again.
fn poll(
    id: &str,
    client: &Client,
    spinner: &Spinner,
    world: &mut World<'_>,
) -> Result<Answer, Error> {
    let path = format!("/jobs/{}", query_value(id));
    let tell = |pause| {
        let note = patience::note(pause);
        if !spinner.say(note.as_str()) {
            world.note(&note);
        }
    };
    let answer = Patience::default().ask(|| client.call(Request::Get, &path), tell);
    answer.map_err(|error| {
        world.note(&format!(
            "The job goes on; `tenants job:get --id {}` shows it",
            printable(id)
        ));
        error.into()
    })
}

/// Like [`wait`], and returns the job's result: the user and a generated password, or `null`.
///
/// # Errors
/// As [`wait`].
pub fn result(
    answer: &Answer,
    client: &Client,
    world: &mut World<'_>,
) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Ended<'a> {
        #[serde(borrow)]
        result: &'a RawValue,
    }

    if !wait(answer, client, world)? {
        return Ok(None);
    }
    let id = read(&answer.body)?.id;
    let spinner = Spinner::new("reading the job's result", world);
    let body = poll(&id, client, &spinner, world)?.body;
    let Ended { result } =
        serde_json::from_str(&body).map_err(|_| strange("the response is not a job"))?;
    Ok(Some(result.get().into()))
}

fn read(body: &str) -> Result<Job, Error> {
    serde_json::from_str(body).map_err(|_| strange("the response is not a job"))
}

fn strange(detail: &str) -> Error {
    Error::Strange {
        detail: detail.into(),
        request_id: String::new(),
    }
}
