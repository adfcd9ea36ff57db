//! A tenant's own site (contract §4 and §8): `/tenants/{id}/install`, `/tenants/{id}/user-password-reset`, and
//! `DELETE /tenants/{id}` with `drop_tables`.

use alloc::format;
use alloc::string::ToString as _;

use crate::crypto::hashing::{Hashing, Password};
use crate::crypto::secret::Secret;
use crate::operation::call::{Call, Pending, absent};
use crate::sql::{Batch, Results};
use crate::store::sites::{Admin, Aftermath, Installed, Obstacles, Site};
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::value::user::{Email, Username};
use crate::wire::body::{Checked, Fields, Json};
use crate::wire::http::Response;
use crate::wire::json::object;
use crate::wire::rule::Rule;

const NO_TENANT: ApiError = ApiError::NotFound { what: "tenant" };

const NO_USER: ApiError = ApiError::NotFound { what: "user" };

const NOT_INSTALLED: ApiError = ApiError::NotFound {
    what: "user: nothing is installed for this tenant",
};

/// `POST /tenants/{id}/install`
///
/// Two trips to the database: the first one says whether the caller may install this tenant. Hashing the password takes 45 ms or more, and
/// must not be done for a caller with an invalid key.
pub(crate) fn install(call: &Call<'_>) -> Result<Pending, ApiError> {
    let (username, email, password) = read_admin(call.fields()?)?;
    let Some((site, hashing)) = site(call) else {
        return Ok(absent(&call.caller, "tenant"));
    };
    let tenants = call.path("/tenants");
    Ok(Pending::first(
        Batch::one(site.obstacles()),
        move |results, context| {
            if Obstacles::decode(results)?.is_installed {
                return Err(ApiError::AlreadyInstalled);
            }
            let admin = Admin {
                username: &username,
                email: &email,
                password_hash: hashing.hash(&password, context.random)?,
            };
            let writer = site.writer(context.random)?;
            let batch = site.install(&writer, admin);
            let location = tenants.clone();
            let finish =
                move |results: &mut Results| Ok(installed(&Installed::decode(results)?, &location));
            let aftermath = site.aftermath(&writer);
            Ok(Pending::write_or_look(
                batch,
                finish,
                aftermath,
                move |results| {
                    let found = Aftermath::decode(results)?;
                    if found.is_done {
                        // The tables have what the request says.
                        let made = Installed {
                            tenant_id: found.tenant_id.unwrap_or_else(|| site.id().to_string()),
                            username: username.as_str().into(),
                            email: email.as_str().into(),
                        };
                        return Ok(Some(installed(&made, &tenants)));
                    }
                    match found.tenant_id {
                        None => Err(NO_TENANT),
                        Some(_) if found.is_installed => Err(ApiError::AlreadyInstalled),
                        Some(_) => Ok(None),
                    }
                },
            ))
        },
    ))
}

fn installed(installed: &Installed, tenants: &str) -> Response {
    let body = object(|o| {
        o.text("id", &installed.tenant_id)
            .text("username", &installed.username)
            .text("email", &installed.email)
    });
    let location = format!("{tenants}/{}", installed.tenant_id);
    Response::json(201, body).with("location", location)
}

/// `PATCH /tenants/{id}/user-password-reset`
///
/// Two trips to the database, as for [`install`].
pub(crate) fn reset_password(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let (username, password) = read_reset(call.fields()?)?;
    let Some((site, hashing)) = site(call) else {
        return Ok(absent(&call.caller, "tenant"));
    };
    let password = match password {
        Some(password) => password,
        None => Password::generate(call.env.random)?,
    };
    Ok(Pending::first(
        Batch::one(site.obstacles()),
        move |results, context| {
            if !Obstacles::decode(results)?.is_installed {
                return Err(NOT_INSTALLED);
            }
            let hash = hashing.hash(&password, context.random)?;
            let writer = site.writer(context.random)?;
            let batch = site.reset_password(&writer, &username, hash);
            Ok(Pending::write_or_look(
                batch,
                move |results| reset(results, &password),
                site.aftermath(&writer),
                |results| match Aftermath::decode(results)? {
                    Aftermath {
                        tenant_id: None, ..
                    } => Err(NO_TENANT),
                    found if !found.is_installed => Err(NOT_INSTALLED),
                    // The batch changes nothing if it was committed, and returns the user's name.
                    _ => Ok(None),
                },
            ))
        },
    ))
}

fn reset(results: &mut Results, password: &Password) -> Result<Response, ApiError> {
    let Some(mut row) = results.row()? else {
        results.skip()?;
        Obstacles::decode(results)?;
        return Err(NO_USER);
    };
    let username = row.text("username")?;
    let body = object(|o| {
        o.text("username", &username)
            .text("password", password.text())
    });
    Ok(Response::json(200, body))
}

/// `DELETE /tenants/{id}` with `drop_tables`: deletes the tenant and all of its tables.
pub(crate) fn delete_with_tables(call: &mut Call<'_>, id: TenantId) -> Result<Pending, ApiError> {
    let site = Site::of(&call.caller, call.request_id, id, &call.site.table_prefix);
    let writer = call.writer()?;
    Ok(Pending::write_or_look(
        site.delete(&writer),
        |_| Ok(Response::empty(204)),
        site.aftermath(&writer),
        |results| match Aftermath::decode(results)? {
            Aftermath { is_done: true, .. } => Ok(Some(Response::empty(204))),
            Aftermath {
                tenant_id: None, ..
            } => Err(NO_TENANT),
            Aftermath { .. } => Ok(None),
        },
    ))
}

/// The site that the path names, and the cost of its passwords' hashes; `None` if no tenant can have this id.
fn site(call: &Call<'_>) -> Option<(Site, Hashing)> {
    let id = TenantId::parse(call.id).ok()?;
    let site = Site::of(&call.caller, call.request_id, id, &call.site.table_prefix);
    Some((site, call.site.hashing.clone()))
}

/// Reads the body of `POST /tenants/{id}/install`: the administrator of the new site.
fn read_admin(mut fields: Fields<'_>) -> Result<(Username, Email, Password), ApiError> {
    let username = fields.required("username", Rule::Username, |v| v.parsed(Username::parse));
    let email = fields.required("email", Rule::Email, |v| v.parsed(Email::parse));
    let password = fields.required("password", Rule::Password, read_password);
    fields.finish((username, email, password))
}

/// Reads the body of `PATCH /tenants/{id}/user-password-reset`. Without a password, or with `null`, one is generated.
fn read_reset(mut fields: Fields<'_>) -> Result<(Username, Option<Password>), ApiError> {
    let username = fields.required("username", Rule::Username, |v| v.parsed(Username::parse));
    let password = fields.maybe("password", Rule::NewPassword, |v: Json<'_>| {
        v.nullable(read_password)
    });
    let (username, password) = fields.finish((username, password))?;
    Ok((username, password.flatten()))
}

/// Reads a password. Its error message does not quote it.
fn read_password(value: Json<'_>) -> Checked<Password> {
    match value {
        Json::String(text) => Password::parse(Secret::new(text.into_owned())).map_err(Into::into),
        other => Err(format!("expected a string; got {}", other.kind()).into()),
    }
}
