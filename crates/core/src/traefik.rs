//! `GET /config/traefik` (contract §7): the routing of all enabled tenants, for Traefik v3's HTTP provider.
//!
//! Traefik takes a 200 for the whole truth, and drops every route that is not in it. So an error is never a 200, and a stored
//! row that cannot be a router is left out, and named in the log, rather than taking the others with it. What can stand in the
//! body was checked before: names are identifiers and hostnames, settings are checked when the configuration is read, so that
//! nothing can close a rule's backtick.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

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
use crate::reseal;
use crate::sql::{Batch, Columns, Sql, standing_key};

/// The addresses that Cloudflare's proxies call from: <https://www.cloudflare.com/ips/>, read 2026-11.
pub const CLOUDFLARE_RANGES: &str = "173.245.48.0/20,103.21.244.0/22,103.22.200.0/22,103.31.4.0/22,141.101.64.0/18,\
    108.162.192.0/18,190.93.240.0/20,188.114.96.0/20,197.234.240.0/22,198.41.128.0/17,162.158.0.0/15,104.16.0.0/13,\
    104.24.0.0/14,172.64.0.0/13,131.0.72.0/22,2400:cb00::/32,2606:4700::/32,2803:f800::/32,2405:b500::/32,2405:8100::/32,\
    2a06:98c0::/29,2c0f:f248::/32";

/// How many rows that were left out a line of the log names.
const MAX_NAMED: usize = 20;

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
    /// INVARIANT: `entry_point` and `service` were checked by `config`: letters, digits, `.`, `_` and `-`, so that they stand in
    /// JSON and in a URL as they are.
    pub(crate) fn new(
        root: &Hostname,
        entry_point: &str,
        service: &str,
        port: u16,
        ranges: &AddressList,
    ) -> Self {
        let ranges: Vec<String> = ranges
            .ranges()
            .map(|range| format!("\"{}\"", range.trunc()))
            .collect();
        let ranges = ranges.join(",");
        let router = format!(
            r#","service":"{service}","entryPoints":["{entry_point}"],"middlewares":["allow-range"]}}"#
        );
        let head = format!(r#"{{"http":{{"routers":{{"*":{{"rule":"Host(`{root}`)"{router}"#);
        let tail = format!(
            r#"}},"services":{{"{service}":{{"loadBalancer":{{"servers":[{{"url":"http://{service}:{port}"}}],"passHostHeader":true}}}}}},"middlewares":{{"allow-range":{{"ipAllowList":{{"sourceRange":[{ranges}]}}}}}}}}}}"#
        );
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
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// Whatever there is: `*`.
    Anything,
    /// These revisions under the present settings; perhaps none.
    Revisions(Vec<i64>),
}

impl Known {
    fn of(header: Option<&str>, tag: &str) -> Self {
        let header = header.unwrap_or("");
        if header.trim() == "*" {
            return Self::Anything;
        }
        let revision = |entry: &str| {
            let entry = entry.trim();
            let opaque = entry.strip_prefix("W/").unwrap_or(entry);
            let inside = opaque.strip_prefix('"')?.strip_suffix('"')?;
            let digits = inside.strip_prefix(tag)?.strip_prefix('-')?;
            // A tag is compared as a text: 07 and +7 are not 7.
            digits
                .parse::<i64>()
                .ok()
                .filter(|n| *n >= 0 && n.to_string() == digits)
        };
        Self::Revisions(header.split(',').filter_map(revision).collect())
    }

    /// A revision that is known, and with which no tenant need be read; -1, which none is, where there is none.
    fn newest(&self) -> i64 {
        match self {
            Self::Anything => -1,
            Self::Revisions(all) => all.iter().copied().max().unwrap_or(-1),
        }
    }

    fn has(&self, revision: i64) -> bool {
        match self {
            Self::Anything => true,
            Self::Revisions(all) => all.contains(&revision),
        }
    }
}

/// The newest audit entry is the revision: every write leaves one in its own transaction. Sealing again ([`reseal`]) is passed
/// over, since nothing that can be read changes by it. Where the caller has that revision, no tenant is read.
macro_rules! select_routes {
    ($from:expr, $known:literal, $reseal:literal) => {
        concat!(
            "SELECT ",
            revision!($reseal),
            " AS revision, t.id, t.hostname FROM ",
            $from,
            " AS k LEFT JOIN tenants AS t ON t.is_enabled = 1 AND ",
            revision!($reseal),
            " <> ",
            $known,
            " ORDER BY t.id"
        )
    };
}

macro_rules! revision {
    ($reseal:literal) => {
        concat!(
            "(SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ",
            $reseal,
            ")"
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
    let read = match reader(config, request, now)? {
        Reader::Developer => Sql::of_nobody(select_routes!("(SELECT 1)", "?1", "?2")),
        Reader::Holder(holder) => {
            log_key(holder.key_id());
            Sql::held_by(&holder, select_routes!(standing_key!(), "?4", "?5"))
        }
    }
    .values([known.newest().into(), reseal::ACTION.into()]);
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
            let named = &left_out[..left_out.len().min(MAX_NAMED)];
            let more = match left_out.len() - named.len() {
                0 => String::new(),
                n => format!("; and {n} more"),
            };
            answers.note(format!(
                "left out of the routing: {}{more}",
                named.join("; ")
            ));
        }
        // Not one row: the key does not stand.
        let revision = revision.ok_or_else(key_dead)?;
        let etag = settings.etag(revision);
        if known.has(revision) {
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
    // Two rows that differ in case alone would be two routers for one name, and the column only keeps equal texts apart.
    if parsed.as_str() != hostname {
        return Err(format!(
            "tenants/{id}/hostname: {} is not in lower case",
            quote(hostname)
        ));
    }
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
            r#"{"http":{"routers":{"*":{"rule":"Host(`localhost`)","service":"php","entryPoints":["websecure"],"middlewares":["allow-range"]}},"services":{"php":{"loadBalancer":{"servers":[{"url":"http://php:8080"}],"passHostHeader":true}}},"middlewares":{"allow-range":{"ipAllowList":{"sourceRange":["192.0.2.7/32","2001:db8::/32"]}}}}}"#
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
        for (header, revisions) in [
            (None, &[][..]),
            (Some("\"t-7\""), &[7]),
            (Some("W/\"t-7\""), &[7]),
            (Some("\"x\", \"t-12\" , W/\"t-3\""), &[12, 3]),
            (Some("\"u-7\""), &[]),
            (Some("t-7"), &[]),
            (Some("\"t--7\""), &[]),
            (Some("\"t-+7\""), &[]),
            (Some("\"t-07\""), &[]),
            (Some("\"t-x\""), &[]),
            (Some(""), &[]),
        ] {
            let known = Known::Revisions(revisions.into());
            assert_eq!(Known::of(header, "t"), known, "{header:?}");
        }
        assert_eq!(Known::of(Some(" * "), "t"), Known::Anything);
        assert_eq!(Known::Revisions([3, 12].into()).newest(), 12);
    }
}
