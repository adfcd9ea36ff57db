//! The store: one file a table, with the text of its statements and the decoding of its rows.
//!
//! Every statement of a caller is made here, and begins with the condition that the caller's key is valid ([`standing`]). A write and its
//! audit entry share a transaction ([`mod@write`], [`audit`]).

pub(crate) mod answers;
pub(crate) mod audit;
pub(crate) mod cell_moves;
pub(crate) mod cells;
pub(crate) mod counters;
pub(crate) mod deleted;
pub(crate) mod deliveries;
pub(crate) mod ends;
pub(crate) mod event;
pub(crate) mod feed;
pub(crate) mod find;
pub(crate) mod history;
pub(crate) mod holds;
pub(crate) mod hostnames;
pub(crate) mod idempotency;
pub(crate) mod key_use;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod message;
pub(crate) mod migrations;
pub(crate) mod moves;
pub(crate) mod plans;
pub(crate) mod proofs;
pub(crate) mod registry;
pub(crate) mod routing;
pub(crate) mod sealed;
pub(crate) mod sessions;
pub(crate) mod site_databases;
pub(crate) mod site_schema;
pub(crate) mod sites;
pub(crate) mod slice;
pub(crate) mod standing;
pub(crate) mod tenants;
pub(crate) mod webhooks;
pub(crate) mod work;
pub(crate) mod write;
