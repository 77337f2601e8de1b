//! Opens a target disk exclusively, writes to it at offsets and reads it back.

use std::{
    fs::{File, OpenOptions},
    io,
    io::{Seek, SeekFrom},
    num::NonZeroU64,
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use oci::size::{length_of, prefix};
use rustix::{
    fs::{Advice, FallocateFlags, OFlags},
    io::Errno,
};
use thiserror::Error;

use crate::disk::{
    buffer::{ALIGNMENT, AlignedBuffer},
    holders::read_holders,
    probe::{is_read_only, read_parent},
    sysfs::{name_of_node, node},
};

/// A disk, or its replacement in a test.
pub trait Medium {
    fn size_bytes(&self) -> u64;
    /// The logical sector size. `None` for a file: it accepts images for any.
    fn sector_bytes(&self) -> Option<u64>;
    /// Reads from the disk itself, not from the page cache. Direct reads need an aligned `into`.
    fn read_exact_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Zeroes `length` bytes from `offset`, as durably as a write.
    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()>;
    /// Returns when all writes so far survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// The page cache is dropped in whole pages. This is the largest page of any machine (arm64).
const LARGEST_PAGE_BYTES: u64 = 64 << 10;

/// A block device or a regular file, opened for reading and writing.
#[derive(Debug)]
pub struct Device {
    file: File,
    size_bytes: u64,
    sector_bytes: Option<u64>,
    /// Direct writes need multiples of this as offset and length.
    alignment: u64,
    /// Uses `O_DIRECT`: the page cache would cost more than everything else together (measured).
    /// Not on file systems without direct I/O, and not after the unaligned end of an image.
    is_direct: bool,
    /// Zeroes by `fallocate`, on a block device `BLKZEROOUT`: the disk or the kernel writes zeroes.
    /// Never a mere discard. Otherwise by normal writes.
    kernel_zeroes: bool,
}

impl Device {
    /// Opens an existing whole disk or regular file. Writes nothing. `sys` and `proc` are a mounted
    /// sysfs and procfs.
    pub fn open(path: &Path, sys: &Path, proc: &Path) -> Result<Self, DeviceError> {
        let failed = |error| DeviceError::of(path, error);
        // Without O_CREAT: a mistyped name must not create a file in memory.
        let kind = path.metadata().map_err(failed)?.file_type();
        let is_disk = kind.is_block_device();
        if !is_disk && !kind.is_file() {
            return Err(DeviceError::NotADisk { path: path.to_owned() });
        }
        if is_disk {
            check_sysfs(path, &path.canonicalize().map_err(failed)?, sys, proc)?;
        }
        let (mut file, is_direct) = open_exclusively(path, is_disk).map_err(failed)?;
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if size_bytes == 0 {
            return Err(DeviceError::Empty { path: path.to_owned() });
        }
        let sector_bytes = is_disk.then(|| rustix::fs::ioctl_blksszget(&file));
        let sector_bytes = sector_bytes.transpose().map_err(|error| failed(error.into()))?;
        let sector_bytes = sector_bytes.map(u64::from);
        // The alignment of a file is that of the disk below; no sector is larger than `ALIGNMENT`.
        let alignment = sector_bytes.unwrap_or(u64::from(ALIGNMENT));
        Ok(Self { file, size_bytes, sector_bytes, alignment, is_direct, kernel_zeroes: true })
    }

    /// Uses the page cache from here on unless a direct transfer of these bytes is possible.
    fn prepare(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let is_aligned = bytes.as_ptr().align_offset(usize::from(ALIGNMENT)) == 0
            && [offset, length_of(bytes)]
                .iter()
                .all(|number| number.is_multiple_of(self.alignment));
        if self.is_direct && !is_aligned {
            let flags = rustix::fs::fcntl_getfl(&self.file)?;
            rustix::fs::fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
            self.is_direct = false;
        }
        Ok(())
    }

    fn write_zeroes(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let mut zeroes = AlignedBuffer::new(1 << 20);
        zeroes.advance(1 << 20);
        (offset..offset + length)
            .step_by(1 << 20)
            .try_for_each(|at| self.write_all_at(prefix(zeroes.filled(), offset + length - at), at))
    }
}

impl Medium for Device {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn sector_bytes(&self) -> Option<u64> {
        self.sector_bytes
    }

    fn read_exact_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.prepare(into, offset)?;
        // Otherwise cached data would be read instead of the disk.
        if !self.is_direct {
            let page = LARGEST_PAGE_BYTES;
            let start = offset / page * page;
            let end = offset.saturating_add(length_of(into)).next_multiple_of(page);
            let length = NonZeroU64::new(end - start);
            rustix::fs::fadvise(&self.file, start, length, Advice::DontNeed)?;
        }
        self.file.read_exact_at(into, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.prepare(bytes, offset)?;
        self.file.write_all_at(bytes, offset)
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.kernel_zeroes {
            let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
            let zero = || rustix::fs::fallocate(&self.file, flags, offset, length);
            match rustix::io::retry_on_intr(zero) {
                Ok(()) => return Ok(()),
                // tmpfs does not support ZERO_RANGE; a disk rejects partial sectors with EINVAL.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.kernel_zeroes = false,
                Err(error) => return Err(error.into()),
            }
        }
        self.write_zeroes(offset, length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Rejects, before opening it, what sysfs and procfs show to be unusable. `real` is the device
/// node, to which `path` may be a link.
fn check_sysfs(path: &Path, real: &Path, sys: &Path, proc: &Path) -> Result<(), DeviceError> {
    let path = path.to_owned();
    let name = name_of_node(real);
    if let Some(parent) = read_parent(sys, &name) {
        return Err(DeviceError::Partition { path, disk: node(&parent) });
    }
    let holders = read_holders(sys, proc, &name);
    if !holders.is_empty() {
        return Err(DeviceError::Busy { path, holders });
    }
    if is_read_only(sys, &name) {
        return Err(DeviceError::ReadOnly { path });
    }
    Ok(())
}

/// On a block device, `O_EXCL` fails if the disk is in use, and prevents mounting it until it is
/// closed (open(2)). Also returns whether I/O is direct.
fn open_exclusively(path: &Path, is_device: bool) -> io::Result<(File, bool)> {
    let exclusive = if is_device { OFlags::EXCL } else { OFlags::empty() };
    let open = |extra: OFlags| {
        let flags = i32::try_from((exclusive | extra).bits()).map_err(io::Error::other)?;
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
    };
    match open(OFlags::DIRECT) {
        // The file system does not support direct I/O.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Ok((open(OFlags::empty())?, false))
        }
        opened => Ok((opened?, true)),
    }
}

/// Why a target disk is rejected. Nothing was written.
#[derive(Debug, Error)]
pub enum DeviceError {
    #[error("'{}' is neither a disk nor a regular file", path.display())]
    NotADisk { path: PathBuf },
    #[error("'{}' is a partition of '{disk}', not a whole disk", path.display())]
    Partition {
        path: PathBuf,
        /// The whole disk, `/dev/…`.
        disk: String,
    },
    /// Without holders if only the kernel knows them.
    #[error("'{}' is in use: {}", path.display(), describe(holders))]
    Busy { path: PathBuf, holders: Vec<String> },
    #[error("'{}' is read-only", path.display())]
    ReadOnly { path: PathBuf },
    #[error("'{}' has a size of 0 bytes", path.display())]
    Empty { path: PathBuf },
    #[error("opening target disk '{}'", path.display())]
    Open { path: PathBuf, source: io::Error },
}

impl DeviceError {
    /// The error for a path that could not be inspected or opened.
    pub fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::ResourceBusy => Self::Busy { path, holders: Vec::new() },
            _ => Self::Open { path, source },
        }
    }
}

fn describe(holders: &[String]) -> String {
    if holders.is_empty() {
        // A file system over several disks, a program, or another mount namespace.
        "the kernel reports it as busy, but mounts, swap and sysfs show no user".to_owned()
    } else {
        holders.join(", ")
    }
}

#[cfg(test)]
mod tests;
