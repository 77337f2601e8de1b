//! Byte counts: parsed with the suffixes of `dd`, printed for people, counted during transfers.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// The suffixes of `dd` in bytes (coreutils manual, "dd invocation"; `k` is from busybox).
const SUFFIXES: [(&str, u64); 17] = [
    ("c", 1),
    ("w", 2),
    ("b", 512),
    ("k", 1 << 10),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("", 1),
];

/// Parses `64k`, `1M`, `4096`. `None` for zero, overflow, unknown suffixes and other text.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (_, factor) = SUFFIXES.iter().find(|(name, _)| *name == suffix)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|bytes| *bytes > 0)
}

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
    fn parses_the_suffixes_of_dd() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("4096", Some(4096)),
            ("3b", Some(1536)),
            ("64k", Some(65536)),
            ("64K", Some(65536)),
            ("1kB", Some(1000)),
            ("1M", Some(1_048_576)),
            ("2MiB", Some(2_097_152)),
            ("1MB", Some(1_000_000)),
            ("1G", Some(1_073_741_824)),
            ("100GB", Some(100_000_000_000)),
            ("2T", Some(2_199_023_255_552)),
            ("2TB", Some(2_000_000_000_000)),
            ("", None),
            ("k", None),
            ("0", None),
            ("1m", None),
            ("-1", None),
            ("1.5M", None),
            ("1 M", None),
            ("99999999999999999999", None),
            ("99999999999G", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

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
