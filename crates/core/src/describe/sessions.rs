//! The description of the console's sessions (contract §20): words, examples and shapes.

use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::examples::{Example, MADE, example};
use super::operations::{Told, empty, success};
use super::shapes::{list, object, scopes, text_or_null, time};
use crate::wire::problem::Code;
use crate::wire::route::Operation;

/// The form of a session's id.
const ID: &str = "^[0-9a-f]{16}$";

/// The words of an operation; `None` of any that is not of sessions.
pub(super) fn told(operation: Operation) -> Option<Told> {
    let told = |name, summary, description, successes, problems| Told {
        name,
        tag: "Console",
        summary,
        description,
        successes,
        problems,
    };
    Some(match operation {
        Operation::SignIn => told(
            "signIn",
            "Begin a session of the console",
            "A bound key signs this one request, with a `nonce` in `Signature-Input` of 1 to 128 characters that no session of the key began with. The cookie in the response stands for the key for 8 hours, or until nobody uses it for 30 minutes, with the key's scopes or those of the body. The session ends with its key's deletion, expiry and rotation, too. `TENANTS_CONSOLE` switches these routes on: without it they are 404.",
            vec![success(
                201,
                "Session",
                &["Location", "Set-Cookie"],
                "The session. Its token is in the cookie alone.",
            )],
            &[Code::BoundKeyRequired, Code::NotSameOrigin, Code::NotFound],
        ),
        Operation::ShowSession => told(
            "getSession",
            "Read the own session",
            "With its `csrf_token`, so that a page that was loaded again has it again.",
            vec![success(200, "Session", &[], "The session.")],
            &[Code::NotFound],
        ),
        Operation::SignOut => told(
            "signOut",
            "End the own session",
            "",
            vec![empty(
                204,
                &["Set-Cookie"],
                "The session has ended, and the browser forgets its cookie.",
            )],
            &[Code::NotFound, Code::ExceedsOwnKey],
        ),
        Operation::ListSessions => told(
            "listSessions",
            "List the living sessions",
            "Those of all keys, the oldest first.",
            vec![success(200, "ListedSessionList", &[], "The sessions.")],
            &[Code::NotFound],
        ),
        Operation::EndSession => told(
            "endSession",
            "End a session",
            "A caller ends only sessions that may do nothing that it may not do itself.",
            vec![empty(
                204,
                &["Set-Cookie"],
                "The session has ended. If it is the caller's own, the browser forgets its cookie.",
            )],
            &[Code::ExceedsOwnKey],
        ),
        _ => return None,
    })
}

/// The examples of an operation; `None` of any that is not of sessions.
pub(super) fn examples(operation: Operation) -> Option<Vec<Example>> {
    const KEY: i64 = 3;
    let session = json!({
        "csrf_token": "5d1e0c7b9a48362f5d1e0c7b9a48362f5d1e0c7b9a48362f5d1e0c7b9a48362f", "id": "0f1e2d3c4b5a6978",
        "key": {"id": KEY, "name": "console"}, "scopes": ["tenants:read", "keys"], "created_at": MADE,
        "expires_at": "2026-11-01 17:30:00", "idle_until": "2026-11-01 10:00:00"
    });
    Some(match operation {
        Operation::SignIn => vec![
            example("fewer", "A session that may only read tenants, and do all with keys", 201)
                .body(json!({"scopes": ["tenants:read", "keys"]}))
                .answer(session),
        ],
        Operation::ShowSession => vec![example("own", "The own session", 200).answer(session)],
        Operation::ListSessions => vec![example("all", "The living sessions", 200).answer(json!([{
            "id": "0f1e2d3c4b5a6978", "key": {"id": KEY, "name": "console"}, "scopes": ["tenants:read", "keys"], "created_at": MADE,
            "last_used_at": MADE, "expires_at": "2026-11-01 17:30:00", "current": false
        }]))],
        Operation::EndSession => vec![
            example("ended", "A session of another browser", 204).with("id", "0f1e2d3c4b5a6978"),
        ],
        Operation::SignOut => vec![example("signed_out", "The own session", 204)],
        _ => return None,
    })
}

/// The form of `{id}`.
pub(super) fn id() -> Value {
    json!({"type": "string", "pattern": ID})
}

/// The shapes of the responses.
pub(super) fn shapes() -> Vec<(&'static str, Value)> {
    let key = object([("id", json!({"type": "integer"})), ("name", text_or_null())]);
    let session_id = json!({"type": "string", "pattern": ID, "description": "Names the session. It is no secret."});
    let session = object([
        (
            "csrf_token",
            json!({"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "What each write sends as `X-CSRF-Token`."}),
        ),
        ("id", session_id.clone()),
        ("key", key.clone()),
        ("scopes", scopes()),
        ("created_at", time()),
        ("expires_at", time()),
        ("idle_until", time()),
    ]);
    let listed = object([
        ("id", session_id),
        ("key", key),
        ("scopes", scopes()),
        ("created_at", time()),
        ("last_used_at", time()),
        ("expires_at", time()),
        (
            "current",
            json!({"type": "boolean", "description": "Whether the caller has it."}),
        ),
    ]);
    vec![
        ("Session", session),
        ("ListedSession", listed),
        ("ListedSessionList", list("ListedSession")),
    ]
}
