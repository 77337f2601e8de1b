//! Makes the kernel read the partition table of a disk again.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use gptman::linux::{BlockError, reread_partition_table};
use rustix::io::Errno;
use thiserror::Error;

use crate::disk::sysfs::{block_folder, name_of_node, read_partition_names};

/// Retries while the disk is busy: udev and mdev open disks briefly after every write.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum RereadError {
    #[error("opening '{}' to read its partition table again", .disk.display())]
    Open { disk: PathBuf, source: io::Error },
    #[error("'{}' is not a disk, so it has no partition table", .disk.display())]
    NotADisk { disk: PathBuf },
    #[error(
        "'{}' is still in use after {tries} tries, the kernel keeps the old partition table",
        .disk.display()
    )]
    Busy { disk: PathBuf, tries: u32 },
    #[error("reading the partition table of '{}' again", .disk.display())]
    Reread { disk: PathBuf, source: io::Error },
}

/// Reads the partition table again and returns the names of the partitions in `sys`, a mounted
/// sysfs. `disk` must not be open exclusively, not even by this process.
pub fn reread(disk: &Path, sys: &Path) -> Result<Vec<String>, RereadError> {
    retry_while_busy(disk, reread_once, std::thread::sleep)?;
    let real = disk.canonicalize().unwrap_or_else(|_unresolved| disk.to_owned());
    Ok(read_partition_names(&block_folder(sys, &name_of_node(&real))))
}

/// Retries until the disk is not busy, at most `TRIES` times.
fn retry_while_busy(
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
    let opened = File::open(disk);
    let disk = disk.to_owned();
    let mut file = opened.map_err(|source| RereadError::Open { disk: disk.clone(), source })?;
    reread_partition_table(&mut file).map_err(|error| match error {
        BlockError::NotBlock => RereadError::NotADisk { disk },
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
