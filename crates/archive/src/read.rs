//! Reads a file of concatenated archives like the kernel reads an initramfs: each archive plain or
//! gzip-compressed, zeroes between them.

use std::io::Read as _;

use flate2::bufread::GzDecoder;
use thiserror::Error;

use crate::{
    newc,
    newc::{Location, Record},
};

/// The bits of a mode that contain the file type.
const TYPE_BITS: u32 = 0o170_000;

/// Other compressions that the kernel may support, by magic bytes, to name them in errors.
const UNSUPPORTED: [(&[u8], &str); 6] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO", "lzo"),
    (b"\x02\x21\x4c\x18", "lz4"),
];

/// Why the kernel could not read a file.
#[derive(Debug, Error)]
pub enum Error {
    #[error("no archive found")]
    Empty,
    #[error("archive at {0} is ignored by the kernel: its offset is not a multiple of 4")]
    Unaligned(Location),
    #[error("data at byte {start} is compressed with {format}; supported: gzip")]
    UnsupportedCompression { start: usize, format: &'static str },
    #[error("data at byte {start} is not an archive: it starts with '{found}'")]
    NotAnArchive { start: usize, found: String },
    #[error("decompressing data at byte {start}: at byte {end}, after {decompressed} bytes")]
    Decompress { start: usize, end: usize, decompressed: usize, source: std::io::Error },
    #[error(transparent)]
    Entry(#[from] newc::ReadError),
}

/// A part of the file that the kernel unpacks in one step.
#[derive(Clone, Debug)]
pub struct Part {
    /// The byte of the file it starts at.
    pub start: usize,
    pub compression: Compression,
    /// Its size in the file.
    pub size: usize,
    pub decompressed_size: usize,
    pub members: Vec<Record>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    None,
    Gzip,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    File,
    Directory,
    Link,
    CharacterDevice,
    BlockDevice,
    Pipe,
    Socket,
    Unknown,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::CharacterDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Unknown => "unknown kind",
        }
    }
}

impl Record {
    pub fn kind(&self) -> Kind {
        match self.mode & TYPE_BITS {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            0o020_000 => Kind::CharacterDevice,
            0o060_000 => Kind::BlockDevice,
            0o010_000 => Kind::Pipe,
            0o140_000 => Kind::Socket,
            _ => Kind::Unknown,
        }
    }

    /// The mode without the file type.
    pub fn permissions(&self) -> u32 {
        self.mode & !TYPE_BITS
    }

    pub fn is_device(&self) -> bool {
        matches!(self.kind(), Kind::CharacterDevice | Kind::BlockDevice)
    }
}

/// All parts of a file, in its order.
pub fn read(bytes: &[u8]) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut rest = without_zeroes(bytes);
    while !rest.is_empty() {
        let start = bytes.len() - rest.len();
        let (part, after) = read_part(rest, start)?;
        parts.push(part);
        rest = without_zeroes(after);
    }
    if parts.is_empty() { Err(Error::Empty) } else { Ok(parts) }
}

fn without_zeroes(bytes: &[u8]) -> &[u8] {
    let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeroes..).unwrap_or_default()
}

/// The part at the beginning of `rest`, which is byte `start` of the file, and the bytes after it.
fn read_part(rest: &[u8], start: usize) -> Result<(Part, &[u8]), Error> {
    let (compression, decompressed_size, members, after) = if rest.starts_with(b"0") {
        let (members, after) = read_aligned(rest, Location { member: None, byte: start })?;
        (Compression::None, rest.len() - after.len(), members, after)
    } else if rest.starts_with(b"\x1f\x8b") {
        let (content, after) = decompress(rest, start)?;
        (Compression::Gzip, content.len(), read_content(&content, start)?, after)
    } else if let Some((_, format)) = UNSUPPORTED.iter().find(|(magic, _)| rest.starts_with(magic))
    {
        return Err(Error::UnsupportedCompression { start, format });
    } else {
        return Err(Error::NotAnArchive { start, found: newc::beginning(rest) });
    };
    let size = rest.len() - after.len();
    Ok((Part { start, compression, size, decompressed_size, members }, after))
}

/// The content of one gzip member, and the bytes after the member.
fn decompress(rest: &[u8], start: usize) -> Result<(Vec<u8>, &[u8]), Error> {
    let mut decoder = GzDecoder::new(rest);
    let mut content = Vec::new();
    let outcome = decoder.read_to_end(&mut content);
    let after = decoder.into_inner();
    outcome.map_err(|error| Error::Decompress {
        start,
        end: start + rest.len() - after.len(),
        decompressed: content.len(),
        source: newc::plain(error),
    })?;
    Ok((content, after))
}

/// The entries of all archives in `content`, the content of the gzip member at byte `start`.
fn read_content(content: &[u8], start: usize) -> Result<Vec<Record>, Error> {
    let mut members = Vec::new();
    let mut rest = without_zeroes(content);
    while !rest.is_empty() {
        let byte = content.len() - rest.len();
        let (more, after) = read_aligned(rest, Location { member: Some(start), byte })?;
        members.extend(more);
        rest = without_zeroes(after);
    }
    Ok(members)
}

/// The entries of the archive at `location`, and the bytes after it.
fn read_aligned(archive: &[u8], location: Location) -> Result<(Vec<Record>, &[u8]), Error> {
    if !location.byte.is_multiple_of(4) {
        return Err(Error::Unaligned(location));
    }
    Ok(newc::read_archive(archive, location)?)
}

/// A name or line from an archive with control characters escaped, so that a terminal ignores them.
pub fn printable(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests;
