#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenants_core::properties::dns(data));
