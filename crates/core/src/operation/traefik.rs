//! `GET /config/traefik` (contract §7): the routing of all enabled tenants, for Traefik v3's HTTP provider.
//!
//! Traefik treats a 200 as the whole truth, and drops every route that is missing from it. So an error is never a 200. A stored row that
//! cannot be a router is left out and named in the log, instead of taking the others with it. Nothing in the body can close a rule's
//! backtick: names are identifiers and hostnames, and the settings are checked when the configuration is read.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use crate::auth::ProxyReader;
use crate::config::Proxy;
use crate::operation::call::Pending;
use crate::store::routing::{self, RouteRow, State};
use crate::store::standing;
use crate::value::hostname::Hostname;
use crate::value::id::TenantId;
use crate::value::text::{hex_text, quote};
use crate::wire::http::Response;

/// The most left-out rows that a line of the log names.
const MAX_NAMED: usize = 20;

/// The body without the tenants. It is rendered once for a configuration.
#[derive(Debug)]
pub(crate) struct Template {
    /// The body up to the end of the root's router.
    head: String,
    /// A router after its rule.
    router: String,
    /// The body after the routers.
    tail: String,
    /// A digest of the parts above.
    tag: String,
    /// The root's hostname, which no tenant may take.
    root: Hostname,
}

impl Template {
    /// INVARIANT: the entry point and the service were checked by `config`. They consist of letters, digits, `.`, `_` and `-`, so they
    /// need no escaping in JSON and in a URL.
    pub(crate) fn new(root: &Hostname, proxy: &Proxy) -> Self {
        let Proxy {
            entry_point,
            service,
            port,
            ranges,
            ..
        } = proxy;
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
            root: root.clone(),
        }
    }

    fn etag(&self, State { epoch, revision }: &State) -> String {
        format!("\"{}-{epoch}-{revision}\"", self.tag)
    }
}

/// Plans the response.
pub(crate) fn config(
    template: &Arc<Template>,
    reader: &ProxyReader,
    if_none_match: Option<&str>,
) -> Pending {
    let known = Known::of(if_none_match, &template.tag);
    let batch = routing::select(reader, known.newest());
    let template = Arc::clone(template);
    Pending::with_note(batch, move |results| {
        let rows = results.rows()?;
        let mut body = template.head.clone();
        body.reserve(rows.len() * (template.router.len() + 64) + template.tail.len());
        let mut state = None;
        let mut left_out = Vec::new();
        for row in rows {
            let row = RouteRow::decode(row)?;
            state = Some(row.state);
            let Some((id, hostname)) = row.tenant else {
                continue;
            };
            match checked(&id, &hostname, &template.root) {
                Ok(()) => {
                    for part in [
                        ",\"",
                        &id,
                        "\":{\"rule\":\"Host(`",
                        &hostname,
                        "`)\"",
                        &template.router,
                    ] {
                        body.push_str(part);
                    }
                }
                Err(reason) => left_out.push(reason),
            }
        }
        let state = state.ok_or_else(standing::invalid_key)?;
        let etag = template.etag(&state);
        if known.has(&state) {
            return Ok((Response::empty(304).with("etag", etag), note(&left_out)));
        }
        body.push_str(&template.tail);
        let response = Response::json(200, body).with("etag", etag);
        Ok((response, note(&left_out)))
    })
}

/// The note that names the rows that were left out.
fn note(left_out: &[String]) -> Option<String> {
    if left_out.is_empty() {
        return None;
    }
    let named = &left_out[..left_out.len().min(MAX_NAMED)];
    let more = match left_out.len() - named.len() {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    Some(format!(
        "left out of the routing: {}{more}",
        named.join("; ")
    ))
}

/// Checks a stored row again: an older version, or somebody by hand, may have put anything there.
fn checked(id: &str, hostname: &str, root: &Hostname) -> Result<(), String> {
    TenantId::parse(id).map_err(|e| format!("tenants/{}: {e}", quote(id)))?;
    let parsed = Hostname::parse(hostname).map_err(|e| format!("tenants/{id}/hostname: {e}"))?;
    // The column keeps equal texts apart only. Two rows that differ in case would be two routers for one name.
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
    Ok(())
}

/// The states that the caller has already, from `If-None-Match` (RFC 9110 §13.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// Any state: `*`.
    Anything,
    /// These states, under the present settings.
    States(Vec<State>),
}

impl Known {
    fn of(header: Option<&str>, tag: &str) -> Self {
        let header = header.unwrap_or("");
        if header.trim() == "*" {
            return Self::Anything;
        }
        let state = |entry: &str| {
            let entry = entry.trim();
            let opaque = entry.strip_prefix("W/").unwrap_or(entry);
            let inside = opaque.strip_prefix('"')?.strip_suffix('"')?;
            let (epoch, digits) = inside
                .strip_prefix(tag)?
                .strip_prefix('-')?
                .split_once('-')?;
            // Tags compare as texts, so 07 and +7 are not 7.
            let revision: i64 = digits.parse().ok()?;
            (revision >= 0 && revision.to_string() == digits).then(|| State {
                epoch: epoch.into(),
                revision,
            })
        };
        Self::States(header.split(',').filter_map(state).collect())
    }

    /// The known state with the highest revision.
    fn newest(&self) -> Option<&State> {
        match self {
            Self::Anything => None,
            Self::States(all) => all.iter().max_by_key(|state| state.revision),
        }
    }

    fn has(&self, state: &State) -> bool {
        match self {
            Self::Anything => true,
            Self::States(all) => all.contains(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, State, Template};
    use crate::config::Proxy;
    use crate::value::address::{AddressList, CLOUDFLARE_RANGES};
    use crate::value::hostname::Hostname;

    #[test]
    fn the_body_around_the_tenants_is_json_in_a_stable_order() {
        let ranges = AddressList::parse("192.0.2.7, 2001:db8::1/32").unwrap();
        let template = |entry_point: &str| {
            let proxy = Proxy {
                allow_list: AddressList::default(),
                development: false,
                entry_point: entry_point.into(),
                service: "php".into(),
                port: 8080,
                ranges: ranges.clone(),
            };
            Template::new(&Hostname::localhost(), &proxy)
        };
        let settings = template("websecure");
        assert_eq!(
            settings.head.clone() + &settings.tail,
            r#"{"http":{"routers":{"*":{"rule":"Host(`localhost`)","service":"php","entryPoints":["websecure"],"middlewares":["allow-range"]}},"services":{"php":{"loadBalancer":{"servers":[{"url":"http://php:8080"}],"passHostHeader":true}}},"middlewares":{"allow-range":{"ipAllowList":{"sourceRange":["192.0.2.7/32","2001:db8::/32"]}}}}}"#
        );
        assert_eq!(settings.tag.len(), 16);
        let other = template("web");
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
    fn if_none_match_is_read_as_the_rfc_says() {
        let state = |(epoch, revision): (&str, i64)| State {
            epoch: epoch.into(),
            revision,
        };
        for (header, states) in [
            (None, &[][..]),
            (Some("\"t-e-7\""), &[("e", 7)]),
            (Some("W/\"t-e-7\""), &[("e", 7)]),
            (
                Some("\"x\", \"t-e-12\" , W/\"t-d-3\""),
                &[("e", 12), ("d", 3)],
            ),
            (Some("\"u-e-7\""), &[]),
            (Some("t-e-7"), &[]),
            (Some("\"t-7\""), &[]),
            (Some("\"t-e--7\""), &[]),
            (Some("\"t-e-+7\""), &[]),
            (Some("\"t-e-07\""), &[]),
            (Some("\"t-e-x\""), &[]),
            (Some("\"t-e-\""), &[]),
            (Some(""), &[]),
        ] {
            let known = Known::States(states.iter().copied().map(state).collect());
            assert_eq!(Known::of(header, "t"), known, "{header:?}");
        }
        assert_eq!(Known::of(Some(" * "), "t"), Known::Anything);
        let known = Known::States([("e", 3), ("d", 12)].map(state).into());
        assert_eq!(known.newest(), Some(&state(("d", 12))));
        assert!(known.has(&state(("e", 3))) && !known.has(&state(("d", 3))));
    }
}
