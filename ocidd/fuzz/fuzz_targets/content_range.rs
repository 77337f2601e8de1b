//! Any bytes to `ocidd::fuzzing::content_range`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::content_range(bytes));
