//! `initramfs.toml` as text in, a checked [`ImageConfig`] for one architecture out.

mod check;
mod raw;
#[cfg(test)]
mod tests;

use super::IMAGE_FILE;
use super::Project;
use crate::arch::Arch;
use crate::sources::Pin;
use anyhow::Context as _;
use anyhow::Result;
use check::Check;
use raw::Raw;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the initramfs of one architecture holds. Every `path` is relative to the image's root, and none is given twice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImageConfig {
    /// The pinned sources by the names that [`Piece::from`] uses.
    pub upstream: BTreeMap<String, Pin>,
    pub folders: Vec<Folder>,
    pub links: Vec<Link>,
    pub devices: Vec<Device>,
    pub binaries: Vec<Binary>,
    pub locals: Vec<Local>,
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Folder {
    pub path: String,
    pub mode: u32,
}

/// A symbolic link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    pub path: String,
    pub target: String,
}

/// A character device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    pub path: String,
    pub mode: u32,
    pub major: u32,
    pub minor: u32,
}

/// A program of this workspace, which has the name of its package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binary {
    pub path: String,
    pub mode: u32,
    pub package: String,
}

/// A file of the project, taken as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Local {
    pub path: String,
    pub mode: u32,
    /// Relative to the project.
    pub file: PathBuf,
}

/// A file out of a source. Where the set of sources in use has no piece for it, the image goes without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    pub path: String,
    pub mode: u32,
    pub upstream: Option<Piece>,
    pub debian: Option<Piece>,
}

/// Where in a source the bytes of a file are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Piece {
    /// A key of [`ImageConfig::upstream`], or the name of a Debian package.
    pub from: String,
    pub members: Members,
}

/// Members of an archive, by their names in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Members {
    One(String),
    /// All whose names begin and end so, in the order of their names, each ending in a newline.
    Joined {
        prefix: String,
        suffix: String,
    },
}

impl ImageConfig {
    /// Checks `text`, whose packages and local files must be in `project`.
    pub fn parse(text: &str, arch: Arch, project: Project<'_>) -> Result<Self> {
        let raw: Raw = toml::from_str(text).with_context(|| format!("parsing {IMAGE_FILE}"))?;
        Check::new(arch, project).all(raw)
    }
}
