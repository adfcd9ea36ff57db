//! The database, by way of wrangler: local or remote, the statements of one call in one transaction.
//!
//! wrangler runs in the project's folder, asks nothing, and is given none of our secrets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tenants_core::config::VARIABLES;
use tenants_core::sql::{self as core_sql, Batch};

use crate::error::Error;
use crate::output::Fields;
use crate::settings::{API_KEY, Settings};
use crate::sql;

/// The variable that names another wrangler: a program, or a script for Node.
pub const WRANGLER_BIN: &str = "WRANGLER_BIN";
/// The database's binding in wrangler.toml.
const BINDING: &str = "DB";
/// The oldest Node that wrangler runs on.
const NODE: (u32, u32) = (22, 12);

/// Which database.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database on this machine, which `npm start` uses (the default)
    #[arg(long, conflicts_with = "remote")]
    pub local: bool,

    /// The deployed Worker's database. Takes the variable CLOUDFLARE_API_TOKEN, or `wrangler login` done before
    #[arg(long)]
    pub remote: bool,

    /// Where the local database is kept [default: .wrangler/state of the project]
    #[arg(long, value_name = "DIR", conflicts_with = "remote")]
    pub persist_to: Option<PathBuf>,

    /// Another wrangler.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl DatabaseArgs {
    /// What it is called: `local` or `remote`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.remote { "remote" } else { "local" }
    }
}

/// A database, ready to be asked.
#[derive(Debug)]
pub struct Database {
    program: PathBuf,
    script: Option<PathBuf>,
    folder: PathBuf,
    options: Vec<OsString>,
}

/// What one statement answered.
#[derive(Debug, Deserialize)]
struct Rows {
    results: Vec<Box<RawValue>>,
}

/// What each statement of a call answered.
#[derive(Debug)]
pub struct Results(Vec<Rows>);

impl Results {
    /// The rows of a statement, counted from 0.
    ///
    /// # Errors
    /// Where they are not as the statement has them.
    pub fn rows<T: DeserializeOwned>(&mut self, statement: usize) -> Result<Vec<T>, Error> {
        let rows = self
            .0
            .get_mut(statement)
            .map(|r| std::mem::take(&mut r.results));
        let rows = rows.ok_or_else(|| unreadable("a statement's result is missing"))?;
        rows.iter()
            .map(|row| serde_json::from_str(row.get()).map_err(|e| unreadable(&e.to_string())))
            .collect()
    }

    /// The rows of every statement, as the core has them: a row's values in the order of its columns.
    fn into_core(self) -> Result<Vec<core_sql::Rows>, Error> {
        let value = |raw: Box<RawValue>| {
            serde_json::from_str(raw.get())
                .map_err(|_| unreadable("a value is neither NULL, a whole number nor a text"))
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
    /// Finds the project, wrangler, and a Node that it runs on.
    ///
    /// # Errors
    /// Where one of them is missing.
    pub fn open(settings: &Settings<'_>, args: &DatabaseArgs) -> Result<Self, Error> {
        let folder = settings.project()?.ok_or_else(|| {
            Error::Configuration(
                "there is no project here, nor in any folder above: no wrangler.toml. Name its folder with --project".into(),
            )
        })?;
        let (program, script) = wrangler(settings, &folder)?;
        let mut options = vec![if args.remote { "--remote" } else { "--local" }.into()];
        for (name, path) in [
            ("--persist-to", &args.persist_to),
            ("--config", &args.config),
        ] {
            if let Some(path) = path {
                // wrangler runs in another folder than the one that the path was meant from.
                options.extend([name.into(), settings.path(path).into_os_string()]);
            }
        }
        Ok(Self {
            program,
            script,
            folder,
            options,
        })
    }

    /// Runs statements, separated by `;`, in one transaction.
    ///
    /// # Errors
    /// Where wrangler or the database fails.
    pub fn execute(&self, sql: &str) -> Result<Results, Error> {
        let output = self.run(&["d1", "execute", BINDING, "--json", "--command", sql])?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(failure(&text, &output));
        }
        // What wrangler has to say besides would stand before it.
        let json = text.find("[\n").map_or(text.as_ref(), |at| &text[at..]);
        serde_json::from_str(json)
            .map(Results)
            .map_err(|e| unreadable(&e.to_string()))
    }

    /// Runs a batch of the core.
    ///
    /// # Errors
    /// Where wrangler or the database fails.
    pub fn run_batch(&self, batch: &Batch) -> Result<Vec<core_sql::Rows>, Error> {
        self.execute(&sql::script(batch))?.into_core()
    }

    /// Applies the migrations that were not applied yet. Answers what wrangler said.
    ///
    /// # Errors
    /// Where wrangler or the database fails.
    pub fn migrate(&self) -> Result<String, Error> {
        let output = self.run(&["d1", "migrations", "apply", BINDING])?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(said.into_owned());
        }
        Err(failure(&said, &output))
    }

    fn run(&self, args: &[&str]) -> Result<Output, Error> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.script)
            .args(args)
            .args(&self.options)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            // No questions, no colours, no statistics about the user, no files outside of the project.
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
        for ours in VARIABLES.iter().chain(&[API_KEY]) {
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

/// The program to start, and the script to give it.
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
        // What .bin/wrangler leads to: the links there differ between systems.
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

/// A Node that wrangler runs on: the one on the PATH where it is new enough, else the one among the project's packages.
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
    // npm's packages of Node: that of the system, by its two spellings, and the one that wraps them.
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

/// Reads what `node --version` says: `v22.12.0`.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim().trim_start_matches('v').split('.');
    let mut number = || parts.next().and_then(|part| part.parse().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) => (major, minor) >= NODE,
        _ => false,
    }
}

/// What wrangler says of its failure: in JSON on standard output where it was asked for JSON, else in its last lines.
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
    // For people alone: nothing is decided by it.
    if detail.contains("no such table") {
        detail += "\n`tenants init` prepares the database";
    }
    Error::Database(format!("wrangler failed ({}): {detail}", output.status))
}

/// How much of a failure's output is shown.
const SHOWN_LINES: usize = 20;

fn unreadable(detail: &str) -> Error {
    Error::Database(format!("what wrangler answered cannot be read: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn node_is_judged_by_its_two_first_numbers() {
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
