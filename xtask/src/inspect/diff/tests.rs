//! Exit codes, and a line for each kind of difference.

use archive::{
    gzip, newc, read,
    tree::{Entry, Tree},
};

use super::*;
use crate::inspect::tree::tests::archive;

#[test]
fn exits_with_0_if_equal_1_if_different_2_if_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = archive(&[("a", "1"), ("b", "2")]);
    let plain = put("plain", &whole);
    let packed = put("packed", &gzip::compress(&whole).unwrap());
    let split = put("split", &[archive(&[("a", "0")]), whole.clone()].concat());
    let other = put("other", &archive(&[("a", "1"), ("b", "3")]));
    let broken = put("broken", &whole[..100]);
    for (a, b, expected) in [
        (&plain, &plain, 0),
        (&plain, &packed, 0),
        (&plain, &split, 0),
        (&plain, &other, 1),
        (&plain, &broken, 2),
        (&folder.path().join("none"), &plain, 2),
    ] {
        let code = run(&Args { a: a.clone(), b: b.clone() });
        assert_eq!(code, ExitCode::from(expected), "{} {}", a.display(), b.display());
    }
}

fn entry(path: &str, entry: Entry) -> Record {
    let tree = Tree::new([(path.to_owned(), entry)]).unwrap();
    let archive = newc::write(&tree, 5).unwrap();
    let members = read::read(&archive).unwrap().remove(0).members;
    members.into_iter().next_back().unwrap()
}

fn file(path: &str, text: &str) -> Record {
    entry(path, Entry::file(0o644, text.as_bytes().to_vec()))
}

fn with(member: &Record, change: impl Fn(&mut Record)) -> Record {
    let mut member = member.clone();
    change(&mut member);
    member
}

#[test]
fn names_each_different_field() {
    let base = file("a", "same");
    let device = |minor| entry("d", Entry::device(0o600, 4, minor));
    for (one, other, expected) in [
        (base.clone(), with(&base, |record| record.mode |= 0o111), "~ a: mode 0644 became 0755"),
        (base.clone(), with(&base, |record| record.uid = 7), "~ a: uid 0 became 7"),
        (base.clone(), with(&base, |record| record.gid = 8), "~ a: gid 0 became 8"),
        (
            base.clone(),
            with(&base, |record| record.mtime = 9),
            "~ a: mtime 1970-01-01T00:00:05Z became 1970-01-01T00:00:09Z",
        ),
        (base.clone(), with(&base, |record| record.links = 2), "~ a: number of links 1 became 2"),
        (device(64), device(65), "~ d: device 4,64 became 4,65"),
        (
            entry("l", Entry::link("one")),
            entry("l", Entry::link("two")),
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
            entry("a", Entry::directory(0o755)),
            entry("a", Entry::link("b")),
            "~ a: kind directory became link; mode 0755 became 0777; content of 0 bytes became 1, different from byte 0 on",
        ),
    ] {
        assert_eq!(differences(&[one], &[other]), [expected]);
    }
}

#[test]
fn lists_added_and_removed_entries_by_path() {
    let one = [file("c", "old"), file("b", "same"), entry("l", Entry::link("c"))];
    let other = [
        file("b", "same"),
        entry("a", Entry::directory(0o755)),
        entry("n", Entry::device(0o666, 1, 3)),
    ];
    assert_eq!(
        differences(&one, &other),
        [
            "+ a: directory, mode 0755",
            "- c: file, mode 0644, 3 bytes",
            "- l: link, mode 0777, to 'c'",
            "+ n: character device, mode 0666, 1,3",
        ]
    );
}

#[test]
fn ignores_what_the_kernel_ignores() {
    let base = file("a", "same");
    let renumbered = with(&base, |record| record.inode = 9);
    let named = |name: &str| with(&base, |record| name.clone_into(&mut record.path));
    for other in [
        vec![renumbered],
        vec![named("./a")],
        vec![named("/a")],
        vec![file("a", "overlaid"), base.clone()],
    ] {
        assert_eq!(differences(std::slice::from_ref(&base), &other), Vec::<String>::new());
    }
    let folder = entry("f", Entry::directory(0o755));
    let crowded = with(&folder, |record| record.links = 9);
    assert_eq!(differences(&[folder], &[crowded]), Vec::<String>::new());
}

#[test]
fn protected_files_are_recognized() {
    let protected = with(&file("a", "one"), |record| record.mode = 0o100_600);
    assert!(is_protected(&protected));
    for entry in [file("a", "one"), entry("d", Entry::device(0o600, 1, 3))] {
        assert!(!is_protected(&entry));
    }
}
