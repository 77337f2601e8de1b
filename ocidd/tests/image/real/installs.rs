//! What authors push is what the installer installs.

use super::images::disk;
use super::images::gzip;
use super::scene;
use crate::ours::Author;
use std::io::Write as _;
use std::path::Path;

/// Installs to a file that is a little larger than the disk image.
#[track_caller]
pub(super) fn assert_installs(author: &Author, image: &str) {
    assert_installs_for("linux/amd64", author, image);
}

/// The same on a machine of another platform.
#[track_caller]
pub(super) fn assert_installs_for(platform: &str, author: &Author, image: &str) {
    author.write("target", vec![0xAA; 3 << 20]);
    let platform = format!("oci.platform={platform}");
    let disk_word = format!("dd.of={}", author.path("target").display());
    let words = [image, &platform, "oci.allow_no_tls", &disk_word];
    let ended = author.run_other(Path::new(env!("CARGO_BIN_EXE_ocidd")), &words);
    assert_eq!(ended.code, 0, "{image}: {}", ended.stderr);
    assert!(author.read("target")[..disk().len()] == disk(), "{image}");
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_pushed_disk_image_is_installed() {
    let (registry, author) = scene();
    for (number, (file, content, words)) in [
        ("disk.raw", disk(), &[][..]),
        ("disk.raw", disk(), &["--format", "zstd"]),
        ("disk.raw.gz", gzip(&disk()), &[]),
        ("disk.raw.zst", zstd::bulk::compress(&disk(), 1).unwrap(), &[]),
        ("disk.raw.xz", xz(&disk()), &[]),
        ("disk.raw", disk(), &["--platform", "linux/amd64"]),
    ]
    .into_iter()
    .enumerate()
    {
        author.write(file, content);
        let reference = registry.reference(&format!("os:{number}"));
        let digest = author.push(&[words, &[file, &reference]].concat());
        assert_installs(&author, &format!("oci.tag={reference}"));
        assert_installs(
            &author,
            &format!("oci.tag={}", registry.reference(&format!("os@{digest}"))),
        );
    }
    let layers = &author.json(&["inspect", &registry.reference("os:0")])["manifest"]["layers"];
    let digest = layers[0]["digest"].as_str().unwrap();
    assert_installs(&author, &format!("oci.blob={}", registry.reference(&format!("os@{digest}"))));
}
