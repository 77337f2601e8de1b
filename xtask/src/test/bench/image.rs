//! A disk image like that of an installed system: files of this machine, zeroes between them.

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

/// Files begin at multiples of this, like on a file system.
const BLOCK: usize = 4096;
/// Half of each extent is data, half is free space.
const EXTENT: usize = 64 << 20;

/// A gzip-compressed image of `size` bytes, half zeroes, half files of `directory`.
pub fn compressed(directory: &Path, size: usize) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    let mut files = Files::below(directory);
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

/// The files of a directory tree, sorted.
struct Files {
    walk: Box<dyn Iterator<Item = walkdir::DirEntry>>,
}

impl Files {
    fn below(directory: &Path) -> Self {
        let walk = WalkDir::new(directory)
            .sort_by_file_name()
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file());
        Self { walk: Box::new(walk) }
    }

    /// Appends the next file, padded to a block, up to `limit` bytes in total. Returns false at the
    /// end.
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
