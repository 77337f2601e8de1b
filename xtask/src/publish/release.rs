//! Reads the files of a profile in `out/` and compares them with their manifests.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    build,
    config::Profile,
    describe,
    describe::Manifest,
    host::{arch::Arch, output, report, report::hinted},
    initramfs,
};

/// The boot files of one profile.
#[derive(Debug)]
pub struct Release {
    pub profile: Profile,
    pub builds: Vec<Build>,
}

/// The boot files for one architecture.
#[derive(Debug)]
pub struct Build {
    pub arch: Arch,
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    pub manifest: Manifest,
    pub attestations: Vec<Attestation>,
}

/// A file that describes a build.
#[derive(Debug)]
pub struct Attestation {
    pub name: String,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// The media type of the build manifest. `verify` finds it by this.
pub const BUILD_MANIFEST: &str = "application/vnd.ocidd.build-manifest.v1+json";
const SBOM: &str = "application/spdx+json";
const PROVENANCE: &str = "application/vnd.in-toto+json";

impl Release {
    /// Reads all builds. Missing files and files that differ from their manifest are errors.
    pub fn read(out: &Path, profile: Profile, archs: &[Arch]) -> Result<Self> {
        let builds = archs.iter().map(|arch| Build::read(out, *arch, profile));
        Ok(Self { profile, builds: builds.collect::<Result<_>>()? })
    }
}

/// All builds of a version must be from one commit.
pub fn check_commits(releases: &[Release]) -> Result<()> {
    let mut builds = releases.iter().flat_map(|release| &release.builds);
    let Some(first) = builds.next() else { return Ok(()) };
    for other in builds {
        if other.commit() != first.commit() {
            let [one, two] = [first, other]
                .map(|build| format!("{} is from commit {}", build.name(), build.commit()));
            return Err(hinted(
                format!("{one}, {two}"),
                "build all of them again from one checkout",
            ));
        }
    }
    Ok(())
}

impl Build {
    /// The name of its manifest.
    fn name(&self) -> &str {
        self.attestations.first().map(|attestation| attestation.name.as_str()).unwrap_or_default()
    }

    fn commit(&self) -> &str {
        self.manifest.commit.as_ref().map_or("none", |commit| commit.id.as_str())
    }

    fn read(out: &Path, arch: Arch, profile: Profile) -> Result<Self> {
        let named = |path: PathBuf| out.join(path.file_name().unwrap_or_default());
        let kernel = named(build::kernel_path(arch, profile));
        let initramfs = named(initramfs::output_path(arch));
        let attestation = |name: String, media_type| {
            let path = out.join(&name);
            let bytes = std::fs::read(&path).map_err(|error| {
                let fact = format!("reading {}: {error}", path.display());
                hinted(fact, format!("run cargo xtask build --arch {arch} --profile {profile}"))
            })?;
            Ok::<_, anyhow::Error>(Attestation { name, media_type, bytes })
        };
        let [manifest_name, sbom_name, provenance_name] = describe::file_names(arch, profile);
        let first = attestation(manifest_name, BUILD_MANIFEST)?;
        let manifest = Manifest::parse(&String::from_utf8_lossy(&first.bytes))
            .with_context(|| format!("reading {}", first.name))?;
        let (expected, found) = (arch.oci(), (&manifest.arch, &manifest.kernel.profile));
        ensure!(
            found == (&expected.to_owned(), &profile.to_string()),
            "manifest is for {} and profile {}, expected {expected} and {profile}",
            found.0,
            found.1
        );
        // Files of another build are not what these attestations describe.
        for path in [&kernel, &initramfs] {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(expected) = manifest.outputs.get(&name) else {
                bail!("'{name}' not found in the manifest");
            };
            let (found, expected) = (output::digest(path)?, &expected.sha256);
            if found != *expected {
                let path = path.display();
                let fact = format!("sha256 of {path} is {found}, expected {expected}");
                return Err(hinted(format!("{fact} from its manifest"), "build again"));
            }
        }
        if manifest.commit.as_ref().is_none_or(|commit| !commit.clean) {
            report::warn(format_args!(
                "files for {arch} were built from uncommitted changes; \
                 the build cannot be reproduced"
            ));
        }
        let attestations =
            vec![first, attestation(sbom_name, SBOM)?, attestation(provenance_name, PROVENANCE)?];
        Ok(Self { arch, kernel, initramfs, manifest, attestations })
    }

    /// The creation time: the time of all files in the initramfs.
    pub fn created(&self) -> &str {
        &self.manifest.times.fs_mtime
    }
}
