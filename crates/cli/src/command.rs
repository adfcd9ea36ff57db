//! The commands, with one file for each family. A command is a struct of options and a function.

use clap::Args;
use serde_json::value::RawValue;

use crate::api::{Client, Part};
use crate::error::Error;
use crate::output::World;
use crate::session::Session;
use crate::terminal::printable;

pub mod auth;
pub mod cache;
pub mod completions;
pub mod config;
pub mod env;
pub mod init;
pub mod key;
pub mod plan;
pub mod site;
pub mod stats;
pub mod tenant;

/// The options of a list command.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Show at most this many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Show only those that come after this identifier
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
}

/// Shows a list, or a part of it, and notes how to continue.
fn list(
    path: &str,
    what: &str,
    columns: &[(&str, &str)],
    args: &ListArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let part = Part {
        limit: args.limit,
        after: args.after.as_deref(),
    };
    let (rows, more) = Client::new(&session.settings, world)?.list(path, part)?;
    session.show_list(&rows, columns, what, world)?;
    if more && let Some(id) = last_id(&rows) {
        world.note(&format!(
            "There are more {what}: continue with --after {id}"
        ));
    }
    Ok(())
}

/// Returns the identifier of a list's last row.
fn last_id(rows: &[Box<RawValue>]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
    }
    let row: Row = serde_json::from_str(rows.last()?.get()).ok()?;
    Some(printable(&row.id))
}

/// Checks that an option's value is JSON, and keeps its bytes. The error does not repeat the value, which may contain a
/// password.
fn json(option: &str, text: Option<&str>) -> Result<Option<Box<RawValue>>, Error> {
    let parsed = text.map(serde_json::from_str).transpose();
    parsed.map_err(|error| {
        Error::Usage(format!(
            "{option}: expected JSON, such as '{{\"NAME\": \"value\"}}'; {error}"
        ))
    })
}

/// Returns a request's body as JSON.
fn body(fields: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(fields)
        .map_err(|e| Error::Machine(format!("cannot write the request's body: {e}")))
}

#[cfg(test)]
mod tests {
    use super::json;
    use crate::error::Exit;

    #[test]
    fn json_is_kept_byte_for_byte() {
        for text in ["null", r#"{"B":"1", "A" : 1.0e3,"B":"\u00e9"}"#, "[]"] {
            assert_eq!(json("--env", Some(text)).unwrap().unwrap().get(), text);
        }
        assert!(json("--env", None).unwrap().is_none());
    }

    #[test]
    fn an_error_about_invalid_json_names_the_option_and_never_repeats_the_value() {
        for text in ["", "{hunter2}", r#"{"A":"hunter2"#, r#"{"A":"1"} hunter2"#] {
            let error = json("--env", Some(text)).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            let detail = error.problem().detail;
            assert!(detail.starts_with("--env: expected JSON"), "{detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
    }
}
