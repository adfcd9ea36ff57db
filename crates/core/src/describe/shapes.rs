//! The bodies of responses as JSON Schemas.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::headers::reference;
use crate::store::counters::COUNTERS;
use crate::value::hold::HoldKind;
use crate::value::hostname_kind::HostnameKind;
use crate::wire::dialect::Dialect;
use crate::wire::filter::Member;
use crate::wire::problem::Code;

/// The schema of the response to a trial.
pub(super) const VALID: &str = "Valid";

/// The text of a page, the only body that is no JSON.
pub(super) const PAGE: &str = "Page";

/// An object that has all of these members. The service may add others later.
pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members: BTreeMap<&str, Value> = members.into_iter().collect();
    let required: Vec<&str> = members.keys().copied().collect();
    json!({"type": "object", "required": required, "properties": members})
}

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn text_or_null() -> Value {
    json!({"type": ["string", "null"]})
}

pub(super) fn time() -> Value {
    reference("schemas", "Time")
}

pub(super) fn time_or_null() -> Value {
    json!({"anyOf": [time(), {"type": "null"}]})
}

fn texts() -> Value {
    reference("schemas", "Texts")
}

fn texts_or_null() -> Value {
    json!({"anyOf": [texts(), {"type": "null"}]})
}

fn counter() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// A member of a tenant, in the current dialect.
fn member(member: Member) -> Value {
    match member {
        Member::Id => reference("schemas", "TenantId"),
        Member::Hostname => text(),
        Member::IsEnabled => json!({"type": "boolean"}),
        Member::CreatedAt | Member::UpdatedAt => time(),
        Member::PlanId | Member::ExternalId | Member::CellId => text_or_null(),
        Member::Site => reference("schemas", "SiteState"),
        Member::Served => {
            json!({"type": "boolean", "description": "Whether the tenant is enabled and has no hold."})
        }
        Member::Holds => reference("schemas", "Holds"),
        Member::SuspendAt | Member::DeleteAt => time_or_null(),
        Member::DeletionProtection => {
            json!({"type": "boolean", "description": "Whether nothing deletes the tenant."})
        }
        Member::Labels | Member::Limits | Member::Env => texts(),
        Member::Stats => reference("schemas", "Stats"),
        Member::LastJobAt => time_or_null(),
    }
}

fn tenant(dialect: Dialect) -> BTreeMap<&'static str, Value> {
    let mut members: BTreeMap<_, _> = Member::ALL
        .into_iter()
        .map(|m| (m.name(), member(m)))
        .collect();
    if dialect == Dialect::Legacy {
        let id = members.remove("id");
        members.extend(id.map(|id| ("tenant_id", id)));
        members.insert("is_enabled", json!({"enum": [1, 0]}));
        for current in [
            "external_id",
            "labels",
            "cell_id",
            "site",
            "served",
            "holds",
            "suspend_at",
            "delete_at",
            "deletion_protection",
        ] {
            members.remove(current);
        }
    }
    members
}

fn plan(dialect: Dialect) -> Vec<(&'static str, Value)> {
    let mut members = Vec::from([
        ("limits", texts_or_null()),
        ("env", texts_or_null()),
        ("created_at", time()),
        ("updated_at", time()),
    ]);
    let id = reference("schemas", "PlanId");
    match dialect {
        Dialect::Current => {
            members.extend([
                ("id", id),
                ("external_id", text_or_null()),
                ("labels", texts()),
            ]);
        }
        Dialect::Legacy => {
            members.extend([
                ("plan_id", id),
                ("name", text()),
                ("description", text_or_null()),
            ]);
        }
    }
    members
}

fn key() -> [(&'static str, Value); 7] {
    [
        ("id", json!({"type": "integer"})),
        ("name", text_or_null()),
        ("scopes", scopes()),
        ("bound", bound()),
        ("created_at", time()),
        ("expires_at", time_or_null()),
        ("last_used_at", time_or_null()),
    ]
}

pub(super) fn scopes() -> Value {
    json!({"type": "array", "minItems": 1, "items": {"type": "string"}})
}

fn bound() -> Value {
    json!({"type": "boolean", "description": "Whether the key signs whole requests (`MessageSignature`)."})
}

pub(super) fn list(of: &str) -> Value {
    json!({"type": "array", "items": reference("schemas", of)})
}

/// Every schema of a response, by name. A legacy response with its own members has the name of the current one after `Legacy`.
pub(super) fn all() -> BTreeMap<String, Value> {
    let words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    let meanings: Vec<String> = Code::ALL
        .iter()
        .map(|code| alloc::format!("- `{}` ({}): {}", code.word(), code.status(), code.when()))
        .collect();
    let mut some_of_tenant = object(tenant(Dialect::Current));
    some_of_tenant["required"] = json!([]);
    some_of_tenant["description"] = "Without `fields`, it has all members.".into();
    some_of_tenant["properties"]["deleted_at"] = time();
    let mut new_tenant = object(tenant(Dialect::Current));
    new_tenant["properties"]["site"] = json!({
        "type": "object", "required": ["state", "job_id"],
        "properties": {
            "state": {"enum": ["none", "installed"]}, "job_id": text_or_null(),
            "adopted": {"const": true, "description": "If the tenant took over the tables of a deleted one."}
        }
    });
    let mut new_key = object(key().into_iter().chain([(
        "api_key",
        json!({"type": "string", "description": "The key itself. No other response shows it."}),
    )]));
    new_key["properties"]["signing_secret"] = json!({
        "type": "string", "pattern": "^[0-9a-f]{64}$",
        "description": "Of a bound key: the secret that it signs with. No other response shows it."
    });
    let mut problem = object([
        ("type", json!({"const": "about:blank"})),
        ("title", text()),
        ("status", json!({"type": "integer"})),
        (
            "detail",
            json!({"type": "string", "description": "The expected and the found, in words."}),
        ),
        (
            "code",
            json!({"enum": words, "description": meanings.join("\n")}),
        ),
        (
            "request_id",
            json!({"type": "string", "description": "The log has the cause under it."}),
        ),
    ]);
    problem["description"] = "A problem (RFC 9457).".into();
    problem["properties"]["scope"] = json!({
        "type": "array", "minItems": 1, "items": {"type": "string"},
        "description": "With `insufficient_scope`: the scopes that the key lacks."
    });
    let mut field_error = object([
        (
            "pointer",
            json!({"type": "string", "description": "The field: a JSON pointer (RFC 6901)."}),
        ),
        ("detail", text()),
    ]);
    field_error["properties"]["holder"] = json!({
        "type": "string",
        "description": "The id of the resource that has the value. (Not in the legacy dialect.)"
    });
    problem["properties"]["errors"] = json!({
        "type": "array",
        "items": {"anyOf": [
            field_error,
            object([("parameter", json!({"type": "string", "description": "The parameter of the query."})), ("detail", text())])
        ]},
        "description": "Every field or parameter that is wrong or taken; empty if none is. (The legacy dialect leaves an empty list out.)"
    });
    let named = [
        (
            "Time",
            json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$", "description": "`YYYY-MM-DD HH:MM:SS`, in UTC."}),
        ),
        (
            "Texts",
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
        ),
        (
            "Stats",
            object(COUNTERS.iter().map(|(name, _)| (*name, counter()))),
        ),
        ("Health", object([("version", text()), ("schema", text())])),
        (PAGE, text()),
        (VALID, {
            let mut valid = object([("valid", json!({"const": true}))]);
            valid["additionalProperties"] = false.into();
            valid
        }),
        (
            "Description",
            json!({"type": "object", "required": ["openapi"], "properties": {"openapi": {"const": "3.1.1"}}, "additionalProperties": true}),
        ),
        (
            "KeyCheck",
            object([
                ("valid", json!({"const": true})),
                (
                    "key",
                    object([
                        ("id", json!({"type": "integer"})),
                        ("name", text_or_null()),
                        ("created_at", time()),
                        ("expires_at", time_or_null()),
                        ("scopes", scopes()),
                        ("bound", bound()),
                    ]),
                ),
            ]),
        ),
        ("ApiKey", object(key())),
        ("ApiKeyList", list("ApiKey")),
        ("NewApiKey", new_key),
        (
            "TraefikConfig",
            object([(
                "http",
                object([
                    ("routers", json!({"type": "object"})),
                    ("services", json!({"type": "object"})),
                    ("middlewares", json!({"type": "object"})),
                ]),
            )]),
        ),
        ("Holds", {
            let hold = object([
                ("reason", text()),
                ("message", text_or_null()),
                ("until", time_or_null()),
            ]);
            json!({
                "type": "object", "propertyNames": {"enum": HoldKind::ALL.map(HoldKind::as_str)}, "additionalProperties": hold,
                "description": "Why the site is off, by kind; empty if the tenant has no hold."
            })
        }),
        (
            "TenantHostname",
            object([
                ("hostname", text()),
                (
                    "kind",
                    json!({"enum": HostnameKind::ALL.map(HostnameKind::as_str)}),
                ),
                ("created_at", time()),
                ("updated_at", time()),
                (
                    "claimed_until",
                    json!({"anyOf": [time(), {"type": "null"}], "description": "When the claim ends unless the owner is shown; `null` if the tenant has the hostname."}),
                ),
                (
                    "proof",
                    json!({"anyOf": [object([("name", text()), ("type", json!({"const": "TXT"})), ("value", text())]), {"type": "null"}], "description": "The record that shows the owner; `null` if none was asked for."}),
                ),
                (
                    "proof_missing_since",
                    json!({"anyOf": [time(), {"type": "null"}], "description": "Since when the record of a hostname that the tenant has is not found."}),
                ),
            ]),
        ),
        ("HostnameList", list("TenantHostname")),
        (
            "Erased",
            object([
                ("erased", json!({"const": true})),
                ("not_reached", json!({"type": "array", "items": text()})),
            ]),
        ),
        ("Tenant", object(tenant(Dialect::Current))),
        ("NewTenant", new_tenant),
        ("ListedTenant", some_of_tenant),
        ("TenantList", list("ListedTenant")),
        ("LegacyTenant", object(tenant(Dialect::Legacy))),
        (
            "Settings",
            json!({
                "type": "object",
                "additionalProperties": object([
                    ("value", json!({"type": ["string", "null"], "description": "`null` if it is enforced and the key lacks the scope `*`."})),
                    ("source", json!({"enum": ["enforced", "tenant_env", "plan_env", "tenant_limits", "plan_limits"]})),
                ])
            }),
        ),
        (
            "Installed",
            object([
                ("id", reference("schemas", "TenantId")),
                ("username", text()),
                ("email", text()),
            ]),
        ),
        (
            "PasswordReset",
            object([("username", text()), ("password", text())]),
        ),
        ("Plan", object(plan(Dialect::Current))),
        ("PlanList", list("Plan")),
        ("LegacyPlan", object(plan(Dialect::Legacy))),
        ("LegacyPlanList", list("LegacyPlan")),
        ("LegacyNewTenant", reference("schemas", "LegacyTenant")),
        ("Problem", problem),
    ];
    named
        .into_iter()
        .map(|(name, shape)| (name.into(), shape))
        .collect()
}
