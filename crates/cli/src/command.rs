//! The commands, with one file for each family. A command is a struct of options and a function.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tenants_client::{Answer, Part};

use clap::Args;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::output::World;
use crate::session::Session;
use tenants_client::terminal::printable;
use tenants_client::vars::BYTE_ORDER_MARK;

pub mod audit;
pub mod auth;
pub mod backup;
pub mod cache;
pub mod cell;
pub mod completions;
pub mod config;
pub mod env;
pub mod events;
pub mod export;
pub mod hold;
pub mod hostname;
pub mod import;
pub mod init;
pub mod job;
pub mod key;
pub mod key_edit;
pub mod key_import;
pub mod orphans;
pub mod plan;
pub mod restore;
pub mod site;
pub mod site_move;
pub mod stats;
pub mod status;
pub mod tenant;
pub mod webhook;

/// Reads the rows of a list that the API answers at once.
fn rows(answer: &Answer) -> Result<Vec<Box<RawValue>>, Error> {
    serde_json::from_str(&answer.body).map_err(|_| Error::Strange {
        detail: "the list is not a JSON array".into(),
        request_id: String::new(),
    })
}

/// The options of a list command.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Show at most this many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Show only those that come after this identifier; in a sorted list, after this VALUE,ID
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
}

/// A list of the API, and how to show it.
struct List<'a> {
    path: &'a str,
    /// The plural of its rows' name.
    what: &'a str,
    columns: &'a [(&'a str, &'a str)],
    /// The member that orders it before the id, if there is one.
    order: Option<&'a str>,
}

impl List<'_> {
    /// Shows the list, or a part of it, and notes how to continue.
    fn show(
        &self,
        args: &ListArgs,
        session: &Session<'_>,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        let what = self.what;
        let part = Part {
            limit: args.limit,
            after: args.after.as_deref(),
        };
        let (rows, more) = session.client(world)?.list(self.path, part)?;
        session.show_list(&rows, self.columns, what, world)?;
        if more && let Some(after) = self.after(&rows) {
            world.note(&format!(
                "There are more {what}: continue with --after {after}"
            ));
        }
        Ok(())
    }

    /// Returns the value of `--after` that continues after the last row. A time has a space, so a sorted list's is in quotes.
    fn after(&self, rows: &[Box<RawValue>]) -> Option<String> {
        let row: serde_json::Value = serde_json::from_str(rows.last()?.get()).ok()?;
        let text = |name: &str| match row.get(name)? {
            serde_json::Value::Number(number) => Some(number.to_string()),
            other => Some(printable(other.as_str()?)),
        };
        let id = text("id")?;
        match self.order {
            None => Some(id),
            Some(order) => Some(format!("'{},{id}'", text(order)?)),
        }
    }
}

/// The options `--limits` and `--env` of a tenant or a plan.
///
/// Other users of the machine can read a command's options while it runs, so all can be read from a file or standard input instead.
#[derive(Debug, Clone, Default, Args)]
pub struct MapArgs {
    /// Its limits, an object in JSON that replaces the whole map; null empties it; `@FILE` or `-` reads it from a file or standard input
    #[arg(long, value_name = "JSON")]
    limits: Option<String>,

    /// Its environment variables, as --limits. Other users of this machine can read a command's options: prefer `@FILE` or `-`
    #[arg(long, value_name = "JSON")]
    env: Option<String>,

    /// Its labels, an object in JSON, from a file or standard input as --limits; an edit keeps the others, and removes those that are null
    #[arg(long, value_name = "JSON")]
    labels: Option<String>,
}

/// The values of [`MapArgs`], byte for byte.
struct Maps {
    limits: Option<Box<RawValue>>,
    env: Option<Box<RawValue>>,
    labels: Option<Box<RawValue>>,
}

/// The option of `create` and `edit` for another system's identifier.
#[derive(Debug, Clone, Args)]
struct ExternalIdArg {
    /// Another system's identifier of it; '' removes it
    #[arg(long = "external-id", alias = "external_id", value_name = "ID")]
    external_id: Option<String>,
}

impl ExternalIdArg {
    /// Returns the value to send, if any: `null` for none.
    fn value(&self) -> Option<Option<&str>> {
        let text = self.external_id.as_deref()?;
        Some(Some(text).filter(|text| !text.is_empty()))
    }
}

/// The option of a command that writes through the API.
#[derive(Debug, Clone, Default, Args)]
struct TrialArg {
    /// Check everything, the database's conditions included, and write nothing
    #[arg(long = "validate-only", alias = "validate_only")]
    validate_only: bool,
}

impl TrialArg {
    /// Returns the path of the write, or of its trial.
    fn path(&self, path: &str) -> String {
        let query = if self.validate_only {
            "?validate_only=true"
        } else {
            ""
        };
        format!("{path}{query}")
    }

    /// Shows the answer of a trial, and otherwise confirms the write.
    fn say(
        &self,
        answer: &Answer,
        sentence: &str,
        session: &Session<'_>,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        if self.validate_only {
            session.show(&answer.body, world)
        } else {
            session.say(sentence, world)
        }
    }
}

/// The option of a command that changes or deletes a resource with versions.
#[derive(Debug, Clone, Default, Args)]
struct VersionArg {
    /// Do so only if it has this version, as `get --etag` shows it, or one of these, with commas between; '*' is any
    #[arg(long = "if-match", alias = "if_match", value_name = "ETAG", value_parser = version)]
    if_match: Option<String>,
}

/// Checks that a header can have the text. The API judges the rest.
fn version(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(text.to_owned())
    } else {
        Err("expected a version in quotes, such as '\"b2c1.7-1\"', or '*'".into())
    }
}

/// The option of a command that shows a resource with versions.
#[derive(Debug, Clone, Default, Args)]
struct EtagArg {
    /// Show only its version, for --if-match
    #[arg(long)]
    etag: bool,
}

impl EtagArg {
    /// Shows what the options ask for of a resource.
    fn show(
        &self,
        answer: &Answer,
        session: &Session<'_>,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        if !self.etag {
            return session.show(&answer.body, world);
        }
        match &answer.etag {
            Some(etag) => world.print(&printable(etag)),
            None => Err(Error::Strange {
                detail: "the response has no ETag".into(),
                request_id: String::new(),
            }),
        }
    }
}

/// The value of an option that means standard input.
const INPUT: &str = "-";
/// The limit of a file or standard input: far more than the API accepts in a request.
const INPUT_LIMIT_BYTES: u64 = 1024 * 1024;

impl MapArgs {
    /// Reads the values, from a file or standard input if the options say so.
    fn read(&self, session: &Session<'_>, world: &mut World<'_>) -> Result<Maps, Error> {
        let inputs = [
            ("--limits", &self.limits),
            ("--env", &self.env),
            ("--labels", &self.labels),
        ]
        .into_iter()
        .filter(|(_, text)| text.as_deref() == Some(INPUT));
        let names: Vec<&str> = inputs.map(|(option, _)| option).collect();
        if let [one, another, ..] = names[..] {
            return Err(Error::Usage(format!(
                "{one} and {another} cannot both be read from standard input"
            )));
        }
        Ok(Maps {
            limits: map("--limits", self.limits.as_deref(), session, world)?,
            env: map("--env", self.env.as_deref(), session, world)?,
            labels: map("--labels", self.labels.as_deref(), session, world)?,
        })
    }
}

fn map(
    option: &str,
    text: Option<&str>,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<Option<Box<RawValue>>, Error> {
    let Some(text) = text else { return Ok(None) };
    // JSON never begins with `@`, and `-` alone is not JSON.
    let read = if text == INPUT {
        Some(read_limited(&mut *world.input, "standard input"))
    } else {
        text.strip_prefix('@').map(|name| {
            let path = session.settings.path(Path::new(name));
            let name = path.display().to_string();
            match File::open(&path) {
                Ok(file) => read_limited(file, &name),
                Err(error) => Err(format!("{name} cannot be read: {error}")),
            }
        })
    };
    let read = read
        .transpose()
        .map_err(|detail| Error::Usage(format!("{option}: {detail}")))?;
    json(option, read.as_ref().map_or(text, |read| read.as_str())).map(Some)
}

/// Reads a file or standard input to its end.
fn read_limited(source: impl Read, name: &str) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let mut source = source.take(INPUT_LIMIT_BYTES + 1);
    source
        .read_to_string(&mut text)
        .map_err(|error| format!("{name} cannot be read: {error}"))?;
    if source.limit() == 0 {
        return Err(format!(
            "{name} has more than {INPUT_LIMIT_BYTES} bytes, which is more than the API accepts"
        ));
    }
    Ok(text)
}

/// Checks that an option's value is JSON, and keeps its bytes. The error does not repeat the value, which may contain a
/// password.
fn json(option: &str, text: &str) -> Result<Box<RawValue>, Error> {
    serde_json::from_str(text).map_err(|error| {
        let reason = if text.starts_with(BYTE_ORDER_MARK) {
            "it begins with a byte order mark".into()
        } else {
            error.to_string()
        };
        Error::Usage(format!(
            "{option}: expected JSON, such as '{{\"NAME\": \"value\"}}'; {reason}"
        ))
    })
}

/// Adds to a failure to show what nobody can read again, such as a new secret, that it is lost and what to do.
fn or_lost(shown: Result<(), Error>, advice: &str) -> Result<(), Error> {
    shown.map_err(|error| match error {
        Error::Output(cause) => {
            Error::Output(io::Error::new(cause.kind(), format!("{cause}\n{advice}")))
        }
        other => other,
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
            assert_eq!(json("--env", text).unwrap().get(), text);
        }
    }

    #[test]
    fn an_error_about_invalid_json_names_the_option_and_never_repeats_the_value() {
        for text in ["", "{hunter2}", r#"{"A":"hunter2"#, r#"{"A":"1"} hunter2"#] {
            let error = json("--env", text).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            let detail = error.problem().detail;
            assert!(detail.starts_with("--env: expected JSON"), "{detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
    }
}
