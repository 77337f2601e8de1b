//! All differences between the entries of two images. Entries in, one value for each path that differs out, in the order of the paths. Pure.

use crate::diff::lines;
use crate::tree_cmd;
use archive::newc::Record;
use archive::read::Kind;
use archive::read::printable;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The permission to read for anybody but the owner.
const READ_BY_OTHERS: u32 = 0o044;

/// A path at which two images differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Difference {
    path: String,
    change: Change,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Change {
    /// In the first only; what it was.
    Removed(String),
    /// In the second only; what it is.
    Added(String),
    /// In both: the fields that differ, each with both values, and the lines that do.
    Changed { fields: Vec<String>, lines: Vec<String> },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = printable(&self.path);
        match &self.change {
            Change::Removed(what) => write!(f, "- {path}: {what}"),
            Change::Added(what) => write!(f, "+ {path}: {what}"),
            Change::Changed { fields, lines } => {
                write!(f, "~ {path}: {}", fields.join("; "))?;
                lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
            }
        }
    }
}

/// Everything in which what the kernel makes of `one` differs from what it makes of `other`.
pub(super) fn differences(one: &[Record], other: &[Record]) -> Vec<Difference> {
    let (one, other) = (by_path(one), by_path(other));
    let mut differences = BTreeMap::new();
    for (path, member) in &one {
        let change = match other.get(path) {
            None => Some(Change::Removed(summary(member))),
            Some(second) => changed(member, second),
        };
        differences.extend(change.map(|change| (*path, change)));
    }
    for (path, member) in other.iter().filter(|(path, _)| !one.contains_key(*path)) {
        differences.insert(path, Change::Added(summary(member)));
    }
    let differences = differences.into_iter();
    differences.map(|(path, change)| Difference { path: path.to_owned(), change }).collect()
}

/// The entries as they lie after unpacking: the last one counts, and `./a` and `/a` are `a`.
fn by_path(members: &[Record]) -> BTreeMap<&str, &Record> {
    members.iter().map(|member| (bare(&member.path), member)).collect()
}

fn bare(path: &str) -> &str {
    path.trim_start_matches("./").trim_start_matches('/')
}

fn summary(member: &Record) -> String {
    let mut text = format!("{}, mode {:04o}", member.kind().name(), member.permissions());
    let added = match member.kind() {
        Kind::File => write!(text, ", {} bytes", member.content.len()),
        Kind::Link => write!(text, ", to {}", target(member)),
        Kind::CharacterDevice | Kind::BlockDevice => write!(text, ", {}", device(member)),
        _ => Ok(()),
    };
    // Writing to a String cannot fail.
    added.ok();
    text
}

fn target(member: &Record) -> String {
    format!("'{}'", printable(&String::from_utf8_lossy(&member.content)))
}

fn device(member: &Record) -> String {
    format!("{},{}", member.device.0, member.device.1)
}

fn changed(one: &Record, other: &Record) -> Option<Change> {
    let mut fields = Vec::new();
    let mut field = |name: &str, one: String, other: String| {
        if one != other {
            fields.push(format!("{name} {one} became {other}"));
        }
    };
    let (kind, second_kind) = (one.kind(), other.kind());
    let (record, second) = (one, other);
    field("kind", kind.name().to_owned(), second_kind.name().to_owned());
    field("mode", format!("{:04o}", one.permissions()), format!("{:04o}", other.permissions()));
    field("uid", record.uid.to_string(), second.uid.to_string());
    field("gid", record.gid.to_string(), second.gid.to_string());
    field("mtime", tree_cmd::time(record.mtime), tree_cmd::time(second.mtime));
    // Of a folder it tells how many others lie in it, which they tell themselves.
    if kind != Kind::Directory && second_kind != Kind::Directory {
        field("number of links", record.links.to_string(), second.links.to_string());
    }
    if one.is_device() && other.is_device() {
        field("device", device(one), device(other));
    }
    let mut lines = Vec::new();
    if kind == Kind::Link && second_kind == Kind::Link {
        field("target", target(one), target(other));
    } else if record.content != second.content {
        fields.push(content(&record.content, &second.content));
        // Nobody wants the logins of an overlay in the log of a CI system.
        if [one, other].iter().all(|member| member.permissions() & READ_BY_OTHERS != 0) {
            lines = lines::differences(&record.content, &second.content);
        }
    }
    (!fields.is_empty()).then_some(Change::Changed { fields, lines })
}

/// Two unequal contents: their sizes, and where they part.
fn content(one: &[u8], other: &[u8]) -> String {
    let equal = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let sizes = if one.len() == other.len() {
        format!("content of {} bytes", one.len())
    } else {
        format!("content of {} bytes became {}", one.len(), other.len())
    };
    format!("{sizes}, different from byte {equal} on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::newc;
    use archive::newc::Record;
    use archive::tree::Entry;
    use archive::tree::Tree;

    fn member(path: &str, entry: Entry) -> Record {
        let tree = Tree::new([(path.to_owned(), entry)]).unwrap();
        let archive = newc::write(&tree, 5).unwrap();
        let members = archive::read::read(&archive).unwrap().remove(0).members;
        members.into_iter().next_back().unwrap()
    }

    fn file(path: &str, text: &str) -> Record {
        member(path, Entry::file(0o644, text.as_bytes().to_vec()))
    }

    fn with(member: &Record, change: impl Fn(&mut Record)) -> Record {
        let mut member = member.clone();
        change(&mut member);
        member
    }

    fn told(one: &[Record], other: &[Record]) -> Vec<String> {
        differences(one, other).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_every_field_that_differs() {
        let base = file("a", "same");
        let device = |minor| member("d", Entry::device(0o600, 4, minor));
        for (one, other, wanted) in [
            (
                base.clone(),
                with(&base, |record| record.mode |= 0o111),
                "~ a: mode 0644 became 0755",
            ),
            (base.clone(), with(&base, |record| record.uid = 7), "~ a: uid 0 became 7"),
            (base.clone(), with(&base, |record| record.gid = 8), "~ a: gid 0 became 8"),
            (
                base.clone(),
                with(&base, |record| record.mtime = 9),
                "~ a: mtime 1970-01-01T00:00:05Z became 1970-01-01T00:00:09Z",
            ),
            (
                base.clone(),
                with(&base, |record| record.links = 2),
                "~ a: number of links 1 became 2",
            ),
            (device(64), device(65), "~ d: device 4,64 became 4,65"),
            (
                member("l", Entry::link("one")),
                member("l", Entry::link("two")),
                "~ l: target 'one' became 'two'",
            ),
            (
                file("a", "\0same"),
                file("a", "\0saga"),
                "~ a: content of 5 bytes, different from byte 3 on",
            ),
            (
                file("a", "\0same"),
                file("a", "\0samely"),
                "~ a: content of 5 bytes became 7, different from byte 5 on",
            ),
            (
                member("a", Entry::directory(0o755)),
                member("a", Entry::link("b")),
                "~ a: kind directory became link; mode 0755 became 0777; content of 0 bytes became 1, different from byte 0 on\n    + b\n      (no line end)",
            ),
        ] {
            assert_eq!(told(&[one], &[other]), [wanted]);
        }
    }

    #[test]
    fn tells_all_that_is_added_and_removed_in_the_order_of_paths() {
        let one = [file("c", "old"), file("b", "same"), member("l", Entry::link("c"))];
        let other = [
            file("b", "same"),
            member("a", Entry::directory(0o755)),
            member("n", Entry::device(0o666, 1, 3)),
        ];
        assert_eq!(
            told(&one, &other),
            [
                "+ a: directory, mode 0755",
                "- c: file, mode 0644, 3 bytes",
                "- l: link, mode 0777, to 'c'",
                "+ n: character device, mode 0666, 1,3",
            ]
        );
    }

    #[test]
    fn what_the_kernel_makes_of_it_counts() {
        let base = file("a", "same");
        let renumbered = with(&base, |record| record.inode = 9);
        let named = |name: &str| with(&base, |record| name.clone_into(&mut record.path));
        for other in [
            vec![renumbered],
            vec![named("./a")],
            vec![named("/a")],
            vec![file("a", "overlaid"), base.clone()],
        ] {
            assert_eq!(told(std::slice::from_ref(&base), &other), Vec::<String>::new());
        }
        let folder = member("f", Entry::directory(0o755));
        let crowded = with(&folder, |record| record.links = 9);
        assert_eq!(told(&[folder], &[crowded]), Vec::<String>::new());
    }

    #[test]
    fn shows_lines_of_texts_that_anybody_may_read() {
        let (one, other) = (file("a", "one\ntwo\nfour\n"), file("a", "one\nthree\nfour\n"));
        let head = "~ a: content of 13 bytes became 15, different from byte 5 on";
        assert_eq!(
            told(std::slice::from_ref(&one), std::slice::from_ref(&other)),
            [format!("{head}\n    - two\n    + three")]
        );
        let secret = |member| with(member, |record: &mut Record| record.mode = 0o100_600);
        assert_eq!(told(&[secret(&one)], &[secret(&other)]), [head]);
    }
}
