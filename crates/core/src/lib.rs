//! Every rule of the Tenants API, without I/O.
//!
//! A host hands in a request, the time and randomness; it gets back either an answer to send or a batch of SQL statements to
//! run and come back with ([`exchange`]). The core routes, authenticates, validates and plans; it opens no socket and no file,
//! and asks for no time and no randomness of its own. It is `no_std` with `alloc`, and synchronous.
//!
//! "Contract §n" in these pages is the section of the API's contract; where the contract is silent, `docs/COMPAT.md` has
//! the choice that was made.

#![no_std]

extern crate alloc;

pub mod address;
pub mod auth;
mod body;
pub mod clock;
pub mod config;
mod dialect;
pub mod exchange;
pub mod hostname;
pub mod http;
pub mod id;
pub mod job;
pub mod log;
mod page;
pub mod patch;
pub mod plan;
pub mod problem;
pub mod reseal;
mod route;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod site;
pub mod sql;
mod stored;
pub mod tenant;
#[cfg(test)]
mod testing;
pub mod traefik;
pub mod variables;

pub use exchange::{Answer, Api, Exchange, Step};
pub use http::{Body, Headers, Random, RandomUnavailable, Request, Response};
