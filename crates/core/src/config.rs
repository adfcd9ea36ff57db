//! Configuration: named variables, read once, by Chevereto's own names (contract §9).
//!
//! A value that does not parse is refused with its variable's name, all of them at once; nothing runs on a half-read
//! configuration. An empty value is as if absent.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::address::AddressList;
use crate::auth::key::KeySecret;
use crate::auth::signature::RequestSecret;
use crate::auth::verifying_key::VerifyingKeys;
use crate::hostname::Hostname;
use crate::log::Level;
use crate::problem::quote;
use crate::seal::{Sealer, SealingKey};
use crate::secret::Secret;
use crate::site::name::TablePrefix;
use crate::site::password::Hashing;
use crate::traefik::{self, CLOUDFLARE_RANGES};
use crate::variables::Variables;

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
    "CHEVERETO_TENANTS_API_IP_ALLOW_LIST",
    "CHEVERETO_TENANTS_API_KEY_SECRET",
    "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS",
    "CHEVERETO_TENANTS_API_REQUEST_SECRET",
    "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS",
    "CHEVERETO_TENANTS_DB_ISOLATION_MODE",
    "CHEVERETO_TENANTS_PUBLIC_KEY",
    "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST",
    "CHEVERETO_TENANT_ENFORCED",
    "TENANTS_DEVELOPMENT",
    "TENANTS_LOG_LEVEL",
    "TENANTS_PASSWORD_MEMORY_KIB",
    "TENANTS_PASSWORD_PASSES",
    "TENANTS_STATS_PER_RUN",
];

/// How many tenants a run of the cron trigger may count. D1 lets one call of a Worker make 50 queries on the free plan and 1000 on
/// the paid one (<https://developers.cloudflare.com/d1/platform/limits/>), and a run takes 1 + 2 × as many at the worst:
/// 1 + 2 × 24 = 49, 1 + 2 × 499 = 999.
const DEFAULT_STATS_PER_RUN: u32 = 24;
const MAX_STATS_PER_RUN: u32 = 499;

/// What the service runs on.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may call; empty means any.
    pub(crate) allow_list: AddressList,
    /// Issues and checks API keys; without it no key can be checked, and every route that wants one answers 503.
    pub(crate) key_secret: Option<KeySecret>,
    /// Checks the current dialect's signatures; without it every route that wants one answers 503.
    pub(crate) request_secret: Option<RequestSecret>,
    /// Seals and opens `env`; without it whatever has to answers 503.
    pub(crate) sealer: Option<Sealer>,
    /// Settings that go before every tenant's own (contract §6).
    pub(crate) enforced: Variables,
    /// The root's own name, which no tenant can have.
    pub(crate) internal_hostname: Hostname,
    /// From where Traefik's configuration may be read, with a key.
    pub(crate) traefik_allow_list: AddressList,
    /// Whether this is a developer's own machine, whose programs may read Traefik's configuration without a key.
    pub(crate) development: bool,
    /// Traefik's configuration but for the tenants.
    pub(crate) traefik: traefik::Settings,
    /// Check the legacy dialect's signatures; without them its routes are not there.
    pub(crate) verifying_keys: Option<VerifyingKeys>,
    /// What the names of tenants' own tables begin with.
    pub(crate) table_prefix: TablePrefix,
    /// What the hash of a user's password costs.
    pub(crate) hashing: Hashing,
    /// How many tenants a run of the Worker's cron trigger counts.
    pub(crate) stats_per_run: u32,
    /// From which level on the Worker's log has an entry.
    pub(crate) log_level: Level,
}

/// A variable whose value does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableError {
    /// The variable's name.
    pub name: &'static str,
    /// What was expected; of a secret, nothing of what came.
    pub detail: String,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

impl Config {
    /// Reads the configuration; `variable` answers a variable's value by its name, one of [`VARIABLES`].
    ///
    /// # Errors
    /// Every variable whose value does not parse.
    pub fn read(
        variable: impl FnMut(&'static str) -> Option<String>,
    ) -> Result<Self, Vec<VariableError>> {
        let mut reader = Reader {
            variable,
            errors: Vec::new(),
        };
        let internal_hostname = reader
            .parsed("CHEVERETO_INTERNAL_HOSTNAME", Hostname::parse)
            .unwrap_or_else(Hostname::localhost);
        let traefik = reader.traefik(&internal_hostname);
        let config = Self {
            allow_list: reader
                .parsed("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", AddressList::parse)
                .unwrap_or_default(),
            key_secret: reader.rotating(
                "CHEVERETO_TENANTS_API_KEY_SECRET",
                "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS",
                KeySecret::new,
                KeySecret::after,
            ),
            request_secret: reader.rotating(
                "CHEVERETO_TENANTS_API_REQUEST_SECRET",
                "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS",
                RequestSecret::new,
                RequestSecret::after,
            ),
            sealer: reader.sealer(),
            enforced: reader
                .parsed("CHEVERETO_TENANT_ENFORCED", Variables::parse)
                .unwrap_or_default(),
            internal_hostname,
            traefik_allow_list: reader
                .parsed(
                    "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST",
                    AddressList::parse,
                )
                .unwrap_or_default(),
            development: reader
                .parsed("TENANTS_DEVELOPMENT", |text| match text {
                    "true" => Ok(true),
                    "false" => Ok(false),
                    other => Err(format!("expected `true` or `false`; got {}", quote(other))),
                })
                .unwrap_or_default(),
            traefik,
            verifying_keys: reader.parsed("CHEVERETO_TENANTS_PUBLIC_KEY", VerifyingKeys::parse),
            table_prefix: reader
                .parsed("CHEVERETO_DB_TABLE_PREFIX", TablePrefix::parse)
                .unwrap_or_default(),
            hashing: reader.hashing(),
            stats_per_run: reader.stats_per_run(),
            log_level: reader
                .parsed("TENANTS_LOG_LEVEL", Level::parse)
                .unwrap_or_default(),
        };
        reader.parsed("CHEVERETO_TENANTS_DB_ISOLATION_MODE", |mode| match mode {
            "table" => Ok(()),
            "database" => {
                Err("`database` is not served by this version yet; expected `table`".to_string())
            }
            other => Err(format!("expected `table`; got {}", quote(other))),
        });
        if reader.errors.is_empty() {
            Ok(config)
        } else {
            Err(reader.errors)
        }
    }

    /// Issues and checks API keys, where `CHEVERETO_TENANTS_API_KEY_SECRET` is configured.
    #[must_use]
    pub fn key_secret(&self) -> Option<&KeySecret> {
        self.key_secret.as_ref()
    }

    /// Whether the client's address decides anything on every route; on Traefik's it always does.
    #[must_use]
    pub fn needs_client_address(&self) -> bool {
        !self.allow_list.is_empty()
    }

    /// How many tenants a run of a host's cron trigger counts: `TENANTS_STATS_PER_RUN`.
    #[must_use]
    pub fn stats_per_run(&self) -> u32 {
        self.stats_per_run
    }

    /// Settings that go before every tenant's own: `CHEVERETO_TENANT_ENFORCED`, a JSON object (contract §6).
    #[must_use]
    pub fn enforced(&self) -> &Variables {
        &self.enforced
    }

    /// Signs and checks bodies, where `CHEVERETO_TENANTS_API_REQUEST_SECRET` is configured.
    #[must_use]
    pub fn request_secret(&self) -> Option<&RequestSecret> {
        self.request_secret.as_ref()
    }
}

struct Reader<F> {
    variable: F,
    errors: Vec<VariableError>,
}

impl<F: FnMut(&'static str) -> Option<String>> Reader<F> {
    fn value(&mut self, name: &'static str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = Zeroizing::new(self.value(name)?);
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(detail) => {
                self.errors.push(VariableError { name, detail });
                None
            }
        }
    }

    fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.value(name).map(Secret::new)
    }

    /// A secret, and the one before it while it rotates: on its own that one does nothing.
    fn rotating<T>(
        &mut self,
        name: &'static str,
        previous: &'static str,
        new: impl FnOnce(&Secret) -> T,
        after: impl FnOnce(T, &Secret) -> T,
    ) -> Option<T> {
        let current = new(&self.secret(name)?);
        Some(match self.secret(previous) {
            Some(previous) => after(current, &previous),
            None => current,
        })
    }

    fn traefik(&mut self, root: &Hostname) -> traefik::Settings {
        let entry_point = self.parsed("CHEVERETO_PROXY_ENTRYPOINT", name);
        let service = self.parsed("CHEVERETO_SERVICE_NAME", name);
        let port = self.parsed("CHEVERETO_SERVICE_PORT", |text| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            match text.parse::<u16>() {
                Ok(port) if digits && port != 0 => Ok(port),
                _ => Err(format!("expected a port, 1 to 65535; got {}", quote(text))),
            }
        });
        let ranges = self
            .parsed("CHEVERETO_PROXY_IP_ALLOW_LIST", |text| {
                // Traefik refuses every router of a middleware without ranges.
                AddressList::parse(text).and_then(|list| {
                    if list.is_empty() {
                        Err("expected at least one address or CIDR range".into())
                    } else {
                        Ok(list)
                    }
                })
            })
            .or_else(|| AddressList::parse(CLOUDFLARE_RANGES).ok())
            .unwrap_or_default();
        traefik::Settings::new(
            root,
            entry_point.as_deref().unwrap_or("websecure"),
            service.as_deref().unwrap_or("php"),
            port.unwrap_or(8080),
            &ranges,
        )
    }

    fn whole(&mut self, name: &'static str) -> Option<u32> {
        self.parsed(name, |text| match text.parse() {
            Ok(n) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
            _ => Err(format!("expected a whole number; got {}", quote(text))),
        })
    }

    fn stats_per_run(&mut self) -> u32 {
        let name = "TENANTS_STATS_PER_RUN";
        match self.whole(name) {
            Some(n) if !(1..=MAX_STATS_PER_RUN).contains(&n) => {
                let detail = format!("expected 1 to {MAX_STATS_PER_RUN}; got {n}");
                self.errors.push(VariableError { name, detail });
                DEFAULT_STATS_PER_RUN
            }
            n => n.unwrap_or(DEFAULT_STATS_PER_RUN),
        }
    }

    fn hashing(&mut self) -> Hashing {
        let memory_kib = self.whole("TENANTS_PASSWORD_MEMORY_KIB");
        let passes = self.whole("TENANTS_PASSWORD_PASSES");
        let name = match (memory_kib, passes) {
            (None, None) => return Hashing::default(),
            (Some(_), None) => "TENANTS_PASSWORD_MEMORY_KIB",
            (_, Some(_)) => "TENANTS_PASSWORD_PASSES",
        };
        let memory_kib = memory_kib.unwrap_or(Hashing::DEFAULT_MEMORY_KIB);
        Hashing::new(memory_kib, passes.unwrap_or(Hashing::DEFAULT_PASSES)).unwrap_or_else(
            |detail| {
                self.errors.push(VariableError { name, detail });
                Hashing::default()
            },
        )
    }

    fn sealer(&mut self) -> Option<Sealer> {
        let current = self.parsed("CHEVERETO_ENCRYPTION_KEY", sealing_key);
        let previous = self.parsed("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", sealing_key);
        current.map(|current| Sealer::new(current, previous))
    }
}

/// A name that Traefik takes for an entry point or a service, and a URL for a host: no `@`, which would name another provider.
fn name(text: &str) -> Result<String, String> {
    let ok = (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if ok {
        Ok(text.into())
    } else {
        Err(format!(
            "expected 1 to 253 of [A-Za-z0-9._-]; got {}",
            quote(text)
        ))
    }
}

/// 32 bytes in base64 (RFC 4648 §4).
fn sealing_key(text: &str) -> Result<SealingKey, String> {
    let bytes = STANDARD
        .decode(text.trim())
        .map(Zeroizing::new)
        .map_err(|_| "expected base64 of 32 bytes; it is not base64".to_string())?;
    let key = <&[u8; SealingKey::BYTES]>::try_from(bytes.as_slice())
        .map_err(|_| format!("expected base64 of 32 bytes; got {} bytes", bytes.len()))?;
    Ok(SealingKey::new(key))
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::{Config, VARIABLES};

    fn read(set: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        Config::read(|name| {
            assert!(VARIABLES.contains(&name), "{name} is not in VARIABLES");
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).into())
        })
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_set_is_a_configuration() {
        let config = read(&[]).unwrap();
        assert!(config.key_secret.is_none());
        assert!(config.sealer.is_none());
        assert_eq!(config.internal_hostname.as_str(), "localhost");
        assert!(config.verifying_keys.is_none());
        assert!(
            read(&[("CHEVERETO_TENANTS_API_KEY_SECRET", "")])
                .unwrap()
                .key_secret
                .is_none()
        );
    }

    #[test]
    fn every_value_that_does_not_parse_is_named_and_no_secret_shown() {
        let errors = read(&[
            ("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "10.0.0.0/8,nonsense"),
            ("CHEVERETO_ENCRYPTION_KEY", "c2hvcnQ="),
            ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", "&&&"),
            ("CHEVERETO_INTERNAL_HOSTNAME", "a_b"),
            ("CHEVERETO_TENANTS_DB_ISOLATION_MODE", "database"),
            ("CHEVERETO_TENANT_ENFORCED", r#"{"a":"secret"}"#),
        ])
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "CHEVERETO_INTERNAL_HOSTNAME: expected labels of 1 to 63 letters, digits and hyphens, no hyphen at either end, separated by dots; got `a_b`",
                "CHEVERETO_TENANTS_API_IP_ALLOW_LIST: expected addresses or CIDR ranges, separated by commas; got `nonsense`",
                "CHEVERETO_ENCRYPTION_KEY: expected base64 of 32 bytes; got 5 bytes",
                "CHEVERETO_ENCRYPTION_KEY_PREVIOUS: expected base64 of 32 bytes; it is not base64",
                "CHEVERETO_TENANT_ENFORCED: /a: expected a name of [A-Z][A-Z0-9_]*, at most 128 characters; got `a`",
                "CHEVERETO_TENANTS_DB_ISOLATION_MODE: `database` is not served by this version yet; expected `table`",
            ]
        );
    }

    #[test]
    fn what_goes_into_traefiks_configuration_is_checked_here() {
        for (name, bad) in [
            ("CHEVERETO_PROXY_ENTRYPOINT", "web secure"),
            ("CHEVERETO_SERVICE_NAME", "php@docker"),
            ("CHEVERETO_SERVICE_NAME", "a`b"),
            ("CHEVERETO_SERVICE_PORT", "0"),
            ("CHEVERETO_SERVICE_PORT", "65536"),
            ("CHEVERETO_SERVICE_PORT", "+80"),
            ("CHEVERETO_PROXY_IP_ALLOW_LIST", "10.0.0.0/8,"),
            ("CHEVERETO_PROXY_IP_ALLOW_LIST", " "),
            ("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "localhost"),
            ("TENANTS_DEVELOPMENT", "yes"),
        ] {
            let errors = read(&[(name, bad)]).unwrap_err();
            assert_eq!(errors.len(), 1, "{name}={bad}");
            assert!(errors[0].starts_with(name), "{errors:?}");
        }
        assert!(
            read(&[
                ("CHEVERETO_SERVICE_NAME", "my_php.internal"),
                ("CHEVERETO_SERVICE_PORT", "65535")
            ])
            .is_ok()
        );
    }

    #[test]
    fn what_a_tenants_site_is_made_with_is_checked_here() {
        for (set, named) in [
            (
                &[("CHEVERETO_DB_TABLE_PREFIX", "chv")][..],
                "CHEVERETO_DB_TABLE_PREFIX",
            ),
            (
                &[("CHEVERETO_DB_TABLE_PREFIX", "d1_")],
                "CHEVERETO_DB_TABLE_PREFIX",
            ),
            (
                &[("TENANTS_PASSWORD_MEMORY_KIB", "7168")],
                "TENANTS_PASSWORD_MEMORY_KIB",
            ),
            (
                &[("TENANTS_PASSWORD_MEMORY_KIB", "65537")],
                "TENANTS_PASSWORD_MEMORY_KIB",
            ),
            (
                &[("TENANTS_PASSWORD_MEMORY_KIB", "19 MiB")],
                "TENANTS_PASSWORD_MEMORY_KIB",
            ),
            (
                &[("TENANTS_PASSWORD_MEMORY_KIB", "+47104")],
                "TENANTS_PASSWORD_MEMORY_KIB",
            ),
            (
                &[("TENANTS_PASSWORD_PASSES", "1")],
                "TENANTS_PASSWORD_PASSES",
            ),
            (
                &[("TENANTS_PASSWORD_PASSES", "-3")],
                "TENANTS_PASSWORD_PASSES",
            ),
            (&[("TENANTS_LOG_LEVEL", "all")], "TENANTS_LOG_LEVEL"),
            (&[("TENANTS_STATS_PER_RUN", "0")], "TENANTS_STATS_PER_RUN"),
            (&[("TENANTS_STATS_PER_RUN", "500")], "TENANTS_STATS_PER_RUN"),
            (
                &[("TENANTS_STATS_PER_RUN", "many")],
                "TENANTS_STATS_PER_RUN",
            ),
            (
                &[
                    ("TENANTS_PASSWORD_MEMORY_KIB", "7168"),
                    ("TENANTS_PASSWORD_PASSES", "4"),
                ],
                "TENANTS_PASSWORD_PASSES",
            ),
        ] {
            let errors = read(set).unwrap_err();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(
                errors[0].starts_with(&alloc::format!("{named}: expected ")),
                "{errors:?}"
            );
        }
        let read = read(&[
            ("CHEVERETO_DB_TABLE_PREFIX", "my_"),
            ("TENANTS_PASSWORD_MEMORY_KIB", "7168"),
            ("TENANTS_PASSWORD_PASSES", "5"),
        ]);
        let read = read.unwrap();
        assert_eq!(read.table_prefix.as_str(), "my_");
        assert_eq!(read.stats_per_run(), 24);
    }

    #[test]
    fn no_secret_prints() {
        let config = read(&[
            ("CHEVERETO_TENANTS_API_KEY_SECRET", "hunter2"),
            ("CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS", "hunter2"),
            ("CHEVERETO_TENANTS_API_REQUEST_SECRET", "hunter2"),
            ("CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS", "hunter2"),
            (
                "CHEVERETO_ENCRYPTION_KEY",
                "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=",
            ),
        ])
        .unwrap();
        let printed = alloc::format!("{config:?}");
        assert!(
            !printed.contains("hunter2") && !printed.contains("aHVud"),
            "{printed}"
        );
    }
}
