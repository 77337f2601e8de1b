//! What apt once said about packages, written down so that a build need not start it. Reads only; `apt` writes.

use crate::arch::Arch;
use crate::cache::Cache;
use crate::debian::apt;
use crate::debian::package::Package;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// The file, below the folder of an architecture.
pub(super) const NAME: &str = "packages.json";

/// What was last said about packages for `arch`, of whatever age.
pub(super) fn last(cache: &Cache, arch: Arch) -> Result<BTreeMap<String, Package>> {
    let _lock = cache.lock(&format!("apt-{}", arch.oci()), "use of apt")?;
    Ok(read(&cache.folder(Path::new(apt::FOLDER).join(arch.oci()))?.join(NAME)))
}

/// What this file holds. One that cannot be read holds nothing.
pub(super) fn read(path: &Path) -> BTreeMap<String, Package> {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}
