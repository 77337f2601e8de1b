//! Passes arbitrary bytes to `ocidd_fuzz::logins`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd_fuzz::logins(bytes));
