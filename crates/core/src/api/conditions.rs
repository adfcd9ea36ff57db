//! Conditions that hold for any route: `If-Match` of reads, and trials (contract §12).

use crate::operation::call::{Next, valid};
use crate::value::fault::ApiError;
use crate::wire::conditional::Condition;

/// `If-Match` of a read: its response must be one of these versions.
#[derive(Debug, Clone)]
pub(super) struct Match {
    condition: Condition,
    /// Whether the `ETag` of the route has a revision, which is then all that is compared.
    has_revision: bool,
}

impl Match {
    pub(super) fn new(condition: Condition, has_revision: bool) -> Self {
        Self {
            condition,
            has_revision,
        }
    }

    /// Compares the `ETag` of a successful read.
    ///
    /// # Errors
    /// 412 if it is another one, or if there is none.
    pub(super) fn compared(&self, next: Next) -> Result<Next, ApiError> {
        let (Next::Send(response, _) | Next::Open(response, _)) = &next else {
            return Ok(next);
        };
        let is_found = matches!(response.status, 200 | 304);
        if is_found
            && !self
                .condition
                .holds(response.header("etag"), self.has_revision)
        {
            return Err(ApiError::PreconditionFailed);
        }
        Ok(next)
    }
}

/// A write that writes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// The request only asks whether it could be carried out (`validate_only=true`).
    Asked,
    /// It has `If-Match`, and its route has no versions: a 412, unless something that is judged before `If-Match` is wrong.
    Unmatched,
}

impl Trial {
    /// The next step in place of that of the write. Its batch writes nothing.
    pub(super) fn outcome(self, next: Result<Next, ApiError>) -> Result<Next, ApiError> {
        match (self, next) {
            (_, Ok(Next::Run(pending, failure))) => Ok(Next::Run(pending.tried(), failure)),
            (Self::Asked, Ok(Next::Send(response, note))) if response.status < 300 => {
                Ok(Next::Send(valid(), note))
            }
            (Self::Unmatched, Ok(_)) => Err(ApiError::PreconditionFailed),
            // A 409 or a 422 is judged after `If-Match`, so the 412 takes its place.
            (Self::Unmatched, Err(error)) if matches!(error.code().status(), 409 | 422) => {
                Err(ApiError::PreconditionFailed)
            }
            (_, next) => next,
        }
    }
}
