//! Where two archives begin to differ, in words. Records in, a sentence out.

use crate::reproduce::content;
use anyhow::Result;
use archive::gzip;
use archive::newc;
use archive::newc::Record;

/// The first difference of two compressed archives, or `None` where there is none.
pub fn packed(one: &[u8], other: &[u8]) -> Result<Option<String>> {
    if one == other {
        return Ok(None);
    }
    let difference =
        first(&newc::read(&gzip::decompress(one)?)?, &newc::read(&gzip::decompress(other)?)?);
    Ok(Some(
        difference
            .unwrap_or_else(|| "all entries are equal, but their compression is not".to_owned()),
    ))
}

/// The first difference, or `None` where there is none.
fn first(one: &[Record], other: &[Record]) -> Option<String> {
    let unequal = one.iter().zip(other).find(|(one, other)| one != other);
    match unequal {
        Some((one, other)) => Some(describe(one, other)),
        None if one.len() == other.len() => None,
        None => {
            let longer = if one.len() > other.len() { one } else { other };
            let extra = longer
                .get(one.len().min(other.len()))
                .map(|record| record.path.as_str())
                .unwrap_or_default();
            Some(format!("'/{extra}' is in one of them only"))
        }
    }
}

fn describe(one: &Record, other: &Record) -> String {
    if one.path != other.path {
        return format!("one has '/{}' where the other has '/{}'", one.path, other.path);
    }
    let path = &one.path;
    let numbers = [
        ("mode", one.mode, other.mode),
        ("mtime", one.mtime, other.mtime),
        ("inode", one.inode, other.inode),
        ("uid", one.uid, other.uid),
        ("gid", one.gid, other.gid),
        ("number of links", one.links, other.links),
        ("major number", one.device.0, other.device.0),
        ("minor number", one.device.1, other.device.1),
    ];
    if let Some((name, one, other)) = numbers.into_iter().find(|(_, one, other)| one != other) {
        return format!("the {name} of '/{path}' is {one} and {other}");
    }
    let difference = content::difference(&one.content, &other.content).unwrap_or_default();
    format!("'/{path}' differs: {difference}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::tree::Entry;
    use archive::tree::Tree;

    fn record(path: &str, content: &[u8]) -> Record {
        Record {
            path: path.to_owned(),
            inode: 1,
            mode: 0o100_644,
            uid: 0,
            gid: 0,
            links: 1,
            mtime: 5,
            device: (0, 0),
            content: content.to_vec(),
        }
    }

    /// As the build writes them, and as a check reads them.
    #[test]
    fn one_byte_or_one_time_in_a_packed_archive_is_named() {
        let tree = |content: &[u8]| {
            let file = Entry::file(0o755, content.to_vec());
            Tree::new(vec![("bin/tool".to_owned(), file)]).unwrap()
        };
        let pack = |tree: &Tree, mtime| gzip::compress(&newc::write(tree, mtime).unwrap()).unwrap();
        let one = pack(&tree(b"some bytes"), 5);
        for (other, difference) in [
            (pack(&tree(b"some bytes"), 5), None),
            (
                pack(&tree(b"some bites"), 5),
                Some(
                    "'/bin/tool' differs: 10 bytes, the first difference at offset 0x6: 79746573 and 69746573",
                ),
            ),
            (pack(&tree(b"some bytes"), 6), Some("the mtime of '/bin' is 5 and 6")),
        ] {
            assert_eq!(packed(&one, &other).unwrap().as_deref(), difference);
        }
        let mut repacked = one.clone();
        // The byte that tells the system.
        repacked[9] = 3;
        assert_eq!(
            packed(&one, &repacked).unwrap().as_deref(),
            Some("all entries are equal, but their compression is not")
        );
    }

    #[test]
    fn names_the_first_entry_that_differs() {
        let base = [record("a", b"one"), record("b", b"two")];
        let mut later = base.clone();
        later[1].mtime = 6;
        let mut device = base.clone();
        device[0].device = (0, 3);
        for (other, difference) in [
            (&base[..], None),
            (
                &[record("a", b"one"), record("b", b"twin!")],
                Some(
                    "'/b' differs: 3 and 5 bytes, the first difference at offset 0x2: 6f and 696e21",
                ),
            ),
            (&later, Some("the mtime of '/b' is 5 and 6")),
            (&device, Some("the minor number of '/a' is 0 and 3")),
            (
                &[record("a", b"one"), record("c", b"two")],
                Some("one has '/b' where the other has '/c'"),
            ),
            (&base[..1], Some("'/b' is in one of them only")),
        ] {
            assert_eq!(first(&base, other).as_deref(), difference);
        }
    }
}
