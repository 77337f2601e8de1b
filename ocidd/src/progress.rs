//! Counters that the threads of an install share with the console.

use oci::size::Counter;

/// How far an install has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Compressed bytes that have arrived.
    pub fetched: Counter,
    /// Bytes of the disk image that have been handed to the disk.
    pub written: Counter,
}
