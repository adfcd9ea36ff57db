//! Reads the variables one by one and collects their errors.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Access, Cells, Config, HeldPages, Hostnames, Proxy, ReusedId, Site, VariableError};
use crate::crypto::api_key::KeySecret;
use crate::crypto::fingerprint::Fingerprints;
use crate::crypto::hashing::Hashing;
use crate::crypto::seal::{Sealer, SealingKey};
use crate::crypto::secret::Secret;
use crate::crypto::signature::RequestSecret;
use crate::crypto::verifying_key::VerifyingKeys;
use crate::value::address::{AddressList, CLOUDFLARE_RANGES};
use crate::value::hostname::{Hostname, ReservedHostnames};
use crate::value::id::CellId;
use crate::value::level::Level;
use crate::value::outbound::OutboundUrl;
use crate::value::table_name::TablePrefix;
use crate::value::text::{quote, traefik_name};
use crate::wire::variables::Variables;

/// Answers in JSON (<https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json/>).
const DEFAULT_RESOLVER: &str = "https://cloudflare-dns.com/dns-query";

/// The tenants that one run of the cron trigger counts. D1 allows 50 queries in one call of a Worker on the free plan. A run takes eight for what is
/// past its time, one more with `TENANTS_AUDIT_DAYS`, one to choose tenants, at most two for each tenant, and one to look up those that could not be counted:
/// 8 + 1 + 1 + 2 * 19 + 1 = 49.
const DEFAULT_STATS_PER_RUN: u32 = 19;
/// The most that the variable may say. A run counts 490 at most (`MOST_CHOSEN` in `task/stats.rs`).
const MAX_STATS_PER_RUN: u32 = 499;

/// The seconds before a tenant is counted again: an hour.
const DEFAULT_STATS_MIN_AGE_S: u32 = 60 * 60;

const DEFAULT_RESTORE_DAYS: u32 = 30;

/// About a hundred years: SQLite's `datetime` still knows the time so long ago.
const MAX_RESTORE_DAYS: u32 = 36_525;

/// The hours for which a request with an `Idempotency-Key` is remembered: 3 days, a weekend long, and at most 30.
const DEFAULT_IDEMPOTENCY_HOURS: u32 = 3 * 24;
const MAX_IDEMPOTENCY_HOURS: u32 = 30 * 24;

/// A century.
const MAX_AUDIT_DAYS: u32 = 36_525;

/// How long a request waits for a cell's job, in seconds, and the most that it may be.
const DEFAULT_JOB_WAIT_S: u32 = 20;
pub(crate) const MAX_JOB_WAIT_S: u32 = 60;

/// The seconds by which the clock of a bound key's client may be wrong: five minutes, and at most an hour.
const DEFAULT_SIGNATURE_AGE_S: u32 = 5 * 60;
const MAX_SIGNATURE_AGE_S: u32 = 60 * 60;

/// The shortest secret, in bytes: 128 bits, as long as the random part of an API key.
const MIN_SECRET_BYTES: usize = 16;

pub(super) struct Reader<F> {
    variable: F,
    has_site_databases: bool,
    errors: Vec<VariableError>,
}

impl<F: FnMut(&'static str) -> Option<String>> Reader<F> {
    pub(super) fn new(variable: F, has_site_databases: bool) -> Self {
        Self {
            variable,
            has_site_databases,
            errors: Vec::new(),
        }
    }

    pub(super) fn config(mut self) -> Result<Config, Vec<VariableError>> {
        let mut config = Config {
            fingerprints: None,
            hostnames: Hostnames {
                root: self
                    .parsed("CHEVERETO_INTERNAL_HOSTNAME", Hostname::parse)
                    .unwrap_or_else(Hostname::localhost),
                reserved: self
                    .parsed("TENANTS_RESERVED_HOSTNAMES", ReservedHostnames::parse)
                    .unwrap_or_default(),
                asks_proof: self
                    .parsed("TENANTS_HOSTNAME_PROOF", |text| match text {
                        "none" => Ok(false),
                        "txt" => Ok(true),
                        other => Err(format!("expected `none` or `txt`; got {}", quote(other))),
                    })
                    .unwrap_or_default(),
                // The operator's own machine may resolve names.
                resolver: self
                    .parsed("TENANTS_DOH_URL", |text| OutboundUrl::parse(text, true))
                    .or_else(|| OutboundUrl::parse(DEFAULT_RESOLVER, false).ok()),
            },
            console: self.flag("TENANTS_CONSOLE"),
            proxy: self.proxy(),
            access: self.access(),
            sealer: self.sealer(),
            enforced: self
                .parsed("CHEVERETO_TENANT_ENFORCED", Variables::parse)
                .unwrap_or_default(),
            site: Site {
                table_prefix: self
                    .parsed("CHEVERETO_DB_TABLE_PREFIX", TablePrefix::parse)
                    .unwrap_or_default(),
                hashing: self.hashing(),
                reused_id: self
                    .parsed("TENANTS_REUSED_ID", |text| match text {
                        "adopt" => Ok(ReusedId::Adopt),
                        "refuse" => Ok(ReusedId::Refuse),
                        other => Err(format!(
                            "expected `adopt` or `refuse`; got {}",
                            quote(other)
                        )),
                    })
                    .unwrap_or_default(),
                restore_days: self
                    .whole_in("TENANTS_RESTORE_DAYS", 0..=MAX_RESTORE_DAYS)
                    .unwrap_or(DEFAULT_RESTORE_DAYS),
            },
            cells: self.cells(),
            stats_per_run: self
                .whole_in("TENANTS_STATS_PER_RUN", 1..=MAX_STATS_PER_RUN)
                .unwrap_or(DEFAULT_STATS_PER_RUN),
            stats_min_age_s: self
                .whole("TENANTS_STATS_MIN_AGE")
                .unwrap_or(DEFAULT_STATS_MIN_AGE_S),
            idempotency_hours: self
                .whole_in("TENANTS_IDEMPOTENCY_HOURS", 1..=MAX_IDEMPOTENCY_HOURS)
                .unwrap_or(DEFAULT_IDEMPOTENCY_HOURS),
            audit_days: self.whole_in("TENANTS_AUDIT_DAYS", 1..=MAX_AUDIT_DAYS),
            log_level: self
                .parsed("TENANTS_LOG_LEVEL", Level::parse)
                .unwrap_or_default(),
        };
        config.fingerprints =
            Fingerprints::of(config.sealer.as_deref(), config.access.key_secret.as_ref());
        self.distinct_secrets();
        let has_site_databases = self.has_site_databases;
        let is_apart = self.parsed("CHEVERETO_TENANTS_DB_ISOLATION_MODE", |mode| match mode {
            // `prefix` is an older name.
            "table" | "prefix" => Ok(false),
            "database" if has_site_databases => Ok(true),
            "database" => Err(
                "`database` is not served by this host, which has no database for a site; expected `table`"
                    .to_string(),
            ),
            other => Err(format!(
                "expected `table` or `database`; got {}",
                quote(other)
            )),
        });
        if is_apart == Some(true) {
            config.site.table_prefix = config.site.table_prefix.apart();
        }
        if self.errors.is_empty() {
            Ok(config)
        } else {
            Err(self.errors)
        }
    }

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

    /// Reads a list of addresses. Only a missing list is empty: one of blanks and commas is a mistake, and must not mean "any address".
    fn addresses(&mut self, name: &'static str) -> AddressList {
        self.parsed(name, some_addresses).unwrap_or_default()
    }

    /// Reads the list of addresses that may call, under its name or its older name.
    fn allow_list(&mut self) -> AddressList {
        const NAME: &str = "CHEVERETO_TENANTS_API_IP_ALLOW_LIST";
        const OLDER_NAME: &str = "CHEVERETO_TENANTS_API_ALLOW_LIST";
        let list = self.addresses(NAME);
        let older = self.addresses(OLDER_NAME);
        if !list.is_empty() && !older.is_empty() && !list.has_the_ranges_of(&older) {
            self.errors.push(VariableError {
                name: NAME,
                detail: format!(
                    "expected the same addresses as in {OLDER_NAME}, the older name; got others: set one of the two"
                ),
            });
        }
        if list.is_empty() { older } else { list }
    }

    fn secret(&mut self, name: &'static str) -> Option<Secret> {
        let secret = self.value(name).map(Secret::new)?;
        if secret.bytes().len() < MIN_SECRET_BYTES {
            self.errors.push(VariableError {
                name,
                detail: format!(
                    "expected a secret of at least {MIN_SECRET_BYTES} bytes; got {}",
                    secret.bytes().len()
                ),
            });
        }
        Some(secret)
    }

    /// Refuses a secret that serves two purposes: whoever holds an API key knows a MAC under the key secret, and could make a signature
    /// out of it.
    fn distinct_secrets(&mut self) {
        const KEY: [&str; 2] = [
            "CHEVERETO_TENANTS_API_KEY_SECRET",
            "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS",
        ];
        const REQUEST: [&str; 2] = [
            "CHEVERETO_TENANTS_API_REQUEST_SECRET",
            "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS",
        ];
        let mut value = |name| self.value(name).map(Zeroizing::new);
        let key = KEY.map(&mut value);
        let request = REQUEST.map(&mut value);
        for (name, value) in REQUEST.iter().zip(&request) {
            for (other, other_value) in KEY.iter().zip(&key) {
                if value.is_some() && value == other_value {
                    self.errors.push(VariableError {
                        name,
                        detail: format!("expected another secret than {other}; got the same"),
                    });
                }
            }
        }
    }

    fn access(&mut self) -> Access {
        Access {
            allow_list: self.allow_list(),
            key_secret: self.rotating(
                "CHEVERETO_TENANTS_API_KEY_SECRET",
                "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS",
                KeySecret::new,
                KeySecret::after,
            ),
            request_secret: self.rotating(
                "CHEVERETO_TENANTS_API_REQUEST_SECRET",
                "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS",
                RequestSecret::new,
                RequestSecret::after,
            ),
            verifying_keys: self.parsed("CHEVERETO_TENANTS_PUBLIC_KEY", VerifyingKeys::parse),
            public_url: self.parsed("TENANTS_PUBLIC_URL", public_url),
            signature_age_s: self
                .whole_in("TENANTS_SIGNATURE_AGE_SECONDS", 1..=MAX_SIGNATURE_AGE_S)
                .unwrap_or(DEFAULT_SIGNATURE_AGE_S),
        }
    }

    /// Reads a secret, and the one before it while it rotates. A previous secret alone has no effect.
    fn rotating<T>(
        &mut self,
        name: &'static str,
        previous: &'static str,
        new: impl FnOnce(&Secret) -> T,
        after: impl FnOnce(T, &Secret) -> T,
    ) -> Option<T> {
        // Both are checked, even if a previous secret without a current one has no effect.
        let (current, previous) = (self.secret(name), self.secret(previous));
        let current = new(&current?);
        Some(match previous {
            Some(previous) => after(current, &previous),
            None => current,
        })
    }

    fn proxy(&mut self) -> Proxy {
        let entry_point = self.parsed("CHEVERETO_PROXY_ENTRYPOINT", traefik_name);
        let service = self.parsed("CHEVERETO_SERVICE_NAME", traefik_name);
        let port = self.parsed("CHEVERETO_SERVICE_PORT", |text| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            match text.parse::<u16>() {
                Ok(port) if digits && port != 0 => Ok(port),
                _ => Err(format!("expected a port, 1 to 65535; got {}", quote(text))),
            }
        });
        let ranges = self.parsed("CHEVERETO_PROXY_IP_ALLOW_LIST", |text| {
            // Chevereto accepts the word among the ranges. Traefik disables every router that uses a middleware without ranges.
            let named = text.split(',').map(|entry| match entry.trim() {
                word if word.eq_ignore_ascii_case("cloudflare") => CLOUDFLARE_RANGES,
                _ => entry,
            });
            some_addresses(&named.collect::<Vec<_>>().join(","))
        });
        Proxy {
            allow_list: self.addresses("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST"),
            development: self.flag("TENANTS_DEVELOPMENT"),
            entry_point: entry_point.unwrap_or_else(|| "websecure".into()),
            service: service.unwrap_or_else(|| "php".into()),
            port: port.unwrap_or(8080),
            ranges: ranges
                .or_else(|| AddressList::parse(CLOUDFLARE_RANGES).ok())
                .unwrap_or_default(),
            held: self.held_pages(),
        }
    }

    fn held_pages(&mut self) -> Option<HeldPages> {
        match self.parsed("TENANTS_HELD_URL", public_url) {
            Some(url) => HeldPages::below(&url),
            // A fault in this one is reported where it is read for its own purpose.
            None => HeldPages::own(&self.value("TENANTS_PUBLIC_URL")?),
        }
    }

    /// Reads a switch, which is off without a value.
    fn flag(&mut self, name: &'static str) -> bool {
        self.parsed(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("expected `true` or `false`; got {}", quote(other))),
        })
        .unwrap_or_default()
    }

    fn whole(&mut self, name: &'static str) -> Option<u32> {
        self.parsed(name, |text| match text.parse() {
            Ok(n) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
            _ => Err(format!("expected a whole number; got {}", quote(text))),
        })
    }

    /// Reads a whole number of this range.
    fn whole_in(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let n = self.whole(name)?;
        if range.contains(&n) {
            return Some(n);
        }
        let (least, most) = range.into_inner();
        let detail = format!("expected {least} to {most}; got {n}");
        self.errors.push(VariableError { name, detail });
        None
    }

    fn cells(&mut self) -> Cells {
        let default = self.parsed("TENANTS_DEFAULT_CELL", CellId::parse);
        let wait_s = self.whole_in("TENANTS_JOB_WAIT_SECONDS", 0..=MAX_JOB_WAIT_S);
        Cells {
            default,
            wait_s: wait_s.unwrap_or(DEFAULT_JOB_WAIT_S),
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

    fn sealer(&mut self) -> Option<Arc<Sealer>> {
        let current = self.parsed("CHEVERETO_ENCRYPTION_KEY", sealing_key);
        let previous = self.parsed("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", sealing_key);
        current.map(|current| Arc::new(Sealer::new(current, previous)))
    }
}

/// Parses a list of at least one address or range.
fn some_addresses(text: &str) -> Result<AddressList, String> {
    let list = AddressList::parse(text)?;
    if list.is_empty() {
        return Err("expected at least one address or CIDR range; got blanks".into());
    }
    Ok(list)
}

/// Parses the address that clients call. Returns it without a slash at its end.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let expected = |what: &str| {
        format!(
            "expected a URL such as https://tenants.example.com, {what}; got {}",
            quote(text)
        )
    };
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| expected("with a scheme"))?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(expected("with the scheme http or https"));
    }
    if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['?', '#', '@', '"', '\\']) {
        return Err(expected("in ASCII, without a user, a query or a fragment"));
    }
    let url = text.trim_end_matches('/');
    if rest.starts_with('/') || rest.is_empty() {
        return Err(expected("with a host"));
    }
    Ok(url.into())
}

/// Parses 32 bytes in base64 (RFC 4648 §4).
fn sealing_key(text: &str) -> Result<SealingKey, String> {
    let bytes = STANDARD
        .decode(text.trim())
        .map(Zeroizing::new)
        .map_err(|_| "expected base64 of 32 bytes; it is not base64".to_string())?;
    let key = <&[u8; SealingKey::BYTES]>::try_from(bytes.as_slice())
        .map_err(|_| format!("expected base64 of 32 bytes; got {} bytes", bytes.len()))?;
    Ok(SealingKey::new(key))
}
