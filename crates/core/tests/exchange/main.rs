//! Whole exchanges on SQLite with the tables of `schema.sql`: every route, with every success and every error.
//!
//! [`host::Host`] checks each exchange of each test for the facts that hold for all of them (`invariants.rs`). The tests themselves
//! state the particular ones.
#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test helpers may panic, as tests do"
)]

mod api_keys;
mod ask;
mod audit;
mod auth;
mod bodies;
mod bound;
mod bound_keys;
mod cells;
mod cells_feed;
mod cells_jobs;
mod cells_kept;
mod cells_statements;
mod cells_upkeep;
mod cells_wait;
mod conditional;
mod costs;
mod cuts;
mod database;
mod described;
mod ends;
mod erase;
mod events;
mod failures;
mod filled;
mod finding;
mod health;
mod held;
mod holds;
mod host;
mod hostname_proofs;
mod hostnames;
mod idempotency;
mod idempotency_jobs;
mod if_match;
mod invariants;
mod key_use;
mod keys;
mod legacy;
mod operator;
mod plans;
mod preferences;
mod properties;
mod put;
mod put_statements;
mod query_plans;
mod reseal;
mod restore;
mod rotation;
mod routing;
mod rows;
mod scopes;
mod sealed_env;
mod session_rights;
mod session_statements;
mod sessions;
mod site;
mod site_databases;
mod site_modes;
mod site_moves;
mod site_statements;
mod slices;
mod statements;
mod stats;
mod tenants_create;
mod tenants_edit;
mod tenants_read;
mod traefik;
mod traefik_cells;
mod traefik_memory;
mod trials;
mod vectors;
mod wasm_rows;
mod webhook_changes;
mod webhook_runs;
mod webhooks;
