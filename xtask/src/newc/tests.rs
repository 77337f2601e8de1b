//! Archives against a golden listing, against the bytes the format asks for, and against the tools people look into them with.

use super::*;
use crate::cmd;
use crate::golden;
use crate::gzip;
use crate::output;
use xshell::Shell;
use xshell::cmd;

const MTIME: u32 = 1_700_000_000;

/// One of each kind, names and sizes of every remainder by four.
fn sample() -> Tree {
    let mut entries = vec![
        ("init".to_owned(), Entry::file(0o755, b"#!/bin/sh\n".to_vec())),
        ("bin/sh".to_owned(), Entry::link("busybox")),
        ("dev/null".to_owned(), Entry::device(0o666, 1, 3)),
        ("tmp".to_owned(), Entry::folder(0o1777)),
        ("etc/empty".to_owned(), Entry::file(0o600, vec![])),
    ];
    entries.extend((1..9).map(|length| {
        (format!("pad/{}", "x".repeat(length)), Entry::file(0o644, vec![b'0'; length]))
    }));
    Tree::new(entries).unwrap()
}

#[test]
fn matches_the_golden_listing_and_digest() {
    let archive = write(&sample(), MTIME).unwrap();
    let found = format!(
        "{}sha256 {}\n",
        golden::listing(&read(&archive).unwrap()),
        output::digest_of(&archive)
    );
    golden::check("sample.txt", &found);
}

/// The bytes of an image depend on the tree and the time only, and never change.
#[test]
fn compressed_archive_has_its_golden_digest() {
    let image = gzip::compress(&write(&sample(), MTIME).unwrap()).unwrap();
    assert_eq!(
        output::digest_of(&image),
        "4ae029b9ae085f7ab3e370697ed3e029f78c9af8262941a673c364d445ed6c15"
    );
}

#[test]
fn normalises_everything_but_what_the_tree_says() {
    let records = read(&write(&sample(), MTIME).unwrap()).unwrap();
    for (inode, record) in (1..).zip(&records) {
        let links = if record.mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
        assert_eq!(
            (record.inode, record.uid, record.gid, record.links, record.mtime),
            (inode, 0, 0, links, MTIME),
            "{}",
            record.path
        );
    }
}

#[test]
fn writes_upper_case_headers_on_multiples_of_four_and_ends_on_a_block() {
    let archive = write(&sample(), 0xabcd_ef01).unwrap();
    assert_eq!(archive.len() % BLOCK, 0);
    assert!(archive.windows(8).any(|digits| digits == b"ABCDEF01"));
    let headers: Vec<usize> = archive
        .windows(6)
        .enumerate()
        .filter(|(_, magic)| magic == b"070701")
        .map(|(at, _)| at)
        .collect();
    assert_eq!(headers.len(), sample().entries().count() + 1);
    for at in headers {
        assert_eq!(at % 4, 0);
        assert!(
            archive[at..][DIGITS].iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')),
            "header at {at}"
        );
    }
}

#[test]
fn refuses_a_broken_archive() {
    let archive = write(&sample(), MTIME).unwrap();
    assert!(read(&archive[..200]).is_err());
    assert!(read(b"").is_err());
}

/// GNU cpio and libarchive read it, and find the same names. A machine without them is told by `cargo xtask setup`.
#[test]
fn foreign_tools_read_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let archive = write(&sample(), MTIME).unwrap();
    let (plain, zipped) = (folder.path().join("a.cpio"), folder.path().join("a.cpio.gz"));
    std::fs::write(&plain, &archive).unwrap();
    std::fs::write(&zipped, gzip::compress(&archive).unwrap()).unwrap();
    let names: Vec<String> = sample().entries().map(|(path, _)| path.to_owned()).collect();
    let sh = Shell::new().unwrap();
    for (program, command) in [
        ("cpio", cmd!(sh, "cpio -it --quiet -F {plain}")),
        ("bsdtar", cmd!(sh, "bsdtar -tf {zipped}")),
    ] {
        if cmd::find(program).is_none() {
            continue;
        }
        let listed = command.quiet().read().unwrap();
        assert_eq!(
            listed.lines().map(|line| line.trim_end_matches('/')).collect::<Vec<_>>(),
            names,
            "{program}"
        );
    }
}
