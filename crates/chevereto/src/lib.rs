//! The values that a Chevereto installation stores and reads.
//!
//! - [`php`]: PHP's `serialize()` format, in both directions.
//! - [`seal`]: how `env` is encrypted.
//! - [`tenant`]: the two Redis values of a tenant, and their keys.
//!
//! The crate does no I/O and has no clock and no randomness. `tests/vectors/chevereto.json` holds what real PHP and real phpseclib make of
//! the same input.

pub mod php;
#[cfg(feature = "properties")]
pub mod properties;
pub mod seal;
pub mod tenant;
