#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::signatures::canonical_v3(data));
