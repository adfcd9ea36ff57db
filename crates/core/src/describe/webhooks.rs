//! The description of the webhooks' routes (contract §17): words, examples, rules, parameters and shapes.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::examples::{Example, example, not_found, problem};
use super::headers::reference;
use super::operations::{Told, empty, success};
use super::shapes::{list, object, text, text_or_null, time, time_or_null};
use crate::operation::webhooks::{MAX_DESCRIPTION, MAX_TYPES};
use crate::store::audit::Action;
use crate::wire::audit::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::wire::parameter::Parameter;
use crate::wire::problem::Code;
use crate::wire::route::Operation;
use crate::wire::rule::Rule;

/// The id of no webhook of the examples.
const NONE: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The words of an operation of webhooks; `None` of any other.
pub(super) fn told(operation: Operation) -> Option<Told> {
    let (name, summary, description, successes, problems): (_, _, _, _, &[Code]) = match operation {
        Operation::ListWebhooks => (
            "listWebhooks",
            "List webhooks",
            "",
            vec![success(200, "WebhookList", &[], "All webhooks.")],
            &[],
        ),
        Operation::CreateWebhook => (
            "createWebhook",
            "Make a webhook",
            "Its receiver gets the events from now on, each as `webhooks` of this description says. Only `https` on public addresses is called.",
            vec![success(
                201,
                "NewWebhook",
                &["Location"],
                "The webhook, with its secret, which is shown this once.",
            )],
            &[Code::Conflict],
        ),
        Operation::GetWebhook => (
            "getWebhook",
            "Read a webhook",
            "",
            vec![success(200, "Webhook", &[], "The webhook.")],
            &[],
        ),
        Operation::EditWebhook => (
            "editWebhook",
            "Change a webhook",
            "Changes the members that the body has. To enable a webhook, `from` must say where it begins.",
            vec![empty(204, &[], "The webhook is changed.")],
            &[],
        ),
        Operation::DeleteWebhook => (
            "deleteWebhook",
            "Delete a webhook",
            "",
            vec![empty(204, &[], "The webhook is deleted.")],
            &[],
        ),
        Operation::RotateWebhook => (
            "rotateWebhook",
            "Give a webhook another secret",
            "Until the end of the overlap, messages have a signature of the secret before, too, but of no earlier one.",
            vec![success(
                200,
                "WebhookSecret",
                &[],
                "The secret, which is shown this once.",
            )],
            &[],
        ),
        Operation::TestWebhook => (
            "testWebhook",
            "Send a test event",
            "Sends an event of the type `webhook.test` at once, also to a webhook that is disabled. It is not among the deliveries.",
            vec![success(
                200,
                "WebhookTest",
                &[],
                "What came of it. The receiver may have refused it.",
            )],
            &[],
        ),
        Operation::ListDeliveries => (
            "listWebhookDeliveries",
            "List the attempts of a webhook, the newest first",
            "Those of the last 30 days.",
            vec![success(
                200,
                "DeliveryList",
                &["Link"],
                "The attempts of the page.",
            )],
            &[],
        ),
        Operation::RetryDelivery => (
            "retryWebhookDelivery",
            "Send an event again",
            "The next run sends the event, tried as often as if it were new, and after it the later ones of its subject, which the receiver knows by their `webhook-id`.",
            vec![empty(204, &[], "It will be sent again.")],
            &[],
        ),
        _ => return None,
    };
    Some(Told {
        name,
        tag: "Webhooks",
        summary,
        description,
        successes,
        problems,
    })
}

fn no_webhook() -> Value {
    not_found("webhook")
}

/// The examples of an operation of webhooks; `None` of any other.
pub(super) fn examples(operation: Operation) -> Option<Vec<Example>> {
    let missing = |status| {
        vec![
            example("no_webhook", "No such webhook", status)
                .with("id", NONE)
                .answer(no_webhook()),
        ]
    };
    Some(match operation {
        Operation::ListWebhooks => vec![example("none", "No webhooks", 200).answer(json!([]))],
        Operation::CreateWebhook => vec![
            example("private", "A private address", 422)
                .body(json!({"url": "https://10.0.0.1/hooks"}))
                .answer(problem(
                    "Unprocessable Content",
                    422,
                    "one field is not as expected",
                    "invalid",
                    json!([{"pointer": "/url", "detail": "expected the URL of a public address; got `https://10.0.0.1/hooks`"}]),
                )),
        ],
        Operation::GetWebhook
        | Operation::DeleteWebhook
        | Operation::RotateWebhook
        | Operation::TestWebhook
        | Operation::ListDeliveries => missing(404),
        Operation::EditWebhook => vec![
            example("no_webhook", "No such webhook", 404)
                .with("id", NONE)
                .body(json!({"is_enabled": true, "from": "now"}))
                .answer(no_webhook()),
        ],
        Operation::RetryDelivery => vec![
            example("no_webhook", "No such webhook", 404)
                .with("id", NONE)
                .with("event", "5f1d2c3b4a596877.2")
                .answer(no_webhook()),
        ],
        _ => return None,
    })
}

/// A rule of webhooks as a schema; `None` of any other.
pub(super) fn schema(rule: Rule) -> Option<Value> {
    Some(match rule {
        Rule::WebhookUrl => json!({
            "type": "string", "maxLength": 2048, "pattern": "^https?://[^@#\\\\\\u0000-\\u0020]+$",
            "description": "The address of the receiver: `https` on a public name or address. In local development also loopback, by `http`."
        }),
        Rule::EventTypes => json!({
            "type": ["array", "null"], "maxItems": MAX_TYPES, "items": {"enum": wanted()},
            "description": "The types of events that the receiver gets, and families of them. An empty list, or `null`, is all."
        }),
        Rule::WebhookDescription => json!({
            "type": ["string", "null"], "minLength": 1, "maxLength": MAX_DESCRIPTION, "pattern": "^[^\\u0000]*$",
            "description": "What the webhook is for."
        }),
        Rule::BacklogOrNow => json!({
            "enum": ["now", "backlog"],
            "description": "Where a webhook begins that is enabled again: with what comes from now on, or with what it has not sent. Required with `is_enabled: true`."
        }),
        _ => return None,
    })
}

/// The types and families that a webhook may have.
fn wanted() -> Vec<alloc::string::String> {
    let names: Vec<&str> = Action::ALL.into_iter().filter_map(Action::event).collect();
    let mut families: Vec<_> = names
        .iter()
        .filter_map(|name| Some(format!("{}.*", name.split_once('.')?.0)))
        .collect();
    families.sort_unstable();
    families.dedup();
    names.into_iter().map(Into::into).chain(families).collect()
}

/// A parameter of an operation of webhooks; `None` of any other.
pub(super) fn parameter(parameter: Parameter, operation: Operation) -> Option<Value> {
    if operation != Operation::ListDeliveries {
        return None;
    }
    let (schema, about) = match parameter {
        Parameter::Limit => (
            json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
            format!("The most attempts of the page: {DEFAULT_LIMIT} without it."),
        ),
        Parameter::After => (
            json!({"type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_i64}),
            "The id of the attempt before the page. `Link` has it.".into(),
        ),
        _ => return None,
    };
    Some(json!({"schema": schema, "description": about, "name": parameter.name(), "in": "query"}))
}

fn webhook() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!({"type": "string", "pattern": "^[0-9a-f]{32}$"})),
        ("url", text()),
        (
            "types",
            json!({"type": "array", "items": {"type": "string"}, "description": "Empty: all."}),
        ),
        ("description", text_or_null()),
        (
            "is_enabled",
            json!({"type": "boolean", "description": "A webhook whose receiver accepted nothing for three days is disabled."}),
        ),
        ("failing_since", {
            let mut since = time_or_null();
            since["description"] =
                "The first refusal since the receiver accepted anything; `null` if there is none."
                    .into();
            since
        }),
        (
            "behind",
            json!({"type": "integer", "description": "The number of tenants, plans and other subjects with an event that was refused and is tried again."}),
        ),
        ("created_at", time()),
        ("updated_at", time()),
    ]
}

fn outcome(words: &[&str]) -> Value {
    json!({"enum": words, "description": "A receiver accepts by a status from 200 to 299."})
}

/// What an attempt brought.
fn result() -> [(&'static str, Value); 3] {
    [
        (
            "status",
            json!({"type": ["integer", "null"], "description": "`null` if there was no answer."}),
        ),
        ("milliseconds", json!({"type": "integer"})),
        (
            "answer",
            json!({"type": "string", "description": "The first KiB of the answer, or why there was none."}),
        ),
    ]
}

/// The shapes of the responses.
pub(super) fn shapes() -> Vec<(&'static str, Value)> {
    let secret = || {
        (
            "secret",
            json!({
                "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]+=*$",
                "description": "What signs the messages. No other response shows it."
            }),
        )
    };
    let id = || json!({"type": "string", "pattern": "^[0-9a-f]{32}$"});
    let delivery = [
        ("id", json!({"type": "integer"})),
        (
            "event",
            json!({"type": "string", "description": "The id of the event in GET `/events`."}),
        ),
        ("type", text()),
        ("subject", text()),
        ("at", time()),
        ("outcome", outcome(&["accepted", "refused", "given_up"])),
    ];
    let test = [("outcome", outcome(&["accepted", "refused"]))];
    vec![
        ("Webhook", object(webhook())),
        ("WebhookList", list("Webhook")),
        (
            "NewWebhook",
            object(webhook().into_iter().chain([secret()])),
        ),
        (
            "WebhookSecret",
            object([("id", id()), secret(), ("previous_until", time_or_null())]),
        ),
        ("WebhookTest", object(test.into_iter().chain(result()))),
        ("Delivery", object(delivery.into_iter().chain(result()))),
        ("DeliveryList", list("Delivery")),
        ("WebhookMessage", {
            let mut message = object([
                ("type", text()),
                ("timestamp", text()),
                ("data", json!({"type": "object"})),
            ]);
            message["description"] =
                "An event as GET `/events` has it, without its `id`, which is also `data.revision`.".into();
            message
        }),
    ]
}

/// What receivers get: the member `webhooks` of the document.
pub(super) fn messages() -> Value {
    let header = |name: &str, about: &str| json!({"name": name, "in": "header", "required": true, "description": about, "schema": {"type": "string"}});
    json!({
        "event": {"post": {
            "operationId": "receiveEvent",
            "tags": ["Webhooks"],
            "summary": "An event, as Standard Webhooks has it",
            "description": "Sent at least once. The events of one subject come in their order. One that is refused is tried again for three days, and later ones of its subject wait.",
            "security": [],
            "parameters": [
                header("webhook-id", "The same in every attempt."),
                header("webhook-timestamp", "The time of the attempt, in seconds since 1970."),
                header("webhook-signature", "`v1,` and the HMAC-SHA256 of id, timestamp and body, joined by full stops, in base64; one for each secret, with a space between them.")
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": reference("schemas", "WebhookMessage")}}},
            "responses": {
                "2XX": {"description": "The receiver has the event."},
                "4XX": {"description": "It is sent again later, as after any other answer and none."}
            }
        }}
    })
}
