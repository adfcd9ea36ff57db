//! What comes before a request's first batch, for a host with a rate limiter.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::{Answer, Envelope, Exchange};
use crate::machine::Step;
use crate::operation::call::Next;
use crate::value::fault::ApiError;

/// A request that was judged as far as that is possible without a database. A host with a rate limiter asks it now; others begin
/// ([`Api::begin`]).
pub struct Admission {
    pub(super) begun: Result<Next, ApiError>,
    pub(super) envelope: Envelope,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("envelope", &self.envelope)
            .finish_non_exhaustive()
    }
}

impl Admission {
    /// The name that the limiter counts by, if the request has an API key or a session whose MAC is genuine: the key's id, and 16 hexadecimal digits that tell
    /// its secrets and sessions from each other. So nobody can use up the limit of a key that it does not have, or no longer has.
    #[must_use]
    pub fn limited_as(&self) -> Option<String> {
        let Envelope {
            key_id, credential, ..
        } = self.envelope;
        key_id.map(|id| format!("{id}-{credential:016x}"))
    }

    /// Goes on with the request.
    #[must_use]
    pub fn admitted(self) -> Step<Exchange> {
        Exchange::go_on(self.begun, self.envelope, None)
    }

    /// Refuses the request: its key sends too many.
    #[must_use]
    pub fn refused(mut self) -> Answer {
        self.envelope.used = None;
        self.envelope.refuse(ApiError::TooManyRequests, None)
    }
}
