//! Any bytes to `ocidd::fuzzing::decoder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::decoder(bytes));
