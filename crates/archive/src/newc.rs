//! Writes newc cpio archives from a tree, and reads their entries.

use std::{
    fmt, io,
    io::{Read as _, Write as _},
};

use cpio::newc::{Builder, ModeFileType, Reader};
use thiserror::Error;

use crate::tree::{Entry, Kind, TRAILER, Tree};

/// The digits of a header, after its six bytes of magic.
const DIGITS: std::ops::Range<usize> = 6..110;

/// The first bytes of a header, without and with checksums. The kernel accepts both.
const MAGICS: [&[u8]; 2] = [b"070701", b"070702"];

/// Archive sizes are multiples of this, like those of GNU cpio. Another archive can follow.
const BLOCK: usize = 512;

/// A tree that does not fit into an archive.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error("'{path}' is too large: {size_bytes} bytes, maximum {max}", max = u32::MAX)]
    TooLarge { path: String, size_bytes: usize },
    #[error("'{0}' was not written completely")]
    Incomplete(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The archive of `tree`. Every entry belongs to root and has the modification time `mtime`.
pub fn write(tree: &Tree, mtime: u32) -> Result<Vec<u8>, WriteError> {
    let mut archive = Vec::new();
    for (inode, (path, entry)) in (1..).zip(tree.entries()) {
        let builder = builder(path, entry).ino(inode).mtime(mtime);
        append(&mut archive, path, builder, content(entry))?;
    }
    let trailer = archive.len();
    cpio::newc::trailer(&mut archive)?;
    upper_case(&mut archive, trailer, TRAILER)?;
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(archive)
}

fn builder(path: &str, entry: &Entry) -> Builder {
    let (kind, links, (major, minor)) = match entry.kind {
        Kind::Directory => (ModeFileType::Directory, 2, (0, 0)),
        Kind::File(_) => (ModeFileType::Regular, 1, (0, 0)),
        Kind::Link(_) => (ModeFileType::Symlink, 1, (0, 0)),
        Kind::Device { major, minor } => (ModeFileType::Char, 1, (major, minor)),
    };
    let builder = Builder::new(path).mode(entry.mode).set_mode_file_type(kind).nlink(links);
    builder.uid(0).gid(0).rdev_major(major).rdev_minor(minor)
}

fn content(entry: &Entry) -> &[u8] {
    match &entry.kind {
        Kind::Directory | Kind::Device { .. } => &[],
        Kind::File(bytes) => bytes,
        Kind::Link(target) => target.as_bytes(),
    }
}

fn append(
    archive: &mut Vec<u8>,
    path: &str,
    builder: Builder,
    content: &[u8],
) -> Result<(), WriteError> {
    // The crate truncates larger sizes to 32 bits, and accepts short entries.
    let size = u32::try_from(content.len()).map_err(|_too_large| WriteError::TooLarge {
        path: path.to_owned(),
        size_bytes: content.len(),
    })?;
    let start = archive.len();
    let mut writer = builder.write(&mut *archive, size);
    writer.write_all(content)?;
    writer.finish()?;
    upper_case(archive, start, path)?;
    let end = archive.len() - (content.len().next_multiple_of(4) - content.len());
    if archive.get(..end).is_some_and(|written| written.ends_with(content)) {
        Ok(())
    } else {
        Err(WriteError::Incomplete(path.to_owned()))
    }
}

/// The crate writes lower-case digits, GNU cpio and the kernel's own tool upper-case ones. Readers
/// accept both; archives from here are like those of the tools.
fn upper_case(archive: &mut [u8], start: usize, path: &str) -> Result<(), WriteError> {
    let digits = archive.get_mut(start..).and_then(|header| header.get_mut(DIGITS));
    digits.ok_or_else(|| WriteError::Incomplete(path.to_owned()))?.make_ascii_uppercase();
    Ok(())
}

/// One entry of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub path: String,
    pub inode: u32,
    /// With the bits of the file type.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub mtime: u32,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    pub content: Vec<u8>,
}

/// A position in a file of archives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Location {
    /// The byte of the file that the surrounding gzip member starts at.
    pub member: Option<usize>,
    /// The byte of the file, or of the member's content.
    pub byte: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.byte)?;
        self.member.map_or(Ok(()), |start| write!(f, " of the gzip content at byte {start}"))
    }
}

/// An entry that cannot be read.
#[derive(Debug, Error)]
pub enum EntryError {
    #[error("archive ends without a trailer")]
    NoTrailer,
    #[error("expected a header starting with 070701, found '{0}'")]
    NoHeader(String),
    #[error("'{name}' is truncated: {size} bytes expected, {found} found")]
    Truncated { name: String, size: u32, found: usize },
    #[error("checksum mismatch in '{0}'")]
    Checksum(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Which entry of an archive cannot be read.
#[derive(Debug, Error)]
#[error("reading entry {number} at {location}")]
pub struct ReadError {
    number: usize,
    location: Location,
    source: EntryError,
}

/// The entries of one archive, in its order.
pub fn read(archive: &[u8]) -> Result<Vec<Record>, ReadError> {
    read_archive(archive, Location { member: None, byte: 0 }).map(|(records, _)| records)
}

/// The entries up to the trailer, and the bytes after it. `start` is where `archive` starts.
pub(crate) fn read_archive(
    archive: &[u8],
    start: Location,
) -> Result<(Vec<Record>, &[u8]), ReadError> {
    let mut records = Vec::new();
    let mut rest = archive;
    loop {
        let byte = start.byte + archive.len() - rest.len();
        let (record, after) = read_entry(rest).map_err(|source| ReadError {
            number: records.len() + 1,
            location: Location { byte, ..start },
            source,
        })?;
        rest = after;
        match record {
            Some(record) => records.push(record),
            None => return Ok((records, rest)),
        }
    }
}

/// The first entry, or `None` for the trailer, and the bytes after it.
fn read_entry(bytes: &[u8]) -> Result<(Option<Record>, &[u8]), EntryError> {
    if bytes.is_empty() {
        return Err(EntryError::NoTrailer);
    }
    if !MAGICS.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(EntryError::NoHeader(beginning(bytes)));
    }
    let mut reader = Reader::new(bytes).map_err(plain)?;
    let (is_trailer, name) = (reader.entry().is_trailer(), reader.entry().name().to_owned());
    let mut content = Vec::new();
    reader.read_to_end(&mut content)?;
    let entry = reader.entry();
    // The crate accepts a truncated entry.
    let (size, found) = (entry.file_size(), content.len());
    if usize::try_from(size) != Ok(found) {
        return Err(EntryError::Truncated { name, size, found });
    }
    let sum = content.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    if !is_trailer && entry.checksum().is_some_and(|expected| expected != sum) {
        return Err(EntryError::Checksum(name));
    }
    let record = Record {
        path: name,
        inode: entry.ino(),
        mode: entry.mode(),
        uid: entry.uid(),
        gid: entry.gid(),
        links: entry.nlink(),
        mtime: entry.mtime(),
        device: (entry.rdev_major(), entry.rdev_minor()),
        content,
    };
    let after = reader.finish().map_err(plain)?;
    Ok(((!is_trailer).then_some(record), after))
}

/// `error` with a clear message if it is about truncated input.
pub(crate) fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::UnexpectedEof => kind.into(),
        _ => error,
    }
}

/// The first bytes, for an error.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    bytes.get(..6).unwrap_or(bytes).escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
