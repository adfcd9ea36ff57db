//! The Tenants API as a WebAssembly component. No rule of the API is here.
//!
//! `wit/` is the contract, and has the documentation of everything that a host sees. This crate turns the component model's types
//! into the core's and back ([`types`]), and gives each world its exports: [`exchange`] in steps, [`service`] at once. Neither
//! asks for anything that its world does not name: no file, socket or environment, and so no WASI.
//!
//! A panic is a trap, after which a host can't enter the instance again: it makes a new one (README.md).

mod types;

#[cfg(feature = "exchange")]
pub mod exchange;
#[cfg(feature = "service")]
pub mod service;

/// Faster than the standard library's for wasm, and smaller.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
