//! The deliveries of webhooks (contract §17): a run sends what receivers have not accepted yet, as far as its bounds go. The next run goes on.
//!
//! A run takes one webhook after the other by a lease, so that two runs never send the same. It reads some events, sends each, and writes what
//! came of all of them in one batch, which reads the next ones: of the same webhook as it is now, or of the next one. If it is cut off before that batch, the
//! lease runs out, and another run sends those events once more, with the same ids.
//!
//! The events of one subject (a tenant, a plan) arrive in their order: one that was refused holds up those after it, and no other subject's. It is tried
//! again after pauses that grow ([`PAUSES_S`]), and is given up after the last. A subject that is behind catches up with as many events in a run as any other
//! sends, and takes no more than half of a batch from the others.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::{self, Vec};
use core::mem;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::crypto::seal::Sealer;
use crate::machine::{Context, Effect, FetchRequest, Machine, Outcome, Step};
use crate::sql::{Batch, Results, Sql};
use crate::store::deliveries::{self, Event, Outcome as Came, Record, Taken};
use crate::store::event::{self, Wanted};
use crate::store::message::{self, Message};
use crate::store::sealed::{NO_ENCRYPTION_KEY, open_text};
use crate::store::webhooks::secret_place;
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal};
use crate::value::outbound::OutboundUrl;
use crate::value::random::{Random, RandomUnavailable};
use crate::value::run::Run;
use crate::value::text::hex_text;

/// The pauses after each refusal of an event, in seconds: three days in all. Each is up to a tenth longer, by chance.
pub const PAUSES_S: [u32; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// A webhook whose receiver accepted nothing for so long is disabled, in seconds.
pub const DISABLED_AFTER_S: i64 = 3 * 24 * 60 * 60;

/// The most requests of a run. With its batches and those of the run of the cron trigger, they are fewer than the 50 subrequests that a Worker's call may
/// make on the free plan.
pub const MOST_REQUESTS: u32 = 30;

/// The most queries of a run: enough for three to five batches, each of one webhook. On the free plan a call of a Worker may make 50. The cron trigger needs up
/// to 12 of them in a call that counts nothing: 10 for what is past its time, and 2 to look up records.
pub const MOST_QUERIES: usize = 38;

/// The most queries with which a batch writes what came of its requests.
const WRITES: usize = 7;

/// The queries with which a batch takes a webhook, and reads what is to be sent to it.
const READS: usize = 4;

/// A run begins no request after so many seconds. On Cloudflare, work after a response may take 30.
const MOST_SECONDS: i64 = 15;

/// The requests between two batches. If a run is cut off, the receiver gets so many events twice at the most.
const CHUNK: usize = 10;

/// How many of them are events of subjects that are behind, if there are others. It is the most such subjects of a batch, too.
const DUE: usize = 5;

/// The seconds of a lease: more than those between two batches of a run.
const LEASE_SECONDS: i64 = 60;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Whether there is an enabled webhook.
    pub enabled: bool,
    /// The number of events that receivers accepted.
    pub accepted: u32,
    /// The number of events that receivers refused.
    pub refused: u32,
    /// How many of those were given up.
    pub given_up: u32,
    /// The number of webhooks that were disabled.
    pub disabled: u32,
    /// Whether the run ended at its bounds, so that there may be more to send and another run may begin at once. It is not if the host has no network:
    /// then the events wait, however many runs there are.
    pub is_cut: bool,
}

/// Sends the events that webhooks wait for.
#[derive(Debug)]
pub struct Delivery(Box<State>);

#[derive(Debug)]
struct State {
    sealer: Option<Arc<Sealer>>,
    development: bool,
    lease: String,
    run: Run,
    began_at: i64,
    now: i64,
    requests: u32,
    queries: usize,
    batch: Batch,
    webhook: Option<Webhook>,
    /// The events to send before the next batch, the next one last.
    events: Vec<Event>,
    /// The request that is under way, of the last of `events`.
    request: Option<FetchRequest>,
    /// What came of those that were sent, items of a list in JSON.
    attempts: Vec<String>,
    /// Subjects of which an event was refused since the last batch.
    held: Vec<(String, String)>,
    cursor: i64,
    accepted: bool,
    refused: bool,
    /// The statements of the batch before those that read.
    writes: usize,
    /// Whether the batch reads what is to be sent next. The last one does not.
    reads: bool,
    /// Whether the host has no network.
    is_offline: bool,
    report: Report,
}

/// The webhook of the lease, as it was when its events were read.
#[derive(Debug)]
struct Webhook {
    taken: Taken,
    /// `Err`: why nothing can be sent to it. Each event is then refused for this reason.
    target: Result<Target, String>,
    wanted: Wanted,
}

#[derive(Debug)]
struct Target {
    url: OutboundUrl,
    secrets: Vec<Zeroizing<String>>,
}

impl Webhook {
    /// Whether its receiver wants an event that the log has.
    fn wants(&self, event: &Event) -> bool {
        let entry = event.entry.as_ref();
        entry.is_some_and(|entry| self.wanted.has(&entry.action))
    }
}

impl Delivery {
    /// Begins a run.
    ///
    /// # Errors
    /// If the host has no randomness, or its clock is wrong.
    pub fn begin(
        config: &Config,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Result<Self, TaskError> {
        let mut bytes = [0; 16];
        random
            .fill(&mut bytes)
            .map_err(|RandomUnavailable| ApiError::Internal(Internal::Random))?;
        let lease = hex_text(&bytes);
        let mut state = State {
            sealer: config.sealer.clone(),
            development: config.proxy.development,
            run: Run::new(format!("deliver-{}", &lease[..16])),
            lease,
            began_at: unix_seconds,
            now: unix_seconds,
            requests: 0,
            queries: 0,
            batch: Batch::of([]),
            webhook: None,
            events: Vec::new(),
            request: None,
            attempts: Vec::new(),
            held: Vec::new(),
            cursor: 0,
            accepted: false,
            refused: false,
            writes: 0,
            reads: true,
            is_offline: false,
            report: Report::default(),
        };
        let now = Timestamp::of_clock(unix_seconds)?;
        state.go_on_with([deliveries::forget(&now)].into(), &now)?;
        Ok(Self(Box::new(state)))
    }
}

impl State {
    /// The batch of these statements, which takes a webhook if the run has none, and reads what is to be sent next.
    fn go_on_with(&mut self, mut statements: Vec<Sql>, now: &Timestamp) -> Result<(), ApiError> {
        let until = Timestamp::of_clock(self.now.saturating_add(LEASE_SECONDS))?;
        statements.push(deliveries::take(&self.lease, now, &until));
        self.writes = statements.len();
        statements.extend([
            deliveries::leased(&self.lease, now),
            deliveries::due(&self.lease, now, (DUE, CHUNK)),
            deliveries::fresh(&self.lease),
        ]);
        self.queries += statements.len();
        self.batch = Batch::of(statements);
        Ok(())
    }

    /// Reads the results of the batch. Returns whether there is a webhook to send to.
    fn read(&mut self, results: &mut Results) -> Result<bool, ApiError> {
        for _ in 0..self.writes {
            results.skip()?;
        }
        if !self.reads {
            return Ok(false);
        }
        let mut row = results.outcome()?;
        self.report.enabled = row.boolean("any_enabled")?;
        let Some(taken) = Taken::decode(row)? else {
            return Ok(false);
        };
        let target = self.target(&taken);
        let wanted = Wanted::by_types(&taken.types).map_err(|reason| {
            ApiError::Internal(Internal::Stored {
                place: format!("webhooks/{}/types", taken.id),
                reason,
            })
        })?;
        let webhook = Webhook {
            taken,
            target,
            wanted,
        };
        self.choose(&webhook, results)?;
        self.webhook = Some(webhook);
        Ok(true)
    }

    fn target(&self, taken: &Taken) -> Result<Target, String> {
        let url = OutboundUrl::parse(&taken.url, self.development)?;
        let open = |(id, sealed): &(String, String)| {
            open_text(secret_place(id), sealed, self.sealer.as_deref()).map_err(|error| {
                if error == NO_ENCRYPTION_KEY {
                    "CHEVERETO_ENCRYPTION_KEY is not set".into()
                } else {
                    "the secret of the webhook cannot be decrypted".to_string()
                }
            })
        };
        let secrets = taken.secrets.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Target { url, secrets })
    }

    /// Chooses the events to send before the next batch, and how far the cursor moves.
    fn choose(&mut self, webhook: &Webhook, results: &mut Results) -> Result<(), ApiError> {
        let behind = deliveries::decode_due(results)?;
        let mut chosen = in_turns(behind, |event| webhook.wants(event));
        let further = chosen.split_off(chosen.len().min(DUE));
        self.cursor = 0;
        for event in Event::decode_all(results)? {
            let waits = event.attempts > 0;
            let is_chosen = webhook.wants(&event) && !waits;
            if is_chosen && chosen.len() >= CHUNK {
                break;
            }
            self.cursor = event.entry_id;
            if is_chosen {
                chosen.push(event);
            }
        }
        let room = CHUNK.saturating_sub(chosen.len());
        chosen.extend(further.into_iter().take(room));
        chosen.reverse();
        self.events = chosen;
        Ok(())
    }

    /// Whether the run must begin no further request.
    fn is_over(&self) -> bool {
        self.is_offline
            || self.requests >= MOST_REQUESTS
            || self.now - self.began_at >= MOST_SECONDS
    }

    /// The next request, or the batch that writes what came of those before.
    fn next(&mut self) -> Result<(), ApiError> {
        while let Some(last) = self.events.last() {
            if self.is_over() {
                break;
            }
            let key = (last.subject_type.clone(), last.subject.clone());
            if self.held.contains(&key) {
                // It waits for the one that was refused just now. The cursor has passed it, so it is found again after that one.
                self.events.pop();
                continue;
            }
            let Some(webhook) = &self.webhook else { break };
            let Some(entry) = last.entry.as_ref().filter(|_| webhook.wants(last)) else {
                self.note(Came::Nothing, None, &no_answer(""))?;
                continue;
            };
            let target = match &webhook.target {
                Ok(target) => target,
                Err(reason) => {
                    let answer = no_answer(reason);
                    // One is enough to show the reason, and all wait.
                    self.requests += 1;
                    self.note_refusal(&answer, 0)?;
                    continue;
                }
            };
            let epoch = &webhook.taken.epoch;
            let fallback = event::id(epoch, entry.id);
            let message = Message {
                url: &target.url,
                secrets: &target.secrets,
                id: last.token.as_deref().unwrap_or(&fallback),
                body: event::payload(entry, epoch),
                unix_seconds: self.now,
            };
            self.request = Some(message.request());
            self.requests += 1;
            return Ok(());
        }
        self.record()
    }

    /// Notes what came of the last of `events`.
    fn note(
        &mut self,
        came: Came,
        next_at: Option<Timestamp>,
        result: &message::Result,
    ) -> Result<(), ApiError> {
        let Some(event) = self.events.pop() else {
            return Ok(());
        };
        let action = event.entry.as_ref().map_or("", |entry| &entry.action);
        let item = (
            &event.subject_type,
            &event.subject,
            event.entry_id,
            came as u8,
            next_at.as_ref().map(Timestamp::as_str),
            event::type_of(action),
            result.status,
            result.milliseconds,
            &result.answer,
            event.attempts,
        );
        let item = serde_json::to_string(&item)
            .map_err(|error| ApiError::Internal(Internal::Encoding(error.to_string())))?;
        self.attempts.push(item);
        Ok(())
    }

    fn note_refusal(&mut self, result: &message::Result, chance: u8) -> Result<(), ApiError> {
        let Some(event) = self.events.last() else {
            return Ok(());
        };
        self.refused = true;
        self.report.refused += 1;
        let pause = usize::try_from(event.attempts)
            .ok()
            .and_then(|at| PAUSES_S.get(at));
        let Some(pause) = pause else {
            self.report.given_up += 1;
            return self.note(Came::GivenUp, None, result);
        };
        let pause = i64::from(*pause);
        let longer = pause * i64::from(chance) / 2560;
        let next_at = Timestamp::of_clock(self.now.saturating_add(pause + longer))?;
        self.held
            .push((event.subject_type.clone(), event.subject.clone()));
        self.note(Came::Refused, Some(next_at), result)
    }

    /// Reads the answer to the request.
    fn answered(&mut self, outcome: Outcome, random: &mut dyn Random) -> Result<(), ApiError> {
        self.request = None;
        let answer = match outcome {
            Outcome::Fetched(answer) => Some(answer),
            // Nobody refused anything: a host that has a network will send it.
            _ => {
                self.is_offline = true;
                return Ok(());
            }
        };
        let result = message::Result::of(answer.as_ref());
        if result.accepted {
            self.accepted = true;
            self.report.accepted += 1;
            return self.note(Came::Accepted, None, &result);
        }
        let mut chance = [0];
        // Without randomness the pause is the shortest.
        let _ = random.fill(&mut chance);
        self.note_refusal(&result, chance[0])
    }

    /// The batch that writes what came of the requests, and reads the next events.
    fn record(&mut self) -> Result<(), ApiError> {
        let now = Timestamp::of_clock(self.now)?;
        let until = Timestamp::of_clock(self.now.saturating_add(LEASE_SECONDS))?;
        let Some(webhook) = self.webhook.take() else {
            return Ok(());
        };
        // Those that were not sent any more are read again.
        let unsent = self.events.iter().filter(|event| event.is_fresh);
        let unsent = unsent.map(|event| event.entry_id).min();
        let cursor = unsent.map_or(self.cursor, |unsent| unsent - 1);
        self.events.clear();
        let since = webhook.taken.failing_since.filter(|_| !self.accepted);
        let limit = Timestamp::of_clock(self.now.saturating_sub(DISABLED_AFTER_S))?;
        let is_dead = self.refused && since.is_some_and(|since| since.as_str() <= limit.as_str());
        let attempts = format!("[{}]", mem::take(&mut self.attempts).join(","));
        let actions = webhook.wanted.listed_to_json();
        let record = Record {
            lease: &self.lease,
            url: &webhook.taken.url,
            now: &now,
            lease_until: &until,
            attempts: &attempts,
            actions: &actions,
            are_wanted: webhook.wanted.listed_are_wanted,
            cursor,
            accepted: mem::take(&mut self.accepted),
            refused: mem::take(&mut self.refused),
        };
        let mut statements = Vec::new();
        if is_dead {
            self.report.disabled += 1;
            statements.extend(record.disable(&self.run, &limit));
        }
        statements.extend(record.of_attempts());
        // This batch, and the last one after it.
        let needed = statements.len() + 1 + READS + WRITES;
        let is_over = self.is_over() || self.queries + needed > MOST_QUERIES;
        self.report.is_cut |= is_over && !self.is_offline;
        statements.push(record.release(!is_over && !is_dead));
        self.held.clear();
        self.reads = !is_over;
        if self.reads {
            return self.go_on_with(statements, &now);
        }
        self.writes = statements.len();
        self.batch = Batch::of(statements);
        Ok(())
    }

    fn go_on(&mut self, outcome: Outcome, context: &mut Context<'_>) -> Result<bool, ApiError> {
        self.now = context.unix_seconds;
        if self.request.is_some() {
            self.answered(outcome, context.random)?;
        } else {
            let mut results = results(outcome, &self.batch)?;
            if !self.read(&mut results)? {
                return Ok(false);
            }
        }
        self.next()?;
        Ok(true)
    }
}

/// The events of subjects that are behind, the first one of each, then the second ones, and so on. Those after the first are left out if nobody wants them.
fn in_turns(behind: Vec<Vec<Event>>, wants: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut subjects: Vec<_> = behind.into_iter().map(Vec::into_iter).collect();
    let mut all: Vec<Event> = subjects.iter_mut().filter_map(Iterator::next).collect();
    loop {
        let before = all.len();
        let next = |events: &mut vec::IntoIter<Event>| events.find(&wants);
        all.extend(subjects.iter_mut().filter_map(next));
        if all.len() == before {
            return all;
        }
    }
}

fn no_answer(reason: &str) -> message::Result {
    message::Result {
        accepted: false,
        status: None,
        milliseconds: 0,
        answer: reason.into(),
    }
}

impl Machine for Delivery {
    type Output = Result<Report, TaskError>;

    fn effect(&self) -> Effect<'_> {
        match &self.0.request {
            Some(request) => Effect::Fetch(request),
            None => Effect::Batch(&self.0.batch),
        }
    }

    fn resume(mut self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self> {
        match self.0.go_on(outcome, context) {
            Ok(true) => Step::Run(self),
            Ok(false) => Step::Done(Ok(self.0.report)),
            Err(error) => Step::Done(Err(error.into())),
        }
    }
}
