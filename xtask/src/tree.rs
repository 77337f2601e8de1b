//! The content of an image as a value. Entries in, a tree out that an archive can be written from as it stands: in order, parents first, nothing twice.

use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeMap;

/// The mode of a folder that nobody described.
const PARENT_MODE: u32 = 0o755;

/// The name that ends a cpio archive, wherever it stands.
const TRAILER: &str = "TRAILER!!!";

/// What lies at one path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    /// Permission bits only.
    pub mode: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    Folder,
    File(Vec<u8>),
    /// A symbolic link and its target.
    Link(String),
    /// A character device.
    Device {
        major: u32,
        minor: u32,
    },
}

impl Entry {
    pub fn folder(mode: u32) -> Self {
        Self { kind: Kind::Folder, mode }
    }

    pub fn file(mode: u32, bytes: Vec<u8>) -> Self {
        Self { kind: Kind::File(bytes), mode }
    }

    pub fn device(mode: u32, major: u32, minor: u32) -> Self {
        Self { kind: Kind::Device { major, minor }, mode }
    }

    /// The kernel ignores the mode of a link; 0777 is what `lstat` tells of every link.
    pub fn link(target: &str) -> Self {
        Self { kind: Kind::Link(target.to_owned()), mode: 0o777 }
    }
}

/// Entries by their paths, which are relative to the root. Sorted bytewise, so that a folder stands before what it holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// A tree of `entries` and of the folders they lie in.
    pub fn new(entries: impl IntoIterator<Item = (String, Entry)>) -> Result<Self> {
        let mut tree = BTreeMap::new();
        for (path, entry) in entries {
            if path.split('/').any(|part| matches!(part, "" | "." | ".."))
                || path.contains('\0')
                || path == TRAILER
            {
                bail!("'{path}' cannot be a path in an image");
            }
            if tree.contains_key(&path) {
                bail!("'{path}' is in the image twice");
            }
            tree.insert(path, entry);
        }
        // The kernel drops an entry whose parent is missing, without a word.
        let parents: Vec<String> =
            tree.keys().flat_map(|path| parents(path)).map(str::to_owned).collect();
        for parent in parents {
            let entry = tree.entry(parent.clone()).or_insert_with(|| Entry::folder(PARENT_MODE));
            if entry.kind != Kind::Folder {
                bail!("'{parent}' is no folder, and other entries lie below it");
            }
        }
        Ok(Self { entries: tree })
    }

    /// All entries in the order of their paths.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}

/// The folders above `path`, without the root.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, Entry)]) -> Result<Tree> {
        Tree::new(entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())))
    }

    #[test]
    fn fills_in_parents_and_sorts_bytewise() {
        let tree = tree(&[
            ("b/c/d", Entry::link("x")),
            ("b-c", Entry::folder(0o700)),
            ("Z", Entry::file(0o644, vec![])),
            ("b", Entry::folder(0o500)),
        ])
        .unwrap();
        let listing: Vec<_> = tree.entries().map(|(path, entry)| (path, entry.mode)).collect();
        assert_eq!(
            listing,
            [("Z", 0o644), ("b", 0o500), ("b-c", 0o700), ("b/c", 0o755), ("b/c/d", 0o777)]
        );
    }

    #[test]
    fn refuses_what_an_archive_cannot_say() {
        for (entries, fact) in [
            (&[("a", Entry::folder(0)), ("a", Entry::folder(0))][..], "'a' is in the image twice"),
            (&[("a/../b", Entry::folder(0))], "cannot be a path"),
            (&[("/a", Entry::folder(0))], "cannot be a path"),
            (&[("", Entry::folder(0))], "cannot be a path"),
            (&[("a/", Entry::folder(0))], "cannot be a path"),
            (&[("a\0", Entry::folder(0))], "cannot be a path"),
            (&[("TRAILER!!!", Entry::folder(0))], "cannot be a path"),
            (&[("a", Entry::link("b")), ("a/c", Entry::folder(0))], "'a' is no folder"),
            (&[("a", Entry::file(0, vec![])), ("a/b/c", Entry::folder(0))], "'a' is no folder"),
        ] {
            assert!(tree(entries).unwrap_err().to_string().contains(fact), "{entries:?}");
        }
    }
}
