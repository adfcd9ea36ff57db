//! What a host sends for a request: a response with its entry in the log, and the rest of a long body.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Envelope, Proof, UNAVAILABLE};
use crate::log::LogEntry;
use crate::machine::{Context, Effect, Failure, Host, Machine, Outcome, Step, drive};
use crate::operation::call::Tail;
use crate::sql::{Batch, Results, Rows};
use crate::store::standing;
use crate::value::fault::{ApiError, Internal};
use crate::value::random::Random;
use crate::wire::http::{Response, request_id};

/// A response, and its entry in the log.
#[derive(Debug)]
pub struct Answer {
    /// The response to send.
    pub response: Response,
    /// The entry to log, after the last part of the body was sent.
    pub log: LogEntry,
    /// The rest of the body, if it has more than [`Response::body`].
    pub rest: Option<Rest>,
    /// A write on which the response does not depend: that the key was used in this hour, or the session in this minute. A host that can runs it
    /// after it has sent the response; others call [`Answer::settled`]. If it fails, the host logs that, and nothing else is lost.
    pub afterwards: Option<Batch>,
}

/// The rest of a body, which is a long list. The host sends what it has, then drives this machine to the next [`Part`]: at no time is more than one
/// part of the list in memory.
///
/// The output is an error if a part fails. Then the host breaks the response off, so that nobody takes it for a whole one, and logs the
/// answer's entry in place of the first one. Its response is for a host that has sent nothing yet.
pub struct Rest(Box<Opened>);

struct Opened {
    tail: Tail,
    envelope: Envelope,
}

/// A part of a body.
#[derive(Debug)]
pub struct Part {
    /// The text to send now.
    pub text: String,
    /// The rest after it.
    pub rest: Option<Rest>,
}

impl Answer {
    /// The answer to a request that the host could not finish, such as one whose instance of the core crashed: a 500 with the request's id,
    /// and the cause in the log. `asked_id` is the request's own `X-Request-Id`.
    pub fn of_failure(
        method: &str,
        asked_id: Option<&str>,
        cause: String,
        random: &mut dyn Random,
    ) -> Self {
        let id = request_id(asked_id, random).unwrap_or_else(|_| UNAVAILABLE.into());
        // Only a 401 shows the time.
        Envelope::new(id, method, 0).refuse(ApiError::Internal(Internal::Host(cause)), None)
    }

    /// Runs [`Answer::afterwards`], for a host that does so before it sends the response. If it fails, the log's entry says so.
    #[must_use]
    pub fn settled(mut self, host: &mut impl Host) -> Self {
        if let Some(batch) = self.afterwards.take()
            && let Err(failure) = host.run(&batch)
        {
            let cause = format!("the key's use could not be noted: {failure}");
            self.log.cause = Some(match self.log.cause.take() {
                Some(first) => format!("{first}; {cause}"),
                None => cause,
            });
        }
        self
    }

    /// Waits for the whole body, for a host that cannot send parts. If one fails, so does the answer.
    #[must_use]
    pub fn whole(mut self, host: &mut impl Host) -> Self {
        let mut body =
            core::mem::replace(&mut self.response.body, String::new().into()).into_string();
        let mut rest = self.rest.take();
        while let Some(machine) = rest {
            match drive(Step::Run(machine), host) {
                Ok(part) => {
                    body.push_str(&part.text);
                    rest = part.rest;
                }
                Err(failed) => return *failed,
            }
        }
        self.response.body = body.into();
        self
    }
}

impl Rest {
    pub(super) fn new(mut tail: Tail, envelope: Envelope) -> Self {
        if envelope.proof == Proof::Session {
            tail.batch = standing::of_session(tail.batch);
        }
        Self(Box::new(Opened { tail, envelope }))
    }

    /// The batch to run.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.0.tail.batch
    }

    /// Takes the result of the batch. Each part is one batch, so this is all that [`Machine::resume`] does.
    ///
    /// # Errors
    /// The answer to a part that failed.
    pub fn part(self, result: Result<Vec<Rows>, Failure>) -> Result<Part, Box<Answer>> {
        let Opened { tail, envelope } = *self.0;
        let expected = tail.batch.statements().len();
        let part = result
            .map_err(ApiError::from)
            .and_then(|rows| (tail.go_on)(&mut Results::new(rows, expected)?));
        match part {
            Ok((text, tail)) => Ok(Part {
                text,
                rest: tail.map(|tail| Self::new(tail, envelope)),
            }),
            Err(error) => {
                let mut answer = envelope.refuse(error, None);
                let cause = answer.log.cause.take().unwrap_or_default();
                answer.log.cause = Some(format!("the list broke off: {cause}"));
                Err(Box::new(answer))
            }
        }
    }
}

impl Machine for Rest {
    type Output = Result<Part, Box<Answer>>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(self.batch())
    }

    fn resume(self, outcome: Outcome, _context: &mut Context<'_>) -> Step<Self> {
        Step::Done(self.part(outcome.of_batch()))
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("envelope", &self.0.envelope)
            .finish_non_exhaustive()
    }
}
