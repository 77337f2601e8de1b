//! Verified sources and built kernels, found by digest, and directories that builds write to.
//!
//! An entry is complete or absent. A lookup takes a shared lock on one of its files, held until the
//! [`Cache`] is dropped. Entries are stored and removed one at a time, under a short lock.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{File, TryLockError},
    io::ErrorKind,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use tempfile::{NamedTempFile, TempDir};
use walkdir::WalkDir;

use crate::host::{
    output,
    output::{Readers, SUMS},
    report,
    report::hinted,
};

/// Temporary files this old belong to an interrupted run.
pub const ABANDONED: Duration = Duration::from_hours(48);

/// Held by a build of a kernel. Protects the directories that only such builds write to: `build`,
/// `ccache` and `configs`.
pub const KERNEL_LOCK: &str = "kernel";

/// One directory per digest, with one file.
pub const SOURCES: &str = "sources/sha256";
/// One directory per key, with plain files and their digests.
pub const KERNELS: &str = "kernels";

/// Sources by digest, kernels by key, the state of apt, and temporary files.
#[derive(Debug)]
pub struct Cache {
    pub root: PathBuf,
    /// The locks on entries that were looked up or stored.
    held: RefCell<Vec<File>>,
}

impl Cache {
    /// The user's cache. Removes what interrupted runs left.
    pub fn open() -> Result<Self> {
        let cache = Self::at(Self::location()?);
        cache.sweep();
        Ok(cache)
    }

    /// The user's cache directory: `$XDG_CACHE_HOME/ocidd` (default: `~/.cache/ocidd`). Relative
    /// values are ignored, as the XDG base directory specification requires.
    pub fn location() -> Result<PathBuf> {
        let absolute =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| {
                let fact = "neither XDG_CACHE_HOME nor HOME is an absolute path";
                hinted(fact, "set XDG_CACHE_HOME")
            })?;
        Ok(parent.join("ocidd"))
    }

    /// A cache in this directory, which is created on the first write.
    pub fn at(root: PathBuf) -> Self {
        Self { root, held: RefCell::default() }
    }

    /// A subdirectory, created if missing.
    pub fn folder(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        let folder = self.root.join(below);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder)
    }

    /// A temporary file on the cache's file system, removed when dropped.
    pub fn temporary_file(&self) -> Result<NamedTempFile> {
        let folder = self.folder("tmp")?;
        let making = || format!("creating a file in {}", folder.display());
        let file = NamedTempFile::new_in(&folder).with_context(making)?;
        file.as_file().lock_shared().with_context(making)?;
        Ok(file)
    }

    /// A temporary file with the contents of `from`.
    pub fn temporary_copy(&self, from: &Path) -> Result<NamedTempFile> {
        let copying = || format!("copying {}", from.display());
        let mut copy = self.temporary_file()?;
        let mut original = File::open(from).with_context(copying)?;
        std::io::copy(&mut original, copy.as_file_mut()).with_context(copying)?;
        Ok(copy)
    }

    /// A temporary directory on the cache's file system, removed when dropped.
    pub fn temporary_folder(&self) -> Result<TempDir> {
        let folder = self.folder("tmp")?;
        let making = || format!("creating a directory in {}", folder.display());
        let made = TempDir::new_in(&folder).with_context(making)?;
        let opened = File::open(made.path()).with_context(making)?;
        opened.lock_shared().with_context(making)?;
        self.held.borrow_mut().push(opened);
        Ok(made)
    }

    /// Holds the lock of this name until the returned file is dropped. If another process holds it,
    /// prints a message and waits.
    pub fn lock(&self, name: &str, what: &str) -> Result<File> {
        if let Some(lock) = self.try_lock(name)? {
            return Ok(lock);
        }
        report::step(format_args!("waiting for another {what} to end"));
        self.wait_lock(name)
    }

    /// Like [`Cache::lock`], but returns `None` if another process holds the lock.
    pub fn try_lock(&self, name: &str) -> Result<Option<File>> {
        let (path, file) = self.lock_file(name)?;
        let is_locked = lock_alone(&file).with_context(|| format!("locking {}", path.display()))?;
        Ok(is_locked.then_some(file))
    }

    /// The lock for storing and removing entries. Always held briefly, so waiting prints nothing.
    pub fn changing(&self) -> Result<File> {
        self.wait_lock("entries")
    }

    fn wait_lock(&self, name: &str) -> Result<File> {
        let (path, file) = self.lock_file(name)?;
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    /// Lock files are never removed: a second process could then lock a new file of the same name.
    fn lock_file(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.folder("locks")?.join(name);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        Ok((path, file))
    }

    /// Whether the entry at `path` exists and passes `check`. Then it is held by a lock on `mark`,
    /// whose mtime becomes the time of the last use. A damaged entry is removed; the warning says
    /// so with `remedy`.
    fn look_up(
        &self,
        path: &Path,
        mark: &Path,
        remedy: &str,
        check: impl Fn() -> Result<()>,
    ) -> Result<bool> {
        let whole = || {
            let held = hold(mark)?;
            anyhow::Ok(check().and_then(|()| held.context("it is incomplete")))
        };
        // Damaged, or just being replaced. Under the lock only the former is left.
        for is_locked in [false, true] {
            let _changing = is_locked.then(|| self.changing()).transpose()?;
            match whole()? {
                Ok(file) => {
                    self.use_now(file);
                    return Ok(true);
                }
                Err(_) if !is_there(path) => break,
                Err(error) if is_locked => {
                    let name = path.display();
                    report::warn(format_args!("{name} is damaged ({error:#}) and {remedy}"));
                    self.delete(path)?;
                }
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Holds an entry that was just stored. The caller holds the lock [`Cache::changing`], so that
    /// it still exists.
    fn hold_stored(&self, mark: &Path) -> Result<()> {
        let file = hold(mark)?.ok_or_else(|| anyhow!("{} vanished", mark.display()))?;
        self.use_now(file);
        Ok(())
    }

    /// Removes a file or a directory if it exists, atomically for readers. The caller holds the
    /// lock of those who store, use or remove it.
    pub fn delete(&self, path: &Path) -> Result<()> {
        if !is_there(path) {
            return Ok(());
        }
        let removing = || format!("removing {}", path.display());
        if path.symlink_metadata().with_context(removing)?.is_dir() {
            let bin = self.temporary_folder()?;
            std::fs::rename(path, bin.path().join("removed")).with_context(removing)?;
            return bin.close().with_context(removing);
        }
        std::fs::remove_file(path).with_context(removing)
    }

    fn use_now(&self, mark: File) {
        let unset = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times =
            Timestamps { last_access: unset(UTIME_OMIT), last_modification: unset(UTIME_NOW) };
        // On failure the entry may be pruned too early and is created again.
        rustix::fs::futimens(&mark, &times).ok();
        self.held.borrow_mut().push(mark);
    }

    /// Temporary files of this cache, in use or not.
    pub fn temporaries(&self) -> impl Iterator<Item = PathBuf> + use<> {
        children(&self.root.join("tmp"))
            .filter(|(name, _)| name.starts_with(".tmp"))
            .map(|(_, path)| path)
    }

    /// Removes what interrupted runs left. A failure is harmless.
    pub fn sweep(&self) {
        for path in self.temporaries() {
            if Usage::of(&path).is_some_and(|usage| usage.unused > ABANDONED)
                && let Ok(_changing) = self.changing()
            {
                self.remove_unlocked(&path, &path).ok();
            }
        }
    }

    /// Removes `path` and returns true, unless another process holds a lock on `mark`. The caller
    /// holds the lock [`Cache::changing`].
    pub fn remove_unlocked(&self, path: &Path, mark: &Path) -> Result<bool> {
        let _mark = match File::open(mark) {
            Ok(file) if lock_alone(&file)? => Some(file),
            Ok(_) => return Ok(false),
            // A damaged kernel has no list of digests, and nothing uses it.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("opening {}", mark.display())),
        };
        self.delete(path)?;
        Ok(true)
    }

    /// The path of a source, stored or not.
    pub fn source_path(&self, sha256: &str, name: &str) -> PathBuf {
        self.root.join(SOURCES).join(sha256).join(name)
    }

    /// The stored source, hashed in this call. A damaged one is removed and counts as missing.
    pub fn source(&self, sha256: &str, name: &str) -> Result<Option<PathBuf>> {
        let path = self.source_path(sha256, name);
        let is_whole = self.look_up(&path, &path, "is replaced", || check_digest(&path, sha256))?;
        Ok(is_whole.then_some(path))
    }

    /// Stores a file whose digest the caller has just computed. A file that another build stored
    /// first is kept, because it may be in use.
    pub fn store_source(&self, file: NamedTempFile, sha256: &str, name: &str) -> Result<PathBuf> {
        let path = self.source_path(sha256, name);
        // Before the lock, because it can take long.
        file.as_file().sync_all().with_context(|| format!("storing {}", path.display()))?;
        let _changing = self.changing()?;
        if check_digest(&path, sha256).is_err() {
            persist(file, &path)?;
        }
        self.hold_stored(&path)?;
        Ok(path)
    }

    /// Keeps a file with a wrong digest, next to the path of the right one, for inspection.
    pub fn store_evidence(&self, file: NamedTempFile, sha256: &str, name: &str) -> Result<PathBuf> {
        let path = self.source_path(sha256, &format!("{name}.wrong"));
        let _changing = self.changing()?;
        persist(file, &path)?;
        Ok(path)
    }

    /// The directory of a kernel, its files hashed in this call. A damaged one is removed and
    /// counts as missing.
    pub fn kernel(&self, key: &str) -> Result<Option<PathBuf>> {
        let folder = self.root.join(KERNELS).join(key);
        let mark = folder.join(SUMS);
        let is_whole = self.look_up(&folder, &mark, "is built again", || check_sums(&folder))?;
        Ok(is_whole.then_some(folder))
    }

    /// Stores a directory of plain files as the kernel of this key, with their digests. If another
    /// build was first, its directory is kept: the bytes are the same, and it may be in use.
    pub fn store_kernel(&self, filled: TempDir, key: &str) -> Result<PathBuf> {
        let sums = output::sums(filled.path(), is_listed)?;
        output::write(&filled.path().join(SUMS), sums.as_bytes())?;
        let folder = self.folder(KERNELS)?.join(key);
        let _changing = self.changing()?;
        if check_sums(&folder).is_err() {
            self.delete(&folder)?;
            std::fs::rename(filled.path(), &folder)
                .with_context(|| format!("renaming to {}", folder.display()))?;
            // Renamed, so there is nothing left to remove.
            let _moved = filled.keep();
        }
        self.hold_stored(&folder.join(SUMS))?;
        Ok(folder)
    }
}

/// Size and age of a file or directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub bytes: u64,
    /// Time since the newest file was changed.
    pub unused: Duration,
}

impl Usage {
    /// `None` if the path does not exist.
    pub fn of(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok()?;
        let files = WalkDir::new(path).into_iter().filter_map(Result::ok);
        let (mut bytes, mut unused) = (0, None);
        for meta in files.filter_map(|file| file.metadata().ok()) {
            bytes += if meta.is_file() { meta.len() } else { 0 };
            // An mtime in the future has no age.
            let age = meta.modified().ok().and_then(|time| time.elapsed().ok());
            unused = unused.into_iter().chain(age).min();
        }
        Some(Self { bytes, unused: unused.unwrap_or_default() })
    }
}

/// Names and paths in a directory; none if it is missing.
pub fn children(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn check_digest(path: &Path, sha256: &str) -> Result<()> {
    let found = output::digest(path)?;
    ensure!(found == sha256, "sha256 is {found}");
    Ok(())
}

/// The list has the digests of all other files of its directory.
fn is_listed(name: &str) -> bool {
    name != SUMS
}

fn check_sums(folder: &Path) -> Result<()> {
    let path = folder.join(SUMS);
    let stored =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let found = output::sums(folder, is_listed)?;
    let [stored, found] = [&stored, &found].map(|text| text.lines().collect::<BTreeSet<_>>());
    // A power failure can leave an empty list.
    match (stored.difference(&found).next(), found.difference(&stored).next()) {
        (None, None) => Ok(()),
        (Some(line), _) => Err(anyhow!("{SUMS} has '{line}', which no file has")),
        (_, Some(line)) => Err(anyhow!("{SUMS} lacks '{line}'")),
    }
}

/// Takes an exclusive lock on a file. False if another process holds a lock.
fn lock_alone(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Stores a finished temporary file. The caller holds the lock [`Cache::changing`].
fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    let storing = || format!("storing {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(storing)?;
    }
    output::persist(file, path, Readers::All).with_context(storing)
}

/// The file of this path, locked against removal; `None` if it does not exist.
fn hold(path: &Path) -> Result<Option<File>> {
    let holding = || format!("opening {}", path.display());
    loop {
        let file = match File::open(path) {
            Ok(file) => file,
            // A file in place of the directory contains nothing.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(holding),
        };
        file.lock_shared().with_context(holding)?;
        // The file may have been removed or replaced before it was locked.
        let opened = file.metadata().with_context(holding)?;
        if path
            .metadata()
            .is_ok_and(|named| (named.dev(), named.ino()) == (opened.dev(), opened.ino()))
        {
            return Ok(Some(file));
        }
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
pub mod tests;
