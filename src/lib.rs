//! The Tenants API as a Cloudflare Worker: Cloudflare's types in, the core's types out. No rule of the API is here.
//!
//! A request is a machine of the core ([`drive`]): the core names a batch of statements, [`d1`] runs it, and the core goes on with the rows
//! until it has a response. docs/ARCHITECTURE.md explains the use of `web_sys` types, and `src/shim.js`.

mod body;
mod console;
mod d1;
mod env;
pub mod failure;
mod limiter;
mod log;
mod metrics;
mod outbound;
pub mod parts;
mod random;
mod request;
mod response;
pub mod running;
pub mod sites;

use std::rc::Rc;
use std::time::Duration;

use tenants_core::log::{DeliveryEntry, Level, LogEntry, TaskEntry};
use tenants_core::task::TaskError;
use tenants_core::task::deliver::Delivery;
use tenants_core::task::stats::Report;
use tenants_core::{Api, Context, Effect, Machine, Outcome, Step};
use worker::{
    Context as FetchContext, Delay, Env, ScheduleContext, ScheduledEvent, event, web_sys,
};

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
    ctx: FetchContext,
) -> worker::Result<web_sys::Response> {
    let clock = Clock::start();
    let work = async {
        match respond(&request, &env, &ctx, clock).await {
            Ok(response) => Ok(response),
            Err(cause) => failure::respond(&request, env.as_ref(), clock, cause),
        }
    };
    running::attributed(env.as_ref(), work).await
}

/// Responds to a request. The error is the platform's.
async fn respond(
    request: &web_sys::Request,
    env: &Env,
    ctx: &FetchContext,
    clock: Clock,
) -> Result<web_sys::Response, String> {
    let api = env::api(env);
    let head = Head::read(request, &api);
    if let Some(file) = console::file(request, &head, &api, env.as_ref()).await? {
        return Ok(file);
    }
    let body = body::read(request, head.content_length()).await;
    let request = head.request(body.as_body());
    let admission = api.admit(&request, clock.unix_seconds(), &mut HostRandom);
    let mut answer = if limiter::admits(env.as_ref(), admission.limited_as()).await {
        drive(admission.admitted(), &Database::of(env)).await
    } else {
        admission.refused()
    };
    if let Some(delivery) =
        api.delivery_after(&answer.log, Clock::start().unix_seconds(), &mut HostRandom)
    {
        let (api, database) = (Rc::clone(&api), Database::of(env));
        ctx.wait_until(async move { deliver(&api, Ok(delivery), &database).await });
    }
    if let Some(batch) = answer.afterwards.take() {
        let database = Database::of(env);
        ctx.wait_until(async move {
            if let Err(failure) = database.run(&batch).await {
                let line = tenants_core::log::afterwards_failed(&failure.to_string());
                log::write(Level::Warn, &line);
            }
        });
    }
    let response = if answer.rest.is_none() {
        finish(&api, env, clock, &answer.log);
        response::from_core(&answer.response)
    } else {
        parts::open(api, clock, answer)
    };
    response.map_err(|error| error.to_string())
}

/// Logs a request once its response is complete.
fn finish(api: &Api, env: &Env, clock: Clock, entry: &LogEntry) {
    let duration_ms = clock.elapsed_ms();
    if api.logs(entry.level()) {
        log::write(entry.level(), &entry.line(duration_ms));
    }
    metrics::record(env.as_ref(), entry, duration_ms);
}

/// Runs a request or a task to its end.
async fn drive<M: Machine>(mut step: Step<M>, database: &Database) -> M::Output {
    loop {
        let machine = match step {
            Step::Done(output) => return output,
            Step::Run(machine) => machine,
        };
        let outcome = match machine.effect() {
            Effect::Batch(batch) => Outcome::Batch(database.run(batch).await),
            Effect::Wait(milliseconds) => {
                Delay::from(Duration::from_millis(milliseconds.into())).await;
                if running::has_panicked() {
                    Outcome::CannotWait
                } else {
                    Outcome::Waited
                }
            }
            Effect::Fetch(request) => Outcome::Fetched(outbound::fetch(request).await),
        };
        let mut context = Context {
            unix_seconds: Clock::start().unix_seconds(),
            random: &mut HostRandom,
        };
        step = machine.resume(outcome, &mut context);
    }
}

/// Handles the cron trigger: carries out what is past its time, and counts the statistics of some tenants. If there are none to count, it sends the events
/// that webhooks wait for, and looks up the records of hostnames.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _ctx: ScheduleContext) {
    let work = async {
        // On the free plan, a run that counts may need all queries of a call.
        if !count_statistics(&env).await {
            send_events(&env).await;
            look_up_proofs(&env).await;
        }
    };
    running::attributed(env.as_ref(), work).await;
}

async fn send_events(env: &Env) {
    let api = env::api(env);
    let begun = api.begin_delivery(Clock::start().unix_seconds(), &mut HostRandom);
    deliver(&api, begun, &Database::of(env)).await;
}

/// Runs a delivery of events to its end.
async fn deliver(api: &Api, begun: Result<Delivery, TaskError>, database: &Database) {
    let clock = Clock::start();
    let outcome = match begun {
        Ok(delivery) => drive(Step::Run(delivery), database).await,
        Err(error) => Err(error),
    };
    if let Ok(report) = &outcome {
        api.delivered(report, clock.unix_seconds());
    }
    let entry = DeliveryEntry::new(outcome);
    if !entry.is_silent() && api.logs(entry.level()) {
        log::write(entry.level(), &entry.line(clock.elapsed_ms()));
    }
}

/// Returns whether it counted, or tried to.
async fn count_statistics(env: &Env) -> bool {
    let clock = Clock::start();
    let api = env::api(env);
    let outcome = match api.begin_stats(clock.unix_seconds()) {
        Ok(refresh) => drive(Step::Run(refresh), &Database::of(env)).await,
        Err(error) => Err(error),
    };
    let counted = outcome.as_ref().is_ok_and(Report::has_counted);
    let entry = TaskEntry::of_stats(outcome);
    if api.logs(entry.level()) {
        log::write(entry.level(), &entry.line(clock.elapsed_ms()));
    }
    counted
}

/// Looks up the records that show the owners of hostnames.
async fn look_up_proofs(env: &Env) {
    let clock = Clock::start();
    let api = env::api(env);
    let outcome = match api.begin_proofs(clock.unix_seconds()) {
        Ok(proofs) => drive(Step::Run(proofs), &Database::of(env)).await,
        Err(error) => Err(error),
    };
    if let Some(entry) = TaskEntry::of_proofs(outcome)
        && api.logs(entry.level())
    {
        log::write(entry.level(), &entry.line(clock.elapsed_ms()));
    }
}

/// Faster and smaller than the standard library's on wasm. Rows arrive as thousands of short texts.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
