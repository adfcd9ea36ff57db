//! One run of the program: its settings and the form of its output.

use std::process::{Command, Stdio};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tenants_client::{Client, Program, Setup, proxy};
use tenants_core::task::{Operator, Run};
use tenants_core::value::clock::Timestamp;

use crate::error::Error;
use crate::names::OPERATOR;
use crate::output::{Fields, Format, World, cell, record, table};
use crate::random::request_id;
use crate::settings::Settings;

/// The program, as it calls the API.
const PROGRAM: Program = Program {
    name: "cli",
    user_agent: concat!("tenants-cli/", env!("CARGO_PKG_VERSION")),
};

/// The settings and the output format that every command gets besides its own options.
pub struct Session<'a> {
    /// The settings.
    pub settings: Settings<'a>,
    /// The form of the output.
    pub format: Format,
}

impl Session<'_> {
    /// Creates a client of the API with the API key and the secret of the settings.
    ///
    /// # Errors
    /// Fails if one of them is missing or not valid.
    pub fn client(&self, world: &mut World<'_>) -> Result<Client, Error> {
        let address = self.settings.address()?;
        let key = self.settings.api_key(&address)?;
        let signing = self.settings.signing(address.is_loopback())?;
        if address.is_readable_on_the_way() {
            world.note(
                "warning: the address begins with http://, so anyone on the network path can read the key",
            );
        }
        let variable = |name: &str| self.settings.variable(name);
        if proxy::is_ignored(&address, variable) {
            world.note("warning: HTTP_PROXY is not used, as in curl; set http_proxy");
        }
        Ok(Client::new(Setup {
            address,
            key,
            signing,
            program: PROGRAM,
            cacert: self.settings.cacert(),
            variable: &variable,
            folder: self.settings.folder(),
        })?)
    }

    /// Returns a new run for the audit entries of a task. It names the operator: `TENANTS_OPERATOR`, or user@host.
    ///
    /// # Errors
    /// Fails if the name is not valid, or the operating system cannot supply random bytes.
    pub fn run(&self) -> Result<Run, Error> {
        let (name, from) = match self.settings.variable(OPERATOR) {
            Some(name) => (name, String::new()),
            None => (self.user_and_host(), format!(" ({OPERATOR} replaces it)")),
        };
        let operator = Operator::parse(&name).map_err(|detail| {
            Error::Configuration(format!("the operator's name: {detail}{from}"))
        })?;
        Ok(Run::new(request_id()?).by(operator))
    }

    /// Returns `user@host`, or the part that is known.
    fn user_and_host(&self) -> String {
        let first = |names: &[&str]| names.iter().find_map(|name| self.settings.variable(name));
        let user = first(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "unknown".into());
        match first(&["HOSTNAME", "COMPUTERNAME"]).or_else(hostname) {
            Some(host) => format!("{user}@{host}"),
            None => user,
        }
    }

    /// Shows a JSON object: its own bytes to programs, its fields to people.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub fn show(&self, json: &str, world: &mut World<'_>) -> Result<(), Error> {
        match (self.format, serde_json::from_str::<Fields>(json)) {
            (Format::Table, Ok(fields)) => world.print(&record(fields.cells(), world.width)),
            _ => world.print(json.trim()),
        }
    }

    /// Shows a list: one array to programs, a table to people. Each column is a heading and a JSON pointer.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub fn show_list(
        &self,
        rows: &[Box<RawValue>],
        columns: &[(&str, &str)],
        what: &str,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        if self.format == Format::Json {
            let rows: Vec<&str> = rows.iter().map(|row| row.get()).collect();
            return world.print(&format!("[{}]", rows.join(",")));
        }
        if rows.is_empty() {
            return world.print(&format!("no {what}"));
        }
        let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
        let cells = rows
            .iter()
            .map(|row| {
                let row: Value = serde_json::from_str(row.get()).unwrap_or_default();
                let pointers = columns.iter().map(|(_, pointer)| pointer);
                pointers.map(|p| cell(row.pointer(p))).collect()
            })
            .collect();
        world.print(&table(&headings, cells, world.width))
    }

    /// Shows a value of this program: as JSON to programs, its fields to people.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub fn show_own(&self, value: &impl Serialize, world: &mut World<'_>) -> Result<(), Error> {
        self.show(&to_json(value)?, world)
    }

    /// Confirms to people that something was done, except with `--quiet`. Programs have the exit code.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub fn say(&self, sentence: &str, world: &mut World<'_>) -> Result<(), Error> {
        match self.format {
            Format::Table if !world.is_quiet => world.print(sentence),
            Format::Table | Format::Json => Ok(()),
        }
    }
}

/// Writes a value of this program as JSON.
///
/// # Errors
/// Fails if JSON cannot represent the value.
pub fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|e| Error::Machine(format!("cannot write the output as JSON: {e}")))
}

/// Returns the host's name. Most shells have it as a variable that they do not export, so a program must be asked.
fn hostname() -> Option<String> {
    let output = Command::new("hostname")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let name = String::from_utf8(output.stdout).ok()?;
    Some(name.trim().to_owned()).filter(|name| output.status.success() && !name.is_empty())
}

/// Returns this machine's time.
///
/// # Errors
/// Fails if the clock is outside the years that the contract's times can have.
pub fn now(world: &World<'_>) -> Result<Timestamp, Error> {
    Timestamp::from_unix((world.now)())
        .map_err(|_| Error::Machine("this machine's clock is outside the years 0 to 9999".into()))
}
