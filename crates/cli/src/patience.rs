//! Asking again in commands that send many requests: while the API takes no more of a key (429), and after failures that may pass.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tenants_client::error::Error;

/// The pause after a 429 that does not say how long.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause, whatever a response asks for.
const MAX_PAUSE: Duration = Duration::from_secs(120);
/// The number of pauses of one request while no other request of the command gets through. The next 429 is then its answer.
const MAX_PAUSES: u32 = 5;
/// The pauses before the second try of a request that failed in a way that may pass, and those after it, in milliseconds.
const PAUSES_MS: [u64; 5] = [200, 500, 1_000, 2_000, 5_000];
/// How often a pause looks whether the command is over.
const TICK: Duration = Duration::from_millis(200);

/// The threads of a command share it, and so know of each other's requests.
#[derive(Debug, Default)]
pub struct Patience {
    /// The number of requests that got through.
    through: AtomicU64,
    is_over: AtomicBool,
    /// The end of the last pause that somebody was told of.
    told_until: Mutex<Option<Instant>>,
}

impl Patience {
    /// Ends the command: nobody waits any longer.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the command is over.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Sends a request, and again after each 429, as late as that asks for: at most 2 minutes later, and 5 times in a row while no other request gets
    /// through. `tell` hears of each such pause, but once only of those that threads make at the same time. A request that the API cannot be reached for,
    /// or fails at, is sent again up to 5 times, so it must not do harm a second time.
    ///
    /// # Errors
    /// Those of the request.
    pub fn ask<T>(
        &self,
        mut request: impl FnMut() -> Result<T, Error>,
        mut tell: impl FnMut(Duration),
    ) -> Result<T, Error> {
        let mut failures = PAUSES_MS.into_iter().map(Duration::from_millis);
        let mut in_a_row = 0;
        let mut seen = self.through.load(Ordering::Relaxed);
        loop {
            let answer = request();
            let pause = match answer.as_ref().err().map(cause) {
                Some(Cause::Limit(pause)) => {
                    let through = self.through.load(Ordering::Relaxed);
                    in_a_row = if through == seen { in_a_row + 1 } else { 1 };
                    seen = through;
                    if in_a_row > MAX_PAUSES {
                        return answer;
                    }
                    if self.is_news(pause) {
                        tell(pause);
                    }
                    pause
                }
                Some(Cause::Failure) => match failures.next() {
                    Some(pause) => pause,
                    None => return answer,
                },
                Some(Cause::Refusal) | None => {
                    self.through.fetch_add(1, Ordering::Relaxed);
                    return answer;
                }
            };
            self.sleep(pause);
            if self.is_over() {
                return answer;
            }
        }
    }

    /// Whether no pause that somebody was told of lasts still.
    fn is_news(&self, pause: Duration) -> bool {
        let now = Instant::now();
        let mut until = self
            .told_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_news = until.is_none_or(|until| until <= now);
        if is_news {
            *until = Some(now + pause);
        }
        is_news
    }

    fn sleep(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.is_over() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(TICK));
        }
    }
}

/// The note on a pause, for people.
#[must_use]
pub fn note(pause: Duration) -> String {
    format!(
        "The API takes no more requests of this key for now. Going on in {} s",
        pause.as_secs()
    )
}

/// Why a request has no success.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// The API takes no more requests of the key before this pause is over.
    Limit(Duration),
    /// A failure that may pass.
    Failure,
    /// Asking again would change nothing.
    Refusal,
}

/// Whether the API takes no more requests of the key for now.
#[must_use]
pub fn is_limit(error: &Error) -> bool {
    matches!(cause(error), Cause::Limit(_))
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Unreachable { .. } => Cause::Failure,
        Error::Answer { problem, .. } => match problem.status {
            Some(429) => {
                let asked = problem.retry_after_seconds.map(Duration::from_secs);
                Cause::Limit(asked.unwrap_or(PAUSE).min(MAX_PAUSE))
            }
            Some(500..) => Cause::Failure,
            _ => Cause::Refusal,
        },
        _ => Cause::Refusal,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tenants_client::error::Error;
    use tenants_client::problem::Problem;

    use super::{Cause, MAX_PAUSE, MAX_PAUSES, PAUSE, Patience, cause};

    fn answer(status: u16, retry_after_seconds: Option<u64>) -> Error {
        Error::Answer {
            problem: Box::new(Problem {
                status: Some(status),
                retry_after_seconds,
                ..Problem::default()
            }),
            used: None,
        }
    }

    #[test]
    fn a_429_asks_for_a_pause_and_a_long_one_is_cut() {
        let limit = |seconds| Cause::Limit(Duration::from_secs(seconds));
        for (error, expected) in [
            (answer(429, Some(60)), limit(60)),
            (answer(429, Some(100_000)), Cause::Limit(MAX_PAUSE)),
            (answer(429, None), Cause::Limit(PAUSE)),
            (answer(503, Some(1)), Cause::Failure),
            (answer(422, None), Cause::Refusal),
            (Error::Machine(String::new()), Cause::Refusal),
        ] {
            assert_eq!(cause(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_failure_that_passes_does_no_harm() {
        let patience = Patience::default();
        let asked = Cell::new(0);
        let fails_once = || {
            asked.set(asked.get() + 1);
            match asked.get() {
                1 => Err(answer(500, None)),
                _ => Ok("done"),
            }
        };
        assert_eq!(patience.ask(fails_once, |_| ()).unwrap(), "done");
        // A refused request is not sent again.
        let refused = || {
            asked.set(asked.get() + 1);
            Err::<(), _>(answer(404, None))
        };
        patience.ask(refused, |_| ()).unwrap_err();
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn a_request_waits_as_long_as_others_get_through() {
        let patience = Patience::default();
        let asked = Cell::new(0);
        let refused = || {
            asked.set(asked.get() + 1);
            Err::<(), _>(answer(429, Some(0)))
        };
        patience.ask(refused, |_| ()).unwrap_err();
        assert_eq!(asked.get(), MAX_PAUSES + 1);

        // Each time that it asks, another thread has got through meanwhile.
        asked.set(0);
        let busy = || {
            asked.set(asked.get() + 1);
            patience.ask(|| Ok(()), |_| ()).unwrap();
            match asked.get() {
                20 => Ok("through"),
                _ => Err(answer(429, Some(0))),
            }
        };
        assert_eq!(patience.ask(busy, |_| ()).unwrap(), "through");
    }

    #[test]
    fn a_command_that_is_over_waits_no_longer() {
        let patience = Patience::default();
        patience.end();
        let waits = || Err::<(), _>(answer(429, Some(100)));
        let mut told = Vec::new();
        patience.ask(waits, |pause| told.push(pause)).unwrap_err();
        patience.ask(waits, |pause| told.push(pause)).unwrap_err();
        assert_eq!(told.len(), 1, "of pauses at the same time one is told");
    }
}
