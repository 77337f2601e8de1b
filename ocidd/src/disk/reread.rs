//! Makes the kernel read a disk's partition table again, and tells which partitions it sees then. Writes nothing.

use crate::disk::sysfs::read_partition_names;
use gptman::linux::BlockError;
use gptman::linux::reread_partition_table;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// How often a busy disk is asked, and how long to wait in between: whoever watches disks (udev, mdev) opens them for moments after every write.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum RereadError {
    #[error("opening '{}' to read its partition table again", .disk.display())]
    Open { disk: PathBuf, source: io::Error },
    #[error("'{}' is no disk, the kernel reads no partition table of it", .disk.display())]
    NoDisk { disk: PathBuf },
    #[error("'{}' is still in use after {tries} tries, the kernel keeps the old partition table; hint: reboot", .disk.display())]
    Busy { disk: PathBuf, tries: u32 },
    #[error("reading the partition table of '{}' again", .disk.display())]
    Reread { disk: PathBuf, source: io::Error },
}

/// Gives the names of the partitions below `sys`, a mounted sysfs, after the kernel has read the table of `disk` again.
///
/// The disk must not be open exclusively, not by ourselves either: the kernel takes that for busy.
pub fn reread(disk: &Path, sys: &Path) -> Result<Vec<String>, RereadError> {
    ask(disk, reread_once, std::thread::sleep)?;
    let real = disk.canonicalize().unwrap_or_else(|_unresolved| disk.to_owned());
    let name = real.strip_prefix("/dev").unwrap_or(&real).to_string_lossy().replace('/', "!");
    Ok(read_partition_names(&sys.join("class/block").join(name)))
}

/// Asks until the disk is not busy any more, or there have been enough tries.
fn ask(
    disk: &Path,
    mut once: impl FnMut(&Path) -> Result<(), RereadError>,
    mut pause: impl FnMut(Duration),
) -> Result<(), RereadError> {
    for _ in 1..TRIES {
        match once(disk) {
            Err(RereadError::Busy { .. }) => pause(PAUSE),
            answered => return answered,
        }
    }
    once(disk)
}

fn reread_once(disk: &Path) -> Result<(), RereadError> {
    let disk = disk.to_owned();
    let mut file = match File::open(&disk) {
        Ok(file) => file,
        Err(source) => return Err(RereadError::Open { disk, source }),
    };
    reread_partition_table(&mut file).map_err(|error| match error {
        BlockError::NotBlock => RereadError::NoDisk { disk },
        BlockError::RereadTable(errno) if errno as i32 == Errno::BUSY.raw_os_error() => {
            RereadError::Busy { disk, tries: TRIES }
        }
        BlockError::RereadTable(errno) => {
            RereadError::Reread { disk, source: io::Error::from_raw_os_error(errno as i32) }
        }
        other => RereadError::Reread { disk, source: io::Error::other(other) },
    })
}

#[cfg(test)]
mod tests;
