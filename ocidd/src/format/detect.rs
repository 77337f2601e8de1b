//! Detects formats by their first bytes and rejects what is certainly not a disk image. A raw disk
//! may start with any boot code.

use super::{Format, FormatError, zstd};

const REPACK: &str = "decompress it, then compress it with gzip, zstd or xz";
const CONVERT: &str = "convert it with `qemu-img convert -O raw`, then push it";
const EXTRACT: &str = "push the disk image inside it, compressed with gzip, zstd or xz";
const OTHER_BLOB: &str =
    "check that the reference names the image and that no proxy answers instead of the registry";
const ONCE: &str = "compress the disk image once";

/// Offset of the magic bytes, magic bytes, name and hint of what is certainly not a raw disk.
const REJECTED: [(usize, &[u8], &str, &str); 14] = [
    (0, b"BZh", "a bzip2 stream", REPACK),
    (0, b"\x04\x22\x4d\x18", "an lz4 stream", REPACK),
    (0, b"\x02\x21\x4c\x18", "an lz4 stream", REPACK),
    (0, b"LZIP", "an lzip stream", REPACK),
    (0, b"PK\x03\x04", "a zip archive", EXTRACT),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", EXTRACT),
    // Old tar archives have no magic.
    (257, b"ustar", "a tar archive", EXTRACT),
    (0, b"QFI\xfb", "a qcow2 image", CONVERT),
    (0, b"KDMV", "a VMDK image", CONVERT),
    (0, b"# Disk DescriptorFile", "a VMDK image", CONVERT),
    (0, b"vhdxfile", "a VHDX image", CONVERT),
    (0, b"conectix", "a VHD image", CONVERT),
    (64, b"\x7f\x10\xda\xbe", "a VDI image", CONVERT),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image", "convert it with `simg2img`, then push it"),
];

/// Detects the format of a layer by its first [`super::FIRST_BYTES`]. What is neither known nor
/// rejected is a raw disk.
pub fn detect(first: &[u8]) -> Result<Format, FormatError> {
    if let Some(format) = compression(first) {
        return Ok(format);
    }
    match find_other(first) {
        Some((found, hint)) => Err(FormatError::NoDisk { found, hint }),
        None => Ok(Format::Raw),
    }
}

/// Fails if the first bytes of a decompressed layer are certainly not those of a raw disk.
pub fn check_unpacked(first: &[u8]) -> Result<(), FormatError> {
    let found = match compression(first) {
        Some(Format::Gzip) => Some(("another gzip stream", ONCE)),
        Some(Format::Zstd) => Some(("another zstd stream", ONCE)),
        Some(Format::Xz) => Some(("another xz stream", ONCE)),
        Some(Format::Raw) | None => find_other(first),
    };
    found.map_or(Ok(()), |(found, hint)| Err(FormatError::NoDiskInside { found, hint }))
}

fn compression(first: &[u8]) -> Option<Format> {
    if first.starts_with(b"\x1f\x8b") {
        Some(Format::Gzip)
    } else if first.starts_with(b"\xfd7zXZ\0") {
        Some(Format::Xz)
    } else {
        first.first_chunk().is_some_and(|magic| zstd::is_magic(*magic)).then_some(Format::Zstd)
    }
}

fn find_other(first: &[u8]) -> Option<(&'static str, &'static str)> {
    let magic = REJECTED
        .into_iter()
        .find(|(at, magic, ..)| first.get(*at..).is_some_and(|bytes| bytes.starts_with(magic)));
    if let Some((_, _, found, hint)) = magic {
        return Some((found, hint));
    }
    if is_lzma_alone(first) {
        return Some(("an lzma stream", REPACK));
    }
    text(first).map(|found| (found, OTHER_BLOB))
}

/// The format has no magic bytes, but in practice only these properties: lc 3, lp 0, pb 2, a
/// dictionary of 2^n or 2^n + 2^(n-1) bytes, and a size that is unknown or below 256 TiB
/// (lzma-file-format.txt of XZ Utils, 1.1).
fn is_lzma_alone(first: &[u8]) -> bool {
    let Some((head, _)) = first.split_first_chunk::<13>() else { return false };
    let [properties, d0, d1, d2, d3, size @ ..] = *head;
    let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
    let size = u64::from_le_bytes(size);
    let top_bits = dictionary >> dictionary.trailing_zeros().min(31);
    properties == 0x5d
        && dictionary >= 4096
        && matches!(top_bits, 1 | 3)
        && (size == u64::MAX || size < 1 << 48)
}

/// Recognizes text that a registry or a proxy sends instead of a blob.
fn text(first: &[u8]) -> Option<&'static str> {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let starts_with =
        |tag: &[u8]| first.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if starts_with(b"<!doctype") || starts_with(b"<html") || starts_with(b"<?xml") {
        return Some("a web page");
    }
    // Boot code contains control characters.
    let is_text = !first.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    let inside = first.strip_prefix(b"{").map(<[u8]>::trim_ascii_start)?;
    (is_text && matches!(inside.first(), Some(b'"' | b'}'))).then_some("JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::with_hint;

    fn at(offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut first = vec![0; 512];
        first[offset..offset + magic.len()].copy_from_slice(magic);
        first
    }

    #[test]
    fn detects_compression_by_magic_bytes() {
        for (first, format) in [
            (&b"\x1f\x8b\x08\0"[..], Format::Gzip),
            (b"\x1f\x8b", Format::Gzip),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x50\x2a\x4d\x18", Format::Zstd),
            (b"\x5f\x2a\x4d\x18", Format::Zstd),
            (b"\xfd7zXZ\0\0\x04", Format::Xz),
        ] {
            assert_eq!(detect(first), Ok(format), "{first:x?}");
            assert_eq!(detect(&at(0, first)), Ok(format), "{first:x?}");
            let inside = with_hint(&check_unpacked(&at(0, first)).unwrap_err());
            let says = format!(
                "decompressed layer looks like another {format} stream, not like a disk image\nhint: compress the disk image once"
            );
            assert!(inside.contains(&says), "{inside}");
        }
    }

    #[test]
    fn detects_a_raw_disk_otherwise() {
        for first in [
            b"".to_vec(),
            b"\x1f".to_vec(),
            b"\x28\xb5\x2f".to_vec(),
            b"\x60\x2a\x4d\x18".to_vec(),
            b"\xfd7zXZ\x01".to_vec(),
            b"hello".to_vec(),
            vec![0; 512],
            // GRUB's, a protective MBR, an ISO hybrid's.
            at(0, b"\xeb\x63\x90\x10\x8e\xd0"),
            at(510, b"\x55\xaa"),
            at(0, b"\x45\x52\x08\0\0\0\x90\x90"),
            at(256, b"ustar"),
            at(0, b"]\0\0\0\0\0\0\0\0"),
            at(0, b"{\"a"),
            at(0, b"<htm"),
        ] {
            assert_eq!(detect(&first), Ok(Format::Raw), "{first:x?}");
            assert_eq!(check_unpacked(&first), Ok(()), "{first:x?}");
        }
    }

    #[test]
    fn rejects_other_content_with_a_hint() {
        for (first, says) in [
            (
                at(0, b"BZh91AY&SY"),
                "layer looks like a bzip2 stream, not like a disk image\nhint: decompress it, then compress it with gzip, zstd or xz",
            ),
            (at(0, b"\x04\x22\x4d\x18"), "an lz4 stream"),
            (at(0, b"\x02\x21\x4c\x18"), "an lz4 stream"),
            (at(0, b"LZIP\x01"), "an lzip stream"),
            (at(0, b"]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"), "an lzma stream"),
            (at(0, b"]\0\0\x60\0\0\0\0\x40"), "an lzma stream"),
            (at(0, b"PK\x03\x04"), "a zip archive"),
            (
                at(257, b"ustar\x0000"),
                "a tar archive, not like a disk image\nhint: push the disk image inside it",
            ),
            (at(257, b"ustar  \0"), "a tar archive"),
            (
                at(0, b"QFI\xfb\0\0\0\x03"),
                "a qcow2 image, not like a disk image\nhint: convert it with `qemu-img convert -O raw`",
            ),
            (at(0, b"KDMV\x01"), "a VMDK image"),
            (b"# Disk DescriptorFile\nversion=1\n".to_vec(), "a VMDK image"),
            (at(0, b"vhdxfile"), "a VHDX image"),
            (
                b"<!DOCTYPE html><html>".to_vec(),
                "layer looks like a web page, not like a disk image\nhint: check that",
            ),
            (b"\xef\xbb\xbf\r\n <!doctype HTML>".to_vec(), "a web page"),
            (b"<HTML>Please log in</HTML>".to_vec(), "a web page"),
            (b"{\"errors\":[{\"code\":\"DENIED\"}]}".to_vec(), "JSON text"),
            (b"{\n  \"schemaVersion\": 2".to_vec(), "JSON text"),
            (b"{}".to_vec(), "JSON text"),
        ] {
            let error = with_hint(&detect(&first).unwrap_err());
            assert!(error.contains(says), "{error}\nlacks\n{says}");
            let FormatError::NoDisk { found, hint } = detect(&first).unwrap_err() else {
                panic!("{error}");
            };
            assert_eq!(check_unpacked(&first), Err(FormatError::NoDiskInside { found, hint }));
        }
    }
}
