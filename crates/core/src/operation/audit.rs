//! `/audit` (contract §13): the entries of the audit log, the oldest first.

use alloc::string::ToString as _;

use crate::operation::call::{Call, Pending};
use crate::store::audit::{Action, subject_type};
use crate::store::event::push_changed;
use crate::store::history::{self, Entry};
use crate::value::fault::ApiError;
use crate::wire::audit::AuditQuery;
use crate::wire::http::Response;
use crate::wire::json::{Object, array};
use crate::wire::page::next_page;

/// The room to reserve for an entry's JSON, in bytes.
const JSON_BYTES: usize = 256;

/// `GET /audit`
pub(crate) fn list(call: &Call<'_>) -> Result<Pending, ApiError> {
    let actions = Action::ALL.map(|action| (action.as_str(), action.subject_type()));
    let query = AuditQuery::read(call.query, &actions)?;
    let path = call.path("/audit");
    Ok(Pending::new(
        history::page(&call.caller, &query),
        move |results| {
            let (entries, more) = Entry::decode_page(results, query.limit)?;
            let body = array(&entries, JSON_BYTES, write_json);
            let response = Response::json(200, body);
            Ok(match entries.last() {
                Some(last) if more => {
                    let next = next_page(&path, query.limit, last.id, &query.kept);
                    response.with("link", next)
                }
                _ => response,
            })
        },
    ))
}

fn write_json(entry: &Entry, out: Object<'_>) {
    let out = out
        .raw("id", &entry.id.to_string())
        .text("created_at", &entry.created_at);
    let out = match entry.key_id {
        Some(id) => out.raw("key_id", &id.to_string()),
        None => out.raw("key_id", "null"),
    };
    let out = out
        .text("action", &entry.action)
        .text("subject_type", subject_type(&entry.action))
        .text("subject", &entry.subject);
    push_changed(entry, out)
        .text("request_id", &entry.request_id)
        .optional_text("session_id", entry.session_id.as_deref())
        .end();
}
