//! Layers of a format that does not help, and zstd and xz streams that are broken. What is refused by its first bytes leaves the disk untouched.

use oci::digest::Digest;

use crate::{
    fake::{DISK_LAYER, Fake},
    images::{Layer, MIB, gzip, image, xz, zstd, zstd_with_window},
    run::{By, Wanted, assert_failed, install_from},
    target::{DISK, Left, Target},
};

const ANY: &str = "application/octet-stream";
const ZSTD: &str = "application/octet-stream+zstd";
const XZ: &str = "application/octet-stream+xz";

/// Installs `layer`, announced as `media_type`, and by its digest alone where that is to end in the same way.
#[track_caller]
fn assert_ends(rule: &str, layer: &Layer, media_type: Option<&str>, says: &[&str], left: Left) {
    let ways = if media_type.is_none_or(|named| named == ANY) {
        vec![By::Tag, By::Blob]
    } else {
        vec![By::Tag]
    };
    for by in ways {
        let mut fake = Fake::with(layer);
        fake.set_layers(&[media_type.unwrap_or(ANY)]);
        let target = Target::new(DISK);
        let (outcome, _) = install_from(fake, by, &target);
        let wanted = Wanted { code: 6, says, left };
        let (rule, image) = (format!("{rule}, by {by:?}"), image(4 * MIB + 13));
        assert_failed(&rule, outcome, wanted, ("", layer), (&target, &image));
    }
}

#[test]
fn a_format_that_is_refused_leaves_the_disk_untouched() {
    let disk = image(4 * MIB);
    let with_magic = |at: usize, magic: &[u8]| {
        let mut bytes = disk.clone();
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes
    };
    let tar = with_magic(257, b"ustar");
    let qcow2 = with_magic(0, b"QFI\xfb");
    for (rule, layer, says) in [
        (
            "bzip2",
            with_magic(0, b"BZh9"),
            "layer looks like a bzip2 stream, not like a disk image; nothing was written\nhint: ",
        ),
        (
            "qcow2",
            qcow2.clone(),
            "layer looks like a qcow2 image, not like a disk image; nothing was written\nhint: convert",
        ),
        ("tar", tar.clone(), "layer looks like a tar archive"),
        (
            "a web page",
            b"<!DOCTYPE html><title>Log in</title>".to_vec(),
            "layer looks like a web page",
        ),
        ("an error", br#"{"errors":[{"code":"DENIED"}]}"#.to_vec(), "layer looks like JSON text"),
        ("tar in gzip", gzip(&tar), "decompressed layer looks like a tar archive"),
        ("qcow2 in zstd", zstd(&qcow2), "decompressed layer looks like a qcow2 image"),
        (
            "zstd in xz",
            xz(&zstd(&disk)),
            "looks like another zstd stream, not like a disk image; nothing was written\nhint: compress the disk image once",
        ),
        (
            "a window of 64 MiB",
            zstd_with_window(&disk, 26),
            "the zstd stream of the layer needs a window of 67108864 bytes (64 MiB), at most 33554432 bytes (32 MiB) are supported; nothing was written\nhint: compress it with `zstd --long=25` or less",
        ),
    ] {
        assert_ends(rule, &Layer::new(layer), None, &[says], Left::Untouched);
    }
}

#[test]
fn a_format_that_is_not_the_announced_one_leaves_the_disk_untouched() {
    let disk = image(4 * MIB);
    for (announced, layer, found) in [
        (DISK_LAYER, zstd(&disk), "zstd"),
        (DISK_LAYER, xz(&disk), "xz"),
        (DISK_LAYER, disk.clone(), "raw"),
        (ZSTD, gzip(&disk), "gzip"),
        (ZSTD, disk.clone(), "raw"),
        (XZ, zstd(&disk), "zstd"),
    ] {
        let push = if found == "raw" { ANY.to_owned() } else { format!("{ANY}+{found}") };
        let says = format!(
            "layer has the media type '{announced}', but its format is {found}; nothing was written\nhint: push it again as '{push}'"
        );
        assert_ends(&says, &Layer::new(layer), Some(announced), &[&says], Left::Untouched);
    }
}

#[test]
fn the_decoder_reads_to_the_end_before_the_digest_counts() {
    let image = image(4 * MIB + 13);
    for (format, media_type, good) in [("zstd", ZSTD, zstd(&image)), ("xz", XZ, xz(&image))] {
        let end = good.len();
        let most = good[..end / 8 * 7].to_vec();
        for (rule, packed, at, left) in [
            (
                "cut off in its header",
                good[..9].to_vec(),
                "after 0 bytes of disk image",
                Left::Untouched,
            ),
            ("cut off midway", most, "bytes (", Left::Cleared),
            ("cut off before its last byte", good[..end - 1].to_vec(), "bytes (", Left::Cleared),
            ("followed by a word", [&good[..], b"hello"].concat(), "bytes (", Left::Cleared),
            (
                "followed by the start of another",
                [&good[..], &good[..9]].concat(),
                "bytes (",
                Left::Cleared,
            ),
        ] {
            let layer = Layer::new(packed);
            let says =
                format!("layer has the expected digest, but its {format} stream is corrupt after ");
            let says = [&*says, at, "\nhint: compress and push the image again"];
            assert_ends(&format!("{format} {rule}"), &layer, Some(media_type), &says, left);
            // Broken on the way, the same bytes are told by their digest.
            let layer = Layer { digest: Digest::of(&good), ..layer };
            let says = ["layer has digest sha256:", ", expected LAYER"];
            assert_ends(&format!("{format} {rule}"), &layer, Some(media_type), &says, left);
        }
    }
}

#[test]
fn a_magic_that_was_changed_on_the_way_is_told_by_the_digest() {
    for good in [gzip(&image(4 * MIB)), zstd(&image(4 * MIB)), xz(&image(4 * MIB))] {
        let mut compressed = good.clone();
        compressed[0] ^= 1;
        // Without a media type it may as well be a raw disk, and is written like one until the digest is known.
        let layer = Layer { digest: Digest::of(&good), compressed };
        let target = Target::new(DISK);
        let (outcome, _) = install_from(Fake::with(&layer), By::Blob, &target);
        let says = &["layer has digest sha256:", ", expected LAYER"];
        let wanted = Wanted { code: 6, says, left: Left::Cleared };
        let written = &layer.compressed;
        assert_failed("a changed magic", outcome, wanted, ("", &layer), (&target, written));
    }
}
