//! The world `service`: a request in, an answer out. The database, the clock and the randomness are the host's functions.

use std::cell::RefCell;

use tenants_core::machine::{Step, drive};
use tenants_core::sql::{Batch, Rows};
use tenants_core::{Api, Failure, Host, Random, RandomUnavailable};
use zeroize::Zeroizing;

use crate::types::{
    self, Answer, Request, Task, TaskError, TaskResult, Variable, VariableError, task_result,
};
use bindings::tenants::api::{clock, database, randomness};

#[expect(unsafe_code, clippy::too_many_arguments, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        world: "tenants:api/service",
        path: "wit",
        with: { "tenants:api/types@0.3.0": crate::types::bindings::tenants::api::types },
    });

    export!(World with_types_in self);

    use super::World;
}

struct World;

/// The API under the last configuration, and that configuration: to read one anew costs more than to compare it.
struct Configured {
    variables: Vec<(String, Zeroizing<String>)>,
    api: Api,
}

thread_local! {
    static CONFIGURED: RefCell<Option<Configured>> = const { RefCell::new(None) };
}

impl bindings::Guest for World {
    fn handle(variables: Vec<Variable>, request: Request) -> Result<Answer, Vec<VariableError>> {
        CONFIGURED.with_borrow_mut(|configured| {
            let api = &under(configured, variables)?.api;
            let step = request.with(|request| api.begin(request, clock::now(), &mut Imported));
            let host = &mut Imports(Imported);
            // The function returns once, so a long list is put together here.
            Ok(drive(step, host).settled(host).whole(host).into())
        })
    }

    fn do_task(
        variables: Vec<Variable>,
        task: Task,
    ) -> Result<Result<TaskResult, TaskError>, Vec<VariableError>> {
        CONFIGURED.with_borrow_mut(|configured| Ok(done(&under(configured, variables)?.api, task)))
    }
}

fn done(api: &Api, task: Task) -> Result<TaskResult, TaskError> {
    let task = api.begin_task(task.try_into()?, clock::now(), &mut Imported)?;
    task_result(drive(Step::Run(task), &mut Imports(Imported))?)
}

fn under(
    configured: &mut Option<Configured>,
    variables: Vec<Variable>,
) -> Result<&Configured, Vec<VariableError>> {
    let given = variables
        .iter()
        .map(|v| (v.name.clone(), Zeroizing::new(v.value.clone())))
        .collect();
    let kept = configured.take().filter(|c| c.variables == given);
    let kept = match kept {
        Some(kept) => kept,
        None => Configured {
            api: types::configure(variables, database::has_sites())?,
            variables: given,
        },
    };
    Ok(configured.insert(kept))
}

/// The host, by the functions that it gave.
struct Imports(Imported);

impl Host for Imports {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        let site = types::site(batch);
        types::rows_of(database::run(&types::batch(batch), site.as_deref()))
    }

    fn unix_seconds(&mut self) -> i64 {
        clock::now()
    }

    fn random(&mut self) -> &mut dyn Random {
        &mut self.0
    }
}

/// The host's randomness.
struct Imported;

impl Random for Imported {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        let count = u32::try_from(out.len()).map_err(|_| RandomUnavailable)?;
        let bytes = Zeroizing::new(randomness::bytes(count));
        if bytes.len() != out.len() {
            return Err(RandomUnavailable);
        }
        out.copy_from_slice(&bytes);
        Ok(())
    }
}
