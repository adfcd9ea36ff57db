//! One run of the program: its settings, and for whom its output is.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tenants_core::value::clock::Timestamp;

use crate::error::Error;
use crate::output::{Fields, Format, World, cell, record, table};
use crate::settings::Settings;

/// What every command is given besides its own options.
pub struct Session<'a> {
    /// Where everything is.
    pub settings: Settings<'a>,
    /// For whom the output is.
    pub format: Format,
}

impl Session<'_> {
    /// Shows one thing: the API's own bytes to programs, its fields to people.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn show(&self, json: &str, world: &mut World<'_>) -> Result<(), Error> {
        match (self.format, serde_json::from_str::<Fields>(json)) {
            (Format::Table, Ok(fields)) => world.print(&record(fields.cells(), world.width)),
            _ => world.print(json.trim()),
        }
    }

    /// Shows a list: one array to programs, to people a table of some columns, each a heading and a JSON pointer.
    ///
    /// # Errors
    /// Where it cannot be written.
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

    /// Shows something of our own: as JSON to programs, its fields to people.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn show_own(&self, value: &impl Serialize, world: &mut World<'_>) -> Result<(), Error> {
        self.show(&to_json(value)?, world)
    }

    /// Tells people that something was done, unless they want to hear nothing. Programs see it by the exit code.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn say(&self, sentence: &str, world: &mut World<'_>) -> Result<(), Error> {
        match self.format {
            Format::Table if !world.is_quiet => world.print(sentence),
            Format::Table | Format::Json => Ok(()),
        }
    }
}

/// A value of our own as JSON.
///
/// # Errors
/// Where JSON cannot say it.
pub fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Machine(format!("the output: {e}")))
}

/// This machine's time.
///
/// # Errors
/// Where it is outside of the years that the contract can write.
pub fn now(world: &World<'_>) -> Result<Timestamp, Error> {
    Timestamp::from_unix((world.now)()).map_err(|_| {
        Error::Machine("this machine's clock is outside of the years 0 to 9999".into())
    })
}
