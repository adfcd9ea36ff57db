//! Waiting while the API takes no more requests of a key (429), in commands that send many.

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
/// How often a pause looks whether the command is over.
const TICK: Duration = Duration::from_millis(200);

/// What the threads of a command know of each other's requests.
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
    /// through. `tell` hears of each pause, but once only of those that threads make at the same time.
    ///
    /// # Errors
    /// Those of the request.
    pub fn ask<T>(
        &self,
        mut request: impl FnMut() -> Result<T, Error>,
        mut tell: impl FnMut(Duration),
    ) -> Result<T, Error> {
        let mut pauses = 0;
        let mut seen = self.through.load(Ordering::Relaxed);
        loop {
            let answer = request();
            let Some(pause) = answer.as_ref().err().and_then(pause) else {
                self.through.fetch_add(1, Ordering::Relaxed);
                return answer;
            };
            let through = self.through.load(Ordering::Relaxed);
            pauses = if through == seen { pauses + 1 } else { 1 };
            seen = through;
            if pauses > MAX_PAUSES {
                return answer;
            }
            if self.is_news(pause) {
                tell(pause);
            }
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

/// The pause that an error asks for, if it is a 429.
fn pause(error: &Error) -> Option<Duration> {
    let Error::Answer { problem, .. } = error else {
        return None;
    };
    let asked = problem.retry_after_seconds.map(Duration::from_secs);
    (problem.status == Some(429)).then(|| asked.unwrap_or(PAUSE).min(MAX_PAUSE))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tenants_client::error::Error;
    use tenants_client::problem::Problem;

    use super::{MAX_PAUSE, MAX_PAUSES, PAUSE, Patience, pause};

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
    fn only_a_429_asks_for_a_pause_and_a_long_one_is_cut() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(&answer(429, Some(60))), Some(seconds(60)));
        assert_eq!(pause(&answer(429, Some(100_000))), Some(MAX_PAUSE));
        assert_eq!(pause(&answer(429, None)), Some(PAUSE));
        assert_eq!(pause(&answer(503, Some(1))), None);
        assert_eq!(pause(&Error::Machine(String::new())), None);
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
