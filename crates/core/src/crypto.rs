//! Cryptography: keys, signatures, encryption and password hashes. Each file states its algorithm and its source.

pub mod api_key;
pub(crate) mod fingerprint;
pub mod hashing;
pub mod message;
pub mod seal;
pub mod secret;
pub(crate) mod session;
pub mod signature;
pub mod verifying_key;
pub(crate) mod webhook;
