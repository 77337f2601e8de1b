//! Any bytes to `ocidd::fuzzing::parameters`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::parameters(bytes));
