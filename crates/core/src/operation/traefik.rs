//! `GET /config/traefik` (contract §7): the routing of all enabled tenants, for Traefik v3's HTTP provider.
//!
//! Traefik treats a 200 as the whole truth, and drops every route that is missing from it. So an error is never a 200. A stored row that
//! cannot be a router is left out and named in the log, instead of taking the others with it. Nothing in the body can close a rule's
//! backtick: names are identifiers and hostnames, and the settings are checked when the configuration is read.

mod memory;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use crate::auth::ProxyReader;
use crate::config::Proxy;
use crate::operation::call::{Next, Pending};
use crate::operation::traefik::memory::{Kept, Memory};
use crate::store::routing::{self, Chunk, Route, State};
use crate::store::standing;
use crate::value::hostname::Hostname;
use crate::value::id::TenantId;
use crate::value::text::{hex_text, quote};
use crate::wire::http::{Response, ResponseBody};

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
    memory: Memory,
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
            memory: Memory::default(),
        }
    }

    /// Writes the body, and the note that names the rows that are left out.
    fn render(&self, chunks: &[Chunk]) -> (String, Option<String>) {
        const BEFORE_ID: &str = ",\"";
        const BEFORE_HOSTNAME: &str = "\":{\"rule\":\"Host(`";
        const AFTER_HOSTNAME: &str = "`)\"";
        /// Of an id with its hostname, as they often are.
        const SHORT: usize = 16;
        let around = BEFORE_ID.len() + BEFORE_HOSTNAME.len() + AFTER_HOSTNAME.len();
        let texts: usize = chunks.iter().map(Chunk::len).sum();
        let routers = (texts / SHORT + 1) * (around + self.router.len());
        let mut body = String::with_capacity(self.head.len() + texts + routers + self.tail.len());
        body.push_str(&self.head);
        let mut left_out = Vec::new();
        for route in chunks.iter().flat_map(Chunk::routes) {
            match checked(&route, &self.root) {
                Ok((id, hostname)) => {
                    for part in [
                        BEFORE_ID,
                        id,
                        BEFORE_HOSTNAME,
                        hostname,
                        AFTER_HOSTNAME,
                        &self.router,
                    ] {
                        body.push_str(part);
                    }
                }
                Err(reason) => left_out.push(reason),
            }
        }
        body.push_str(&self.tail);
        (body, note(&left_out))
    }

    fn answer(&self, state: &State, body: ResponseBody) -> Response {
        Response::json(200, body).with("etag", self.etag(state))
    }

    fn unchanged(&self, state: &State) -> Response {
        Response::empty(304).with("etag", self.etag(state))
    }

    fn etag(&self, State { epoch, revision }: &State) -> String {
        format!("\"{}-{epoch}-{revision}\"", self.tag)
    }
}

/// Plans the response. `unix_seconds` is the host's clock.
///
/// If the reader or the memory knows a state, the first batch reads the present one and no tenant. It is also the last one unless there was a
/// write. Almost every poll ends there.
pub(crate) fn config(
    template: &Arc<Template>,
    reader: ProxyReader,
    if_none_match: Option<&str>,
    unix_seconds: i64,
) -> Pending {
    let template = Arc::clone(template);
    let known = Known::of(if_none_match, &template.tag);
    let kept = template.memory.get(unix_seconds);
    if known.is_empty() && kept.is_none() {
        return read_tenants(template, &reader, known, unix_seconds);
    }
    Pending::then(routing::state(&reader), move |results, _| {
        let state = routing::read_state(results)?;
        if known.has(&state) {
            return Ok(Next::Send(template.unchanged(&state), None));
        }
        Ok(match kept.filter(|kept| kept.state == state) {
            Some(kept) => Next::Send(
                template.answer(&state, ResponseBody::Kept(Arc::clone(&kept.body))),
                kept.note.clone(),
            ),
            None => Next::Run(read_tenants(template, &reader, known, unix_seconds), None),
        })
    })
}

/// Reads all tenants, and keeps the body that they make.
fn read_tenants(
    template: Arc<Template>,
    reader: &ProxyReader,
    known: Known,
    unix_seconds: i64,
) -> Pending {
    Pending::with_note(routing::tenants(reader), move |results| {
        let mut chunks: Vec<Chunk> = results
            .rows()?
            .into_iter()
            .map(Chunk::decode)
            .collect::<Result<_, _>>()?;
        chunks.sort_by_key(|chunk| chunk.number);
        let state = &chunks.first().ok_or_else(standing::invalid_key)?.state;
        let (body, note) = template.render(&chunks);
        let body = Arc::new(body);
        template.memory.keep(Kept {
            state: state.clone(),
            body: Arc::clone(&body),
            note: note.clone(),
            unix_seconds,
        });
        let response = if known.has(state) {
            template.unchanged(state)
        } else {
            template.answer(state, ResponseBody::Kept(body))
        };
        Ok((response, note))
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
fn checked<'a>(route: &Route<'a>, root: &Hostname) -> Result<(&'a str, &'a str), String> {
    let (id, hostname) = match *route {
        Route::Row { id, hostname } => (id, hostname),
        Route::Unfit(row) => {
            return Err(format!(
                "tenants/{}: its id or hostname is empty, is too long, or has a line break",
                quote(row)
            ));
        }
    };
    if TenantId::is_valid(id) && Hostname::is_canonical(hostname) && hostname != root.as_str() {
        return Ok((id, hostname));
    }
    TenantId::parse(id).map_err(|e| format!("tenants/{}: {e}", quote(id)))?;
    let parsed = Hostname::parse(hostname).map_err(|e| format!("tenants/{id}/hostname: {e}"))?;
    // The column keeps equal texts apart only. Two rows that differ in case would be two routers for one name.
    Err(if parsed == *root {
        format!(
            "tenants/{id}/hostname: {} is the root's own",
            quote(hostname)
        )
    } else {
        format!(
            "tenants/{id}/hostname: {} is not in lower case",
            quote(hostname)
        )
    })
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

    fn is_empty(&self) -> bool {
        matches!(self, Self::States(all) if all.is_empty())
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
        assert!(!known.is_empty() && Known::of(None, "t").is_empty());
        assert!(known.has(&state(("e", 3))) && !known.has(&state(("d", 3))));
    }
}
