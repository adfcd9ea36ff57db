//! Every rule of the Tenants API, without I/O.
//!
//! A host hands in a request, the time and randomness. It gets back either a response to send or a batch of SQL statements to run
//! ([`machine`]). The core routes, authenticates, validates and plans. It opens no socket and no file, and never asks for the time or for
//! randomness itself. It is `no_std` with `alloc`, and synchronous.
//!
//! The modules are floors: each imports only floors below it, and a test holds that (`tests/floors.rs`). From the top:
//!
//! | floor | modules |
//! |---|---|
//! | 8 | [`api`](Api): a request's way; [`log`] |
//! | 7 | `operation`: the work of each route; [`task`]: work without a request |
//! | 6 | `store`: statements and rows, a file a table |
//! | 5 | `auth`: who calls; [`config`]; [`settings`] |
//! | 4 | [`machine`]: the shape of requests and tasks |
//! | 3 | `wire`: routes, bodies, responses, problems |
//! | 2 | [`sql`]: statements as data; [`crypto`] |
//! | 1 | [`value`]: parsed values |
//!
//! "Contract §n" names a section of `docs/API.md`. If the contract is silent, `docs/COMPAT.md` records the choice.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod api;
mod auth;
pub mod config;
pub mod crypto;
#[cfg(test)]
mod describe;
pub mod log;
pub mod machine;
mod operation;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
pub mod settings;
pub mod sql;
mod store;
pub mod task;
#[cfg(any(test, feature = "properties"))]
mod testing;
pub mod value;
pub mod wire;

pub use api::{Admission, Answer, Api, Exchange, Part, Rest};
pub use machine::{
    Context, Effect, Failure, FailureKind, FetchFailure, FetchRequest, FetchedAnswer, Host,
    Machine, Outcome, Step,
};
pub use store::counters::NAMES as COUNTERS;
pub use value::random::{Random, RandomUnavailable};
pub use value::version::VERSION;
pub use wire::http::{BODY_LIMIT_BYTES, Body, Headers, Request, Response, ResponseBody};
pub use wire::route::{Served, served};
