//! The world `service`: a request in, an answer out. The database, the network, the clock and the randomness are the host's
//! functions.

use std::cell::RefCell;
use std::net::IpAddr;

use tenants_core::machine::{Step, drive};
use tenants_core::sql::{Batch, Rows};
use tenants_core::{
    Api, Failure, FetchFailure, FetchRequest, FetchedAnswer, Host, Random, RandomUnavailable,
};
use zeroize::Zeroizing;

use crate::types::{self, Answer, Request, Task, TaskError, TaskResult, Variable, VariableError};
use bindings::tenants::api::{clock, database, network, randomness};

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
        under(variables, |api| {
            let step = request.with(|request| api.begin(request, clock::now(), &mut Imported));
            let host = &mut Imports(Imported);
            // The function returns once, so a long list is put together here.
            drive(step, host).settled(host).whole(host).into()
        })
    }

    fn do_task(
        variables: Vec<Variable>,
        task: Task,
    ) -> Result<Result<TaskResult, TaskError>, Vec<VariableError>> {
        under(variables, |api| done(api, task))
    }
}

fn done(api: &Api, task: Task) -> Result<TaskResult, TaskError> {
    let task = api.begin_task(task.try_into()?, clock::now(), &mut Imported)?;
    Ok(drive(Step::Run(task), &mut Imports(Imported))?.into())
}

/// Does work with the API under a configuration, and keeps that for the next call.
fn under<T>(
    variables: Vec<Variable>,
    work: impl FnOnce(&Api) -> T,
) -> Result<T, Vec<VariableError>> {
    let given = variables
        .iter()
        .map(|v| (v.name.clone(), Zeroizing::new(v.value.clone())))
        .collect();
    // Taken and not borrowed: a host's function may throw in the midst of the work, and the instance is fit for the next call.
    let kept = CONFIGURED.take().filter(|c| c.variables == given);
    let kept = match kept {
        Some(kept) => kept,
        None => Configured {
            api: types::configure(variables, database::has_sites())?,
            variables: given,
        },
    };
    let done = work(&kept.api);
    CONFIGURED.set(Some(kept));
    Ok(done)
}

/// The host, by the functions that it gave.
struct Imports(Imported);

impl Host for Imports {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        let site = types::site(batch);
        types::rows(database::run(&types::batch(batch), site.as_deref()))
    }

    fn fetch(&mut self, request: &FetchRequest) -> Option<Result<FetchedAnswer, FetchFailure>> {
        let host = request.url.host();
        let (found, spent_ms) = if host.parse::<IpAddr>().is_ok() {
            (vec![host.to_owned()], 0)
        } else {
            match network::resolve(host, request.timeout_ms)? {
                Ok(resolved) => (resolved.addresses, resolved.milliseconds),
                Err(failure) => return Some(Err(failure.into())),
            }
        };
        if let Err(reason) = judge(request, &found) {
            return Some(Err(FetchFailure::new(reason, spent_ms)));
        }
        let mut request = types::OutboundRequest::from(request);
        request.timeout_ms = request.timeout_ms.saturating_sub(spent_ms);
        if request.timeout_ms == 0 {
            let reason = "no time is left after the name was resolved";
            return Some(Err(FetchFailure::new(reason, spent_ms)));
        }
        // The time of both calls counts.
        Some(match network::send(&request, &found)? {
            Ok(mut answer) => {
                answer.milliseconds = answer.milliseconds.saturating_add(spent_ms);
                Ok(answer.into())
            }
            Err(mut failure) => {
                failure.milliseconds = failure.milliseconds.saturating_add(spent_ms);
                Err(failure.into())
            }
        })
    }

    fn unix_seconds(&mut self) -> i64 {
        clock::now()
    }

    fn random(&mut self) -> &mut dyn Random {
        &mut self.0
    }
}

/// Whether a request may connect to all addresses that a name has.
///
/// # Errors
/// A sentence with the address that may not be called, or that there is none.
fn judge(request: &FetchRequest, found: &[String]) -> Result<(), String> {
    let allows = |address: &String| {
        let address = address.parse();
        address.is_ok_and(|address| request.url.may_connect_to(address))
    };
    match found.iter().find(|address| !allows(address)) {
        None if !found.is_empty() => Ok(()),
        refused => Err(format!(
            "{} resolves to {}, which may not be called",
            request.url.host(),
            refused.map_or("nothing", |address| address)
        )),
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
