//! Any bytes to `ocidd::fuzzing::size`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::size(bytes));
