//! The agent's settings.
//!
//! A value comes from the first of these that has it: the option, the environment, the agent's own file (`--config`), and the
//! installation's environment file (`--env-file`). Secrets have no option, since other users of a machine can read a command's options.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tenants_chevereto::seal::EncryptionKey;
use tenants_chevereto::tenant::Keys;
use tenants_client::address::Address;
use tenants_client::{Client, Found, Program, Setup, Signing, vars};
use tenants_core::crypto::secret::Secret;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::tables::schema_of;

/// The options that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// A file of NAME=value lines with the variables below
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The installation's own file of NAME=value lines, with CHEVERETO_CACHE_*, CHEVERETO_DB_* and CHEVERETO_ENCRYPTION_KEY
    /// [env: TENANTS_AGENT_ENV_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// The registry's address [env: TENANTS_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The cell [env: TENANTS_CELL]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) cell: Option<String>,
    /// The state file [env: TENANTS_AGENT_STATE] [default: /var/lib/tenants-agent/state.db]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// The installation's folder [env: TENANTS_AGENT_INSTALLATION]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) installation: Option<PathBuf>,
    /// The command that runs the installation's app/bin/cli: words, or a JSON array of them. {tenant} and {seconds} are replaced
    /// [env: TENANTS_AGENT_CLI]
    #[arg(long, global = true, value_name = "ARGV")]
    pub(crate) cli: Option<String>,
    /// Seconds between two rounds [env: TENANTS_AGENT_INTERVAL] [default: 2]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) interval: Option<String>,
    /// Jobs at a time [env: TENANTS_AGENT_WORKERS] [default: 2]
    #[arg(long, global = true, value_name = "COUNT")]
    pub(crate) workers: Option<String>,
    /// Runs of `cron` at a time; 0 runs none [env: TENANTS_AGENT_CRON_WORKERS] [default: 2]
    #[arg(long, global = true, value_name = "COUNT")]
    pub(crate) cron_workers: Option<String>,
    /// Keep the cell's part of Traefik's configuration in this file, .yml or .yaml [env: TENANTS_AGENT_TRAEFIK_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) traefik_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust for https in place of the system's [env: SSL_CERT_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Remove keys of tenants and hostnames from Redis that are neither the registry's nor the agent's own
    #[arg(long, global = true)]
    pub(crate) prune: bool,
    /// Print what would be done, and do nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
}

/// The address of Redis, and its user.
#[derive(Clone)]
pub(crate) struct RedisSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) database: i64,
    /// A file of certificates for TLS.
    pub(crate) ca: Option<PathBuf>,
}

/// The address of MySQL, and its user.
#[derive(Clone)]
pub(crate) struct DatabaseSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: Zeroizing<String>,
}

/// The settings of a run.
pub(crate) struct Settings {
    pub(crate) address: Address,
    pub(crate) cell: String,
    pub(crate) state: PathBuf,
    pub(crate) redis: RedisSettings,
    pub(crate) keys: Keys,
    pub(crate) encryption_key: EncryptionKey,
    pub(crate) interval: Duration,
    /// How often all keys are compared.
    pub(crate) compare: Duration,
    /// The words of the command that runs the installation's CLI.
    pub(crate) cli: Vec<String>,
    pub(crate) installation: Option<PathBuf>,
    /// The folder whose files name the tables of a site.
    pub(crate) schema: Option<PathBuf>,
    pub(crate) database: Option<DatabaseSettings>,
    /// `CHEVERETO_TENANTS_DB_ISOLATION_MODE` of the installation is not one with prefixes. Where it is not set, the tables tell.
    pub(crate) is_isolated_by_database: bool,
    pub(crate) workers: usize,
    pub(crate) cron_workers: usize,
    pub(crate) job_limit: Duration,
    pub(crate) cron_limit: Duration,
    pub(crate) update_limit: Duration,
    /// The length of a job's lease. A killed agent's job is given back after it.
    pub(crate) lease_seconds: u64,
    pub(crate) traefik_file: Option<PathBuf>,
    pub(crate) prune: bool,
    pub(crate) dry_run: bool,
    cacert: Option<PathBuf>,
    values: Values,
}

/// Chevereto's default, and the least that the agent takes as a site's own setting.
pub(crate) const DEFAULT_CRON_SECONDS: u32 = 300;

/// The longest time limit or pause: a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;

/// The variables, from their sources.
struct Values {
    environment: fn(&str) -> Option<String>,
    config: BTreeMap<String, Zeroizing<String>>,
    installation: BTreeMap<String, Zeroizing<String>>,
}

impl Values {
    fn get(&self, name: &str) -> Option<Zeroizing<String>> {
        (self.environment)(name)
            .map(Zeroizing::new)
            .filter(|value| !value.is_empty())
            .or_else(|| self.config.get(name).cloned())
            .or_else(|| self.installation.get(name).cloned())
    }

    fn text(&self, option: Option<&String>, name: &str) -> Option<String> {
        option
            .cloned()
            .or_else(|| self.get(name).map(|value| value.to_string()))
    }

    fn path(&self, option: Option<&PathBuf>, name: &str) -> Option<PathBuf> {
        option
            .cloned()
            .or_else(|| self.get(name).map(|value| PathBuf::from(value.as_str())))
    }

    fn number<T: std::str::FromStr>(
        &self,
        option: Option<&String>,
        name: &str,
        default: T,
    ) -> Result<T, Error> {
        match self.text(option, name) {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| bad(name, &format!("expected a number, got `{text}`"))),
        }
    }
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Fails if a value is missing or not valid, or a file cannot be read.
    pub(crate) fn read(
        options: &Options,
        environment: fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let mut values = Values {
            environment,
            config: BTreeMap::new(),
            installation: BTreeMap::new(),
        };
        if let Some(file) = &options.config {
            values.config = read_file(file)?;
        }
        if let Some(file) = values.path(options.env_file.as_ref(), "TENANTS_AGENT_ENV_FILE") {
            values.installation = read_file(&file)?;
        }
        let needed = |name: &str| values.get(name).ok_or_else(|| missing(name));
        let url = values
            .text(options.url.as_ref(), "TENANTS_URL")
            .ok_or_else(|| missing("TENANTS_URL"))?;
        let address = Address::parse(&url).map_err(|detail| bad("TENANTS_URL", &detail))?;
        let cell = values
            .text(options.cell.as_ref(), "TENANTS_CELL")
            .ok_or_else(|| missing("TENANTS_CELL"))?;
        let installation = values.path(options.installation.as_ref(), "TENANTS_AGENT_INSTALLATION");
        let schema = values
            .path(None, "TENANTS_AGENT_SCHEMA")
            .or_else(|| installation.as_deref().map(schema_of));
        let encryption_key = EncryptionKey::parse(&needed("CHEVERETO_ENCRYPTION_KEY")?)
            .ok_or_else(|| bad("CHEVERETO_ENCRYPTION_KEY", "expected base64 of 32 bytes"))?;
        let prefix = values.get("CHEVERETO_CACHE_KEY_ROOT_PREFIX");
        let traefik_file = values.path(options.traefik_file.as_ref(), "TENANTS_AGENT_TRAEFIK_FILE");
        if let Some(file) = &traefik_file
            && !matches!(
                file.extension().and_then(|e| e.to_str()),
                Some("yml" | "yaml")
            )
        {
            // Traefik's file provider skips every other name without a word. JSON is YAML.
            return Err(bad(
                "--traefik-file",
                "expected a name that ends in .yml or .yaml",
            ));
        }
        let seconds = |option: Option<&String>, name: &str, default: u64| {
            let seconds: u64 = values.number(option, name, default)?;
            if !(1..=MAX_SECONDS).contains(&seconds) {
                return Err(bad(name, "expected 1 to 86400 seconds"));
            }
            Ok(Duration::from_secs(seconds))
        };
        let workers = values.number(options.workers.as_ref(), "TENANTS_AGENT_WORKERS", 2)?;
        if !(1..=20).contains(&workers) {
            return Err(bad("TENANTS_AGENT_WORKERS", "expected 1 to 20"));
        }
        let default_state = || PathBuf::from("/var/lib/tenants-agent/state.db");
        Ok(Self {
            state: values
                .path(options.state.as_ref(), "TENANTS_AGENT_STATE")
                .unwrap_or_else(default_state),
            redis: redis(&values)?,
            keys: Keys::new(prefix.as_ref().map_or("chv:", |prefix| prefix.as_str())),
            encryption_key,
            interval: interval(&values, options)?,
            compare: seconds(None, "TENANTS_AGENT_COMPARE_SECONDS", 300)?,
            cli: match values.text(options.cli.as_ref(), "TENANTS_AGENT_CLI") {
                Some(text) => words(&text)?,
                None => Vec::new(),
            },
            schema,
            installation,
            database: database(&values)?,
            is_isolated_by_database: values
                .get("CHEVERETO_TENANTS_DB_ISOLATION_MODE")
                .is_some_and(|mode| !has_prefixes(&mode)),
            workers,
            cron_workers: values.number(
                options.cron_workers.as_ref(),
                "TENANTS_AGENT_CRON_WORKERS",
                2,
            )?,
            job_limit: seconds(None, "TENANTS_AGENT_JOB_SECONDS", 600)?,
            update_limit: seconds(None, "TENANTS_AGENT_UPDATE_SECONDS", 3600)?,
            cron_limit: seconds(None, "TENANTS_AGENT_CRON_SECONDS", 300)?,
            lease_seconds: lease_seconds(&values)?,
            traefik_file,
            prune: options.prune,
            dry_run: options.dry_run,
            cacert: options.cacert.clone(),
            address,
            cell,
            values,
        })
    }

    /// Creates the client of the registry.
    ///
    /// # Errors
    /// Fails if the key or the secret is missing, or certificates cannot be read.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let found = |name: &str| -> Result<Found, Error> {
            let value = self.values.get(name).ok_or_else(|| missing(name))?;
            Ok(Found {
                secret: Secret::new(value.to_string()),
                from: name.into(),
            })
        };
        let variable = |name: &str| self.values.get(name).map(|value| value.to_string());
        Client::new(Setup {
            address: self.address.clone(),
            key: found("TENANTS_API_KEY")?,
            // A bound key's own secret: no cell holds the one that all callers share.
            signing: Signing::Request(found(Signing::VARIABLE)?),
            program: Program {
                name: "agent",
                user_agent: concat!("tenants-agent/", env!("CARGO_PKG_VERSION")),
            },
            cacert: self.cacert.as_deref(),
            variable: &variable,
            folder: Path::new("."),
        })
        .map_err(|error| match error {
            tenants_client::error::Error::Configuration(text) => Error::Configuration(text),
            other => Error::Configuration(format!("{other:?}")),
        })
    }
}

/// Whether the tables of a tenant have a prefix under this isolation mode. Chevereto's own pages have both names.
fn has_prefixes(mode: &str) -> bool {
    ["table", "prefix"].contains(&mode.trim().to_ascii_lowercase().as_str())
}

fn lease_seconds(values: &Values) -> Result<u64, Error> {
    let name = "TENANTS_AGENT_LEASE_SECONDS";
    let seconds = values.number(None, name, 30)?;
    if !(5..=3600).contains(&seconds) {
        return Err(bad(name, "expected 5 to 3600 seconds"));
    }
    Ok(seconds)
}

fn interval(values: &Values, options: &Options) -> Result<Duration, Error> {
    let name = "TENANTS_AGENT_INTERVAL";
    let seconds: f64 = values.number(options.interval.as_ref(), name, 2.0)?;
    if !(0.1..=60.0).contains(&seconds) {
        return Err(bad(name, "expected 0.1 to 60 seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn redis(values: &Values) -> Result<RedisSettings, Error> {
    let host = values.get("CHEVERETO_CACHE_HOST");
    let user = values.get("CHEVERETO_CACHE_USER");
    Ok(RedisSettings {
        host: host.map_or_else(|| "127.0.0.1".into(), |host| host.to_string()),
        port: values.number(None, "CHEVERETO_CACHE_PORT", 6379)?,
        user: user.map(|user| user.to_string()),
        password: values.get("CHEVERETO_CACHE_PASSWORD"),
        database: values.number(None, "CHEVERETO_CACHE_DATABASE", 0)?,
        ca: values.path(None, "TENANTS_AGENT_REDIS_CA"),
    })
}

fn database(values: &Values) -> Result<Option<DatabaseSettings>, Error> {
    let Some(name) = values.get("CHEVERETO_DB_NAME") else {
        return Ok(None);
    };
    let user = values.get("CHEVERETO_DB_USER");
    let host = values.get("CHEVERETO_DB_HOST");
    Ok(Some(DatabaseSettings {
        host: host.map_or_else(|| "127.0.0.1".into(), |host| host.to_string()),
        port: values.number(None, "CHEVERETO_DB_PORT", 3306)?,
        name: name.to_string(),
        user: user
            .ok_or_else(|| missing("CHEVERETO_DB_USER"))?
            .to_string(),
        password: values.get("CHEVERETO_DB_PASS").unwrap_or_default(),
    }))
}

/// Reads a command: a JSON array of strings, or words with spaces between. No shell is involved.
fn words(text: &str) -> Result<Vec<String>, Error> {
    let text = text.trim();
    let words: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text)
            .map_err(|_| bad("TENANTS_AGENT_CLI", "expected a JSON array of strings"))?
    } else if text.contains(['"', '\'', '\\', '$', '|', '&', ';', '<', '>', '`']) {
        return Err(bad(
            "TENANTS_AGENT_CLI",
            "it is not run by a shell: expected plain words, or a JSON array of them",
        ));
    } else {
        text.split_whitespace().map(str::to_owned).collect()
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(bad("TENANTS_AGENT_CLI", "expected a program"));
    }
    Ok(words)
}

fn read_file(file: &Path) -> Result<BTreeMap<String, Zeroizing<String>>, Error> {
    let unreadable = |cause: &dyn std::fmt::Display| {
        Error::Configuration(format!("{} cannot be read: {cause}", file.display()))
    };
    let text = Zeroizing::new(fs::read_to_string(file).map_err(|e| unreadable(&e))?);
    let assignments = vars::parse(&text).map_err(|e| unreadable(&e))?;
    Ok(assignments
        .into_iter()
        .filter(|a| !a.value.is_empty())
        .map(|a| (a.name, Zeroizing::new(a.value)))
        .collect())
}

fn missing(name: &str) -> Error {
    Error::Configuration(format!(
        "{name} is not set, neither in the environment nor in the file of --config"
    ))
}

fn bad(name: &str, detail: &str) -> Error {
    Error::Configuration(format!("{name}: {detail}"))
}

#[cfg(test)]
mod tests;
