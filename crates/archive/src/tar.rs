//! Builds tar archives from a tree, in the ustar format.

use std::io::{Result, empty};

use tar::{Builder, EntryType, Header};

use crate::tree::{Kind, Tree};

/// The archive of `tree`. Every entry belongs to root and has the modification time `mtime`.
pub fn write(tree: &Tree, mtime: u64) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, entry) in tree.entries() {
        let mut header = Header::new_ustar();
        header.set_mode(entry.mode);
        header.set_mtime(mtime);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match &entry.kind {
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                archive.append_data(&mut header, format!("{path}/"), empty())?;
            }
            Kind::File(bytes) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, path, bytes.as_slice())?;
            }
            Kind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                archive.append_link(&mut header, path, target)?;
            }
            Kind::Device { major, minor } => {
                header.set_entry_type(EntryType::Char);
                header.set_device_major(*major)?;
                header.set_device_minor(*minor)?;
                archive.append_data(&mut header, path, empty())?;
            }
        }
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sha256, tree::Entry};

    /// The digest is that of the archive before this module existed. Published layers depend on it.
    #[test]
    fn gives_golden_bytes() {
        let tree = Tree::new([("boot/vmlinuz".to_owned(), Entry::file(0o644, b"kernel".to_vec()))]);
        assert_eq!(
            sha256(&write(&tree.unwrap(), 1_700_000_000).unwrap()),
            "3cf8c9befd6eabc8cf4957b61244f58e632ff3acceef0f4d3b769a6b0af667fe"
        );
    }

    #[test]
    fn writes_every_kind_of_entry() {
        let tree = Tree::new([
            ("bin/sh".to_owned(), Entry::link("busybox")),
            ("dev/null".to_owned(), Entry::device(0o666, 1, 3)),
        ]);
        let bytes = write(&tree.unwrap(), 7).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let header = entry.header();
                (
                    path,
                    header.entry_type(),
                    header.mode().unwrap(),
                    header.device_minor().ok().flatten(),
                )
            })
            .collect();
        assert_eq!(
            entries,
            [
                ("bin/".to_owned(), EntryType::Directory, 0o755, None),
                ("bin/sh".to_owned(), EntryType::Symlink, 0o777, None),
                ("dev/".to_owned(), EntryType::Directory, 0o755, None),
                ("dev/null".to_owned(), EntryType::Char, 0o666, Some(3)),
            ]
        );
    }
}
