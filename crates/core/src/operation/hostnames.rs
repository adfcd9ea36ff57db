//! `/tenants/{id}/hostnames` and `/tenants/{id}/hostnames/{hostname}` (contract §18): the hostnames that a tenant has besides its own.

use alloc::format;

use crate::operation::call::{Call, Pending, absent, valid, versioned};
use crate::operation::tenants::{parse_hostname, taken};
use crate::store::hostnames::{self, FurtherHostname, Put};
use crate::store::registry;
use crate::store::write::Written;
use crate::value::fault::{ApiError, FieldError};
use crate::value::hostname::Hostname;
use crate::value::hostname_kind::HostnameKind;
use crate::value::id::TenantId;
use crate::wire::conditional::Version;
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::rule::Rule;

/// The most hostnames that a tenant may have besides its own. `store/hostnames.rs` compares it.
pub(crate) const MAX_HOSTNAMES: usize = 100;

/// The room to reserve for a hostname's JSON, in bytes.
const JSON_BYTES: usize = 160;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "tenant" };

/// `GET /tenants/{id}/hostnames`
pub(crate) fn list(call: &mut Call<'_>) -> Pending {
    let Ok(id) = TenantId::parse(call.id) else {
        return absent(call, "tenant");
    };
    let if_none_match = call.if_none_match.take();
    Pending::new(hostnames::list(&call.caller, &id), move |results| {
        let (revision, all) = hostnames::decode_list(results)?;
        let version = Version {
            revision,
            statistics: None,
        };
        Ok(versioned(if_none_match.as_ref(), &version, || {
            array(&all, JSON_BYTES, |one, out| write_json(one, out).end())
        }))
    })
}

/// `PUT /tenants/{id}/hostnames/{hostname}`
pub(crate) fn put(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let mut fields = call.fields()?;
    let kind = fields.required("kind", Rule::HostnameKind, |v| {
        v.parsed(HostnameKind::parse)
    });
    let (kind,) = fields.finish((kind,))?;
    let hostname = parse_hostname(call.part, call.hostnames).map_err(at_hostname)?;
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let location = call.path(&format!("/tenants/{id}/hostnames/{hostname}"));
    let batch = hostnames::put(&call.writer()?, &id, &hostname, kind);
    Ok(Pending::write(batch, move |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        let holder = row.holder("hostname_holder")?;
        let has_room = row.obstacle("has_room", true)?;
        row.needs(id_is_there, NOT_FOUND)?;
        if let Some(holder) = holder {
            let taken = taken("/hostname", hostname.as_str(), holder);
            return Err(ApiError::Conflict([taken].into()));
        }
        if !has_room {
            let detail =
                format!("expected at most {MAX_HOSTNAMES} hostnames besides the tenant's own");
            return Err(at_hostname(detail));
        }
        if row.is_trial() {
            return Ok(valid());
        }
        let Put {
            is_made,
            created_at,
            updated_at,
        } = Put::decode(&mut row)?;
        let version = registry::version(&mut row)?;
        let shown = FurtherHostname {
            hostname: hostname.as_str().into(),
            kind: kind.as_str().into(),
            created_at,
            updated_at,
        };
        let body = object(|out| write_json(&shown, out));
        let response = if is_made {
            Response::json(201, body).with("location", location)
        } else {
            Response::json(200, body)
        };
        Ok(response.with("etag", version.etag()))
    }))
}

/// `DELETE /tenants/{id}/hostnames/{hostname}`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let Ok(hostname) = Hostname::parse(call.part) else {
        return Ok(absent(call, "hostname"));
    };
    let batch = hostnames::delete(&call.writer()?, &id, &hostname);
    Ok(Pending::write(batch, |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        let hostname_is_there = row.obstacle("hostname_is_there", true)?;
        row.needs(id_is_there, NOT_FOUND)?;
        if !hostname_is_there {
            return Err(ApiError::NotFound { what: "hostname" });
        }
        let version = registry::version(&mut row)?;
        Ok(Response::empty(204).with("etag", version.etag()))
    }))
}

fn at_hostname(detail: alloc::string::String) -> ApiError {
    ApiError::Invalid([FieldError::field("/hostname", detail)].into())
}

fn write_json<'o>(one: &FurtherHostname, out: Object<'o>) -> Object<'o> {
    out.text("hostname", &one.hostname)
        .text("kind", &one.kind)
        .text("created_at", &one.created_at)
        .text("updated_at", &one.updated_at)
}
