//! Any bytes to `ocidd::fuzzing::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::manifest(bytes));
