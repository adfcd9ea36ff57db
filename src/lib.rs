//! The Tenants API as a Cloudflare Worker: Cloudflare's types in, the core's types out. No rule of the API is here.
//!
//! A request is an exchange with the core ([`drive`]): the core names a batch of statements, [`d1`] runs it, and the core goes on
//! with the rows until it has the response. docs/ARCHITECTURE.md says why the types are `web_sys`'s and what `src/shim.js` does.

mod body;
mod d1;
mod env;
pub mod failure;
mod log;
mod random;
mod request;
mod response;
pub mod running;

use tenants_core::job::{Job as _, JobStep};
use tenants_core::log::JobEntry;
use tenants_core::{Answer, Api, Body, Request, Step};
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event, web_sys};

use crate::d1::Database;
use crate::log::Clock;
use crate::random::HostRandom;
use crate::request::Head;

#[event(start)]
fn start() {
    running::keep_panic_messages();
}

#[event(fetch)]
async fn fetch(
    request: web_sys::Request,
    env: Env,
    _ctx: Context,
) -> worker::Result<web_sys::Response> {
    let clock = Clock::start();
    let work = async {
        match respond(&request, &env, clock).await {
            Ok(response) => Ok(response),
            Err(cause) => failure::respond(&request, clock, cause),
        }
    };
    running::attributed(env.as_ref(), work).await
}

/// Responds to a request, or says why the platform does not let it.
async fn respond(
    request: &web_sys::Request,
    env: &Env,
    clock: Clock,
) -> Result<web_sys::Response, String> {
    let api = env::api(env);
    let head = Head::read(request, &api);
    let body = body::read(request, head.content_length()).await?;
    let request = head.request(body.as_deref().map_or(Body::TooLarge, Body::Bytes));
    let answer = drive(&api, &request, clock, &Database::of(env)).await;
    if api.logs(answer.log.level()) {
        log::write(answer.log.level(), &answer.log.line(clock.elapsed_ms()));
    }
    response::from_core(&answer.response).map_err(|error| error.to_string())
}

/// Runs a request's exchange to its end.
async fn drive(api: &Api, request: &Request<'_>, clock: Clock, database: &Database) -> Answer {
    let mut step = api.begin(request, clock.unix_seconds(), &mut HostRandom);
    loop {
        match step {
            Step::Send(answer) => return *answer,
            Step::Run(exchange) => {
                let rows = database.run(exchange.batch()).await;
                step = exchange.resume(api, rows);
            }
        }
    }
}

/// The cron trigger: counts some tenants' statistics.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _ctx: ScheduleContext) {
    running::attributed(env.as_ref(), count_statistics(&env)).await;
}

async fn count_statistics(env: &Env) {
    let clock = Clock::start();
    let api = env::api(env);
    let database = Database::of(env);
    let mut step = api.begin_stats(clock.unix_seconds()).map(JobStep::Run);
    let outcome = loop {
        match step {
            Ok(JobStep::Run(job)) => {
                let rows = database.run(job.batch()).await;
                step = job.resume(rows, &mut HostRandom);
            }
            Ok(JobStep::Done(report)) => break Ok(report),
            Err(error) => break Err(error),
        }
    };
    let entry = JobEntry::of_stats(outcome);
    if api.logs(entry.level()) {
        log::write(entry.level(), &entry.line(clock.elapsed_ms()));
    }
}

/// Faster than the standard library's for wasm, and smaller: rows come as thousands of short texts.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
