//! A tenant's own site (contract §4 and §8): `/tenants/{id}/install`, `/tenants/{id}/user-password-reset`, and
//! `DELETE /tenants/{id}` with `drop_tables`.

use alloc::format;
use alloc::string::{String, ToString as _};

use crate::crypto::hashing::{Hashing, Password};
use crate::crypto::seal::Sealer;
use crate::crypto::secret::Secret;
use crate::machine::Context;
use crate::operation::call::{Call, Next, Pending, absent, valid};
use crate::operation::wait::Asker;
use crate::sql::{Batch, Results};
use crate::store::idempotency::{Past, secret_place};
use crate::store::sealed::{NO_ENCRYPTION_KEY, open_secret, seal_text};
use crate::store::site_databases::Place;
use crate::store::sites::{
    Admin, Aftermath, Installed, Obstacles, Site, is_moved, is_out_of_reach,
};
use crate::store::work::PastJob;
use crate::value::fault::{ApiError, CellConflict, Internal};
use crate::value::id::TenantId;
use crate::value::user::{Email, Username};
use crate::wire::body::{Checked, Fields, Json};
use crate::wire::http::Response;
use crate::wire::json::object;
use crate::wire::rule::Rule;

mod apart;

use apart::Work;

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
        return Ok(absent(call, "tenant"));
    };
    let tenants = call.path("/tenants");
    let asker = Asker::of(call, site.id().clone());
    let is_trial = call.is_trial;
    Ok(Pending::then(
        Batch::one(site.obstacles()),
        move |results, context| {
            let found = Obstacles::decode(results)?;
            if let Some(mut past) = found.past {
                if let Some(job) = PastJob::of(&mut past) {
                    let work = asker.installation(&username, &email, &password);
                    return Ok(Next::run(asker.ask_again(job, work)));
                }
                let made = installed_before(past, &username, &email, results)?;
                return Ok(Next::Send(installed(&made, &tenants), None));
            }
            if found.has_cell {
                let work = asker.installation(&username, &email, &password);
                return Ok(Next::run(asker.ask(work, context.random)?));
            }
            if found.is_installed {
                return Err(ApiError::AlreadyInstalled);
            }
            if is_trial {
                return Ok(Next::Send(valid(), None));
            }
            let password_hash = hashing.hash(&password, context.random)?;
            let writer = site.writer(context.random)?;
            if site.is_apart() {
                let work = Work::Install {
                    username,
                    email,
                    password_hash,
                    tenants,
                };
                return Ok(work.begin(site, writer));
            }
            let admin = Admin {
                username: &username,
                email: &email,
                password_hash,
            };
            let batch = site.install(&writer, admin);
            let location = tenants.clone();
            let finish =
                move |results: &mut Results| Ok(installed(&Installed::decode(results)?, &location));
            let aftermath = site.aftermath(&writer);
            Ok(Next::run(Pending::write_or_look(
                batch,
                finish,
                aftermath,
                move |results| {
                    let found = Aftermath::decode(results)?;
                    if let Some(past) = found.past {
                        let made = installed_before(past, &username, &email, results)?;
                        return Ok(Some(installed(&made, &tenants)));
                    }
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
                        Some(_) if found.has_cell => Err(ApiError::Cell(CellConflict::Changed)),
                        Some(_) if found.is_installed => Err(ApiError::AlreadyInstalled),
                        Some(_) => Ok(None),
                    }
                },
            )))
        },
    ))
}

/// The installation that the same request made before.
fn installed_before(
    mut past: Past,
    username: &Username,
    email: &Email,
    results: &mut Results,
) -> Result<Installed, ApiError> {
    results.replay(past.replayed_until.take());
    Ok(Installed {
        tenant_id: past.answer.text("tenant_id")?,
        username: username.as_str().into(),
        email: email.as_str().into(),
    })
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
        return Ok(absent(call, "tenant"));
    };
    let is_generated = password.is_none();
    let password = match password {
        Some(password) => password,
        None => Password::generate(call.env.random)?,
    };
    let asker = Asker::of(call, site.id().clone());
    let sealer = call.env.sealer.cloned();
    let is_trial = call.is_trial;
    let idempotency = call.idempotency.clone();
    if is_generated && idempotency.is_some() && sealer.is_none() {
        // The generated password could not be remembered.
        return Err(NO_ENCRYPTION_KEY);
    }
    Ok(Pending::then(
        Batch::one(site.obstacles()),
        move |results, context| {
            let found = Obstacles::decode(results)?;
            if let Some(mut past) = found.past {
                if let Some(job) = PastJob::of(&mut past) {
                    let work = Asker::reset(&username, &password, is_generated);
                    return Ok(Next::run(asker.ask_again(job, work)));
                }
                let response = reset_before(past, &password, sealer.as_deref(), results)?;
                return Ok(Next::Send(response, None));
            }
            if found.has_cell {
                let work = Asker::reset(&username, &password, is_generated);
                return Ok(Next::run(asker.ask(work, context.random)?));
            }
            if !found.is_installed {
                return Err(NOT_INSTALLED);
            }
            let site = site.at(found.place)?;
            if is_trial {
                return Ok(Next::run(Pending::new(site.user(&username), |results| {
                    results.row()?.map(|_| valid()).ok_or(NO_USER)
                })));
            }
            let secret = match (&idempotency, &sealer) {
                (Some(idempotency), Some(sealer)) if is_generated => Some(seal_text(
                    idempotency.secret_place(),
                    password.text(),
                    sealer,
                    context.random,
                )?),
                _ => None,
            };
            let hash = hashing.hash(&password, context.random)?;
            let writer = site.writer(context.random)?;
            if site.is_apart() {
                let work = Work::Reset {
                    username,
                    password,
                    password_hash: hash,
                    secret,
                    sealer,
                    hashing,
                };
                return Ok(work.begin(site, writer));
            }
            let batch = site.reset_password(&writer, &username, hash, secret);
            let (again, opener) = (password.clone(), sealer.clone());
            Ok(Next::run(Pending::write_or_look(
                batch,
                move |results| reset(results, &password, sealer.as_deref()),
                site.aftermath(&writer),
                move |results| {
                    let found = Aftermath::decode(results)?;
                    if let Some(past) = found.past {
                        return reset_before(past, &again, opener.as_deref(), results).map(Some);
                    }
                    match found.tenant_id {
                        None => Err(NO_TENANT),
                        Some(_) if !found.is_installed => Err(NOT_INSTALLED),
                        // The batch changes nothing if it was committed, and returns the user's name.
                        Some(_) => Ok(None),
                    }
                },
            )))
        },
    ))
}

fn reset(
    results: &mut Results,
    password: &Password,
    sealer: Option<&Sealer>,
) -> Result<Response, ApiError> {
    let Some(mut row) = results.row()? else {
        let found = Obstacles::decode(results)?;
        return match found.past {
            // The same request was faster, so its password counts.
            Some(past) => reset_before(past, password, sealer, results),
            None if found.place == Place::Moving => Err(is_moved()),
            None if found.place == Place::Database => Err(is_out_of_reach()),
            None => Err(NO_USER),
        };
    };
    Ok(has_password(&row.text("username")?, password))
}

/// The response to the same request, which was carried out before. `password` is the one of the request, if it has one.
fn reset_before(
    mut past: Past,
    password: &Password,
    sealer: Option<&Sealer>,
    results: &mut Results,
) -> Result<Response, ApiError> {
    results.replay(past.replayed_until.take());
    let username = past.answer.text("username")?;
    let Some((fingerprint, secret)) = past.secret else {
        return Ok(has_password(&username, password));
    };
    let generated = open_password(&fingerprint, &secret, sealer)?;
    Ok(has_password(&username, &generated))
}

/// The password that was generated for a request, and is remembered.
fn open_password(
    fingerprint: &str,
    secret: &str,
    sealer: Option<&Sealer>,
) -> Result<Password, ApiError> {
    let text = open_secret(fingerprint, secret, sealer)?;
    let place = || format!("{}", secret_place(fingerprint));
    Password::parse(Secret::new(text.as_str().into())).map_err(|reason| stored(place(), reason))
}

fn has_password(username: &str, password: &Password) -> Response {
    let body = object(|o| {
        o.text("username", username)
            .text("password", password.text())
    });
    Response::json(200, body)
}

fn stored(place: String, reason: String) -> ApiError {
    ApiError::Internal(Internal::Stored { place, reason })
}

/// `DELETE /tenants/{id}` with `drop_tables`: deletes the tenant and all of its tables.
pub(crate) fn delete_with_tables(call: &mut Call<'_>, id: TenantId) -> Result<Pending, ApiError> {
    let site = site_of(call, id);
    let asker = Asker::of(call, site.id().clone());
    delete(call, site, asker)
}

/// `POST /tenants/{id}/erase`: the same, of a deleted tenant, too, and everything encrypted is wiped.
pub(crate) fn erase(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, "tenant"));
    };
    let site = site_of(call, id).erasing();
    let asker = Asker::of(call, site.id().clone()).erasing();
    if call.is_trial {
        let aftermath = site.aftermath(&call.writer()?);
        return Ok(Pending::new(Batch::one(aftermath), |results| {
            let found = Aftermath::decode(results)?;
            match found.tenant_id {
                None => Err(NO_TENANT),
                Some(_) if found.is_protected => Err(ApiError::DeletionProtected),
                Some(_) => Ok(valid()),
            }
        }));
    }
    delete(call, site, asker)
}

/// The response of [`erase`], once the tenant and its tables are gone, in place of the one without a body.
pub(crate) fn erased(response: Response) -> Response {
    const BODY: &str = r#"{"erased":true,"not_reached":["uploaded files","backups"]}"#;
    if response.status != 204 {
        return response;
    }
    let json = Response::json(200, String::from(BODY));
    let headers = response
        .headers
        .into_iter()
        .filter(|(name, _)| *name != "content-type");
    headers.fold(json, |json, (name, value)| json.with(name, value))
}

fn delete(call: &mut Call<'_>, site: Site, asker: Asker) -> Result<Pending, ApiError> {
    let writer = call.writer()?;
    let aftermath = site.aftermath(&writer);
    if call.is_trial {
        // Dropping a table cannot be tried.
        return Ok(Pending::then(
            Batch::one(aftermath),
            |results, context| match judge_deletion(Aftermath::decode(results)?, asker, context)? {
                Some(next) => Ok(next),
                None => Ok(Next::Send(valid(), None)),
            },
        ));
    }
    Ok(Pending::write_or_go_on(
        site.delete(&writer),
        move |results| {
            if site.is_apart()
                && let Some(mut row) = results.last()?
            {
                return Ok(apart::drop_marked(site, row.integer("number")?));
            }
            Ok(Next::Send(Response::empty(204), None))
        },
        aftermath,
        |results, context| {
            let mut found = Aftermath::decode(results)?;
            if let Some(past) = &mut found.past {
                if let Some(job) = PastJob::of(past) {
                    return Ok(Some(Next::run(asker.drop_again(job))));
                }
                results.replay(past.replayed_until.clone());
            }
            judge_deletion(found, asker, context)
        },
    ))
}

/// The step after a deletion that was not made, as far as is known. `None`: nothing is in its way.
fn judge_deletion(
    found: Aftermath,
    asker: Asker,
    context: &mut Context<'_>,
) -> Result<Option<Next>, ApiError> {
    match found.tenant_id {
        _ if found.is_done || found.past.is_some() => {
            Ok(Some(Next::Send(Response::empty(204), None)))
        }
        None => Err(NO_TENANT),
        Some(_) if !found.holds => Err(ApiError::PreconditionFailed),
        Some(_) if found.is_protected => Err(ApiError::DeletionProtected),
        // The tables are not in this database.
        Some(_) if found.has_cell => {
            let pending = asker.drop_tables(context.random)?;
            Ok(Some(Next::run(pending)))
        }
        Some(_) => Ok(None),
    }
}

/// The site that the path names, and the cost of its passwords' hashes; `None` if no tenant can have this id.
fn site(call: &Call<'_>) -> Option<(Site, Hashing)> {
    let id = TenantId::parse(call.id).ok()?;
    Some((site_of(call, id), call.site.hashing.clone()))
}

fn site_of(call: &Call<'_>, id: TenantId) -> Site {
    Site::of(
        &call.caller,
        call.request_id,
        call.idempotency.as_ref(),
        id,
        &call.site.table_prefix,
    )
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
