//! `GET /config/traefik` (contract §7, §15): the routing of the tenants, or of those of one cell, for Traefik v3's providers.
//!
//! Traefik treats a 200 as the whole truth, and drops every route that is missing from it. So an error is never a 200. A stored row that
//! cannot be a router is left out and named in the log, instead of taking the others with it. Nothing in the body can close a rule's
//! backtick: names are identifiers and hostnames, and the settings are checked when the configuration is read.

mod further;
mod held;
mod memory;
mod version;

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use crate::auth::ProxyReader;
use crate::config::Proxy;
use crate::operation::call::{Next, Pending};
use crate::operation::traefik::further::{AFTER_HOSTNAME, Written};
use crate::operation::traefik::held::{Pages, Place};
use crate::operation::traefik::memory::{Kept, Memory};
use crate::operation::traefik::version::{Known, Tags, Version};
use crate::store::cells::Service;
use crate::store::routing::further::Further;
use crate::store::routing::held::{Held, HeldAt};
use crate::store::routing::{self, Chunk, Route, Routes};
use crate::value::fault::{ApiError, FieldError};
use crate::value::hostname::Hostname;
use crate::value::id::{CellId, TenantId};
use crate::value::text::{hex_text, quote};
use crate::wire::http::{Response, ResponseBody};
use crate::wire::page::{decode, parameters};
use crate::wire::parameter::Parameter;

/// The body between the routers and the services.
const BEFORE_SERVICES: &str = r#"},"services":{"#;

/// The most left-out rows that a line of the log names.
const MAX_NAMED: usize = 20;

/// The body without the tenants. It is rendered once for a configuration.
#[derive(Debug)]
pub(crate) struct Template {
    /// The root's hostname, which no tenant may take.
    root: Hostname,
    entry_point: String,
    /// The service of the root, and of tenants whose cell has none of its own.
    service: Service,
    /// The body after the services.
    middlewares: String,
    held: Arc<held::Settings>,
    whole: Part,
    memory: Memory,
}

/// A body.
struct Rendered {
    body: String,
    /// Whether a tenant is held, so that the body depends on where the pages are.
    has_held: bool,
    /// Names the rows that are left out.
    note: Option<String>,
}

/// The body without the tenants, with one service for the root and for tenants.
#[derive(Debug, Clone)]
struct Part {
    /// The body up to the end of the root's router.
    head: String,
    /// A router after its rule.
    router: String,
    /// The service.
    service: String,
    /// A digest of the parts above and the middlewares. It has the release, since another one may write other routers from the same rows.
    tag: String,
}

impl Template {
    /// INVARIANT: the entry point and the service were checked by `config`. They consist of letters, digits, `.`, `_` and `-`, so they
    /// need no escaping in JSON and in a URL.
    pub(crate) fn new(root: &Hostname, proxy: &Proxy) -> Self {
        let ranges: Vec<String> = proxy
            .ranges
            .ranges()
            .map(|range| format!("\"{}\"", range.trunc()))
            .collect();
        let ranges = ranges.join(",");
        let service = Service {
            name: proxy.service.clone(),
            port: proxy.port,
        };
        let held = held::Settings {
            pages: proxy.held.clone(),
            entry_point: proxy.entry_point.clone(),
        };
        let middlewares = format!(
            r#"}},"middlewares":{{"allow-range":{{"ipAllowList":{{"sourceRange":[{ranges}]}}}}}}}}}}"#
        );
        Self {
            root: root.clone(),
            entry_point: proxy.entry_point.clone(),
            whole: Part::new(root, &proxy.entry_point, &service, &middlewares),
            service,
            middlewares,
            held: Arc::new(held),
            memory: Memory::default(),
        }
    }

    /// The routes of all tenants.
    fn render(&self, routes: &Routes, pages: Option<&Pages>) -> Rendered {
        let services = self.services(&routes.services);
        let others = (&routes.held, pages, &routes.further);
        self.write(&self.whole, &services, others, &routes.chunks)
    }

    /// The services of cells, by the numbers of their tenants' rows. Two services of one name and of two ports get two keys.
    fn services(&self, cells: &[(i64, Option<Service>)]) -> Services {
        let mut services = Services::default();
        let mut keys = BTreeMap::new();
        for service in cells.iter().filter_map(|(_, service)| service.as_ref()) {
            keys.insert(service, service.name.clone());
        }
        let own = &self.service;
        let mut before = "";
        for (service, key) in &mut keys {
            let Service { name, port } = *service;
            if *service != own {
                if [before, &own.name].contains(&name.as_str()) {
                    *key = format!("{name}:{port}");
                }
                services.text.push(',');
                services.text.push_str(&service_text(key, service));
            }
            before = name;
        }
        for (number, service) in cells {
            let key = service.as_ref().and_then(|service| keys.get(service));
            let router = key.map(|key| router_text(&self.entry_point, key));
            services.routers.insert(number.to_string(), router);
        }
        services
    }

    fn write(
        &self,
        part: &Part,
        services: &Services,
        (held, pages, further): (&Held, Option<&Pages>, &Further),
        chunks: &[Chunk],
    ) -> Rendered {
        const BEFORE_ID: &str = ",\"";
        const BEFORE_HOSTNAME: &str = "\":{\"rule\":\"Host(`";
        /// Of an id with its hostname, as they often are.
        const SHORT: usize = 16;
        let around = BEFORE_ID.len() + BEFORE_HOSTNAME.len() + AFTER_HOSTNAME.len();
        let texts: usize = chunks.iter().map(Chunk::len).sum();
        let routers = (texts / SHORT + 1) * (around + part.router.len());
        let tail = part.service.len() + services.text.len() + self.middlewares.len();
        let mut body = String::with_capacity(part.head.len() + texts + routers + tail);
        body.push_str(&part.head);
        let mut further = Written::new(further, &self.root);
        let mut left_out = Vec::new();
        let mut has_held = false;
        for route in chunks.iter().flat_map(Chunk::routes) {
            let at = match route {
                Route::Row { id, .. } => held.of(id),
                Route::Unfit(_) => None,
            };
            has_held |= at.is_some();
            let pages = match (at, pages) {
                (Some(_), Some(pages)) => Some(pages),
                // Nothing else would tell its visitors.
                (Some(HeldAt::NoCell), None) => continue,
                _ => None,
            };
            let checked = checked(&route, &self.root).and_then(|(id, hostname, number)| {
                let router = number.map_or(Some(&part.router), |number| services.router(number));
                let router = router
                    .ok_or_else(|| format!("tenants/{id}: its cell's service is not valid"))?;
                Ok((id, hostname, router))
            });
            match checked {
                Ok((id, hostname, router)) => {
                    for part in [BEFORE_ID, id, BEFORE_HOSTNAME, hostname] {
                        body.push_str(part);
                    }
                    let own = pages.map(|pages| pages.router(id));
                    let own = own.as_ref().unwrap_or(router);
                    further.router((id, hostname), (own, router), &mut body, &mut left_out);
                    if let Some(pages) = pages {
                        further.middleware(&pages.middleware(id));
                    }
                }
                Err(reason) => left_out.push(reason),
            }
        }
        for part in [BEFORE_SERVICES, &part.service, &services.text] {
            body.push_str(part);
        }
        if let Some(pages) = pages.filter(|_| has_held) {
            body.push_str(pages.service());
        }
        further.middlewares(&self.middlewares, &mut body);
        Rendered {
            body,
            has_held,
            note: note(&left_out),
        }
    }
}

impl Template {
    /// The body around the tenants of a cell, all of whom have its service.
    fn part(&self, service: Option<&Service>) -> Cow<'_, Part> {
        match service {
            None => Cow::Borrowed(&self.whole),
            Some(service) => Cow::Owned(Part::new(
                &self.root,
                &self.entry_point,
                service,
                &self.middlewares,
            )),
        }
    }
}

impl Part {
    fn new(root: &Hostname, entry_point: &str, service: &Service, middlewares: &str) -> Self {
        let router = router_text(entry_point, &service.name);
        let head = format!(r#"{{"http":{{"routers":{{"*":{{"rule":"Host(`{root}`)"{router}"#);
        let service = service_text(&service.name, service);
        let mut digest = Sha256::new_with_prefix(env!("CARGO_PKG_VERSION"));
        for text in [&head, BEFORE_SERVICES, &service, middlewares] {
            digest.update(text);
        }
        let tag = hex_text(&digest.finalize()[..8]);
        Self {
            head,
            router,
            service,
            tag,
        }
    }
}

fn router_text(entry_point: &str, service: &str) -> String {
    format!(
        r#","service":"{service}","entryPoints":["{entry_point}"],"middlewares":["allow-range"]}}"#
    )
}

fn service_text(key: &str, Service { name, port }: &Service) -> String {
    format!(
        r#""{key}":{{"loadBalancer":{{"servers":[{{"url":"http://{name}:{port}"}}],"passHostHeader":true}}}}"#
    )
}

/// The services of cells.
#[derive(Debug, Default)]
struct Services {
    /// The services as the body has them, each after a comma.
    text: String,
    /// The router of a tenant after its rule, by the number of its cell's service. `None`: the service is not valid.
    routers: BTreeMap<String, Option<String>>,
}

impl Services {
    fn router(&self, number: &str) -> Option<&String> {
        self.routers.get(number)?.as_ref()
    }
}

fn unchanged(version: &Version) -> Response {
    Response::empty(304).with("etag", version.etag())
}

/// A 304 if the caller has this version, otherwise the body.
fn respond(known: &Known, version: &Version, body: ResponseBody) -> Response {
    if known.has(version) {
        unchanged(version)
    } else {
        Response::json(200, body).with("etag", version.etag())
    }
}

/// Plans the response. `origin` is the address at which the reader asks, and `unix_seconds` is the host's clock.
///
/// If the reader or the memory knows a state, the first batch reads the present one and no tenant. It is also the last one unless there was a
/// write. Almost every poll ends there.
///
/// # Errors
/// 422 if `query` has another parameter than `cell`, or a `cell` that no cell can have.
pub(crate) fn config(
    template: &Arc<Template>,
    reader: ProxyReader,
    query: &str,
    if_none_match: Option<&str>,
    (origin, unix_seconds): (Option<&str>, i64),
) -> Result<Pending, ApiError> {
    let template = Arc::clone(template);
    let place = Place {
        settings: Arc::clone(&template.held),
        origin: origin.map(String::from),
    };
    Ok(match read_query(query)? {
        None => whole(template, place, reader, if_none_match, unix_seconds),
        Some(cell) => of_cell(template, place, reader, cell, if_none_match),
    })
}

fn whole(
    template: Arc<Template>,
    place: Place,
    reader: ProxyReader,
    if_none_match: Option<&str>,
    unix_seconds: i64,
) -> Pending {
    let tags = Tags {
        plain: template.whole.tag.clone(),
        place,
    };
    let known = Known::of(if_none_match, &tags);
    let kept = template.memory.get(&tags, unix_seconds);
    if known == Known::NOTHING && kept.is_none() {
        return read_tenants(template, tags, &reader, known, unix_seconds);
    }
    Pending::then(routing::state(&reader), move |results, _| {
        let state = routing::read_state(results)?;
        if let Some(version) = known.at(&state) {
            return Ok(Next::Send(unchanged(version), None));
        }
        Ok(match kept.filter(|kept| kept.version.state == state) {
            Some(kept) => {
                let body = ResponseBody::Kept(Arc::clone(&kept.body));
                Next::Send(respond(&known, &kept.version, body), kept.note.clone())
            }
            None if known == Known::Anything => Next::Send(unchanged(&tags.unread(state)), None),
            None => Next::run(read_tenants(template, tags, &reader, known, unix_seconds)),
        })
    })
}

/// Reads all tenants, and keeps the body that they make.
fn read_tenants(
    template: Arc<Template>,
    tags: Tags,
    reader: &ProxyReader,
    known: Known,
    unix_seconds: i64,
) -> Pending {
    Pending::with_note(routing::tenants(reader), move |results| {
        let routes = Routes::decode(results)?;
        let Rendered {
            body,
            has_held,
            note,
        } = template.render(&routes, tags.place.pages().as_ref());
        let version = Version {
            tag: tags.of_body(has_held),
            state: routes.state,
        };
        let body = Arc::new(body);
        template.memory.keep(Kept {
            version: version.clone(),
            body: Arc::clone(&body),
            note: note.clone(),
            unix_seconds,
        });
        Ok((respond(&known, &version, ResponseBody::Kept(body)), note))
    })
}

/// The cell that the query names, if it names one.
fn read_query(query: &str) -> Result<Option<CellId>, ApiError> {
    let mut cell = None;
    let mut errors = Vec::new();
    for (parameter, name, raw) in parameters(query) {
        let read = match parameter {
            Some(Parameter::Cell) if cell.is_some() => Err("expected it once".into()),
            Some(Parameter::Cell) => decode(raw)
                .and_then(|text| CellId::parse(&text))
                .map(|id| cell = Some(id)),
            _ => Err("unknown parameter".into()),
        };
        if let Err(detail) = read {
            errors.push(FieldError::parameter(name.to_string(), detail));
        }
    }
    if errors.is_empty() {
        Ok(cell)
    } else {
        Err(ApiError::Invalid(errors))
    }
}

/// Plans the response for one cell. Its agent asks once a minute and sends `If-None-Match`, so no body is kept.
fn of_cell(
    template: Arc<Template>,
    place: Place,
    reader: ProxyReader,
    cell: CellId,
    if_none_match: Option<&str>,
) -> Pending {
    if if_none_match.is_none() {
        return read_cell(template, place, &reader, &cell, Known::NOTHING);
    }
    let header = if_none_match.map(String::from);
    Pending::then(routing::state_of_cell(&reader, &cell), move |results, _| {
        let (state, service) = routing::read_cell(results)?;
        let tags = tags_of_cell(place.clone(), &template.part(service.as_ref()), &cell);
        let known = Known::of(header.as_deref(), &tags);
        Ok(match known.at(&state) {
            Some(version) => Next::Send(unchanged(version), None),
            None if known == Known::Anything => Next::Send(unchanged(&tags.unread(state)), None),
            None => Next::run(read_cell(template, place, &reader, &cell, known)),
        })
    })
}

/// Reads the tenants of a cell.
fn read_cell(
    template: Arc<Template>,
    place: Place,
    reader: &ProxyReader,
    cell: &CellId,
    known: Known,
) -> Pending {
    let batch = routing::tenants_of_cell(reader, cell);
    let cell = cell.clone();
    Pending::with_note(batch, move |results| {
        let (state, service) = routing::read_cell(results)?;
        let chunks = Chunk::decode_all(results)?;
        let part = template.part(service.as_ref());
        let (held, further) = (Held::decode(results)?, Further::decode(results)?);
        let pages = place.pages();
        let others = (&held, pages.as_ref(), &further);
        let services = Services::default();
        let Rendered {
            body,
            has_held,
            note,
        } = template.write(&part, &services, others, &chunks);
        let version = Version {
            tag: tags_of_cell(place, &part, &cell).of_body(has_held),
            state,
        };
        Ok((respond(&known, &version, body.into()), note))
    })
}

/// The tags of a cell's part. The parts of two cells have the same state, and may have the same service.
fn tags_of_cell(place: Place, part: &Part, cell: &CellId) -> Tags {
    Tags {
        plain: format!("{}.{}", part.tag, cell.folded()),
        place,
    }
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

/// Checks a stored row again: an older version, or somebody by hand, may have put anything there. Returns its id, its hostname, and the
/// number of its service.
fn checked<'a>(
    route: &Route<'a>,
    root: &Hostname,
) -> Result<(&'a str, &'a str, Option<&'a str>), String> {
    let (id, hostname, service) = match *route {
        Route::Row {
            id,
            hostname,
            service,
        } => (id, hostname, service),
        Route::Unfit(row) => {
            return Err(format!(
                "tenants/{}: its id or hostname is empty, is too long, or has a line break",
                quote(row)
            ));
        }
    };
    if TenantId::is_valid(id) && Hostname::is_canonical(hostname) && hostname != root.as_str() {
        return Ok((id, hostname, service));
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

#[cfg(test)]
mod tests {
    use super::{Services, Template};
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
                held: None,
            };
            Template::new(&Hostname::localhost(), &proxy)
        };
        let settings = template("websecure");
        assert_eq!(
            settings
                .write(
                    &settings.whole,
                    &Services::default(),
                    (&super::Held::default(), None, &super::Further::default()),
                    &[]
                )
                .body,
            r#"{"http":{"routers":{"*":{"rule":"Host(`localhost`)","service":"php","entryPoints":["websecure"],"middlewares":["allow-range"]}},"services":{"php":{"loadBalancer":{"servers":[{"url":"http://php:8080"}],"passHostHeader":true}}},"middlewares":{"allow-range":{"ipAllowList":{"sourceRange":["192.0.2.7/32","2001:db8::/32"]}}}}}"#
        );
        assert_eq!(settings.whole.tag.len(), 16);
        let other = template("web");
        assert_ne!(settings.whole.tag, other.whole.tag);
        assert_eq!(
            AddressList::parse(CLOUDFLARE_RANGES)
                .unwrap()
                .ranges()
                .count(),
            22
        );
    }
}
