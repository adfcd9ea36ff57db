//! Proofs: looks up the records that show the owners of hostnames (contract §18).
//!
//! A run takes a few records whose turn it is. The first batch notes their next turn, so a resolver that fails holds up no others. The records
//! are looked up one after another, and the last batch notes what changed. A record that nobody knows of is counted as failed, and changes nothing.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::config::Config;
use crate::machine::{Context, Effect, FetchRequest, Machine, Outcome, Step};
use crate::sql::Batch;
use crate::store::hostnames::{self, Due};
use crate::store::proofs;
use crate::task::stats::{Failed, Report};
use crate::task::{TaskError, results, rows};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::outbound::OutboundUrl;

/// The most records that a run looks up. A Worker may send 50 requests in a run on the free plan.
const MOST: i64 = 10;

/// Looks up the records whose turn it is. The report counts them.
#[derive(Debug)]
pub struct Proofs {
    resolver: Option<OutboundUrl>,
    now: Timestamp,
    stage: Stage,
    /// The records to look up, the next one last.
    due: Vec<Due>,
    found: Vec<(Due, bool)>,
    report: Report,
}

#[derive(Debug)]
enum Stage {
    Choosing(Batch),
    Looking(Box<FetchRequest>, Due),
    Noting(Batch),
}

impl Proofs {
    /// Begins.
    #[must_use]
    pub fn begin(config: &Config, now: &Timestamp) -> Self {
        Self {
            resolver: config.hostnames.resolver.clone(),
            now: now.clone(),
            stage: Stage::Choosing(Batch::one(hostnames::due(now, MOST))),
            due: Vec::new(),
            found: Vec::new(),
            report: Report::default(),
        }
    }

    fn next(mut self) -> Step<Self> {
        while let Some(due) = self.due.pop() {
            let resolver = self.resolver.as_ref();
            match resolver.and_then(|resolver| proofs::lookup(resolver, &due.hostname)) {
                Some(request) => {
                    let stage = Stage::Looking(Box::new(request), due);
                    return Step::Run(Self { stage, ..self });
                }
                None => self.fail(&due, "the resolver's URL has no room for the name"),
            }
        }
        if self.found.is_empty() {
            return Step::Done(Ok(self.report));
        }
        let stage = Stage::Noting(Batch::one(hostnames::checked(&self.now, &self.found)));
        Step::Run(Self { stage, ..self })
    }

    fn fail(&mut self, due: &Due, reason: &str) {
        self.report.failed.push(Failed {
            tenant: due.tenant_id.clone(),
            reason: reason.to_string(),
        });
    }
}

impl Machine for Proofs {
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        match &self.stage {
            Stage::Choosing(batch) | Stage::Noting(batch) => Effect::Batch(batch),
            Stage::Looking(request, _) => Effect::Fetch(request),
        }
    }

    fn resume(mut self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let stage = core::mem::replace(&mut self.stage, Stage::Choosing(Batch::of([])));
        match stage {
            Stage::Choosing(batch) => {
                let due = results(outcome, &batch)
                    .and_then(|mut results| hostnames::decode_due(&mut results));
                match due {
                    Ok(due) => Self { due, ..self }.next(),
                    Err(error) => Step::Done(Err(error.into())),
                }
            }
            Stage::Looking(_, due) => {
                let answer = match outcome {
                    Outcome::Fetched(answer) => Some(answer),
                    _ => None,
                };
                match proofs::is_found(answer, &due.proof) {
                    Ok(is_found) => {
                        self.report.counted += 1;
                        self.found.push((due, is_found));
                    }
                    Err(reason) => self.fail(&due, &reason),
                }
                self.next()
            }
            Stage::Noting(_) => Step::Done(match rows(outcome) {
                Ok(_) => Ok(self.report),
                Err(failure) => Err(ApiError::from(failure).into()),
            }),
        }
    }
}
