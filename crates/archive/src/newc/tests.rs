//! Compares archives with a golden listing, with the format, and with other tools.

use std::process::Command;

use super::*;
use crate::{gzip, sha256};

const MTIME: u32 = 1_700_000_000;

/// Every kind of entry, names and sizes of every remainder modulo four.
fn sample() -> Tree {
    let mut entries = vec![
        ("init".to_owned(), Entry::file(0o755, b"#!/bin/sh\n".to_vec())),
        ("bin/sh".to_owned(), Entry::link("busybox")),
        ("dev/null".to_owned(), Entry::device(0o666, 1, 3)),
        ("tmp".to_owned(), Entry::directory(0o1777)),
        ("etc/empty".to_owned(), Entry::file(0o600, vec![])),
    ];
    entries.extend((1..9).map(|length| {
        (format!("pad/{}", "x".repeat(length)), Entry::file(0o644, vec![b'0'; length]))
    }));
    Tree::new(entries).unwrap()
}

fn listing(records: &[Record]) -> String {
    let line = |record: &Record| {
        let Record { path, mode, uid, gid, content, .. } = record;
        format!("{mode:06o} {uid} {gid} {} {path}\n", content.len())
    };
    records.iter().map(line).collect()
}

#[test]
fn matches_the_golden_listing_and_digest() {
    let archive = write(&sample(), MTIME).unwrap();
    let found = listing(&read(&archive).unwrap());
    let golden = include_str!("../../tests/golden/sample.txt");
    assert_eq!(format!("{found}sha256 {}\n", sha256(&archive)), golden);
}

/// The bytes of an image depend on the tree and the time only, and never change.
#[test]
fn compressed_archive_has_its_golden_digest() {
    let image = gzip::compress(&write(&sample(), MTIME).unwrap()).unwrap();
    assert_eq!(sha256(&image), "4ae029b9ae085f7ab3e370697ed3e029f78c9af8262941a673c364d445ed6c15");
}

#[test]
fn sets_everything_that_the_tree_does_not_define() {
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
fn writes_aligned_upper_case_headers_and_whole_blocks() {
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
fn rejects_broken_archives() {
    let archive = write(&sample(), MTIME).unwrap();
    assert!(read(&archive[..200]).is_err());
    assert!(read(b"").is_err());
}

/// GNU cpio and libarchive find the same names, if they are installed.
#[test]
fn other_tools_read_the_archive() {
    let directory = tempfile::tempdir().unwrap();
    let archive = write(&sample(), MTIME).unwrap();
    let (plain, compressed) = (directory.path().join("a.cpio"), directory.path().join("a.cpio.gz"));
    std::fs::write(&plain, &archive).unwrap();
    std::fs::write(&compressed, gzip::compress(&archive).unwrap()).unwrap();
    let names: Vec<String> = sample().entries().map(|(path, _)| path.to_owned()).collect();
    for (program, arguments, file) in
        [("cpio", &["-it", "--quiet", "-F"][..], &plain), ("bsdtar", &["-tf"], &compressed)]
    {
        #[expect(clippy::disallowed_methods, reason = "xtask's `cmd` is above this crate")]
        let Ok(output) = Command::new(program).args(arguments).arg(file).output() else {
            eprintln!("skipped: {program} not found");
            continue;
        };
        let listed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{program}");
        assert_eq!(
            listed.lines().map(|line| line.trim_end_matches('/')).collect::<Vec<_>>(),
            names,
            "{program}"
        );
    }
}
