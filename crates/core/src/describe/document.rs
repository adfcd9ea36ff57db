//! The document: paths with their operations, and the components that they share.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use super::examples::{self, Example};
use super::headers::{self, OF_ALL, OF_LEGACY, OF_REPLAYS, of_responses, reference};
use super::operations::{Success, TAGS, Told, told};
use super::probe::{self, Probed};
use super::shapes::{PAGE, VALID};
use super::{audit, cells, events, rules, sessions, shapes, webhooks};
use crate::value::hold::HoldKind;
use crate::value::version::VERSION;
use crate::wire::body::probe::Seen;
use crate::wire::dialect::Dialect;
use crate::wire::http::Method;
use crate::wire::legacy::id_field;
use crate::wire::parameter::Parameter;
use crate::wire::problem::Code;
use crate::wire::route::{BodyRule, Operation, ROUTES, Route, Scheme};
use crate::wire::rule::Rule;

const ABOUT: &str = "The tenants of a Chevereto installation, their plans and their sites.

A caller has an API key and signs the raw body of each request, or with a bound key the whole request (`MessageSignature`); an absent body is the empty text. The paths below `/api/4/_` are those of the \
older dialect, which differs in names and in the signature. They answer 404 unless the service has a verifying key. `HEAD` is answered as `GET`, \
without a body. Paths are not percent-decoded and have no trailing slash. A path that is not here answers 404, another method of a path 405 with \
`Allow`. Times are UTC. Errors are problems (RFC 9457); their `code` is a stable word.

Examples belong together by their names: the parameters, the body and the response.";

/// Components by name, collected while the paths are made.
#[derive(Default)]
struct Components {
    schemas: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
    headers: BTreeMap<String, Value>,
}

/// Makes the whole document.
pub(super) fn make() -> Value {
    let mut components = Components {
        schemas: all_shapes(),
        ..Components::default()
    };
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        for (dialect, scheme) in route.dialects {
            let method = route.method.name().to_ascii_lowercase();
            paths
                .entry(route.full_template(*dialect))
                .or_default()
                .insert(method, operation(route, *dialect, *scheme, &mut components));
        }
    }
    let tags: Vec<Value> = TAGS
        .iter()
        .map(|(name, about)| json!({"name": name, "description": about}))
        .collect();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Tenants API", "version": VERSION, "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "webhooks": webhooks::messages(),
        "components": {
            "schemas": components.schemas,
            "responses": components.responses,
            "headers": components.headers,
            "parameters": headers::parameters(),
            "securitySchemes": security_schemes()
        }
    })
}

fn all_shapes() -> BTreeMap<String, Value> {
    let others = cells::shapes()
        .into_iter()
        .chain(audit::shapes())
        .chain(events::shapes())
        .chain(sessions::shapes())
        .chain(webhooks::shapes());
    let mut all = shapes::all();
    all.extend(others.map(|(name, shape)| (name.to_string(), shape)));
    all
}

fn all_told(operation: Operation, dialect: Dialect) -> Told {
    cells::told(operation)
        .or_else(|| audit::told(operation))
        .or_else(|| events::told(operation))
        .or_else(|| sessions::told(operation))
        .or_else(|| webhooks::told(operation))
        .unwrap_or_else(|| told(operation, dialect))
}

fn security_schemes() -> Value {
    json!({
        "ApiKey": {
            "type": "apiKey", "in": "header", "name": "X-API-Key",
            "description": "`chv_<id>_<secret>`, as the service's command line issues it."
        },
        "Hmac": {
            "type": "apiKey", "in": "header", "name": "X-Signature",
            "description": "The HMAC-SHA256 of the raw body under the request secret (`CHEVERETO_TENANTS_API_REQUEST_SECRET`), in hexadecimal."
        },
        "Ed25519": {
            "type": "apiKey", "in": "header", "name": "X-Signature",
            "description": "The Ed25519 signature of the raw body, in base64. The service verifies it under `CHEVERETO_TENANTS_PUBLIC_KEY`."
        },
        "MessageSignature": {
            "type": "apiKey", "in": "header", "name": "Signature",
            "description": "The signature of the whole request under the signing secret of a bound key: RFC 9421 with `hmac-sha256`, of `@method`, `@target-uri`, `x-api-key`, `content-digest` (RFC 9530) if there is a body, and those of `idempotency-key`, `if-match`, `if-none-match` and `prefer` that are sent. `Signature-Input` lists them, with `created`. A bound key takes no other signature, and other keys do not take this one."
        },
        "Session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-tenants_session",
            "description": "The session that `signIn` begins, in place of a key and a signature. Each request needs `Sec-Fetch-Site: same-origin`, which a browser sends by itself, and each that is no GET or HEAD the session's `X-CSRF-Token`. A cookie beside a key or a signature is a 401. Without `TENANTS_CONSOLE` the cookie is ignored."
        }
    })
}

/// The ways to prove a caller, any of which will do. The scopes are those that the key needs.
fn security(scheme: Scheme, scopes: &[&str], takes_session: bool) -> Value {
    match scheme {
        Scheme::Session => json!([{"Session": scopes}]),
        Scheme::Hmac if takes_session => {
            json!([{"ApiKey": scopes, "Hmac": []}, {"ApiKey": scopes, "MessageSignature": []}, {"Session": scopes}])
        }
        Scheme::Open => json!([]),
        Scheme::Proxy => {
            json!([{"ApiKey": scopes}, {"ApiKey": scopes, "MessageSignature": []}, {}])
        }
        Scheme::Hmac => {
            json!([{"ApiKey": scopes, "Hmac": []}, {"ApiKey": scopes, "MessageSignature": []}])
        }
        Scheme::Ed25519 => {
            json!([{"ApiKey": scopes, "Ed25519": []}, {"ApiKey": scopes, "MessageSignature": []}])
        }
        Scheme::Request => json!([{"ApiKey": scopes, "MessageSignature": []}]),
    }
}

fn operation(
    route: &Route,
    dialect: Dialect,
    scheme: Scheme,
    components: &mut Components,
) -> Value {
    let Told {
        name,
        tag,
        summary,
        description,
        mut successes,
        problems,
    } = all_told(route.operation, dialect);
    let examples = cells::examples(route.operation)
        .or_else(|| audit::examples(route.operation))
        .or_else(|| events::examples(route.operation))
        .or_else(|| sessions::examples(route.operation))
        .or_else(|| webhooks::examples(route.operation))
        .unwrap_or_else(|| examples::of(route.operation, dialect));
    assert!(
        !examples.is_empty(),
        "{name} ({dialect:?}) has no example in describe/examples.rs"
    );
    let name = match dialect {
        Dialect::Current => name.to_string(),
        Dialect::Legacy => format!("legacy{}{}", name[..1].to_uppercase(), &name[1..]),
    };
    let probed = probe::route(route, dialect);
    let is_write = probed.parameters.contains(&Parameter::ValidateOnly);
    if is_write && successes.iter().all(|success| success.status != 200) {
        successes.push(Success {
            status: 200,
            shape: Some(VALID),
            headers: &[],
            description: "With `validate_only=true`: the request could be carried out. Nothing was written.",
        });
    }
    let of_replays = if route.operation.remembers() {
        OF_REPLAYS
    } else {
        &[]
    };
    let mut all = problems_of(route, dialect, scheme, &probed);
    all.extend(problems);
    let mut made = json!({
        "operationId": name, "tags": [tag], "summary": summary,
        "security": security(scheme, &route.needs.names(), route.takes_session(dialect)),
        "responses": responses(dialect, &successes, of_replays, &all, &examples, is_write, components)
    });
    if !description.is_empty() {
        made["description"] = description.into();
    }
    if dialect == Dialect::Legacy {
        made["deprecated"] = true.into();
    }
    made["parameters"] = parameters(route, dialect, &probed, &examples, components);
    if let Some(body) = body(route, dialect, &probed.body, &examples, components) {
        made["requestBody"] = body;
    }
    made
}

/// The problems that follow from a route's row in the table, and from the parameters that it reads.
fn problems_of(route: &Route, dialect: Dialect, scheme: Scheme, probed: &Probed) -> BTreeSet<Code> {
    if route.operation == Operation::HeldPage {
        // Everything else is a page.
        return BTreeSet::from([Code::Internal, Code::NotConfigured]);
    }
    let mut codes = BTreeSet::from([Code::Forbidden, Code::Internal, Code::NotConfigured]);
    if scheme != Scheme::Open {
        codes.extend([
            Code::Unauthorized,
            Code::TooManyRequests,
            Code::PayloadTooLarge,
            Code::BodyIncomplete,
            Code::Unavailable,
        ]);
    }
    if !route.needs.names().is_empty() {
        codes.insert(Code::InsufficientScope);
    }
    if route.takes_session(dialect) {
        codes.insert(Code::NotSameOrigin);
        if route.method != Method::Get {
            codes.insert(Code::CsrfTokenMismatch);
        }
    }
    // A PUT of the resource itself makes it if it is not there.
    let makes = route.method == Method::Put && route.template.ends_with("/{id}");
    if dialect == Dialect::Legacy || route.template.contains("{id}") && !makes {
        codes.insert(Code::NotFound);
    }
    let takes_body = [
        Code::MalformedJson,
        Code::UnsupportedMediaType,
        Code::Invalid,
    ];
    match route.body {
        BodyRule::Ignored => {}
        BodyRule::Optional if dialect == Dialect::Current => codes.extend(takes_body),
        BodyRule::Refused | BodyRule::Optional => codes.extend([Code::BodyUnexpected]),
        BodyRule::Required => {
            codes.insert(Code::BodyRequired);
            codes.extend(takes_body);
        }
    }
    if !probed.parameters.is_empty() {
        codes.insert(Code::Invalid);
    }
    // Every operation compares `If-Match`, those without an `ETag` in vain.
    codes.extend([Code::MalformedHeader, Code::PreconditionFailed]);
    if route.operation.remembers() {
        codes.insert(Code::IdempotencyKeyReused);
    }
    codes
}

fn parameters(
    route: &Route,
    dialect: Dialect,
    probed: &Probed,
    examples: &[Example],
    components: &mut Components,
) -> Value {
    let mut all = Vec::new();
    if route.template.contains("{id}") {
        let (schema, about) = match route.template {
            t if t.starts_with("/_/console/") => (sessions::id(), "The session's id."),
            t if t.starts_with("/jobs/") => (json!({"type": "string"}), "The job's id."),
            t if t.starts_with("/webhooks/") => (json!({"type": "string"}), "The webhook's id."),
            t if t.starts_with("/cells/") => (
                components.rule(Rule::CellId, Dialect::Current),
                "The cell's id.",
            ),
            t if t.starts_with("/keys") => (
                components.rule(Rule::KeyId, Dialect::Current),
                "The key's id.",
            ),
            t if id_field(t) == "plan_id" => (
                components.rule(Rule::PlanId, Dialect::Current),
                "The plan's id.",
            ),
            _ => (
                components.rule(Rule::TenantId, Dialect::Current),
                "The tenant's id.",
            ),
        };
        all.push(json!({"name": "id", "in": "path", "required": true, "schema": schema, "description": about}));
    }
    if route.template.contains("{kind}") {
        all.push(json!({
            "name": "kind", "in": "path", "required": true, "schema": {"enum": HoldKind::ALL.map(HoldKind::as_str)},
            "description": "The kind of the hold. A tenant has at most one of each."
        }));
    }
    if route.template.contains("{hostname}") {
        all.push(json!({
            "name": "hostname", "in": "path", "required": true, "schema": components.rule(Rule::Hostname, Dialect::Current),
            "description": "The hostname. Case does not matter."
        }));
    }
    if route.template.contains("{event}") {
        all.push(json!({
            "name": "event", "in": "path", "required": true, "schema": {"type": "string"},
            "description": "The event's id, as the deliveries and GET `/events` have it."
        }));
    }
    for parameter in &probed.parameters {
        let of_cells = cells::parameter(*parameter, route.operation);
        let other = of_cells
            .or_else(|| audit::parameter(*parameter, route.operation))
            .or_else(|| events::parameter(*parameter, route.operation))
            .or_else(|| webhooks::parameter(*parameter, route.operation));
        all.push(other.unwrap_or_else(|| rules::parameter(*parameter, route.operation)));
    }
    components.rule(Rule::Hostname, Dialect::Current);
    for parameter in &mut all {
        let name = parameter["name"].as_str().unwrap_or_default().to_string();
        let named: Map<String, Value> = examples
            .iter()
            .filter_map(|example| {
                let (_, value) = example.parameters.iter().find(|(n, _)| *n == name)?;
                Some((example.name.into(), json!({"value": value})))
            })
            .collect();
        if !named.is_empty() {
            parameter["examples"] = named.into();
        }
    }
    all.extend(headers::of_requests(route, dialect));
    all.into()
}

fn body(
    route: &Route,
    dialect: Dialect,
    seen: &Seen,
    examples: &[Example],
    components: &mut Components,
) -> Option<Value> {
    if seen.fields.is_empty() {
        let takes_body = matches!(route.body, BodyRule::Required)
            || (route.body == BodyRule::Optional && dialect == Dialect::Current);
        assert!(!takes_body, "{route:?}: the probe saw no field of its body");
        return None;
    }
    let field = |name: &'static str| match (name, dialect) {
        ("id", Dialect::Legacy) => id_field(route.template),
        _ => name,
    };
    let properties: BTreeMap<&str, Value> = seen
        .fields
        .iter()
        .map(|(name, rule, _)| (field(name), components.rule(*rule, dialect)))
        .collect();
    let required: Vec<&str> = seen
        .fields
        .iter()
        .filter(|(_, _, required)| *required)
        .map(|(name, ..)| field(name))
        .collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    match dialect {
        Dialect::Current => {
            schema["additionalProperties"] = false.into();
            if seen.any {
                schema["minProperties"] = 1.into();
            }
        }
        // Unknown fields are ignored, so one of the known ones must be there.
        Dialect::Legacy if seen.any => {
            let any: Vec<Value> = schema["properties"]
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
                .map(|name| json!({"required": [name]}))
                .collect();
            schema["anyOf"] = any.into();
        }
        Dialect::Legacy => {}
    }
    let named: Map<String, Value> = examples
        .iter()
        .filter_map(|example| {
            let value = example.body.as_ref()?;
            Some((
                example.name.into(),
                json!({"summary": example.summary, "value": value}),
            ))
        })
        .collect();
    let about = match dialect {
        Dialect::Current => {
            "At most 65536 bytes, without a `Content-Encoding`. An unknown field is refused."
        }
        Dialect::Legacy => {
            "At most 65536 bytes, without a `Content-Encoding`. An unknown field is ignored. The identifier may be called `id`, too."
        }
    };
    Some(json!({
        "required": route.body == BodyRule::Required,
        "description": about,
        "content": {"application/json": {"schema": schema, "examples": named}}
    }))
}

fn responses(
    dialect: Dialect,
    successes: &[Success],
    of_replays: &[&str],
    problems: &BTreeSet<Code>,
    examples: &[Example],
    is_write: bool,
    components: &mut Components,
) -> Value {
    let mut all = Map::new();
    for Success {
        status,
        shape,
        headers,
        description,
    } in successes
    {
        let mut response = json!({
            "description": description,
            "headers": components.headers_of(dialect, &[headers, of_replays].concat())
        });
        if let Some(shape) = shape {
            let mut schema = components.shape(shape, dialect);
            if is_write && *status == 200 && *shape != VALID {
                schema = json!({"anyOf": [schema, components.shape(VALID, dialect)]});
            }
            let mut media = json!({"schema": schema});
            let named = named_answers(examples, *status);
            if !named.is_empty() {
                media["examples"] = named.into();
            }
            let media_type = if *shape == PAGE {
                "text/html"
            } else {
                "application/json"
            };
            response["content"] = json!({media_type: media});
        }
        all.insert(status.to_string(), response);
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in problems {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let mut response = components.problem(dialect, status, &codes);
        let named = named_answers(examples, status);
        if named.is_empty() {
            response = components.shared(dialect, status, &codes, response);
        } else {
            response["content"]["application/problem+json"]["examples"] = named.into();
        }
        match all.get_mut(&status.to_string()) {
            // A page of the same status, which has the words.
            Some(page) => {
                let media = components.problem(dialect, status, &codes)["content"].take();
                page["content"]["application/problem+json"] =
                    media["application/problem+json"].clone();
            }
            None => {
                all.insert(status.to_string(), response);
            }
        }
    }
    all.into()
}

fn named_answers(examples: &[Example], status: u16) -> Map<String, Value> {
    examples
        .iter()
        .filter(|example| example.status == status)
        .filter_map(|example| {
            let value = example.answer.as_ref()?;
            Some((
                example.name.into(),
                json!({"summary": example.summary, "value": value}),
            ))
        })
        .collect()
}

impl Components {
    fn rule(&mut self, rule: Rule, dialect: Dialect) -> Value {
        let name = rules::name(rule, dialect);
        assert!(
            !all_shapes().contains_key(&name),
            "describe/shapes.rs and a rule both have {name}"
        );
        self.schemas.entry(name.clone()).or_insert_with(|| {
            let other = cells::rule(rule).or_else(|| webhooks::schema(rule));
            other.unwrap_or_else(|| rules::schema(rule, dialect))
        });
        reference("schemas", &name)
    }

    /// The schema of a response. The legacy dialect has some of its own.
    fn shape(&self, name: &str, dialect: Dialect) -> Value {
        let legacy = format!("Legacy{name}");
        let name = match dialect {
            Dialect::Legacy if self.schemas.contains_key(&legacy) => &legacy,
            _ => name,
        };
        assert!(
            self.schemas.contains_key(name),
            "describe/shapes.rs has no {name}"
        );
        reference("schemas", name)
    }

    fn headers_of(&mut self, dialect: Dialect, own: &[&str]) -> Map<String, Value> {
        let of_dialect = match dialect {
            Dialect::Current => &[],
            Dialect::Legacy => OF_LEGACY,
        };
        let names = OF_ALL.iter().chain(of_dialect).chain(own);
        names
            .map(|name| {
                self.headers
                    .entry((*name).into())
                    .or_insert_with(|| of_responses(name));
                ((*name).into(), reference("headers", name))
            })
            .collect()
    }

    /// The response of a status with these codes.
    fn problem(&mut self, dialect: Dialect, status: u16, codes: &[Code]) -> Value {
        let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
        let own: &[&str] = match status {
            401 => &["WWW-Authenticate", "Date"],
            415 => &["Accept-Encoding"],
            429 | 503 => &["Retry-After"],
            _ => &[],
        };
        let headers = self.headers_of(dialect, own);
        let when: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.word(), code.when()))
            .collect();
        json!({
            "description": when.join("\n\n"),
            "headers": headers,
            "content": {"application/problem+json": {"schema": {
                "allOf": [reference("schemas", "Problem"), {"properties": {"status": {"const": status}, "code": {"enum": words}}}]
            }}}
        })
    }

    /// Puts the response of these codes among the components, and refers to it.
    fn shared(&mut self, dialect: Dialect, status: u16, codes: &[Code], response: Value) -> Value {
        let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
        let prefix = match dialect {
            Dialect::Current => "",
            Dialect::Legacy => "legacy-",
        };
        let name = format!("{prefix}{status}-{}", words.join("-"));
        self.responses.entry(name.clone()).or_insert(response);
        reference("responses", &name)
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for route in ROUTES {
        let operation: Operation = route.operation;
        assert!(
            names.insert(all_told(operation, Dialect::Current).name),
            "{route:?}"
        );
    }
}
