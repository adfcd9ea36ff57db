//! `GET /config/traefik` (contract §7): the routing of all enabled tenants, for Traefik v3's HTTP provider.
//!
//! Traefik takes a 200 for the whole truth, and drops every route that is not in it. So an error is never a 200, and a stored
//! row that cannot be a router is left out, and named in the log, rather than taking the others with it. What can stand in the
//! body was checked before: names are identifiers and hostnames, settings are checked when the configuration is read, so that
//! nothing can close a rule's backtick.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value as JsonValue, json};
use sha2::{Digest as _, Sha256};

use crate::address::AddressList;
use crate::auth::{self, KeyHolder};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::exchange::{Pending, key_dead};
use crate::hostname::Hostname;
use crate::http::{Request, Response, hex_text};
use crate::id::TenantId;
use crate::problem::{ApiError, quote};
use crate::sql::{Batch, Columns, Sql, standing_key};

/// The addresses that Cloudflare's proxies call from: <https://www.cloudflare.com/ips/>, read 2026-11.
pub const CLOUDFLARE_RANGES: &str = "173.245.48.0/20,103.21.244.0/22,103.22.200.0/22,103.31.4.0/22,141.101.64.0/18,\
    108.162.192.0/18,190.93.240.0/20,188.114.96.0/20,197.234.240.0/22,198.41.128.0/17,162.158.0.0/15,104.16.0.0/13,\
    104.24.0.0/14,172.64.0.0/13,131.0.72.0/22,2400:cb00::/32,2606:4700::/32,2803:f800::/32,2405:b500::/32,2405:8100::/32,\
    2a06:98c0::/29,2c0f:f248::/32";

const MIDDLEWARE: &str = "allow-range";

/// What the body has besides the tenants: written once, when the configuration is read.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The body up to the end of the root's router.
    head: String,
    /// A router after its rule.
    router: String,
    /// The body from the end of the routers.
    tail: String,
    /// Changes when one of those does.
    tag: String,
}

impl Settings {
    /// From checked values: none of them holds a backtick, a quote or an `@`.
    pub(crate) fn new(
        root: &Hostname,
        entry_point: &str,
        service: &str,
        port: u16,
        ranges: &AddressList,
    ) -> Self {
        let ranges: Vec<String> = ranges.ranges().map(|r| r.trunc().to_string()).collect();
        let router = format!(
            r#","service":{},"entryPoints":[{}],"middlewares":["{MIDDLEWARE}"]}}"#,
            text(service),
            text(entry_point)
        );
        let head = format!(r#"{{"http":{{"routers":{{"*":{{"rule":"Host(`{root}`)"{router}"#);
        let services = object(
            service,
            json!({"loadBalancer": {"servers": [{"url": format!("http://{service}:{port}")}], "passHostHeader": true}}),
        );
        let middlewares = object(MIDDLEWARE, json!({"ipAllowList": {"sourceRange": ranges}}));
        let tail = format!(r#"}},"services":{services},"middlewares":{middlewares}}}}}"#);
        let mut digest = Sha256::new();
        for part in [&head, &tail] {
            digest.update(part);
        }
        let tag = hex_text(&digest.finalize()[..8]);
        Self {
            head,
            router,
            tail,
            tag,
        }
    }

    fn etag(&self, revision: i64) -> String {
        format!("\"{}-{revision}\"", self.tag)
    }
}

fn text(value: &str) -> JsonValue {
    JsonValue::String(value.into())
}

fn object(name: &str, value: JsonValue) -> JsonValue {
    JsonValue::Object([(String::from(name), value)].into_iter().collect())
}

/// Who asks.
enum Reader {
    /// A program on the developer's own machine.
    Developer,
    /// Whoever holds a key, from an address that is let in.
    Holder(KeyHolder),
}

/// Decides who may read it (contract §2), without the database. To everybody else it is not there.
fn reader(config: &Config, request: &Request<'_>, now: Timestamp) -> Result<Reader, ApiError> {
    let address = request.client_address.unwrap_or("");
    if config.development && is_loopback(address) {
        return Ok(Reader::Developer);
    }
    if !config.traefik_allow_list.contains(address) {
        return Err(ApiError::NoRoute);
    }
    let key = auth::claim(config, request.headers.api_key)?;
    Ok(Reader::Holder(KeyHolder::new(&key, now)))
}

fn is_loopback(address: &str) -> bool {
    address
        .trim()
        .parse::<core::net::IpAddr>()
        .is_ok_and(|a| a.to_canonical().is_loopback())
}

/// What the caller has already, from `If-None-Match` (RFC 9110 §13.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Anything,
    Revision(i64),
}

impl Known {
    fn of(header: Option<&str>, tag: &str) -> Self {
        let Some(header) = header else {
            return Self::Nothing;
        };
        if header.trim() == "*" {
            return Self::Anything;
        }
        header
            .split(',')
            .filter_map(|entry| {
                let entry = entry.trim();
                let opaque = entry.strip_prefix("W/").unwrap_or(entry);
                let inside = opaque.strip_prefix('"')?.strip_suffix('"')?;
                let digits = inside.strip_prefix(tag)?.strip_prefix('-')?;
                digits.parse().ok().filter(|n| *n >= 0)
            })
            .max()
            .map_or(Self::Nothing, Self::Revision)
    }
}

/// The newest audit entry is the revision: every write leaves one in its own transaction. Where the caller has that revision,
/// no tenant is read.
macro_rules! select_routes {
    ($from:expr, $known:literal) => {
        concat!(
            "SELECT (SELECT coalesce(max(id), 0) FROM audit_log) AS revision, t.id, t.hostname FROM ",
            $from,
            " AS k LEFT JOIN tenants AS t ON t.is_enabled = 1 AND (SELECT coalesce(max(id), 0) FROM audit_log) <> ",
            $known,
            " ORDER BY t.id"
        )
    };
}

/// Plans the answer. `log_key` is told the key, where there is one.
pub(crate) fn config(
    config: &Config,
    request: &Request<'_>,
    now: Timestamp,
    log_key: impl FnOnce(i64),
) -> Result<Pending, ApiError> {
    let known = Known::of(request.headers.if_none_match, &config.traefik.tag);
    let revision = match known {
        Known::Revision(n) => n,
        // No revision: all tenants are read.
        Known::Nothing | Known::Anything => -1,
    };
    let read = match reader(config, request, now)? {
        Reader::Developer => Sql::of_nobody(select_routes!("(SELECT 1)", "?1")),
        Reader::Holder(holder) => {
            log_key(holder.key_id());
            Sql::held_by(&holder, select_routes!(standing_key!(), "?4"))
        }
    }
    .values([revision.into()]);
    Ok(Pending::new(Batch::read(read), move |config, answers| {
        let rows = answers.rows()?;
        let settings = &config.traefik;
        let mut body = settings.head.clone();
        body.reserve(rows.len() * (settings.router.len() + 64) + settings.tail.len());
        let mut revision = None;
        let mut left_out = Vec::new();
        for row in rows {
            let mut row = Columns::new(row);
            revision = Some(row.integer("revision")?);
            let Some(id) = row.optional_text("id")? else {
                continue;
            };
            match router(&id, &row.text("hostname")?, &config.internal_hostname) {
                Ok(hostname) => {
                    for part in [
                        ",\"",
                        &id,
                        "\":{\"rule\":\"Host(`",
                        hostname.as_str(),
                        "`)\"",
                        &settings.router,
                    ] {
                        body.push_str(part);
                    }
                }
                Err(reason) => left_out.push(reason),
            }
        }
        if !left_out.is_empty() {
            answers.note(format!("left out of the routing: {}", left_out.join("; ")));
        }
        // Not one row: the key does not stand.
        let revision = revision.ok_or_else(key_dead)?;
        let etag = settings.etag(revision);
        if known == Known::Anything || known == Known::Revision(revision) {
            return Ok(Response::empty(304).with("etag", etag));
        }
        body.push_str(&settings.tail);
        Ok(Response::json(200, body).with("etag", etag))
    }))
}

/// Checks a stored row once more: by hand or by an older version, anything may have been put there.
fn router(id: &str, hostname: &str, root: &Hostname) -> Result<Hostname, String> {
    TenantId::parse(id).map_err(|e| format!("tenants/{}: {e}", quote(id)))?;
    let parsed = Hostname::parse(hostname).map_err(|e| format!("tenants/{id}/hostname: {e}"))?;
    if parsed == *root {
        return Err(format!(
            "tenants/{id}/hostname: {} is the root's own",
            quote(hostname)
        ));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::{CLOUDFLARE_RANGES, Known, Settings};
    use crate::address::AddressList;
    use crate::hostname::Hostname;

    #[test]
    fn what_surrounds_the_tenants_is_json_in_a_stable_order() {
        let ranges = AddressList::parse("192.0.2.7, 2001:db8::1/32").unwrap();
        let settings = Settings::new(&Hostname::localhost(), "websecure", "php", 8080, &ranges);
        assert_eq!(
            settings.head.clone() + &settings.tail,
            r#"{"http":{"routers":{"*":{"rule":"Host(`localhost`)","service":"php","entryPoints":["websecure"],"middlewares":["allow-range"]}},"services":{"php":{"loadBalancer":{"passHostHeader":true,"servers":[{"url":"http://php:8080"}]}}},"middlewares":{"allow-range":{"ipAllowList":{"sourceRange":["192.0.2.7/32","2001:db8::/32"]}}}}}"#
        );
        assert_eq!(settings.tag.len(), 16);
        let other = Settings::new(&Hostname::localhost(), "web", "php", 8080, &ranges);
        assert_ne!(settings.tag, other.tag);
        assert_eq!(
            AddressList::parse(CLOUDFLARE_RANGES)
                .unwrap()
                .ranges()
                .count(),
            22
        );
    }

    #[test]
    fn if_none_match_is_read_as_the_rfc_has_it() {
        for (header, known) in [
            (None, Known::Nothing),
            (Some("*"), Known::Anything),
            (Some("\"t-7\""), Known::Revision(7)),
            (Some("W/\"t-7\""), Known::Revision(7)),
            (Some("\"x\", \"t-3\" , W/\"t-12\""), Known::Revision(12)),
            (Some("\"u-7\""), Known::Nothing),
            (Some("t-7"), Known::Nothing),
            (Some("\"t--7\""), Known::Nothing),
            (Some("\"t-x\""), Known::Nothing),
            (Some(""), Known::Nothing),
        ] {
            assert_eq!(Known::of(header, "t"), known, "{header:?}");
        }
    }
}
