//! Requests and their responses. An end-to-end test sends every one to a built Worker, and gets the response that is here, apart from times,
//! request ids, versions and generated passwords. The parameters, the body and the response of an example have its name.

use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::wire::dialect::Dialect;
use crate::wire::route::Operation;

/// One request and its response.
#[derive(Default)]
pub(super) struct Example {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// The path's `{id}`, and the query's parameters.
    pub(super) parameters: Vec<(&'static str, Value)>,
    pub(super) body: Option<Value>,
    pub(super) status: u16,
    pub(super) answer: Option<Value>,
}

/// A request without parameters and without a body.
pub(super) fn example(name: &'static str, summary: &'static str, status: u16) -> Example {
    Example {
        name,
        summary,
        status,
        ..Example::default()
    }
}

impl Example {
    pub(super) fn with(mut self, parameter: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.push((parameter, value.into()));
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn answer(mut self, answer: Value) -> Self {
        self.answer = Some(answer);
        self
    }
}

const REQUEST_ID: &str = "8a6f0c2f5f9b4d3e9a1c7b2d4e6f8a90";

pub(super) fn problem(title: &str, status: u16, detail: &str, code: &str, errors: Value) -> Value {
    let mut problem = json!({"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code, "request_id": REQUEST_ID});
    problem["errors"] = if errors.is_null() { json!([]) } else { errors };
    problem
}

pub(super) fn not_found(what: &str) -> Value {
    let detail = alloc::format!("there is no such {what}");
    problem("Not Found", 404, &detail, "not_found", Value::Null)
}

/// The problem of a cursor of another epoch.
pub(super) fn cursor_gone(again: &str) -> Value {
    problem(
        "Gone",
        410,
        &alloc::format!("the cursor is of another time of the database, or too old; {again}"),
        "cursor_gone",
        Value::Null,
    )
}

pub(super) fn stats() -> Value {
    serde_json::from_str(crate::store::counters::ZERO).unwrap()
}

pub(super) const MADE: &str = "2026-11-01 09:30:00";

fn hostname(name: &str, kind: &str) -> Value {
    json!({"hostname": name, "kind": kind, "created_at": MADE, "updated_at": MADE, "claimed_until": null, "proof": null, "proof_missing_since": null})
}

fn tenant() -> Value {
    json!({
        "id": "acme", "hostname": "acme.example.com", "is_enabled": true, "created_at": MADE, "updated_at": MADE,
        "plan_id": "basic", "external_id": "C-1001", "labels": {"region": "eu"}, "limits": {"CHEVERETO_MAX_USERS": "5"},
        "env": {"CHEVERETO_DEFAULT_LANGUAGE": "de"}, "stats": stats(), "last_job_at": null, "cell_id": null, "site": {"state": "none", "job_id": null}, "served": true, "holds": {}, "suspend_at": null, "delete_at": null, "deletion_protection": false
    })
}

fn plan() -> Value {
    json!({
        "id": "basic", "external_id": null, "labels": {}, "limits": {"CHEVERETO_MAX_USERS": "2", "CHEVERETO_MAX_FILES": "1000"},
        "env": null, "created_at": MADE, "updated_at": MADE
    })
}

fn legacy_tenant() -> Value {
    json!({
        "tenant_id": "older", "hostname": "older.example.com", "is_enabled": 1, "created_at": MADE, "updated_at": MADE,
        "plan_id": null, "limits": {}, "env": {}, "stats": stats(), "last_job_at": null
    })
}

fn legacy_plan() -> Value {
    json!({
        "plan_id": "classic", "name": "Classic", "description": null, "limits": {"CHEVERETO_MAX_USERS": "2"}, "env": null,
        "created_at": MADE, "updated_at": MADE
    })
}

/// The examples of an operation in a dialect that has it.
pub(super) fn of(operation: Operation, dialect: Dialect) -> Vec<Example> {
    match dialect {
        Dialect::Current => current(operation),
        Dialect::Legacy => legacy(operation),
    }
}

fn current(operation: Operation) -> Vec<Example> {
    match operation {
        Operation::Health => vec![
            example("ready", "A service that is ready", 200)
                .answer(json!({"version": "0.1.0", "schema": "0004_sites.sql"})),
        ],
        Operation::HeldPage => vec![
            example("not_held", "A tenant without a hold", 404)
                .with("id", "acme")
                .answer(json!("<!doctype html><html lang=\"en\">")),
        ],
        // The response is this document, which cannot hold itself.
        Operation::Describe => vec![example("description", "This description", 200)],
        Operation::VerifyKey => vec![
            example("valid", "A valid key", 200).answer(json!({
                "valid": true, "key": {"id": 1, "name": "billing", "created_at": MADE, "expires_at": null, "scopes": ["*"], "bound": false}
            })),
        ],
        Operation::TraefikConfig => vec![
            example("routing", "The root and one tenant", 200).answer(json!({"http": {
                "routers": {
                    "*": {"rule": "Host(`localhost`)", "service": "php", "entryPoints": ["websecure"], "middlewares": ["allow-range"]},
                    "acme": {"rule": "Host(`acme.example.com`)", "service": "php", "entryPoints": ["websecure"], "middlewares": ["allow-range"]}
                },
                "services": {"php": {"loadBalancer": {"servers": [{"url": "http://php:8080"}], "passHostHeader": true}}},
                "middlewares": {"allow-range": {"ipAllowList": {"sourceRange": ["192.0.2.0/24"]}}}
            }})),
        ],
        Operation::ListTenants => vec![
            example("filtered", "Some members of the tenants with a label", 200)
                .with("label", json!(["region:eu"]))
                .with("fields", json!(["id", "hostname"]))
                .answer(json!([{"id": "acme", "hostname": "acme.example.com"}])),
            example("incomplete_cursor", "A sorted list after an id alone", 422)
                .with("sort", "hostname")
                .with("after", "acme")
                .answer(problem(
                    "Unprocessable Content",
                    422,
                    "one field is not as expected",
                    "invalid",
                    json!([{
                        "parameter": "after",
                        "detail": "expected the value and the id of a row, with a comma between; got `acme`"
                    }]),
                )),
        ],
        Operation::CreateTenant => vec![
            example("created", "A tenant of a plan", 201)
                .body(json!({
                    "id": "acme", "hostname": "acme.example.com", "is_enabled": true, "plan_id": "basic", "external_id": "C-1001",
                    "labels": {"region": "eu"}, "limits": {"CHEVERETO_MAX_USERS": 5}, "env": {"CHEVERETO_DEFAULT_LANGUAGE": "de"}
                }))
                .answer(tenant()),
            example("taken", "A hostname that another tenant has", 409)
                .body(json!({"id": "other", "hostname": "acme.example.com", "is_enabled": true}))
                .answer(problem(
                    "Conflict", 409, "already taken: hostname", "conflict",
                    json!([{"pointer": "/hostname", "detail": "`acme.example.com` is taken", "holder": "acme"}]),
                )),
            example("invalid", "A plan that does not exist", 422)
                .body(json!({
                    "id": "new", "hostname": "new.example.com", "is_enabled": true,
                    "plan_id": "gone"
                }))
                .answer(problem(
                    "Unprocessable Content",
                    422,
                    "one field is not as expected",
                    "invalid",
                    json!([{
                        "pointer": "/plan_id",
                        "detail": "expected a plan that exists; got `gone`"
                    }]),
                )),
        ],
        Operation::GetTenant => vec![
            example("tenant", "A tenant", 200).with("id", "acme").answer(tenant()),
            example("missing", "An id that no tenant has", 404)
                .with("id", "nobody")
                .answer(not_found("tenant")),
        ],
        Operation::GetSettings => vec![
            example("settings", "Settings of a tenant and of its plan", 200)
                .with("id", "acme")
                .answer(json!({
                    "CHEVERETO_DEFAULT_LANGUAGE": {"value": "de", "source": "tenant_env"},
                    "CHEVERETO_MAX_FILES": {"value": "1000", "source": "plan_limits"},
                    "CHEVERETO_MAX_USERS": {"value": "5", "source": "tenant_limits"}
                })),
        ],
        Operation::PutTenant => vec![
            example("unchanged", "A tenant that is there, and is so already", 200)
                .with("id", "acme")
                .body(json!({
                    "hostname": "acme.example.com", "is_enabled": true, "plan_id": "basic", "external_id": "C-1001",
                    "labels": {"region": "eu"}, "limits": {"CHEVERETO_MAX_USERS": 5}, "env": {"CHEVERETO_DEFAULT_LANGUAGE": "de"}
                }))
                .answer(tenant()),
            example("taken", "A hostname that another tenant has, only checked", 409)
                .with("id", "other")
                .with("validate_only", true)
                .body(json!({"hostname": "acme.example.com", "is_enabled": true}))
                .answer(problem(
                    "Conflict", 409, "already taken: hostname", "conflict",
                    json!([{"pointer": "/hostname", "detail": "`acme.example.com` is taken", "holder": "acme"}]),
                )),
        ],
        Operation::EditTenant => vec![
            example("changed", "A tenant loses its plan, a label and its limits", 204)
                .with("id", "acme")
                .body(json!({"plan_id": null, "labels": {"region": null, "tier": "gold"}, "limits": {}})),
        ],
        Operation::DeleteTenant => vec![
            example("deleted", "A tenant with the tables of its site", 204)
                .with("id", "acme")
                .body(json!({"drop_tables": true})),
        ],
        Operation::RestoreTenant => vec![
            example("missing", "A tenant that was never deleted", 404)
                .with("id", "acme")
                .answer(not_found("deleted tenant that can be brought back")),
        ],
        Operation::EraseTenant => vec![
            example("missing", "A tenant that there never was", 404)
                .with("id", "never")
                .answer(not_found("tenant")),
        ],
        Operation::PutHold => vec![
            example("held", "An invoice is not paid", 204)
                .with("id", "acme")
                .with("kind", "non_payment")
                .body(json!({"reason": "invoice 2026-1001", "message": "This site is paused. Please contact its owner."})),
        ],
        Operation::ReleaseHold => vec![
            example("released", "The invoice is paid", 204)
                .with("id", "acme")
                .with("kind", "non_payment"),
            example("missing", "A hold that the tenant does not have", 404)
                .with("id", "acme")
                .with("kind", "abuse")
                .answer(not_found("hold")),
        ],
        Operation::ListHostnames => vec![
            example("all", "The hostnames of a tenant", 200)
                .with("id", "acme")
                .answer(json!([hostname("photos.acme.example", "alias")])),
        ],
        Operation::PutHostname => vec![
            example("alias", "The site answers at the customer's own domain, too", 201)
                .with("id", "acme")
                .with("hostname", "photos.acme.example")
                .body(json!({"kind": "alias"}))
                .answer(hostname("photos.acme.example", "alias")),
            example("taken", "A hostname that is a tenant's own", 409)
                .with("id", "acme")
                .with("hostname", "acme.example.com")
                .body(json!({"kind": "redirect"}))
                .answer(problem(
                    "Conflict", 409, "already taken: hostname", "conflict",
                    json!([{"pointer": "/hostname", "detail": "`acme.example.com` is taken", "holder": "acme"}]),
                )),
        ],
        Operation::VerifyHostname => vec![
            example("unasked", "A hostname for which no proof was asked", 200)
                .with("id", "acme")
                .with("hostname", "photos.acme.example")
                .answer(hostname("photos.acme.example", "alias")),
        ],
        Operation::DeleteHostname => vec![
            example("deleted", "The customer leaves with the domain", 204)
                .with("id", "acme")
                .with("hostname", "photos.acme.example"),
            example("missing", "A hostname that the tenant does not have", 404)
                .with("id", "acme")
                .with("hostname", "www.acme.example")
                .answer(not_found("hostname")),
        ],
        Operation::InstallTenant => vec![
            example("installed", "A new site", 201)
                .with("id", "acme")
                .body(json!({"username": "admin", "email": "admin@acme.example.com", "password": "correct horse"}))
                .answer(json!({"id": "acme", "username": "admin", "email": "admin@acme.example.com"})),
            example("installed_already", "A site that is installed already", 409)
                .with("id", "acme")
                .body(json!({"username": "admin", "email": "admin@acme.example.com", "password": "correct horse"}))
                .answer(problem("Conflict", 409, "the tenant is installed already", "conflict", Value::Null)),
        ],
        Operation::ResetUserPassword => vec![
            example("generated", "A password that the service generates", 200)
                .with("id", "acme")
                .body(json!({"username": "admin"}))
                .answer(json!({"username": "admin", "password": "kT3vWq9ZxR0mYb7LcN4u"})),
        ],
        Operation::ListPlans => vec![example("all", "All plans", 200).answer(json!([plan()]))],
        Operation::CreatePlan => vec![
            example("created", "A plan with limits", 201)
                .body(json!({"id": "basic", "limits": {"CHEVERETO_MAX_USERS": "2", "CHEVERETO_MAX_FILES": "1000"}}))
                .answer(plan()),
        ],
        Operation::GetPlan => vec![example("plan", "A plan", 200).with("id", "basic").answer(plan())],
        Operation::PutPlan => vec![
            example("checked", "A new plan, only checked", 200)
                .with("id", "large")
                .with("validate_only", true)
                .body(json!({"limits": {"CHEVERETO_MAX_USERS": "50"}}))
                .answer(json!({"valid": true})),
        ],
        Operation::EditPlan => vec![
            example("changed", "Another limit", 204)
                .with("id", "basic")
                .body(json!({"limits": {"CHEVERETO_MAX_USERS": "3"}})),
        ],
        Operation::DeletePlan => vec![example("deleted", "A plan", 204).with("id", "basic")],
        Operation::ListKeys => vec![
            example("all", "All keys", 200).answer(json!([
                {"id": 1, "name": "billing", "scopes": ["*"], "bound": false, "created_at": MADE, "expires_at": null, "last_used_at": "2026-11-02 08:00:00"},
                key(),
            ])),
        ],
        Operation::CreateKey => vec![
            example("created", "A key that may only read tenants", 201)
                .body(json!({"name": "reports", "scopes": ["tenants:read"]}))
                .answer(new_key()),
        ],
        Operation::GetKey => vec![example("key", "A key", 200).with("id", 2).answer(key())],
        Operation::EditKey => vec![
            example("changed", "Another name", 204)
                .with("id", 2)
                .body(json!({"name": "reports"})),
        ],
        Operation::DeleteKey => vec![example("deleted", "A key", 204).with("id", 2)],
        Operation::RotateKey => vec![
            example("rotated", "The old secret stays valid for an hour", 200)
                .with("id", 2)
                .body(json!({"overlap_seconds": 3600}))
                .answer(new_key()),
        ],
        // `describe/cells.rs` has those of cells, and a test names an operation without any.
        _ => Vec::new(),
    }
}

fn key() -> Value {
    json!({"id": 2, "name": "reports", "scopes": ["tenants:read"], "bound": false, "created_at": MADE, "expires_at": null, "last_used_at": null})
}

fn new_key() -> Value {
    let mut key = key();
    key["api_key"] =
        "chv_2_d4NdVzJv2r0mYb7LcN4uXkT3vWq9ZxR0mYb7LcN4uXkT3vWq9ZxR0mYb7LcN4uXk".into();
    key
}

/// The examples of the legacy dialect. An operation that it does not have has none.
fn legacy(operation: Operation) -> Vec<Example> {
    match operation {
        Operation::CreateTenant => vec![
            example("created", "A tenant without a plan", 201)
                .body(json!({"tenant_id": "older", "hostname": "older.example.com", "is_enabled": 1}))
                .answer(legacy_tenant()),
        ],
        Operation::GetTenant => vec![
            example("tenant", "A tenant", 200).with("id", "older").answer(legacy_tenant()),
        ],
        Operation::EditTenant => vec![
            example("changed", "A tenant is disabled", 204)
                .with("id", "older")
                .body(json!({"is_enabled": 0})),
        ],
        Operation::DeleteTenant => vec![example("deleted", "A tenant", 204).with("id", "older")],
        Operation::ListPlans => vec![example("all", "All plans", 200).answer(json!([legacy_plan()]))],
        Operation::CreatePlan => vec![
            example("created", "A plan with limits", 201)
                .body(json!({"plan_id": "classic", "name": "Classic", "limits": {"CHEVERETO_MAX_USERS": "2"}}))
                .answer(legacy_plan()),
        ],
        Operation::GetPlan => vec![
            example("plan", "A plan", 200).with("id", "classic").answer(legacy_plan()),
        ],
        Operation::EditPlan => vec![
            example("changed", "Another name", 204)
                .with("id", "classic")
                .body(json!({"name": "Classic (old)"})),
        ],
        Operation::DeletePlan => vec![example("deleted", "A plan", 204).with("id", "classic")],
        _ => Vec::new(),
    }
}
