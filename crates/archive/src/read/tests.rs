//! Concatenated archives in every form that the kernel reads, and broken ones.

use super::*;
use crate::{
    gzip, newc,
    tree::{Entry, Tree},
};

/// An archive of these files, padded to whole blocks.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let entry = |(path, text): &(&str, &str)| {
        ((*path).to_owned(), Entry::file(0o644, text.as_bytes().to_vec()))
    };
    newc::write(&Tree::new(files.iter().map(entry)).unwrap(), 7).unwrap()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    gzip::compress(bytes).unwrap()
}

fn error(bytes: &[u8]) -> String {
    format!("{:#}", anyhow::Error::new(read(bytes).unwrap_err()))
}

#[test]
fn reads_concatenated_archives() {
    let (one, two) = (archive(&[("a", "1"), ("b", "2")]), archive(&[("c", "3")]));
    let zeroes = [0; 516];
    let short = zipped(&one);
    for (file, wanted) in [
        (one.clone(), vec![(0, Compression::None, vec!["a", "b"])]),
        (short.clone(), vec![(0, Compression::Gzip, vec!["a", "b"])]),
        (
            [short.clone(), zipped(&two)].concat(),
            vec![
                (0, Compression::Gzip, vec!["a", "b"]),
                (short.len(), Compression::Gzip, vec!["c"]),
            ],
        ),
        // Distributions put microcode first.
        (
            [one.clone(), zipped(&two), zeroes.to_vec()].concat(),
            vec![(0, Compression::None, vec!["a", "b"]), (one.len(), Compression::Gzip, vec!["c"])],
        ),
        (
            [&zeroes[..], &one, &zeroes, &two].concat(),
            vec![
                (516, Compression::None, vec!["a", "b"]),
                (516 + one.len() + 516, Compression::None, vec!["c"]),
            ],
        ),
        // Several archives in one gzip member.
        (
            zipped(&[one.clone(), two.clone()].concat()),
            vec![(0, Compression::Gzip, vec!["a", "b", "c"])],
        ),
    ] {
        let parts = read(&file).unwrap();
        let found: Vec<_> = parts
            .iter()
            .map(|part| {
                let paths = part.members.iter().map(|member| member.path.as_str());
                (part.start, part.compression, paths.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(found, wanted);
    }
}

/// Zeroes after an archive do not count.
#[test]
fn reports_the_size_of_each_part() {
    let plain = archive(&[("a", "text")]);
    let packed = zipped(&plain);
    let parts = read(&[&plain[..], &packed].concat()).unwrap();
    let sizes: Vec<_> = parts.iter().map(|part| (part.size, part.decompressed_size)).collect();
    // Two headers of 110 bytes, names of 2 and 11 bytes, a text of 4, each filled up to a multiple of four.
    assert_eq!(sizes, [(240, 240), (packed.len(), plain.len())]);
}

#[test]
fn reports_types_permissions_and_device_numbers() {
    let tree = Tree::new([
        ("d".to_owned(), Entry::device(0o620, 5, 1)),
        ("f".to_owned(), Entry::file(0o4755, vec![])),
        ("l".to_owned(), Entry::link("f")),
    ])
    .unwrap();
    let parts = read(&newc::write(&tree, 7).unwrap()).unwrap();
    let found: Vec<_> = parts[0]
        .members
        .iter()
        .map(|member| (member.kind(), member.permissions(), member.device))
        .collect();
    assert_eq!(
        found,
        [
            (Kind::CHARACTERS, 0o620, (5, 1)),
            (Kind::FILE, 0o4755, (0, 0)),
            (Kind::LINK, 0o777, (0, 0))
        ]
    );
}

#[test]
fn agrees_with_the_reader_of_single_archives() {
    let bytes = archive(&[("a/b", "1"), ("c", "2")]);
    let records: Vec<_> = read(&bytes).unwrap().remove(0).members.into_iter().collect();
    assert_eq!(records, newc::read(&bytes).unwrap());
}

#[test]
fn reports_where_an_archive_is_broken() {
    let bytes = archive(&[("a", "text"), ("b", "more")]);
    // A header of 110 bytes, a name of 2, and 4 bytes of text: the second entry begins at 116.
    let mut spoiled = bytes.clone();
    spoiled[116..122].copy_from_slice(b"07070x");
    let packed = zipped(&spoiled);
    let mut crooked = zipped(&bytes);
    let middle = crooked.len() - 6;
    crooked[middle] ^= 0xff;
    let shifted = [&bytes[..], &[0, 0], &bytes].concat();
    for (file, wanted) in [
        (&b""[..], "no archive found"),
        (&[0; 8], "no archive found"),
        (&bytes[..50], "reading entry 1 at byte 0: unexpected end of file"),
        (&bytes[..114], "reading entry 1 at byte 0: 'a' is truncated: 4 bytes expected, 2 found"),
        (&bytes[..116], "reading entry 2 at byte 116: archive ends without a trailer"),
        (
            &spoiled,
            "reading entry 2 at byte 116: expected a header starting with 070701, found '07070x'",
        ),
        (&packed, "reading entry 2 at byte 116 of the gzip content at byte 0: expected a header"),
        (&crooked, "decompressing data at byte 0: at byte "),
        (&zipped(&bytes)[..30], "unexpected end of file"),
        (
            &shifted,
            "archive at byte 514 is ignored by the kernel: its offset is not a multiple of 4",
        ),
        (&[&bytes[..], b"\x28\xb5\x2f\xfdx"].concat(), "data at byte 512 is compressed with zstd"),
        (b"\x7fELF\x02", "data at byte 0 is not an archive: it starts with '\\x7fELF\\x02'"),
    ] {
        let found = error(file);
        assert!(found.contains(wanted), "{found}\nexpected: {wanted}");
    }
}

#[test]
fn verifies_checksums() {
    let mut bytes = archive(&[("a", "text")]);
    bytes[5] = b'2';
    assert!(error(&bytes).contains("checksum mismatch in 'a'"));
    let sum: u32 = b"text".iter().copied().map(u32::from).sum();
    bytes[102..110].copy_from_slice(format!("{sum:08X}").as_bytes());
    assert_eq!(read(&bytes).unwrap()[0].members.len(), 1);
}

#[test]
fn escapes_control_characters() {
    assert_eq!(printable("a\x1b[2J\nä \u{9b}"), "a\\u{1b}[2J\\nä \\u{9b}");
}
