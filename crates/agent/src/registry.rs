//! The registry's routes that the agent calls (contract §15).

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tenants_client::error::Error as ClientError;
use tenants_client::{Answer, Client, Request, query_value};

use crate::error::Error;
use crate::settings::Settings;
use crate::wire::{Job, Leased, Page};

/// The most tenants of a page.
const PAGE_TENANTS: u32 = 500;

/// The time limit of the small calls of a round: Redis is looked at between the rounds, whatever the registry does.
const ROUND_LIMIT: Duration = Duration::from_secs(10);

/// The registry, as the agent of one cell sees it.
pub(crate) struct Registry {
    /// The client of what may take its time: a full read, Traefik's configuration, and the reports of jobs, which have threads of their own.
    client: Client,
    /// The client of the small calls of a round.
    quick: Client,
    /// The client of renewals: one that hangs must not take the time of the next ones.
    renewing: Client,
    cell: String,
    /// The name by which the registry tells two agents of a cell apart.
    agent: String,
}

/// The reason why the registry did not do what it was asked.
#[derive(Debug)]
pub(crate) enum RegistryError {
    /// The cursor is of another database, or too old: begin again without one.
    CursorGone,
    /// A lease is lost, or another agent serves the cell.
    Conflict(String),
    /// The request itself is wrong, or its subject is not there: the same again would not help.
    Refused(String),
    /// The registry cannot be reached, fails, or refuses the agent.
    Down(String),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CursorGone => f.write_str("the registry does not know the cursor"),
            Self::Conflict(detail) | Self::Refused(detail) | Self::Down(detail) => {
                f.write_str(detail)
            }
        }
    }
}

impl From<ClientError> for RegistryError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Answer { problem, used } => {
                let status = problem.status.unwrap_or_default();
                let mut text = format!("status {status}, {}: {}", problem.code, problem.detail);
                if let Some(used) = used {
                    text += &format!(" ({})", used.trim());
                }
                match status {
                    409 => Self::Conflict(text),
                    410 => Self::CursorGone,
                    404 | 422 => Self::Refused(text),
                    _ => Self::Down(text),
                }
            }
            ClientError::Unreachable { detail, .. } | ClientError::Strange { detail, .. } => {
                Self::Down(detail)
            }
            ClientError::Configuration(detail) | ClientError::Machine(detail) => Self::Down(detail),
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// The site refuses it, and what its command said.
    Refused(Option<String>),
    /// It could not be done, and why, for the operator.
    Failed(String),
}

/// The counters of a site.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Counted {
    pub(crate) id: String,
    pub(crate) stats: serde_json::Value,
    pub(crate) counted_at: String,
}

impl Registry {
    /// Makes the clients of the registry. Nothing is sent yet.
    ///
    /// # Errors
    /// Fails if the key or the secret is missing, or certificates cannot be read.
    pub(crate) fn new(settings: &Settings, agent: &str) -> Result<Self, Error> {
        Ok(Self {
            client: settings.client()?,
            quick: settings.client()?.within(ROUND_LIMIT),
            renewing: settings
                .client()?
                .within(Duration::from_secs(settings.lease_seconds) / 3),
            cell: settings.cell.clone(),
            agent: agent.into(),
        })
    }

    /// Reads a page of what changed. `None` means that nothing changed and no job waits. A page of a full read may take longer. `named` tells the
    /// registry that this agent serves the cell, and how far it is.
    pub(crate) fn page(
        &self,
        after: Option<&str>,
        etag: Option<&str>,
        is_full: bool,
        named: bool,
    ) -> Result<Option<(Page, Option<String>)>, RegistryError> {
        let mut path = format!(
            "/cells/{}/tenants?limit={PAGE_TENANTS}",
            query_value(&self.cell)
        );
        if let Some(after) = after {
            path += &format!("&after={}", query_value(after));
        }
        if named {
            let version = env!("CARGO_PKG_VERSION");
            path += &format!("&agent={}&agent_version={version}", self.agent);
        }
        let client = if is_full { &self.client } else { &self.quick };
        match client.read_if_changed(&path, etag)? {
            None => Ok(None),
            Some(answer) => Ok(Some((read(&answer)?, answer.etag))),
        }
    }

    /// Leases waiting jobs.
    pub(crate) fn lease(&self, max: usize, seconds: u64) -> Result<Vec<Job>, RegistryError> {
        let path = format!("/cells/{}/jobs/lease", query_value(&self.cell));
        let body = json!({"max": max, "seconds": seconds});
        let leased: Leased = read(&post(&self.quick, &path, &body)?)?;
        Ok(leased.jobs)
    }

    /// Moves the end of a job's lease. Takes a third of the lease at the most.
    pub(crate) fn renew(&self, job: &str, lease: &str, seconds: u64) -> Result<(), RegistryError> {
        let path = format!("/jobs/{}/renew", query_value(job));
        let body = json!({"lease": lease, "seconds": seconds});
        post(&self.renewing, &path, &body)?;
        Ok(())
    }

    /// Reports how a job ended.
    pub(crate) fn finish(
        &self,
        job: &str,
        lease: &str,
        ending: &Ending,
    ) -> Result<(), RegistryError> {
        let (state, error) = match ending {
            Ending::Done => ("done", None),
            Ending::Refused(error) => ("refused", error.as_ref()),
            Ending::Failed(error) => ("failed", Some(error)),
        };
        let mut body = json!({"lease": lease, "state": state});
        if let Some(error) = error {
            body["error"] = error.chars().take(1000).collect::<String>().into();
        }
        let path = format!("/jobs/{}/finish", query_value(job));
        post(&self.client, &path, &body)?;
        Ok(())
    }

    /// Reports counters, of 100 tenants at most.
    pub(crate) fn report(&self, counted: &[Counted]) -> Result<(), RegistryError> {
        let path = format!("/cells/{}/stats", query_value(&self.cell));
        post(&self.quick, &path, &json!({"tenants": counted}))?;
        Ok(())
    }

    /// Reads the cell's part of Traefik's configuration. `None` means that it has not changed.
    pub(crate) fn traefik(&self, etag: Option<&str>) -> Result<Option<Answer>, RegistryError> {
        let path = format!("/config/traefik?cell={}", query_value(&self.cell));
        Ok(self.client.read_if_changed(&path, etag)?)
    }
}

fn post(client: &Client, path: &str, body: &serde_json::Value) -> Result<Answer, RegistryError> {
    let body = zeroize::Zeroizing::new(body.to_string());
    Ok(client.call(Request::Post(body.as_bytes()), path)?)
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, RegistryError> {
    serde_json::from_str(&answer.body)
        .map_err(|e| RegistryError::Down(format!("the registry's answer cannot be read: {e}")))
}
