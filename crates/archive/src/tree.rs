//! The content of an archive as a value: sorted, complete with parent directories, free of
//! duplicates.

use std::collections::BTreeMap;

use thiserror::Error;

/// The mode of parent directories that are added.
const PARENT_MODE: u32 = 0o755;

/// An entry of this name ends a cpio archive at any position.
pub(crate) const TRAILER: &str = "TRAILER!!!";

/// Entries that cannot be in one archive.
#[derive(Debug, Error)]
pub enum TreeError {
    #[error("invalid path '{0}'")]
    InvalidPath(String),
    #[error("duplicate path '{0}'")]
    DuplicatePath(String),
    #[error("'{0}' has entries below it and is not a directory")]
    ParentNotDirectory(String),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    /// Permission bits only.
    pub mode: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    Directory,
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
    pub fn directory(mode: u32) -> Self {
        Self { kind: Kind::Directory, mode }
    }

    pub fn file(mode: u32, bytes: Vec<u8>) -> Self {
        Self { kind: Kind::File(bytes), mode }
    }

    pub fn device(mode: u32, major: u32, minor: u32) -> Self {
        Self { kind: Kind::Device { major, minor }, mode }
    }

    /// The kernel ignores the mode of a link; 0777 is what `lstat` reports for every link.
    pub fn link(target: &str) -> Self {
        Self { kind: Kind::Link(target.to_owned()), mode: 0o777 }
    }
}

/// Entries by path relative to the root, sorted bytewise: a directory precedes its content.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// A tree of `entries` and their parent directories.
    pub fn new(entries: impl IntoIterator<Item = (String, Entry)>) -> Result<Self, TreeError> {
        let mut tree = BTreeMap::new();
        for (path, entry) in entries {
            if path.split('/').any(|part| matches!(part, "" | "." | ".."))
                || path.contains('\0')
                || path == TRAILER
            {
                return Err(TreeError::InvalidPath(path));
            }
            if tree.contains_key(&path) {
                return Err(TreeError::DuplicatePath(path));
            }
            tree.insert(path, entry);
        }
        // The kernel silently ignores an entry whose parent is missing, so parents are added here.
        let parents: Vec<String> =
            tree.keys().flat_map(|path| parents(path)).map(str::to_owned).collect();
        for parent in parents {
            let entry = tree.entry(parent.clone()).or_insert_with(|| Entry::directory(PARENT_MODE));
            if entry.kind != Kind::Directory {
                return Err(TreeError::ParentNotDirectory(parent));
            }
        }
        Ok(Self { entries: tree })
    }

    /// All entries, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}

/// The parent directories of `path`, without the root.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, Entry)]) -> Result<Tree, TreeError> {
        Tree::new(entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())))
    }

    #[test]
    fn adds_parents_and_sorts_bytewise() {
        let tree = tree(&[
            ("b/c/d", Entry::link("x")),
            ("b-c", Entry::directory(0o700)),
            ("Z", Entry::file(0o644, vec![])),
            ("b", Entry::directory(0o500)),
        ])
        .unwrap();
        let listing: Vec<_> = tree.entries().map(|(path, entry)| (path, entry.mode)).collect();
        assert_eq!(
            listing,
            [("Z", 0o644), ("b", 0o500), ("b-c", 0o700), ("b/c", 0o755), ("b/c/d", 0o777)]
        );
    }

    #[test]
    fn rejects_invalid_trees() {
        for (entries, fact) in [
            (&[("a", Entry::directory(0)), ("a", Entry::directory(0))][..], "duplicate path 'a'"),
            (&[("a/../b", Entry::directory(0))], "invalid path"),
            (&[("/a", Entry::directory(0))], "invalid path"),
            (&[("", Entry::directory(0))], "invalid path"),
            (&[("a/", Entry::directory(0))], "invalid path"),
            (&[("a\0", Entry::directory(0))], "invalid path"),
            (&[("TRAILER!!!", Entry::directory(0))], "invalid path"),
            (&[("a", Entry::link("b")), ("a/c", Entry::directory(0))], "'a' has entries below it"),
            (
                &[("a", Entry::file(0, vec![])), ("a/b/c", Entry::directory(0))],
                "'a' has entries below it",
            ),
        ] {
            assert!(tree(entries).unwrap_err().to_string().contains(fact), "{entries:?}");
        }
    }
}
