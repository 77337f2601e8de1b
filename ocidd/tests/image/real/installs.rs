//! What authors push is what the installer installs.

use std::{io::Write as _, path::Path};

use rcgen::KeyPair;

use super::{
    images::{disk, gzip},
    scene,
};
use crate::ours::{Author, Ended};

/// Old bytes of a disk that is a little larger than the image.
static OLD: [u8; 3 << 20] = [0xAA; 3 << 20];

/// Runs the installer for such a disk, which is a file, on a machine of this platform.
fn install(platform: &str, words: &[&str], author: &Author) -> Ended {
    author.write("target", &OLD[..]);
    let disk = format!("dd.of={}", author.path("target").display());
    let platform = format!("oci.platform={platform}");
    let words = [words, &[&platform, &disk]].concat();
    author.run_other(Path::new(env!("CARGO_BIN_EXE_ocidd")), &words)
}

/// Installs from a registry without TLS.
#[track_caller]
pub(super) fn assert_installs(author: &Author, image: &str) {
    assert_installs_for("linux/amd64", author, image);
}

/// The same on a machine of another platform.
#[track_caller]
pub(super) fn assert_installs_for(platform: &str, author: &Author, image: &str) {
    assert_installed(author, &install(platform, &["oci.allow_no_tls", image], author));
}

/// The same with these words.
#[track_caller]
pub(super) fn assert_installs_with(words: &[&str], author: &Author, image: &str) {
    assert_installed(author, &install("linux/amd64", &[words, &[image]].concat(), author));
}

#[track_caller]
fn assert_installed(author: &Author, ended: &Ended) {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(author.read("target")[..disk().len()] == disk(), "{}", ended.stderr);
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

#[test]
fn a_signed_image_is_installed_where_its_key_is_trusted() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    for name in ["ours", "theirs"] {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        author.write(&format!("{name}.key"), key.serialize_pem());
        author.write(&format!("{name}.pub"), key.public_key_pem());
    }
    let ours = format!("oci.verify_key={}", author.path("ours.pub").display());
    for (rule, words, code) in [
        ("signed", &["--sign", "ours.key"][..], 0),
        ("of-an-index", &["--sign", "ours.key", "--platform", "linux/amd64"], 0),
        ("unsigned", &["--format", "zstd"], 8),
        ("by-another", &["--sign", "theirs.key", "--format", "zstd"], 8),
    ] {
        let reference = registry.reference(&format!("{rule}:1"));
        author.push(&[words, &["disk.raw", &reference]].concat());
        let image = format!("oci.tag={reference}");
        let ended = install("linux/amd64", &[&image, &ours, "oci.allow_no_tls"], &author);
        assert_eq!(ended.code, code, "{rule}: {}", ended.stderr);
        let wanted = if code == 0 { &disk()[..] } else { &OLD[..] };
        assert!(author.read("target")[..wanted.len()] == *wanted, "{rule}");
    }
}
