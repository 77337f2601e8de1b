//! A disk image like an installed system's: the files of this machine in extents, free space as zeroes between them. Not the same on two machines.

use anyhow::Context as _;
use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use walkdir::WalkDir;

/// Files begin at multiples of this, as on a file system.
const BLOCK: usize = 4096;
/// Data and free space take turns in pieces of this.
const EXTENT: usize = 64 << 20;

/// A gzip-compressed image of `size` bytes, half of it zero, the rest filled from the files below `folder`.
pub(super) fn compressed(folder: &Path, size: usize) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    let mut files = Files::below(folder);
    let mut done = 0;
    while done < size {
        let extent = EXTENT.min(size - done);
        let mut data = Vec::with_capacity(extent);
        while data.len() < extent / 2 && files.append_next(&mut data, extent / 2)? {}
        data.resize(extent, 0);
        encoder.write_all(&data).context("compressing a disk image")?;
        done += extent;
    }
    encoder.finish().context("compressing a disk image")
}

/// The readable files below a folder, in order, again and again.
struct Files {
    walk: Box<dyn Iterator<Item = walkdir::DirEntry>>,
}

impl Files {
    fn below(folder: &Path) -> Self {
        let walk = WalkDir::new(folder)
            .sort_by_file_name()
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file());
        Self { walk: Box::new(walk) }
    }

    /// Appends the next file up to `limit` bytes in all, padded to a block. False when there are no more.
    fn append_next(&mut self, data: &mut Vec<u8>, limit: usize) -> Result<bool> {
        let Some(entry) = self.walk.next() else { return Ok(false) };
        let room = u64::try_from(limit.saturating_sub(data.len()))?;
        match File::open(entry.path()).and_then(|file| file.take(room).read_to_end(data)) {
            Ok(_) => data.resize(data.len().next_multiple_of(BLOCK), 0),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", entry.path().display()));
            }
        }
        Ok(true)
    }
}
