//! Opens a target disk for exclusive use and writes to it at offsets. Knows nothing of images.

use crate::disk::buffer::ALIGNMENT;
use crate::disk::buffer::AlignedBuffer;
use crate::disk::buffer::length_of;
use crate::disk::buffer::prefix;
use crate::disk::probe::is_read_only;
use crate::disk::probe::read_parent;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use rustix::fs::FallocateFlags;
use rustix::fs::OFlags;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Something of a fixed size that takes bytes at offsets: a disk, or what a test puts in its place.
pub trait Medium {
    fn size_bytes(&self) -> u64;
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes `length` bytes from `offset` read as zeroes, as durably as a write does.
    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()>;
    /// Returns when everything written so far would survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// A block device or a regular file, opened for writing.
#[derive(Debug)]
pub struct Device {
    file: File,
    size_bytes: u64,
    /// What offsets, lengths and memory must be multiples of to be written directly.
    alignment: u64,
    access: Access,
    zeroing: Zeroing,
}

/// How writes reach the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    /// `O_DIRECT`: offset, length and memory have to be aligned. The page cache would cost more than everything else together (measured).
    Direct,
    /// Through the page cache: file systems without direct I/O, and the unaligned end of an image.
    Buffered,
}

/// How zeroes reach the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Zeroing {
    /// `fallocate`, which on a block device is `BLKZEROOUT`: the kernel lets the disk write zeroes or writes them itself, and never only discards.
    Kernel,
    /// Written like other bytes.
    Written,
}

impl Device {
    /// Opens an existing whole disk or regular file, or refuses with a reason. Writes nothing.
    pub fn open(path: &Path, sys: &Path) -> Result<Self> {
        let shown = path.display();
        // Without O_CREAT: a mistyped name must not become a file in memory.
        let metadata = path.metadata().with_context(|| format!("opening target disk '{shown}'"))?;
        let kind = metadata.file_type();
        if !kind.is_block_device() && !kind.is_file() {
            bail!("'{shown}' is neither a disk nor a regular file");
        }
        if kind.is_block_device() {
            refuse_by_sysfs(path, sys)?;
        }
        let (mut file, access) = open_exclusively(path, kind.is_block_device()).map_err(|error| {
            if error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) {
                anyhow::anyhow!("'{shown}' is in use: it or a partition of it is mounted, or held by LVM, RAID or swap")
            } else {
                anyhow::Error::new(error).context(format!("opening target disk '{shown}'"))
            }
        })?;
        let size_bytes = file
            .seek(SeekFrom::End(0))
            .with_context(|| format!("reading the size of '{shown}'"))?;
        if size_bytes == 0 {
            bail!("'{shown}' has a size of 0 bytes");
        }
        // A file's own alignment is its file system's disk's; no sector in use is larger than ours.
        let alignment = if kind.is_block_device() {
            rustix::fs::ioctl_blksszget(&file)?.into()
        } else {
            u64::from(ALIGNMENT)
        };
        Ok(Self { file, size_bytes, alignment, access, zeroing: Zeroing::Kernel })
    }

    fn is_aligned(&self, bytes: &[u8], offset: u64) -> bool {
        let is_multiple = |number: u64| number.is_multiple_of(self.alignment);
        is_multiple(offset)
            && is_multiple(length_of(bytes))
            && bytes.as_ptr().align_offset(usize::from(ALIGNMENT)) == 0
    }

    fn use_page_cache(&mut self) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.file)?;
        rustix::fs::fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
        self.access = Access::Buffered;
        Ok(())
    }

    fn write_zeroes(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let zeroes = AlignedBuffer::zeroed(1 << 20);
        let mut done = 0;
        while done < length {
            let piece = prefix(zeroes.filled(), length - done);
            self.write_all_at(piece, offset + done)?;
            done += length_of(piece);
        }
        Ok(())
    }
}

impl Medium for Device {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.access == Access::Direct && !self.is_aligned(bytes, offset) {
            self.use_page_cache()?;
        }
        self.file.write_all_at(bytes, offset)
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.zeroing == Zeroing::Kernel {
            let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
            match rustix::fs::fallocate(&self.file, flags, offset, length) {
                Ok(()) => return Ok(()),
                // tmpfs knows no ZERO_RANGE; a range that is not made of whole sectors is EINVAL on a disk.
                Err(
                    rustix::io::Errno::OPNOTSUPP
                    | rustix::io::Errno::NOSYS
                    | rustix::io::Errno::INVAL,
                ) => self.zeroing = Zeroing::Written,
                Err(error) => return Err(error.into()),
            }
        }
        self.write_zeroes(offset, length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Refuses what sysfs knows to be no target, before it is opened.
fn refuse_by_sysfs(path: &Path, sys: &Path) -> Result<()> {
    let shown = path.display();
    let real = path.canonicalize().with_context(|| format!("opening target disk '{shown}'"))?;
    let name = real.strip_prefix("/dev").unwrap_or(&real).to_string_lossy().replace('/', "!");
    if let Some(parent) = read_parent(sys, &name) {
        let disk = format!("/dev/{}", parent.replace('!', "/"));
        bail!(
            "'{shown}' is a partition of '{disk}'; a whole disk is needed; hint: set dd.of={disk}"
        );
    }
    if is_read_only(sys, &name) {
        bail!("'{shown}' is read-only; hint: look for a write-protect switch, or a virtual medium");
    }
    Ok(())
}

/// On a block device `O_EXCL` fails while the disk is mounted or held, and keeps others from mounting it until it is closed (open(2)).
fn open_exclusively(path: &Path, is_device: bool) -> io::Result<(File, Access)> {
    let exclusive = if is_device { OFlags::EXCL } else { OFlags::empty() };
    let open = |extra: OFlags| {
        let flags = i32::try_from((exclusive | extra).bits()).map_err(io::Error::other)?;
        OpenOptions::new().write(true).custom_flags(flags).open(path)
    };
    match open(OFlags::DIRECT) {
        // A file system without direct I/O.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Ok((open(OFlags::empty())?, Access::Buffered))
        }
        opened => Ok((opened?, Access::Direct)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device_of(bytes: &[u8]) -> (tempfile::NamedTempFile, Device) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let device = Device::open(file.path(), Path::new("/sys")).unwrap();
        (file, device)
    }

    #[test]
    fn writes_aligned_and_unaligned_bytes_alike() {
        let (file, mut device) = device_of(&[1; 10_001]);
        let mut buffer = AlignedBuffer::new(8192);
        buffer.unfilled().fill(2);
        buffer.advance(8192);
        device.write_all_at(buffer.filled(), 0).unwrap();
        device.write_all_at(&[3; 100], 8192).unwrap();
        device.sync().unwrap();
        let wanted = [vec![2; 8192], vec![3; 100], vec![1; 1709]].concat();
        assert!(std::fs::read(file.path()).unwrap() == wanted);
    }

    #[test]
    fn zeroes_exactly_the_range() {
        for (offset, length) in [(4096, 4096), (513, 7000), (0, 3 << 20)] {
            let (file, mut device) = device_of(&vec![9; 4 << 20]);
            device.zero_at(offset, length).unwrap();
            device.sync().unwrap();
            let bytes = std::fs::read(file.path()).unwrap();
            let nonzero = bytes.iter().filter(|byte| **byte != 0).count() as u64;
            assert_eq!(
                (bytes.len() as u64, nonzero),
                (4 << 20, (4 << 20) - length),
                "{offset} {length}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nosuch");
        for (path, fault) in [
            (folder.path(), "neither a disk nor a regular file"),
            (Path::new("/dev/null"), "neither a disk"),
            (&missing, "opening target disk"),
        ] {
            let error = format!("{:#}", Device::open(path, Path::new("/sys")).unwrap_err());
            assert!(error.contains(fault), "{error}");
        }
        assert!(!missing.exists(), "a missing target must not be created");
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(Device::open(empty.path(), Path::new("/sys")).is_err());
    }
}
