//! Any bytes to `ocidd::fuzzing::logins`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd::fuzzing::logins(bytes));
