//! The project's configuration files as checked values.

pub mod env;
mod initramfs;
mod kernel;
mod problems;
mod values;

use std::path::Path;

use anyhow::{Context as _, Result};
pub use initramfs::{ImageConfig, Members, Part, Piece};
pub use kernel::{KernelConfig, Profile};
pub use problems::{Problems, nearest, unknown_name};

use crate::host::{arch::Arch, project};

pub const IMAGE_FILE: &str = "initramfs.toml";
pub const KERNEL_FILE: &str = "kernel/kernel.toml";

/// A file on the internet and its digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pin {
    /// Its name in errors and in the manifest: `linux`, `alpine`.
    pub name: String,
    pub version: String,
    pub url: String,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Pin {
    /// The last segment of the URL: the file name in the cache and in a source directory.
    pub fn file_name(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or(&self.url);
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// The content of the initramfs.
pub fn read_image_config(arch: Arch) -> Result<ImageConfig> {
    ImageConfig::parse(&read(&project::root(), IMAGE_FILE)?, arch, &project::root())
}

/// The kernel's source and profiles.
pub fn read_kernel_config() -> Result<KernelConfig> {
    KernelConfig::parse(&read(&project::root(), KERNEL_FILE)?, &project::root())
}

fn read(root: &Path, file: &str) -> Result<String> {
    std::fs::read_to_string(root.join(file)).with_context(|| format!("reading {file}"))
}

/// The programs of the workspace at `root`, without xtask, whose code is never in an image.
fn workspace_packages(root: &Path) -> Result<Vec<String>> {
    let manifest: toml::Table =
        toml::from_str(&read(root, "Cargo.toml")?).context("parsing Cargo.toml")?;
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    let members = members.and_then(toml::Value::as_array).context("Cargo.toml has no members")?;
    let is_program = |member: &&str| *member != "xtask" && !member.starts_with("crates/");
    let names = members.iter().filter_map(toml::Value::as_str).filter(is_program);
    Ok(names.map(str::to_owned).collect())
}
