//! SQL as data: statements, batches, and the rows that come back.
//!
//! Nothing here knows a table or a caller. `store/` has every statement's text.

pub mod json;
mod rows;
mod statement;
mod value;

pub(crate) use rows::{Columns, Results, unexpected_result};
pub use rows::{Row, Rows};
pub(crate) use statement::Sql;
pub use statement::{Batch, Database, MAX_BOUND_VALUES, Statement};
pub use value::Value;
