//! `/tenants/{id}/hostnames` and `/tenants/{id}/hostnames/{hostname}` (contract §18): the hostnames that a tenant has besides its own.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::operation::call::{Call, Fetched, Next, Pending, absent, valid, versioned};
use crate::operation::tenants::{parse_hostname, taken};
use crate::store::hostnames::{self, FurtherHostname, Put};
use crate::store::write::Written;
use crate::store::{proofs, registry};
use crate::value::fault::{ApiError, FieldError, Internal};
use crate::value::hostname::Hostname;
use crate::value::hostname_kind::HostnameKind;
use crate::value::id::TenantId;
use crate::value::random::{Random, RandomUnavailable};
use crate::wire::conditional::Version;
use crate::wire::dns;
use crate::wire::http::Response;
use crate::wire::json::{Object, array, object};
use crate::wire::rule::Rule;

/// The most hostnames that a tenant may have besides its own. `store/hostnames.rs` compares it.
pub(crate) const MAX_HOSTNAMES: usize = 100;

/// The room to reserve for a hostname's JSON, in bytes.
const JSON_BYTES: usize = 320;

const NOT_FOUND: ApiError = ApiError::NotFound { what: "tenant" };
const NO_HOSTNAME: ApiError = ApiError::NotFound { what: "hostname" };

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
    let hostname = fields.in_path("/hostname", parse_hostname(call.part, call.hostnames));
    let (kind, hostname) = fields.finish((kind, hostname))?;
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let location = call.path(&format!("/tenants/{id}/hostnames/{hostname}"));
    let writer = call.writer()?;
    let proof = if call.hostnames.asks_proof {
        Some(new_proof(call.env.random)?)
    } else {
        None
    };
    let batch = hostnames::put(&writer, &id, &hostname, kind, proof);
    Ok(Pending::write(batch, move |results| {
        let mut row = Written::read(results)?;
        let id_is_there = row.obstacle("id_is_there", true)?;
        let holder = row.holder("hostname_holder")?;
        let has_room = row.obstacle("has_room", true)?;
        row.needs(id_is_there, NOT_FOUND)?;
        none_has(&hostname, holder)?;
        if !has_room {
            let detail =
                format!("expected at most {MAX_HOSTNAMES} hostnames besides the tenant's own");
            return Err(at_hostname(detail));
        }
        if row.is_trial() {
            return Ok(valid());
        }
        let put = Put::decode(&mut row, &hostname)?;
        let version = registry::version(&mut row)?;
        let body = to_json(&put.hostname);
        let response = if put.is_made {
            Response::json(201, body).with("location", location)
        } else {
            Response::json(200, body)
        };
        Ok(response.with("etag", version.etag()))
    }))
}

/// Makes the value of a claim's record: 144 random bits.
fn new_proof(random: &mut dyn Random) -> Result<String, ApiError> {
    let mut bytes = [0; 18];
    random
        .fill(&mut bytes)
        .map_err(|RandomUnavailable| ApiError::Internal(Internal::Random))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Nobody may have the hostname (409).
fn none_has(hostname: &Hostname, holder: Option<String>) -> Result<(), ApiError> {
    match holder {
        None => Ok(()),
        Some(holder) => {
            let taken = taken("/hostname", hostname.as_str(), holder);
            Err(ApiError::Conflict([taken].into()))
        }
    }
}

/// `POST /tenants/{id}/hostnames/{hostname}/verify`: looks the record up. The first batch judges the key, so nobody else makes the service ask.
pub(crate) fn verify(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let Ok(hostname) = Hostname::parse(call.part) else {
        return Ok(absent(call, "hostname"));
    };
    let writer = call.writer()?;
    let resolver = call.hostnames.resolver.clone();
    let batch = hostnames::one(&call.caller, &id, &hostname);
    Ok(Pending::then(batch, move |results, _| {
        let (_, all) = hostnames::decode_list(results)?;
        // The cron trigger has not ended a claim yet that is past its end.
        let now = writer.now().as_str();
        let ended =
            |one: &FurtherHostname| one.claimed_until.as_deref().is_some_and(|end| end <= now);
        let Some(one) = all.into_iter().next().filter(|one| !ended(one)) else {
            return Err(NO_HOSTNAME);
        };
        let Some(proof) = one.proof.clone() else {
            return Ok(Next::Send(Response::json(200, to_json(&one)), None));
        };
        let request = resolver.and_then(|resolver| proofs::lookup(&resolver, hostname.as_str()));
        let Some(request) = request else {
            let reason = "the resolver's URL has no room for the name";
            return Err(ApiError::LookupFailed(reason.into()));
        };
        let go_on: Fetched = Box::new(move |answer, _| {
            let is_found = proofs::is_found(answer, &proof).map_err(ApiError::LookupFailed)?;
            let is_claim = one.claimed_until.is_some();
            let batch = hostnames::check(&writer, &id, &hostname, proof, is_found);
            Ok(Next::run(Pending::write(batch, move |results| {
                let mut row = Written::read(results)?;
                let id_is_there = row.obstacle("id_is_there", true)?;
                let holder = row.holder("hostname_holder")?;
                if !id_is_there {
                    return Err(NO_HOSTNAME);
                }
                none_has(&hostname, holder)?;
                if is_claim && !is_found {
                    let record = dns::record(hostname.as_str());
                    return Err(ApiError::ProofMissing { record });
                }
                if row.is_trial() {
                    return Ok(valid());
                }
                let name = hostname.as_str().into();
                let one = FurtherHostname::of_stored(name, &row.text("stored")?)?;
                Ok(Response::json(200, to_json(&one)))
            })))
        });
        Ok(Next::Fetch(Box::new(request), go_on))
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
            return Err(NO_HOSTNAME);
        }
        let version = registry::version(&mut row)?;
        Ok(Response::empty(204).with("etag", version.etag()))
    }))
}

fn at_hostname(detail: String) -> ApiError {
    ApiError::Invalid([FieldError::field("/hostname", detail)].into())
}

fn to_json(one: &FurtherHostname) -> String {
    object(|out| write_json(one, out))
}

fn write_json<'o>(one: &FurtherHostname, out: Object<'o>) -> Object<'o> {
    let out = out
        .text("hostname", &one.hostname)
        .text("kind", &one.kind)
        .text("created_at", &one.created_at)
        .text("updated_at", &one.updated_at)
        .optional_text("claimed_until", one.claimed_until.as_deref());
    let out = match &one.proof {
        None => out.raw("proof", "null"),
        Some(proof) => out.nested("proof", |out| {
            Object::begin(out)
                .text("name", &dns::record(&one.hostname))
                .text("type", "TXT")
                .text("value", proof)
                .end();
        }),
    };
    out.optional_text("proof_missing_since", one.missing_since.as_deref())
}
