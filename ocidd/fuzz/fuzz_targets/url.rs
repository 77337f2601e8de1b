//! Passes arbitrary bytes to `ocidd_fuzz::url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd_fuzz::url(bytes));
