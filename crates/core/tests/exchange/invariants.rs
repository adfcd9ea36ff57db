//! Facts that hold for every statement, every response and every change of the database.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::Value as Json;
use tenants_core::sql::{MAX_BOUND_VALUES, Statement, Value};
use tenants_core::value::clock::Timestamp;

use crate::ask::Ask;
use crate::host::{Foreseen, Got, HIDDEN, Host};

/// Checks that a statement's text holds no value and has a placeholder for each, that D1's limits hold, and that its columns have
/// different names, which the Worker's adapter of D1 relies on.
pub(crate) fn of_statement(db: &Connection, statement: &Statement) {
    let text = statement.text();
    // Only the names of tenants' tables are quoted: prefix, id in lower case, part.
    for (i, piece) in text.split('"').enumerate() {
        let ok = if i % 2 == 0 {
            !piece.contains([';', '\'', '\0', '\n'])
        } else {
            piece.starts_with("chv_")
                && piece
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        };
        assert!(ok, "not one statement without literals: {text}");
    }
    assert_eq!(text.matches('"').count() % 2, 0, "{text}");
    let used: BTreeSet<usize> = text
        .split('?')
        .skip(1)
        .map(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest[..digits].parse().expect("a numbered placeholder")
        })
        .collect();
    let bound = statement.values().len();
    assert_eq!(used, (1..=bound).collect(), "{text}");
    assert!(bound <= MAX_BOUND_VALUES, "{text}");
    for value in statement.values() {
        if let Value::Integer(n) = value {
            assert!(n.unsigned_abs() <= 1 << 53, "a JavaScript number: {n}");
        }
    }

    // A statement that cannot be prepared fails when it runs, and the test sees that.
    // The cache keeps it for the run, which would compile it and all its triggers once more.
    let Ok(prepared) = db.prepare_cached(text) else {
        return;
    };
    assert_eq!(prepared.parameter_count(), bound, "{text}");
    let columns: BTreeSet<&str> = prepared.column_names().collect();
    assert_eq!(columns.len(), prepared.column_count(), "{text}");
    for column in columns {
        assert!(column.parse::<f64>().is_err(), "{column} in {text}");
    }
}

/// The log's cause for a new tenant that got the tables of a deleted one.
pub(crate) const ADOPTED: &str =
    "the tenant took over the tables of a deleted tenant with the same id";

/// The start of the log's cause for a PATCH whose response should have been the resource.
pub(crate) const UNSHOWN: &str = "the changed resource cannot be shown: ";

/// Checks a response against contract §3, and that it contains nothing secret. `failed` says whether a batch failed, in which case the
/// log has the reason for every status.
pub(crate) fn of_answer(ask: &Ask, got: &Got, secrets: &[String], failed: bool) {
    let (status, body) = (got.status, &got.body);
    let request_id = got.header("x-request-id").expect("a request id");
    assert!((1..=64).contains(&request_id.len()), "{request_id}");
    assert!(
        request_id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
        "{request_id}"
    );
    assert_eq!(got.header("cache-control"), Some("no-store"));
    assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    let names: BTreeSet<_> = got.response.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), got.response.headers.len(), "each once");
    for (name, value) in &got.response.headers {
        assert_eq!(**name, name.to_ascii_lowercase());
        assert!(!value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
    }
    let is_page = got.log.route == Some("/_/held/{id}");
    let content_type = match status {
        _ if is_page => Some("text/html; charset=utf-8"),
        204 | 304 => None,
        200..=299 => Some("application/json"),
        _ => Some("application/problem+json"),
    };
    assert_eq!(got.header("content-type"), content_type);
    assert_eq!(got.header("www-authenticate").is_some(), status == 401);
    assert_eq!(got.header("allow").is_some(), status == 405);
    assert_eq!(
        got.header("location").is_some(),
        matches!(status, 201 | 202)
    );

    if matches!(status, 204 | 304) || ask.method == "HEAD" {
        assert_eq!(body, "");
    } else if !is_page {
        let json: Json = serde_json::from_str(body).expect(body);
        if status >= 400 {
            let installed = status == 409 && got.log.route == Some("/tenants/{id}/install");
            of_problem(&json, status, request_id, installed, got.log.legacy);
        }
    }

    let line = got.log.line(0);
    assert!(!line.contains('\n'), "{line}");
    let line_json: Json = serde_json::from_str(&line).expect(&line);
    assert_eq!(line_json["status"], status);
    assert_eq!(line_json["request_id"], request_id);
    let adopted = status == 201 && got.log.cause.as_deref() == Some(ADOPTED);
    assert_eq!(
        body.contains(r#","job_id":null,"adopted":true},"served":"#),
        adopted && !got.log.legacy,
        "the log and the response both tell of an adopted site: {line}"
    );
    let unshown = status == 204
        && got
            .log
            .cause
            .as_deref()
            .is_some_and(|c| c.starts_with(UNSHOWN));
    // The log may name rows that were left out.
    let names_rows = [
        "/config/traefik",
        "/cells/{id}/tenants",
        "/cells/{id}/jobs/lease",
    ]
    .map(Some);
    if is_page {
        // A page's status is that of the tenant's hold.
        assert!(got.log.cause.is_none() || status == 503, "{line}");
    } else if !names_rows.contains(&got.log.route) || status != 200 {
        assert_eq!(
            got.log.cause.is_some(),
            failed || adopted || unshown || matches!(status, 401 | 500 | 502 | 503),
            "{line}"
        );
    }
    if let Some(cause) = &got.log.cause {
        assert!(!body.contains(cause.as_str()), "{body}");
    }
    let everything = format!("{body}\n{:?}\n{line}", got.response.headers);
    for secret in secrets {
        assert!(!everything.contains(secret.as_str()), "{everything}");
    }
    assert!(!line.contains(HIDDEN), "{line}");
    assert!(status < 400 || !body.contains(HIDDEN), "{body}");
}

/// Checks that every response of a legacy route, and no other, carries the deprecation headers (contract §1).
pub(crate) fn of_dialect(got: &Got, legacy: bool) {
    let deprecation = got.header("deprecation");
    let link = got.header("link").unwrap_or_default();
    if legacy {
        assert_eq!(deprecation, Some("@1765238400"), "{got:?}");
        assert!(
            link.ends_with(r#">; rel="successor-version""#) && link.contains("</_/api/4/tenants"),
            "{got:?}"
        );
    } else {
        assert_eq!(deprecation, None, "{got:?}");
        assert!(!link.contains("successor"), "{got:?}");
    }
}

/// Checks a problem (RFC 9457) for the members of contract §3. The 409 of a tenant that is `installed` already has no `errors`.
fn of_problem(json: &Json, status: u16, request_id: &str, installed: bool, legacy: bool) {
    let members: Vec<&String> = json.as_object().expect("an object").keys().collect();
    // These are about a cell or a job, or about a header, and not about a field.
    let of_cell = [
        "agent_conflict",
        "cell_conflict",
        "cell_in_use",
        "deletion_protected",
        "job_not_waiting",
        "job_under_way",
        "lease_lost",
        "proof_missing",
        // An `Idempotency-Key` is no field of the body, and no parameter.
        "idempotency_key_reused",
    ];
    let of_cell = of_cell.map(Json::from).contains(&json["code"]);
    let errors = matches!(status, 409 | 422) && !installed && !of_cell;
    let mut expected = vec!["code", "detail", "request_id", "status", "title", "type"];
    // The current dialect always has the list.
    if errors || !legacy {
        expected.insert(2, "errors");
    }
    if json["code"] == "insufficient_scope" {
        let scope = expected.iter().position(|name| *name == "status").unwrap();
        expected.insert(scope, "scope");
    }
    assert_eq!(members, expected, "{json}");
    assert_eq!(json["status"], status);
    assert_eq!(json["request_id"], request_id);
    for member in ["type", "title", "detail", "code"] {
        assert!(
            json[member].as_str().is_some_and(|text| !text.is_empty()),
            "{json}"
        );
    }
    if let Some(list) = json.get("errors") {
        let list = list.as_array().expect("a list");
        assert_eq!(list.is_empty(), !errors, "{json}");
        for error in list {
            assert!(error["pointer"].is_string() != error["parameter"].is_string());
            assert!(error["detail"].as_str().is_some_and(|d| !d.is_empty()));
            // Only the current dialect says who has a taken value. A conflict of no value is one without.
            let has_holder = !legacy && json["code"] == "conflict" && error["pointer"] != "";
            assert_eq!(error["holder"].is_string(), has_holder, "{json}");
            let members = error.as_object().expect("an object").len();
            assert_eq!(members, 2 + usize::from(has_holder), "{json}");
        }
    }
}

/// The rows of all tables but that of remembered responses.
fn unremembered(dump: &str) -> Vec<&str> {
    let lines = dump
        .lines()
        .filter(|line| !line.starts_with("idempotency "));
    lines.collect()
}

/// Whether a host sends the event of a request right after its answer, if there are webhooks.
pub(crate) fn is_followed_by_a_delivery(host: &Host, got: &Got) -> bool {
    let delivery = (host.api).delivery_after(&got.log, host.now, &mut Foreseen(1));
    delivery.is_some()
}

/// Checks that a successful write has left one audit entry with the key, the time and the request id, and that every other request
/// has changed nothing. No table may contain a secret, a key or an `env` in clear.
pub(crate) fn of_change(host: &Host, ask: &Ask, got: &Got, before: &str) {
    let after = host.dump();
    let is_replay = got.header("idempotency-replayed").is_some();
    assert_eq!(got.header("idempotency-expires").is_some(), is_replay);
    let silent = [
        "/auth/verify",
        "/webhooks/{id}/test",
        "/cells/{id}/stats",
        "/cells/{id}/jobs/lease",
        "/jobs/{id}/renew",
        "/tenants/{id}/hostnames/{hostname}/verify",
    ];
    let is_silent = got.log.route.is_some_and(|route| silent.contains(&route));
    let writes = matches!(ask.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE");
    // The end of a job that is past its time is found by whoever comes by, and is nobody's own.
    let is_own = |line: &&str| line.starts_with("audit_log ") && !line.contains("cron-");
    let count = |dump: &str| dump.lines().filter(is_own).count();
    if (is_silent && !matches!(got.log.route, Some("/auth/verify" | "/webhooks/{id}/test")))
        || ask.target.contains("agent=")
    {
        // What agents ask and report changes rows, and is no history of the registry.
        assert_eq!(count(&after), count(before), "{ask:?}");
    } else if writes
        && !is_silent
        && got.status < 300
        && !is_replay
        && !ask.target.ends_with("?validate_only=true")
    {
        let entries = count(&after) - count(before);
        let may_stay = match ask.method.as_str() {
            "PUT" => got.status == 200 || got.log.route == Some("/tenants/{id}/holds/{kind}"),
            "PATCH" => matches!(got.log.route, Some("/keys/{id}" | "/webhooks/{id}")),
            "POST" => got.log.route == Some("/tenants/{id}/move"),
            _ => false,
        };
        if entries == 0 && may_stay {
            // It has changed nothing. Its Idempotency-Key is remembered all the same.
            assert_eq!(unremembered(&after), unremembered(before), "{ask:?}");
            return;
        }
        if got.log.route == Some("/jobs/{id}/finish") {
            // The end of a job is an entry, and so is the work, if it is done. The same report again is none.
            assert!(entries <= 2, "{ask:?}");
            if entries == 0 {
                return;
            }
        } else if got.log.route == Some("/tenants/{id}") && ask.method == "DELETE" {
            // Jobs that wait are cancelled with their tenant.
            assert!((1..=3).contains(&entries), "{ask:?}");
        } else {
            assert_eq!(entries, 1, "{ask:?}");
        }
        assert!(is_followed_by_a_delivery(host, got), "{ask:?}");
        let last = host.sql(
            "SELECT key_id, request_id, created_at, operator FROM audit_log ORDER BY id DESC LIMIT 1",
            &[],
        );
        let now = Timestamp::from_unix(host.now).expect("a time");
        let key_id = got.log.key_id.expect("a key");
        let expected: [Value; 4] = [
            key_id.into(),
            got.log.request_id.as_str().into(),
            now.as_str().into(),
            Value::Null,
        ];
        assert_eq!(last, [expected], "{ask:?}");
    } else {
        assert_eq!(before, after, "{ask:?} is {} and wrote", got.status);
    }
    assert!(!after.contains(HIDDEN), "{after}");
    for secret in &host.secrets {
        // The digests of keys are the only ones that are stored.
        let stored = secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(stored || !after.contains(secret.as_str()), "{after}");
    }
}
