//! The stand-in's shape, and the way from an upstream host to an image's parts. Real programs are for the boot tests.

use super::*;
use crate::cache::tests::empty;
use crate::download::fake::Answer;
use crate::download::fake::FakeUpstream;
use std::collections::BTreeMap;
use xshell::cmd;

const ARCH: Arch = Arch::X86_64;

/// The project's files of an image, and what the stand-in has for them.
const PARTS: [(&str, &str); 3] = [
    ("bin/busybox", "a program"),
    ("lib/ld-musl-x86_64.so.1", "a loader"),
    ("etc/ssl/certs/ca-certificates.crt", "certificates"),
];

fn sample() -> Vec<u8> {
    let [busybox, loader, certificates] = PARTS.map(|(_, text)| text.as_bytes().to_vec());
    rootfs::archive(ARCH, &Content { busybox, loader, certificates }).unwrap()
}

/// The project's configuration, with a pin on a file of a host of ours.
fn pinned(url: &str, sha256: &str) -> ImageConfig {
    let mut config = config::read_image_config(ARCH).unwrap();
    let pin = config.upstream.get_mut("alpine").unwrap();
    (pin.url, pin.sha256) = (url.to_owned(), sha256.to_owned());
    config
}

fn locked(options: SourceOptions) -> (tempfile::TempDir, Sources) {
    let (folder, cache) = empty();
    let options = SourceOptions { locked: true, ..options };
    (folder, Sources::with(&options, cache, Client::default()).unwrap())
}

#[test]
fn it_has_the_shape_of_alpines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sample.tar.gz");
    std::fs::write(&file, sample()).unwrap();
    let shell = Shell::new().unwrap();
    let listing = cmd!(shell, "tar --list --verbose --numeric-owner --file {file}");
    let listing = listing.quiet().env("LC_ALL", "C").env("TZ", "UTC").read().unwrap();
    let day = "1970-01-01 00:00";
    for wanted in [
        format!("drwxr-xr-x 0/0 0 {day} ./bin/"),
        format!("-rwxr-xr-x 0/0 9 {day} ./bin/busybox"),
        format!("lrwxrwxrwx 0/0 0 {day} ./bin/sh -> /bin/busybox"),
        format!("-rwxr-xr-x 0/0 8 {day} ./lib/ld-musl-x86_64.so.1"),
        format!("lrwxrwxrwx 0/0 0 {day} ./lib/libc.musl-x86_64.so.1 -> ld-musl-x86_64.so.1"),
        format!("-rw-r--r-- 0/0 12 {day} ./etc/ssl/certs/ca-certificates.crt"),
    ] {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(listing.lines().any(|line| words(line) == words(&wanted)), "{wanted}: {listing}");
    }
    assert_eq!(sample(), sample());
}

#[test]
fn every_part_of_the_image_comes_from_the_pinned_archive() {
    let (bytes, name) = (sample(), "/v3.23/alpine-minirootfs-sample-x86_64.tar.gz");
    let host = FakeUpstream::start([(name, Answer::File(bytes.clone()))]);
    let config = pinned(&host.url(name), &output::digest_of(&bytes));
    let given = tempfile::tempdir().unwrap();
    std::fs::write(given.path().join("alpine-minirootfs-sample-x86_64.tar.gz"), bytes).unwrap();
    let folder = Some(given.path().to_path_buf());
    for options in [
        SourceOptions::default(),
        SourceOptions { source_dir: folder.clone(), ..SourceOptions::default() },
        SourceOptions { source_dir: folder, offline: true, ..SourceOptions::default() },
    ] {
        let (_folder, sources) = locked(options);
        let parts = parts::obtain(&config, ARCH, &sources).unwrap();
        assert_eq!((parts.set_name(), parts.sources.len()), ("upstream", 1));
        let found: BTreeMap<&str, &[u8]> = parts
            .files
            .iter()
            .map(|(part, bytes)| (part.path.as_str(), bytes.as_slice()))
            .collect();
        assert_eq!(found, PARTS.map(|(path, text)| (path, text.as_bytes())).into());
    }
    assert_eq!(host.requests(), [format!("GET {name} HTTP/1.1")]);
}

#[test]
fn an_archive_of_another_digest_gives_no_parts() {
    let name = "/alpine-minirootfs-sample-x86_64.tar.gz";
    let host = FakeUpstream::start([(name, Answer::File(sample()))]);
    let (_folder, sources) = locked(SourceOptions::default());
    let config = pinned(&host.url(name), &output::digest_of(b"another"));
    let error = format!("{:#}", parts::obtain(&config, ARCH, &sources).unwrap_err());
    assert!(error.starts_with("source 'alpine': sha256 is "), "{error}");
}
