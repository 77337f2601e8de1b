//! Compares a published set with a rebuild of it. The checkout determines what is built and
//! compared; the published side is only read.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use archive::{gzip, newc};
use serde_json::Value;

use crate::{
    build as builds, config,
    config::{KernelConfig, Profile, env::Settings},
    describe,
    describe::{Facts, Manifest},
    host::{arch::Arch, output, report, report::hinted},
    initramfs,
    initramfs::{Image, parts, toolchain},
    kernel as kernels,
    kernel::KernelRequest,
    publish::release::{Build, Release},
    sources::{SourceOptions, Sources},
    verify::{difference, kernel, kernel::First, published, twice},
};

/// The fields of a manifest that only the results of a build determine.
const RESULTS: [&str; 3] = ["/inputs/programs", "/kernel/config_sha256", "/outputs"];

/// What is rebuilt.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub archs: &'a [Arch],
    pub profile: Profile,
    /// `None` for the times and options in the published manifests.
    pub settings: Option<&'a Settings>,
    /// An empty directory for the build.
    pub out: &'a Path,
}

/// A published set.
pub trait Set {
    /// Fails if the set has other contents than a build, as far as that is known before the build.
    fn check(&self, request: &Request<'_>) -> Result<()>;

    /// The published manifest of one build.
    fn manifest(&self, arch: Arch, profile: Profile) -> Result<Vec<u8>>;

    /// Compares every byte with the release that was built in `out`. Returns the lines of the
    /// result: all verified digests, and the names of what was not verified.
    fn compare(&self, release: &Release, out: &Path, rebuild: &dyn Rebuild) -> Result<Vec<String>>;
}

/// A build of this checkout.
pub trait Rebuild {
    /// The manifest of a build, without its results.
    fn inputs(&self, arch: Arch, settings: &Settings) -> Result<Manifest>;

    /// Builds and describes the boot files in `out`.
    fn build(&self, arch: Arch, settings: &Settings, out: &Path) -> Result<()>;

    /// Keeps two different files. Returns their paths as the end of an error message.
    fn keep(&self, name: &str, ours: &[u8], theirs: &[u8]) -> Result<String>;

    /// Fails with the first difference of a rebuilt and a published file.
    fn require_equal(&self, name: &str, ours: &[u8], theirs: &[u8]) -> Result<()> {
        if ours == theirs {
            return Ok(());
        }
        let [one, other] = [ours, theirs].map(output::digest_of);
        let difference = difference::difference(ours, theirs);
        let kept = self.keep(name, ours, theirs)?;
        bail!("{name} is {one} when rebuilt, published was {other}: {difference}; {kept}")
    }
}

/// Rebuilds a set and compares. Returns the lines of the result.
pub fn compare(set: &dyn Set, request: &Request<'_>, build: &dyn Rebuild) -> Result<Vec<String>> {
    // Building takes up to an hour, so everything that is known before it is compared first.
    set.check(request)?;
    let Request { profile, out, .. } = *request;
    let (mut builds, mut lines) = (Vec::new(), Vec::new());
    for arch in request.archs {
        let theirs = serde_json::from_slice(&set.manifest(*arch, profile)?)
            .with_context(|| format!("parsing the published manifest for {arch}"))?;
        let settings = match request.settings {
            Some(settings) => settings.clone(),
            None => published::settings(&theirs)?,
        };
        check_inputs(build.inputs(*arch, &settings)?, theirs)?;
        builds.push((arch, settings));
    }
    report::step("the published inputs are those of this checkout");
    for (arch, settings) in builds {
        build.build(*arch, &settings, out)?;
    }
    let release = Release::read(out, profile, request.archs)?;
    let from = if request.settings.is_some() { "this checkout" } else { "the published set" };
    for Build { arch, manifest: Manifest { times, kernel, .. }, .. } in &release.builds {
        let (fs_mtime, timestamp) = (&times.fs_mtime, &times.kernel_build_timestamp);
        let line = format!("FS_MTIME={fs_mtime} KERNEL_BUILD_TIMESTAMP={timestamp}");
        let line = format!("{line} KERNEL_CONFIG={:?}", kernel.options);
        lines.push(format!("{arch} was built with these values of {from}: {line}"));
    }
    lines.extend(set.compare(&release, out, build)?);
    Ok(lines)
}

/// The file names of the boot files.
pub fn boot_files(arch: Arch, profile: Profile) -> [String; 2] {
    [initramfs::output_path(arch), builds::kernel_path(arch, profile)]
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

fn check_inputs(ours: Manifest, mut theirs: Value) -> Result<()> {
    let mut ours = serde_json::to_value(ours).context("writing a manifest")?;
    for manifest in [&mut ours, &mut theirs] {
        for field in RESULTS {
            drop(manifest.pointer_mut(field).map(Value::take));
        }
    }
    let differences = difference::document_differences(&ours, &theirs);
    if differences.is_empty() {
        return Ok(());
    }
    let is_setting = |line: &String| ["times.", "kernel."].iter().any(|at| line.starts_with(at));
    let hint = if differences.iter().all(is_setting) {
        "if you trust these times and options, build with --with-published-options"
    } else {
        "check out the commit of the published build and use its tools and sources"
    };
    let fact = "the outputs cannot be equal because the inputs differ";
    Err(hinted(format!("{fact}:\n{}", differences.join("\n")), hint))
}

/// Builds with the tools of this machine: the initramfs in a copy of the project.
#[derive(Debug)]
pub struct Checkout<'a> {
    pub profile: Profile,
    pub options: &'a SourceOptions,
    pub sources: Sources,
    pub config: KernelConfig,
    pub first: First,
}

impl Checkout<'_> {
    fn request<'a>(&'a self, arch: Arch, settings: &'a Settings) -> KernelRequest<'a> {
        let Self { profile, sources, config, .. } = self;
        KernelRequest { arch, profile: *profile, sources, settings, config }
    }

    /// Describes an initramfs with these programs.
    fn image(&self, arch: Arch, path: &Path, programs: BTreeMap<String, String>) -> Result<Image> {
        let parts = parts::obtain(&config::read_image_config(arch)?, arch, &self.sources)?;
        Ok(Image { path: path.to_owned(), toolchain: toolchain::select(arch)?, programs, parts })
    }
}

impl Rebuild for Checkout<'_> {
    fn inputs(&self, arch: Arch, settings: &Settings) -> Result<Manifest> {
        let image = &self.image(arch, Path::new(""), BTreeMap::new())?;
        let kernel = &kernels::planned(&self.request(arch, settings))?;
        let profile = self.profile;
        describe::manifest(&Facts { arch, profile, settings, kernel, image, outputs: &[] })
    }

    fn build(&self, arch: Arch, settings: &Settings, out: &Path) -> Result<()> {
        let outputs = &boot_files(arch, self.profile).map(|name| out.join(name));
        let [initramfs, path] = outputs;
        let set = self.image(arch, initramfs, BTreeMap::new())?.parts.set;
        let options = SourceOptions { sources: Some(set), ..self.options.clone() };
        let bytes = twice::rebuilt_initramfs(arch, settings, &options)?;
        output::write(initramfs, &bytes)?;
        let image = &self.image(arch, initramfs, programs(arch, &bytes)?)?;
        let directory = self.sources.cache.temporary_folder()?;
        let kernel = &kernel::build(&self.request(arch, settings), self.first, directory.path())?;
        output::publish(&kernel.image, path)?;
        let profile = self.profile;
        describe::write(&Facts { arch, profile, settings, kernel, image, outputs }, out)
    }

    fn keep(&self, name: &str, ours: &[u8], theirs: &[u8]) -> Result<String> {
        difference::keep(name, ours, theirs)
    }
}

/// The digests of the programs in an initramfs, by package.
fn programs(arch: Arch, initramfs: &[u8]) -> Result<BTreeMap<String, String>> {
    let entries = newc::read(&gzip::decompress(initramfs)?)?;
    let config = config::read_image_config(arch)?;
    let digest = |binary: config::Binary| {
        let entry = entries.iter().find(|entry| entry.path == binary.path)?;
        Some((binary.package, output::digest_of(&entry.content)))
    };
    Ok(config.binaries.into_iter().filter_map(digest).collect())
}

#[cfg(test)]
mod tests;
