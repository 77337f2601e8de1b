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
    with_project(IMAGE_FILE, |text, project| ImageConfig::parse(text, arch, project))
}

/// How the kernel is built.
pub fn read_kernel_config() -> Result<KernelConfig> {
    with_project(KERNEL_FILE, KernelConfig::parse)
}

/// The errors of several files as one, so that none hides another.
pub fn join_errors(errors: impl IntoIterator<Item = Option<anyhow::Error>>) -> anyhow::Error {
    let errors: Vec<String> =
        errors.into_iter().flatten().map(|error| format!("{error:#}")).collect();
    anyhow!("{}", errors.join("\n"))
}

fn with_project<T>(file: &str, parse: impl FnOnce(&str, Project<'_>) -> Result<T>) -> Result<T> {
    let root = project::root();
    let read = |file: &str| {
        std::fs::read_to_string(root.join(file)).with_context(|| format!("reading {file}"))
    };
    let packages = workspace_packages(&read("Cargo.toml")?)?;
    parse(
        &read(file)?,
        Project { packages: &packages, is_file: &|path| root.join(Path::new(path)).is_file() },
    )
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
