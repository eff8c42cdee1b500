#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::signatures::authorization(data));
