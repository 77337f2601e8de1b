//! Tells formats by their first bytes, and what is certainly no disk image from what may be one: a raw disk starts with whatever its boot code is.

use super::Format;
use super::FormatError;
use super::zstd;

const REPACK: &str = "unpack it, then pack it with gzip, zstd or xz";
const CONVERT: &str = "convert it with `qemu-img convert -O raw`, then pack and push it";
const EXTRACT: &str = "push the disk image that is in it, packed with gzip, zstd or xz";
const OTHER_BLOB: &str = "check that the reference names the image, and that nothing between here and the registry answers in its place";
const ONCE: &str = "pack the disk image once";

/// What certainly is no raw disk: where its magic is, what it is, what to do.
const REFUSED: [(usize, &[u8], &str, &str); 14] = [
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
    (
        0,
        b"\x3a\xff\x26\xed",
        "an Android sparse image",
        "convert it with `simg2img`, then pack and push it",
    ),
];

/// What a layer that begins with these bytes is; up to [`super::FIRST_BYTES`] are looked at. What is neither known nor refused is a raw disk.
pub fn recognise(first: &[u8]) -> Result<Format, FormatError> {
    if let Some(format) = packed(first) {
        return Ok(format);
    }
    match no_disk(first) {
        Some((found, hint)) => Err(FormatError::NoDisk { found, hint }),
        None => Ok(Format::Raw),
    }
}

/// Err where these first bytes of an unpacked layer are certainly no raw disk's.
pub fn check_unpacked(first: &[u8]) -> Result<(), FormatError> {
    let found = match packed(first) {
        Some(Format::Gzip) => Some(("another gzip stream", ONCE)),
        Some(Format::Zstd) => Some(("another zstd stream", ONCE)),
        Some(Format::Xz) => Some(("another xz stream", ONCE)),
        Some(Format::Raw) | None => no_disk(first),
    };
    found.map_or(Ok(()), |(found, hint)| Err(FormatError::NoDiskInside { found, hint }))
}

fn packed(first: &[u8]) -> Option<Format> {
    if first.starts_with(b"\x1f\x8b") {
        Some(Format::Gzip)
    } else if first.starts_with(b"\xfd7zXZ\0") {
        Some(Format::Xz)
    } else {
        first.first_chunk().is_some_and(|magic| zstd::is_magic(*magic)).then_some(Format::Zstd)
    }
}

fn no_disk(first: &[u8]) -> Option<(&'static str, &'static str)> {
    let magic = REFUSED
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

/// The old format has no magic, but nobody uses other properties than these: lc 3, lp 0, pb 2, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and a
/// size that is unknown or below 256 TiB (lzma-file-format.txt of XZ Utils, 1.1).
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

/// What kind of text this is, of those a registry or a proxy answers with in place of a blob.
fn text(first: &[u8]) -> Option<&'static str> {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let starts_with =
        |tag: &[u8]| first.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if starts_with(b"<!doctype") || starts_with(b"<html") || starts_with(b"<?xml") {
        return Some("a web page");
    }
    // No boot code is text for so long.
    let is_text = !first.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    let inside = first.strip_prefix(b"{").map(<[u8]>::trim_ascii_start)?;
    (is_text && matches!(inside.first(), Some(b'"' | b'}'))).then_some("JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut first = vec![0; 512];
        first[offset..offset + magic.len()].copy_from_slice(magic);
        first
    }

    #[test]
    fn what_can_be_unpacked_is_told_by_its_magic() {
        for (first, format) in [
            (&b"\x1f\x8b\x08\0"[..], Format::Gzip),
            (b"\x1f\x8b", Format::Gzip),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x50\x2a\x4d\x18", Format::Zstd),
            (b"\x5f\x2a\x4d\x18", Format::Zstd),
            (b"\xfd7zXZ\0\0\x04", Format::Xz),
        ] {
            assert_eq!(recognise(first), Ok(format), "{first:x?}");
            assert_eq!(recognise(&at(0, first)), Ok(format), "{first:x?}");
            let inside = check_unpacked(&at(0, first)).unwrap_err().to_string();
            let says = format!(
                "unpacks to what looks like another {format} stream, not like a disk image; hint: pack the disk image once"
            );
            assert!(inside.contains(&says), "{inside}");
        }
    }

    #[test]
    fn every_other_start_is_a_raw_disk() {
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
            assert_eq!(recognise(&first), Ok(Format::Raw), "{first:x?}");
            assert_eq!(check_unpacked(&first), Ok(()), "{first:x?}");
        }
    }

    #[test]
    fn what_is_certainly_no_disk_is_refused_with_a_remedy() {
        for (first, says) in [
            (
                at(0, b"BZh91AY&SY"),
                "layer looks like a bzip2 stream, not like a disk image; hint: unpack it, then pack it with gzip, zstd or xz",
            ),
            (at(0, b"\x04\x22\x4d\x18"), "an lz4 stream"),
            (at(0, b"\x02\x21\x4c\x18"), "an lz4 stream"),
            (at(0, b"LZIP\x01"), "an lzip stream"),
            (at(0, b"]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"), "an lzma stream"),
            (at(0, b"]\0\0\x60\0\0\0\0\x40"), "an lzma stream"),
            (at(0, b"PK\x03\x04"), "a zip archive"),
            (
                at(257, b"ustar\x0000"),
                "a tar archive, not like a disk image; hint: push the disk image that is in it",
            ),
            (at(257, b"ustar  \0"), "a tar archive"),
            (
                at(0, b"QFI\xfb\0\0\0\x03"),
                "a qcow2 image, not like a disk image; hint: convert it with `qemu-img convert -O raw`",
            ),
            (at(0, b"KDMV\x01"), "a VMDK image"),
            (b"# Disk DescriptorFile\nversion=1\n".to_vec(), "a VMDK image"),
            (at(0, b"vhdxfile"), "a VHDX image"),
            (
                b"<!DOCTYPE html><html>".to_vec(),
                "layer looks like a web page, not like a disk image; hint: check that",
            ),
            (b"\xef\xbb\xbf\r\n <!doctype HTML>".to_vec(), "a web page"),
            (b"<HTML>Please log in</HTML>".to_vec(), "a web page"),
            (b"{\"errors\":[{\"code\":\"DENIED\"}]}".to_vec(), "JSON text"),
            (b"{\n  \"schemaVersion\": 2".to_vec(), "JSON text"),
            (b"{}".to_vec(), "JSON text"),
        ] {
            let error = recognise(&first).unwrap_err().to_string();
            assert!(error.contains(says), "{error}\nlacks\n{says}");
            let FormatError::NoDisk { found, hint } = recognise(&first).unwrap_err() else {
                panic!("{error}");
            };
            assert_eq!(check_unpacked(&first), Err(FormatError::NoDiskInside { found, hint }));
        }
    }
}
