//! The project's configuration files, as text in and checked values out. A file with faults gives all of them at once and no value.

mod checks;
mod faults;
mod initramfs;
mod kernel;
mod profile;

pub use faults::Faults;
pub use faults::nearest;
pub use faults::unknown_word;
pub use initramfs::ImageConfig;
pub use initramfs::Members;
pub use initramfs::Part;
pub use initramfs::Piece;
pub use kernel::KernelConfig;
pub use profile::Profile;

use crate::arch::Arch;
use crate::project;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use std::path::Path;

pub const IMAGE_FILE: &str = "initramfs.toml";
pub const KERNEL_FILE: &str = "kernel/kernel.toml";

/// What a configuration file may name in the project.
#[derive(Clone, Copy)]
pub struct Project<'a> {
    /// The members of the workspace that end in an image.
    pub packages: &'a [String],
    /// Whether a path, relative to the project, is a file.
    pub is_file: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Project<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project").field("packages", &self.packages).finish_non_exhaustive()
    }
}

/// What the initramfs holds.
pub fn read_image_config(arch: Arch) -> Result<ImageConfig> {
    parse_image_config(&read(IMAGE_FILE)?, arch)
}

/// How the kernel is built.
pub fn read_kernel_config() -> Result<KernelConfig> {
    parse_kernel_config(&read(KERNEL_FILE)?)
}

/// What the initramfs would hold if `text` were the project's `initramfs.toml`.
pub fn parse_image_config(text: &str, arch: Arch) -> Result<ImageConfig> {
    with_project(|project| ImageConfig::parse(text, arch, project))
}

/// How the kernel would be built if `text` were the project's `kernel/kernel.toml`.
pub fn parse_kernel_config(text: &str) -> Result<KernelConfig> {
    with_project(|project| KernelConfig::parse(text, project))
}

/// Nothing failed, or all that did as one error.
pub fn join_outcomes(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).map(Some).collect();
    if errors.is_empty() { Ok(()) } else { Err(join_errors(errors)) }
}

/// The errors of several files as one, so that none hides another.
pub fn join_errors(errors: impl IntoIterator<Item = Option<anyhow::Error>>) -> anyhow::Error {
    let errors: Vec<String> =
        errors.into_iter().flatten().map(|error| format!("{error:#}")).collect();
    anyhow!("{}", errors.join("\n"))
}

fn with_project<T>(parse: impl FnOnce(Project<'_>) -> Result<T>) -> Result<T> {
    let root = project::root();
    let packages = workspace_packages(&read("Cargo.toml")?)?;
    parse(Project { packages: &packages, is_file: &|path| root.join(Path::new(path)).is_file() })
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(project::root().join(file)).with_context(|| format!("reading {file}"))
}

/// The members of the workspace but xtask, whose code never ends in an image.
fn workspace_packages(manifest: &str) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(serde::Deserialize)]
    struct Workspace {
        members: Vec<String>,
    }
    let manifest: Manifest = toml::from_str(manifest).context("parsing Cargo.toml")?;
    Ok(manifest.workspace.members.into_iter().filter(|member| member != "xtask").collect())
}
