//! Archives one behind another, in each way the kernel takes them, and each way they may be broken.

use super::*;
use crate::gzip;
use crate::newc;
use crate::tree::Entry;
use crate::tree::Tree;

/// An archive of these files, whole blocks long.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let entry = |(path, text): &(&str, &str)| {
        ((*path).to_owned(), Entry::file(0o644, text.as_bytes().to_vec()))
    };
    newc::write(&Tree::new(files.iter().map(entry)).unwrap(), 7).unwrap()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    gzip::compress(bytes).unwrap()
}

fn error(bytes: &[u8]) -> String {
    format!("{:#}", read(bytes).unwrap_err())
}

#[test]
fn reads_archives_one_behind_another() {
    let (one, two) = (archive(&[("a", "1"), ("b", "2")]), archive(&[("c", "3")]));
    let zeroes = [0; 516];
    let short = zipped(&one);
    for (file, wanted) in [
        (one.clone(), vec![(0, Packing::Plain, vec!["a", "b"])]),
        (short.clone(), vec![(0, Packing::Gzip, vec!["a", "b"])]),
        (
            [short.clone(), zipped(&two)].concat(),
            vec![(0, Packing::Gzip, vec!["a", "b"]), (short.len(), Packing::Gzip, vec!["c"])],
        ),
        // Microcode, as distributions put it before the rest.
        (
            [one.clone(), zipped(&two), zeroes.to_vec()].concat(),
            vec![(0, Packing::Plain, vec!["a", "b"]), (one.len(), Packing::Gzip, vec!["c"])],
        ),
        (
            [&zeroes[..], &one, &zeroes, &two].concat(),
            vec![
                (516, Packing::Plain, vec!["a", "b"]),
                (516 + one.len() + 516, Packing::Plain, vec!["c"]),
            ],
        ),
        // Several in a single stream.
        (
            zipped(&[one.clone(), two.clone()].concat()),
            vec![(0, Packing::Gzip, vec!["a", "b", "c"])],
        ),
    ] {
        let parts = read(&file).unwrap();
        let found: Vec<_> = parts
            .iter()
            .map(|part| {
                let paths = part.members.iter().map(|member| member.path.as_str());
                (part.start, part.packing, paths.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(found, wanted);
    }
}

/// The zeroes behind an archive belong to nobody.
#[test]
fn tells_how_many_bytes_each_part_takes() {
    let plain = archive(&[("a", "text")]);
    let packed = zipped(&plain);
    let parts = read(&[&plain[..], &packed].concat()).unwrap();
    let sizes: Vec<_> = parts.iter().map(|part| (part.size, part.unpacked_size)).collect();
    // Two headers of 110 bytes, names of 2 and 11 bytes, a text of 4, each filled up to a multiple of four.
    assert_eq!(sizes, [(240, 240), (packed.len(), plain.len())]);
}

#[test]
fn tells_kinds_permissions_and_numbers_of_devices() {
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
            (Kind::CharacterDevice, 0o620, (5, 1)),
            (Kind::File, 0o4755, (0, 0)),
            (Kind::Link, 0o777, (0, 0))
        ]
    );
}

/// The same entries as the reader of our own archives finds.
#[test]
fn agrees_with_the_reader_of_single_archives() {
    let bytes = archive(&[("a/b", "1"), ("c", "2")]);
    let records: Vec<_> = read(&bytes).unwrap().remove(0).members.into_iter().collect();
    assert_eq!(records, newc::read(&bytes).unwrap());
}

#[test]
fn tells_where_an_archive_is_broken() {
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
        (&b""[..], "no archive is in it"),
        (&[0; 8], "no archive is in it"),
        (&bytes[..50], "reading entry 1 at byte 0: the file ends in the midst of it"),
        (&bytes[..114], "reading entry 1 at byte 0: 'a' has 4 bytes, and 2 are there"),
        (&bytes[..116], "reading entry 2 at byte 116: the archive ends here, without the trailer"),
        (
            &spoiled,
            "reading entry 2 at byte 116: no header is there, which begins with 070701: it begins with '07070x'",
        ),
        (
            &packed,
            "reading entry 2 at byte 116 of what the gzip stream at byte 0 unpacks to: no header is there",
        ),
        (&crooked, "inflating what begins at byte 0: at byte "),
        (&zipped(&bytes)[..30], "the file ends in the midst of it"),
        (
            &shifted,
            "an archive begins at byte 514, and the kernel looks for one at multiples of 4 only",
        ),
        (&[&bytes[..], b"\x28\xb5\x2f\xfdx"].concat(), "what begins at byte 512 is packed by zstd"),
        (b"\x7fELF\x02", "what begins at byte 0 is no archive: it begins with '\\x7fELF\\x02'"),
    ] {
        let found = error(file);
        assert!(found.contains(wanted), "{found}\nwanted: {wanted}");
    }
}

#[test]
fn compares_checksums_where_an_archive_has_them() {
    let mut bytes = archive(&[("a", "text")]);
    bytes[5] = b'2';
    assert!(error(&bytes).contains("the checksum of 'a' is not that of its bytes"));
    let sum: u32 = b"text".iter().copied().map(u32::from).sum();
    bytes[102..110].copy_from_slice(format!("{sum:08X}").as_bytes());
    assert_eq!(read(&bytes).unwrap()[0].members.len(), 1);
}

#[test]
fn names_cannot_steer_a_terminal() {
    assert_eq!(printable("a\x1b[2J\nä \u{9b}"), "a\\u{1b}[2J\\nä \\u{9b}");
}
