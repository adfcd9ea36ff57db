//! The signed client of the Tenants API, which the command line and the agent share.
//!
//! It signs requests, reads responses, finds proxies and certificates by curl's rules, and never follows redirects. It knows no route: its
//! callers name paths and read bodies.

pub mod address;
pub mod authority;
mod client;
pub mod error;
pub mod forward;
pub mod problem;
pub mod proxy;
mod signing;
pub mod terminal;
pub mod trust;
pub mod vars;

pub use client::{Answer, Client, Found, Part, Program, Request, Setup, query_value};
pub use signing::Signing;
