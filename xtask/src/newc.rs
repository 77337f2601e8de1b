//! Turns a tree into a newc cpio archive, and an archive into records. The same tree and time always give the same bytes: nothing here asks the clock or the host.

use crate::tree::Entry;
use crate::tree::Kind;
use crate::tree::Tree;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use cpio::newc::Builder;
use cpio::newc::ModeFileType;
use cpio::newc::Reader;
use std::io::Read as _;
use std::io::Write as _;

/// The digits of a header, after its six bytes of magic.
const DIGITS: std::ops::Range<usize> = 6..110;

/// What a header begins with: the plain format, and the one with checksums. The kernel takes both.
const MAGICS: [&[u8]; 2] = [b"070701", b"070702"];

/// What the archive's size is a multiple of, as GNU cpio has it. A boot loader may put another archive behind this one.
const BLOCK: usize = 512;

/// The archive of `tree`, everything in it owned by root and last changed at `mtime`.
pub fn write(tree: &Tree, mtime: u32) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (inode, (path, entry)) in (1..).zip(tree.entries()) {
        append(&mut archive, builder(path, entry).ino(inode).mtime(mtime), content(entry))
            .with_context(|| format!("archiving '{path}'"))?;
    }
    let trailer = archive.len();
    cpio::newc::trailer(&mut archive)?;
    upper_case(&mut archive, trailer)?;
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(archive)
}

fn builder(path: &str, entry: &Entry) -> Builder {
    let (kind, links, (major, minor)) = match entry.kind {
        Kind::Folder => (ModeFileType::Directory, 2, (0, 0)),
        Kind::File(_) => (ModeFileType::Regular, 1, (0, 0)),
        Kind::Link(_) => (ModeFileType::Symlink, 1, (0, 0)),
        Kind::Device { major, minor } => (ModeFileType::Char, 1, (major, minor)),
    };
    let builder = Builder::new(path).mode(entry.mode).set_mode_file_type(kind).nlink(links);
    builder.uid(0).gid(0).rdev_major(major).rdev_minor(minor)
}

fn content(entry: &Entry) -> &[u8] {
    match &entry.kind {
        Kind::Folder | Kind::Device { .. } => &[],
        Kind::File(bytes) => bytes,
        Kind::Link(target) => target.as_bytes(),
    }
}

fn append(archive: &mut Vec<u8>, builder: Builder, content: &[u8]) -> Result<()> {
    // The crate would truncate a longer size to 32 bits, and takes a short entry for a whole one.
    let size = u32::try_from(content.len()).map_err(|_too_big| {
        anyhow!("{} bytes are too many: the format ends at 4 GiB", content.len())
    })?;
    let start = archive.len();
    let mut writer = builder.write(&mut *archive, size);
    writer.write_all(content)?;
    writer.finish()?;
    upper_case(archive, start)?;
    let end = archive.len() - (content.len().next_multiple_of(4) - content.len());
    ensure!(
        archive.get(..end).is_some_and(|written| written.ends_with(content)),
        "the entry was not written whole"
    );
    Ok(())
}

/// The crate writes digits in lower case, GNU cpio and the kernel's own tool in upper case. Readers take both; we give what the tools give.
fn upper_case(archive: &mut [u8], start: usize) -> Result<()> {
    let digits = archive
        .get_mut(start..)
        .and_then(|header| header.get_mut(DIGITS))
        .context("the archive lacks a header")?;
    digits.make_ascii_uppercase();
    Ok(())
}

/// One entry of an archive, as it stands there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub path: String,
    pub inode: u32,
    /// With the bits that tell what kind of file it is.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub mtime: u32,
    /// Major and minor number, where it is a device.
    pub device: (u32, u32),
    pub content: Vec<u8>,
}

/// The entries of an archive, in its order.
pub fn read(mut archive: &[u8]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    loop {
        let (record, behind) = read_entry(archive)
            .with_context(|| format!("reading entry {} of an archive", records.len() + 1))?;
        match record {
            Some(record) => records.push(record),
            None => return Ok(records),
        }
        archive = behind;
    }
}

/// The first entry, or `None` for the trailer; and what lies behind it.
pub fn read_entry(bytes: &[u8]) -> Result<(Option<Record>, &[u8])> {
    ensure!(
        !bytes.is_empty(),
        "the archive ends here, without the trailer that every one ends with"
    );
    ensure!(
        MAGICS.iter().any(|magic| bytes.starts_with(magic)),
        "no header is there, which begins with 070701: {}",
        beginning(bytes)
    );
    let mut reader = Reader::new(bytes).map_err(plainly)?;
    let (is_trailer, name) = (reader.entry().is_trailer(), reader.entry().name().to_owned());
    let mut content = Vec::new();
    reader.read_to_end(&mut content)?;
    let entry = reader.entry();
    // The crate takes an entry that was cut for a whole one.
    let (size, found) = (entry.file_size(), content.len());
    ensure!(usize::try_from(size) == Ok(found), "'{name}' has {size} bytes, and {found} are there");
    let sum = content.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    ensure!(
        entry.checksum().is_none_or(|wanted| wanted == sum || is_trailer),
        "the checksum of '{name}' is not that of its bytes"
    );
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
    let behind = reader.finish().map_err(plainly)?;
    Ok(((!is_trailer).then_some(record), behind))
}

/// An error of a reader in words for people.
pub fn plainly(error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return anyhow!("the file ends in the midst of it");
    }
    error.into()
}

/// The first bytes, for an error.
pub fn beginning(bytes: &[u8]) -> String {
    format!("it begins with '{}'", bytes.get(..6).unwrap_or(bytes).escape_ascii())
}

#[cfg(test)]
mod tests;
