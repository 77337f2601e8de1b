//! A stand-in for Alpine's minirootfs where Alpine cannot be reached: an archive of the same shape, whose busybox needs musl's loader as Alpine's does, so that
//! what is built of it really boots as an image of upstream's parts would. Goes in: busybox's source and Debian's musl. It is never part of a release.

mod busybox;
mod rootfs;

use crate::arch::Arch;
use crate::build_initramfs;
use crate::cache::Cache;
use crate::cmd;
use crate::config;
use crate::config::ImageConfig;
use crate::debian;
use crate::download::Client;
use crate::env::Settings;
use crate::output;
use crate::parts;
use crate::parts::Parts;
use crate::project;
use crate::report;
use crate::sources::Source;
use crate::sources::SourceOptions;
use crate::sources::SourceSet;
use crate::sources::Sources;
use crate::toolchain;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use rootfs::Content;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;

/// Part of what the archive is remembered by; goes up when the same inputs shall give another archive.
const FORMAT: &str = "1";

/// What Debian's archive gives to it: the loader, what programs are linked with, the kernel's headers, and certificates.
const PACKAGES: [&str; 4] = ["musl", "musl-dev", "linux-libc-dev", "ca-certificates"];

/// The stand-in for `arch`, from the cache where the same inputs were built before. Asks Debian's archive; compiles for half a minute.
pub fn minirootfs(arch: Arch, cache: &Cache) -> Result<PathBuf> {
    let making = || format!("making a stand-in for Alpine's minirootfs for {arch}");
    let options = SourceOptions { sources: Some(SourceSet::Upstream), ..SourceOptions::default() };
    let sources = Sources::with(&options, Cache::at(cache.root().to_owned()), Client::default())?;
    let packages = sources.debian(&PACKAGES, arch).with_context(making)?;
    let tarball = sources.upstream(&busybox::pin()).with_context(making)?;
    let tarball = tarball.ok_or_else(|| anyhow!("busybox's source is in no set"))?;
    let name = format!("alpine-minirootfs-sample-{}.tar.gz", arch.cpu());
    let memory = cache.folder("samples")?.join(key(arch, &packages, &tarball)?);
    if let Ok(sha256) = std::fs::read_to_string(&memory)
        && let Some(path) = cache.source(&sha256, &name)?
    {
        return Ok(path);
    }
    report::step(making());
    let room = cache.temporary_folder()?;
    unpack(&packages, &room.path().join(busybox::ROOT)).with_context(making)?;
    let program = busybox::compile(arch, room.path(), &tarball.path).with_context(making)?;
    let content = Content {
        busybox: program,
        loader: busybox::loader(arch, room.path()).with_context(making)?,
        certificates: certificates(&packages).with_context(making)?,
    };
    let archive = rootfs::archive(arch, &content).with_context(making)?;
    let sha256 = output::digest_of(&archive);
    let mut file = cache.temporary_file()?;
    std::io::Write::write_all(&mut file, &archive).with_context(making)?;
    let path = cache.store_source(file, &sha256, &name)?;
    output::write(&memory, sha256.as_bytes())?;
    Ok(path)
}

/// The project's initramfs, with every part that comes out of sources taken from the stand-in: pinned by its digest, and nothing else allowed.
pub fn initramfs(arch: Arch, cache: &Cache) -> Result<PathBuf> {
    let archive = minirootfs(arch, cache)?;
    let mut config = config::read_image_config(arch)?;
    let parts = upstream_parts(arch, &mut config, &archive)?;
    let programs = build_initramfs::programs(arch, &config, &toolchain::select(arch)?)?;
    let image = build_initramfs::compose(&config, &programs, &parts, Settings::read()?.fs_mtime)?;
    let path = project::logs().join(format!("initramfs-alpine-sample-{}.gz", arch.oci()));
    output::write(&path, &image)?;
    Ok(path)
}

/// The parts of the project's image, by way of `--locked --source-dir` and a cache that has nothing.
fn upstream_parts(arch: Arch, config: &mut ImageConfig, archive: &Path) -> Result<Parts> {
    let pin = config
        .upstream
        .get_mut("alpine")
        .ok_or_else(|| anyhow!("{} has no upstream.alpine", config::IMAGE_FILE))?;
    let (folder, name) = (archive.parent(), archive.file_name().unwrap_or_default());
    "sample".clone_into(&mut pin.version);
    pin.url = format!("https://host.invalid/{}", name.display());
    pin.sha256 = output::digest(archive)?;
    let options = SourceOptions {
        locked: true,
        source_dir: folder.map(Path::to_path_buf),
        ..SourceOptions::default()
    };
    let room = tempfile::tempdir().context("making a folder for an empty cache")?;
    let cache = Cache::at(room.path().join("cache"));
    parts::obtain(config, arch, &Sources::with(&options, cache, Client::default())?)
}

/// What the archive is remembered by: the digest of all that goes into it.
fn key(arch: Arch, packages: &[Source], tarball: &Source) -> Result<String> {
    let mut text = format!("{FORMAT}\n{arch}\n{}\n", cmd::version(&busybox::compiler(arch))?);
    text.push_str(&busybox::OPTIONS.join("\n"));
    for source in packages.iter().chain([tarball]) {
        text.push('\n');
        text.push_str(&source.sha256);
    }
    Ok(output::digest_of(text.as_bytes()))
}

fn unpack(packages: &[Source], into: &Path) -> Result<()> {
    let shell = Shell::new()?;
    for package in packages {
        let unpack = shell.cmd("dpkg-deb").arg("--extract").arg(&package.path).arg(into);
        cmd::clean_env(unpack)
            .quiet()
            .run()
            .with_context(|| format!("unpacking {}", package.path.display()))?;
    }
    Ok(())
}

fn certificates(packages: &[Source]) -> Result<Vec<u8>> {
    let package = packages
        .iter()
        .find(|package| package.name == "ca-certificates")
        .ok_or_else(|| anyhow!("there are no certificates"))?;
    let is_certificate = |name: &str| {
        name.contains("/ca-certificates/mozilla/") && name.strip_suffix(".crt").is_some()
    };
    let mut bundle = Vec::new();
    debian::copy_members(&package.path, is_certificate, &mut bundle)?;
    Ok(bundle)
}

#[cfg(test)]
mod tests;
