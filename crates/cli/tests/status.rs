//! `status`, against a fake wrangler and, for what only the API tells, a fake server.
#![cfg(unix)]

mod common;

use common::{OK, Project, Run, Server};
use serde_json::{Value as Json, json};
use tenants_core::task::reseal::Table;

/// The output of `wrangler d1 execute --json` for the rows of one statement.
fn rows(rows: &str) -> String {
    format!("[\n  {{\"results\": [{rows}], \"success\": true, \"meta\": {{\"duration\": 0}}}}\n]\n")
}

/// The names of all migrations, as the record has them.
fn record() -> String {
    let names = tenants_core::task::prepare::MIGRATIONS.iter();
    let names: Vec<String> = names
        .map(|migration| format!(r#"{{"name": "{}"}}"#, migration.name))
        .collect();
    rows(&names.join(", "))
}

/// Two results, as wrangler prints them for a remote database of this size.
fn counted(row: &str, keys: &str, bytes: u64) -> String {
    counted_with(row, keys, 0, bytes)
}

/// The same, with so many results without a row after them.
fn counted_with(row: &str, keys: &str, empty: usize, bytes: u64) -> String {
    let result =
        |rows: &str, size| format!(r#"{{"results": [{rows}], "meta": {{"size_after": {size}}}}}"#);
    let mut results = vec![result(row, 1), result(keys, bytes)];
    results.resize(2 + empty, result("", bytes));
    format!("[\n  {}\n]\n", results.join(",\n  "))
}

const HEALTHY: &str = r#"{"tenants": 12, "enabled": 11, "plans": 2, "valid_keys": 3, "late_statistics": 0, "audit_entries": 340, "webhooks": 0, "webhooks_disabled": 0, "events_behind": 0, "events_given_up": 0}"#;

#[test]
fn the_status_shows_what_it_counted_and_exits_with_0_if_nothing_needs_attention() {
    let answers = [
        (0, record()),
        // With the encryption key, the first slice of each table of encrypted values comes in the same call.
        (0, counted_with(HEALTHY, "", Table::ALL.len(), 8_192_000)),
    ];
    let answers: Vec<(u8, &str)> = answers.iter().map(|(c, t)| (*c, t.as_str())).collect();
    let mut project = Project::new().with_wrangler(&answers);
    project.variables.push((
        "CHEVERETO_ENCRYPTION_KEY",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into(),
    ));
    let run = project.run(&["status", "--remote"]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    let newest = tenants_core::task::prepare::MIGRATIONS.last().unwrap().name;
    let version = tenants_core::VERSION;
    assert_eq!(
        run.output.lines().map(str::trim).collect::<Vec<_>>(),
        [
            format!("version      {version}"),
            format!("schema       {newest}, as this version needs it"),
            "tenants      12, 11 enabled".into(),
            "plans        2".into(),
            "API keys     3 valid, none of which expires within 30 days".into(),
            "statistics   no site's are late".into(),
            "env          every row decrypts".into(),
            "audit log    340 entries".into(),
            "database     8.1 MB, 0 % of 10000 MB".into(),
        ]
    );
}

#[test]
fn the_status_names_all_that_needs_attention_and_exits_with_1() {
    let row = HEALTHY.replace(r#""late_statistics": 0"#, r#""late_statistics": 4"#);
    let key = r#"{"id": 7, "name": "ci", "scopes": "*", "is_bound": 0, "created_at": "", "expires_at": "2026-09-01 00:00:00", "last_used_at": null, "deleted_at": null}"#;
    let answers = || {
        [
            (0, rows(r#"{"name": "9999_later.sql"}"#)),
            (0, counted(&row, key, 400_000_000)),
        ]
    };
    let run = |args: &[&str]| {
        let answers = answers();
        let answers: Vec<(u8, &str)> = answers.iter().map(|(c, t)| (*c, t.as_str())).collect();
        Project::new().with_wrangler(&answers).run(args)
    };
    let json = run(&["status", "--remote", "--free-plan", "--format", "json"]);
    assert_eq!(json.code, 1, "{json:?}");
    let version = tenants_core::VERSION;
    assert_eq!(
        json.output,
        format!(
            "{{\"version\":\"{version}\",\"schema\":{{\"state\":\"newer\",\"unknown\":\"9999_later.sql\"}},\
             \"tenants\":12,\"enabled\":11,\"plans\":2,\"keys\":3,\
             \"expiring_keys\":[{{\"id\":7,\"name\":\"ci\",\"expires_at\":\"2026-09-01 00:00:00\"}}],\
             \"late_statistics\":4,\"unreadable\":null,\"audit_entries\":340,\"database_bytes\":400000000,\
             \"database_limit_bytes\":500000000,\"attention\":[\"schema\",\"keys\",\"statistics\",\"size\"]}}\n"
        )
    );
    assert!(json.errors.contains(r#""code":"attention""#), "{json:?}");

    let text = run(&["status", "--remote"]);
    assert_eq!(text.code, 1);
    for part in [
        "not checked: CHEVERETO_ENCRYPTION_KEY is not set",
        "1 of which expire within 30 days:",
        "2026-09-01 00:00:00  7 ci",
        "late for 4 sites",
        "400.0 MB, 4 % of 10000 MB",
    ] {
        assert!(text.output.contains(part), "{part}: {}", text.output);
    }
    assert!(
        text.errors.contains("statistics are late") && !text.errors.contains("nearly full"),
        "{}",
        text.errors
    );
}

#[test]
fn the_status_of_a_schema_that_is_behind_has_no_numbers() {
    let project = Project::new().with_wrangler(&[(0, &rows(r#"{"name": "0001_registry.sql"}"#))]);
    let run = project.run(&["status", "--format", "json"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.output
            .contains(r#""schema":{"state":"behind","lacks":"0002_writes.sql"},"tenants":null"#),
        "{}",
        run.output
    );
    assert!(run.output.contains(r#""database_bytes":null"#));
    assert_eq!(project.wrangler_call(2), None);
}

/// The status of a healthy registry with three webhooks and two cells.
fn asking(args: &[&str], url: Option<String>) -> Run {
    let webhooks = HEALTHY
        .replace(r#""webhooks": 0"#, r#""webhooks": 3"#)
        .replace(r#""webhooks_disabled": 0"#, r#""webhooks_disabled": 2"#);
    let answers = [(0, record()), (0, counted(&webhooks, "", 1))];
    let answers: Vec<(u8, &str)> = answers.iter().map(|(c, t)| (*c, t.as_str())).collect();
    let mut project = Project::new().with_wrangler(&answers);
    project
        .variables
        .extend(url.map(|url| ("TENANTS_URL", url)));
    project.run(args)
}

#[test]
fn the_status_names_what_an_api_with_a_named_address_tells_and_keeps_its_exit_code() {
    let webhook = |id: &str, is_enabled: bool, failing_since: &str| {
        format!(
            r#"{{"id":"{id}","url":"https://{id}.example/","types":[],"description":null,"is_enabled":{is_enabled},"failing_since":{failing_since},"behind":2,"created_at":"x","updated_at":"x"}}"#
        )
    };
    let webhooks = [
        webhook("fails", true, r#""2026-08-18 00:00:00""#),
        webhook("off", false, "null"),
        webhook("failed", false, r#""2026-08-15 00:00:00""#),
    ];
    let webhooks = format!("[{}]", webhooks.join(","));
    // It is 23:16:57.
    let cells = r#"[{"id":"eu","behind":0,"last_seen_at":"2026-08-18 23:14:58","tenants":1},{"id":"us","behind":12,"last_seen_at":"2026-08-18 23:14:57"},{"id":"new","behind":3,"last_seen_at":null}]"#;
    let server = || Server::new(&[(OK, webhooks.as_str()), (OK, cells)]);
    let asked = server();
    let run = asking(&["status"], Some(asked.url.clone()));
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    let lines: Vec<&str> = run.output.lines().map(str::trim).collect();
    for line in [
        "disabled by failures:",
        "failed https://failed.example/, which failed since 2026-08-15 00:00:00",
        "cells        whose agents were not seen for two minutes:",
        "us last at 2026-08-18 23:14:57, 12 changes behind",
        "new never, 3 changes behind",
    ] {
        assert!(lines.contains(&line), "{line}: {}", run.output);
    }
    for not_named in ["fails.example", "off.example", "eu "] {
        assert!(!run.output.contains(not_named), "{}", run.output);
    }
    for path in ["webhooks", "cells"] {
        let request = asked.request();
        assert!(
            request.starts_with(&format!("GET /_/api/4/{path} ")),
            "{request}"
        );
    }
    let run = asking(&["status", "--format=json"], Some(server().url));
    let shown: Json = serde_json::from_str(&run.output).unwrap();
    assert_eq!(
        shown["disabled_webhooks"],
        json!([{"id": "failed", "url": "https://failed.example/", "failing_since": "2026-08-15 00:00:00"}])
    );
    assert_eq!(
        shown["silent_cells"],
        json!([{"id": "us", "last_seen_at": "2026-08-18 23:14:57", "behind": 12}, {"id": "new", "last_seen_at": null, "behind": 3}])
    );
    assert_eq!(shown["attention"], json!([]));
}

#[test]
fn the_status_needs_no_api_and_asks_none_of_another_database() {
    for (args, url) in [
        (&["status", "--format=json"][..], None),
        // The database is the remote one, and this address is of this machine.
        (
            &["status", "--remote", "--format=json"],
            Some("http://127.0.0.1:1".into()),
        ),
    ] {
        let run = asking(args, url);
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
        for member in ["disabled_webhooks", "silent_cells", "not_asked"] {
            assert!(!run.output.contains(member), "{}", run.output);
        }
    }
    let run = asking(&["status"], Some("http://127.0.0.1:1".into()));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.output
            .contains("API          no answer: webhooks: http://127.0.0.1:1 cannot be reached"),
        "{}",
        run.output
    );
    // A key that may read the one list and not the other.
    let forbidden = r#"{"title":"Forbidden","status":403,"detail":"the key lacks a scope","code":"insufficient_scope","request_id":"r-1"}"#;
    let head = "403 Forbidden\ncontent-type: application/problem+json";
    let server = Server::new(&[(head, forbidden), (OK, "[]")]);
    let run = asking(&["status", "--format=json"], Some(server.url.clone()));
    let shown: Json = serde_json::from_str(&run.output).unwrap();
    assert_eq!(
        (run.code, &shown["silent_cells"], &shown["not_asked"]),
        (0, &json!([]), &json!(["webhooks: the key lacks a scope"]))
    );
}
