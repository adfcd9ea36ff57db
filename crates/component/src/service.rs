//! The world `service`: a request in, an answer out. The database, the clock and the randomness are the host's functions.

use std::cell::RefCell;

use tenants_core::Random;
use tenants_core::{Api, RandomUnavailable, Step};
use zeroize::Zeroizing;

use crate::types::{self, Answer, Request, Variable, VariableError};
use bindings::tenants::api::{clock, database, randomness};

#[expect(unsafe_code, clippy::too_many_arguments, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        world: "tenants:api/service",
        path: "wit",
        with: { "tenants:api/types@0.1.0": crate::types::bindings::tenants::api::types },
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
            Ok(answer(api, &request))
        })
    }
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
            api: types::configure(variables)?,
            variables: given,
        },
    };
    Ok(configured.insert(kept))
}

fn answer(api: &Api, request: &Request) -> Answer {
    let mut step = request.with(|asked| api.begin(asked, clock::now(), &mut Imported));
    loop {
        match step {
            Step::Send(answer) => return (*answer).into(),
            Step::Run(exchange) => {
                let outcome = database::run(&types::batch(exchange.batch()));
                step = exchange.resume(api, types::rows(outcome));
            }
        }
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
