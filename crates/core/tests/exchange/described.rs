//! Every response has a status, a `code`, headers and members that docs/openapi.json gives its operation (contract §14).

use std::sync::LazyLock;

use serde_json::Value as Json;
use tenants_core::{Served, served};

use crate::host::Got;

static DOCUMENT: LazyLock<Json> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../docs/openapi.json")).expect("JSON")
});

/// Headers of HTTP itself, which the description leaves out, and that of a 405, which is no operation's.
const OF_HTTP: [&str; 2] = ["content-type", "allow"];

/// Whether the description gives a route this header of requests.
pub(crate) fn reads(route: &Served, header: &str) -> bool {
    let operation = &DOCUMENT["paths"][&route.path][route.method.to_ascii_lowercase()];
    let parameters = operation["parameters"].as_array();
    let named = |parameter: &Json| {
        let path = parameter["$ref"].as_str();
        path.is_some_and(|path| path == format!("#/components/parameters/{header}"))
    };
    parameters.is_some_and(|all| all.iter().any(named))
}

/// A route takes `Prefer` where one of its responses says that a preference was applied.
#[test]
fn a_route_that_applies_preferences_takes_them() {
    for route in served() {
        let operation = &DOCUMENT["paths"][&route.path][route.method.to_ascii_lowercase()];
        let responses = operation["responses"].as_object().expect(&route.path);
        let applies = responses
            .values()
            .any(|response| resolve(response)["headers"]["Preference-Applied"].is_object());
        assert_eq!(reads(&route, "Prefer"), applies, "{route:?}");
    }
}

/// Checks a response. One without a route, or of a method that the route does not have, has no operation.
pub(crate) fn of_answer(got: &Got) {
    let Some(template) = got.log.route else {
        return;
    };
    let path = match template {
        _ if template.starts_with("/_/") => template.to_string(),
        _ if got.log.legacy => format!("/api/4/_{template}"),
        _ => format!("/_/api/4{template}"),
    };
    let item = &DOCUMENT["paths"][&path];
    assert!(item.is_object(), "the description has no path {path}");
    // Methods are case-sensitive: `get` is none.
    let method = match got.log.method.as_str() {
        "HEAD" => "get".to_string(),
        // Visitors have no description, and may use any method.
        _ if template == "/_/held/{id}" => "get".to_string(),
        method if method.bytes().all(|b| b.is_ascii_uppercase()) => method.to_ascii_lowercase(),
        other => format!("no method {other}"),
    };
    let operation = &item[&method];
    if !operation.is_object() {
        assert_eq!(got.status, 405, "the description has no {method} {path}");
        return;
    }
    let name = &operation["operationId"];
    let response = resolve(&operation["responses"][got.status.to_string()]);
    assert!(
        response.is_object(),
        "the description of {name} has no status {}: {}",
        got.status,
        got.body
    );
    for (header, _) in &got.response.headers {
        let described = response["headers"].as_object().is_some_and(|headers| {
            headers
                .keys()
                .any(|known| known.eq_ignore_ascii_case(header))
        });
        assert!(
            described || OF_HTTP.contains(header),
            "the description of {name} has no header {header} with {}",
            got.status
        );
    }
    if got.body.is_empty() {
        return;
    }
    let content_type = got.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media = &response["content"][media_type];
    let schema = &media["schema"];
    assert!(
        schema.is_object(),
        "the description of {name} has no such body: {}",
        got.status
    );
    if media_type == "text/html" {
        return;
    }
    let body: Json = serde_json::from_str(&got.body).expect(&got.body);
    if got.status >= 400 {
        let codes = &schema["allOf"][1]["properties"]["code"]["enum"];
        let is_there = codes
            .as_array()
            .is_some_and(|all| all.contains(&body["code"]));
        assert!(
            is_there,
            "the description of {name} has no code {}",
            body["code"]
        );
    } else if template != "/openapi.json" {
        of_members(&body, schema, &format!("{name} {}", got.status));
    }
}

/// Checks that a value has no member that its schema does not name, and each that it requires. The end-to-end tests check all the rest.
fn of_members(value: &Json, schema: &Json, what: &str) {
    let mut schema = resolve(schema);
    // Of several, the one whose members are all there.
    let has_all = |one: &&Json| {
        let required = resolve(one)["required"].as_array();
        required.is_some_and(|all| {
            all.iter()
                .all(|name| !value[name.as_str().unwrap_or("")].is_null())
        })
    };
    if let Some(one) = schema["anyOf"]
        .as_array()
        .and_then(|all| all.iter().rfind(has_all))
    {
        schema = resolve(one);
    }
    match value {
        Json::Array(items) => {
            for item in items {
                of_members(item, &schema["items"], what);
            }
        }
        Json::Object(members) => {
            let Some(known) = schema["properties"].as_object() else {
                return;
            };
            for (name, value) in members {
                let member = known.get(name);
                let Some(member) = member else {
                    panic!("the description of {what} has no member {name}");
                };
                of_members(value, member, what);
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                let is_there = name.as_str().is_some_and(|name| members.contains_key(name));
                assert!(is_there, "{what} lacks the member {name}");
            }
        }
        _ => {}
    }
}

fn resolve(value: &Json) -> &Json {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Json::Null),
        None => value,
    }
}
