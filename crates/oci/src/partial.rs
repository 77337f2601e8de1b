//! Files of unfinished transfers. A later transfer resumes such a file, and only one process at a
//! time writes to it. It gets its final name only after its digest was verified.

use std::{
    fs,
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use crate::digest::{Digest, Hasher, HashingReader};

/// How the names of unfinished files begin. The rest depends on the digest alone, never on foreign
/// text.
pub const PREFIX: &str = ".unfinished-";

/// An unfinished file that no other process writes to.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    digest: Digest,
    /// Removes the file if another process writes to the one that can be resumed.
    _private: Option<TempPath>,
}

/// A file with a verified digest that needs its final name.
#[derive(Debug)]
pub struct Complete(Partial);

impl Partial {
    /// Opens the unfinished file of `digest` in `directory`. If another process writes to it, or if
    /// it is not a file of this user with one name, this is a new file instead.
    pub fn open(directory: &Path, digest: &Digest) -> io::Result<Self> {
        let path = directory.join(file_name(digest));
        if let Some(file) = open_resumable(&path) {
            return Ok(Self { file, path, digest: *digest, _private: None });
        }
        let (file, path) = builder().append(true).tempfile_in(directory)?.into_parts();
        Ok(Self { file, path: path.to_path_buf(), digest: *digest, _private: Some(path) })
    }

    /// The hash and the length of the content, which is cleared if it is longer than `max_bytes`.
    pub fn resume(&mut self, max_bytes: u64) -> io::Result<(Hasher, u64)> {
        if self.file.metadata()?.len() > max_bytes {
            self.clear()?;
        }
        HashingReader::new(&self.file).drain()
    }

    pub fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// What is written is appended.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Accepts the content with the digest `found`. Any other is removed, and `found` returned.
    pub fn complete(self, found: Digest) -> Result<Complete, Digest> {
        if found == self.digest {
            return Ok(Complete(self));
        }
        // If it stays, it is hashed again before it is used.
        fs::remove_file(&self.path).ok();
        Err(found)
    }
}

impl Complete {
    /// Gives the file its name. An existing file is replaced.
    pub fn rename(self, to: &Path) -> io::Result<()> {
        self.0.file.sync_all()?;
        fs::rename(&self.0.path, to)
    }
}

/// The name of the unfinished file of a digest.
pub fn file_name(digest: &Digest) -> String {
    digest.to_string().replace("sha256:", PREFIX)
}

/// For new files. They have the usual mode, because other users may read the directory.
pub(crate) fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).permissions(Permissions::from_mode(0o666));
    builder
}

/// Opens a file to which others may have given the name: follows no link and waits for no writer of
/// a FIFO.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

fn open_resumable(path: &Path) -> Option<File> {
    let file = open(OpenOptions::new().read(true).append(true).create(true), path).ok()?;
    let opened = file.metadata().ok()?;
    let user = rustix::process::geteuid().as_raw();
    let is_ours = opened.is_file() && opened.nlink() == 1 && opened.uid() == user;
    if !is_ours || file.try_lock().is_err() {
        return None;
    }
    // Another process may have finished the file before it was locked.
    let named = fs::symlink_metadata(path).ok()?;
    ((named.dev(), named.ino()) == (opened.dev(), opened.ino())).then_some(file)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::symlink};

    use super::*;

    const CONTENT: &[u8] = b"content";

    fn open_in(directory: &Path) -> Partial {
        Partial::open(directory, &Digest::of(CONTENT)).unwrap()
    }

    #[test]
    fn resumes_what_an_earlier_transfer_left() {
        let directory = tempfile::tempdir().unwrap();
        let mut partial = open_in(directory.path());
        partial.file().write_all(&CONTENT[..3]).unwrap();
        drop(partial);
        let mut partial = open_in(directory.path());
        let (hasher, length) = partial.resume(7).unwrap();
        assert_eq!((hasher.finish(), length), (Digest::of(&CONTENT[..3]), 3));
        partial.file().write_all(&CONTENT[3..]).unwrap();
        let target = directory.path().join("target");
        partial.complete(Digest::of(CONTENT)).unwrap().rename(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), CONTENT);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn clears_content_that_is_too_long_and_removes_other_content() {
        let directory = tempfile::tempdir().unwrap();
        let mut partial = open_in(directory.path());
        partial.file().write_all(CONTENT).unwrap();
        assert_eq!(partial.resume(6).unwrap().1, 0);
        assert_eq!(partial.complete(Digest::of(b"")).unwrap_err(), Digest::of(b""));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }

    #[test]
    fn gives_each_process_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut files: Vec<_> = (0..3).map(|_| open_in(directory.path())).collect();
        for file in &mut files {
            file.file().write_all(CONTENT).unwrap();
        }
        let target = directory.path().join("target");
        for file in files {
            file.complete(Digest::of(CONTENT)).unwrap().rename(&target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), CONTENT);
        }
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn writes_to_nothing_but_an_own_regular_file() {
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        let make = |name: &str, path: &Path| match name {
            "link" => symlink(elsewhere.path(), path).unwrap(),
            "hard link" => {
                let other = path.with_file_name("other");
                fs::write(&other, "").unwrap();
                fs::hard_link(other, path).unwrap();
            }
            "directory" => fs::create_dir(path).unwrap(),
            _ => {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
                    .unwrap();
            }
        };
        for name in ["link", "hard link", "directory", "FIFO"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(file_name(&Digest::of(CONTENT)));
            make(name, &path);
            let mut partial = open_in(directory.path());
            partial.file().write_all(CONTENT).unwrap();
            assert_ne!(partial.path, path, "{name}");
            assert_eq!(fs::read(elsewhere.path()).unwrap(), b"", "{name}");
            let target = directory.path().join("target");
            partial.complete(Digest::of(CONTENT)).unwrap().rename(&target).unwrap();
            assert_eq!(fs::read(target).unwrap(), CONTENT, "{name}");
        }
    }
}
