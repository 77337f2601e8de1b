//! Takes one entry out of the cache, unless a running build uses it. Never waits for one.

use crate::cache::Cache;
use crate::cache::Entry;
use crate::cache::Kind;
use crate::cache::store;
use crate::cache::store::KERNEL_LOCK;
use crate::output::SUMS;
use anyhow::Context as _;
use anyhow::Result;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It is no longer there, whoever took it away.
    Removed,
    InUse,
}

/// Removes `entry`, holding whatever a build would hold that uses it.
pub(super) fn remove(cache: &Cache, entry: &Entry) -> Result<Outcome> {
    let lock = match entry.kind {
        Kind::Source => return remove_source(cache, &entry.path),
        Kind::Temporary => {
            let _changing = cache.changing()?;
            return remove_marked(cache, &entry.path, &entry.path);
        }
        Kind::Kernel => {
            let _changing = cache.changing()?;
            return remove_marked(cache, &entry.path, &entry.path.join(SUMS));
        }
        // Named as apt's own lock is.
        Kind::Lists => entry.name.as_str(),
        Kind::Objects | Kind::Scratch => KERNEL_LOCK,
    };
    let Some(_lock) = cache.try_lock(lock)? else { return Ok(Outcome::InUse) };
    take_away(cache, &entry.path)
}

fn remove_source(cache: &Cache, path: &Path) -> Result<Outcome> {
    let _changing = cache.changing()?;
    let outcome = remove_marked(cache, path, path)?;
    // The folder of a digest goes with the last file in it. Where there are others this fails, and should.
    if let Some(folder) = path.parent() {
        std::fs::remove_dir(folder).ok();
    }
    Ok(outcome)
}

/// Removes `path`, unless somebody holds `mark`. The caller has the lock of [`Cache::changing`].
fn remove_marked(cache: &Cache, path: &Path, mark: &Path) -> Result<Outcome> {
    let _mark = match File::open(mark) {
        Ok(file) if store::lock_alone(&file)? => Some(file),
        Ok(_) => return Ok(Outcome::InUse),
        // A damaged kernel has no sums, and nobody uses it.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("opening {}", mark.display())),
    };
    take_away(cache, path)
}

fn take_away(cache: &Cache, path: &Path) -> Result<Outcome> {
    if path.symlink_metadata().is_ok() {
        cache.take_away(path)?;
    }
    Ok(Outcome::Removed)
}
