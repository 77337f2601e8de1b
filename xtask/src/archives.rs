//! Reads a file of archives the way the kernel reads an initramfs: one behind another, each as it is or packed by gzip, zeroes between them.
//! Bytes in, every archive with its entries out. What the kernel could not read is an error that tells the byte.

use crate::newc;
use crate::newc::Record;
use crate::newc::beginning;
use crate::newc::plainly;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use flate2::bufread::GzDecoder;
use std::io::Read as _;

/// The bits of a mode that tell what kind of file it is.
const KIND: u32 = 0o170_000;

/// What else the kernel may unpack, by the first bytes, to name it where it is met.
const OTHER_PACKINGS: [(&[u8], &str); 6] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO", "lzo"),
    (b"\x02\x21\x4c\x18", "lz4"),
];

/// A stretch of the file that the kernel unpacks at one go.
#[derive(Clone, Debug)]
pub struct Part {
    /// The byte of the file it begins at.
    pub start: usize,
    pub packing: Packing,
    /// The bytes of the file it takes.
    pub size: usize,
    pub unpacked_size: usize,
    pub members: Vec<Record>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    Plain,
    Gzip,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    File,
    Folder,
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
            Self::Folder => "folder",
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
        match self.mode & KIND {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Folder,
            0o120_000 => Kind::Link,
            0o020_000 => Kind::CharacterDevice,
            0o060_000 => Kind::BlockDevice,
            0o010_000 => Kind::Pipe,
            0o140_000 => Kind::Socket,
            _ => Kind::Unknown,
        }
    }

    /// The mode without the bits of [`Record::kind`].
    pub fn permissions(&self) -> u32 {
        self.mode & !KIND
    }

    pub fn is_device(&self) -> bool {
        matches!(self.kind(), Kind::CharacterDevice | Kind::BlockDevice)
    }
}

/// Everything in a file, in its order.
pub fn read(bytes: &[u8]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = without_zeroes(bytes);
    while !rest.is_empty() {
        let start = bytes.len() - rest.len();
        let (part, behind) = read_part(rest, start)?;
        parts.push(part);
        rest = without_zeroes(behind);
    }
    ensure!(!parts.is_empty(), "no archive is in it");
    Ok(parts)
}

fn without_zeroes(bytes: &[u8]) -> &[u8] {
    let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeroes..).unwrap_or_default()
}

/// The part that begins where `rest` does, which is byte `start` of the file; and what lies behind it.
fn read_part(rest: &[u8], start: usize) -> Result<(Part, &[u8])> {
    let (packing, unpacked_size, members, behind) = if rest.starts_with(b"0") {
        ensure!(
            start.is_multiple_of(4),
            "an archive begins at byte {start}, and the kernel looks for one at multiples of 4 only  hint: put zeroes before it"
        );
        let (members, behind) = read_archive(rest, |at| format!("byte {}", start + at))?;
        (Packing::Plain, rest.len() - behind.len(), members, behind)
    } else if rest.starts_with(b"\x1f\x8b") {
        let (unpacked, behind) = inflate(rest, start)?;
        let members = read_all(&unpacked, start)?;
        (Packing::Gzip, unpacked.len(), members, behind)
    } else {
        let packing = OTHER_PACKINGS.iter().find(|(magic, _)| rest.starts_with(magic));
        match packing {
            Some((_, name)) => bail!(
                "what begins at byte {start} is packed by {name}, and only gzip is understood here  hint: unpack it first"
            ),
            None => bail!("what begins at byte {start} is no archive: {}", beginning(rest)),
        }
    };
    let size = rest.len() - behind.len();
    Ok((Part { start, packing, size, unpacked_size, members }, behind))
}

/// What one gzip member holds, and what lies behind it.
fn inflate(rest: &[u8], start: usize) -> Result<(Vec<u8>, &[u8])> {
    let mut decoder = GzDecoder::new(rest);
    let mut unpacked = Vec::new();
    let outcome = decoder.read_to_end(&mut unpacked);
    let behind = decoder.into_inner();
    outcome.map_err(plainly).with_context(|| {
        format!(
            "inflating what begins at byte {start}: at byte {}, {} bytes unpacked",
            start + rest.len() - behind.len(),
            unpacked.len()
        )
    })?;
    Ok((unpacked, behind))
}

/// The entries of all archives in `unpacked`, out of the gzip member that begins at byte `start` of the file.
fn read_all(unpacked: &[u8], start: usize) -> Result<Vec<Record>> {
    let mut members = Vec::new();
    let mut rest = without_zeroes(unpacked);
    while !rest.is_empty() {
        let skipped = unpacked.len() - rest.len();
        let place = |at| {
            format!("byte {} of what the gzip stream at byte {start} unpacks to", skipped + at)
        };
        ensure!(
            skipped.is_multiple_of(4),
            "an archive begins at {}, which is no multiple of 4",
            place(0)
        );
        let (more, behind) = read_archive(rest, place)?;
        members.extend(more);
        rest = without_zeroes(behind);
    }
    Ok(members)
}

/// The entries up to the trailer, and what lies behind it. `place` tells of a byte of `archive` where it is in the file.
fn read_archive(archive: &[u8], place: impl Fn(usize) -> String) -> Result<(Vec<Record>, &[u8])> {
    let mut members = Vec::new();
    let mut rest = archive;
    loop {
        let at = archive.len() - rest.len();
        let (member, behind) = newc::read_entry(rest)
            .with_context(|| format!("reading entry {} at {}", members.len() + 1, place(at)))?;
        rest = behind;
        match member {
            Some(member) => members.push(member),
            None => return Ok((members, rest)),
        }
    }
}

/// A name or a line out of an archive, for a terminal: what could steer it is escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
pub mod tests;
