#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenants_chevereto::properties::php(data));
