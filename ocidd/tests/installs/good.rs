//! What has to work: every image, gzip stream and way of delivery ends with the image on the disk and nothing else changed.

use oci::digest::Digest;
use ocidd::report::event::Outcome;

use crate::{
    fake::{Answer, Fake, Framing},
    images::{Layer, MIB, gzip, gzip_members, gzip_stored, gzip_with_fields, image, zeroed},
    run::{BOTH, By, install, install_from, no_certificates},
    target::{DISK, Target},
};

/// Installs from a registry that holds `layer`; it has to leave `image` on a disk of `disk` bytes.
#[track_caller]
fn assert_installs(rule: &str, fake: Fake, by: By, image: &[u8], disk: usize) {
    let rule = format!("{rule}, by {by:?}");
    let layer = fake.layer().digest;
    let target = Target::new(disk);
    let (outcome, _) = install_from(fake, by, &target);
    let done = outcome.unwrap_or_else(|failure| panic!("{rule}: {failure}"));
    assert_eq!((done.image_bytes, done.layer), (image.len() as u64, layer), "{rule}");
    assert_eq!(done.outcome, Outcome::Installed, "{rule}");
    target.assert_installed(&rule, image);
    assert!(target.marker().is_none_or(|marker| marker.layer == layer), "{rule}");
}

#[test]
fn an_image_of_any_size_that_fits_is_installed() {
    let rows = [
        ("one byte", image(1), DISK),
        ("no whole sector", image(513), DISK),
        ("one byte less than is held back", image(MIB - 1), DISK),
        ("exactly what is held back", image(MIB), DISK),
        ("one byte more than is held back", image(MIB + 1), DISK),
        ("several MiB, no whole sector", image(3 * MIB + 700), DISK),
        ("up to where the disk's end is held back", image(7 * MIB), DISK),
        ("into the disk's held back end", image(7 * MIB + 5), DISK),
        ("exactly the disk's size", image(DISK), DISK),
        (
            "exactly the size of a disk that is no whole number of blocks",
            image(3 * MIB + 512),
            3 * MIB + 512,
        ),
        ("a disk smaller than what is held back", image(1000), 4096),
        (
            "zeroes between data",
            zeroed(zeroed(image(6 * MIB), MIB / 2..2 * MIB), 3 * MIB..5 * MIB + 3),
            DISK,
        ),
        (
            "zeroes at the start and the end",
            zeroed(zeroed(image(6 * MIB), 0..2 * MIB), 4 * MIB..6 * MIB),
            DISK,
        ),
        ("nothing but zeroes", vec![0; 5 * MIB], DISK),
        ("zeroes into the disk's held back end", zeroed(image(DISK), 5 * MIB..DISK), DISK),
    ];
    for (rule, image, disk) in rows {
        let layer = Layer::new(gzip(&image));
        for by in BOTH {
            assert_installs(rule, Fake::with(&layer), *by, &image, disk);
        }
    }
}

#[test]
fn every_gzip_stream_that_rfc_1952_allows_is_installed() {
    let image = zeroed(image(4 * MIB + 13), 2 * MIB..3 * MIB);
    let (first, second) = image.split_at(MIB + 777);
    let rows = [
        ("one member", gzip(&image)),
        ("two members", [gzip(first), gzip(second)].concat()),
        ("an empty member in between", [gzip(first), gzip(b""), gzip(second)].concat()),
        ("an empty member first", [gzip(b""), gzip(&image)].concat()),
        ("an empty member last", [gzip(&image), gzip(b"")].concat()),
        ("many members", gzip_members(&image, 65_280)),
        ("a header with name, comment, time and extra field", gzip_with_fields(&image)),
        ("stored blocks", gzip_stored(&image)),
    ];
    for (rule, compressed) in rows {
        let layer = Layer::new(compressed);
        for by in BOTH {
            assert_installs(rule, Fake::with(&layer), *by, &image, DISK);
        }
    }
}

#[test]
fn every_way_of_delivery_is_taken() {
    type Delivery = fn(&mut Fake);
    let rows: [(&str, Delivery); 7] = [
        ("a length", |_| {}),
        ("chunks", |fake| fake.blob().framing = Framing::Chunked),
        ("a connection that ends", |fake| fake.blob().framing = Framing::Close),
        ("a manifest in chunks", |fake| fake.manifest().framing = Framing::Chunked),
        ("no Docker-Content-Digest", |fake| fake.manifest().headers.truncate(1)),
        ("a manifest in Docker's media type", |fake| {
            let docker = "application/vnd.docker.distribution.manifest.v2+json";
            let text = String::from_utf8(fake.manifest().body.clone()).unwrap();
            fake.set_manifest(docker, text.replace(crate::fake::MANIFEST, docker));
        }),
        ("layers of other media types beside it", |fake| {
            fake.set_layers(&["text/markdown", crate::fake::DISK_LAYER, "application/spdx+json"]);
        }),
    ];
    let image = image(3 * MIB);
    let layer = Layer::new(gzip(&image));
    for (rule, delivery) in rows {
        for by in BOTH {
            let mut fake = Fake::with(&layer);
            delivery(&mut fake);
            assert_installs(rule, fake, *by, &image, DISK);
        }
    }
}

#[test]
fn a_manifest_is_found_by_its_digest_whatever_the_tag_says() {
    let image = image(MIB + 9);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    let manifest = fake.manifest().clone();
    let digest = manifest.digest();
    fake.answers.insert(format!("/v2/os/manifests/{digest}"), manifest);
    *fake.manifest() = Answer::not_found();
    let target = Target::new(DISK);
    let word = format!("oci.tag={}/os:1@{digest}", fake.address());
    let _registry = fake.serve();
    let certificates = no_certificates(target.folder.path());
    install(&[&word, "oci.allow_no_tls"], &target, certificates).unwrap();
    target.assert_installed("by digest", &image);
}

#[test]
fn every_transfer_size_gives_the_same_disk() {
    let image = zeroed(image(4 * MIB + 100), 2 * MIB..3 * MIB);
    let fake = Fake::with(&Layer::new(gzip(&image)));
    let word = By::Tag.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    for size in ["dd.bs=1000", "dd.bs=4k", "dd.bs=64k", "dd.bs=1M", "dd.bs=1G"] {
        let target = Target::new(DISK);
        let certificates = no_certificates(target.folder.path());
        install(&[&word, "oci.allow_no_tls", size], &target, certificates).unwrap();
        target.assert_installed(size, &image);
    }
}

#[test]
fn a_target_behind_a_link_is_written() {
    let image = image(2 * MIB);
    let fake = Fake::with(&Layer::new(gzip(&image)));
    let mut target = Target::new(DISK);
    let disk = std::mem::replace(&mut target.path, target.folder.path().join("link"));
    std::os::unix::fs::symlink(&disk, &target.path).unwrap();
    install_from(fake, By::Tag, &target).0.unwrap();
    assert!(target.path.is_symlink());
    target.assert_installed("through a link", &image);
}

#[test]
fn the_registry_is_asked_for_the_manifest_and_the_blob_and_nothing_else() {
    for by in BOTH {
        let fake = Fake::with(&Layer::new(gzip(&image(10))));
        let blob = fake.blob_path();
        let (outcome, requests) = install_from(fake, *by, &Target::new(DISK));
        let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
        // The blob, and its last four bytes where the manifest says that it is gzip: they tell the size of the image.
        let wanted = match by {
            By::Tag => vec!["/v2/os/manifests/1", &blob, &blob],
            By::Blob => vec![blob.as_str()],
        };
        assert_eq!(paths, wanted);
        if *by == By::Tag {
            let accepted = requests[0].header("accept").unwrap();
            assert!(accepted.contains(crate::fake::MANIFEST), "{accepted}");
        }
        for request in &requests {
            assert_eq!(request.header("authorization"), None);
            let agent = request.header("user-agent").unwrap();
            assert!(agent.starts_with("ocidd/"), "{agent}");
        }
        let digest: Digest = blob.trim_start_matches("/v2/os/blobs/").parse().unwrap();
        assert_eq!(outcome.unwrap().layer, digest);
    }
}
