//! Writes whose response may show all of a tenant or of a plan, and what is remembered of such a response (contract §12).

use crate::auth::Caller;
use crate::sql::{Batch, Sql, Value};
use crate::store::idempotency::{Idempotency, Remembered, Resource};
use crate::store::write::{Shows, WriteText, Writer, statement, write};

/// What is remembered of the responses that show a resource of a table: the values as a list in JSON, and the rows that they come from, up to the id. The
/// resource's `env` is remembered beside them.
pub(crate) struct Answers {
    pub(crate) table: &'static str,
    /// Whether the table is that of tenants, so that an erasure forgets what is remembered.
    pub(crate) of_tenants: bool,
    /// The response to a PATCH.
    pub(crate) patched: &'static str,
    /// The response to a PUT of a resource that was there.
    pub(crate) put: &'static str,
    /// The response to a PUT that creates the resource.
    pub(crate) put_new: &'static str,
}

impl Answers {
    /// Makes the batch of a write of the resource with this id. If the response shows the resource, all of it is remembered after the write,
    /// and the last statement, `read`, reads it.
    pub(crate) fn batch(
        &self,
        writer: &Writer,
        id: &str,
        text: WriteText,
        (shows, is_new): (Shows, bool),
        values: impl IntoIterator<Item = Value>,
        read: impl FnOnce() -> Sql,
    ) -> Batch {
        let answer = match shows {
            Shows::Nothing => return write(writer, text, values),
            Shows::Patched => self.patched,
            Shows::Put if is_new => self.put_new,
            Shows::Put => self.put,
        };
        let text = WriteText {
            answer: None,
            ..text
        };
        let write = statement(writer, text, values, None);
        let remember = writer.idempotency().map(|idempotency| {
            let secret = Remembered::EnvOf(self.resource(id));
            idempotency.remember(writer, writer.token(), secret, |sql| {
                sql.sql(answer).bind(id)
            })
        });
        Batch::of([write].into_iter().chain(remember).chain([read()]))
    }

    /// Remembers the response to a PUT that changes nothing, if the resource has one of these revisions (a list in JSON) still. Returns a row
    /// if it was remembered.
    pub(crate) fn remember_unchanged(
        &self,
        caller: &Caller,
        idempotency: &Idempotency,
        id: &str,
        revisions: &str,
    ) -> Sql {
        idempotency.remember_unchanged(caller, self.resource(id), self.put, revisions)
    }

    fn resource<'a>(&self, id: &'a str) -> Resource<'a> {
        Resource {
            table: self.table,
            id,
            is_tenant: self.of_tenants,
        }
    }
}
