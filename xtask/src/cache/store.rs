//! The cache's folder: where it is, room in it for what is being made, and the locks that keep builds at once out of each other's way.
//!
//! What is stored is there whole or not at all, and whoever looks it up holds it: a shared lock on a file of it, until the [`Cache`] is dropped.
//! Storing and removing happen one at a time, under a lock of their own; it is held for a moment only, and never while another is waited for.

use crate::cache::entries;
use crate::cache::remove;
use crate::output;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::UTIME_NOW;
use rustix::fs::UTIME_OMIT;
use std::cell::RefCell;
use std::fs::File;
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::NamedTempFile;
use tempfile::TempDir;

/// A temporary file or folder this old belongs to no run any more.
pub(super) const ABANDONED: Duration = Duration::from_hours(48);

/// The lock of whoever builds a kernel. It is also that of the folders such a build writes to: `build` and `ccache`.
pub const KERNEL_LOCK: &str = "kernel";

/// Sources under their digests, kernels under their keys, the state of apt, and room for builds at work.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    /// The locks on what was looked up or stored.
    held: RefCell<Vec<File>>,
}

/// Something stored, for [`Cache::look_up`].
#[derive(Debug)]
pub(super) struct Stored<'a> {
    /// The file or folder.
    pub(super) path: &'a Path,
    /// The file of it that is locked, and whose time is that of the last use.
    pub(super) mark: &'a Path,
    /// What happens where it is damaged.
    pub(super) remedy: &'a str,
}

impl Cache {
    /// The user's cache, with what interrupted runs left behind taken away.
    pub fn open() -> Result<Self> {
        let cache = Self::at(Self::place()?);
        cache.sweep();
        Ok(cache)
    }

    /// The folder of the user's cache: `$XDG_CACHE_HOME/ocidd`, else `~/.cache/ocidd`. Relative values do not count, as the XDG specification has it.
    pub fn place() -> Result<PathBuf> {
        let absolute =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| anyhow!("no place for the build cache: neither XDG_CACHE_HOME nor HOME is an absolute path  hint: set XDG_CACHE_HOME"))?;
        Ok(parent.join("ocidd"))
    }

    /// A cache in this folder, which is made when something is put there.
    pub fn at(root: PathBuf) -> Self {
        Self { root, held: RefCell::default() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder below the cache's, made where it is missing.
    pub fn folder(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        let folder = self.root.join(below);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// A file to write a source into, on the cache's own file system. It vanishes when dropped.
    pub fn temporary_file(&self) -> Result<NamedTempFile> {
        let folder = self.folder("tmp")?;
        let making = || format!("making a file in {}", folder.display());
        let file = NamedTempFile::new_in(&folder).with_context(making)?;
        file.as_file().lock_shared().with_context(making)?;
        Ok(file)
    }

    /// A folder to fill, on the cache's own file system. It vanishes when dropped.
    pub fn temporary_folder(&self) -> Result<TempDir> {
        let folder = self.folder("tmp")?;
        let making = || format!("making a folder in {}", folder.display());
        let made = TempDir::new_in(&folder).with_context(making)?;
        let opened = File::open(made.path()).with_context(making)?;
        opened.lock_shared().with_context(making)?;
        self.held.borrow_mut().push(opened);
        Ok(made)
    }

    /// Holds the lock of this name until the returned file is dropped. Waits, and says so, where another process holds it.
    pub fn lock(&self, name: &str, what: &str) -> Result<File> {
        if let Some(lock) = self.try_lock(name)? {
            return Ok(lock);
        }
        report::step(format_args!("waiting for another {what} to end"));
        let (path, file) = self.lock_file(name)?;
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    /// As [`Cache::lock`], but `None` where another process holds it.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<File>> {
        let (path, file) = self.lock_file(name)?;
        Ok(lock_alone(&file)
            .with_context(|| format!("locking {}", path.display()))?
            .then_some(file))
    }

    /// The lock of whoever stores or removes something. Waits without a word, as it takes no time.
    pub(super) fn changing(&self) -> Result<File> {
        let (path, file) = self.lock_file("entries")?;
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    /// Lock files stay for good. One that was removed would let two in: whoever holds the old one, and whoever makes a new one.
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

    /// Whether something is there and passes `check`; then it is held, and was used now. What is damaged is warned of and taken away.
    pub(super) fn look_up(
        &self,
        stored: &Stored<'_>,
        check: impl Fn() -> Result<()>,
    ) -> Result<bool> {
        if let Some(file) = hold(stored.mark)?
            && check().is_ok()
        {
            self.use_now(file);
            return Ok(true);
        }
        if !is_there(stored.path) {
            return Ok(false);
        }
        // It is damaged, or was being replaced. The second look tells, for nobody replaces anything meanwhile.
        let _changing = self.changing()?;
        if !is_there(stored.path) {
            return Ok(false);
        }
        let held = hold(stored.mark)?;
        match (check(), held) {
            (Ok(()), Some(file)) => {
                self.use_now(file);
                Ok(true)
            }
            (outcome, _) => {
                let fault = outcome.err().unwrap_or_else(|| anyhow!("it is incomplete"));
                let path = stored.path.display();
                report::warn(format_args!("{path} is damaged ({fault:#}) and {}", stored.remedy));
                self.take_away(stored.path)?;
                Ok(false)
            }
        }
    }

    /// Holds what was just stored. The caller has the lock of [`Cache::changing`], so that nobody removes it before.
    pub(super) fn hold_stored(&self, mark: &Path) -> Result<()> {
        let file = hold(mark)?.ok_or_else(|| anyhow!("{} vanished", mark.display()))?;
        self.use_now(file);
        Ok(())
    }

    /// Removes a file or a folder, at once for whoever looks. The caller has the lock of those who would store, use or remove the same.
    pub(super) fn take_away(&self, path: &Path) -> Result<()> {
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
        // Where it cannot be noted, the entry may be removed too soon, and is made anew.
        rustix::fs::futimens(&mark, &times).ok();
        self.held.borrow_mut().push(mark);
    }

    /// Takes away what interrupted runs left behind. What cannot be removed does no harm.
    pub(super) fn sweep(&self) {
        for entry in entries::temporaries(&self.root).filter(|entry| entry.unused > ABANDONED) {
            remove::remove(self, &entry).ok();
        }
    }
}

/// Locks a file for its opener alone, or tells that somebody else has it.
pub(super) fn lock_alone(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Stores a finished temporary file. The caller has the lock of [`Cache::changing`].
pub(super) fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    let storing = || format!("storing {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(storing)?;
    }
    output::persist(file, path).with_context(storing)
}

/// The file of this path, locked against removal; `None` where it is not there.
fn hold(path: &Path) -> Result<Option<File>> {
    let holding = || format!("opening {}", path.display());
    loop {
        let file = match File::open(path) {
            Ok(file) => file,
            // Where a file stands in a folder's place, nothing can be in it.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(holding),
        };
        file.lock_shared().with_context(holding)?;
        // A file that was removed before it was locked is nobody's. Then another has its name, or none.
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
