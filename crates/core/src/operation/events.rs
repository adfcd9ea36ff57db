//! `/events` (contract §17): the audit log's entries as events, the oldest first. There is no second table of them.

use alloc::vec::Vec;

use crate::operation::call::{Call, Pending};
use crate::store::audit::Action;
use crate::store::event::{self, push_event};
use crate::store::history::{self, Entry, Span};
use crate::value::fault::ApiError;
use crate::wire::events::{After, EventQuery};
use crate::wire::http::Response;
use crate::wire::json::{Object, array};
use crate::wire::page::next_page;

/// The room to reserve for an event's JSON, in bytes.
const JSON_BYTES: usize = 192;

/// `GET /events`
pub(crate) fn list(call: &Call<'_>) -> Result<Pending, ApiError> {
    let types: Vec<_> = Action::ALL
        .into_iter()
        .filter_map(|action| Some((action.event()?, action.as_str())))
        .collect();
    let query = EventQuery::read(call.query, &types)?;
    let path = call.path("/events");
    Ok(Pending::new(
        history::events(&call.caller, &query),
        move |results| {
            let span = Span::decode(results)?;
            if !knows(&span, &query.after) {
                return Err(ApiError::CursorGone {
                    again: "ask with after=now, read all resources, and go on from the Link",
                });
            }
            let (entries, more) = Entry::decode_rows(results, query.limit)?;
            // The end of the log is beyond the last event that the type leaves, so that a reader of a rare type keeps up with the log.
            let upto = match entries.last() {
                Some(last) if more => last.id,
                _ => span.newest,
            };
            let epoch = &span.epoch;
            let body = array(&entries, JSON_BYTES, |entry, out| {
                write_json(entry, epoch, out);
            });
            let after = format_args!("{epoch}.{upto}");
            let next = next_page(&path, query.limit, after, &query.kept);
            Ok(Response::json(200, body).with("link", next))
        },
    ))
}

/// Whether the log has every event after a cursor.
fn knows(span: &Span, after: &After) -> bool {
    match after {
        After::Nothing | After::Now => true,
        // No number is left out, so the oldest entry follows the newest one that was deleted.
        After::Event(epoch, number) => {
            *epoch == span.epoch && (span.oldest - 1..=span.newest).contains(number)
        }
    }
}

fn write_json(entry: &Entry, epoch: &str, out: Object<'_>) {
    let out = out.text("id", &event::id(epoch, entry.id));
    push_event(entry, epoch, out).end();
}
