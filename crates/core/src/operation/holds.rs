//! `/tenants/{id}/holds/{kind}` (contract §16): why a tenant's site is off.

use alloc::format;
use alloc::string::String;

use crate::operation::call::{Call, Pending, absent, edited};
use crate::operation::keys::read_end;
use crate::store::holds;
use crate::store::tenants;
use crate::store::write::Written;
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::hold::HoldKind;
use crate::value::id::TenantId;
use crate::wire::body::{Checked, Json};
use crate::wire::json::object;
use crate::wire::rule::Rule;

/// The longest reason, in characters.
pub(crate) const MAX_REASON: usize = 255;

/// The longest message, in characters.
pub(crate) const MAX_MESSAGE: usize = 500;

/// `PUT /tenants/{id}/holds/{kind}`
pub(crate) fn put(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let now = call.caller.now();
    let mut fields = call.fields()?;
    let kind = fields.in_path("/kind", HoldKind::parse(call.part));
    let reason = fields.required("reason", Rule::HoldReason, |v| read_text(v, MAX_REASON));
    let message = fields.maybe("message", Rule::HoldMessage, |v| {
        v.nullable(|v| read_text(v, MAX_MESSAGE))
    });
    let until = fields.maybe("until", Rule::HoldEnd, |v| v.nullable(|v| read_end(v, now)));
    let (kind, reason, message, until) = fields.finish((kind, reason, message, until))?;
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let until = until.flatten();
    let hold = object(|out| {
        out.text("reason", &reason)
            .optional_text("message", message.flatten().as_deref())
            .optional_text("until", until.as_ref().map(Timestamp::as_str))
    });
    let batch = holds::put(&call.writer()?, &id, kind, hold);
    Ok(Pending::write_with_note(batch, |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        row.needs(id_is_there, ApiError::NotFound { what: "tenant" })?;
        Ok(edited(tenants::version(&mut row)?.as_ref(), Ok(None)))
    }))
}

/// `DELETE /tenants/{id}/holds/{kind}`
pub(crate) fn release(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let Ok(kind) = HoldKind::parse(call.part) else {
        return Ok(absent(call, "hold"));
    };
    let batch = holds::release(&call.writer()?, &id, kind);
    Ok(Pending::write_with_note(batch, |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        let hold_is_there = row.obstacle("hold_is_there", true)?;
        row.needs(id_is_there, ApiError::NotFound { what: "tenant" })?;
        if !hold_is_there {
            return Err(ApiError::NotFound { what: "hold" });
        }
        Ok(edited(tenants::version(&mut row)?.as_ref(), Ok(None)))
    }))
}

fn read_text(value: Json<'_>, most: usize) -> Checked<String> {
    value.parsed(|text| match text.chars().count() {
        length if (1..=most).contains(&length) => Ok(text.into()),
        length => Err(format!("expected 1 to {most} characters; got {length}")),
    })
}
