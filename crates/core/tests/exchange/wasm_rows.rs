//! The rows that the tests as WebAssembly (`tests/wasm.rs`) give to the core. They have no SQLite, so the real one writes the rows here.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value as Json, json};
use tenants_core::sql::Value;

use crate::ask::{Ask, get, install, new_tenant, patch};
use crate::host::{Host, WaitsForBatch as _};

/// One counter is an integer that a JavaScript number does not hold exactly: 2^53 + 1.
const STATS: &str = r#"{"tags":0,"files":0,"pages":0,"users":0,"admins":0,"albums":0,"managers":0,"storages":0,"cron_time":0,"categories":0,"file_likes":0,"file_views":9007199254740993,"album_likes":0,"album_views":0,"storage_used":0,"login_providers":0}"#;

/// The rows of the first batch of a request.
fn rows(host: &mut Host, ask: &Ask) -> Json {
    let exchange = host.first(ask);
    let rows = host.run(exchange.batch()).unwrap();
    let value = |value: Value| match value {
        Value::Null => Json::Null,
        Value::Integer(n) => json!(n),
        Value::Text(text) => json!(text),
    };
    let row = |row: Vec<Value>| row.into_iter().map(value).collect::<Json>();
    rows.into_iter()
        .map(|rows| rows.into_iter().map(row).collect::<Json>())
        .collect()
}

#[test]
fn the_rows_of_the_tests_as_webassembly_are_those_of_the_database() {
    let mut host = Host::new();
    let mut made = Map::new();
    made.insert("create".into(), rows(&mut host, &new_tenant("Abc")));
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    host.sql(
        "UPDATE tenants SET stats = ?1 WHERE id = 'a'",
        &[Value::Text(STATS.into())],
    );
    made.insert("read".into(), rows(&mut host, &get("/tenants/a")));
    let reset = r#"{"username": "admin", "password": "a password of the test"}"#;
    let reset = patch("/tenants/a/user-password-reset", reset);
    made.insert("reset".into(), rows(&mut host, &reset));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wasm_rows.json");
    let text = format!("{:#}\n", Json::Object(made));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let pinned = fs::read_to_string(&path).unwrap();
    assert_eq!(
        pinned, text,
        "if the change is intended, run again with UPDATE=1"
    );
}
