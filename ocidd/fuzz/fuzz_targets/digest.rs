//! Any bytes to `ocidd::fuzzing::digest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::digest(bytes));
