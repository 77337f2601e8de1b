//! Any bytes to `ocidd::fuzzing::challenge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::challenge(bytes));
