//! Any bytes to `ocidd::fuzzing::signature`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::signature(bytes));
