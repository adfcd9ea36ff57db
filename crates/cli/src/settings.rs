//! Finds the project, the API's address and the secrets.
//!
//! The program looks for a value in this order, and takes the first that is not empty:
//!
//! 1. the option,
//! 2. the file that `--vars-file` names,
//! 3. the environment,
//! 4. `.dev.vars` in the project's folder, and for the API key `.dev.key.local`: only for an API or a database on this machine.
//!    A deployed Worker has different secrets and would refuse keys issued under the local ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use tenants_client::address::Address;
use tenants_client::vars::{self, Assignment};
use tenants_client::{Found, Signing};
use tenants_core::config::Config;
use tenants_core::crypto::secret::Secret;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::names::{
    self, API_KEY, KEY_SECRET, KEY_SECRET_PREVIOUS, PROJECT, REQUEST_SECRET, SIGNING_SECRET, URL,
};
use crate::output::Format;

/// The address at which `npm start` serves the API.
const DEFAULT_URL: &str = "http://127.0.0.1:8787";
/// The file that every project's folder has.
const WRANGLER_TOML: &str = "wrangler.toml";
/// The file in which `npm start` keeps the local Worker's secrets.
const DEV_VARS: &str = ".dev.vars";
/// The file in which `npm start` keeps the API key that it creates.
const DEV_KEY: &str = ".dev.key.local";

/// The options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct Options {
    /// The API's address [env: TENANTS_URL] [default: http://127.0.0.1:8787]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,

    /// The API key [env: TENANTS_API_KEY]. Other users of this machine can read a command's options: prefer the variable
    #[arg(long, global = true, value_name = "KEY")]
    pub api_key: Option<String>,

    /// The secret that requests are signed with [env: CHEVERETO_TENANTS_API_REQUEST_SECRET]. Prefer the variable
    #[arg(long, global = true, value_name = "SECRET")]
    pub request_secret: Option<String>,

    /// The secret under which API keys are issued [env: CHEVERETO_TENANTS_API_KEY_SECRET]. Prefer the variable
    #[arg(long, global = true, value_name = "SECRET")]
    pub key_secret: Option<String>,

    /// A file of NAME=value lines with any of the variables above [default, for an API or a database on this machine:
    /// .dev.vars of the project]
    #[arg(long, global = true, value_name = "FILE")]
    pub vars_file: Option<PathBuf>,

    /// A file of certificates (PEM) to trust for https, such as a private CA's [env: SSL_CERT_FILE] [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,

    /// The project's folder [env: TENANTS_PROJECT] [default: the nearest one upwards with a wrangler.toml]
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,

    /// The form of the output
    #[arg(long, global = true, value_enum, default_value_t)]
    pub format: Format,

    /// Print results and errors only: no notes, warnings, progress, or confirmations
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The settings of one run of the program.
pub struct Settings<'a> {
    options: &'a Options,
    variable: &'a dyn Fn(&str) -> Option<String>,
    folder: PathBuf,
    named_file: BTreeMap<String, Zeroizing<String>>,
}

/// The variables of the service that a job needs.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Secrets that must be set.
    pub secrets: &'static [&'static str],
    /// Secrets that the job uses if they are set.
    pub optional_secrets: &'static [&'static str],
    /// Plain variables. The last source of a plain variable is `wrangler.toml`, from which it is deployed.
    pub plain: &'static [&'static str],
    /// A `wrangler.toml` to read instead of the project's.
    pub wrangler_toml: Option<PathBuf>,
    /// Whether the job knows that each site may have a database of its own, and asks the registry alone.
    pub site_databases: bool,
}

impl Needs {
    /// The variables that say where sites' tables are, of `wrangler_toml` or the project's.
    #[must_use]
    pub fn of_sites(wrangler_toml: Option<PathBuf>) -> Self {
        Self {
            plain: &[
                "CHEVERETO_DB_TABLE_PREFIX",
                "CHEVERETO_TENANTS_DB_ISOLATION_MODE",
            ],
            wrangler_toml,
            ..Self::default()
        }
    }
}

impl<'a> Settings<'a> {
    /// Creates the settings, and reads the file of `--vars-file` if there is one.
    ///
    /// # Errors
    /// Fails if that file cannot be read, or has a line that is not understood.
    pub fn new(
        options: &'a Options,
        variable: &'a dyn Fn(&str) -> Option<String>,
        folder: PathBuf,
    ) -> Result<Self, Error> {
        let named_file = match &options.vars_file {
            Some(file) => read_vars(&folder.join(file))?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            options,
            variable,
            folder,
            named_file,
        })
    }

    /// Resolves a path that is relative to the folder in which the command was run.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// Returns an environment variable's value, if it is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// Returns the folder in which the command was run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the file of `--cacert`.
    #[must_use]
    pub fn cacert(&self) -> Option<&Path> {
        self.options.cacert.as_deref()
    }

    /// Returns the project's folder, if there is one.
    ///
    /// # Errors
    /// Fails if `--project` or the variable names a folder without a `wrangler.toml`.
    pub fn project(&self) -> Result<Option<PathBuf>, Error> {
        let named = match &self.options.project {
            Some(folder) => Some((folder.clone(), "--project")),
            None => self.variable(PROJECT).map(|f| (f.into(), PROJECT)),
        };
        if let Some((folder, from)) = named {
            let folder = self.path(&folder);
            return if is_project(&folder) {
                Ok(Some(folder))
            } else {
                Err(Error::Configuration(format!(
                    "{from}: there is no wrangler.toml in {}",
                    folder.display()
                )))
            };
        }
        let up = self.folder.ancestors().find(|folder| is_project(folder));
        Ok(up.map(Path::to_path_buf))
    }

    /// Returns the API's address.
    ///
    /// # Errors
    /// Fails if the configured address is not valid.
    pub fn address(&self) -> Result<Address, Error> {
        let (url, from) = match (&self.options.url, self.named_file.get(URL)) {
            (Some(url), _) => (url.clone(), "--url"),
            (None, Some(url)) => (url.to_string(), URL),
            (None, None) => match self.variable(URL) {
                Some(url) => (url, URL),
                None => (DEFAULT_URL.into(), URL),
            },
        };
        Address::parse(&url).map_err(|detail| match from {
            "--url" => Error::Usage(format!("{from}: {detail}")),
            _ => Error::Configuration(format!("{from}: {detail}")),
        })
    }

    /// Whether an option, the file of `--vars-file` or the environment names the API's address.
    #[must_use]
    pub fn names_address(&self) -> bool {
        self.given(self.options.url.as_deref(), "--url", URL)
            .is_some()
    }

    /// Returns the API key for an address.
    ///
    /// # Errors
    /// Fails if no source has one.
    pub fn api_key(&self, address: &Address) -> Result<Found, Error> {
        if let Some(found) = self.given(self.options.api_key.as_deref(), "--api-key", API_KEY) {
            return Ok(found);
        }
        if address.is_loopback()
            && let Some(project) = self.project()?
            && let Ok(text) = fs::read_to_string(project.join(DEV_KEY))
            && !text.trim().is_empty()
        {
            return Ok(Found {
                secret: Secret::new(text.trim().to_owned()),
                from: DEV_KEY.into(),
            });
        }
        Err(Error::Configuration(format!(
            "no API key for {}: set {API_KEY}, or give --api-key. `tenants api:key:create` creates one; for a local \
             server, `npm start` does",
            address.origin()
        )))
    }

    /// Returns what requests are signed with: the signing secret of a bound key if one is set, or else the request secret.
    ///
    /// # Errors
    /// Fails if no source has either.
    pub fn signing(&self, local: bool) -> Result<Signing, Error> {
        // `--request-secret` counts for more than the variable `TENANTS_SIGNING_SECRET`, as every option does.
        if self.options.request_secret.is_none()
            && let Some(found) = self.given(None, "", SIGNING_SECRET)
        {
            return Ok(Signing::Request(found));
        }
        self.request_secret(local).map(Signing::Body)
    }

    /// Returns the secret that signs bodies, for an API on this machine (`local`) or elsewhere.
    ///
    /// # Errors
    /// Fails if no source has one.
    pub fn request_secret(&self, local: bool) -> Result<Found, Error> {
        let option = self.options.request_secret.as_deref();
        self.secret(option, "--request-secret", REQUEST_SECRET, local)
    }

    /// Returns the secret under which keys are issued and verified, for a database on this machine (`local`) or elsewhere.
    ///
    /// # Errors
    /// Fails if no source has one.
    pub fn key_secret(&self, local: bool) -> Result<Found, Error> {
        let option = self.options.key_secret.as_deref();
        self.secret(option, "--key-secret", KEY_SECRET, local)
    }

    /// Returns the previous key secret, if one is set. Keys issued under it are valid too.
    ///
    /// # Errors
    /// Fails if `.dev.vars` cannot be read.
    pub fn previous_key_secret(&self, local: bool) -> Result<Option<Secret>, Error> {
        let found = self.found(None, "", KEY_SECRET_PREVIOUS, local)?;
        Ok(found.map(|found| found.secret))
    }

    fn secret(
        &self,
        option: Option<&str>,
        option_name: &str,
        name: &'static str,
        local: bool,
    ) -> Result<Found, Error> {
        self.found(option, option_name, name, local)?
            .ok_or_else(|| not_set(name, local))
    }

    /// Finds a value for a Worker on this machine (`local`) or elsewhere.
    fn found(
        &self,
        option: Option<&str>,
        option_name: &str,
        name: &'static str,
        local: bool,
    ) -> Result<Option<Found>, Error> {
        if let Some(found) = self.given(option, option_name, name) {
            return Ok(Some(found));
        }
        if local { self.dev_var(name) } else { Ok(None) }
    }

    /// Returns the core's configuration with the variables that a job needs, for a database on this machine (`local`) or
    /// elsewhere.
    ///
    /// # Errors
    /// Fails if a required secret is missing or a value is not valid.
    pub fn config(&self, needs: &Needs, local: bool) -> Result<Config, Error> {
        let mut values = BTreeMap::new();
        for &name in needs.secrets.iter().chain(needs.optional_secrets) {
            if let Some(found) = self.found(None, "", name, local)? {
                values.insert(name, found.secret);
            } else if needs.secrets.contains(&name) {
                return Err(not_set(name, local));
            }
        }
        let mut plain = None;
        for &name in needs.plain {
            let found = match self.found(None, "", name, local)? {
                Some(found) => Some(found.secret),
                None => {
                    let plain = match &mut plain {
                        Some(plain) => plain,
                        none => none.insert(self.plain_vars(needs.wrangler_toml.as_deref())?),
                    };
                    plain.remove(name).map(Secret::new)
                }
            };
            values.extend(found.map(|value| (name, value)));
        }
        let read = |name: &'static str| values.get(name).map(|value| value.text().to_owned());
        Config::read_for_host(needs.site_databases, read).map_err(Error::of_variables)
    }

    /// Returns the plain variables (`[vars]`) of the given `wrangler.toml`, or of the project's. Skips values that are not text.
    fn plain_vars(&self, named: Option<&Path>) -> Result<BTreeMap<String, String>, Error> {
        #[derive(Deserialize)]
        struct Wrangler {
            #[serde(default)]
            vars: BTreeMap<String, toml::Value>,
        }

        let file = match (named, self.project()?) {
            (Some(file), _) => self.path(file),
            (None, Some(project)) => project.join(WRANGLER_TOML),
            (None, None) => return Ok(BTreeMap::new()),
        };
        let unreadable = |error: &dyn std::fmt::Display| {
            Error::Configuration(format!("{} cannot be read: {error}", file.display()))
        };
        let text = fs::read_to_string(&file).map_err(|e| unreadable(&e))?;
        let Wrangler { vars } = toml::from_str(&text).map_err(|e| unreadable(&e))?;
        let texts = vars.into_iter().filter_map(|(name, value)| match value {
            toml::Value::String(text) if !text.is_empty() => Some((name, text)),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// Finds a value in the project's `.dev.vars`.
    fn dev_var(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(project) = self.project()? else {
            return Ok(None);
        };
        let file = project.join(DEV_VARS);
        if !file.exists() {
            return Ok(None);
        }
        Ok(read_vars(&file)?.remove(name).map(|value| Found {
            secret: Secret::new(value.to_string()),
            from: DEV_VARS.into(),
        }))
    }

    /// Finds a value in the option, the file of `--vars-file` or the environment.
    fn given(&self, option: Option<&str>, option_name: &str, name: &str) -> Option<Found> {
        let found = |text: &str, from: &str| Found {
            secret: Secret::new(text.to_owned()),
            from: from.to_owned(),
        };
        if let Some(text) = option.filter(|text| !text.is_empty()) {
            return Some(found(text, option_name));
        }
        if let Some(text) = self.named_file.get(name) {
            return Some(found(text, "--vars-file"));
        }
        let text = Zeroizing::new(self.variable(name)?);
        Some(found(&text, name))
    }
}

fn not_set(name: &str, local: bool) -> Error {
    Error::Configuration(if local {
        format!(
            "{name} is not set in the environment or in a project's {DEV_VARS} (`npm start` creates one)"
        )
    } else {
        format!(
            "{name} is not set. Set it to the deployed Worker's value, or name a file with --vars-file: {DEV_VARS} has the local \
             Worker's secrets, which the deployed one does not accept"
        )
    })
}

fn is_project(folder: &Path) -> bool {
    folder.join(WRANGLER_TOML).is_file()
}

/// Reads a file's variables. Skips those without a value.
///
/// # Errors
/// Fails if the file cannot be read, has a line that is not understood, or a name that looks like one of ours and is none.
fn read_vars(file: &Path) -> Result<BTreeMap<String, Zeroizing<String>>, Error> {
    let unreadable = |reason: String| Error::Configuration(format!("{}: {reason}", file.display()));
    let text = fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    let mut vars = BTreeMap::new();
    for Assignment { line, name, value } in
        vars::parse(&text).map_err(|error| unreadable(error.to_string()))?
    {
        names::check(&name).map_err(|detail| unreadable(format!("line {line}: {detail}")))?;
        vars.insert(name, Zeroizing::new(value));
    }
    vars.retain(|_, value| !value.is_empty());
    Ok(vars)
}

#[cfg(test)]
mod tests;
