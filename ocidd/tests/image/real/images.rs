//! Disk images: what is made of them, and that it is the same whenever and by whomever it is made.

use std::io::Write as _;

use oci::digest::Digest;

use super::scene;
use crate::{noise::noise, ours::Author, schema};

/// Half noise and half zeroes.
pub(super) fn disk() -> Vec<u8> {
    let mut disk = noise(5, 300_000);
    disk.resize(700_000, 0);
    disk
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_disk_image_tells_what_it_is() {
    let (registry, author) = scene();
    let zstd = zstd::bulk::compress(&disk(), 1).unwrap();
    for (file, content, words, media_type, title) in [
        ("raw", disk(), &[][..], "application/octet-stream+gzip", "raw.gz"),
        ("raw", disk(), &["--format", "zstd"], "application/octet-stream+zstd", "raw.zst"),
        ("packed.gz", gzip(&disk()), &[], "application/octet-stream+gzip", "packed.gz"),
        ("packed", zstd, &[], "application/octet-stream+zstd", "packed"),
    ] {
        author.write(file, &content);
        let reference = registry.reference("os:1");
        let digest = author.push(&[words, &[file, &reference]].concat());
        let shown = author.json(&["inspect", "--remote", &reference]);
        assert_eq!(shown["descriptor"]["digest"], *digest);
        let manifest = &shown["manifest"];
        assert_eq!(manifest["artifactType"], "application/vnd.ocidd.disk.v1");
        assert_eq!(manifest["annotations"], serde_json::json!({ "disktype": "raw" }));
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        assert_eq!(manifest["layers"][0]["mediaType"], media_type);
        let wanted = serde_json::json!({
            "io.ocidd.raw.digest": Digest::of(&disk()).to_string(),
            "io.ocidd.raw.size": "700000",
            "org.opencontainers.image.title": title,
        });
        assert_eq!(manifest["layers"][0]["annotations"], wanted);
        author.ok(&["pull", &reference, "-o", "out", "--force"]);
        // What was packed already is pushed as it is.
        if title == file {
            assert!(author.read(&format!("out/{title}")) == content);
        }
    }
    schema::assert_layout(&author.store());
}

#[test]
fn the_same_disk_image_has_the_same_digest_whoever_pushes_it() {
    let (registry, _) = scene();
    let push = |format: &str, epoch: Option<&str>| {
        let mut author = Author::new();
        author.write("disk.raw", disk());
        if let Some(epoch) = epoch {
            author.set("SOURCE_DATE_EPOCH", epoch);
        }
        author.push(&["--format", format, "disk.raw", &registry.reference("os:1")])
    };
    for format in ["gzip", "zstd"] {
        let [plain, dated, later] =
            [None, Some("1700000000"), Some("1700000001")].map(|epoch| push(format, epoch));
        assert_eq!(push(format, None), plain);
        assert_eq!(push(format, Some("1700000000")), dated);
        assert!(plain != dated && dated != later);
    }
    let mut author = Author::new();
    author.write("disk.raw", disk());
    author.set("SOURCE_DATE_EPOCH", "1700000000");
    author.push(&["disk.raw", &registry.reference("os:1")]);
    let shown = author.json(&["inspect", &registry.reference("os:1")]);
    let annotations = &shown["manifest"]["annotations"];
    assert_eq!(annotations["org.opencontainers.image.created"], "2023-11-14T22:13:20Z");
    author.set("SOURCE_DATE_EPOCH", "yesterday");
    author.fails(
        &["push", "disk.raw", &registry.reference("os:1")],
        "reading SOURCE_DATE_EPOCH, 'yesterday', as a number of seconds",
    );
}

#[test]
fn what_nobody_could_install_is_not_pushed() {
    let (registry, author) = scene();
    let packed = gzip(&disk());
    let mut flipped = packed.clone();
    let crc = packed.len() - 8;
    flipped[crc] ^= 1;
    for (rule, content, says) in [
        ("cut", packed[..packed.len() / 2].to_vec(), "decompressing its gzip stream"),
        ("a wrong check", flipped, "decompressing its gzip stream"),
        ("rubbish behind", [&packed[..], b"rubbish"].concat(), "decompressing its gzip stream"),
        (
            "a disk of a virtual machine",
            b"QFI\xfb\0\0\0\x03".to_vec(),
            "looks like a qcow2 image, not like a disk image\nocidd: hint: convert it with ",
        ),
        (
            "a window that is too large",
            b"\x28\xb5\x2f\xfd\0\x79".to_vec(),
            " bytes (32 MiB) are supported\nocidd: hint: compress it with `zstd --long=25` or less",
        ),
        ("the same, packed", gzip(b"QFI\xfb\0\0\0\x03"), "decompressed layer looks like a qcow2"),
    ] {
        author.write("disk", content);
        author.fails(&["push", "disk", &registry.reference("os:1")], says);
        author.fails(&["inspect", &registry.reference("os:1")], "' not found in the registry");
        assert_eq!(author.ok(&["list"]).lines().count(), 1, "{rule}");
    }
    let by_digest = registry.reference(&format!("os@{}", Digest::of(b"")));
    author.fails(
        &["push", "disk", &by_digest],
        "names an image by its digest\nocidd: hint: push to a tag",
    );
    for (file, says) in
        [(".", "is not a regular file"), ("missing", "reading the disk image missing")]
    {
        author.fails(&["push", file, &registry.reference("os:1")], says);
    }
}

#[test]
fn several_files_are_an_artifact() {
    let (registry, author) = scene();
    author.write("a", "one");
    author.write("below/b", noise(6, 5000));
    let reference = registry.reference("os:1");
    author.push(&["--type", "application/x-boot", "a", "below/b", &reference]);
    let manifest = &author.json(&["inspect", "--remote", &reference])["manifest"];
    assert_eq!(manifest["artifactType"], "application/x-boot");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/octet-stream");
    assert_eq!(author.ok(&["pull", &reference, "-o", "out"]), "out/a\nout/b\n");
    assert!(author.read("out/b") == noise(6, 5000));
    // A single one is no disk image where its type is said.
    let single = registry.reference("os:2");
    author.push(&["--type", "application/x-boot", "a", &single]);
    assert_eq!(author.ok(&["pull", &single, "-o", "single"]), "single/a\n");
    author.write("b", "another");
    author.fails(&["push", "below/b", "b", &reference], "several files have the name 'b'");
    let ended = author.run(&["push", "--type", "boot", "a", "b", &reference]);
    assert!(ended.code == 2 && ended.stderr.contains("invalid media type"), "{}", ended.stderr);
}

#[test]
fn what_is_in_a_registry_can_be_listed_and_deleted() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    let digest = author.push(&["disk.raw", &registry.reference("os:1")]);
    author.ok(&["copy", &registry.reference("os:1"), &registry.reference("os:2")]);
    assert_eq!(author.ok(&["list", &registry.reference("os")]), "1\n2\n");
    let listed = author.json(&["list", "--json", &registry.reference("os")]);
    assert_eq!(listed, serde_json::json!(["1", "2"]));
    // Who only looks needs no store.
    let reader = Author::new();
    reader.ok(&["inspect", &registry.reference("os:1")]);
    assert!(!reader.store().exists());
    author.fails(
        &["rm", "--remote", &registry.reference("os:1")],
        "deletes no tags (400)\nocidd: hint: name the image by its digest",
    );
    author.ok(&["rm", "--remote", &registry.reference(&format!("os@{digest}"))]);
    author.fails(
        &["inspect", "--remote", &registry.reference("os:1")],
        "' not found in the registry",
    );
    author.fails(&["list", &registry.reference("other")], "404 Not Found (NAME_UNKNOWN");
}
