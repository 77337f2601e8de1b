//! Programs of other projects that tests of signatures run: cosign of newer suites of Debian.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::{
    host::{arch::Arch, project},
    sources::{cache::Cache, debian},
};

/// The suites with cosign 2 and cosign 3.
const SUITES: [&str; 2] = ["trixie", "sid"];

/// The paths of cosign 2 and 3, separated like `PATH`.
pub fn programs() -> Result<OsString> {
    let cache = Cache::open()?;
    let arch = Arch::host().context("Debian has no packages for this machine")?;
    let programs: Result<Vec<_>> =
        SUITES.iter().map(|suite| program(&cache, suite, arch)).collect();
    Ok(std::env::join_paths(programs?)?)
}

/// Unpacks the package, if it is new. A part of it has another name until it is complete.
fn program(cache: &Cache, suite: &str, arch: Arch) -> Result<PathBuf> {
    let packages = debian::packages(cache, &["cosign"], arch, Some(suite))?;
    let package = packages.first().context("no package")?;
    let digits = package.sha256.get(..12).unwrap_or_default();
    let directory = project::logs().join(format!("cosign-{digits}"));
    if !directory.is_dir() {
        let shell = project::shell()?;
        let parent = shell.create_dir(project::logs())?;
        let new = tempfile::Builder::new().prefix(".cosign-").tempdir_in(parent)?;
        let (deb, into) = (&package.path, new.path());
        cmd!(shell, "dpkg-deb --extract {deb} {into}").quiet().run()?;
        std::fs::rename(new.keep(), &directory).context("unpacking cosign")?;
    }
    Ok(directory.join("usr/bin/cosign"))
}
