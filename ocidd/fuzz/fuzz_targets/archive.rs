//! Passes arbitrary bytes to `ocidd_fuzz::archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd_fuzz::archive(bytes));
