//! `cargo xtask build-initramfs`: writes a reproducible archive as described in `initramfs.toml`.

pub mod binaries;
pub mod parts;
pub mod toolchain;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use archive::{
    gzip, newc,
    tree::{Entry, Tree},
};

use crate::{
    config,
    config::{ImageConfig, env::Settings},
    host::{
        arch::{Arch, ArchOption},
        output, project, report, setup,
        setup::Need,
    },
    initramfs::{binaries::Programs, parts::Parts, toolchain::Toolchain},
    sources::{SourceOptions, Sources},
};

/// Build the initramfs
///
/// Writes out/initramfs-amd64.gz or out/initramfs-arm64.gz as described in initramfs.toml, with
/// ocidd and init built from this workspace. The same inputs give the same bytes. `FS_MTIME` sets
/// the time of its files; see .env.example.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build-initramfs
      For this machine's architecture
  cargo xtask build-initramfs --arch all
      For x86_64 and arm64; offers to install a missing cross compiler
  cargo xtask build-initramfs --locked
      From pinned sources only, as releases are made
  zcat out/initramfs-amd64.gz | cpio -itv
      List its contents")]
pub struct Args {
    #[command(flatten)]
    pub arch: ArchOption,
    #[command(flatten)]
    pub sources: SourceOptions,
}

/// An initramfs in `out/`, and its inputs.
#[derive(Debug)]
pub struct Image {
    pub path: PathBuf,
    pub toolchain: Toolchain,
    /// The digests of the workspace's programs, by package.
    pub programs: BTreeMap<String, String>,
    pub parts: Parts,
}

pub fn run(args: &Args) -> Result<()> {
    let archs = args.arch.chosen()?;
    let settings = Settings::read()?;
    setup::require_for(&archs, &[Need::Binaries])?;
    let sources = Sources::open(&args.sources)?;
    for arch in archs {
        let config = config::read_image_config(arch)?;
        let image = build(arch, &config, &settings, &sources)?;
        report::result(image.path.display());
    }
    output::write_sums(&project::out())
}

/// Builds the initramfs that `config` describes.
pub fn build(
    arch: Arch,
    config: &ImageConfig,
    settings: &Settings,
    sources: &Sources,
) -> Result<Image> {
    let toolchain = toolchain::select(arch)?;
    let packages = config.binaries.iter().map(|binary| binary.package.as_str()).collect();
    let programs = binaries::build(&packages, arch, &toolchain)?;
    let parts = parts::obtain(config, arch, sources)?;
    let image = compose(config, &programs, &parts, settings.fs_mtime)?;
    let path = output_path(arch);
    output::write(&path, &image)?;
    let programs =
        programs.into_iter().map(|(package, bytes)| (package, output::digest_of(&bytes))).collect();
    Ok(Image { path, toolchain, programs, parts })
}

fn compose(
    config: &ImageConfig,
    programs: &Programs,
    parts: &Parts,
    mtime: u32,
) -> Result<Vec<u8>> {
    let tree = build_tree(config, programs, parts).context("building the tree of the initramfs")?;
    let archive = newc::write(&tree, mtime).context("writing the initramfs")?;
    let zipped = gzip::compress(&archive)?;
    report::step(format_args!(
        "initramfs of {} entries, {} bytes, {} compressed",
        tree.entries().count(),
        archive.len(),
        zipped.len()
    ));
    Ok(zipped)
}

/// The output file of the initramfs.
pub fn output_path(arch: Arch) -> PathBuf {
    project::out().join(format!("initramfs-{}.gz", arch.oci()))
}

/// The content of one of the project's own files.
fn read_local(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(project::root().join(file)).with_context(|| format!("reading {}", file.display()))
}

/// The tree that `config` describes, with the bytes of each file. Reads the project's own files.
fn build_tree(config: &ImageConfig, programs: &Programs, parts: &Parts) -> Result<Tree> {
    let mut entries: Vec<(String, Entry)> = Vec::new();
    let mut add = |path: &str, entry| entries.push((path.to_owned(), entry));
    for folder in &config.folders {
        add(&folder.path, Entry::directory(folder.mode));
    }
    for link in &config.links {
        add(&link.path, Entry::link(&link.target));
    }
    for device in &config.devices {
        let (major, minor) = device.number;
        add(&device.path, Entry::device(device.mode, major, minor));
    }
    for (part, bytes) in &parts.files {
        add(&part.path, Entry::file(part.mode, bytes.clone()));
    }
    for binary in &config.binaries {
        let bytes = programs.get(&binary.package);
        let bytes = bytes.ok_or_else(|| anyhow!("package '{}' was not built", binary.package))?;
        add(&binary.path, Entry::file(binary.mode, bytes.clone()));
    }
    for local in &config.locals {
        add(&local.path, Entry::file(local.mode, read_local(&local.file)?));
    }
    Ok(Tree::new(entries)?)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::{sources::SourceSet, test::golden};

    /// The image of the project's `initramfs.toml`; the content of each file is its path.
    fn listing(arch: Arch, set: SourceSet) -> String {
        let config = config::read_image_config(arch).unwrap();
        let programs = config
            .binaries
            .iter()
            .map(|binary| (binary.package.clone(), binary.path.clone().into_bytes()))
            .collect();
        let piece = |part: &config::Part| {
            if set == SourceSet::Upstream { part.upstream.is_some() } else { part.debian.is_some() }
        };
        let files = config
            .parts
            .iter()
            .filter(|part| piece(part))
            .map(|part| (part.clone(), part.path.clone().into_bytes()))
            .collect();
        let parts = Parts { files, set, sources: Vec::new() };
        let tree = build_tree(&config, &programs, &parts).unwrap();
        golden::listing(&newc::read(&newc::write(&tree, 0).unwrap()).unwrap())
    }

    #[test]
    fn image_contains_the_reviewed_files() {
        for arch in Arch::value_variants() {
            for set in SourceSet::value_variants() {
                let name = set.to_possible_value().unwrap();
                golden::check(
                    &format!("initramfs-{}-{}.txt", arch.oci(), name.get_name()),
                    &listing(*arch, *set),
                );
            }
        }
    }

    #[test]
    fn rejects_an_image_with_missing_bytes() {
        let config = config::read_image_config(Arch::X86_64).unwrap();
        let parts = Parts { files: Vec::new(), set: SourceSet::Upstream, sources: Vec::new() };
        let error = build_tree(&config, &BTreeMap::new(), &parts).unwrap_err();
        assert_eq!(error.to_string(), "package 'init' was not built");
    }
}
