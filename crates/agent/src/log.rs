//! The log: one line of JSON for each event, on standard error. A line never holds a secret.

use std::io::Write as _;

use serde_json::{Map, Value};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

/// Writes an event with further members. A journal adds the time.
pub(crate) fn write(level: Level, event: &str, members: Value) {
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut line = Map::new();
    line.insert("level".into(), level.into());
    line.insert("event".into(), event.into());
    if let Value::Object(members) = members {
        line.extend(members);
    }
    // In one piece, since a journal and other threads see every write by itself.
    let line = format!("{}\n", Value::Object(line));
    // Nothing can be done about a log that cannot be written.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

pub(crate) fn info(event: &str, members: Value) {
    write(Level::Info, event, members);
}

pub(crate) fn warn(event: &str, members: Value) {
    write(Level::Warn, event, members);
}

pub(crate) fn error(event: &str, members: Value) {
    write(Level::Error, event, members);
}
