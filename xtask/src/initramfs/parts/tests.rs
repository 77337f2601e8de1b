//! Members of archives, and the way from an upstream host to the files of an image.

use archive::gzip;
use tar::{
    EntryType,
    EntryType::{Directory, Regular, Symlink},
    Header,
};

use super::*;
use crate::{
    config,
    host::output,
    sources::{
        SourceOptions,
        cache::tests::empty,
        download::{
            Client,
            tests::fake::{Answer, FakeUpstream},
        },
    },
};

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

/// A `.tar.gz` of these names, types, and contents or link targets.
fn tar_gz(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        // `append_data` would remove the leading `./` of names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let bytes = if kind.is_file() { content.as_bytes() } else { &[] };
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name_literal(content).unwrap();
        }
        header.set_size(bytes.len().try_into().unwrap());
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    gzip::compress(&builder.into_inner().unwrap()).unwrap()
}

fn archive(entries: &[(&str, EntryType, &str)]) -> Archive {
    let mut file = tempfile::NamedTempFile::with_suffix("sample.tar.gz").unwrap();
    std::io::Write::write_all(&mut file, &tar_gz(entries)).unwrap();
    Archive::read_tar_gz(file.path()).unwrap()
}

fn one(archive: &Archive, name: &str) -> Result<String> {
    Ok(String::from_utf8(archive.get(&Members::One(name.to_owned()))?)?)
}

fn joined(archive: &Archive, prefix: &str, suffix: &str) -> Result<String> {
    Ok(String::from_utf8(
        archive.get(&Members::Joined { prefix: prefix.to_owned(), suffix: suffix.to_owned() })?,
    )?)
}

#[test]
fn finds_files_and_follows_links() {
    let archive = archive(&[
        ("./bin/busybox", Regular, "box"),
        ("./bin/ls", Symlink, "/bin/busybox"),
        ("./usr/bin/env", Symlink, "../../bin/ls"),
        ("./bin/hard", EntryType::Link, "bin/busybox"),
        ("usr/sbin/moved", Regular, "moved"),
    ]);
    for (name, bytes) in [
        ("./bin/busybox", "box"),
        ("/bin/busybox", "box"),
        ("./bin/ls", "box"),
        ("./usr/bin/env", "box"),
        ("./bin/hard", "box"),
        ("./sbin/moved", "moved"),
    ] {
        assert_eq!(one(&archive, name).unwrap(), bytes, "{name}");
    }
}

#[test]
fn reports_missing_members() {
    let archive = archive(&[
        ("./bin/busybox", Regular, "box"),
        ("./bin/dead", Symlink, "gone"),
        ("./bin/loop", Symlink, "loop"),
    ]);
    for (name, fact) in [
        ("./bin/busybx", "has no file './bin/busybx' (did you mean './bin/busybox'?)"),
        ("./nothing/like/it", "has no file './nothing/like/it'"),
        ("./bin/dead", "'./bin/dead' in"),
        ("./bin/dead", "links to './bin/gone', which the archive does not contain"),
        ("./bin/loop", "leads through more than 8 links"),
    ] {
        let error = one(&archive, name).unwrap_err().to_string();
        assert!(error.contains(fact), "{error}");
    }
}

#[test]
fn joins_members_in_the_order_of_their_names() {
    let archive = archive(&[
        ("./c/b.crt", Regular, "B\n"),
        ("./c/a.crt", Regular, "A"),
        ("./c/Z.crt", Regular, "Z\n"),
        ("./c/a.txt", Regular, "no"),
        ("./c/d/e.crt", Regular, "no"),
        ("./c/f.crt.bak", Regular, "no"),
    ]);
    assert_eq!(joined(&archive, "./c/", ".crt").unwrap(), "Z\nA\nB\n");
    let error = joined(&archive, "./x/", ".crt").unwrap_err().to_string();
    assert!(error.ends_with(" has no member './x/*.crt'"), "{error}");
}

#[test]
fn finds_members_below_usr() {
    for (path, is_found) in
        [("./bin/busybox", true), ("./usr/bin/busybox", true), ("./opt/bin/busybox", false)]
    {
        let archive = archive(&[(path, Regular, "box")]);
        assert_eq!(one(&archive, "./bin/busybox").is_ok(), is_found, "{path}");
    }
}

#[test]
fn rejects_a_truncated_archive() {
    let bytes = tar_gz(&[("./a", Regular, "a")]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(Archive::read_tar_gz(file.path()).is_err());
}
