//! `/cells`, `/cells/{id}`, and `POST /tenants/{id}/move` (contract §15): the operator's side of cells.

use alloc::format;
use alloc::string::String;

use crate::operation::call::{Call, Pending, absent, decode_all, valid};
use crate::store::cell_moves::{self, Moved};
use crate::store::cells::{self, Cell, CellPatch, Service};
use crate::store::standing;
use crate::store::write::Written;
use crate::value::fault::{ApiError, CellConflict, FieldError};
use crate::value::id::{CellId, TenantId};
use crate::value::patch::Edit;
use crate::value::text::{quote, traefik_name};
use crate::wire::body::{Checked, Json, Wrong, members, pointer_token};
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::rule::Rule;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "cell" };

/// The longest name, in characters.
const MAX_NAME_CHARACTERS: usize = 255;

/// The room to reserve for a cell's JSON, in bytes.
const JSON_BYTES: usize = 384;

/// `GET /cells`
pub(crate) fn list(call: &Call<'_>) -> Pending {
    Pending::new(cells::list(&call.caller), |results| {
        let cells = decode_all(results, Cell::decode)?;
        let body = array(&cells, JSON_BYTES, |cell, out| write_json(cell, out).end());
        Ok(Response::json(200, body))
    })
}

/// `GET /cells/{id}`
pub(crate) fn get(call: &Call<'_>) -> Pending {
    let Ok(id) = CellId::parse(call.id) else {
        return absent(call, "cell");
    };
    Pending::new(cells::get(&call.caller, &id), |results| {
        let row = standing::judged_read(results)?;
        let cell = Cell::decode(row)?.ok_or(NOT_FOUND)?;
        Ok(Response::json(200, to_json(&cell)))
    })
}

/// `PUT /cells/{id}`: makes a cell, or changes the members that the body has.
pub(crate) fn put(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let (id, patch) = read_put(call)?;
    let batch = cells::put(&call.writer()?, &id, &patch);
    let location = call.path(&format!("/cells/{id}"));
    Ok(Pending::write(batch, move |results| {
        let mut row = Written::read(results)?;
        if row.is_trial() {
            return Ok(valid());
        }
        let is_made = row.boolean("is_made")?;
        let shown = row.shown(results, true)?.ok_or(NOT_FOUND)?;
        let cell = Cell::decode(shown.row)?.ok_or(NOT_FOUND)?;
        let body = to_json(&cell);
        Ok(if is_made {
            Response::json(201, body).with("location", location)
        } else {
            Response::json(200, body)
        })
    }))
}

/// `DELETE /cells/{id}`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = CellId::parse(call.id) else {
        return Ok(absent(call, "cell"));
    };
    let batch = cells::delete(&call.writer()?, &id, call.site.restore_days);
    Ok(Pending::write(batch, |results| {
        let mut row = Written::read(results)?;
        if !row.obstacle("id_is_there", true)? {
            return Err(NOT_FOUND);
        }
        if row.obstacle("is_in_use", false)? {
            return Err(ApiError::Cell(CellConflict::InUse));
        }
        Ok(Response::empty(204))
    }))
}

/// `POST /tenants/{id}/move`: another cell for a tenant whose data the operator has copied there.
pub(crate) fn move_tenant(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let cell = fields.required("cell_id", Rule::CellId, |v| v.parsed(CellId::parse));
    let (cell,) = fields.finish((cell,))?;
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let batch = cell_moves::move_to(&call.writer()?, &id, &cell);
    Ok(Pending::write(batch, move |results| {
        let moved = Moved::decode(Written::read(results)?)?;
        if !moved.id_is_there {
            return Err(ApiError::NotFound { what: "tenant" });
        }
        if !moved.cell_is_there {
            let detail = format!(
                "expected a cell that exists and takes tenants; got {}",
                quote(cell.as_str())
            );
            return Err(ApiError::Invalid(
                [FieldError::field("/cell_id", detail)].into(),
            ));
        }
        match moved.obstacle() {
            Some(conflict) => Err(ApiError::Cell(conflict)),
            None => Ok(Response::empty(204)),
        }
    }))
}

fn read_put(call: &mut Call<'_>) -> Result<(CellId, CellPatch), ApiError> {
    let mut fields = call.fields()?;
    let id = fields.in_path("/id", CellId::parse(call.id));
    let name = fields.maybe("name", Rule::CellName, |v| v.nullable(read_name));
    let service = fields.maybe("service", Rule::Service, |v| v.nullable(read_service));
    let accepting = fields.maybe("accepting", Rule::Boolean, Json::boolean);
    let (id, name, service, is_accepting) = fields.finish((id, name, service, accepting))?;
    let patch = CellPatch {
        name: Edit::of(name),
        service: Edit::of(service),
        is_accepting,
    };
    Ok((id, patch))
}

fn read_name(value: Json<'_>) -> Checked<String> {
    value.parsed(|text| match text.chars().count() {
        1..=MAX_NAME_CHARACTERS => Ok(text.into()),
        length => Err(format!(
            "expected 1 to {MAX_NAME_CHARACTERS} characters; got {length}"
        )),
    })
}

/// Reads `{"name", "port"}`. The name is part of a URL and of Traefik's configuration.
fn read_service(value: Json<'_>) -> Checked<Service> {
    let raw = match value {
        Json::Object(raw) => raw,
        other => return Err(format!("expected an object; got {}", other.kind()).into()),
    };
    let (mut name, mut port, mut wrong) = (None, None, Wrong::default());
    for (member, raw) in members(raw)? {
        let token = pointer_token(&member);
        let value = Json::of(raw).map_err(Wrong::from);
        match member.as_ref() {
            "name" => name = wrong.sort_out(&token, value.and_then(|v| v.parsed(traefik_name))),
            "port" => {
                let number = value.and_then(|v| v.whole(1, i64::from(u16::MAX)));
                port = wrong
                    .sort_out(&token, number)
                    .and_then(|n| u16::try_from(n).ok());
            }
            _ => wrong.unknown(&token, "expected `name` and `port` alone"),
        }
    }
    match (wrong.required("name", name), wrong.required("port", port)) {
        (Some(name), Some(port)) => wrong.or(Service { name, port }),
        _ => Err(wrong),
    }
}

fn to_json(cell: &Cell) -> String {
    object(|out| write_json(cell, out))
}

fn write_json<'o>(cell: &Cell, out: Object<'o>) -> Object<'o> {
    let out = out
        .text("id", &cell.id)
        .optional_text("name", cell.name.as_deref());
    let out = match (&cell.service_name, cell.service_port) {
        (Some(name), Some(port)) => out.nested("service", |out| {
            Object::begin(out)
                .text("name", name)
                .raw("port", &format!("{port}"))
                .end();
        }),
        _ => out.raw("service", "null"),
    };
    let cursor = cell.cursor.as_ref().map(|cursor| format!("{cursor}"));
    out.raw(
        "accepting",
        if cell.is_accepting { "true" } else { "false" },
    )
    .text("created_at", &cell.created_at)
    .text("updated_at", &cell.updated_at)
    .raw("tenants", &format!("{}", cell.tenants))
    .raw("jobs_waiting", &format!("{}", cell.jobs_waiting))
    .optional_text("last_seen_at", cell.last_seen_at.as_deref())
    .optional_text("agent_version", cell.agent_version.as_deref())
    .optional_text("cursor", cursor.as_deref())
    .raw("behind", &format!("{}", cell.behind))
}
