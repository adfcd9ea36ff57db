//! Writes of a site that has a database of its own (`store/site_databases.rs`): the registry, then the site, then the registry again.
//!
//! Only the first of the three judges the caller's key, so a key that is deleted meanwhile leaves nothing half-done. A write that is cut off
//! is completed by the same request again, since nobody has had its response. An installation or a drop is also ended by the cron trigger.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::{
    NO_TENANT, NO_USER, NOT_INSTALLED, has_password, installed, installed_before, open_password,
    reset_before,
};
use crate::crypto::hashing::{Hashing, Password};
use crate::crypto::seal::Sealer;
use crate::machine::{Context, Failure};
use crate::operation::call::{Next, Pending};
use crate::sql::{Batch, Results};
use crate::store::audit::Action;
use crate::store::idempotency::Past;
use crate::store::sealed::seal_text;
use crate::store::site_databases::{self, Claim, INSTALLED, INSTALLING, Place};
use crate::store::sites::{Admin, Aftermath, Installed, Obstacles, Site, is_moved};
use crate::store::write::Writer;
use crate::value::fault::{ApiError, CellConflict};
use crate::value::user::{Email, Username};
use crate::wire::http::Response;

/// A write of a site.
pub(super) enum Work {
    Install {
        username: Username,
        email: Email,
        password_hash: String,
        /// The path of the tenants.
        tenants: String,
    },
    Reset {
        username: Username,
        password: Password,
        password_hash: String,
        /// The password, encrypted, if it was generated and is remembered.
        secret: Option<String>,
        sealer: Option<Arc<Sealer>>,
        hashing: Hashing,
    },
}

impl Work {
    /// Writes the site.
    pub(super) fn begin(mut self, site: Site, writer: Writer) -> Next {
        let (state, secret) = match &self {
            Self::Install { .. } => (INSTALLING, None),
            Self::Reset { secret, .. } => (INSTALLED, secret.as_deref()),
        };
        let batch = site.apart_claim(&writer, state, secret);
        let pending = Pending::write_then(batch, move |results, context| {
            let Some(claim) = Claim::decode(results)? else {
                let Obstacles {
                    is_installed,
                    has_cell,
                    place,
                    past,
                    begun: _,
                } = Obstacles::decode(results)?;
                if past.is_none() && place == Place::Moving {
                    return Err(is_moved());
                }
                return self.refuse(past, has_cell, is_installed, results);
            };
            self.take_up(&writer, results, context)?;
            let batch = self.batch(&site, &writer, claim.number);
            Ok(Next::run(Pending::write_then(batch, move |results, _| {
                self.finish(site, writer, claim, results)
            })))
        });
        Next::run(pending)
    }

    /// Takes the password that the same request has generated before, if it was cut off, since its site may have that one already.
    fn take_up(
        &mut self,
        writer: &Writer,
        results: &mut Results,
        context: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let Self::Reset {
            password,
            password_hash,
            secret: Some(secret),
            sealer: Some(sealer),
            hashing,
            ..
        } = self
        else {
            return Ok(());
        };
        let Some(idempotency) = writer.idempotency() else {
            return Ok(());
        };
        match Obstacles::decode(results)?.begun {
            Some((fingerprint, begun)) if begun != *secret => {
                *password = open_password(&fingerprint, &begun, Some(sealer))?;
                *password_hash = hashing.hash(password, context.random)?;
                // The request may have another fingerprint now, by which its row is found.
                let place = idempotency.secret_place();
                *secret = seal_text(place, password.text(), sealer, context.random)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The site's part.
    fn batch(&self, site: &Site, writer: &Writer, number: i64) -> Batch {
        match self {
            Self::Install {
                username,
                email,
                password_hash,
                ..
            } => {
                let admin = Admin {
                    username,
                    email,
                    password_hash: password_hash.clone(),
                };
                site.apart_install(writer, number, admin)
            }
            Self::Reset {
                username,
                password_hash,
                ..
            } => site.apart_reset(number, username, password_hash),
        }
    }

    /// Goes on after the site's part.
    fn finish(
        mut self,
        site: Site,
        writer: Writer,
        claim: Claim,
        results: &mut Results,
    ) -> Result<Next, ApiError> {
        let (action, answer, secret) = match &mut self {
            Self::Install { .. } => (Action::TenantInstall, claim.tenant_id, None),
            Self::Reset { secret, .. } => {
                results.skip()?;
                results.skip()?;
                let Some(mut row) = results.row()? else {
                    return no_user(&writer, secret.is_some());
                };
                let action = Action::TenantUserPasswordReset;
                (action, row.text("username")?, secret.take())
            }
        };
        let batch = site.apart_finish(&writer, claim.number, action, &answer, secret);
        Ok(Next::run(Pending::write_then(batch, move |results, _| {
            if results.row()?.is_some() {
                return Ok(Next::Send(self.response(answer), None));
            }
            let found = Aftermath::decode(results)?;
            if found.is_done && found.past.is_none() {
                return Ok(Next::Send(self.response(answer), None));
            }
            if found.tenant_id.is_none() && found.past.is_none() {
                return Err(NO_TENANT);
            }
            self.refuse(found.past, found.has_cell, found.is_installed, results)
        })))
    }

    /// The response to a write that was made.
    fn response(&self, answer: String) -> Response {
        match self {
            Self::Install {
                username,
                email,
                tenants,
                ..
            } => {
                let made = Installed {
                    tenant_id: answer,
                    username: username.as_str().into(),
                    email: email.as_str().into(),
                };
                installed(&made, tenants)
            }
            Self::Reset { password, .. } => has_password(&answer, password),
        }
    }

    /// The response to a write that was not made: the same request was faster, or something else came between.
    fn refuse(
        self,
        past: Option<Past>,
        has_cell: bool,
        is_installed: bool,
        results: &mut Results,
    ) -> Result<Next, ApiError> {
        if let Some(past) = past {
            let response = match self {
                Self::Install {
                    username,
                    email,
                    tenants,
                    ..
                } => installed(
                    &installed_before(past, &username, &email, results)?,
                    &tenants,
                ),
                Self::Reset {
                    password, sealer, ..
                } => reset_before(past, &password, sealer.as_deref(), results)?,
            };
            return Ok(Next::Send(response, None));
        }
        Err(match self {
            _ if has_cell => ApiError::Cell(CellConflict::Changed),
            Self::Install { .. } if is_installed => ApiError::AlreadyInstalled,
            Self::Reset { .. } if !is_installed => NOT_INSTALLED,
            _ => ApiError::Unavailable("another write of this site came between".into()),
        })
    }
}

/// Refuses a reset that found no user, after what it `has_begun` with is forgotten. If that fails, it stays until it expires, and is in the way of
/// no other request.
fn no_user(writer: &Writer, has_begun: bool) -> Result<Next, ApiError> {
    match writer.idempotency() {
        Some(idempotency) if has_begun => {
            let forget = Batch::one(idempotency.forget_begun(writer));
            Ok(Next::run(Pending::either_way(forget, |_| Err(NO_USER))))
        }
        _ => Err(NO_USER),
    }
}

/// Drops a site that is marked. The tenant is gone already, and the cron trigger drops what stays marked: so the response is the same either
/// way, and the log has the failure.
pub(super) fn drop_marked(site: Site, number: i64) -> Next {
    let batch = site.apart_drop(number);
    Next::run(Pending::either_way(batch, move |results| {
        if let Err(failure) = results {
            return Ok(marked_still(&failure));
        }
        let batch = Batch::one(site_databases::dropped(site.id(), number));
        Ok(Next::run(Pending::either_way(batch, |results| {
            Ok(match results {
                Ok(_) => Next::Send(Response::empty(204), None),
                Err(failure) => marked_still(&failure),
            })
        })))
    }))
}

fn marked_still(failure: &Failure) -> Next {
    let note = format!("the cron trigger will drop the site: {failure}");
    Next::Send(Response::empty(204), Some(note))
}
