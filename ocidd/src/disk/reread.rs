//! Makes the kernel read the partition table of a disk again.

use std::{
    fs::File,
    io,
    io::{Error, ErrorKind},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use gptman::linux::{BlockError, reread_partition_table};

use crate::disk::sysfs::{block_folder, name_of_node, read_partition_names};

/// Retries while the disk is busy: udev and mdev open disks briefly after every write.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Reads the partition table again and returns the names of the partitions in `sys`, a mounted
/// sysfs. `disk` must not be open exclusively, not even by this process. After an error the kernel
/// keeps the old partition table.
pub fn reread(disk: &Path, sys: &Path) -> Result<Vec<String>> {
    retry_while_busy(|| reread_once(disk), std::thread::sleep)
        .with_context(|| format!("reading the new partition table of '{}'", disk.display()))?;
    let real = disk.canonicalize().unwrap_or_else(|_unresolved| disk.to_owned());
    Ok(read_partition_names(&block_folder(sys, &name_of_node(&real))))
}

fn retry_while_busy(
    mut once: impl FnMut() -> io::Result<()>,
    mut pause: impl FnMut(Duration),
) -> io::Result<()> {
    for attempt in 1..=TRIES {
        match once() {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
            answered => return answered,
        }
        if attempt < TRIES {
            pause(PAUSE);
        }
    }
    Err(Error::new(ErrorKind::ResourceBusy, format!("it is still in use after {TRIES} tries")))
}

fn reread_once(disk: &Path) -> io::Result<()> {
    reread_partition_table(&mut File::open(disk)?).map_err(|error| match error {
        BlockError::RereadTable(errno) => Error::from_raw_os_error(errno as i32),
        other => Error::other(other),
    })
}

#[cfg(test)]
mod tests;
