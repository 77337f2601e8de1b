//! A regular file in place of a disk, full of an old system's bytes, and what has to be in it after an install.

use std::{fs, path::PathBuf};

use ocidd::write::{marker, marker::Marker};
use tempfile::TempDir;

use crate::images::MIB;

/// What the disk held before.
pub(crate) const OLD: u8 = 0xAA;

/// The size of most test disks.
pub(crate) const DISK: usize = 8 * MIB;

/// A disk in a folder of its own.
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) folder: TempDir,
}

/// What became of the disk in a failed install.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    Untouched,
    /// Both ends are cleared, and between them is the image up to some byte.
    Cleared,
    /// Both ends are cleared, and between them may be bytes that nobody pushed.
    Garbled,
}

impl Target {
    pub(crate) fn new(size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        fs::write(&path, vec![OLD; size]).unwrap();
        Self { path, folder }
    }

    /// Where a machine with this disk has its logins. It is missing until a test writes it.
    pub(crate) fn auth_file(&self) -> PathBuf {
        self.folder.path().join("auth.json")
    }

    /// The same for the keys of its site.
    pub(crate) fn keys_folder(&self) -> PathBuf {
        self.folder.path().join("keys.d")
    }

    /// The disk holds the image, then what was there before, and its last MiB is cleared where the image does not reach it, but for the marker.
    #[track_caller]
    pub(crate) fn assert_installed(&self, rule: &str, image: &[u8]) {
        let disk = fs::read(&self.path).unwrap();
        let mut wanted = vec![OLD; disk.len()];
        clear_ends(&mut wanted);
        let disk_bytes = disk.len() as u64;
        let place = marker::offset(disk_bytes).map(|offset| usize::try_from(offset).unwrap());
        if let Some(place) = place.filter(|place| *place >= image.len()) {
            let marker = self.marker().unwrap_or_else(|| panic!("{rule}: there is no marker"));
            assert_eq!(marker.image_bytes, image.len() as u64, "{rule}");
            let bytes = marker::encode(&marker);
            wanted[place..place + bytes.len()].copy_from_slice(&bytes);
        }
        wanted[..image.len()].copy_from_slice(image);
        assert_same(rule, &disk, &wanted);
    }

    /// The same, whatever an install before has left behind the image.
    #[track_caller]
    pub(crate) fn assert_installed_over(&self, rule: &str, image: &[u8]) {
        let disk = fs::read(&self.path).unwrap();
        assert_same(rule, &disk[..image.len()], image);
        assert!(self.marker().is_some(), "{rule}: there is no marker");
    }

    /// What tells which layer is installed.
    pub(crate) fn marker(&self) -> Option<Marker> {
        let disk = fs::read(&self.path).unwrap();
        let disk_bytes = disk.len() as u64;
        let place = usize::try_from(marker::offset(disk_bytes)?).unwrap();
        marker::decode(&disk[place..], disk_bytes)
    }

    /// The disk holds nothing that boots but what was there before, and nothing was written behind `image`.
    #[track_caller]
    pub(crate) fn assert_left(&self, rule: &str, left: Left, image: &[u8]) {
        let disk = fs::read(&self.path).unwrap();
        let mut wanted = vec![OLD; disk.len()];
        if left != Left::Untouched {
            clear_ends(&mut wanted);
            let middle = MIB..image.len().min(ends(disk.len()).1);
            let found = &disk[middle.clone()];
            let written = match left {
                Left::Garbled => found.len(),
                _ => equal_bytes(found, &image[middle.clone()]),
            };
            wanted[middle][..written].copy_from_slice(&found[..written]);
        }
        assert_same(rule, &disk, &wanted);
    }
}

/// Where the cleared start of a disk ends, and where its cleared end starts: at a multiple of 4096.
fn ends(size: usize) -> (usize, usize) {
    let start = size.min(MIB);
    (start, (size.saturating_sub(MIB) / 4096 * 4096).max(start))
}

fn clear_ends(disk: &mut [u8]) {
    let (start, end) = ends(disk.len());
    disk[..start].fill(0);
    disk[end..].fill(0);
}

/// How many bytes at the start are the same.
fn equal_bytes(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Not `assert_eq`, which would print both disks.
#[track_caller]
fn assert_same(rule: &str, disk: &[u8], wanted: &[u8]) {
    assert_eq!(disk.len(), wanted.len(), "{rule}: the disk has another size");
    if disk != wanted {
        let at = equal_bytes(disk, wanted);
        panic!("{rule}: byte {at} of the disk is {:#04x}, not {:#04x}", disk[at], wanted[at]);
    }
}
