//! Runs statements on the local or the remote database through wrangler. The statements of one call share a transaction.
//!
//! wrangler runs in the project's folder, asks no questions, and receives none of our secrets.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tenants_core::config::VARIABLES;
use tenants_core::sql::{self as core_sql, Batch};

use crate::error::Error;
use crate::names::{API_KEY, SIGNING_SECRET};
use crate::output::Fields;
use crate::settings::Settings;
use crate::sql;

/// The variable that names another wrangler: a program or a script for Node.
pub const WRANGLER_BIN: &str = "WRANGLER_BIN";
/// The longest text of a call's statements. Linux limits one argument of a program to 128 KiB, Windows all arguments together to 32 KiB.
pub const CALL_BYTES: u32 = if cfg!(windows) { 24_000 } else { 96_000 };
/// The database's binding in wrangler.toml.
const BINDING: &str = "DB";
/// The oldest Node that wrangler runs on.
const NODE: (u32, u32) = (22, 12);

/// The options that choose the database.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database on this machine, which `npm start` uses (the default)
    #[arg(long, conflicts_with = "remote")]
    pub local: bool,

    /// The deployed Worker's database. Needs an earlier `wrangler login`, or the variable CLOUDFLARE_API_TOKEN
    #[arg(long)]
    pub remote: bool,

    /// The folder of the local database [default: .wrangler/state of the project]
    #[arg(long, value_name = "DIR", conflicts_with = "remote")]
    pub persist_to: Option<PathBuf>,

    /// Another wrangler.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Returns the database's name in messages: `local` or `remote`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.remote { "remote" } else { "local" }
    }

    /// Returns the options that choose the same database in another command, each with a space before it.
    #[must_use]
    pub fn options(&self) -> String {
        let mut options = String::new();
        if self.remote {
            options += " --remote";
        }
        for (name, path) in [
            ("--persist-to", &self.persist_to),
            ("--config", &self.config),
        ] {
            if let Some(path) = path {
                options += &format!(" {name} '{}'", path.display());
            }
        }
        options
    }
}

/// A database, with the wrangler that reaches it.
#[derive(Debug)]
pub struct Database {
    program: PathBuf,
    script: Option<PathBuf>,
    folder: PathBuf,
    options: Vec<OsString>,
    /// The database's size after the last statement, if wrangler tells it.
    size_bytes: Cell<Option<u64>>,
}

/// The rows of one statement, as wrangler prints them.
#[derive(Debug, Deserialize)]
struct Rows {
    results: Vec<Box<RawValue>>,
    #[serde(default)]
    meta: Meta,
}

/// A part of the facts that D1 tells beside the rows. wrangler passes them on for a remote database.
#[derive(Debug, Default, Deserialize)]
struct Meta {
    size_after: Option<u64>,
}

/// The rows of each statement of a call.
#[derive(Debug)]
struct Results(Vec<Rows>);

impl Results {
    /// Returns the rows of every statement in the core's form: each row's values in the order of its columns.
    fn into_core(self) -> Result<Vec<core_sql::Rows>, Error> {
        let value = |raw: Box<RawValue>| {
            serde_json::from_str(raw.get())
                .map_err(|_| unreadable("a value is not NULL, an integer or text"))
        };
        let row = |row: Box<RawValue>| {
            let fields: Fields =
                serde_json::from_str(row.get()).map_err(|e| unreadable(&e.to_string()))?;
            fields.0.into_iter().map(|(_, raw)| value(raw)).collect()
        };
        let all = self.0.into_iter();
        all.map(|rows| rows.results.into_iter().map(row).collect())
            .collect()
    }
}

impl Database {
    /// Returns the project's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds the project, wrangler, and a Node that wrangler runs on.
    ///
    /// # Errors
    /// Fails if one of them is missing.
    pub fn open(settings: &Settings<'_>, args: &DatabaseArgs) -> Result<Self, Error> {
        let folder = settings.project()?.ok_or_else(|| {
            Error::Configuration(
                "neither this folder nor one above it has a wrangler.toml. Name the project's folder with --project".into(),
            )
        })?;
        let (program, script) = wrangler(settings, &folder)?;
        let mut options = vec![if args.remote { "--remote" } else { "--local" }.into()];
        for (name, path) in [
            ("--persist-to", &args.persist_to),
            ("--config", &args.config),
        ] {
            if let Some(path) = path {
                // The path is relative to the current folder, but wrangler runs in the project's.
                options.extend([name.into(), settings.path(path).into_os_string()]);
            }
        }
        Ok(Self {
            program,
            script,
            folder,
            options,
            size_bytes: Cell::new(None),
        })
    }

    /// Returns the database's size after the last batch, if wrangler told it.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes.get()
    }

    /// Runs statements, separated by `;`, in one transaction.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails.
    fn execute(&self, sql: &str) -> Result<Results, Error> {
        let output = self.run(&["d1", "execute", BINDING, "--json", "--command", sql])?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(failure(&text, &output));
        }
        // wrangler may print other messages before the JSON.
        let json = text.find("[\n").map_or(text.as_ref(), |at| &text[at..]);
        let results: Vec<Rows> =
            serde_json::from_str(json).map_err(|e| unreadable(&e.to_string()))?;
        if let Some(size) = results.iter().rev().find_map(|rows| rows.meta.size_after) {
            self.size_bytes.set(Some(size));
        }
        Ok(Results(results))
    }

    /// Runs statements in one transaction. Returns the rows of each, with their values in the order of its columns.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails.
    pub fn query(&self, statements: &[String]) -> Result<Vec<Vec<Vec<Value>>>, Error> {
        let rows = self.execute(&statements.join("; "))?;
        if rows.0.len() != statements.len() {
            return Err(unreadable(
                "it has another number of results than statements",
            ));
        }
        let value = |raw: Box<RawValue>| {
            serde_json::from_str(raw.get()).map_err(|e| unreadable(&e.to_string()))
        };
        let row = |row: Box<RawValue>| {
            let fields: Fields =
                serde_json::from_str(row.get()).map_err(|e| unreadable(&e.to_string()))?;
            fields.0.into_iter().map(|(_, raw)| value(raw)).collect()
        };
        let all = rows.0.into_iter();
        all.map(|rows| rows.results.into_iter().map(row).collect())
            .collect()
    }

    /// Writes the platform's export to a file. An existing file keeps its permissions.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails.
    pub fn export(&self, file: &Path) -> Result<(), Error> {
        self.on_file(
            &["d1", "export", BINDING, "--skip-confirmation", "--output"],
            file,
        )
    }

    /// Runs the statements of a file in one transaction.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails. The database then has what it had before, unless it is a remote one whose answer was lost.
    pub fn import(&self, file: &Path) -> Result<(), Error> {
        self.on_file(&["d1", "execute", BINDING, "--yes", "--file"], file)
    }

    fn on_file(&self, args: &[&str], file: &Path) -> Result<(), Error> {
        let file = file.to_str().ok_or_else(|| {
            Error::Usage(format!("{}: expected a path in Unicode", file.display()))
        })?;
        let output = self.run(&[args, &[file]].concat())?;
        if output.status.success() {
            return Ok(());
        }
        Err(failure(&String::from_utf8_lossy(&output.stdout), &output))
    }

    /// Returns the remote database's bookmark, to which Time Travel can return.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails.
    pub fn bookmark(&self) -> Result<String, Error> {
        // This command is only for remote databases, and takes neither `--remote` nor `--local`.
        let rest: Vec<OsString> = self.options.iter().skip(1).cloned().collect();
        let output = self.run_with(&["d1", "time-travel", "info", BINDING, "--json"], &rest)?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(failure(&text, &output));
        }
        let json: Option<Value> = text
            .find('{')
            .and_then(|at| serde_json::from_str(&text[at..]).ok());
        json.as_ref()
            .and_then(|json| json.get("bookmark")?.as_str())
            .map(str::to_owned)
            .ok_or_else(|| unreadable("it has no bookmark"))
    }

    /// Runs a batch of the core.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails.
    pub fn run_batch(&self, batch: &Batch) -> Result<Vec<core_sql::Rows>, Error> {
        if *batch.database() != tenants_core::sql::Database::Registry {
            let detail = "the command line reaches no database of a site";
            return Err(Error::Database(detail.into()));
        }
        let rows = self.execute(&sql::script(batch))?.into_core()?;
        let (results, statements) = (rows.len(), batch.statements().len());
        if results != statements {
            return Err(unreadable(&format!(
                "it has {results} results for {statements} statements"
            )));
        }
        Ok(rows)
    }

    /// Applies the migrations that the database does not have yet. Returns wrangler's output.
    ///
    /// # Errors
    /// Fails if wrangler or the database fails.
    pub fn migrate(&self) -> Result<String, Error> {
        let output = self.run(&["d1", "migrations", "apply", BINDING])?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(said.into_owned());
        }
        Err(failure(&said, &output))
    }

    fn run(&self, args: &[&str]) -> Result<Output, Error> {
        self.run_with(args, &self.options)
    }

    fn run_with(&self, args: &[&str], options: &[OsString]) -> Result<Output, Error> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.script)
            .args(args)
            .args(options)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            // Switch off questions, colours, usage statistics, and files outside the project.
            .env("CI", "true")
            .env("NO_COLOR", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_NO_SKILLS_UPDATE_PROMPTS", "true")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env(
                "WRANGLER_LOG_PATH",
                self.folder.join(".wrangler").join("logs"),
            )
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env_remove("FORCE_COLOR");
        for ours in VARIABLES.iter().chain(&[API_KEY, SIGNING_SECRET]) {
            command.env_remove(ours);
        }
        command.output().map_err(|error| {
            Error::Database(format!(
                "{} could not be started: {error}",
                self.program.display()
            ))
        })
    }
}

/// Returns the program to start, and the script to run with it if the program is Node.
fn wrangler(settings: &Settings<'_>, project: &Path) -> Result<(PathBuf, Option<PathBuf>), Error> {
    let script = match settings.variable(WRANGLER_BIN).map(PathBuf::from) {
        Some(named) => {
            let is_path = named.components().count() > 1;
            let named = if is_path {
                settings.path(&named)
            } else {
                named
            };
            let is_script = named
                .extension()
                .is_some_and(|e| e == "js" || e == "mjs" || e == "cjs");
            if !is_script {
                return Ok((named, None));
            }
            named
        }
        // The script behind .bin/wrangler, since the links in .bin differ between systems.
        None => project.join("node_modules/wrangler/bin/wrangler.js"),
    };
    if !script.is_file() {
        return Err(Error::Configuration(format!(
            "wrangler is not installed: there is no {}. `npm run setup` in the project's folder installs it",
            script.display()
        )));
    }
    Ok((node(project)?, Some(script)))
}

/// Finds a Node that wrangler runs on: the one on the PATH if it is new enough, otherwise the one in the project's packages.
fn node(project: &Path) -> Result<PathBuf, Error> {
    let on_path = Command::new("node")
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    if let Ok(output) = on_path
        && is_new_enough(&String::from_utf8_lossy(&output.stdout))
    {
        return Ok("node".into());
    }
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    // npm has a package of Node for each system, under two spellings, and one that wraps those.
    let packages = [
        format!("node-{system}-{machine}"),
        format!("node-bin-{system}-{machine}"),
        "node".into(),
    ];
    packages
        .iter()
        .map(|package| {
            let bin = project.join("node_modules").join(package).join("bin");
            bin.join(format!("node{}", std::env::consts::EXE_SUFFIX))
        })
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::Configuration(format!(
                "wrangler needs Node {}.{} or later. `npm run setup` in the project's folder installs one",
                NODE.0, NODE.1
            ))
        })
}

/// Returns whether the output of `node --version`, such as `v22.12.0`, names a version that wrangler runs on.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim().trim_start_matches('v').split('.');
    let mut number = || parts.next().and_then(|part| part.parse().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) => (major, minor) >= NODE,
        _ => false,
    }
}

/// Returns wrangler's own error message: from its JSON if it printed any, otherwise its last lines.
fn failure(stdout: &str, output: &Output) -> Error {
    let said = stdout
        .find('{')
        .and_then(|at| serde_json::from_str::<Value>(&stdout[at..]).ok())
        .and_then(|json| json.pointer("/error/text")?.as_str().map(str::to_owned));
    let mut detail = said.unwrap_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let text = if stderr.trim().is_empty() {
            stdout
        } else {
            stderr.as_ref()
        };
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    });
    // This only adds a hint for people; no code depends on wrangler's wording.
    if detail.contains("no such table") {
        detail += "\n`tenants init` prepares the database";
    }
    Error::Database(format!("wrangler failed ({}): {detail}", output.status))
}

/// The number of lines of wrangler's output that an error shows.
const SHOWN_LINES: usize = 20;

fn unreadable(detail: &str) -> Error {
    Error::Database(format!("cannot read wrangler's output: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn node_is_checked_by_its_major_and_minor_version() {
        for (version, ok) in [
            ("v22.12.0\n", true),
            ("v22.23.2", true),
            ("v24.0.0", true),
            ("v22.11.9", false),
            ("v20.20.2", false),
            ("", false),
            ("command not found", false),
        ] {
            assert_eq!(is_new_enough(version), ok, "{version}");
        }
    }
}
