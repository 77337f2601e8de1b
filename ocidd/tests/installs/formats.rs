//! Images in every format, under every media type that may hold one.

use oci::digest::Digest;
use ocidd::report::failure::Cause;

use crate::{
    fake::Fake,
    images::{Layer, MIB, Packing, image, zeroed},
    run::{BOTH, By, install_from},
    target::{DISK, Left, Target},
};

#[test]
fn an_image_of_every_format_is_installed_under_every_media_type_that_fits() {
    let image = zeroed(image(3 * MIB + 17), MIB / 2..2 * MIB);
    for packing in Packing::ALL {
        let layer = Layer::new(packing.pack(&image));
        for media_type in [packing.media_type(), "application/octet-stream"] {
            for by in BOTH {
                let rule = format!("{packing:?} as {media_type}, by {by:?}");
                let mut fake = Fake::with(&layer);
                fake.set_layers(&[media_type]);
                let target = Target::new(DISK);
                let (outcome, _) = install_from(fake, *by, &target);
                outcome.unwrap_or_else(|failure| panic!("{rule}: {failure}"));
                target.assert_installed(&rule, &image);
            }
        }
    }
}

/// As `oras push` makes one when nobody says what the file is; tinkerbell's users push their disks so.
#[test]
fn a_titled_layer_of_no_other_type_is_a_disk_image() {
    let image = image(2 * MIB);
    for packing in Packing::ALL {
        let layer = Layer::new(packing.pack(&image));
        let mut fake = Fake::with(&layer);
        let mut descriptor = layer.descriptor("application/vnd.oci.image.layer.v1.tar");
        descriptor["annotations"] =
            serde_json::json!({ "org.opencontainers.image.title": "disk.raw.zst" });
        fake.set_descriptors(&[descriptor]);
        let target = Target::new(DISK);
        let (outcome, _) = install_from(fake, By::Tag, &target);
        outcome.unwrap_or_else(|failure| panic!("{packing:?}: {failure}"));
        target.assert_installed("titled", &image);
    }
}

#[test]
fn a_truncated_stream_is_never_a_success() {
    let image = image(3 * MIB);
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Xz] {
        let whole = packing.pack(&image);
        for cut in [1, 4, 8, 9, 100, whole.len() / 3] {
            let layer = Layer::new(&whole[..whole.len() - cut]);
            let mut fake = Fake::with(&layer);
            // Not as gzip: of that the last bytes would be taken for the image's size.
            fake.set_layers(&["application/octet-stream"]);
            let target = Target::new(DISK);
            let (outcome, _) = install_from(fake, By::Tag, &target);
            let rule = format!("{packing:?}, {cut} bytes short");
            let failure = outcome.map(|done| done.message).expect_err(&rule);
            assert_eq!(failure.cause, Cause::STREAM, "{rule}: {failure}");
            target.assert_left(&rule, Left::Cleared, &image);
        }
    }
}

#[test]
fn what_is_no_disk_image_or_not_what_it_is_called_is_refused_before_the_first_write() {
    let image = image(3 * MIB);
    let zstd = Packing::Zstd.pack(&image);
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    for (rule, bytes, media_type, says) in [
        (
            "zstd as gzip",
            zstd.clone(),
            "application/octet-stream+gzip",
            "layer has the media type 'application/octet-stream+gzip', but its format is zstd",
        ),
        ("raw as zstd", image.clone(), "application/octet-stream+zstd", "but its format is raw"),
        ("qcow2", b"QFI\xfb\0\0\0\x03".repeat(99), "application/octet-stream", "a qcow2 image"),
        (
            "a container's layer",
            Packing::Gzip.pack(&tar),
            "application/octet-stream+gzip",
            "decompressed layer looks like a tar archive",
        ),
        (
            "packed twice",
            Packing::Gzip.pack(&zstd),
            "application/octet-stream+gzip",
            "decompressed layer looks like another zstd stream",
        ),
    ] {
        let mut fake = Fake::with(&Layer::new(bytes));
        fake.set_layers(&[media_type]);
        let target = Target::new(DISK);
        let (outcome, _) = install_from(fake, By::Tag, &target);
        let failure = outcome.map(|done| done.message).expect_err(rule);
        assert_eq!(failure.cause, Cause::FORMAT, "{rule}: {failure}");
        assert!(failure.to_string().contains(says), "{rule}: {failure}");
        target.assert_left(rule, Left::Untouched, &image);
    }
}

#[test]
fn the_size_a_publisher_tells_is_checked_before_and_after() {
    let image = image(3 * MIB);
    let layer = Layer::new(Packing::Xz.pack(&image));
    for (told, disk, cause) in [
        (3 * MIB, 3 * MIB - 512, Some(Cause::DISK_TOO_SMALL)),
        (3 * MIB + 1, DISK, Some(Cause::STREAM)),
        (3 * MIB, DISK, None),
    ] {
        let mut fake = Fake::with(&layer);
        let mut descriptor = layer.descriptor("application/octet-stream+xz");
        descriptor["annotations"] = serde_json::json!({ "io.ocidd.raw.size": told.to_string() });
        fake.set_descriptors(&[descriptor]);
        let target = Target::new(disk);
        let (outcome, _) = install_from(fake, By::Tag, &target);
        assert_eq!(outcome.err().map(|failure| failure.cause), cause, "{told} on {disk}");
    }
}

#[test]
fn the_digest_a_publisher_tells_of_the_image_is_checked() {
    let image = image(3 * MIB);
    let layer = Layer::new(Packing::Xz.pack(&image));
    for (told, cause) in [(Digest::of(&image), None), (layer.digest, Some(Cause::STREAM))] {
        let mut fake = Fake::with(&layer);
        let mut descriptor = layer.descriptor("application/octet-stream+xz");
        descriptor["annotations"] = serde_json::json!({ "io.ocidd.raw.digest": told.to_string() });
        fake.set_descriptors(&[descriptor]);
        let target = Target::new(DISK);
        let (outcome, _) = install_from(fake, By::Tag, &target);
        assert_eq!(outcome.err().map(|failure| failure.cause), cause, "{told}");
        if cause.is_some() {
            target.assert_left("another image", Left::Cleared, &image);
        }
    }
}

#[test]
fn a_raw_image_that_does_not_fit_is_refused_before_the_first_write() {
    for packing in [Packing::Raw, Packing::Zstd] {
        let image = image(5 * MIB);
        let mut fake = Fake::with(&Layer::new(packing.pack(&image)));
        fake.set_layers(&[packing.media_type()]);
        let target = Target::new(4 * MIB);
        let (outcome, _) = install_from(fake, By::Tag, &target);
        let failure = outcome.map(|done| done.message).expect_err("too large");
        assert_eq!(failure.cause, Cause::DISK_TOO_SMALL, "{failure}");
        target.assert_left("too large", Left::Untouched, &image);
    }
}
