//! The parts of files whose format is known: ELF sections, and what a bootable kernel is made of. Bytes in, named parts out, those that tell most first.
//! A file of no known format, or a broken one, has no parts.

use flate2::read::GzDecoder;
use std::io::Read as _;

/// A piece of a file.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) name: String,
    /// Where it begins in the file.
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
}

impl Part<'_> {
    /// What is in it, where it is packed by gzip, as the default configurations pack kernels. What follows the packed bytes is passed over.
    pub(super) fn unpacked(&self) -> Option<Vec<u8>> {
        let mut unpacked = Vec::new();
        GzDecoder::new(self.bytes).read_to_end(&mut unpacked).ok()?;
        Some(unpacked)
    }
}

/// A section that takes up no room in the file.
const NOBITS: u32 = 8;

pub(super) fn parts(bytes: &[u8]) -> Vec<Part<'_>> {
    let parts = if bytes.starts_with(b"\x7fELF\x02\x01") {
        sections(bytes)
    } else if bytes.get(0x202..0x206) == Some(b"HdrS") {
        x86_image(bytes)
    } else if bytes.get(0x38..0x3c) == Some(b"ARM\x64") {
        arm64_image(bytes)
    } else {
        None
    };
    parts.unwrap_or_default()
}

fn part<'a>(bytes: &'a [u8], name: &str, offset: usize, end: usize) -> Option<Part<'a>> {
    Some(Part { name: name.to_owned(), offset, bytes: bytes.get(offset..end)? })
}

/// The sections of a 64-bit little-endian ELF file, in the order of its table.
fn sections(bytes: &[u8]) -> Option<Vec<Part<'_>>> {
    let table = long(bytes, 0x28)?;
    let size = usize::from(short(bytes, 0x3a)?);
    let count = usize::from(short(bytes, 0x3c)?);
    let names = usize::from(short(bytes, 0x3e)?);
    let header = |index: usize| bytes.get(table.checked_add(index.checked_mul(size)?)?..);
    let names = long(header(names)?, 0x18)?;
    let mut parts = Vec::new();
    for index in 0..count {
        let header = header(index)?;
        let name = bytes.get(names.checked_add(word(header, 0)?)?..)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let (offset, length) = (long(header, 0x18)?, long(header, 0x20)?);
        if header.get(4..8)? != NOBITS.to_le_bytes() && length > 0 {
            let name = format!("section {}", String::from_utf8_lossy(name));
            parts.push(part(bytes, &name, offset, offset.checked_add(length)?)?);
        }
    }
    Some(parts)
}

/// The kernel's "Linux/x86 Boot Protocol" tells where what lies. The header comes last: it holds the lengths of all the rest.
fn x86_image(bytes: &[u8]) -> Option<Vec<Part<'_>>> {
    let setup_sectors = match *bytes.get(0x1f1)? {
        0 => 4,
        count => usize::from(count),
    };
    let header_end = 0x202 + usize::from(*bytes.get(0x201)?);
    let code = (setup_sectors + 1) * 512;
    let payload = code.checked_add(word(bytes, 0x248)?)?;
    let payload_end = payload.checked_add(word(bytes, 0x24c)?)?;
    Some(vec![
        part(bytes, "the compressed kernel", payload, payload_end)?,
        part(bytes, "the setup code", header_end, code)?,
        part(bytes, "the code before the compressed kernel", code, payload)?,
        part(bytes, "the code that decompresses", payload_end, bytes.len())?,
        part(bytes, "the boot sector and setup header", 0, header_end)?,
    ])
}

/// The kernel's "Booting `AArch64` Linux": 64 bytes of header, which hold the length of the rest.
fn arm64_image(bytes: &[u8]) -> Option<Vec<Part<'_>>> {
    Some(vec![
        part(bytes, "the kernel's code and data", 0x40, bytes.len())?,
        part(bytes, "the header", 0, 0x40)?,
    ])
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}
