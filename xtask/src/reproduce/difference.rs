//! Where two archives begin to differ, in words. Records in, a sentence out.

use crate::newc::Record;

/// The first difference, or `None` where there is none.
pub fn first(one: &[Record], other: &[Record]) -> Option<String> {
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
    ];
    if let Some((name, one, other)) = numbers.into_iter().find(|(_, one, other)| one != other) {
        return format!("the {name} of '/{path}' is {one} and {other}");
    }
    let at = one.content.iter().zip(&other.content).take_while(|(one, other)| one == other).count();
    format!(
        "'/{path}' has {} and {} bytes, and the first {at} are equal",
        one.content.len(),
        other.content.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str, content: &[u8]) -> Record {
        Record {
            path: path.to_owned(),
            inode: 1,
            mode: 0o100_644,
            uid: 0,
            gid: 0,
            links: 1,
            mtime: 5,
            content: content.to_vec(),
        }
    }

    #[test]
    fn names_the_first_entry_that_differs() {
        let base = [record("a", b"one"), record("b", b"two")];
        let mut later = base.clone();
        later[1].mtime = 6;
        for (other, difference) in [
            (&base[..], None),
            (
                &[record("a", b"one"), record("b", b"twin!")],
                Some("'/b' has 3 and 5 bytes, and the first 2 are equal"),
            ),
            (&later, Some("the mtime of '/b' is 5 and 6")),
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
