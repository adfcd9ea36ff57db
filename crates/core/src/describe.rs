//! Makes `docs/openapi.json`, the description that `wire/openapi.rs` serves (contract §14), and holds the file equal to it.
//!
//! Nothing here is part of a host: only this module's tests use it. The routes come from the table in `wire/route.rs`. The fields and
//! parameters are those that the operations read when a request comes: a probe sends one to each route and notes them. The problems are
//! those of `wire/problem.rs`. A route, a rule, a parameter or a problem without a description does not compile; a route without an example
//! fails a test with its name. Whether responses are as described is up to the end-to-end tests, which check every one.
//!
//! `UPDATE=1 cargo test -p tenants-core --lib describe` writes the file anew.

mod audit;
mod cells;
mod document;
mod events;
mod examples;
mod headers;
mod operations;
mod probe;
mod rules;
mod sessions;
mod shapes;
mod webhooks;

use alloc::format;
use alloc::string::{String, ToString as _};

use serde_json::Value;

use crate::wire::openapi::DOCUMENT;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn the_committed_description_is_that_of_the_code() {
    let made = document::make();
    let text = written(&made) + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &text).unwrap();
        return;
    }
    let committed: Value = serde_json::from_str(DOCUMENT).unwrap();
    if let Some(place) = difference(&committed, &made, "") {
        panic!("docs/openapi.json differs at {place}: {UPDATE}");
    }
    assert!(text == DOCUMENT, "docs/openapi.json differs: {UPDATE}");
}

const UPDATE: &str =
    "run `UPDATE=1 cargo test -p tenants-core --lib describe`, and read what changed";

/// The first place where two values differ, as a JSON pointer.
fn difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys()
                .chain(b.keys())
                .find_map(|name| match (a.get(name), b.get(name)) {
                    (Some(one), Some(other)) => difference(one, other, &format!("{at}/{name}")),
                    _ => Some(format!("{at}/{name}")),
                })
        }
        _ => (one != other).then(|| at.into()),
    }
}

/// Writes a value so that a change shows in few lines: each value that fits into one line has one. Every host has this text in it, so there are no
/// spaces to indent it.
fn written(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

fn write(value: &Value, depth: usize, out: &mut String) {
    const WIDTH: usize = 240;
    let line = value.to_string();
    let (open, close, items) = match value {
        Value::Object(members) if line.len() > WIDTH || depth < 3 => {
            let named = |(name, value)| (Some(name), value);
            ('{', '}', members.iter().map(named).collect())
        }
        Value::Array(values) if line.len() > WIDTH => {
            let items: alloc::vec::Vec<_> = values.iter().map(|value| (None, value)).collect();
            ('[', ']', items)
        }
        _ => return out.push_str(&line),
    };
    out.push(open);
    for (i, (name, value)) in items.into_iter().enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "\n" });
        if let Some(name) = name {
            out.push_str(&format!("{}:", Value::from(name.as_str())));
        }
        write(value, depth + 1, out);
    }
    out.push('\n');
    out.push(close);
}
