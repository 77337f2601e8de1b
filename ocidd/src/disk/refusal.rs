//! Why a target disk is not taken. Each reason is a variant of its own, so that a caller can tell what may pass from what will not.

use crate::disk::holders::Holder;
use crate::disk::holders::list;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use thiserror::Error;

/// Said before the first write; nothing was changed.
#[derive(Debug, Error)]
pub enum Refusal {
    /// There is no such file. A disk may appear later.
    #[error("opening target disk '{}'{}", path.display(), about_udev(path))]
    Missing { path: PathBuf, source: io::Error },
    #[error("'{}' is neither a disk nor a regular file", path.display())]
    NotADisk { path: PathBuf },
    #[error(
        "'{}' is a partition of '{disk}'; a whole disk is needed; hint: set dd.of={disk}",
        path.display()
    )]
    Partition {
        path: PathBuf,
        /// The whole disk, `/dev/…`.
        disk: String,
    },
    /// In use. Without holders the kernel refuses it and tells nothing more.
    #[error("'{}' is in use: {}", path.display(), told(holders))]
    Busy { path: PathBuf, holders: Vec<Holder> },
    #[error(
        "'{}' is read-only; hint: look for a write-protect switch, or a virtual medium",
        path.display()
    )]
    ReadOnly { path: PathBuf },
    #[error("'{}' has a size of 0 bytes", path.display())]
    Empty { path: PathBuf },
    #[error("opening target disk '{}'", path.display())]
    Open { path: PathBuf, source: io::Error },
}

impl Refusal {
    /// The refusal of a path that could not be looked at or opened.
    pub fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path, source },
            io::ErrorKind::ResourceBusy => Self::Busy { path, holders: Vec::new() },
            _ => Self::Open { path, source },
        }
    }
}

fn told(holders: &[Holder]) -> String {
    if holders.is_empty() {
        // A file system over several disks, a program that has opened it, another mount namespace.
        return "the kernel keeps it for another user, and neither mounts, swap nor sysfs say for whom; hint: look for a program that has it open"
            .to_owned();
    }
    format!("{}; hint: end that use, or choose another disk", list(holders))
}

/// The names that udev makes are copied from running systems, and are not there in an initramfs.
fn about_udev(path: &Path) -> &'static str {
    if path.starts_with("/dev/disk") {
        " (a name of udev's, which need not run here; hint: set dd.of=serial:…, wwn:… or path:…)"
    } else {
        ""
    }
}
