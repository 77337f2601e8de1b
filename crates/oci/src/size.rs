//! Byte counts: printed for people, counted during transfers.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Prints a byte count exactly, and rounded for people: `4294967296 bytes (4 GiB)`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{} bytes", self.0);
        }
        write!(f, "{} bytes ({})", self.0, Rounded(self.0))
    }
}

/// Prints a byte count rounded down to tenths of its largest binary unit: `1.5 GiB`.
#[derive(Clone, Copy, Debug)]
pub struct Rounded(pub u64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let Some((name, unit)) = units.into_iter().find(|(_, unit)| self.0 >= *unit) else {
            return write!(f, "{} B", self.0);
        };
        // Tenths in integers: a float would round 1023.96 KiB up to "1024.0 KiB".
        let tenths = self.0 / unit * 10 + self.0 % unit * 10 / unit;
        if tenths.is_multiple_of(10) {
            write!(f, "{} {name}", tenths / 10)
        } else {
            write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

/// The length in the type of disk offsets.
pub fn length_of(bytes: &[u8]) -> u64 {
    // Lossless: no supported machine has addresses of more than 64 bits.
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The first `length` bytes, or all if there are fewer.
pub fn prefix(bytes: &[u8], length: u64) -> &[u8] {
    usize::try_from(length).ok().and_then(|length| bytes.get(..length)).unwrap_or(bytes)
}

/// Receives the number of bytes that were transferred since the last call.
pub trait Transfer: Sync {
    fn add(&self, bytes: u64);
}

/// A byte count that only grows, shared between threads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Transfer for Counter {
    fn add(&self, bytes: u64) {
        // Relaxed is enough: the count is only displayed.
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_down_and_keeps_the_exact_number() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1024 bytes (1 KiB)"),
            (1536, "1536 bytes (1.5 KiB)"),
            (1_048_575, "1048575 bytes (1023.9 KiB)"),
            (8_589_934_592, "8589934592 bytes (8 GiB)"),
            (u64::MAX, "18446744073709551615 bytes (16777215.9 TiB)"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
