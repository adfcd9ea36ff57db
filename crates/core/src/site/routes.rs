//! `/tenants/{id}/install`, `/tenants/{id}/user-password-reset`, and `DELETE /tenants/{id}` where the tables go too (contract §4
//! and §8).

use alloc::format;
use alloc::string::String;

use serde::Serialize;

use super::name::{Name, Names};
use super::password::Password;
use super::schema;
use super::user::{NewAdmin, PasswordReset};
use crate::auth::Caller;
use crate::exchange::{Call, Pending, absent, key_dead, to_json};
use crate::http::Response;
use crate::id::TenantId;
use crate::problem::{ApiError, Internal};
use crate::sql::{Answers, Batch, Sql, key_stands};

#[derive(Serialize)]
struct Installed<'a> {
    id: &'a str,
    username: &'a str,
    email: &'a str,
}

#[derive(Serialize)]
struct Reset<'a> {
    username: &'a str,
    password: &'a str,
}

/// The tenant is there: for [`Batch::entered`], whose `?6` is the tenant's id.
const TENANT_IS_THERE: &str = "EXISTS (SELECT 1 FROM tenants WHERE id = ?6)";

/// `POST /tenants/{id}/install`
pub(crate) fn install(call: &mut Call<'_>, id: &str) -> Result<Pending, ApiError> {
    let admin = NewAdmin::read(call.fields()?)?;
    let Ok(id) = TenantId::parse(id) else {
        return Ok(absent(&call.caller, "tenant"));
    };
    let hash = call.config.hashing.hash(&admin.password, call.random)?;
    let names = Names::of(&call.config.table_prefix, &id);
    let users = names.name(schema::USERS);
    let insert = Sql::of_nobody("INSERT INTO ")
        .name(&users)
        .sql(" (username, email, password_hash, is_admin, is_manager, created_at) VALUES (")
        .bind(admin.username.as_str())
        .sql(", ")
        .bind(admin.email.as_str())
        .sql(", ")
        .bind(hash)
        .sql(", 1, 0, ")
        .bind(call.caller.now().as_str())
        .sql(") RETURNING username, email, (SELECT id FROM tenants WHERE id = ")
        .bind(id.as_str())
        .sql(") AS tenant_id");
    let mut batch = Batch::entered(
        &call.caller,
        "tenant.install",
        id.as_str(),
        call.request_id,
        TENANT_IS_THERE,
    );
    for statement in schema::create(&names) {
        batch = batch.then(statement);
    }
    let batch = batch.then(insert).into_batch();
    let tenants = call.path("/tenants");
    let finish = move |answers: &mut Answers| {
        let mut row = answers
            .last()?
            .ok_or_else(|| unexpected("no administrator"))?;
        let username = row.text("username")?;
        let email = row.text("email")?;
        let id = row.text("tenant_id")?;
        let body = to_json(&Installed {
            id: &id,
            username: &username,
            email: &email,
        })?;
        Ok(Response::json(201, body).with("location", format!("{tenants}/{id}")))
    };
    Ok(
        Pending::new(batch, move |_, answers| finish(answers)).or_explain(
            obstacles(&call.caller, &id, &users),
            |answers| {
                if Obstacles::decode(answers)?.is_installed {
                    return Err(ApiError::AlreadyInstalled);
                }
                Ok(())
            },
        ),
    )
}

/// `PATCH /tenants/{id}/user-password-reset`
pub(crate) fn reset_password(call: &mut Call<'_>, id: &str) -> Result<Pending, ApiError> {
    let PasswordReset { username, password } = PasswordReset::read(call.fields()?)?;
    let Ok(id) = TenantId::parse(id) else {
        return Ok(absent(&call.caller, "tenant"));
    };
    let password = match password {
        Some(password) => password,
        None => Password::generate(call.random)?,
    };
    let hash = call.config.hashing.hash(&password, call.random)?;
    let users = Names::of(&call.config.table_prefix, &id).name(schema::USERS);
    let update = Sql::of(&call.caller, "UPDATE ")
        .name(&users)
        .sql(" SET password_hash = ")
        .bind(hash)
        .guarded()
        .sql(" AND EXISTS (SELECT 1 FROM tenants WHERE id = ")
        .bind(id.as_str())
        .sql(") AND username = ")
        .bind(username.as_str())
        .sql(" RETURNING username");
    let batch = Batch::write()
        .then(update)
        .audit(
            &call.caller,
            "tenant.user_password_reset",
            id.as_str(),
            call.request_id,
        )
        .explain(obstacles(&call.caller, &id, &users));
    let finish = move |answers: &mut Answers| {
        let Some(mut row) = answers.row()? else {
            answers.skip()?;
            Obstacles::decode(answers)?;
            return Err(NO_USER);
        };
        let body = to_json(&Reset {
            username: &row.text("username")?,
            password: password.text(),
        })?;
        Ok(Response::json(200, body))
    };
    Ok(
        Pending::new(batch, move |_, answers| finish(answers)).or_explain(
            obstacles(&call.caller, &id, &users),
            |answers| {
                if !Obstacles::decode(answers)?.is_installed {
                    return Err(NOT_INSTALLED);
                }
                Ok(())
            },
        ),
    )
}

/// `DELETE /tenants/{id}` with `drop_tables`: the tenant and whatever tables of its own it has.
pub(crate) fn delete_with_tables(call: &Call<'_>, id: &TenantId) -> Pending {
    let names = Names::of(&call.config.table_prefix, id);
    let mut batch = Batch::entered(
        &call.caller,
        "tenant.delete",
        id.as_str(),
        call.request_id,
        TENANT_IS_THERE,
    )
    .then(Sql::of_nobody("DELETE FROM tenants WHERE id = ").bind(id.as_str()));
    for statement in schema::drop(&names) {
        batch = batch.then(statement);
    }
    Pending::new(batch.into_batch(), |_, _| Ok(Response::empty(204))).or_explain(
        obstacles(&call.caller, id, &names.name(schema::USERS)),
        |answers| Obstacles::decode(answers).map(drop),
    )
}

const NO_USER: ApiError = ApiError::NotFound { what: "user" };

const NOT_INSTALLED: ApiError = ApiError::NotFound {
    what: "user: nothing is installed for this tenant",
};

/// Reads what can stand against each of these. Tables are looked up by the name: `sqlite_master` has no index, and has a dozen
/// rows a tenant.
fn obstacles(caller: &Caller, id: &TenantId, users: &Name) -> Sql {
    Sql::of(
        caller,
        concat!(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE ",
            key_stands!(),
            ") AS key_stands, \
             EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS tenant_is_there, \
             EXISTS (SELECT 1 FROM pragma_table_info(?5)) AS is_installed"
        ),
    )
    .values([id.as_str().into(), users.as_str().into()])
}

/// A row of [`obstacles`], where neither key nor tenant is one.
struct Obstacles {
    is_installed: bool,
}

impl Obstacles {
    /// # Errors
    /// 401 where the key does not stand, 404 where there is no such tenant.
    fn decode(answers: &mut Answers) -> Result<Self, ApiError> {
        let mut row = answers.outcome()?;
        let key_stands = row.boolean("key_stands")?;
        let tenant_is_there = row.boolean("tenant_is_there")?;
        let is_installed = row.boolean("is_installed")?;
        if !key_stands {
            return Err(key_dead());
        }
        if !tenant_is_there {
            return Err(ApiError::NotFound { what: "tenant" });
        }
        Ok(Self { is_installed })
    }
}

fn unexpected(what: &str) -> ApiError {
    ApiError::Internal(Internal::Rows(String::from(what)))
}
