//! Downloads Debian packages with the host's apt and reads their files. Versions are not pinned;
//! apt verifies the archive's signatures.

mod apt;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::Shell;

use crate::{
    host::{arch::Arch, cmd, report::hinted},
    sources::{
        Source,
        cache::Cache,
        debian::apt::{Apt, Package},
    },
};

/// The newest packages of these names for `arch`, in the order asked for.
pub fn packages(cache: &Cache, names: &[&str], arch: Arch) -> Result<Vec<Source>> {
    let apt = Apt::open(cache, arch)?;
    let mut known = apt.resolve(names)?;
    if apt.store(cache, &known).is_err() {
        // The archive removes old versions, which lists of this morning may still name.
        apt.update()?;
        known = apt.resolve(names)?;
        apt.store(cache, &known)?;
    }
    Ok(known.into_iter().map(|package| source(cache, package)).collect())
}

/// The packages of these names that an earlier run stored. Uses no network.
pub fn stored_packages(cache: &Cache, names: &[&str], arch: Arch) -> Result<Vec<Source>> {
    let known = apt::last_known(cache, arch)?;
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for name in names {
        match known.get(*name) {
            Some(package) if cache.source(&package.sha256, &package.file_name)?.is_some() => {
                found.push(source(cache, package.clone()));
            }
            _ => absent.push(format!("'{name}'")),
        }
    }
    if !absent.is_empty() {
        let (absent, arch) = (absent.join(", "), arch.oci());
        return Err(hinted(
            format!(
                "not in the cache, and --offline forbids downloads: {absent} of Debian for {arch}"
            ),
            "run once without --offline, or pass the upstream files with --source-dir",
        ));
    }
    Ok(found)
}

fn source(cache: &Cache, package: Package) -> Source {
    let path = cache.source_path(&package.sha256, &package.file_name);
    Source {
        name: package.name,
        version: package.version,
        origin: package.origin,
        sha256: package.sha256,
        path,
    }
}

/// The files of a `.deb`, as a tar archive.
pub fn read_tar(deb: &Path) -> Result<Vec<u8>> {
    let shell = Shell::new()?;
    let unpack = cmd::clean_env(shell.cmd("dpkg-deb").arg("--fsys-tarfile").arg(deb));
    let output = unpack.quiet().ignore_status().output().context("running dpkg-deb")?;
    if !output.status.success() {
        let (deb, reason) = (deb.display(), String::from_utf8_lossy(&output.stderr));
        bail!("`dpkg-deb --fsys-tarfile {deb}` ended with {}: {}", output.status, reason.trim());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests;
