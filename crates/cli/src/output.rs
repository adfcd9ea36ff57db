//! What is written for whom: tables for people, JSON for programs.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, LineStyle, Table};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::terminal::printable;

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: one line of JSON
    Json,
}

/// Everything of the process that a command touches; tests bring their own.
pub struct World<'a> {
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that the command was given in.
    pub folder: PathBuf,
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub now: &'a dyn Fn() -> i64,
    /// How many columns the terminal has; `None` where the output goes elsewhere.
    pub width: Option<u16>,
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output: the answer, and nothing else.
    pub output: &'a mut dyn Write,
    /// Standard error: errors, warnings, notes.
    pub errors: &'a mut dyn Write,
    /// Whether standard error is a terminal.
    pub is_watched: bool,
    /// Whether notes, warnings and progress are left out.
    pub is_quiet: bool,
}

impl World<'_> {
    /// Writes a line of the answer.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn print(&mut self, line: &str) -> Result<(), Error> {
        writeln!(self.output, "{line}")
            .and_then(|()| self.output.flush())
            .map_err(Error::Output)
    }

    /// Tells people something besides the answer, unless they want nothing but that. That it cannot be told is no reason to
    /// stop.
    pub fn note(&mut self, line: &str) {
        if !self.is_quiet {
            self.complain(line);
        }
    }

    /// Tells what went wrong.
    pub fn complain(&mut self, line: &str) {
        let _: io::Result<()> = writeln!(self.errors, "{line}");
    }
}

/// A table with a header, fitted to the terminal; in a pipe as wide as its content.
#[must_use]
pub fn table(header: &[&str], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = fitted(width);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// The fields of one thing, one a line.
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

/// Below this a terminal's own wrapping reads better than ours.
const MIN_WIDTH: u16 = 40;

/// What stands in a cell without a value.
pub const NOTHING_THERE: &str = "–";

/// A JSON value in a cell.
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

/// A JSON object's fields in the order they came in.
#[derive(Debug)]
pub struct Fields(pub Vec<(String, Box<RawValue>)>);

impl Fields {
    /// As [`record`] shows them: an object's own fields one a line.
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

    /// How many columns a line takes: the characters of these tests are one wide, or two.
    fn columns(line: &str) -> usize {
        line.chars()
            .map(|c| if "世界".contains(c) { 2 } else { 1 })
            .sum()
    }

    #[test]
    fn a_table_is_as_wide_as_its_content_where_no_one_looks() {
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
    fn a_table_keeps_within_the_terminal() {
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
    fn a_record_shows_maps_one_entry_a_line_in_the_order_they_came() {
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
