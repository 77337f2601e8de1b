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

/// Why an install failed. Events and the last line of a failed install contain the id, which is
/// stable like the exit code. The remedy is one suggested action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cause {
    pub id: &'static str,
    pub exit_code: u8,
    pub remedy: &'static str,
}

const fn cause(id: &'static str, exit_code: u8, remedy: &'static str) -> Cause {
    Cause { id, exit_code, remedy }
}

/// In the order of the documented table.
impl Cause {
    pub const INTERNAL: Self =
        cause("internal", 1, "report the console output: a defect, or no memory left");
    pub const PARAMETERS: Self =
        cause("bad-parameters", 2, "fix the parameters named in the message");
    pub const DECLINED: Self = cause("not-confirmed", 3, "answer 'yes', or remove `wait`");
    pub const UNREACHABLE: Self = cause(
        "unreachable",
        4,
        "check cable, switch, DHCP, DNS, proxy and registry; `oci.retries=infinite` waits for them",
    );
    pub const UNTRUSTED: Self =
        cause("untrusted", 4, "add the site's CA to an overlay; check the clock");
    pub const REFUSED: Self = cause("refused", 4, "check the log of the registry");
    pub const LOGIN: Self =
        cause("login-refused", 4, "fix the credentials in `auth.json` of the overlay");
    pub const NOT_FOUND: Self =
        cause("not-found", 4, "push the image, or fix repository, tag or digest");
    pub const MANIFEST: Self =
        cause("bad-manifest", 4, "push one disk layer; set `oci.platform` for an index");
    pub const TRANSFER: Self =
        cause("bad-transfer", 4, "check proxies and registry: they send other bytes");
    pub const DISK_MISSING: Self =
        cause("disk-missing", 5, "fix `dd.of`; check cables and drivers; raise `dd.timeout`");
    pub const DISK_AMBIGUOUS: Self =
        cause("disk-ambiguous", 5, "extend the selector until one disk matches");
    pub const DISK_NOT_WHOLE: Self =
        cause("disk-not-whole", 5, "select a whole disk or a regular file");
    pub const DISK_BUSY: Self =
        cause("disk-busy", 5, "unmount it, or stop the LVM, RAID or swap using it");
    pub const DISK_READ_ONLY: Self =
        cause("disk-read-only", 5, "check for a write-protect switch, virtual media");
    pub const DISK_TOO_SMALL: Self =
        cause("disk-too-small", 5, "use a larger disk or a smaller image");
    pub const DISK_SECTORS: Self =
        cause("disk-sector-size", 5, "build the image for the disk's sector size");
    pub const DIGEST: Self =
        cause("digest-mismatch", 6, "push the image again; check proxies and registry");
    pub const STREAM: Self = cause("broken-stream", 6, "compress and push the image again");
    pub const FORMAT: Self =
        cause("unknown-format", 6, "push a raw disk image, or one in gzip, zstd or xz");
    pub const WRITE: Self =
        cause("write-error", 7, "check the kernel messages: the disk or its cable fails");
    pub const READ_BACK: Self =
        cause("readback-mismatch", 7, "replace the disk: it does not keep its data");
    pub const SIGNATURE: Self =
        cause("bad-signature", 8, "sign the image; fix `keys.d` or `oci.verify_key`");
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
    /// Boxed, because a result of a `Failure` would be large.
    pub problem: Box<Diagnostic>,
    pub disk: DiskState,
}

impl Failure {
    /// A failure before the first write.
    pub fn new(cause: Cause, problem: impl Into<Diagnostic>) -> Self {
        Self { cause, problem: Box::new(problem.into()), disk: DiskState::Untouched }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.problem.hint = hint;
        self
    }

    /// Adds what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.problem.message = format!("{doing}: {}", self.problem.message);
        self
    }

    /// With the state of the disk.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic { message: self.to_string(), hint: self.problem.hint.clone() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem.message, self.disk)
    }
}

/// Adds a cause to an error. For errors before the first write.
pub trait OrFail<T> {
    fn or_fail(self, cause: Cause) -> Result<T, Failure>;
}

impl<T, E: Into<Diagnostic>> OrFail<T> for Result<T, E> {
    fn or_fail(self, cause: Cause) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(cause, error))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const ALL_CAUSES: [Cause; 23] = [
        Cause::INTERNAL,
        Cause::PARAMETERS,
        Cause::DECLINED,
        Cause::UNREACHABLE,
        Cause::UNTRUSTED,
        Cause::REFUSED,
        Cause::LOGIN,
        Cause::NOT_FOUND,
        Cause::MANIFEST,
        Cause::TRANSFER,
        Cause::DISK_MISSING,
        Cause::DISK_AMBIGUOUS,
        Cause::DISK_NOT_WHOLE,
        Cause::DISK_BUSY,
        Cause::DISK_READ_ONLY,
        Cause::DISK_TOO_SMALL,
        Cause::DISK_SECTORS,
        Cause::DIGEST,
        Cause::STREAM,
        Cause::FORMAT,
        Cause::WRITE,
        Cause::READ_BACK,
        Cause::SIGNATURE,
    ];

    #[test]
    fn every_cause_has_a_unique_id_and_a_documented_exit_code() {
        let lines = include_str!("failure.rs").lines();
        let causes = lines.filter(|line| line.starts_with("    pub const "));
        assert_eq!(causes.count(), ALL_CAUSES.len());
        for (at, cause) in ALL_CAUSES.iter().enumerate() {
            assert!(EXIT_CODES.iter().any(|(code, _)| *code == cause.exit_code), "{}", cause.id);
            assert!(ALL_CAUSES[..at].iter().all(|earlier| earlier.id != cause.id), "{}", cause.id);
        }
    }
}
