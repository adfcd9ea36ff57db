//! Configuration: named variables, read once, under Chevereto's own names (contract §9).
//!
//! This module reads and renders nothing. Errors name every invalid variable at once, and nothing runs on a configuration with an
//! error in it. An empty value counts as absent.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::crypto::api_key::KeySecret;
use crate::crypto::fingerprint::Fingerprints;
use crate::crypto::hashing::Hashing;
use crate::crypto::seal::Sealer;
use crate::crypto::signature::RequestSecret;
use crate::crypto::verifying_key::VerifyingKeys;
use crate::value::address::AddressList;
use crate::value::hostname::{Hostname, ReservedHostnames};
use crate::value::id::CellId;
use crate::value::level::Level;
use crate::value::outbound::OutboundUrl;
use crate::value::table_name::TablePrefix;
use crate::wire::variables::Variables;

mod names;
mod reader;
#[cfg(test)]
mod tests;

pub use names::{UnknownVariable, unknown};
use reader::Reader;

/// The names of all variables that [`Config::read`] asks for.
pub const VARIABLES: &[&str] = &[
    "CHEVERETO_DB_TABLE_PREFIX",
    "CHEVERETO_ENCRYPTION_KEY",
    "CHEVERETO_ENCRYPTION_KEY_PREVIOUS",
    "CHEVERETO_INTERNAL_HOSTNAME",
    "CHEVERETO_PROXY_ENTRYPOINT",
    "CHEVERETO_PROXY_IP_ALLOW_LIST",
    "CHEVERETO_SERVICE_NAME",
    "CHEVERETO_SERVICE_PORT",
    "CHEVERETO_TENANTS_API_ALLOW_LIST",
    "CHEVERETO_TENANTS_API_IP_ALLOW_LIST",
    "CHEVERETO_TENANTS_API_KEY_SECRET",
    "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS",
    "CHEVERETO_TENANTS_API_REQUEST_SECRET",
    "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS",
    "CHEVERETO_TENANTS_DB_ISOLATION_MODE",
    "CHEVERETO_TENANTS_PUBLIC_KEY",
    "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST",
    "CHEVERETO_TENANT_ENFORCED",
    "TENANTS_AUDIT_DAYS",
    "TENANTS_CONSOLE",
    "TENANTS_DEFAULT_CELL",
    "TENANTS_DEVELOPMENT",
    "TENANTS_DOH_URL",
    "TENANTS_HELD_URL",
    "TENANTS_HOSTNAME_PROOF",
    "TENANTS_IDEMPOTENCY_HOURS",
    "TENANTS_JOB_WAIT_SECONDS",
    "TENANTS_LOG_LEVEL",
    "TENANTS_PASSWORD_MEMORY_KIB",
    "TENANTS_PASSWORD_PASSES",
    "TENANTS_PUBLIC_URL",
    "TENANTS_RESERVED_HOSTNAMES",
    "TENANTS_RESTORE_DAYS",
    "TENANTS_REUSED_ID",
    "TENANTS_SIGNATURE_AGE_SECONDS",
    "TENANTS_STATS_MIN_AGE",
    "TENANTS_STATS_PER_RUN",
];

/// The service's configuration, a group for each part that needs it.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) access: Access,
    /// Encrypts and decrypts `env`. An operation that needs it and finds none answers 503.
    pub(crate) sealer: Option<Arc<Sealer>>,
    /// Make the fingerprints of requests with an `Idempotency-Key`. `None` without any secret to derive one from.
    pub(crate) fingerprints: Option<Fingerprints>,
    /// The hours for which a request with an `Idempotency-Key` is remembered.
    pub(crate) idempotency_hours: u32,
    /// The days for which entries of the audit log are kept; `None` for ever.
    pub(crate) audit_days: Option<u32>,
    /// Whether the console is served, and people may sign in to it (contract §20).
    pub(crate) console: bool,
    /// Settings that override every tenant's own (contract §6).
    pub(crate) enforced: Variables,
    pub(crate) hostnames: Hostnames,
    pub(crate) proxy: Proxy,
    pub(crate) site: Site,
    pub(crate) cells: Cells,
    /// The most tenants that one run of the cron trigger counts.
    pub(crate) stats_per_run: u32,
    /// The cron trigger counts no tenant again before so many seconds have passed.
    pub(crate) stats_min_age_s: u32,
    /// The lowest level that the log has.
    pub(crate) log_level: Level,
}

/// The addresses that may call, and the secrets that prove a caller.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The addresses that may call. An empty list allows any address.
    pub(crate) allow_list: AddressList,
    /// Issues and checks API keys. A route that needs it and finds none answers 503.
    pub(crate) key_secret: Option<KeySecret>,
    /// Checks signatures of the current dialect. A route that needs it and finds none answers 503.
    pub(crate) request_secret: Option<RequestSecret>,
    /// Check signatures of the legacy dialect. Without them its routes do not exist.
    pub(crate) verifying_keys: Option<VerifyingKeys>,
    /// The address that clients call, without a slash at its end, if it differs from the one that a host sees. Bound keys sign it.
    pub(crate) public_url: Option<String>,
    /// The number of seconds by which the clock of a bound key's client may be wrong.
    pub(crate) signature_age_s: u32,
}

/// Hostnames that no tenant may have, and what shows that one is a tenant's.
#[derive(Debug, Clone)]
pub(crate) struct Hostnames {
    /// The root's own.
    pub(crate) root: Hostname,
    /// The operator's choice.
    pub(crate) reserved: ReservedHostnames,
    /// Whether a further hostname is a claim until its owner has shown it.
    pub(crate) asks_proof: bool,
    /// The resolver that looks the records up.
    pub(crate) resolver: Option<OutboundUrl>,
}

/// Traefik: who may read its configuration, and the settings in it.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    /// The addresses that may read the configuration with a key.
    pub(crate) allow_list: AddressList,
    /// Whether this is a developer's machine. Programs on it may read the configuration without a key.
    pub(crate) development: bool,
    pub(crate) entry_point: String,
    pub(crate) service: String,
    pub(crate) port: u16,
    /// The addresses that requests to tenants may come from.
    pub(crate) ranges: AddressList,
    /// Where the pages of held tenants are. `None`: where the configuration is read.
    pub(crate) held: Option<HeldPages>,
}

/// Where the pages of held tenants are: at `<server><path>/<id>`. Neither needs escaping in JSON.
#[derive(Debug, Clone)]
pub(crate) struct HeldPages {
    /// Scheme and host, and the port if it has one.
    pub(crate) server: String,
    /// Empty, or it begins with a slash. It ends with none.
    pub(crate) path: String,
}

impl HeldPages {
    /// The service's own pages, if this is a URL that it is called by.
    pub(crate) fn own(url: &str) -> Option<Self> {
        Self::below(&format!("{}/_/held", reader::public_url(url).ok()?))
    }

    /// The pages below a URL.
    fn below(url: &str) -> Option<Self> {
        let host = url.find("://")? + 3;
        let end = url[host..].find('/').map_or(url.len(), |at| host + at);
        let (server, path) = url.split_at(end);
        Some(Self {
            server: server.into(),
            path: path.into(),
        })
    }
}

/// Tenants' own sites.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The start of the names of tenants' own tables, and whether they have a database each.
    pub(crate) table_prefix: TablePrefix,
    /// The cost of a password's hash.
    pub(crate) hashing: Hashing,
    /// The fate of tables that a deleted tenant has left behind.
    pub(crate) reused_id: ReusedId,
    /// The days for which a deleted tenant can be brought back. 0: it cannot.
    pub(crate) restore_days: u32,
}

/// Tenants' sites on cells.
#[derive(Debug, Clone)]
pub(crate) struct Cells {
    /// The cell of a new tenant that names none.
    pub(crate) default: Option<CellId>,
    /// How long a request waits for a cell's job, in seconds.
    pub(crate) wait_s: u32,
}

/// The answer to a new tenant whose id belonged to a deleted one, if the tables of the deleted tenant still exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ReusedId {
    /// The new tenant gets the tables, with their users and files. The response and the log say so.
    #[default]
    Adopt,
    /// 409.
    Refuse,
}

/// A variable with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableError {
    /// The variable's name.
    pub name: &'static str,
    /// The error in its value, in words. It quotes nothing of a secret.
    pub detail: String,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

impl Config {
    /// Reads the configuration. `variable` returns a variable's value by its name, which is one of [`VARIABLES`].
    ///
    /// # Errors
    /// Every variable with an invalid value.
    pub fn read(
        variable: impl FnMut(&'static str) -> Option<String>,
    ) -> Result<Self, Vec<VariableError>> {
        Self::read_for_host(false, variable)
    }

    /// Like [`Config::read`]. `has_site_databases`: the host has a database for each tenant's site, and runs a batch on any
    /// [`Database`](crate::sql::Database). Only then `CHEVERETO_TENANTS_DB_ISOLATION_MODE` may be `database`.
    ///
    /// # Errors
    /// Every variable with an invalid value.
    pub fn read_for_host(
        has_site_databases: bool,
        variable: impl FnMut(&'static str) -> Option<String>,
    ) -> Result<Self, Vec<VariableError>> {
        Reader::new(variable, has_site_databases).config()
    }

    /// Issues and checks API keys, if `CHEVERETO_TENANTS_API_KEY_SECRET` is configured.
    #[must_use]
    pub fn key_secret(&self) -> Option<&KeySecret> {
        self.access.key_secret.as_ref()
    }

    /// Signs and checks bodies, if `CHEVERETO_TENANTS_API_REQUEST_SECRET` is configured.
    #[must_use]
    pub fn request_secret(&self) -> Option<&RequestSecret> {
        self.access.request_secret.as_ref()
    }

    /// Whether every route needs the client's address. Traefik's route always needs it.
    #[must_use]
    pub fn needs_client_address(&self) -> bool {
        !self.access.allow_list.is_empty()
    }

    /// Whether the console is served, and people may sign in to it: `TENANTS_CONSOLE`.
    #[must_use]
    pub fn has_console(&self) -> bool {
        self.console
    }

    /// Whether each site has a database of its own: `CHEVERETO_TENANTS_DB_ISOLATION_MODE` is `database`.
    #[must_use]
    pub fn has_site_databases(&self) -> bool {
        self.site.table_prefix.is_apart()
    }

    /// The most tenants that one run of a host's cron trigger counts: `TENANTS_STATS_PER_RUN`.
    #[must_use]
    pub fn stats_per_run(&self) -> u32 {
        self.stats_per_run
    }

    /// Settings that override every tenant's own: `CHEVERETO_TENANT_ENFORCED`, a JSON object (contract §6).
    #[must_use]
    pub fn enforced(&self) -> &Variables {
        &self.enforced
    }
}
