//! The world `exchange`: a request in steps. The host runs the batches and sends the service's own requests, and passes in the time and the
//! randomness.

use tenants_core::config::VARIABLES;
use tenants_core::machine::{Context, Effect, Machine, Outcome, Step};
use tenants_core::task::any::Task;
use tenants_core::{Api, Exchange, Rest};

use crate::types::{
    self, Answer, BatchOutcome, GivenRandom, Request, TaskError, Variable, VariableError,
};
use bindings::exports::tenants::api::exchanges as wit;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        world: "tenants:api/exchange",
        path: "wit",
        with: { "tenants:api/types@0.3.0": crate::types::bindings::tenants::api::types },
    });

    export!(World with_types_in self);

    use super::World;
}

struct World;

/// A machine that waits for the host's work, and the host's time and randomness for it.
struct Waiting<M> {
    machine: M,
    given: Given,
}

/// The time and the randomness from the host, and the time since then as far as the host tells it.
struct Given {
    now: i64,
    sent_ms: u32,
    random: GivenRandom,
}

impl Given {
    fn new(now: i64, random: Vec<u8>) -> Self {
        Self {
            now,
            sent_ms: 0,
            random: GivenRandom::new(random),
        }
    }

    fn context(&mut self) -> Context<'_> {
        Context {
            unix_seconds: self.now.saturating_add(i64::from(self.sent_ms / 1000)),
            random: &mut self.random,
        }
    }
}

impl wit::Guest for World {
    type Api = Api;
    type Exchange = Waiting<Exchange>;
    type Rest = Rest;
    type RunningTask = Waiting<Task>;

    fn variable_names() -> Vec<String> {
        VARIABLES.iter().map(|&name| name.into()).collect()
    }
}

impl wit::GuestApi for Api {
    fn create(variables: Vec<Variable>, has_sites: bool) -> Result<wit::Api, Vec<VariableError>> {
        types::configure(variables, has_sites).map(wit::Api::new)
    }

    fn begin(&self, request: Request, now: i64, random: Vec<u8>) -> wit::Step {
        let mut given = Given::new(now, random);
        let step = request.with(|request| self.begin(request, now, &mut given.random));
        answered(step, given)
    }

    fn sign(&self, body: Vec<u8>) -> Result<String, wit::SignError> {
        let secret = self.config().ok().and_then(|c| c.request_secret());
        secret.map(|secret| secret.sign(&body)).ok_or_else(|| {
            wit::SignError::NotConfigured("CHEVERETO_TENANTS_API_REQUEST_SECRET".into())
        })
    }

    fn begin_task(
        &self,
        task: types::Task,
        now: i64,
        random: Vec<u8>,
    ) -> Result<wit::TaskStep, TaskError> {
        let mut given = Given::new(now, random);
        let task = self.begin_task(task.try_into()?, now, &mut given.random)?;
        reported(Step::Run(task), given)
    }
}

impl wit::GuestExchange for Waiting<Exchange> {
    fn may_connect_to(&self, address: String) -> bool {
        may_connect_to(self.machine.effect(), &address)
    }

    fn resume(exchange: wit::Exchange, outcome: wit::Outcome) -> wit::Step {
        let (step, given) = exchange.into_inner::<Self>().resumed(outcome);
        answered(step, given)
    }
}

impl wit::GuestRest for Rest {
    fn batch(&self) -> Vec<types::Statement> {
        types::batch(self.batch())
    }

    fn resume(rest: wit::Rest, outcome: BatchOutcome) -> Result<wit::Part, Answer> {
        let rest: Rest = rest.into_inner();
        match rest.part(types::rows(outcome)) {
            Ok(part) => Ok(wit::Part {
                text: part.text,
                rest: part.rest.map(wit::Rest::new),
            }),
            Err(failed) => Err((*failed).into()),
        }
    }
}

impl wit::GuestRunningTask for Waiting<Task> {
    fn may_connect_to(&self, address: String) -> bool {
        may_connect_to(self.machine.effect(), &address)
    }

    fn resume(task: wit::RunningTask, outcome: wit::Outcome) -> Result<wit::TaskStep, TaskError> {
        let (step, given) = task.into_inner::<Self>().resumed(outcome);
        reported(step, given)
    }
}

impl<M: Machine> Waiting<M> {
    fn resumed(self, outcome: wit::Outcome) -> (Step<M>, Given) {
        let Self { machine, mut given } = self;
        if let wit::Outcome::Answered(wit::OutboundAnswer { milliseconds, .. })
        | wit::Outcome::Failed(wit::OutboundFailure { milliseconds, .. }) = outcome
        {
            given.sent_ms = given.sent_ms.saturating_add(milliseconds);
        }
        let step = machine.resume(outcome.into(), &mut given.context());
        (without_waits(step, &mut given), given)
    }
}

impl From<wit::Outcome> for Outcome {
    fn from(outcome: wit::Outcome) -> Self {
        match outcome {
            wit::Outcome::Batch(outcome) => Self::Batch(types::rows(outcome)),
            wit::Outcome::Answered(answer) => Self::Fetched(Ok(answer.into())),
            wit::Outcome::Failed(failure) => Self::Fetched(Err(failure.into())),
            wit::Outcome::CannotSend => Self::CannotFetch,
        }
    }
}

/// A host of this world cannot wait, so a request that would is answered at once.
fn without_waits<M: Machine>(mut step: Step<M>, given: &mut Given) -> Step<M> {
    loop {
        let machine = match step {
            Step::Run(machine) => machine,
            done @ Step::Done(_) => return done,
        };
        match machine.effect() {
            Effect::Batch(_) | Effect::Fetch(_) => return Step::Run(machine),
            Effect::Wait(_) => {
                step = machine.resume(Outcome::CannotWait, &mut given.context());
            }
        }
    }
}

fn answered(step: Step<Exchange>, given: Given) -> wit::Step {
    match step {
        Step::Done(mut answer) => match answer.rest.take() {
            None => wit::Step::Send(answer.into()),
            Some(rest) => wit::Step::Open(wit::Opened {
                answer: answer.into(),
                rest: wit::Rest::new(rest),
            }),
        },
        Step::Run(machine) => wit::Step::Run(wit::Pending {
            work: work_of(machine.effect()),
            exchange: wit::Exchange::new(Waiting { machine, given }),
        }),
    }
}

fn reported(step: Step<Task>, given: Given) -> Result<wit::TaskStep, TaskError> {
    Ok(match step {
        Step::Done(report) => wit::TaskStep::Done(report?.into()),
        Step::Run(machine) => wit::TaskStep::Run(wit::PendingTask {
            work: work_of(machine.effect()),
            task: wit::RunningTask::new(Waiting { machine, given }),
        }),
    })
}

/// Whether the request that is awaited may connect to an address.
fn may_connect_to(effect: Effect<'_>, address: &str) -> bool {
    match (effect, address.parse()) {
        (Effect::Fetch(request), Ok(address)) => request.url.may_connect_to(address),
        _ => false,
    }
}

fn work_of(effect: Effect<'_>) -> wit::Work {
    match effect {
        Effect::Batch(batch) => wit::Work::Batch(wit::PlacedBatch {
            batch: types::batch(batch),
            site: types::site(batch),
        }),
        Effect::Fetch(request) => wit::Work::Request(request.into()),
        // It never comes here: see `without_waits`.
        Effect::Wait(_) => wit::Work::Batch(wit::PlacedBatch {
            batch: Vec::new(),
            site: None,
        }),
    }
}
