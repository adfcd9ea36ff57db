//! The world `exchange`: a request in steps. The host runs the batches and keeps the time and the randomness.

use std::rc::Rc;

use tenants_core::config::VARIABLES;
use tenants_core::job::{Job as _, JobError, JobStep};
use tenants_core::task::keys::{CreatedKey, KeyCreation, KeyName};
use tenants_core::value::clock::Timestamp;
use tenants_core::{Api, Exchange, Step};

use crate::types::{self, Given, Outcome, Request, Variable, VariableError};
use bindings::exports::tenants::api::exchanges as wit;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        world: "tenants:api/exchange",
        path: "wit",
        with: { "tenants:api/types@0.1.0": crate::types::bindings::tenants::api::types },
    });

    export!(World with_types_in self);

    use super::World;
}

struct World;

/// The API, which its exchanges hold on to.
struct SharedApi(Rc<Api>);

/// A request that waits, and the API that it was made to.
struct Waiting {
    api: Rc<Api>,
    exchange: Exchange,
}

/// A key that is being created, and what is left of the randomness for it.
struct Creating {
    creation: KeyCreation,
    random: Given,
}

impl wit::Guest for World {
    type Api = SharedApi;
    type Exchange = Waiting;
    type KeyCreation = Creating;

    fn variable_names() -> Vec<String> {
        VARIABLES.iter().map(|&name| name.into()).collect()
    }
}

impl wit::GuestApi for SharedApi {
    fn create(variables: Vec<Variable>) -> Result<wit::Api, Vec<VariableError>> {
        types::configure(variables).map(|api| wit::Api::new(Self(Rc::new(api))))
    }

    fn begin(&self, request: Request, now: i64, random: Vec<u8>) -> wit::Step {
        let step = request.with(|asked| self.0.begin(asked, now, &mut Given::new(random)));
        next(Rc::clone(&self.0), step)
    }

    fn sign(&self, body: Vec<u8>) -> Result<String, wit::SignError> {
        let secret = self.0.config().ok().and_then(|c| c.request_secret());
        secret.map(|secret| secret.sign(&body)).ok_or_else(|| {
            wit::SignError::NotConfigured("CHEVERETO_TENANTS_API_REQUEST_SECRET".into())
        })
    }

    fn create_api_key(
        &self,
        name: Option<String>,
        expires_at: Option<String>,
        now: i64,
        random: Vec<u8>,
    ) -> Result<wit::KeyStep, wit::KeyError> {
        let name = name.map(|name| KeyName::parse(&name)).transpose();
        let name = name.map_err(|_| wit::KeyError::InvalidName)?;
        let expires_at = expires_at.map(|at| Timestamp::parse(&at)).transpose();
        let expires_at = expires_at.map_err(|_| wit::KeyError::InvalidExpiry)?;
        let mut random = Given::new(random);
        // `create` refuses what does not parse.
        let config = self
            .0
            .config()
            .map_err(|_| wit::KeyError::Failed("the configuration does not parse".into()))?;
        let creation = KeyCreation::begin(config, name, expires_at, now, &mut random);
        Ok(Creating::wait(creation.map_err(key_error)?, random))
    }
}

impl wit::GuestKeyCreation for Creating {
    fn resume(creation: wit::KeyCreation, outcome: Outcome) -> Result<wit::KeyStep, wit::KeyError> {
        let Self {
            creation,
            mut random,
        } = creation.into_inner();
        let step = creation.resume(types::rows(outcome), &mut random);
        Ok(match step.map_err(key_error)? {
            JobStep::Run(creation) => Self::wait(creation, random),
            JobStep::Done(CreatedKey { id, key }) => wit::KeyStep::Created(wit::ApiKey {
                id,
                text: key.text().into(),
            }),
        })
    }
}

impl Creating {
    fn wait(creation: KeyCreation, random: Given) -> wit::KeyStep {
        wit::KeyStep::Run(wit::PendingKey {
            batch: types::batch(creation.batch()),
            creation: wit::KeyCreation::new(Self { creation, random }),
        })
    }
}

fn key_error(error: JobError) -> wit::KeyError {
    match error.missing_variable() {
        Some(variable) => wit::KeyError::NotConfigured(variable.into()),
        None => wit::KeyError::Failed(error.to_string()),
    }
}

impl wit::GuestExchange for Waiting {
    fn resume(exchange: wit::Exchange, outcome: Outcome) -> wit::Step {
        let Self { api, exchange } = exchange.into_inner();
        let step = exchange.resume(&api, types::rows(outcome));
        next(api, step)
    }
}

fn next(api: Rc<Api>, step: Step) -> wit::Step {
    match step {
        Step::Send(answer) => wit::Step::Send((*answer).into()),
        Step::Run(exchange) => wit::Step::Run(wit::Pending {
            batch: types::batch(exchange.batch()),
            exchange: wit::Exchange::new(Waiting {
                api,
                exchange: *exchange,
            }),
        }),
    }
}
