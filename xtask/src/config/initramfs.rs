//! `initramfs.toml` as a checked [`ImageConfig`] for one architecture.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{
    IMAGE_FILE, Pin,
    problems::Problems,
    values,
    values::{RawUpstream, Sha256},
};
use crate::host::arch::Arch;

/// The content of the initramfs of one architecture. Every `path` is relative to the image's root
/// and unique.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageConfig {
    /// The pinned sources, by the names in [`Piece::from`].
    pub upstream: BTreeMap<String, Pin>,
    pub folders: Vec<Folder>,
    pub links: Vec<Link>,
    pub devices: Vec<Device>,
    pub binaries: Vec<Binary>,
    pub locals: Vec<Local>,
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    pub path: String,
    #[serde(deserialize_with = "values::mode")]
    pub mode: u32,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub path: String,
    #[serde(deserialize_with = "values::non_empty")]
    pub target: String,
}

/// A character device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub path: String,
    #[serde(deserialize_with = "values::mode")]
    pub mode: u32,
    /// Major and minor.
    #[serde(deserialize_with = "values::device_number")]
    pub number: (u32, u32),
}

/// A program of this workspace. It has the name of its package.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Binary {
    pub path: String,
    #[serde(deserialize_with = "values::mode")]
    pub mode: u32,
    pub package: String,
}

/// A file of the project.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Local {
    pub path: String,
    pub mode: u32,
    /// Relative to the project.
    pub file: PathBuf,
}

/// A file from a source. The image omits it if the source set in use has no piece for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    pub path: String,
    pub mode: u32,
    pub upstream: Option<Piece>,
    pub debian: Option<Piece>,
}

/// The location of a file's bytes in a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Piece {
    /// A key of [`ImageConfig::upstream`], or the name of a Debian package.
    pub from: String,
    pub members: Members,
}

/// Members of an archive, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Members {
    One(String),
    /// All with this prefix and suffix, sorted by name, each ending in a newline.
    Joined {
        prefix: String,
        suffix: String,
    },
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    upstream: BTreeMap<String, RawUpstream<BTreeMap<String, Sha256>>>,
    #[serde(rename = "dir")]
    folders: Vec<Folder>,
    #[serde(rename = "symlink")]
    links: Vec<Link>,
    #[serde(rename = "device")]
    devices: Vec<Device>,
    #[serde(rename = "binary")]
    binaries: Vec<Binary>,
    file: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    #[serde(deserialize_with = "values::mode")]
    mode: u32,
    local: Option<String>,
    upstream: Option<RawUpstreamPiece>,
    debian: Option<RawDebianPiece>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpstreamPiece {
    #[serde(deserialize_with = "values::non_empty")]
    source: String,
    member: Option<String>,
    members: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDebianPiece {
    #[serde(deserialize_with = "values::non_empty")]
    package: String,
    member: Option<String>,
    members: Option<String>,
}

impl ImageConfig {
    /// Parses `text`. Its packages and local files must be in the project at `root`.
    pub fn parse(text: &str, arch: Arch, root: &Path) -> Result<Self> {
        let mut raw: Raw = toml::from_str(text).with_context(|| format!("parsing {IMAGE_FILE}"))?;
        let packages = super::workspace_packages(root)?;
        let mut check =
            Check { arch, problems: Problems::new(IMAGE_FILE), owners: BTreeMap::new() };
        let pins = raw.upstream.into_iter();
        let upstream: BTreeMap<String, Pin> =
            pins.map(|(name, raw)| (name.clone(), check.pin(name, raw))).collect();
        check.paths("dir", raw.folders.iter_mut().map(|folder| &mut folder.path));
        check.paths("symlink", raw.links.iter_mut().map(|link| &mut link.path));
        check.paths("device", raw.devices.iter_mut().map(|device| &mut device.path));
        check.paths("binary", raw.binaries.iter_mut().map(|binary| &mut binary.path));
        check.paths("file", raw.file.iter_mut().map(|file| &mut file.path));
        for (index, binary) in raw.binaries.iter().enumerate() {
            check.name(format!("binary[{index}].package"), &binary.package, packages.iter());
        }
        let (mut locals, mut parts) = (Vec::new(), Vec::new());
        for (index, raw) in raw.file.into_iter().enumerate() {
            let key = format!("file[{index}]");
            let RawFile { path, mode, .. } = raw;
            match (raw.local, raw.upstream, raw.debian) {
                (Some(file), None, None) => {
                    let file = values::project_file(&file, root);
                    let file = check.problems.keep(format!("{key}.local"), file);
                    locals.push(Local { path, mode, file: file.unwrap_or_default().into() });
                }
                (Some(_), ..) => check.problems.add(key, "expected local or a source, found both"),
                (None, None, None) => {
                    check.problems.add(key, "missing local, upstream or debian");
                }
                (None, raw_upstream, debian) => parts.push(Part {
                    path,
                    mode,
                    upstream: raw_upstream.map(|raw| {
                        let key = format!("{key}.upstream");
                        check.name(format!("{key}.source"), &raw.source, upstream.keys());
                        Piece {
                            from: raw.source,
                            members: check.members(&key, raw.member, raw.members),
                        }
                    }),
                    debian: debian.map(|raw| {
                        let key = format!("{key}.debian");
                        Piece {
                            from: raw.package,
                            members: check.members(&key, raw.member, raw.members),
                        }
                    }),
                }),
            }
        }
        check.problems.finish()?;
        let Raw { folders, links, devices, binaries, .. } = raw;
        Ok(Self { upstream, folders, links, devices, binaries, locals, parts })
    }
}

/// The checks that need more than one value. They continue after a problem, to report all.
struct Check {
    arch: Arch,
    problems: Problems,
    /// The key that each path comes from.
    owners: BTreeMap<String, String>,
}

impl Check {
    fn pin(&mut self, name: String, mut raw: RawUpstream<BTreeMap<String, Sha256>>) -> Pin {
        let key = format!("upstream.{name}");
        let RawUpstream { version, url, .. } = raw;
        let known = [("version", &*version), ("cpu", self.arch.cpu()), ("oci", self.arch.oci())];
        let url = self.problems.keep(format!("{key}.url"), values::expand(&url, &known));
        for arch in raw.sha256.keys() {
            let known = Arch::ALL.map(Arch::kernel);
            self.problems.check_name(format!("{key}.sha256"), arch, &known);
        }
        let sha256 = raw.sha256.remove(self.arch.kernel()).map(|digest| digest.0);
        if sha256.is_none() {
            self.problems.add(format!("{key}.sha256.{}", self.arch), "missing");
        }
        Pin { name, version, url: url.unwrap_or_default(), sha256: sha256.unwrap_or_default() }
    }

    /// Makes paths of one table relative to the root. Each must be unique in the file.
    fn paths<'a>(&mut self, table: &str, paths: impl Iterator<Item = &'a mut String>) {
        for (index, path) in paths.enumerate() {
            let key = format!("{table}[{index}].path");
            let expanded = self.expand(path).and_then(|path| values::image_path(&path));
            let Some(expanded) = self.problems.keep(&key, expanded) else { continue };
            if let Some(owner) = self.owners.get(&expanded) {
                let fact = format!("duplicate path '/{expanded}', already used by {owner}");
                self.problems.add(key, fact);
                continue;
            }
            path.clone_from(&expanded);
            self.owners.insert(expanded, key);
        }
    }

    fn name<'a>(&mut self, key: String, name: &str, known: impl Iterator<Item = &'a String>) {
        let known: Vec<&str> = known.map(String::as_str).collect();
        self.problems.check_name(key, name, &known);
    }

    fn members(&mut self, key: &str, one: Option<String>, many: Option<String>) -> Members {
        let members = match (one, many) {
            (Some(name), None) => self.expand(&name).map(Members::One),
            (None, Some(pattern)) => self.expand(&pattern).and_then(|pattern| {
                pattern
                    .split_once('*')
                    .filter(|(_, suffix)| !suffix.contains(['*', '/']))
                    .map(|(prefix, suffix)| Members::Joined {
                        prefix: prefix.to_owned(),
                        suffix: suffix.to_owned(),
                    })
                    .ok_or_else(|| {
                        format!("invalid pattern '{pattern}': expected one '*', in the file name")
                    })
            }),
            (None, None) => Err("missing member or members".to_owned()),
            (Some(_), Some(_)) => Err("expected member or members, found both".to_owned()),
        };
        self.problems.keep(key, members).unwrap_or_else(|| Members::One(String::new()))
    }

    fn expand(&self, text: &str) -> Result<String, String> {
        values::expand(text, &[("cpu", self.arch.cpu()), ("oci", self.arch.oci())])
    }
}
