//! Any bytes to `ocidd::fuzzing::key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::key(bytes));
