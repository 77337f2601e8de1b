//! Passes arbitrary bytes to `ocidd_fuzz::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ocidd_fuzz::answer(bytes));
