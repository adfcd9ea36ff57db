//! The commands, one file a family. A command is its options and a function.

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

/// Which part of a list.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// How many at most; all without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Only those that come after this identifier
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
}

/// Shows a list, or a part of it.
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
        world.note(&format!("There are more {what}: --after {id} goes on"));
    }
    Ok(())
}

/// The identifier of a list's last row.
fn last_id(rows: &[Box<RawValue>]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
    }
    let row: Row = serde_json::from_str(rows.last()?.get()).ok()?;
    Some(printable(&row.id))
}

/// Takes an option's value for JSON, to be sent byte for byte. What came is not repeated: it may hold a password.
fn json(option: &str, text: Option<&str>) -> Result<Option<Box<RawValue>>, Error> {
    let parsed = text.map(serde_json::from_str).transpose();
    parsed.map_err(|error| {
        Error::Usage(format!(
            "{option}: expected JSON, such as '{{\"NAME\": \"value\"}}'; {error}"
        ))
    })
}

/// Writes a request's body.
fn body(fields: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(fields).map_err(|e| Error::Machine(format!("the request's body: {e}")))
}

#[cfg(test)]
mod tests {
    use super::json;
    use crate::error::Exit;

    #[test]
    fn json_is_passed_byte_for_byte() {
        for text in ["null", r#"{"B":"1", "A" : 1.0e3,"B":"\u00e9"}"#, "[]"] {
            assert_eq!(json("--env", Some(text)).unwrap().unwrap().get(), text);
        }
        assert!(json("--env", None).unwrap().is_none());
    }

    #[test]
    fn what_is_not_json_is_refused_by_its_option_and_not_repeated() {
        for text in ["", "{hunter2}", r#"{"A":"hunter2"#, r#"{"A":"1"} hunter2"#] {
            let error = json("--env", Some(text)).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            let detail = error.problem().detail;
            assert!(detail.starts_with("--env: expected JSON"), "{detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
    }
}
