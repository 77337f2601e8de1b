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

/// The type of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kind {
    bits: u32,
    pub name: &'static str,
    /// The first letter of a line of `ls -l`.
    pub letter: char,
}

impl Kind {
    pub const FILE: Self = Self { bits: 0o100_000, name: "file", letter: '-' };
    pub const DIRECTORY: Self = Self { bits: 0o040_000, name: "directory", letter: 'd' };
    pub const LINK: Self = Self { bits: 0o120_000, name: "link", letter: 'l' };
    pub const CHARACTERS: Self = Self { bits: 0o020_000, name: "character device", letter: 'c' };
    pub const BLOCKS: Self = Self { bits: 0o060_000, name: "block device", letter: 'b' };
    pub const PIPE: Self = Self { bits: 0o010_000, name: "pipe", letter: 'p' };
    pub const SOCKET: Self = Self { bits: 0o140_000, name: "socket", letter: 's' };
    pub const UNKNOWN: Self = Self { bits: 0, name: "unknown kind", letter: '?' };
    const KNOWN: [Self; 7] = [
        Self::FILE,
        Self::DIRECTORY,
        Self::LINK,
        Self::CHARACTERS,
        Self::BLOCKS,
        Self::PIPE,
        Self::SOCKET,
    ];
}

impl Record {
    pub fn kind(&self) -> Kind {
        let is_kind = |kind: &Kind| kind.bits == self.mode & TYPE_BITS;
        Kind::KNOWN.into_iter().find(is_kind).unwrap_or(Kind::UNKNOWN)
    }

    /// The mode without the file type.
    pub fn permissions(&self) -> u32 {
        self.mode & !TYPE_BITS
    }

    pub fn is_device(&self) -> bool {
        [Kind::CHARACTERS, Kind::BLOCKS].contains(&self.kind())
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
