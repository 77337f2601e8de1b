//! Any bytes to `ocidd::fuzzing::selector`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::selector(bytes));
