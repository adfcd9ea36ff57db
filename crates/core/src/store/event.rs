//! An entry of the audit log as an event (contract §17).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::store::audit::Action;
use crate::store::history::Entry;
use crate::wire::json::{Object, object};

/// The type of an entry's event. A newer version's action, which this one does not know, is better than an event that is never shown.
pub(crate) fn type_of(action: &str) -> &str {
    let known = Action::ALL.into_iter().find(|a| a.as_str() == action);
    known.and_then(Action::event).unwrap_or(action)
}

/// The time of an event (RFC 3339).
pub(crate) fn time(at: &str) -> String {
    at.replace(' ', "T") + "Z"
}

/// The id of an event.
pub(crate) fn id(epoch: &str, entry: i64) -> String {
    format!("{epoch}.{entry}")
}

/// Adds what `GET /events` and a webhook's payload both have.
pub(crate) fn push_event<'a>(entry: &Entry, epoch: &str, out: Object<'a>) -> Object<'a> {
    out.text("type", type_of(&entry.action))
        .text("timestamp", &time(&entry.created_at))
        .nested("data", |out: &mut String| {
            let data = Object::begin(out)
                .text("id", &entry.subject)
                .text("revision", &id(epoch, entry.id));
            push_changed(entry, data).end();
        })
}

/// The payload of a webhook.
pub(crate) fn payload(entry: &Entry, epoch: &str) -> String {
    object(|out| push_event(entry, epoch, out))
}

/// Adds the names of the members that an edit changed.
pub(crate) fn push_changed<'a>(entry: &Entry, out: Object<'a>) -> Object<'a> {
    match &entry.changed {
        Some(names) => out.nested("changed", |out| {
            out.push('[');
            for (i, name) in names.split_ascii_whitespace().enumerate() {
                // The schema's triggers write the names: letters and `_`.
                let comma = if i > 0 { "," } else { "" };
                for part in [comma, "\"", name, "\""] {
                    out.push_str(part);
                }
            }
            out.push(']');
        }),
        // An edit has the names, unless the entry is older than they are.
        None if entry.action.ends_with(".update") => out.raw("changed", "null"),
        None => out.raw("changed", "[]"),
    }
}

/// The end of a family's name.
pub(crate) const FAMILY: &str = "*";

/// Whether an event of this type is wanted: by its type, or by its family, such as `tenant.*`.
pub(crate) fn is_of(name: &str, wanted: &str) -> bool {
    match wanted.strip_suffix(FAMILY) {
        Some(family) => name.starts_with(family),
        None => name == wanted,
    }
}

/// Writes types, none of which needs escaping, as a list in JSON.
pub(crate) fn types_to_json(types: &[impl AsRef<str>]) -> String {
    let mut out = String::from("[");
    for (i, name) in types.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        for part in [comma, "\"", name.as_ref(), "\""] {
            out.push_str(part);
        }
    }
    out.push(']');
    out
}

/// Writes the type of each action's event as an object in JSON: `null` if it is no event.
pub(crate) fn types_of_actions() -> String {
    object(|out| {
        let all = Action::ALL.into_iter();
        all.fold(out, |out, action| {
            out.optional_text(action.as_str(), action.event())
        })
    })
}

/// The actions whose events a webhook wants.
#[derive(Debug)]
pub(crate) struct Wanted {
    listed: Vec<&'static str>,
    /// Whether those are the wanted ones, or all others are.
    pub(crate) listed_are_wanted: bool,
}

impl Wanted {
    /// Reads a webhook's types, as they are stored. One without types wants all events: those of actions that only a newer version knows, too.
    pub(crate) fn by_types(types: &str) -> Result<Self, String> {
        let types: Vec<String> = serde_json::from_str(types).map_err(|error| format!("{error}"))?;
        let listed_are_wanted = !types.is_empty();
        let is_listed = |action: &Action| match action.event() {
            Some(name) => types.iter().any(|wanted| is_of(name, wanted)),
            None => !listed_are_wanted,
        };
        let listed = Action::ALL.into_iter().filter(is_listed);
        Ok(Self {
            listed: listed.map(Action::as_str).collect(),
            listed_are_wanted,
        })
    }

    /// Whether the event of an action is wanted.
    pub(crate) fn has(&self, action: &str) -> bool {
        self.listed.contains(&action) == self.listed_are_wanted
    }

    /// Writes the listed actions as a list in JSON.
    pub(crate) fn listed_to_json(&self) -> String {
        types_to_json(&self.listed)
    }
}
