//! `install` and `user:password-reset`: a tenant's own site, through the API.

use std::convert::Infallible;
use tenants_client::Request;

use clap::Args;
use serde::{Deserialize, Serialize};
use tenants_core::crypto::secret::Secret;
use tenants_core::value::id::TenantId;
use zeroize::Zeroizing;

use super::{TrialArg, body, job, or_lost};
use crate::error::Error;
use crate::names::TENANT;
use crate::output::{Format, World};
use crate::session::Session;

/// The password option's value that means standard input.
const INPUT: &str = "-";
/// The limit of standard input: far more than a password may have.
const INPUT_LIMIT_BYTES: u64 = 4096;

/// The options of `install`.
#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    tenant: TenantChoice,

    /// The name of its first user, an admin: 3 to 16 letters, digits and `_`
    #[arg(long, short)]
    pub username: String,

    /// That user's address
    #[arg(long, short)]
    pub email: String,

    /// That user's password, 6 to 128 characters; `-` reads it from standard input, where other users of this machine cannot
    /// see it
    #[arg(long, short = 'x', allow_hyphen_values = true, value_parser = secret)]
    password: Secret,

    #[command(flatten)]
    trial: TrialArg,
}

/// The options of `user:password-reset`.
#[derive(Debug, Clone, Args)]
pub struct ResetArgs {
    #[command(flatten)]
    tenant: TenantChoice,

    /// The user's name
    #[arg(long, short)]
    pub username: String,

    /// The new password, 6 to 128 characters; `-` reads it from standard input, where other users of this machine cannot see it
    /// [default: a generated one, which is printed]
    #[arg(long, short = 'x', allow_hyphen_values = true, value_parser = secret)]
    password: Option<Secret>,

    #[command(flatten)]
    trial: TrialArg,
}

#[derive(Debug, Clone, Args)]
struct TenantChoice {
    /// The tenant's identifier [env: CHEVERETO_TENANT]
    #[arg(long, value_parser = TenantId::parse)]
    id: Option<TenantId>,
}

impl TenantChoice {
    fn find(&self, session: &Session<'_>) -> Result<TenantId, Error> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let Some(text) = session.settings.variable(TENANT) else {
            return Err(Error::Usage(format!(
                "which tenant? Give --id, or set {TENANT}"
            )));
        };
        TenantId::parse(&text).map_err(|detail| Error::Configuration(format!("{TENANT}: {detail}")))
    }
}

#[derive(Serialize)]
struct Fields<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

#[derive(Deserialize)]
struct Reset {
    password: String,
}

/// Creates a tenant's tables and its first user, and shows the response.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request.
pub fn install(
    args: &InstallArgs,
    session: &Session<'_>,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let id = args.tenant.find(session)?;
    let password = password(&args.password, world)?;
    let body = Zeroizing::new(body(&Fields {
        username: &args.username,
        email: Some(&args.email),
        password: Some(password.text()),
    })?);
    let path = args.trial.path(&format!("/tenants/{id}/install"));
    let client = session.client(world)?;
    let answer = job::call(None, Request::Post(&body), &path, &client, world)?;
    if job::wait(&answer, &client, world)? {
        return session.say(&format!("installed the site of the tenant `{id}`"), world);
    }
    session.show(&answer.body, world)
}

/// Sets a user's password: the given one, or a generated one that is shown once.
///
/// # Errors
/// Fails if the API cannot be reached or refuses the request, or if the generated password cannot be shown.
pub fn reset(args: &ResetArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let id = args.tenant.find(session)?;
    let given = match &args.password {
        Some(text) => Some(password(text, world)?),
        None => None,
    };
    let body = Zeroizing::new(body(&Fields {
        username: &args.username,
        email: None,
        password: given.as_ref().map(Secret::text),
    })?);
    let path = args
        .trial
        .path(&format!("/tenants/{id}/user-password-reset"));
    let client = session.client(world)?;
    let mut answer = job::call(None, Request::Patch(&body), &path, &client, world)?;
    if args.trial.validate_only {
        return session.show(&answer.body, world);
    }
    if let Some(result) = job::result(&answer, &client, world)? {
        answer.body = result;
    }
    let text = Zeroizing::new(answer.body);
    let user = format!("user `{}` of tenant `{id}`", args.username);
    let advice = format!("The password of {user} was reset, but nobody has it now. Reset it again");
    if session.format == Format::Json {
        return or_lost(world.print(text.trim()), &advice);
    }
    if given.is_some() {
        return session.say(&format!("set the password of {user}"), world);
    }
    let Reset { password } = serde_json::from_str(&text).map_err(|_| Error::Strange {
        detail: "the password was reset, but the response does not contain it; reset it again"
            .into(),
        request_id: String::new(),
    })?;
    // Print only the password on standard output, so that `PASSWORD=$(tenants user:password-reset …)` works in a script.
    let password = Zeroizing::new(password);
    or_lost(world.print(&password), &advice)?;
    world.note(&format!(
        "This is the new password of {user}. It cannot be shown again: the database has only its hash."
    ));
    Ok(())
}

/// Returns the given password, or reads it from standard input: all of the input except for one line end at its end.
fn password(given: &Secret, world: &mut World<'_>) -> Result<Secret, Error> {
    use std::io::Read as _;

    if given.text() != INPUT {
        return Ok(given.clone());
    }
    let mut text = Zeroizing::new(String::new());
    (&mut *world.input)
        .take(INPUT_LIMIT_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| Error::Machine(format!("standard input cannot be read: {e}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Error::Usage(
            "--password -: expected a password on standard input; got none".into(),
        ));
    }
    Ok(Secret::new(line.to_owned()))
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}
