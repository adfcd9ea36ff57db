//! Whole exchanges on a real SQLite that was loaded from `schema.sql`: every route, every success and every error of it.
//!
//! What holds for every answer, every statement and every write is checked by [`host::Host`] in every exchange of every test;
//! the tests themselves say what is particular.
#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of a test end it as the test itself may"
)]

mod ask;
mod auth;
mod bodies;
mod failures;
mod host;
mod invariants;
mod key_creation;
mod legacy;
mod plans;
mod properties;
mod reseal;
mod rotation;
mod routing;
mod rows;
mod sealed_env;
mod site;
mod statements;
mod stats;
mod tenants_create;
mod tenants_edit;
mod tenants_read;
mod traefik;
mod vectors;
