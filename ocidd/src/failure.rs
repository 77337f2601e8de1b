//! How an install can end badly: the kinds that a caller tells apart by exit code, and what became of the disk.

use std::fmt;

/// Every exit code of `ocidd` and what it means. Stable: scripts and `init` rely on them.
pub const EXIT_CODES: [(u8, &str); 8] = [
    (0, "the image is on the disk, verified and synced"),
    (1, "ocidd itself failed"),
    (2, "a word is wrong or missing; nothing was written"),
    (3, "not confirmed on the console; nothing was written"),
    (4, "the image could not be fetched: registry, network, reference or manifest"),
    (5, "the target disk was refused: missing, in use, not a whole disk or too small"),
    (6, "the image is broken: its digest or its gzip stream is not right"),
    (7, "writing to the disk went wrong"),
];

/// What went wrong, as far as a caller acts on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Internal,
    Words,
    Declined,
    Fetch,
    Disk,
    Image,
    Write,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Words => 2,
            Self::Declined => 3,
            Self::Fetch => 4,
            Self::Disk => 5,
            Self::Image => 6,
            Self::Write => 7,
        }
    }
}

/// What a failed install left behind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DiskState {
    Untouched,
    /// The start and the end were cleared, so no firmware takes the disk for bootable.
    Cleared {
        disk: String,
    },
    /// Clearing went wrong too.
    Unknown {
        disk: String,
        reason: String,
    },
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched => f.write_str("nothing was written"),
            Self::Cleared { disk } => {
                write!(f, "the start and the end of '{disk}' were cleared, it will not boot")
            }
            Self::Unknown { disk, reason } => {
                write!(f, "'{disk}' is in an unknown state, clearing it went wrong too: {reason}")
            }
        }
    }
}

/// Why an install ended without an installed disk.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    pub error: anyhow::Error,
    pub disk: DiskState,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}; {}", self.error, self.disk)
    }
}

/// Gives an error its kind, on the way up from where the disk has not been touched.
pub trait OrFail<T> {
    fn or_fail(self, kind: Kind) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, kind: Kind) -> Result<T, Failure> {
        self.map_err(|error| Failure { kind, error: error.into(), disk: DiskState::Untouched })
    }
}
