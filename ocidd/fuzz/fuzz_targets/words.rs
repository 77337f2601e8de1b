//! Any bytes to `ocidd::fuzzing::words`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::words(bytes));
