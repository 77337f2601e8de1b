//! From the host of an upstream archive to the files of an image.

use super::*;
use crate::cache::tests::empty;
use crate::config;
use crate::download::Client;
use crate::download::fake::Answer;
use crate::download::fake::FakeUpstream;
use crate::output;
use crate::sources::SourceOptions;
use archive::tests::tar_gz;
use tar::EntryType::Directory;
use tar::EntryType::Regular;
use tar::EntryType::Symlink;

const ARCH: Arch = Arch::X86_64;
const NAME: &str = "/v3.23/alpine-minirootfs-3.23.4-x86_64.tar.gz";

/// The parts of the image that come from Alpine, and their contents in [`minirootfs`].
const PARTS: [(&str, &str); 3] = [
    ("bin/busybox", "a program"),
    ("lib/ld-musl-x86_64.so.1", "a loader"),
    ("etc/ssl/certs/ca-certificates.crt", "certificates"),
];

/// A small archive with the layout of Alpine's: names start with `./`, applets link to absolute
/// paths, and musl has a second name.
fn minirootfs() -> Vec<u8> {
    tar_gz(&[
        ("./", Directory, ""),
        ("./bin/", Directory, ""),
        ("./bin/busybox", Regular, "a program"),
        ("./bin/sh", Symlink, "/bin/busybox"),
        ("./etc/alpine-release", Regular, "3.23.4\n"),
        ("./etc/ssl/certs/ca-certificates.crt", Regular, "certificates"),
        ("./lib/ld-musl-x86_64.so.1", Regular, "a loader"),
        ("./lib/libc.musl-x86_64.so.1", Symlink, "ld-musl-x86_64.so.1"),
    ])
}

/// The project's configuration, with Alpine pinned to this URL.
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
fn takes_every_upstream_part_from_the_pinned_archive() {
    let bytes = minirootfs();
    let host = FakeUpstream::start([(NAME, Answer::File(bytes.clone()))]);
    let config = pinned(&host.url(NAME), &output::digest_of(&bytes));
    let given = tempfile::tempdir().unwrap();
    std::fs::write(given.path().join("alpine-minirootfs-3.23.4-x86_64.tar.gz"), bytes).unwrap();
    let folder = Some(given.path().to_path_buf());
    for options in [
        SourceOptions::default(),
        SourceOptions { source_dir: folder.clone(), ..SourceOptions::default() },
        SourceOptions { source_dir: folder, offline: true, ..SourceOptions::default() },
    ] {
        let (_folder, sources) = locked(options);
        let parts = obtain(&config, ARCH, &sources).unwrap();
        assert_eq!((parts.set_name(), parts.sources.len()), ("upstream", 1));
        let found: BTreeMap<&str, &[u8]> = parts
            .files
            .iter()
            .map(|(part, bytes)| (part.path.as_str(), bytes.as_slice()))
            .collect();
        assert_eq!(found, PARTS.map(|(path, text)| (path, text.as_bytes())).into());
    }
    assert_eq!(host.requests(), [format!("GET {NAME} HTTP/1.1")]);
}

#[test]
fn rejects_an_archive_with_another_digest() {
    let host = FakeUpstream::start([(NAME, Answer::File(minirootfs()))]);
    let (_folder, sources) = locked(SourceOptions::default());
    let config = pinned(&host.url(NAME), &output::digest_of(b"another"));
    let error = format!("{:#}", obtain(&config, ARCH, &sources).unwrap_err());
    assert!(error.starts_with("source 'alpine': sha256 is "), "{error}");
}
