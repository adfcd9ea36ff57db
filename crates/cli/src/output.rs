//! The output: tables for people, JSON for programs.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, LineStyle, Table};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;
use tenants_client::terminal::printable;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: one line of JSON
    Json,
}

/// The parts of the process that a command uses. Tests supply their own.
pub struct World<'a> {
    /// Returns the value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder in which the command was run.
    pub folder: PathBuf,
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub now: &'a dyn Fn() -> i64,
    /// The number of columns of the terminal; `None` if standard output is not a terminal.
    pub width: Option<u16>,
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output, for results only.
    pub output: &'a mut dyn Write,
    /// Standard error, for errors, warnings and notes.
    pub errors: &'a mut dyn Write,
    /// Whether standard error is a terminal.
    pub is_watched: bool,
    /// Whether to suppress notes, warnings and progress.
    pub is_quiet: bool,
}

impl World<'_> {
    /// Writes a line of the result.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub fn print(&mut self, line: &str) -> Result<(), Error> {
        writeln!(self.output, "{line}")
            .and_then(|()| self.output.flush())
            .map_err(Error::Output)
    }

    /// Writes a note or a warning to standard error, except with `--quiet`.
    pub fn note(&mut self, line: &str) {
        if !self.is_quiet {
            self.complain(line);
        }
    }

    /// Writes an error to standard error. A failure to write it is ignored, since no other place is left to report it.
    pub fn complain(&mut self, line: &str) {
        let _: io::Result<()> = writeln!(self.errors, "{line}");
    }
}

/// Formats a table with a header. It fits the terminal; without a terminal it is as wide as its content.
#[must_use]
pub fn table(header: &[&str], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = fitted(width);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// Formats the fields of one tenant, plan or key, one field a line.
#[must_use]
pub fn record(fields: Vec<(String, String)>, width: Option<u16>) -> String {
    let mut table = fitted(width);
    for (name, value) in fields {
        table.add_row([name, value]);
    }
    table.trim_fmt()
}

fn fitted(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.max(MIN_WIDTH));
    }
    table
}

/// The narrowest table: a narrower terminal's own wrapping is easier to read.
const MIN_WIDTH: u16 = 40;

/// The text of a cell that has no value.
pub const NOTHING_THERE: &str = "–";

/// Formats a JSON value for a cell.
#[must_use]
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => NOTHING_THERE.into(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Bool(true)) => "yes".into(),
        Some(Value::Bool(false)) => "no".into(),
        Some(Value::Number(number)) => number.to_string(),
        Some(nested @ (Value::Array(_) | Value::Object(_))) => printable(&nested.to_string()),
    }
}

/// A JSON object's fields, in the order of the document.
#[derive(Debug)]
pub struct Fields(pub Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Returns names and values for [`record`]. A nested object's fields have a line each.
    #[must_use]
    pub fn cells(&self) -> Vec<(String, String)> {
        self.0
            .iter()
            .map(|(name, raw)| {
                let text = match serde_json::from_str::<Self>(raw.get()) {
                    Ok(inner) if inner.0.is_empty() => NOTHING_THERE.into(),
                    Ok(inner) => inner
                        .0
                        .iter()
                        .map(|(name, raw)| format!("{}={}", printable(name), raw_cell(raw)))
                        .collect::<Vec<_>>()
                        .join("\n"),
                    Err(_) => raw_cell(raw),
                };
                (printable(name), text)
            })
            .collect()
    }
}

fn raw_cell(raw: &RawValue) -> String {
    cell(serde_json::from_str(raw.get()).ok().as_ref())
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, record, table};

    /// Returns the number of columns of a line. Of the characters in these tests, only those two take two columns.
    fn columns(line: &str) -> usize {
        line.chars()
            .map(|c| if "世界".contains(c) { 2 } else { 1 })
            .sum()
    }

    #[test]
    fn without_a_terminal_a_table_is_as_wide_as_its_content() {
        let text = table(
            &["ID", "HOSTNAME"],
            vec![vec!["a".into(), "a.example.com".into()]],
            None,
        );
        assert_eq!(
            text,
            " ID   HOSTNAME\n────────────────────\n a    a.example.com"
        );
    }

    #[test]
    fn a_table_is_never_wider_than_the_terminal() {
        for width in [1, 40, 57, 80] {
            let text = table(
                &["ID", "HOSTNAME", "PLAN"],
                vec![vec!["a".repeat(16), "b".repeat(255), "世界".repeat(30)]],
                Some(width),
            );
            let widest = text.lines().map(columns).max().unwrap();
            assert!(
                widest <= usize::from(width.max(40)),
                "{width}: {widest}\n{text}"
            );
        }
    }

    #[test]
    fn a_record_shows_a_maps_entries_one_a_line_in_their_order() {
        let fields: Fields = serde_json::from_str(
            r#"{"id":"a","is_enabled":true,"plan_id":null,"limits":{"Z":"1","A":"\u0007"},"env":{}}"#,
        )
        .unwrap();
        assert_eq!(
            record(fields.cells(), None),
            " id           a\n is_enabled   yes\n plan_id      –\n limits       Z=1\n              A=\\u{7}\n env          –"
        );
    }
}
