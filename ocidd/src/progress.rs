//! Counters that the threads of an install share with whoever shows them.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// How far an install has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Compressed bytes that have arrived.
    pub fetched: Counter,
    /// Bytes of the disk image that have been handed to the disk.
    pub written: Counter,
}

/// A number of bytes that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, bytes: u64) {
        // Relaxed: the number is shown to people, nothing is decided by it.
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
