//! Any bytes to `ocidd::fuzzing::marker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::marker(bytes));
