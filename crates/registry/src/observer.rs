//! The interface through which transfers report retries, warnings and progress. A module of its
//! own, because the front ends implement it.

use std::{fmt, time::Duration};

use oci::size::Transfer;

/// A request that failed and is sent again after `delay`.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Counts from 1.
    pub number: u32,
    /// Maximum number of retries; `None` without a limit.
    pub of: Option<u32>,
    pub delay: Duration,
    pub reason: String,
}

/// Receives the events of a transfer. Implementations must not block.
pub trait Observer: Sync {
    fn retry(&self, retry: Retry);

    fn warn(&self, text: String);

    fn note(&self, text: String);

    /// Starts a progress display, which ends when the returned value is dropped.
    fn transfer(&self, label: &str, total_bytes: u64) -> Box<dyn Transfer + '_>;
}

impl fmt::Debug for dyn Observer + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
