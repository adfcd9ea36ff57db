//! The wire: how requests and responses are written. Nothing here reads a database or judges a key.

pub(crate) mod audit;
pub(crate) mod body;
pub(crate) mod conditional;
pub(crate) mod content_digest;
pub(crate) mod cookie;
pub(crate) mod dialect;
pub(crate) mod events;
pub(crate) mod filter;
pub mod http;
pub(crate) mod idempotency_key;
pub(crate) mod json;
pub(crate) mod labels;
pub(crate) mod legacy;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod parameter;
pub(crate) mod prefer;
pub(crate) mod problem;
pub(crate) mod route;
pub(crate) mod rule;
pub(crate) mod signature_input;
pub mod signed;
pub(crate) mod structured;
pub(crate) mod target_uri;
pub(crate) mod trial;
pub mod variables;
