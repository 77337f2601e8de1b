//! Sources in the cache, under their digests. Goes in: finished files. Comes out: the same bytes, hashed in this run, or nothing.

use crate::cache::Cache;
use crate::cache::store;
use crate::cache::store::Stored;
use crate::output;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::ensure;
use std::path::Path;
use std::path::PathBuf;
use tempfile::NamedTempFile;

/// Where sources lie, each in a folder that is named by its digest.
pub(super) const FOLDER: &str = "sources/sha256";

impl Cache {
    /// Where a source of this digest and file name lies or will lie.
    pub fn source_path(&self, sha256: &str, file_name: &str) -> PathBuf {
        self.root().join(FOLDER).join(sha256).join(file_name)
    }

    /// The stored source, hashed in this call. A damaged one is taken away, and counts as missing.
    pub fn source(&self, sha256: &str, file_name: &str) -> Result<Option<PathBuf>> {
        let path = self.source_path(sha256, file_name);
        let stored = Stored { path: &path, mark: &path, remedy: "is replaced" };
        let is_whole = self.look_up(&stored, || check(&path, sha256))?;
        Ok(is_whole.then_some(path))
    }

    /// Stores a file whose digest the caller has just computed. Where another build was first, its file stays: somebody may be reading it.
    pub fn store_source(
        &self,
        file: NamedTempFile,
        sha256: &str,
        file_name: &str,
    ) -> Result<PathBuf> {
        let path = self.source_path(sha256, file_name);
        // Flushed here already, as that may take long and others wait for the lock.
        file.as_file().sync_all().with_context(|| format!("storing {}", path.display()))?;
        let _changing = self.changing()?;
        if !path.exists() || check(&path, sha256).is_err() {
            store::persist(file, &path)?;
        }
        self.hold_stored(&path)?;
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
        let _changing = self.changing()?;
        store::persist(file, &path)?;
        Ok(path)
    }
}

fn check(path: &Path, sha256: &str) -> Result<()> {
    let found = output::digest(path)?;
    ensure!(found == sha256, "sha256 is {found}");
    Ok(())
}
