//! `GET /_/health` (contract §11): whether the service can serve requests.
//!
//! Anybody may ask, without a key. So the response has the two versions and nothing else, and the reason of a 503 is in the log only.

use alloc::string::String;

use crate::machine::{Failure, FailureKind};
use crate::operation::call::Pending;
use crate::store::migrations;
use crate::value::fault::{ApiError, NotReady};
use crate::value::version::VERSION;
use crate::wire::http::Response;
use crate::wire::json::object;

/// Asks the database which migrations it has.
pub(crate) fn check() -> Pending {
    Pending::or_failed(migrations::read(), |results| {
        let names = migrations::recorded(results.map_err(failed)?)?;
        if let Some(missing) = migrations::first_missing(&names) {
            return Err(ApiError::NotReady(NotReady::Behind(missing.name)));
        }
        // A migration that this version does not know is no fault: a release's migrations come before its Worker, and remain after a
        // rollback.
        let newest = names.last().map_or("", String::as_str);
        Ok(Response::json(
            200,
            object(|out| out.text("version", VERSION).text("schema", newest)),
        ))
    })
}

fn failed(Failure { reason, kind }: Failure) -> ApiError {
    match kind {
        FailureKind::Failed => ApiError::NotReady(NotReady::Database(reason)),
        FailureKind::Unavailable => ApiError::Unavailable(reason),
    }
}
