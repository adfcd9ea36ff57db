//! The world `exchange`: a request in steps. The host runs the batches, and passes in the time and the randomness.

use tenants_core::config::VARIABLES;
use tenants_core::machine::{Context, Effect, Machine, Outcome as CoreOutcome, Step};
use tenants_core::task::any::Task;
use tenants_core::{Api, Exchange, Rest};

use crate::types::{
    self, Answer, GivenRandom, Outcome, Request, TaskError, Variable, VariableError, task_result,
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

/// A machine that waits for its batch, and the host's time and randomness for it.
struct Waiting<M> {
    machine: M,
    now: i64,
    random: GivenRandom,
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
        let mut random = GivenRandom::new(random);
        let step = request.with(|request| self.begin(request, now, &mut random));
        answered(step, now, random)
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
        let mut random = GivenRandom::new(random);
        let task = self.begin_task(task.try_into()?, now, &mut random)?;
        reported(Step::Run(task), now, random)
    }
}

impl wit::GuestExchange for Waiting<Exchange> {
    fn resume(exchange: wit::Exchange, outcome: Outcome) -> wit::Step {
        let (step, now, random) = exchange.into_inner::<Self>().resumed(outcome);
        answered(step, now, random)
    }
}

impl wit::GuestRest for Rest {
    fn batch(&self) -> Vec<types::Statement> {
        types::batch(self.batch())
    }

    fn resume(rest: wit::Rest, outcome: Outcome) -> Result<wit::Part, Answer> {
        let rest: Rest = rest.into_inner();
        match rest.part(types::rows_of(outcome)) {
            Ok(part) => Ok(wit::Part {
                text: part.text,
                rest: part.rest.map(wit::Rest::new),
            }),
            Err(failed) => Err((*failed).into()),
        }
    }
}

impl wit::GuestRunningTask for Waiting<Task> {
    fn resume(task: wit::RunningTask, outcome: Outcome) -> Result<wit::TaskStep, TaskError> {
        let (step, now, random) = task.into_inner::<Self>().resumed(outcome);
        reported(step, now, random)
    }
}

impl<M: Machine> Waiting<M> {
    fn resumed(self, outcome: Outcome) -> (Step<M>, i64, GivenRandom) {
        let Self {
            machine,
            now,
            mut random,
        } = self;
        let step = {
            let context = &mut Context {
                unix_seconds: now,
                random: &mut random,
            };
            machine.resume(types::rows(outcome), context)
        };
        (batches_only(step, now, &mut random), now, random)
    }
}

/// A host of this world runs batches. It cannot wait, so a request that would is answered at once, and it has no network.
fn batches_only<M: Machine>(mut step: Step<M>, now: i64, random: &mut GivenRandom) -> Step<M> {
    loop {
        let machine = match step {
            Step::Run(machine) => machine,
            done @ Step::Done(_) => return done,
        };
        let outcome = match machine.effect() {
            Effect::Batch(_) => return Step::Run(machine),
            Effect::Wait(_) => CoreOutcome::CannotWait,
            Effect::Fetch(_) => CoreOutcome::CannotFetch,
        };
        let context = &mut Context {
            unix_seconds: now,
            random,
        };
        step = machine.resume(outcome, context);
    }
}

fn answered(step: Step<Exchange>, now: i64, random: GivenRandom) -> wit::Step {
    match step {
        Step::Done(mut answer) => match answer.rest.take() {
            None => wit::Step::Send(answer.into()),
            Some(rest) => wit::Step::Open(wit::Opened {
                answer: answer.into(),
                rest: wit::Rest::new(rest),
            }),
        },
        Step::Run(machine) => wit::Step::Run(wit::Pending {
            batch: batch_of(&machine),
            site: site_of(&machine),
            exchange: wit::Exchange::new(Waiting {
                machine,
                now,
                random,
            }),
        }),
    }
}

fn reported(step: Step<Task>, now: i64, random: GivenRandom) -> Result<wit::TaskStep, TaskError> {
    Ok(match step {
        Step::Done(report) => wit::TaskStep::Done(task_result(report?)?),
        Step::Run(machine) => wit::TaskStep::Run(wit::PendingTask {
            batch: batch_of(&machine),
            site: site_of(&machine),
            task: wit::RunningTask::new(Waiting {
                machine,
                now,
                random,
            }),
        }),
    })
}

fn batch_of(machine: &impl Machine) -> Vec<types::Statement> {
    // Another effect never comes here: see `batches_only`.
    machine
        .effect()
        .batch()
        .map(types::batch)
        .unwrap_or_default()
}

fn site_of(machine: &impl Machine) -> Option<String> {
    machine.effect().batch().and_then(types::site)
}
