//! How an install can fail: causes with stable ids and exit codes, and the state of the disk.

use std::fmt;

use crate::report::diagnostic::Diagnostic;

/// Every exit code of `ocidd` and its meaning. Stable: scripts and `init` rely on them.
pub const EXIT_CODES: [(u8, &str); 9] = [
    (0, "installed, verified and synced (or already installed, or a dry run)"),
    (1, "internal error"),
    (2, "a parameter is invalid or missing; nothing was written"),
    (3, "not confirmed on the console; nothing was written"),
    (4, "fetching the image failed: registry, network, reference or manifest"),
    (
        5,
        "the target disk was rejected: missing, in use, not a whole disk, too small, other sectors",
    ),
    (6, "the image is corrupt: its digest or its compressed stream is wrong"),
    (7, "writing to the disk failed"),
    (8, "the image is not signed by a trusted key; nothing was written"),
];

/// Why an install failed. Events and the last line of a failed install contain its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    Internal,
    Parameters,
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

/// A cause and its documentation.
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

/// Every cause, in the order of the documented table. Ids are stable like the exit codes.
pub const CAUSES: [Entry; 23] = [
    entry(Cause::Internal, "internal", 1, "report the console output: a defect, or no memory left"),
    entry(Cause::Parameters, "bad-parameters", 2, "fix the parameters named in the message"),
    entry(Cause::Declined, "not-confirmed", 3, "answer 'yes', or remove `wait`"),
    entry(
        Cause::Unreachable,
        "unreachable",
        4,
        "check cable, switch, DHCP, DNS, proxy and registry; `oci.retries=infinite` waits for them",
    ),
    entry(Cause::Untrusted, "untrusted", 4, "add the site's CA to an overlay; check the clock"),
    entry(Cause::Refused, "refused", 4, "check the log of the registry"),
    entry(Cause::Login, "login-refused", 4, "fix the credentials in `auth.json` of the overlay"),
    entry(Cause::NotFound, "not-found", 4, "push the image, or fix repository, tag or digest"),
    entry(
        Cause::Manifest,
        "bad-manifest",
        4,
        "push one disk layer; set `oci.platform` for an index",
    ),
    entry(Cause::Transfer, "bad-transfer", 4, "check proxies and registry: they send other bytes"),
    entry(
        Cause::DiskMissing,
        "disk-missing",
        5,
        "fix `dd.of`; check cables and drivers; raise `dd.timeout`",
    ),
    entry(Cause::DiskAmbiguous, "disk-ambiguous", 5, "extend the selector until one disk matches"),
    entry(Cause::DiskNotWhole, "disk-not-whole", 5, "select a whole disk or a regular file"),
    entry(Cause::DiskBusy, "disk-busy", 5, "unmount it, or stop the LVM, RAID or swap using it"),
    entry(
        Cause::DiskReadOnly,
        "disk-read-only",
        5,
        "check for a write-protect switch, virtual media",
    ),
    entry(Cause::DiskTooSmall, "disk-too-small", 5, "use a larger disk or a smaller image"),
    entry(Cause::DiskSectors, "disk-sector-size", 5, "build the image for the disk's sector size"),
    entry(Cause::Digest, "digest-mismatch", 6, "push the image again; check proxies and registry"),
    entry(Cause::Stream, "broken-stream", 6, "compress and push the image again"),
    entry(Cause::Format, "unknown-format", 6, "push a raw disk image, or one in gzip, zstd or xz"),
    entry(Cause::Write, "write-error", 7, "check the kernel messages: the disk or its cable fails"),
    entry(Cause::ReadBack, "readback-mismatch", 7, "replace the disk: it does not keep its data"),
    entry(Cause::Signature, "bad-signature", 8, "sign the image; fix `keys.d` or `oci.verify_key`"),
];

impl Cause {
    pub fn id(self) -> &'static str {
        self.entry().map_or("internal", |entry| entry.id)
    }

    pub fn exit_code(self) -> u8 {
        self.entry().map_or(1, |entry| entry.exit_code)
    }

    /// One suggested action.
    pub fn remedy(self) -> &'static str {
        self.entry().map_or("", |entry| entry.remedy)
    }

    fn entry(self) -> Option<&'static Entry> {
        CAUSES.iter().find(|entry| entry.cause == self)
    }
}

/// State of the disk after a failed install.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DiskState {
    Untouched,
    /// Start and end were cleared, so the disk is not bootable.
    Cleared {
        disk: String,
    },
    /// Clearing failed too.
    Unknown {
        disk: String,
        reason: String,
    },
}

impl DiskState {
    /// Id for machines.
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
                write!(f, "'{disk}' is in an unknown state, clearing it failed too: {reason}")
            }
        }
    }
}

/// A failed install.
#[derive(Debug)]
pub struct Failure {
    pub cause: Cause,
    pub error: anyhow::Error,
    pub hint: Option<String>,
    pub disk: DiskState,
}

impl Failure {
    /// A failure before the first write.
    pub fn new(cause: Cause, error: impl Into<anyhow::Error>, hint: Option<String>) -> Self {
        Self { cause, error: error.into(), hint, disk: DiskState::Untouched }
    }

    /// Adds what was being done.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self { error: self.error.context(doing), ..self }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic { message: self.to_string(), hint: self.hint.clone() }
    }
}

impl Diagnostic {
    /// The failure of an install before the first write.
    pub fn fail(self, cause: Cause) -> Failure {
        Failure::new(cause, anyhow::Error::msg(self.message), self.hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}; {}", self.error, self.disk)
    }
}

/// Adds a cause to an error. For errors before the first write.
pub trait OrFail<T> {
    fn or_fail(self, cause: Cause) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, cause: Cause) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(cause, error, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_unique_id_and_a_documented_exit_code() {
        for (at, entry) in CAUSES.iter().enumerate() {
            assert!(EXIT_CODES.iter().any(|(code, _)| *code == entry.exit_code), "{}", entry.id);
            assert!(CAUSES[..at].iter().all(|earlier| earlier.id != entry.id), "{}", entry.id);
            assert_eq!((entry.cause.id(), entry.cause.exit_code()), (entry.id, entry.exit_code));
        }
    }
}
