//! The description of `GET /events` (contract §17): words, examples, parameters and shape.

use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::examples::{Example, cursor_gone, example};
use super::operations::{Told, success};
use super::shapes::{list, object, text};
use crate::store::audit::Action;
use crate::wire::audit::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::wire::parameter::Parameter;
use crate::wire::problem::Code;
use crate::wire::route::Operation;

/// The form of an event's id.
const ID: &str = "^[0-9a-f]{16}\\.[0-9]{1,16}$";

/// The words of the operation; `None` of any other.
pub(super) fn told(operation: Operation) -> Option<Told> {
    (operation == Operation::ListEvents).then(|| Told {
        name: "listEvents",
        tag: "Events",
        summary: "List what happened, the oldest event first",
        description: "One event for each write, without values: read the resource. `Link` always names the page after this one, which is empty as long as nothing happens: poll it.",
        successes: vec![success(
            200,
            "EventList",
            &["Link"],
            "The events of the page.",
        )],
        problems: &[Code::CursorGone],
    })
}

/// The examples of the operation; `None` of any other.
pub(super) fn examples(operation: Operation) -> Option<Vec<Example>> {
    (operation == Operation::ListEvents).then(|| {
        vec![
            example("tenants", "New tenants", 200)
                .with("type", "tenant.created")
                .with("limit", 1)
                .answer(json!([{
                    "id": "5f1d2c3b4a596877.2", "type": "tenant.created", "timestamp": "2026-11-01T09:30:00Z",
                    "data": {"id": "acme", "revision": "5f1d2c3b4a596877.2", "changed": []}
                }])),
            example("gone", "A cursor of another epoch", 410)
                .with("after", "0000000000000000.7")
                .answer(cursor_gone("ask with after=now, read all resources, and go on from the Link")),
        ]
    })
}

/// A parameter of the operation; `None` of any other.
pub(super) fn parameter(parameter: Parameter, operation: Operation) -> Option<Value> {
    if operation != Operation::ListEvents {
        return None;
    }
    let (schema, about) = match parameter {
        Parameter::Limit => (
            json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
            alloc::format!("The most events of the page: {DEFAULT_LIMIT} without it."),
        ),
        Parameter::After => (
            json!({"type": "string", "pattern": "^([0-9a-f]{16}\\.[0-9]{1,15}|now)$"}),
            "The id of the event before the page, or `now` for what comes from now on. `Link` has it.".into(),
        ),
        Parameter::Type => {
            let types: Vec<&str> = Action::ALL.into_iter().filter_map(Action::event).collect();
            (json!({"enum": types}), "Events of this type.".into())
        }
        _ => return None,
    };
    Some(json!({
        "schema": schema, "description": about, "name": parameter.name(), "in": "query"
    }))
}

/// The shapes of the response.
pub(super) fn shapes() -> Vec<(&'static str, Value)> {
    let data = object([
        (
            "id",
            json!({"type": "string", "description": "The id of the subject, in lower case."}),
        ),
        (
            "revision",
            json!({
                "type": "string", "pattern": ID,
                "description": "Grows with each write. The `ETag` of a tenant or a plan begins with it, up to a `-`, while no later write has changed the answer."
            }),
        ),
        (
            "changed",
            json!({
                "type": ["array", "null"], "items": {"type": "string"},
                "description": "The names of the members whose values an edit changed; `null` of an edit that is older than these names."
            }),
        ),
    ]);
    let event = object([
        (
            "id",
            json!({"type": "string", "pattern": ID, "description": "The event's id, which `after` takes."}),
        ),
        ("type", text()),
        (
            "timestamp",
            json!({
                "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
                "description": "The time of the write (RFC 3339), in UTC."
            }),
        ),
        ("data", data),
    ]);
    vec![("Event", event), ("EventList", list("Event"))]
}
