//! A tenant's own site (contract §8): its tables, its administrator, its users' passwords, and what is counted of it.
//!
//! Its tables stand in the registry's database, under names that begin with the tenant's. What makes or drops tables cannot
//! carry a condition, so such a transaction begins with its audit entry, which cannot be written where the condition does not
//! hold ([`crate::sql::Batch::entered`]); what stood against it is read by another batch.

pub mod name;
pub mod password;
pub(crate) mod routes;
pub(crate) mod schema;
pub mod stats;
mod user;
