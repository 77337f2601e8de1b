//! Kernels in the cache, under their keys. Goes in: a folder of plain files. Comes out: the same files, hashed in this run, none missing and none added;
//! or nothing.

use crate::cache::Cache;
use crate::cache::store::Stored;
use crate::output;
use crate::output::SUMS;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// Where kernels lie, each in a folder that is named by its key.
pub(super) const FOLDER: &str = "kernels";

impl Cache {
    /// The stored folder of a kernel, its files hashed in this call. A damaged one is taken away, and counts as missing.
    pub fn kernel(&self, key: &str) -> Result<Option<PathBuf>> {
        let folder = self.root().join(FOLDER).join(key);
        let stored = Stored { path: &folder, mark: &folder.join(SUMS), remedy: "is built again" };
        let is_whole = self.look_up(&stored, || check_sums(&folder))?;
        Ok(is_whole.then_some(folder))
    }

    /// Stores a folder of plain files as the kernel of this key, with their digests. Where another build was first, its folder stays: the same key means
    /// the same bytes, and somebody may be reading it.
    pub fn store_kernel(&self, filled: TempDir, key: &str) -> Result<PathBuf> {
        write_sums(filled.path())?;
        let folder = self.folder(FOLDER)?.join(key);
        let _changing = self.changing()?;
        if !folder.exists() || check_sums(&folder).is_err() {
            if folder.exists() {
                self.take_away(&folder)?;
            }
            std::fs::rename(filled.path(), &folder)
                .with_context(|| format!("renaming to {}", folder.display()))?;
            // The folder has another name now, so there is nothing left to remove.
            let _moved = filled.keep();
        }
        self.hold_stored(&folder.join(SUMS))?;
        Ok(folder)
    }
}

fn write_sums(folder: &Path) -> Result<()> {
    let names: Vec<String> = names_in(folder)?.into_iter().collect();
    let path = folder.join(SUMS);
    let sums = output::sums(folder, &names)?;
    std::fs::write(&path, sums).with_context(|| format!("writing {}", path.display()))
}

fn check_sums(folder: &Path) -> Result<()> {
    let path = folder.join(SUMS);
    let sums =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut names = names_in(folder)?;
    names.remove(SUMS);
    for line in sums.lines() {
        let (wanted, name) =
            line.split_once("  ").ok_or_else(|| anyhow!("{SUMS} has the line '{line}'"))?;
        ensure!(names.remove(name), "'{name}' is missing");
        let found = output::digest(&folder.join(name))?;
        ensure!(found == wanted, "sha256 of '{name}' is {found}, was {wanted}");
    }
    // A list that lost lines vouches for nothing: an empty one is what a loss of power leaves behind.
    match names.first() {
        None => Ok(()),
        Some(name) => Err(anyhow!("{SUMS} does not list '{name}'")),
    }
}

fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let listing = || format!("listing {}", folder.display());
    let names = std::fs::read_dir(folder).with_context(listing)?;
    names.map(|entry| Ok(entry.with_context(listing)?.file_name().display().to_string())).collect()
}
