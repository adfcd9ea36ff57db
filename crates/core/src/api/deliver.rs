//! When a host sends the events that webhooks wait for (contract §17).

use core::sync::atomic::Ordering;

use super::{Api, misconfigured};
use crate::log::LogEntry;
use crate::task::TaskError;
use crate::task::deliver::{self, Delivery};
use crate::value::random::Random;
use crate::wire::route::ROUTES;

impl Api {
    /// Begins to send the events that webhooks wait for, for a host's cron trigger.
    ///
    /// # Errors
    /// If the configuration is invalid, the host has no randomness, or the clock is outside the years 0000 to 9999.
    pub fn begin_delivery(
        &self,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Result<Delivery, TaskError> {
        let config = self.config().map_err(misconfigured)?;
        Delivery::begin(config, unix_seconds, random)
    }

    /// The same after an answer, if the request wrote an event. A host that can work on after it has sent the answer calls this, so that events go out at once.
    /// `None` as well for a while after a run that found no webhook ([`Api::delivered`]), so that a write without webhooks costs nothing more.
    pub fn delivery_after(
        &self,
        entry: &LogEntry,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Option<Delivery> {
        let is_write = (200..300).contains(&entry.status)
            && ROUTES.iter().any(|route| {
                Some(route.template) == entry.route
                    && route.method.name() == entry.method
                    && route.operation.writes_event()
            });
        let is_quiet = self
            .0
            .as_ref()
            .is_ok_and(|ready| unix_seconds < ready.quiet_until.load(Ordering::Relaxed))
            && entry
                .route
                .is_none_or(|route| !route.starts_with("/webhooks"));
        if !is_write || is_quiet {
            return None;
        }
        self.begin_delivery(unix_seconds, random).ok()
    }

    /// Notes what a run of the deliveries found.
    pub fn delivered(&self, report: &deliver::Report, unix_seconds: i64) {
        const QUIET_SECONDS: i64 = 60;
        let until = if report.enabled {
            0
        } else {
            unix_seconds.saturating_add(QUIET_SECONDS)
        };
        if let Ok(ready) = &self.0 {
            ready.quiet_until.store(until, Ordering::Relaxed);
        }
    }
}
