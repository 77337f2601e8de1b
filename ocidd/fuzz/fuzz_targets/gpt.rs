//! Any bytes to `ocidd::fuzzing::gpt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::gpt(bytes));
