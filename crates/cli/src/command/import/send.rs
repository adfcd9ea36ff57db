//! Sending the lines of an import, several at a time.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tenants_client::problem::Problem;
use tenants_client::{Client, Request};
use tenants_core::value::clock::Timestamp;
use zeroize::Zeroizing;

use super::below::Below;
use super::report::{Outcome, Report, unusable};
use super::row::{Form, Kind, Row};
use crate::error::Error;
use crate::output::World;
use crate::patience::{self, Patience};
use crate::progress::Progress;
use crate::session::now;

/// The status of a PUT that has made a resource.
const CREATED: u16 = 201;

/// An import under way.
pub(super) struct Import {
    pub(super) client: Client,
    /// The beginning of each `Idempotency-Key`.
    pub(super) run_id: String,
    pub(super) clock: Clock,
    pub(super) dry_run: bool,
    pub(super) jobs: u8,
    /// The plans of the file: their ids in lower case, and their lines. Once they are sent, only those that the API has accepted.
    pub(super) plans: HashMap<String, u64>,
    pub(super) report: Report,
}

/// The time, for an import's threads.
pub(super) struct Clock {
    began_at: i64,
    began: Instant,
}

impl Clock {
    /// Begins, at the world's time.
    ///
    /// # Errors
    /// If the world's clock is outside the years that times can have.
    pub(super) fn begin(world: &World<'_>) -> Result<Self, Error> {
        now(world)?;
        Ok(Self {
            began_at: (world.now)(),
            began: Instant::now(),
        })
    }

    fn now(&self) -> Result<Timestamp, Failed> {
        let passed = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_unix(self.began_at.saturating_add(passed))
            .map_err(|_| Failed::Import(Error::Machine("this machine's clock is wrong".into())))
    }
}

/// A message of an import's threads.
enum Heard<'a> {
    /// They pause, since the API takes no more requests for now.
    Pause(Duration),
    /// A line is done, or the import fails.
    Outcome(&'a Row, Result<Outcome, Error>),
}

impl Import {
    /// Sends the plans, and then the tenants, which name plans.
    pub(super) fn carry_out(
        &mut self,
        plans: Vec<Row>,
        tenants: Vec<Row>,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        self.send(plans, world)?;
        // Of a trial: a plan whose line is refused may be there already. The API knows.
        let refused = self.report.refused.iter();
        let refused: HashSet<u64> = refused.map(|one| one.line).collect();
        self.plans.retain(|_, line| !refused.contains(line));
        self.send(tenants, world)
    }

    /// Sends rows, several at a time. A line that is refused does not stop the others; an API that fails or refuses the caller does.
    fn send(&mut self, rows: Vec<Row>, world: &mut World<'_>) -> Result<(), Error> {
        let Some(kind) = rows.first().map(|row| row.kind) else {
            return Ok(());
        };
        let what = match kind {
            Kind::Plan => "importing plans",
            Kind::Tenant => "importing tenants",
        };
        let total = rows.len();
        let mut progress = Progress::new(what, world);
        let mut done = 0_usize;
        let mut failed = None;
        let (next, patience) = (AtomicUsize::new(0), Patience::default());
        let (sender, heard) = channel();
        let this = &*self;
        let mut outcomes = Vec::with_capacity(total);
        thread::scope(|scope| {
            for _ in 0..this.jobs {
                let sender = sender.clone();
                let (rows, next, patience) = (&rows, &next, &patience);
                scope.spawn(move || {
                    let worker = Worker {
                        import: this,
                        patience,
                        sender,
                    };
                    while !patience.is_over()
                        && let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let outcome = match worker.make(row) {
                            Ok(outcome) => Ok(outcome),
                            Err(Failed::Line(problem)) => Ok(Outcome::Refused(vec![*problem])),
                            Err(Failed::Import(error)) => Err(error),
                        };
                        worker.say(Heard::Outcome(row, outcome));
                    }
                });
            }
            drop(sender);
            for heard in heard {
                match heard {
                    Heard::Pause(pause) => progress.note(&patience::note(pause)),
                    Heard::Outcome(row, Ok(outcome)) => {
                        done += 1;
                        outcomes.push((row, outcome));
                        progress.show(done as u64, total as u64);
                    }
                    Heard::Outcome(_, Err(error)) => {
                        patience.end();
                        failed.get_or_insert(error);
                    }
                }
            }
        });
        drop(progress);
        for (row, outcome) in outcomes {
            self.report.count(row, outcome);
        }
        match failed {
            None => Ok(()),
            Some(error) => {
                let note = if self.dry_run {
                    "The check stopped"
                } else {
                    "The import stopped. Run it again: lines that are done already change nothing"
                };
                world.note(&format!("{note} ({done} of {total} {}s done)", kind.name()));
                Err(Error::Stopped(Box::new(error)))
            }
        }
    }
}

/// Why a request of a line has no success.
enum Failed {
    /// The API refuses the line.
    Line(Box<Problem>),
    /// The API fails, or refuses the caller: another line would fare no better.
    Import(Error),
}

impl Failed {
    /// Whether the API knows no such tenant, or no such route.
    fn is_absent(&self) -> bool {
        matches!(self, Self::Import(Error::Answer { problem, .. }) if problem.status == Some(404))
    }

    fn unusable(detail: String) -> Self {
        Self::Line(Box::new(unusable(detail)))
    }

    /// Says of a tenant that the import has made before the API refuses a part of its line.
    fn after_it_was_made(mut self) -> Self {
        if let Self::Line(problem) = &mut self {
            problem.detail += ". The tenant was made already, and is off";
        }
        self
    }

    /// Says which part of the line the API refuses.
    fn about(mut self, name: &str) -> Self {
        if let Self::Line(problem) = &mut self {
            problem.detail = format!("{name}: {}", problem.detail);
        }
        self
    }
}

/// A thread of an import of rows.
struct Worker<'i, 'rows> {
    import: &'i Import,
    patience: &'i Patience,
    sender: Sender<Heard<'rows>>,
}

impl<'rows> Worker<'_, 'rows> {
    fn say(&self, heard: Heard<'rows>) {
        // The receiver lives as long as the threads.
        drop(self.sender.send(heard));
    }

    /// Makes one row so, as it is at this time. If a time of it passes before the API has judged it, it is made so once more.
    fn make(&self, row: &Row) -> Result<Outcome, Failed> {
        let now = self.import.clock.now()?;
        let end = row.line.to_string();
        let made = self.make_at(row, &now, &end);
        let later = self.import.clock.now()?;
        match made {
            Err(Failed::Line(_)) | Ok(Outcome::Refused(_)) if row.differs(&now, &later) => {
                self.make_at(row, &later, &format!("{end}-later"))
            }
            made => made,
        }
    }

    /// Makes one row so. A tenant that is to have holds has them, or is off, before it is as its line says, so its site is never served.
    fn make_at(&self, row: &Row, now: &Timestamp, end: &str) -> Result<Outcome, Failed> {
        row.check_end(now).map_err(Failed::unusable)?;
        if self.import.dry_run {
            return self.try_out(row, now, end);
        }
        let path = format!("{}/{}", row.kind.path(), row.id);
        let body = |form| Zeroizing::new(row.body(form, now));
        let holds = row.holds(now);
        let mut is_new = false;
        let held = self.put_all(&holds, &path, end);
        if held.as_ref().is_err_and(Failed::is_absent) {
            // The tenant is not there yet.
            is_new = self.put(&path, &body(Form::Off), &format!("{end}-off"))? == CREATED;
            let held = self.put_all(&holds, &path, end);
            held.map_err(|failed| match is_new {
                true => failed.after_it_was_made(),
                false => failed,
            })?;
        } else {
            held?;
        }
        is_new |= self.put(&path, &body(Form::Whole), end)? == CREATED;
        self.put_all(&row.hostnames, &path, end)?;
        Ok(if is_new {
            Outcome::Created
        } else {
            Outcome::Existing
        })
    }

    /// Asks the API about all of one row. Of a tenant that is not there yet, the API checks the holds and the further hostnames all the same
    /// before it says so.
    fn try_out(&self, row: &Row, now: &Timestamp, end: &str) -> Result<Outcome, Failed> {
        let path = format!("{}/{}", row.kind.path(), row.id);
        let plans = &self.import.plans;
        let in_file = |id: &String| plans.contains_key(&id.to_ascii_lowercase());
        let form = if row.plan_id.as_ref().is_some_and(in_file) {
            Form::WithoutPlan
        } else {
            Form::Whole
        };
        let body = Zeroizing::new(row.body(form, now));
        let mut refused = Vec::new();
        let mut hear = |asked, may_be_absent| match asked {
            Err(failed) if may_be_absent && Failed::is_absent(&failed) => Ok(()),
            Err(Failed::Line(problem)) => {
                refused.push(*problem);
                Ok(())
            }
            other => other,
        };
        for hold in &row.holds(now) {
            hear(self.put_below(hold, &path, end), true)?;
        }
        hear(self.put(&path, &body, end).map(drop), false)?;
        for hostname in &row.hostnames {
            hear(self.put_below(hostname, &path, end), true)?;
        }
        Ok(if refused.is_empty() {
            Outcome::Valid
        } else {
            Outcome::Refused(refused)
        })
    }

    /// Makes the holds or the further hostnames of a tenant so. Others that it has stay.
    fn put_all(&self, some: &[Below], path: &str, end: &str) -> Result<(), Failed> {
        for (below, number) in some.iter().zip(1..) {
            // A hostname may be too long for a key.
            let end = format!("{end}-{}-{number}", below.folder);
            self.put_below(below, path, &end)?;
        }
        Ok(())
    }

    fn put_below(&self, below: &Below, path: &str, end: &str) -> Result<(), Failed> {
        let name = below.path();
        let put = self.put(&format!("{path}/{name}"), below.body.get().as_bytes(), end);
        put.map(drop).map_err(|failed| failed.about(&name))
    }

    /// Sends a PUT, or its trial, and returns the status. `end` ends its `Idempotency-Key`. A failure that may pass is tried again, under the same key.
    fn put(&self, path: &str, body: &[u8], end: &str) -> Result<u16, Failed> {
        let Import {
            client,
            run_id,
            dry_run,
            ..
        } = self.import;
        let key = format!("{run_id}-{end}");
        // A trial does not read the key.
        let request = Request::Put(body, Some(&key));
        let path = if *dry_run {
            format!("{path}?validate_only=true")
        } else {
            path.into()
        };
        let tell = |pause| self.say(Heard::Pause(pause));
        let answer = self.patience.ask(|| client.call(request, &path), tell);
        match answer.map_err(Error::from) {
            Ok(answer) => Ok(answer.status),
            Err(Error::Answer { problem, used }) => match problem.status {
                // A caller who may not write one may write none, and an API without PUT has none.
                Some(401 | 403 | 404 | 405 | 429 | 500..) => {
                    Err(Failed::Import(Error::Answer { problem, used }))
                }
                _ => Err(Failed::Line(problem)),
            },
            Err(error) => Err(Failed::Import(error)),
        }
    }
}
