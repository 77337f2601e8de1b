//! What lies in `out/` of one profile, held against the manifests that were written with it.

use crate::arch::Arch;
use crate::build;
use crate::build_initramfs;
use crate::config::Profile;
use crate::manifest;
use crate::manifest::Manifest;
use crate::output;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use std::path::Path;
use std::path::PathBuf;

/// The boot files of one profile.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) profile: Profile,
    pub(super) builds: Vec<Build>,
}

/// The boot files for one architecture.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) arch: Arch,
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) papers: Vec<Paper>,
}

/// A file that tells of a build.
#[derive(Debug)]
pub(super) struct Paper {
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// The media type of our build manifest, by which `verify` finds it.
pub const BUILD_MANIFEST: &str = "application/vnd.ocidd.build-manifest.v1+json";
const SBOM: &str = "application/spdx+json";
const PROVENANCE: &str = "application/vnd.in-toto+json";

impl Release {
    /// Reads what is there. Files that are missing, or are not what their manifest says, are all told.
    pub(super) fn read(out: &Path, profile: Profile, archs: &[Arch]) -> Result<Self> {
        let builds = archs.iter().map(|arch| Build::read(out, *arch, profile));
        Ok(Self { profile, builds: builds.collect::<Result<_>>()? })
    }
}

/// One version is one state of the sources.
pub(super) fn check_commits(releases: &[Release]) -> Result<()> {
    let mut builds = releases.iter().flat_map(|release| &release.builds);
    let Some(first) = builds.next() else { return Ok(()) };
    for other in builds {
        ensure!(
            other.commit() == first.commit(),
            "{} was built from commit {}, and {} from {}  hint: build all that is published anew, from one checkout",
            first.name(),
            first.commit(),
            other.name(),
            other.commit()
        );
    }
    Ok(())
}

impl Build {
    /// The file that tells of it.
    fn name(&self) -> &str {
        self.papers.first().map(|paper| paper.name.as_str()).unwrap_or_default()
    }

    fn commit(&self) -> &str {
        self.manifest.commit.as_ref().map_or("none", |commit| commit.id.as_str())
    }

    fn read(out: &Path, arch: Arch, profile: Profile) -> Result<Self> {
        let named = |path: PathBuf| out.join(path.file_name().unwrap_or_default());
        let kernel = named(build::kernel_path(arch, profile));
        let initramfs = named(build_initramfs::output_path(arch));
        let paper = |name: String, media_type| {
            let path = out.join(&name);
            let bytes = std::fs::read(&path).with_context(|| {
                format!(
                    "reading {}  hint: cargo xtask build --arch {arch} --profile {profile}",
                    path.display()
                )
            })?;
            Ok::<_, anyhow::Error>(Paper { name, media_type, bytes })
        };
        let [of_manifest, of_sbom, of_provenance] = manifest::file_names(arch, profile);
        let told = paper(of_manifest, BUILD_MANIFEST)?;
        let manifest = Manifest::parse(&String::from_utf8_lossy(&told.bytes))
            .with_context(|| format!("reading {}", told.name))?;
        let papers = vec![told, paper(of_sbom, SBOM)?, paper(of_provenance, PROVENANCE)?];
        let build = Self { arch, kernel, initramfs, manifest, papers };
        build.check(profile)?;
        Ok(build)
    }

    /// A file of another build would be published under this one's papers.
    fn check(&self, profile: Profile) -> Result<()> {
        let found = (self.manifest.arch.as_str(), self.manifest.kernel.profile.as_str());
        let profile = profile.to_string();
        ensure!(
            found == (self.arch.oci(), profile.as_str()),
            "a manifest is about {} and profile {}, not about {} and {profile}",
            found.0,
            found.1,
            self.arch.oci()
        );
        for path in [&self.kernel, &self.initramfs] {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(said) = self.manifest.outputs.get(&name) else {
                bail!("the manifest does not name '{name}'");
            };
            let found = output::digest(path)?;
            ensure!(
                found == said.sha256,
                "sha256 of {} is {found}, its manifest says {}  hint: build anew before publishing",
                path.display(),
                said.sha256
            );
        }
        if self.manifest.commit.as_ref().is_none_or(|commit| !commit.clean) {
            report::warn(format_args!(
                "what is published for {} was built from files that no commit has: nobody can rebuild it",
                self.arch
            ));
        }
        Ok(())
    }

    /// When it was built, as far as anybody says: the time of everything in the initramfs.
    pub(super) fn created(&self) -> &str {
        &self.manifest.times.fs_mtime
    }
}
