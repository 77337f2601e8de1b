//! Downloads Debian packages with the host's apt and reads their files. Versions are not pinned;
//! apt verifies the archive's signatures.

mod apt;

use crate::host::arch::Arch;
use crate::host::cmd;
use crate::host::report::hinted;
use crate::sources::Source;
use crate::sources::cache::Cache;
use crate::sources::debian::apt::Apt;
use crate::sources::debian::apt::Package;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeMap;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use xshell::Shell;

/// The newest packages of these names for `arch`, in the order asked for.
pub fn packages(cache: &Cache, names: &[&str], arch: Arch) -> Result<Vec<Source>> {
    let apt = Apt::open(cache, arch)?;
    let mut known = apt.resolve(names)?;
    if apt.store(cache, &missing(cache, &known)?).is_err() {
        // The archive removes old versions, which lists of this morning may still name.
        apt.update()?;
        known = apt.resolve(names)?;
        apt.store(cache, &missing(cache, &known)?)?;
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

fn missing(cache: &Cache, packages: &[Package]) -> Result<Vec<Package>> {
    let mut missing = Vec::new();
    for package in packages {
        if cache.source(&package.sha256, &package.file_name)?.is_none() {
            missing.push(package.clone());
        }
    }
    Ok(missing)
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

/// The files of a `.deb` whose names `wanted` accepts. Names start with `./`, as in the archive.
///
/// Links are rejected, because they are not followed. Directories are ignored.
pub fn read_members(
    deb: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut members = BTreeMap::new();
    each_member(deb, wanted, |name, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        members.insert(name.to_owned(), bytes);
        Ok(())
    })?;
    Ok(members)
}

/// Writes the files of a `.deb` whose names `wanted` accepts to `into`; returns their number.
pub fn copy_members(
    deb: &Path,
    wanted: impl Fn(&str) -> bool,
    into: &mut impl Write,
) -> Result<usize> {
    let mut count = 0;
    each_member(deb, wanted, |_, content| {
        std::io::copy(content, into)?;
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

fn each_member(
    deb: &Path,
    wanted: impl Fn(&str) -> bool,
    mut visit: impl FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let reading = || format!("reading {}", deb.display());
    let shell = Shell::new()?;
    let unpack = cmd::clean_env(shell.cmd("dpkg-deb").arg("--fsys-tarfile").arg(deb));
    let mut unpack = cmd::Background::start(unpack, |command| {
        command.stdout(Stdio::piped());
    })?;
    let output = unpack.child.stdout.take().context("dpkg-deb has no output")?;
    let mut archive = tar::Archive::new(output);
    for entry in archive.entries().with_context(reading)? {
        let mut entry = entry.with_context(reading)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() || !wanted(&name) {
            continue;
        }
        if !kind.is_file() {
            bail!("'{name}' in {} is not a regular file", deb.display());
        }
        visit(&name, &mut entry)
            .with_context(|| format!("reading '{name}' in {}", deb.display()))?;
    }
    // Read the padding after the archive, or dpkg-deb fails.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).with_context(reading)?;
    let status = unpack.child.wait().with_context(reading)?;
    if !status.success() {
        bail!("`dpkg-deb --fsys-tarfile {}` ended with {status}", deb.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
