//! The build cache: sources under their digests, kernels under their keys, the state of apt, and room for builds at work.
//! Goes in: finished files and folders. Comes out: the same bytes, checked against their digests, or nothing. It never fetches and never builds.

use crate::output;
use crate::output::SUMS;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use std::fs::File;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::NamedTempFile;
use tempfile::TempDir;

/// A temporary file or folder this old belongs to no run any more.
const ABANDONED: Duration = Duration::from_hours(48);

#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The user's cache: `$XDG_CACHE_HOME/ocidd`, else `~/.cache/ocidd`.
    pub fn open() -> Result<Self> {
        let absolute =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| anyhow!("no place for the build cache: neither XDG_CACHE_HOME nor HOME is an absolute path  hint: set XDG_CACHE_HOME"))?;
        Self::at(parent.join("ocidd"))
    }

    /// A cache in this folder, which is made where it is missing.
    pub fn at(root: PathBuf) -> Result<Self> {
        let cache = Self { root };
        sweep(&cache.folder("tmp")?);
        Ok(cache)
    }

    /// A folder below the cache's, made where it is missing.
    pub fn folder(&self, below: impl AsRef<Path>) -> Result<PathBuf> {
        let folder = self.root.join(below);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Where a source of this digest and file name lies or will lie.
    pub fn source_path(&self, sha256: &str, file_name: &str) -> PathBuf {
        self.root.join("sources/sha256").join(sha256).join(file_name)
    }

    /// The stored source, hashed in this call. A damaged one is taken away, and counts as missing.
    pub fn source(&self, sha256: &str, file_name: &str) -> Result<Option<PathBuf>> {
        let path = self.source_path(sha256, file_name);
        if !path.exists() {
            return Ok(None);
        }
        let found = output::digest(&path)?;
        if found == sha256 {
            return Ok(Some(path));
        }
        report::warn(format_args!(
            "{} is damaged (sha256 is {found}) and is replaced",
            path.display()
        ));
        std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        Ok(None)
    }

    /// A file to write a source into, on the cache's own file system. It vanishes when dropped.
    pub fn temporary_file(&self) -> Result<NamedTempFile> {
        let folder = self.folder("tmp")?;
        NamedTempFile::new_in(&folder)
            .with_context(|| format!("making a file in {}", folder.display()))
    }

    /// A folder to fill, on the cache's own file system. It vanishes when dropped.
    pub fn temporary_folder(&self) -> Result<TempDir> {
        let folder = self.folder("tmp")?;
        TempDir::new_in(&folder).with_context(|| format!("making a folder in {}", folder.display()))
    }

    /// Stores a file whose digest the caller has just computed.
    pub fn store_source(
        &self,
        file: NamedTempFile,
        sha256: &str,
        file_name: &str,
    ) -> Result<PathBuf> {
        let path = self.source_path(sha256, file_name);
        persist(file, &path)?;
        Ok(path)
    }

    /// Stores a file that is not what it should be, beside where the right one would be, for whoever looks into it.
    pub fn store_evidence(
        &self,
        file: NamedTempFile,
        wanted_sha256: &str,
        file_name: &str,
    ) -> Result<PathBuf> {
        let path = self.source_path(wanted_sha256, &format!("{file_name}.wrong"));
        persist(file, &path)?;
        Ok(path)
    }

    /// The stored folder of a kernel, its files hashed in this call. A damaged one is taken away, and counts as missing.
    pub fn kernel(&self, key: &str) -> Result<Option<PathBuf>> {
        let folder = self.root.join("kernels").join(key);
        if !folder.exists() {
            return Ok(None);
        }
        match check_sums(&folder) {
            Ok(()) => Ok(Some(folder)),
            Err(error) => {
                report::warn(format_args!(
                    "{} is damaged ({error:#}) and is built again",
                    folder.display()
                ));
                std::fs::remove_dir_all(&folder)
                    .with_context(|| format!("removing {}", folder.display()))?;
                Ok(None)
            }
        }
    }

    /// Stores a folder of plain files as the kernel of this key, with their digests.
    pub fn store_kernel(&self, filled: TempDir, key: &str) -> Result<PathBuf> {
        write_sums(filled.path())?;
        let folder = self.folder("kernels")?.join(key);
        std::fs::rename(filled.path(), &folder)
            .with_context(|| format!("renaming to {}", folder.display()))?;
        // The folder has another name now, so there is nothing left to remove.
        let _moved = filled.keep();
        Ok(folder)
    }

    /// Holds the lock of this name until the returned file is dropped. Waits, and says so, where another process holds it.
    pub fn lock(&self, name: &str, what: &str) -> Result<File> {
        let path = self.folder("locks")?.join(name);
        let locking = || format!("locking {}", path.display());
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(locking)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                report::step(format_args!("waiting for another {what} to end"));
                file.lock().with_context(locking)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(locking),
        }
        Ok(file)
    }
}

/// Takes away what interrupted runs left behind. Young entries may be another run's; and what cannot be removed does no harm.
fn sweep(folder: &Path) {
    for entry in
        walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).into_iter().filter_map(Result::ok)
    {
        let modified = entry.path().symlink_metadata().and_then(|meta| meta.modified());
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED)) {
            let removed = if entry.file_type().is_dir() {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            };
            removed.ok();
        }
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    let storing = || format!("storing {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(storing)?;
    }
    output::persist(file, path).with_context(storing)
}

fn write_sums(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name() {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        names.push(entry.file_name().display().to_string());
    }
    let path = folder.join(SUMS);
    let sums = output::sums(folder, &names)?;
    std::fs::write(&path, sums).with_context(|| format!("writing {}", path.display()))
}

fn check_sums(folder: &Path) -> Result<()> {
    let path = folder.join(SUMS);
    let sums =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    for line in sums.lines() {
        let (wanted, name) =
            line.split_once("  ").ok_or_else(|| anyhow!("{SUMS} has the line '{line}'"))?;
        let found = output::digest(&folder.join(name))?;
        anyhow::ensure!(found == wanted, "sha256 of '{name}' is {found}, was {wanted}");
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Write as _;

    /// A cache that ends with the test.
    pub fn empty() -> (TempDir, Cache) {
        let folder = TempDir::new().unwrap();
        let cache = Cache::at(folder.path().join("cache")).unwrap();
        (folder, cache)
    }

    fn stored(cache: &Cache, text: &str) -> (String, PathBuf) {
        let mut file = cache.temporary_file().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let sha256 = output::digest_of(text.as_bytes());
        let path = cache.store_source(file, &sha256, "part.txt").unwrap();
        (sha256, path)
    }

    #[test]
    fn gives_back_what_was_stored() {
        let (_folder, cache) = empty();
        let (sha256, path) = stored(&cache, "hello");
        assert_eq!(cache.source(&sha256, "part.txt").unwrap(), Some(path));
        assert_eq!(cache.source(&sha256, "other.txt").unwrap(), None);
    }

    #[test]
    fn takes_a_damaged_source_away() {
        let (_folder, cache) = empty();
        let (sha256, path) = stored(&cache, "hello");
        std::fs::write(&path, "hellp").unwrap();
        assert_eq!(cache.source(&sha256, "part.txt").unwrap(), None);
        assert!(!path.exists());
    }

    #[test]
    fn takes_a_damaged_kernel_away() {
        let (_folder, cache) = empty();
        for damage in ["image", SUMS] {
            let filled = cache.temporary_folder().unwrap();
            std::fs::write(filled.path().join("image"), "bits").unwrap();
            std::fs::write(filled.path().join("config"), "CONFIG_A=y\n").unwrap();
            let folder = cache.store_kernel(filled, "key").unwrap();
            assert_eq!(cache.kernel("key").unwrap(), Some(folder.clone()));
            std::fs::remove_file(folder.join(damage)).unwrap();
            assert_eq!(cache.kernel("key").unwrap(), None, "without {damage}");
            assert!(!folder.exists());
        }
    }

    #[test]
    fn sweeps_what_was_abandoned_and_nothing_else() {
        let (folder, cache) = empty();
        let old = cache.temporary_file().unwrap().keep().unwrap();
        old.0.set_modified(std::time::UNIX_EPOCH).unwrap();
        let young = cache.temporary_file().unwrap();
        Cache::at(folder.path().join("cache")).unwrap();
        assert!(!old.1.exists() && young.path().exists());
    }

    #[test]
    fn unfinished_files_vanish() {
        let (_folder, cache) = empty();
        let path = cache.temporary_file().unwrap().path().to_path_buf();
        assert!(!path.exists());
    }
}
