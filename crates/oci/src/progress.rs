//! Counting the bytes of a transfer.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Receives the number of bytes that were transferred since the last call.
pub trait Transfer: Sync {
    fn add(&self, bytes: u64);
}

/// A number of bytes that only grows, shared between threads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Transfer for Counter {
    fn add(&self, bytes: u64) {
        // Relaxed: the number is shown to people, nothing is decided by it.
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}
