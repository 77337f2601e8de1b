//! How an install can end badly: the causes that scripts and people tell apart, their exit codes, and what became of the disk.

use crate::diagnostic::Diagnostic;
use std::fmt;

/// Every exit code of `ocidd` and what it means. Stable: scripts and `init` rely on them.
pub const EXIT_CODES: [(u8, &str); 9] = [
    (
        0,
        "the image is on the disk, verified and synced (or was there already, or it was a dry run)",
    ),
    (1, "ocidd itself failed"),
    (2, "a word is wrong or missing; nothing was written"),
    (3, "not confirmed on the console; nothing was written"),
    (4, "the image could not be fetched: registry, network, reference or manifest"),
    (
        5,
        "the target disk was refused: missing, in use, not a whole disk, too small or of another sector size",
    ),
    (6, "the image is broken: its digest or its compressed stream is not right"),
    (7, "writing to the disk went wrong"),
    (8, "the image is not signed by a trusted key; nothing was written"),
];

/// Why an install failed. Each has a stable id, which events and the last line of a failed install carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    Internal,
    Words,
    Declined,
    Unreachable,
    Untrusted,
    Refused,
    Login,
    NotFound,
    Manifest,
    Transfer,
    DiskMissing,
    DiskAmbiguous,
    DiskNotWhole,
    DiskBusy,
    DiskReadOnly,
    DiskTooSmall,
    DiskSectors,
    Digest,
    Stream,
    Format,
    Write,
    ReadBack,
    Signature,
}

/// What is known of a cause.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub cause: Cause,
    pub id: &'static str,
    pub exit_code: u8,
    pub remedy: &'static str,
}

const fn entry(cause: Cause, id: &'static str, exit_code: u8, remedy: &'static str) -> Entry {
    Entry { cause, id, exit_code, remedy }
}

/// Every cause, in the order of README's table. Ids are stable like the exit codes.
pub const CAUSES: [Entry; 23] = [
    entry(
        Cause::Internal,
        "internal",
        1,
        "a defect or a machine without memory: please report what the console says",
    ),
    entry(Cause::Words, "bad-words", 2, "mend the words that the message names"),
    entry(Cause::Declined, "not-confirmed", 3, "answer 'yes', or leave `wait` out"),
    entry(
        Cause::Unreachable,
        "unreachable",
        4,
        "look at cable, switch, DHCP, DNS, proxy and registry; `oci.retries=infinite` waits for them",
    ),
    entry(
        Cause::Untrusted,
        "untrusted",
        4,
        "put the site's certificate authority into an overlay; look at the clock",
    ),
    entry(
        Cause::Refused,
        "refused",
        4,
        "look at the registry's log: it said no, or that it is broken",
    ),
    entry(
        Cause::Login,
        "login-refused",
        4,
        "put a login that may pull into the overlay's `auth.json`",
    ),
    entry(Cause::NotFound, "not-found", 4, "push the image, or mend repository, tag or digest"),
    entry(
        Cause::Manifest,
        "bad-manifest",
        4,
        "push the image as one disk layer; choose a platform of the index by `oci.platform`",
    ),
    entry(
        Cause::Transfer,
        "bad-transfer",
        4,
        "look at what lies between machine and registry: it sends other bytes than were asked for",
    ),
    entry(
        Cause::DiskMissing,
        "disk-missing",
        5,
        "mend `dd.of`; look at cables and drivers; raise `dd.timeout`",
    ),
    entry(
        Cause::DiskAmbiguous,
        "disk-ambiguous",
        5,
        "add parts to the selector until one disk matches",
    ),
    entry(
        Cause::DiskNotWhole,
        "disk-not-whole",
        5,
        "name the whole disk, not a partition or a file of another kind",
    ),
    entry(
        Cause::DiskBusy,
        "disk-busy",
        5,
        "unmount, or stop the LVM, RAID or swap that the message names",
    ),
    entry(
        Cause::DiskReadOnly,
        "disk-read-only",
        5,
        "look for a write-protect switch, or a virtual medium",
    ),
    entry(Cause::DiskTooSmall, "disk-too-small", 5, "use a larger disk or a smaller image"),
    entry(
        Cause::DiskSectors,
        "disk-sector-size",
        5,
        "build the image for the disk's logical sector size",
    ),
    entry(
        Cause::Digest,
        "digest-mismatch",
        6,
        "push the image again: the registry or something on the way changes bytes",
    ),
    entry(Cause::Stream, "broken-stream", 6, "pack and push the image again"),
    entry(
        Cause::Format,
        "unknown-format",
        6,
        "push a raw disk image, compressed by gzip, zstd or xz, under the right media type",
    ),
    entry(
        Cause::Write,
        "write-error",
        7,
        "look at the kernel's messages: the disk or its cable fails",
    ),
    entry(
        Cause::ReadBack,
        "readback-mismatch",
        7,
        "replace the disk: it does not keep what it is given",
    ),
    entry(
        Cause::Signature,
        "bad-signature",
        8,
        "have the image signed by a key of the overlay's `keys.d` or of `oci.verify_key`, or mend that key; find out who pushed it",
    ),
];

impl Cause {
    pub fn id(self) -> &'static str {
        self.entry().map_or("internal", |entry| entry.id)
    }

    pub fn exit_code(self) -> u8 {
        self.entry().map_or(1, |entry| entry.exit_code)
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        self.entry().map_or("", |entry| entry.remedy)
    }

    fn entry(self) -> Option<&'static Entry> {
        CAUSES.iter().find(|entry| entry.cause == self)
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

impl DiskState {
    /// One word for machines.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Cleared { .. } => "cleared",
            Self::Unknown { .. } => "unknown",
        }
    }
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
    pub cause: Cause,
    pub error: anyhow::Error,
    pub hint: Option<String>,
    pub disk: DiskState,
}

impl Failure {
    /// Adds what was being done.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self { error: self.error.context(doing), ..self }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic { message: self.to_string(), hint: self.hint.clone() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}; {}", self.error, self.disk)
    }
}

/// Gives an error its cause, on the way up from where the disk has not been touched.
pub trait OrFail<T, E> {
    fn or_fail(self, cause: Cause) -> Result<T, Failure>;
    /// The same, where the error itself tells the cause.
    fn or_fail_by(self, cause: impl FnOnce(&E) -> Cause) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T, E> for Result<T, E> {
    fn or_fail(self, cause: Cause) -> Result<T, Failure> {
        self.or_fail_by(|_| cause)
    }

    fn or_fail_by(self, cause: impl FnOnce(&E) -> Cause) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            cause: cause(&error),
            error: error.into(),
            hint: None,
            disk: DiskState::Untouched,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_one_id_and_a_code_that_is_told() {
        for (at, entry) in CAUSES.iter().enumerate() {
            assert!(EXIT_CODES.iter().any(|(code, _)| *code == entry.exit_code), "{}", entry.id);
            assert!(CAUSES[..at].iter().all(|earlier| earlier.id != entry.id), "{}", entry.id);
            assert_eq!((entry.cause.id(), entry.cause.exit_code()), (entry.id, entry.exit_code));
        }
    }
}
