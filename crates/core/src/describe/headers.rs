//! The headers of requests and responses.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::wire::dialect::Dialect;
use crate::wire::http::Headers;
use crate::wire::route::{Operation, Route};

/// A reference to a component.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// How the description tells a header of requests.
enum Told {
    /// A parameter of these routes.
    Parameter(fn(&Route, Dialect) -> bool, &'static str),
    /// By the security schemes.
    Security,
    /// By the bodies.
    Body,
}

fn told(name: &str) -> Told {
    match name {
        "x-api-key" | "x-signature" | "signature-input" | "signature" | "content-digest"
        | "cookie" | "sec-fetch-site" | "x-csrf-token" => Told::Security,
        "content-type" | "content-encoding" => Told::Body,
        "x-request-id" => Told::Parameter(
            |_, _| true,
            "An id for this request, which its response and its log line have: 1 to 64 of `[A-Za-z0-9._-]`. The service replaces any other text by a new id.",
        ),
        "if-none-match" => Told::Parameter(
            |route, _| route.reads_if_none_match() || has_etag_of_its_own(route.operation),
            "The `ETag` of the response that the caller has. If it is the present one, the response is a 304. On a PUT, `*` has it create only: it is a 412 if the resource is there.",
        ),
        "idempotency-key" => Told::Parameter(
            |route, _| route.operation.remembers(),
            "A name for this request: 1 to 255 visible ASCII characters, with or without quotes. The same request with the same name again gets the first response again, and nothing is done a second time.",
        ),
        "if-match" => Told::Parameter(
            |route, _| route.operation.has_etag() || has_etag_of_its_own(route.operation),
            "`ETag`s of which the resource must have one, or else nothing is done: 412. Their revisions alone are compared. Other routes answer 412 to it.",
        ),
        "prefer" => Told::Parameter(
            |route, dialect| match route.operation {
                Operation::EditTenant
                | Operation::EditPlan
                | Operation::InstallTenant
                | Operation::ResetUserPassword
                | Operation::EraseTenant => true,
                Operation::DeleteTenant => dialect == Dialect::Current,
                _ => false,
            },
            "What the caller would like of the response (RFC 7240). `return=representation` of a change: the resource in place of an empty response. `respond-async`: a 202 at once, if the tenant's cell carries the request out; `wait=N`: the 202 after `N` seconds, 60 at the most. Other preferences are ignored.",
        ),
        other => panic!(
            "describe/headers.rs does not tell the header `{other}`, which the service reads"
        ),
    }
}

/// Whether the response has an `ETag` that is not of one tenant or plan.
fn has_etag_of_its_own(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::TraefikConfig | Operation::Describe | Operation::ReadFeed
    )
}

/// The form of a header's value. Most headers may have any: the service ignores one that it cannot read.
fn schema(name: &str) -> Value {
    match name {
        "idempotency-key" => json!({
            "type": "string",
            "pattern": "^([!#-~][!-~]{0,254}|\"([!#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\")$"
        }),
        _ => json!({"type": "string"}),
    }
}

/// The headers that a route reads, as parameters.
pub(super) fn of_requests(route: &Route, dialect: Dialect) -> impl Iterator<Item = Value> {
    Headers::NAMES
        .into_iter()
        .filter(move |name| matches!(told(name), Told::Parameter(read, _) if read(route, dialect)))
        .map(|name| reference("parameters", &titled(name)))
}

/// A header's name as it is usually written.
fn titled(name: &str) -> String {
    let words: Vec<String> = name
        .split('-')
        .map(|word| word[..1].to_ascii_uppercase() + &word[1..])
        .collect();
    words.join("-")
}

/// The parameters that are headers, by name.
pub(super) fn parameters() -> Value {
    Headers::NAMES
        .into_iter()
        .filter_map(|name| match told(name) {
            Told::Parameter(_, about) => Some((
                titled(name),
                json!({"name": titled(name), "in": "header", "schema": schema(name), "description": about}),
            )),
            Told::Security | Told::Body => None,
        })
        .collect()
}

/// The headers of every response of the current dialect, and of no certain operation.
pub(super) const OF_ALL: &[&str] = &["X-Request-Id", "Cache-Control", "X-Content-Type-Options"];

/// The headers that every legacy response has, too.
pub(super) const OF_LEGACY: &[&str] = &["Deprecation", "Link"];

/// The headers of a success of an operation that writes, if it is a replay.
pub(super) const OF_REPLAYS: &[&str] = &["Idempotency-Replayed", "Idempotency-Expires"];

/// A header of responses.
pub(super) fn of_responses(name: &str) -> Value {
    let (schema, about) = match name {
        "X-Request-Id" => (
            json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
            "The request's id.",
        ),
        "Cache-Control" => (json!({"const": "no-store"}), "No response may be stored."),
        "X-Content-Type-Options" => (json!({"const": "nosniff"}), "The type is as it says."),
        "Deprecation" => (
            json!({"const": "@1765238400"}),
            "The day on which the current dialect shipped (RFC 9745).",
        ),
        "Link" => (
            json!({"type": "string"}),
            "`rel=\"next\"`: the next page of a list. `rel=\"successor-version\"`, of every legacy response: the path of the current dialect.",
        ),
        "Location" => (json!({"type": "string"}), "The path of the resource."),
        "ETag" => (
            json!({"type": "string", "pattern": "^\"[^\"]+\"$"}),
            "The state of the resource, for `If-Match` and `If-None-Match`. A trial has none.",
        ),
        "Preference-Applied" => (
            json!({"type": "string"}),
            "The preferences of the request's `Prefer` that the response follows.",
        ),
        "Idempotency-Replayed" => (
            json!({"const": "true"}),
            "The request was carried out before, with the same `Idempotency-Key`. This is the response that it got.",
        ),
        "Idempotency-Expires" => (
            json!({"type": "string"}),
            "Until when that request is remembered, as HTTP writes times.",
        ),
        "X-Total-Count" => (
            json!({"type": "integer", "minimum": 0}),
            "With `count=true`: the number of items on all pages.",
        ),
        "Set-Cookie" => (
            json!({"type": "string"}),
            "The token of the session, or that the browser forgets it.",
        ),
        "Content-Security-Policy" => (
            json!({"type": "string"}),
            "Nothing but the page's own style.",
        ),
        "WWW-Authenticate" => (json!({"type": "string"}), "How to prove a caller."),
        "Date" => (
            json!({"type": "string"}),
            "The service's clock, as HTTP writes times, by which signatures of whole requests are judged.",
        ),
        "Retry-After" => (
            json!({"type": "integer", "minimum": 0}),
            "The seconds to wait: with `code: \"unavailable\"`, `\"lookup_failed\"` or `\"too_many_requests\"`, and on the page of a tenant whose holds all end.",
        ),
        "Accept-Encoding" => (
            json!({"const": "identity"}),
            "If the body had a `Content-Encoding`.",
        ),
        other => panic!("describe/headers.rs does not tell the response header `{other}`"),
    };
    let mut header = json!({"schema": schema, "description": about});
    if !matches!(
        name,
        "Deprecation"
            | "Link"
            | "ETag"
            | "Preference-Applied"
            | "Idempotency-Replayed"
            | "Idempotency-Expires"
            | "X-Total-Count"
            | "Retry-After"
            | "Accept-Encoding"
            | "Set-Cookie"
    ) {
        header["required"] = true.into();
    }
    header
}
