//! Passes arbitrary bytes to `ocidd_fuzz::content_range`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd_fuzz::content_range(bytes));
