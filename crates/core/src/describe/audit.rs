//! The description of `GET /audit` (contract §13): words, example, parameters and shape.

use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::examples::{Example, MADE, example};
use super::operations::{Told, success};
use super::rules::TIME;
use super::shapes::{list, object, text, time};
use crate::store::audit::Action;
use crate::wire::audit::{DEFAULT_LIMIT, MAX_ID, MAX_LIMIT, MAX_SUBJECT};
use crate::wire::parameter::Parameter;
use crate::wire::route::Operation;

/// The words of the operation; `None` of any other.
pub(super) fn told(operation: Operation) -> Option<Told> {
    (operation == Operation::ListAudit).then(|| Told {
        name: "listAuditEntries",
        tag: "Audit",
        summary: "List what was written, the oldest entry first",
        description: "One entry for each write. All filters must hold. Values are never shown.",
        successes: vec![success(
            200,
            "AuditEntryList",
            &["Link"],
            "The entries of the page.",
        )],
        problems: &[],
    })
}

/// The example of the operation; `None` of any other.
pub(super) fn examples(operation: Operation) -> Option<Vec<Example>> {
    (operation == Operation::ListAudit).then(|| {
        vec![
            example("tenant", "The first entry of a tenant", 200)
                .with("subject_type", "tenant")
                .with("subject", "acme")
                .with("limit", 1)
                .answer(json!([{
                    "id": 2, "created_at": MADE, "key_id": 1, "action": "tenant.create", "subject_type": "tenant", "subject": "acme",
                    "changed": [], "request_id": "8a6f0c2f5f9b4d3e9a1c7b2d4e6f8a90", "session_id": null
                }])),
        ]
    })
}

fn subject_types() -> Vec<&'static str> {
    let mut types: Vec<&str> = Action::ALL.map(Action::subject_type).into();
    types.sort_unstable();
    types.dedup();
    types
}

/// A parameter of the operation; `None` of any other.
pub(super) fn parameter(parameter: Parameter, operation: Operation) -> Option<Value> {
    if operation != Operation::ListAudit {
        return None;
    }
    let (schema, about) = match parameter {
        Parameter::Limit => (
            json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
            alloc::format!("The most entries of the page: {DEFAULT_LIMIT} without it."),
        ),
        Parameter::After => (
            json!({"type": "integer", "minimum": 0, "maximum": MAX_ID}),
            "The id of the entry before the page. `Link` has it.".into(),
        ),
        Parameter::SubjectType => (
            json!({"enum": subject_types()}),
            "Entries of subjects of this type.".into(),
        ),
        Parameter::Subject => (
            json!({"type": "string", "minLength": 1, "maxLength": MAX_SUBJECT, "pattern": "^[^\\u0000]*$"}),
            "Entries of the subject with this id, in any case.".into(),
        ),
        Parameter::Action => (
            json!({"enum": Vec::from(Action::ALL.map(Action::as_str))}),
            "Entries of this action.".into(),
        ),
        Parameter::KeyId => (
            json!({"type": "string", "pattern": "^([1-9][0-9]{0,14})?$"}),
            "Entries of the key with this id; empty for those without a key.".into(),
        ),
        Parameter::Since => (
            json!({"type": "string", "pattern": TIME}),
            "Entries of this time or later (UTC).".into(),
        ),
        _ => return None,
    };
    Some(json!({
        "schema": schema, "description": about, "name": parameter.name(), "in": "query"
    }))
}

/// The shapes of the response.
pub(super) fn shapes() -> Vec<(&'static str, Value)> {
    let entry = object([
        ("id", json!({"type": "integer", "minimum": 1})),
        ("created_at", time()),
        (
            "key_id",
            json!({"type": ["integer", "null"], "description": "`null`: an operator at the command line, or the cron trigger."}),
        ),
        ("action", text()),
        (
            "subject_type",
            json!({"type": "string", "description": "The action up to the full stop."}),
        ),
        (
            "subject",
            json!({"type": "string", "description": "The id of the subject, in lower case."}),
        ),
        (
            "changed",
            json!({
                "type": ["array", "null"], "items": {"type": "string"},
                "description": "The names of the members whose values an edit changed; `null` of an edit that is older than these names."
            }),
        ),
        ("request_id", text()),
        (
            "session_id",
            json!({"type": ["string", "null"], "description": "The session of the console that wrote it; `null` if none did."}),
        ),
    ]);
    vec![
        ("AuditEntry", entry),
        ("AuditEntryList", list("AuditEntry")),
    ]
}
