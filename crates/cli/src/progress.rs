//! Progress of long commands on standard error: a bar on a terminal, otherwise a line from time to time.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::World;

/// The progress between two lines, in percent.
const STEP_PERCENT: u64 = 10;

/// The progress of one command.
pub struct Progress<'a, 'b> {
    what: &'static str,
    world: &'a mut World<'b>,
    bar: Option<ProgressBar>,
    said_percent: Option<u64>,
}

impl<'a, 'b> Progress<'a, 'b> {
    /// Starts to show progress, under a label such as `encrypting again`.
    pub fn new(what: &'static str, world: &'a mut World<'b>) -> Self {
        let bar = (world.is_watched && !world.is_quiet).then(|| {
            // indicatif draws on standard error, which is a terminal here.
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
            let bar = ProgressBar::new(0).with_message(what);
            match style {
                Ok(style) => bar.with_style(style),
                // Our template is valid. If it were not, the bar would have its default style.
                Err(_) => bar,
            }
        });
        Self {
            what,
            world,
            bar,
            said_percent: None,
        }
    }

    /// Shows the progress: `done` of `total`.
    pub fn show(&mut self, done: u64, total: u64) {
        if total == 0 {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let percent = done.saturating_mul(100) / total;
        let is_due = match self.said_percent {
            None => true,
            Some(said) => percent >= said + STEP_PERCENT || (done == total && percent > said),
        };
        if is_due {
            self.said_percent = Some(percent);
            self.world
                .note(&format!("{}: {done} of {total}", self.what));
        }
    }

    /// Writes a note beside the progress, except with `--quiet`.
    pub fn note(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.world.note(line)),
            None => self.world.note(line),
        }
    }
}

impl Drop for Progress<'_, '_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A sign on a terminal that something is under way whose end nobody knows, with the time that it takes.
pub struct Spinner(Option<ProgressBar>);

impl Spinner {
    /// Starts to show it.
    #[must_use]
    pub fn new(what: impl Into<String>, world: &World<'_>) -> Self {
        let bar = (world.is_watched && !world.is_quiet).then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            let bar = ProgressBar::new_spinner().with_message(what.into());
            let bar = match style {
                Ok(style) => bar.with_style(style),
                // Our template is valid. If it were not, the spinner would have its default style.
                Err(_) => bar,
            };
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self(bar)
    }

    /// Changes the words. Returns whether a terminal shows them.
    pub fn say(&self, what: impl Into<String>) -> bool {
        if let Some(bar) = &self.0 {
            bar.set_message(what.into());
        }
        self.0.is_some()
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
