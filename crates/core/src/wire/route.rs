//! The route table: every method and path that the API serves (contract §1 and §4), and the requirements of each.
//!
//! A route is one row of [`ROUTES`] and one arm of the match in `api.rs`. Path segments are not percent-decoded, and no route has a
//! trailing slash (contract §10).

use alloc::string::String;
use alloc::vec::Vec;

use crate::value::scope::Needs;
use crate::wire::dialect::Dialect;
use crate::wire::http::{BODY_LIMIT_BYTES, Method};

/// How a caller proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `X-API-Key`, and `X-Signature` with the HMAC-SHA256 of the body.
    Hmac,
    /// `X-API-Key`, and `X-Signature` with an Ed25519 signature of the body.
    Ed25519,
    /// `X-API-Key` of a bound key, and a signature of the whole request (RFC 9421). It takes the place of a route's own scheme if the caller signs
    /// so. The only row that has it begins a session.
    Request,
    /// The cookie of a session of the console (contract §20). It takes the place of a route's own scheme, too, if [`Route::takes_session`].
    Session,
    /// Nothing: anybody may ask.
    Open,
    /// `X-API-Key` alone, from an address that may read the proxy's configuration (contract §2, "Traefik route").
    Proxy,
}

/// The body of a route's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// A body is verified with the signature, and otherwise ignored: GET and HEAD, in which it has no meaning (RFC 9110 §9.3.1).
    Ignored,
    /// A body is refused. Otherwise the body of any captured request, with its signature, would be good for this route.
    Refused,
    /// The body may be absent. (The legacy dialect refuses one that comes.)
    Optional,
    Required,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// The path below the base path, or the whole path if it begins with `/_/`. `{id}`, `{kind}`, `{hostname}` and `{event}` stand for one segment
    /// each that is not empty.
    pub(crate) template: &'static str,
    /// The dialects that have the route, and how a caller proves itself in each.
    pub(crate) dialects: &'static [(Dialect, Scheme)],
    pub(crate) operation: Operation,
    /// The scopes that a key needs for the route. Some requests need more, such as a deletion that drops tables.
    pub(crate) needs: Needs,
    pub(crate) body: BodyRule,
    /// The longest body that the route takes, in bytes.
    pub(crate) body_limit: usize,
}

/// The work that a route stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Health,
    Describe,
    HeldPage,
    VerifyKey,
    TraefikConfig,
    ListTenants,
    CreateTenant,
    GetTenant,
    GetSettings,
    PutTenant,
    EditTenant,
    DeleteTenant,
    InstallTenant,
    ResetUserPassword,
    ListPlans,
    CreatePlan,
    GetPlan,
    PutPlan,
    EditPlan,
    DeletePlan,
    ListKeys,
    CreateKey,
    GetKey,
    EditKey,
    DeleteKey,
    RotateKey,
    PutHold,
    ReleaseHold,
    ListHostnames,
    PutHostname,
    DeleteHostname,
    RestoreTenant,
    EraseTenant,
    VerifyHostname,
    MoveTenant,
    ListCells,
    GetCell,
    PutCell,
    DeleteCell,
    ReadFeed,
    StoreStats,
    LeaseJobs,
    ListJobs,
    GetJob,
    CancelJob,
    RenewJob,
    FinishJob,
    ListAudit,
    ListEvents,
    SignIn,
    ShowSession,
    SignOut,
    ListSessions,
    EndSession,
    ListWebhooks,
    CreateWebhook,
    GetWebhook,
    EditWebhook,
    DeleteWebhook,
    RotateWebhook,
    TestWebhook,
    ListDeliveries,
    RetryDelivery,
}

impl Operation {
    /// Whether the operation is a write that remembers its `Idempotency-Key`. The others write nothing, or nothing that a second time could change.
    pub(crate) fn remembers(self) -> bool {
        self.conditions().0
    }

    /// Whether the operation can write an event, for which webhooks wait (contract §17). What a cell's agent finds to be past its time is left to the cron
    /// trigger.
    pub(crate) fn writes_event(self) -> bool {
        self.remembers() || matches!(self, Self::VerifyHostname | Self::SignIn | Self::SignOut)
    }

    /// Whether the operation reads or changes one tenant or plan, which has an `ETag`.
    pub(crate) fn has_etag(self) -> bool {
        self.conditions().1
    }

    /// The answers of [`Self::remembers`] and [`Self::has_etag`]. No operation is left to a default.
    const fn conditions(self) -> (bool, bool) {
        match self {
            Self::PutTenant
            | Self::EditTenant
            | Self::DeleteTenant
            | Self::PutHold
            | Self::ReleaseHold
            | Self::PutHostname
            | Self::DeleteHostname
            | Self::PutPlan
            | Self::EditPlan
            | Self::DeletePlan => (true, true),
            Self::CreateTenant
            | Self::InstallTenant
            | Self::ResetUserPassword
            | Self::CreatePlan
            | Self::CreateKey
            | Self::EditKey
            | Self::DeleteKey
            | Self::RotateKey
            | Self::RestoreTenant
            | Self::EraseTenant
            | Self::MoveTenant
            | Self::PutCell
            | Self::DeleteCell
            | Self::CancelJob
            | Self::FinishJob
            | Self::EndSession
            | Self::CreateWebhook
            | Self::EditWebhook
            | Self::DeleteWebhook
            | Self::RotateWebhook
            | Self::RetryDelivery => (true, false),
            Self::GetTenant | Self::GetPlan | Self::ListHostnames => (false, true),
            Self::Health
            | Self::Describe
            | Self::HeldPage
            | Self::VerifyKey
            | Self::TraefikConfig
            | Self::ListTenants
            | Self::GetSettings
            | Self::ListPlans
            | Self::ListKeys
            | Self::GetKey
            | Self::ListCells
            | Self::GetCell
            | Self::ReadFeed
            | Self::StoreStats
            | Self::LeaseJobs
            | Self::ListJobs
            | Self::GetJob
            | Self::RenewJob
            | Self::VerifyHostname
            | Self::ListAudit
            | Self::ListEvents
            | Self::SignIn
            | Self::ShowSession
            | Self::SignOut
            | Self::ListSessions
            | Self::ListWebhooks
            | Self::GetWebhook
            | Self::TestWebhook
            | Self::ListDeliveries => (false, false),
        }
    }
}

const CURRENT: &[(Dialect, Scheme)] = &[(Dialect::Current, Scheme::Hmac)];
const BOTH: &[(Dialect, Scheme)] = &[
    (Dialect::Current, Scheme::Hmac),
    (Dialect::Legacy, Scheme::Ed25519),
];
const OPEN: &[(Dialect, Scheme)] = &[(Dialect::Current, Scheme::Open)];
/// A tenant's effective settings come from its plan, too.
const SETTINGS: Needs = Needs::TENANTS_READ.and(Needs::PLANS_READ);

const PROXY: &[(Dialect, Scheme)] = &[(Dialect::Current, Scheme::Proxy)];

/// The only ways to begin a session, and to ask for one's own.
const SIGN_IN: &[(Dialect, Scheme)] = &[(Dialect::Current, Scheme::Request)];
const SESSION: &[(Dialect, Scheme)] = &[(Dialect::Current, Scheme::Session)];

const fn route(
    method: Method,
    template: &'static str,
    dialects: &'static [(Dialect, Scheme)],
    operation: Operation,
    needs: Needs,
    body: BodyRule,
) -> Route {
    Route {
        method,
        template,
        dialects,
        operation,
        needs,
        body,
        body_limit: BODY_LIMIT_BYTES,
    }
}

/// The path of an erasure, whose response has a body wherever a deletion's has none.
pub(crate) const ERASE: &str = "/tenants/{id}/erase";

/// The path of the page of a held tenant. Its visitors do not know of the API, so any method and any address will do.
pub(crate) const HELD: &str = "/_/held/{id}";

/// Every route. The rows of a path are adjacent, in the order in which `Allow` lists their methods.
#[rustfmt::skip]
pub(crate) static ROUTES: &[Route] = &[
    route(Method::Get, "/_/health", OPEN, Operation::Health, Needs::NOTHING, BodyRule::Ignored),
    route(Method::Get, HELD, OPEN, Operation::HeldPage, Needs::NOTHING, BodyRule::Ignored),
    route(Method::Get, "/openapi.json", OPEN, Operation::Describe, Needs::NOTHING, BodyRule::Ignored),
    route(Method::Post, "/auth/verify", CURRENT, Operation::VerifyKey, Needs::NOTHING, BodyRule::Refused),
    route(Method::Get, "/config/traefik", PROXY, Operation::TraefikConfig, Needs::TRAEFIK, BodyRule::Ignored),
    route(Method::Get, "/tenants", CURRENT, Operation::ListTenants, Needs::TENANTS_READ, BodyRule::Ignored),
    route(Method::Post, "/tenants", BOTH, Operation::CreateTenant, Needs::TENANTS_WRITE, BodyRule::Required),
    route(Method::Get, "/tenants/{id}", BOTH, Operation::GetTenant, Needs::TENANTS_READ, BodyRule::Ignored),
    route(Method::Put, "/tenants/{id}", CURRENT, Operation::PutTenant, Needs::TENANTS_WRITE, BodyRule::Required),
    route(Method::Patch, "/tenants/{id}", BOTH, Operation::EditTenant, Needs::TENANTS_WRITE, BodyRule::Required),
    route(Method::Delete, "/tenants/{id}", BOTH, Operation::DeleteTenant, Needs::TENANTS_WRITE, BodyRule::Optional),
    route(Method::Get, "/tenants/{id}/settings", CURRENT, Operation::GetSettings, SETTINGS, BodyRule::Ignored),
    route(Method::Post, "/tenants/{id}/install", CURRENT, Operation::InstallTenant, Needs::SITES, BodyRule::Required),
    route(Method::Patch, "/tenants/{id}/user-password-reset", CURRENT, Operation::ResetUserPassword, Needs::SITES, BodyRule::Required),
    route(Method::Get, "/tenants-plans", BOTH, Operation::ListPlans, Needs::PLANS_READ, BodyRule::Ignored),
    route(Method::Post, "/tenants-plans", BOTH, Operation::CreatePlan, Needs::PLANS_WRITE, BodyRule::Required),
    route(Method::Get, "/tenants-plans/{id}", BOTH, Operation::GetPlan, Needs::PLANS_READ, BodyRule::Ignored),
    route(Method::Put, "/tenants-plans/{id}", CURRENT, Operation::PutPlan, Needs::PLANS_WRITE, BodyRule::Required),
    route(Method::Patch, "/tenants-plans/{id}", BOTH, Operation::EditPlan, Needs::PLANS_WRITE, BodyRule::Required),
    route(Method::Delete, "/tenants-plans/{id}", BOTH, Operation::DeletePlan, Needs::PLANS_WRITE, BodyRule::Refused),
    route(Method::Get, "/keys", CURRENT, Operation::ListKeys, Needs::KEYS, BodyRule::Ignored),
    route(Method::Post, "/keys", CURRENT, Operation::CreateKey, Needs::KEYS, BodyRule::Required),
    route(Method::Get, "/keys/{id}", CURRENT, Operation::GetKey, Needs::KEYS, BodyRule::Ignored),
    route(Method::Patch, "/keys/{id}", CURRENT, Operation::EditKey, Needs::KEYS, BodyRule::Required),
    route(Method::Delete, "/keys/{id}", CURRENT, Operation::DeleteKey, Needs::KEYS, BodyRule::Refused),
    // A key may rotate itself without the scope, so the operation takes that need back.
    route(Method::Post, "/keys/{id}/rotate", CURRENT, Operation::RotateKey, Needs::KEYS, BodyRule::Optional),
    route(Method::Post, "/tenants/{id}/restore", CURRENT, Operation::RestoreTenant, Needs::TENANTS_WRITE, BodyRule::Refused),
    route(Method::Post, ERASE, CURRENT, Operation::EraseTenant, Needs::SITES, BodyRule::Refused),
    route(Method::Put, "/tenants/{id}/holds/{kind}", CURRENT, Operation::PutHold, Needs::TENANTS_WRITE, BodyRule::Required),
    route(Method::Delete, "/tenants/{id}/holds/{kind}", CURRENT, Operation::ReleaseHold, Needs::TENANTS_WRITE, BodyRule::Refused),
    route(Method::Get, "/tenants/{id}/hostnames", CURRENT, Operation::ListHostnames, Needs::TENANTS_READ, BodyRule::Ignored),
    route(Method::Put, "/tenants/{id}/hostnames/{hostname}", CURRENT, Operation::PutHostname, Needs::TENANTS_WRITE, BodyRule::Required),
    route(Method::Delete, "/tenants/{id}/hostnames/{hostname}", CURRENT, Operation::DeleteHostname, Needs::TENANTS_WRITE, BodyRule::Refused),
    route(Method::Post, "/tenants/{id}/hostnames/{hostname}/verify", CURRENT, Operation::VerifyHostname, Needs::TENANTS_WRITE, BodyRule::Refused),
    route(Method::Post, "/tenants/{id}/move", CURRENT, Operation::MoveTenant, Needs::SITES, BodyRule::Required),
    route(Method::Get, "/cells", CURRENT, Operation::ListCells, Needs::CELLS, BodyRule::Ignored),
    route(Method::Get, "/cells/{id}", CURRENT, Operation::GetCell, Needs::CELLS, BodyRule::Ignored),
    route(Method::Put, "/cells/{id}", CURRENT, Operation::PutCell, Needs::CELLS, BodyRule::Required),
    route(Method::Delete, "/cells/{id}", CURRENT, Operation::DeleteCell, Needs::CELLS, BodyRule::Refused),
    // A key of the path's cell, or of the cell of the path's job, will do for these, too (`store/standing.rs`).
    route(Method::Get, "/cells/{id}/tenants", CURRENT, Operation::ReadFeed, Needs::CELLS, BodyRule::Ignored),
    route(Method::Post, "/cells/{id}/stats", CURRENT, Operation::StoreStats, Needs::CELLS, BodyRule::Required),
    route(Method::Post, "/cells/{id}/jobs/lease", CURRENT, Operation::LeaseJobs, Needs::CELLS, BodyRule::Required),
    route(Method::Get, "/jobs", CURRENT, Operation::ListJobs, Needs::SITES, BodyRule::Ignored),
    route(Method::Get, "/jobs/{id}", CURRENT, Operation::GetJob, Needs::SITES, BodyRule::Ignored),
    route(Method::Post, "/jobs/{id}/cancel", CURRENT, Operation::CancelJob, Needs::SITES, BodyRule::Refused),
    route(Method::Post, "/jobs/{id}/renew", CURRENT, Operation::RenewJob, Needs::CELLS, BodyRule::Required),
    route(Method::Post, "/jobs/{id}/finish", CURRENT, Operation::FinishJob, Needs::CELLS, BodyRule::Required),
    route(Method::Get, "/audit", CURRENT, Operation::ListAudit, Needs::AUDIT, BodyRule::Ignored),
    route(Method::Get, "/events", CURRENT, Operation::ListEvents, Needs::EVENTS, BodyRule::Ignored),
    route(Method::Post, "/_/console/session", SIGN_IN, Operation::SignIn, Needs::NOTHING, BodyRule::Optional),
    route(Method::Get, "/_/console/session", SESSION, Operation::ShowSession, Needs::NOTHING, BodyRule::Ignored),
    route(Method::Delete, "/_/console/session", SESSION, Operation::SignOut, Needs::NOTHING, BodyRule::Refused),
    route(Method::Get, "/_/console/sessions", CURRENT, Operation::ListSessions, Needs::KEYS, BodyRule::Ignored),
    route(Method::Delete, "/_/console/sessions/{id}", CURRENT, Operation::EndSession, Needs::KEYS, BodyRule::Refused),
    route(Method::Get, "/webhooks", CURRENT, Operation::ListWebhooks, Needs::WEBHOOKS_READ, BodyRule::Ignored),
    route(Method::Post, "/webhooks", CURRENT, Operation::CreateWebhook, Needs::WEBHOOKS_WRITE, BodyRule::Required),
    route(Method::Get, "/webhooks/{id}", CURRENT, Operation::GetWebhook, Needs::WEBHOOKS_READ, BodyRule::Ignored),
    route(Method::Patch, "/webhooks/{id}", CURRENT, Operation::EditWebhook, Needs::WEBHOOKS_WRITE, BodyRule::Required),
    route(Method::Delete, "/webhooks/{id}", CURRENT, Operation::DeleteWebhook, Needs::WEBHOOKS_WRITE, BodyRule::Refused),
    route(Method::Post, "/webhooks/{id}/rotate", CURRENT, Operation::RotateWebhook, Needs::WEBHOOKS_WRITE, BodyRule::Optional),
    route(Method::Post, "/webhooks/{id}/test", CURRENT, Operation::TestWebhook, Needs::WEBHOOKS_WRITE, BodyRule::Refused),
    route(Method::Get, "/webhooks/{id}/deliveries", CURRENT, Operation::ListDeliveries, Needs::WEBHOOKS_READ, BodyRule::Ignored),
    route(Method::Post, "/webhooks/{id}/deliveries/{event}/retry", CURRENT, Operation::RetryDelivery, Needs::WEBHOOKS_WRITE, BodyRule::Refused),
];

/// A route as documents and tests name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The method.
    pub method: &'static str,
    /// The whole path. `{id}` stands for one segment.
    pub path: String,
    /// The scopes that a key needs; `None` if the route asks for no key.
    pub scopes: Option<Vec<&'static str>>,
}

/// Every route of both dialects.
#[must_use]
pub fn served() -> Vec<Served> {
    let of_route = |route: &'static Route| {
        route.dialects.iter().map(|(dialect, scheme)| Served {
            method: route.method.name(),
            path: route.full_template(*dialect),
            scopes: (*scheme != Scheme::Open).then(|| route.needs.names()),
        })
    };
    ROUTES.iter().flat_map(of_route).collect()
}

impl Route {
    /// Whether the route compares `If-None-Match`.
    pub(crate) fn reads_if_none_match(&self) -> bool {
        self.operation == Operation::ReadFeed
            || self.operation.has_etag()
                && matches!(self.method, Method::Get | Method::Put)
                && !matches!(self.operation, Operation::PutHold | Operation::PutHostname)
    }

    /// Whether the cookie of a session may stand for a key here: where a key signs in the current dialect, but for the routes of cells' agents. Other routes
    /// ignore the cookie.
    pub(crate) fn takes_session(&self, dialect: Dialect) -> bool {
        let is_of_agents = matches!(
            self.operation,
            Operation::ReadFeed
                | Operation::StoreStats
                | Operation::LeaseJobs
                | Operation::RenewJob
                | Operation::FinishJob
        );
        dialect == Dialect::Current
            && matches!(self.scheme(dialect), Some(Scheme::Hmac | Scheme::Session))
            && !is_of_agents
    }

    /// Whether the template is below a base path.
    pub(crate) fn is_below_base(&self) -> bool {
        !self.template.starts_with("/_/")
    }

    /// The template with its base path.
    pub(crate) fn full_template(&self, dialect: Dialect) -> String {
        let base = if self.is_below_base() {
            dialect.base_path()
        } else {
            ""
        };
        [base, self.template].concat()
    }

    /// How a caller of this route proves itself in a dialect, if the dialect has the route.
    pub(crate) fn scheme(&self, dialect: Dialect) -> Option<Scheme> {
        self.dialects
            .iter()
            .find(|(served, _)| *served == dialect)
            .map(|(_, scheme)| *scheme)
    }
}

/// A path that at least one route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    pub(crate) dialect: Dialect,
    /// The template: safe for the log, which must not hold a caller's text.
    pub(crate) template: &'static str,
    /// The segment in the place of `{id}`, unchecked; empty if the template has none.
    pub(crate) id: &'a str,
    /// The segment in the place of `{kind}`, `{hostname}` or `{event}`, unchecked; empty if the template has none.
    pub(crate) part: &'a str,
}

impl<'a> Path<'a> {
    /// Finds the template and the dialect of a path.
    pub(crate) fn find(path: &'a str) -> Option<Self> {
        let below = [Dialect::Current, Dialect::Legacy]
            .into_iter()
            .find_map(|dialect| Some((dialect, path.strip_prefix(dialect.base_path())?)));
        let (dialect, rest) = below.unwrap_or((Dialect::Current, path));
        ROUTES.iter().find_map(|route| {
            let (id, part) = matched(route.template, rest)?;
            route.scheme(dialect)?;
            (route.is_below_base() == below.is_some()).then_some(Self {
                dialect,
                template: route.template,
                id,
                part,
            })
        })
    }

    /// Whether the path exists only where there is a console.
    pub(crate) fn is_of_console(self) -> bool {
        self.template.starts_with("/_/console/")
    }

    /// The routes of this path, one a method.
    fn routes(self) -> impl Iterator<Item = (&'static Route, Scheme)> {
        ROUTES
            .iter()
            .filter(move |route| core::ptr::eq(route.template, self.template))
            .filter_map(move |route| Some((route, route.scheme(self.dialect)?)))
    }

    /// The route of a method, and how its caller proves itself. `HEAD` has the route of `GET`.
    pub(crate) fn route(self, method: Method) -> Option<(&'static Route, Scheme)> {
        let method = if method == Method::Head {
            Method::Get
        } else {
            method
        };
        self.routes().find(|(route, _)| route.method == method)
    }

    /// The methods of this path, as the header `Allow` lists them.
    pub(crate) fn allow(self) -> String {
        let names: Vec<&str> = self
            .routes()
            .map(|(route, _)| match route.method {
                Method::Get => "GET, HEAD",
                method => method.name(),
            })
            .collect();
        names.join(", ")
    }
}

/// The segments in the places of a template's `{id}`, and of its `{kind}`, `{hostname}` or `{event}` (empty if it has none), if the path fits the template.
fn matched<'a>(template: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let is_segment = |text: &str| !text.is_empty() && !text.contains('/');
    let Some((before, last)) = template.rsplit_once('{') else {
        return (template == path).then_some(("", ""));
    };
    let (_, after) = last.split_once('}')?;
    let path = path.strip_suffix(after)?;
    if !before.contains('{') {
        let id = path.strip_prefix(before)?;
        return is_segment(id).then_some((id, ""));
    }
    let (path, part) = path.rsplit_once('/')?;
    let (id, _) = matched(before.strip_suffix('/')?, path)?;
    is_segment(part).then_some((id, part))
}

#[cfg(test)]
mod tests {
    use super::{BodyRule, HELD, Operation, Path, ROUTES, SETTINGS, Scheme};
    use crate::value::scope::Needs;
    use crate::wire::dialect::Dialect;
    use crate::wire::http::Method;

    fn found(path: &str) -> Option<(Dialect, &'static str, &str)> {
        Path::find(path).map(|path| (path.dialect, path.template, path.id))
    }

    #[test]
    fn every_path_of_the_contract_is_found() {
        for (path, template, id) in [
            ("/openapi.json", "/openapi.json", ""),
            ("/auth/verify", "/auth/verify", ""),
            ("/config/traefik", "/config/traefik", ""),
            ("/tenants", "/tenants", ""),
            ("/tenants/a", "/tenants/{id}", "a"),
            ("/tenants/a%20b", "/tenants/{id}", "a%20b"),
            ("/tenants/a/settings", "/tenants/{id}/settings", "a"),
            ("/tenants/a/install", "/tenants/{id}/install", "a"),
            (
                "/tenants/a/user-password-reset",
                "/tenants/{id}/user-password-reset",
                "a",
            ),
            ("/tenants/a/holds/abuse", "/tenants/{id}/holds/{kind}", "a"),
            (
                "/tenants/holds/holds/holds",
                "/tenants/{id}/holds/{kind}",
                "holds",
            ),
            ("/tenants/a/hostnames", "/tenants/{id}/hostnames", "a"),
            (
                "/tenants/a/hostnames/a.example",
                "/tenants/{id}/hostnames/{hostname}",
                "a",
            ),
            (
                "/tenants/a/hostnames/a.example/verify",
                "/tenants/{id}/hostnames/{hostname}/verify",
                "a",
            ),
            ("/tenants/install", "/tenants/{id}", "install"),
            ("/tenants-plans", "/tenants-plans", ""),
            ("/tenants-plans/p", "/tenants-plans/{id}", "p"),
        ] {
            assert_eq!(
                found(&alloc::format!("/_/api/4{path}")),
                Some((Dialect::Current, template, id))
            );
        }
        assert_eq!(
            found("/_/health"),
            Some((Dialect::Current, "/_/health", ""))
        );
    }

    #[test]
    fn no_other_path_is_found() {
        for path in [
            "",
            "/",
            "/_/api/4",
            "/_/api/4/",
            "/_/api/4/tenants/",
            "/_/api/4//tenants",
            "/_/api/4/tenants/a/",
            "/_/api/4/tenants/a/install/",
            "/_/api/4/tenants//install",
            "/_/api/4/tenants/install/",
            "/_/api/4/tenants/a/b",
            "/_/api/4/tenants/a/holds",
            "/_/api/4/tenants/a/holds/",
            "/_/api/4/tenants//holds/abuse",
            "/_/api/4/tenants/a/hostnames/",
            "/_/api/4/tenants//hostnames/a.example",
            "/_/api/4/tenants/a/holds/abuse/b",
            "/api/4/tenants/a/holds/abuse",
            "/_/api/4tenants",
            "/_/api/5/tenants",
            "/_/API/4/tenants",
            "/_/api/4/Tenants",
            "/api/4/tenants",
            "/_/api/4/auth",
            "/openapi.json",
            "/api/4/_/openapi.json",
            "/api/4/_/auth/verify",
            "/api/4/_/config/traefik",
            "/api/4/_/tenants/a/install",
            "/_/health/",
            "/_/health/a",
            "/_/Health",
            "/health",
            "/_/api/4/_/health",
            "/_/api/4/health",
            "/api/4/_/health",
            "/api/4/_/_/health",
            "/tenants",
            "/auth/verify",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn allow_lists_the_methods_that_are_served() {
        let names = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "PROPFIND"];
        let mut paths = 0;
        for dialect in [Dialect::Current, Dialect::Legacy] {
            for route in ROUTES {
                let path = route.full_template(dialect).replace("{id}", "a");
                let Some(path) = Path::find(&path) else {
                    assert_eq!(route.scheme(dialect), None);
                    continue;
                };
                paths += 1;
                let allow = path.allow();
                for name in names {
                    let listed = allow.split(", ").any(|m| m == name);
                    let served = path.route(Method::new(name)).is_some();
                    assert_eq!(listed, served, "{path:?} {name}");
                }
            }
        }
        assert!(paths >= ROUTES.len());
        let allow = |path| Path::find(path).unwrap().allow();
        assert_eq!(allow("/_/api/4/tenants"), "GET, HEAD, POST");
        let all = "GET, HEAD, PUT, PATCH, DELETE";
        assert_eq!(allow("/_/api/4/tenants/a"), all);
        assert_eq!(allow("/_/api/4/tenants-plans/a"), all);
        assert_eq!(allow("/api/4/_/tenants/a"), "GET, HEAD, PATCH, DELETE");
        assert_eq!(allow("/_/api/4/config/traefik"), "GET, HEAD");
        assert_eq!(allow("/_/health"), "GET, HEAD");
        assert_eq!(allow("/_/api/4/openapi.json"), "GET, HEAD");
        assert_eq!(allow("/api/4/_/tenants"), "POST");
    }

    #[test]
    fn methods_are_case_sensitive_and_head_is_served_as_get() {
        let path = Path::find("/_/api/4/tenants").unwrap();
        assert!(path.route(Method::new("get")).is_none());
        let (route, scheme) = path.route(Method::new("HEAD")).unwrap();
        assert_eq!(route.operation, Operation::ListTenants);
        assert_eq!(scheme, Scheme::Hmac);
    }

    /// The scope follows from the path and the kind of method, so a wrong row fails here.
    #[test]
    fn every_route_has_the_scope_of_its_path_and_method() {
        for route in ROUTES {
            let reads = route.method == Method::Get;
            let expected = match route.template {
                "/_/health" | HELD | "/openapi.json" | "/auth/verify" | "/_/console/session" => {
                    Needs::NOTHING
                }
                t if t.starts_with("/_/console/sessions") => Needs::KEYS,
                "/config/traefik" => Needs::TRAEFIK,
                "/audit" => Needs::AUDIT,
                "/events" => Needs::EVENTS,
                "/tenants/{id}/settings" => SETTINGS,
                t if t.starts_with("/webhooks") && reads => Needs::WEBHOOKS_READ,
                t if t.starts_with("/webhooks") => Needs::WEBHOOKS_WRITE,
                t if t.starts_with("/keys") => Needs::KEYS,
                t if t.starts_with("/tenants/{id}/hostnames") && reads => Needs::TENANTS_READ,
                t if t.starts_with("/tenants/{id}/hostnames") => Needs::TENANTS_WRITE,
                "/tenants/{id}/holds/{kind}" | "/tenants/{id}/restore" => Needs::TENANTS_WRITE,
                t if t.starts_with("/tenants/{id}/") => Needs::SITES,
                t if t.starts_with("/cells") => Needs::CELLS,
                "/jobs/{id}/renew" | "/jobs/{id}/finish" => Needs::CELLS,
                t if t.starts_with("/jobs") => Needs::SITES,
                t if t.starts_with("/tenants-plans") && reads => Needs::PLANS_READ,
                t if t.starts_with("/tenants-plans") => Needs::PLANS_WRITE,
                _ if reads => Needs::TENANTS_READ,
                _ => Needs::TENANTS_WRITE,
            };
            assert_eq!(route.needs, expected, "{route:?}");
        }
    }

    #[test]
    fn only_reads_ignore_a_body() {
        for route in ROUTES {
            let reads = route.method == Method::Get;
            assert_eq!(route.body == BodyRule::Ignored, reads, "{route:?}");
        }
    }

    #[test]
    fn no_two_routes_share_a_method_and_path_or_an_operation() {
        for (i, one) in ROUTES.iter().enumerate() {
            for other in &ROUTES[i + 1..] {
                assert_ne!((one.method, one.template), (other.method, other.template));
                assert_ne!(one.operation, other.operation);
            }
        }
    }
}
