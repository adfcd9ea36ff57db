//! The questions of the status for the API: which webhooks were disabled because their receivers failed, and which cells' agents are silent.
//!
//! The status reads the database, and an address that is only a default may be of another one. So it asks only an API whose address is named.

use serde::{Deserialize, Serialize};
use tenants_client::terminal::printable;
use tenants_client::{Client, Request};
use tenants_core::value::clock::Timestamp;

use super::{SHOWN, more};
use crate::command::rows;
use crate::error::Error;
use crate::output::{NOTHING_THERE, World};
use crate::session::Session;

/// An agent that was not seen for so long is silent, in seconds. The service notes once a minute that it has seen one (docs/OPERATING.md).
const SILENT_SECONDS: i64 = 120;

/// The API's answers. Their members are the output's. All are absent if the API was not asked.
#[derive(Debug, Default, Serialize)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_webhooks: Option<Vec<Webhook>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_cells: Option<Vec<Cell>>,
    /// The questions that the API did not answer, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_asked: Option<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Webhook {
    id: String,
    url: String,
    failing_since: Option<String>,
    #[serde(skip_serializing)]
    is_enabled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cell {
    id: String,
    last_seen_at: Option<String>,
    behind: u64,
}

impl Asked {
    /// Asks the API of the database, if its address is named and there is a key for it.
    pub(super) fn ask(is_remote: bool, session: &Session<'_>, world: &mut World<'_>) -> Self {
        let settings = &session.settings;
        let is_meant = settings.names_address()
            && settings.address().is_ok_and(|address| {
                address.is_loopback() != is_remote && settings.api_key(&address).is_ok()
            });
        if !is_meant {
            return Self::default();
        }
        let mut asked = Self::default();
        let mut failures = Vec::new();
        match session.client(world) {
            Ok(client) => asked.read(&client, world, &mut failures),
            Err(error) => failures.push(error.problem().detail),
        }
        asked.not_asked = Some(failures).filter(|all| !all.is_empty());
        asked
    }

    /// Reads both lists. A key may lack the scope of one of them.
    fn read(&mut self, client: &Client, world: &World<'_>, failures: &mut Vec<String>) {
        let silent_since = Timestamp::from_unix((world.now)().saturating_sub(SILENT_SECONDS)).ok();
        let since = silent_since.as_ref().map(Timestamp::as_str);
        match list::<Webhook>(client, "/webhooks") {
            Ok(mut webhooks) => {
                webhooks.retain(|one| !one.is_enabled && one.failing_since.is_some());
                self.disabled_webhooks = Some(webhooks);
            }
            Err(error) => {
                failures.push(format!("webhooks: {}", error.problem().detail));
                if matches!(error, Error::Unreachable { .. }) {
                    return;
                }
            }
        }
        match list::<Cell>(client, "/cells") {
            Ok(mut cells) => {
                cells.retain(|one| one.last_seen_at.as_deref() <= since);
                self.silent_cells = Some(cells);
            }
            Err(error) => failures.push(format!("cells: {}", error.problem().detail)),
        }
    }

    /// The fields for people.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        if let Some(webhooks) = self
            .disabled_webhooks
            .as_ref()
            .filter(|all| !all.is_empty())
        {
            let line = |one: &Webhook| {
                let since = one.failing_since.as_deref().unwrap_or(NOTHING_THERE);
                format!(
                    "\n{} {}, which failed since {}",
                    printable(&one.id),
                    printable(&one.url),
                    printable(since)
                )
            };
            fields.push(("", named("disabled by failures:", webhooks, line)));
        }
        if let Some(cells) = self.silent_cells.as_ref().filter(|all| !all.is_empty()) {
            let line = |one: &Cell| {
                let seen = match &one.last_seen_at {
                    None => "never".into(),
                    Some(at) => format!("last at {}", printable(at)),
                };
                format!(
                    "\n{} {seen}, {} changes behind",
                    printable(&one.id),
                    one.behind
                )
            };
            let what = "whose agents were not seen for two minutes:";
            fields.push(("cells", named(what, cells, line)));
        }
        if let Some(failures) = &self.not_asked {
            let failures: Vec<String> = failures.iter().map(|text| printable(text)).collect();
            fields.push(("API", format!("no answer: {}", failures.join("\n"))));
        }
        fields
    }
}

fn named<T>(what: &str, all: &[T], line: impl Fn(&T) -> String) -> String {
    let lines: String = all.iter().take(SHOWN).map(line).collect();
    format!("{what}{lines}{}", more(all.len()))
}

fn list<T: for<'de> Deserialize<'de>>(client: &Client, path: &str) -> Result<Vec<T>, Error> {
    let answer = client.call(Request::Get, path)?;
    let read = |row: Box<serde_json::value::RawValue>| serde_json::from_str(row.get());
    let all: Result<_, serde_json::Error> = rows(&answer)?.into_iter().map(read).collect();
    all.map_err(|_| Error::Strange {
        detail: format!("the list {path} has another form; is the address right?"),
        request_id: String::new(),
    })
}
