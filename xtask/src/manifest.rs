//! Tells what a build was made of and what it made, in three files beside the outputs: the manifest, which a rebuild reads; the SBOM; the provenance.
//! Facts in, JSON out: no path of the machine, no time of the day; the same build gives the same text.

mod asked;
#[cfg(test)]
pub mod example;
mod model;

pub use asked::Asked;
pub use asked::Libc;
pub use asked::commit;
pub use model::Commit;
pub use model::Inputs;
pub use model::Kernel;
pub use model::Manifest;
pub use model::Output;
pub use model::SCHEMA;
pub use model::SourceEntry;
pub use model::Times;
pub use model::Tools;

use crate::arch::Arch;
use crate::build_initramfs::Image;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel::KernelBuild;
use crate::output;
use crate::project;
use crate::provenance;
use crate::sbom;
use crate::sbom::Crates;
use crate::sources::Source;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// The files of the project that decide what is built, beside the code itself and the fragments of the kernel's profile.
const FILES: [&str; 6] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    config::IMAGE_FILE,
    config::KERNEL_FILE,
    "rust-toolchain.toml",
];

/// One build, finished.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub arch: Arch,
    pub profile: Profile,
    pub settings: &'a Settings,
    pub kernel: &'a KernelBuild,
    pub image: &'a Image,
    /// What lies in `out/` now.
    pub outputs: &'a [PathBuf],
}

impl Facts<'_> {
    /// What the names of this build's files have in common: `amd64`, `arm64-hw`.
    pub fn label(&self) -> String {
        format!("{}{}", self.arch.oci(), self.profile.suffix())
    }
}

/// The names of the files that describe a build: the manifest's, the SBOM's, the provenance's.
pub fn file_names(arch: Arch, profile: Profile) -> [String; 3] {
    let label = format!("{}{}", arch.oci(), profile.suffix());
    [
        format!("manifest-{label}.json"),
        format!("sbom-{label}.spdx.json"),
        format!("provenance-{label}.intoto.json"),
    ]
}

/// Writes `out/manifest-<arch>.json`, `out/sbom-<arch>.spdx.json` and `out/provenance-<arch>.intoto.json`.
pub fn write(facts: &Facts<'_>) -> Result<()> {
    let asked = Asked::of(facts)?;
    let programs: Vec<&str> = facts.image.programs.keys().map(String::as_str).collect();
    let crates = Crates::linked_into(&programs, &facts.image.toolchain.target)?;
    for (name, text) in describe(facts, &asked, &crates)? {
        output::write(&project::out().join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The files that describe a build: their names and what they hold.
pub fn describe(
    facts: &Facts<'_>,
    asked: &Asked,
    crates: &Crates,
) -> Result<Vec<(String, String)>> {
    let [of_manifest, of_sbom, of_provenance] = file_names(facts.arch, facts.profile);
    let manifest = manifest(facts, asked)?;
    let sbom = sbom::document(facts, &manifest, crates).context("listing what the outputs hold")?;
    let mut files = vec![(of_manifest, json(&manifest)?), (of_sbom, json(&sbom)?)];
    let statement = provenance::statement(&manifest, &files);
    files.push((of_provenance, json(&statement)?));
    Ok(files)
}

/// As people read it, ending in a newline.
fn json(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    Ok(text)
}

fn manifest(facts: &Facts<'_>, asked: &Asked) -> Result<Manifest> {
    let Facts { settings, kernel, image, .. } = facts;
    let toolchain = &image.toolchain;
    let mut sources: Vec<SourceEntry> =
        image.parts.sources.iter().chain([&kernel.source]).map(source).collect();
    sources.sort();
    Ok(Manifest {
        arch: facts.arch.oci().to_owned(),
        commit: asked.commit.clone(),
        inputs: Inputs {
            files: files(facts)?,
            programs: image.programs.clone(),
            set: image.parts.set_name().to_owned(),
            sources,
        },
        kernel: Kernel {
            config_sha256: output::digest(&kernel.config)?,
            key: kernel.key.clone(),
            options: settings.kernel_config.clone(),
            profile: facts.profile.name().to_owned(),
        },
        outputs: facts.outputs.iter().map(|path| output(path)).collect::<Result<_>>()?,
        schema: SCHEMA,
        times: Times {
            fs_mtime: Timestamp::from_second(settings.fs_mtime.into())?.to_string(),
            kernel_build_timestamp: settings.kernel_timestamp.to_string(),
        },
        tools: Tools {
            cc: toolchain.cc_version.clone(),
            kernel_cc: kernel.compiler.clone(),
            kernel_ld: asked.kernel_ld.clone(),
            libc: asked.libc.clone(),
            linker: if toolchain.lld.is_some() { "rust-lld" } else { "cc" }.to_owned(),
            rust_target: toolchain.target.clone(),
            rustc: toolchain.rustc.clone(),
            rustc_commit: toolchain.commit.clone(),
        },
    })
}

/// The digests of the project's files that decide this build, by their paths in the project.
fn files(facts: &Facts<'_>) -> Result<BTreeMap<String, String>> {
    let kernel = config::read_kernel_config()?;
    let fragments = kernel
        .profiles
        .get(&facts.profile)
        .map_or(&[][..], |profile| profile.fragments(facts.arch));
    let names = FILES.iter().map(Path::new).chain(fragments.iter().map(PathBuf::as_path));
    names
        .map(|name| Ok((name.display().to_string(), output::digest(&project::root().join(name))?)))
        .collect()
}

fn source(source: &Source) -> SourceEntry {
    SourceEntry {
        name: source.name.clone(),
        origin: source.origin.clone(),
        sha256: source.sha256.clone(),
        version: source.version.clone(),
    }
}

fn output(path: &Path) -> Result<(String, Output)> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| anyhow!("output '{}' has no name", path.display()))?;
    let metadata =
        path.metadata().with_context(|| format!("asking for the size of {}", path.display()))?;
    Ok((name.to_owned(), Output { bytes: metadata.len(), sha256: output::digest(path)? }))
}

#[cfg(test)]
mod tests;
