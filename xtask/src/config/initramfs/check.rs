//! Checks each table of `initramfs.toml`. Raw tables in; values out, and every fault with its key. It goes on after a fault, so that all are found.

use super::Binary;
use super::Device;
use super::Folder;
use super::ImageConfig;
use super::Link;
use super::Local;
use super::Members;
use super::Part;
use super::Piece;
use super::raw::Raw;
use super::raw::RawFile;
use super::raw::RawPiece;
use super::raw::RawUpstream;
use crate::arch::Arch;
use crate::config::IMAGE_FILE;
use crate::config::Project;
use crate::config::checks;
use crate::config::faults::Faults;
use crate::sources::Pin;
use anyhow::Result;
use clap::ValueEnum as _;
use std::collections::BTreeMap;

/// A check at work: what was found good, and what was found wrong.
pub(super) struct Check<'a> {
    arch: Arch,
    project: Project<'a>,
    faults: Faults,
    /// The key that gave each path.
    owners: BTreeMap<String, String>,
    config: ImageConfig,
}

impl<'a> Check<'a> {
    pub(super) fn new(arch: Arch, project: Project<'a>) -> Self {
        Self {
            arch,
            project,
            faults: Faults::new(IMAGE_FILE),
            owners: BTreeMap::new(),
            config: ImageConfig::default(),
        }
    }

    /// The checked configuration, or all of its faults.
    pub(super) fn all(mut self, raw: Raw) -> Result<ImageConfig> {
        self.faults.unknown_keys("", &raw.unknown, Raw::KEYS);
        for (name, raw) in raw.upstream {
            let pin = self.pin(&name, raw);
            self.config.upstream.insert(name, pin);
        }
        for (index, raw) in raw.dir.into_iter().enumerate() {
            let key = format!("dir[{index}]");
            self.faults.unknown_keys(&format!("{key}."), &raw.unknown, &["path", "mode"]);
            let folder =
                Folder { path: self.path(&key, raw.path), mode: self.mode(&key, raw.mode) };
            self.config.folders.push(folder);
        }
        for (index, raw) in raw.symlink.into_iter().enumerate() {
            let key = format!("symlink[{index}]");
            self.faults.unknown_keys(&format!("{key}."), &raw.unknown, &["path", "target"]);
            let link = Link {
                path: self.path(&key, raw.path),
                target: self.faults.required(format_args!("{key}.target"), raw.target),
            };
            self.config.links.push(link);
        }
        for (index, raw) in raw.device.into_iter().enumerate() {
            let key = format!("device[{index}]");
            self.faults.unknown_keys(&format!("{key}."), &raw.unknown, &["path", "mode", "number"]);
            let (path, mode) = (self.path(&key, raw.path), self.mode(&key, raw.mode));
            let (major, minor) = self.number(&key, raw.number);
            self.config.devices.push(Device { path, mode, major, minor });
        }
        for (index, raw) in raw.binary.into_iter().enumerate() {
            let key = format!("binary[{index}]");
            self.faults.unknown_keys(
                &format!("{key}."),
                &raw.unknown,
                &["path", "mode", "package"],
            );
            let binary = Binary {
                path: self.path(&key, raw.path),
                mode: self.mode(&key, raw.mode),
                package: self.package(&key, raw.package),
            };
            self.config.binaries.push(binary);
        }
        for (index, raw) in raw.file.into_iter().enumerate() {
            self.file(&format!("file[{index}]"), raw);
        }
        self.faults.finish()?;
        Ok(self.config)
    }

    fn pin(&mut self, name: &str, raw: RawUpstream) -> Pin {
        let key = format!("upstream.{name}");
        self.faults.unknown_keys(&format!("{key}."), &raw.unknown, &["version", "url", "sha256"]);
        let version = self.faults.required(format_args!("{key}.version"), raw.version);
        let url = self.faults.required(format_args!("{key}.url"), raw.url);
        let url = checks::expand(
            &url,
            &[("version", &version), ("cpu", self.arch.cpu()), ("oci", self.arch.oci())],
        );
        let url = self.faults.keep_or_default(format_args!("{key}.url"), url);
        let known = Arch::value_variants();
        let names: Vec<&str> = known.iter().map(|arch| arch.kernel()).collect();
        for (arch, digest) in &raw.sha256 {
            if !names.contains(&arch.as_str()) {
                self.faults.unknown(format_args!("{key}.sha256"), arch, &names);
            }
            self.faults.keep(format_args!("{key}.sha256.{arch}"), checks::digest(digest));
        }
        let sha256 = raw.sha256.get(self.arch.kernel()).map(|digest| digest.to_ascii_lowercase());
        let sha256 = self.faults.required(format_args!("{key}.sha256.{}", self.arch), sha256);
        Pin { name: name.to_owned(), version, url, sha256 }
    }

    fn file(&mut self, key: &str, raw: RawFile) {
        self.faults.unknown_keys(
            &format!("{key}."),
            &raw.unknown,
            &["path", "mode", "local", "upstream", "debian"],
        );
        let path = self.path(key, raw.path);
        let mode = self.mode(key, raw.mode);
        match (raw.local, raw.upstream, raw.debian) {
            (Some(file), None, None) => {
                let key = format!("{key}.local");
                let file = self.faults.keep_or_default(&key, checks::project_path(&file));
                if !file.is_empty() && !(self.project.is_file)(&file) {
                    self.faults.add(key, format_args!("'{file}' is no file of the project"));
                }
                self.config.locals.push(Local { path, mode, file: file.into() });
            }
            (None, None, None) => {
                self.faults.add(key, "has no bytes; wanted: local, upstream or debian");
            }
            (Some(_), _, _) => self.faults.add(key, "has local and a source; wanted: one of them"),
            (None, upstream, debian) => {
                let upstream =
                    upstream.map(|raw| self.upstream_piece(&format!("{key}.upstream"), raw));
                let debian = debian.map(|raw| self.debian_piece(&format!("{key}.debian"), raw));
                self.config.parts.push(Part { path, mode, upstream, debian });
            }
        }
    }

    fn upstream_piece(&mut self, key: &str, mut raw: RawPiece) -> Piece {
        self.faults.unknown_keys(
            &format!("{key}."),
            &raw.unknown,
            &["source", "member", "members"],
        );
        if raw.package.take().is_some() {
            self.faults.add(format_args!("{key}.package"), "is a key of debian; wanted: source");
        }
        let from = self.faults.required(format_args!("{key}.source"), raw.source.take());
        if !from.is_empty() && !self.config.upstream.contains_key(&from) {
            let known: Vec<&str> = self.config.upstream.keys().map(String::as_str).collect();
            self.faults.unknown(format_args!("{key}.source"), &from, &known);
        }
        Piece { from, members: self.members(key, raw) }
    }

    fn debian_piece(&mut self, key: &str, mut raw: RawPiece) -> Piece {
        self.faults.unknown_keys(
            &format!("{key}."),
            &raw.unknown,
            &["package", "member", "members"],
        );
        if raw.source.take().is_some() {
            self.faults.add(format_args!("{key}.source"), "is a key of upstream; wanted: package");
        }
        let from = self.faults.required(format_args!("{key}.package"), raw.package.take());
        Piece { from, members: self.members(key, raw) }
    }

    fn members(&mut self, key: &str, raw: RawPiece) -> Members {
        match (raw.member, raw.members) {
            (Some(name), None) => Members::One(self.expanded(&format!("{key}.member"), &name)),
            (None, Some(pattern)) => {
                let key = format!("{key}.members");
                let pattern = self.expanded(&key, &pattern);
                if let Some((prefix, suffix)) =
                    pattern.split_once('*').filter(|(_, suffix)| !suffix.contains(['*', '/']))
                {
                    return Members::Joined {
                        prefix: prefix.to_owned(),
                        suffix: suffix.to_owned(),
                    };
                }
                self.faults.add(
                    key,
                    format_args!(
                        "'{pattern}' is no pattern; wanted: one '*', in the last part of the path"
                    ),
                );
                Members::One(String::new())
            }
            (one, _) => {
                let fact = if one.is_some() {
                    "has member and members; wanted: one of them"
                } else {
                    "lacks member or members"
                };
                self.faults.add(key, fact);
                Members::One(String::new())
            }
        }
    }

    /// A path of the image that no other key has given.
    fn path(&mut self, key: &str, raw: Option<String>) -> String {
        let key = format!("{key}.path");
        let path = self.faults.required(&key, raw);
        if path.is_empty() {
            return path;
        }
        let path = self.expanded(&key, &path);
        let Some(path) = self.faults.keep(&key, checks::image_path(&path)) else {
            return String::new();
        };
        match self.owners.get(&path) {
            Some(owner) => {
                self.faults.add(key, format_args!("'/{path}' is already given by {owner}"));
            }
            None => drop(self.owners.insert(path.clone(), key)),
        }
        path
    }

    fn mode(&mut self, key: &str, raw: Option<String>) -> u32 {
        let key = format!("{key}.mode");
        let text = self.faults.required(&key, raw);
        if text.is_empty() { 0 } else { self.faults.keep_or_default(key, checks::mode(&text)) }
    }

    /// A device's number, `1:3`.
    fn number(&mut self, key: &str, raw: Option<String>) -> (u32, u32) {
        let key = format!("{key}.number");
        let text = self.faults.required(&key, raw);
        if text.is_empty() {
            return (0, 0);
        }
        let parts =
            text.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let fault = || format!("'{text}' is no device number; wanted: MAJOR:MINOR, as in 1:3");
        self.faults.keep_or_default(key, parts.ok_or_else(fault))
    }

    fn package(&mut self, key: &str, raw: Option<String>) -> String {
        let key = format!("{key}.package");
        let package = self.faults.required(&key, raw);
        if !package.is_empty() && !self.project.packages.contains(&package) {
            let known: Vec<&str> = self.project.packages.iter().map(String::as_str).collect();
            self.faults.unknown(key, &package, &known);
        }
        package
    }

    fn expanded(&mut self, key: &str, text: &str) -> String {
        self.faults.keep_or_default(
            key,
            checks::expand(text, &[("cpu", self.arch.cpu()), ("oci", self.arch.oci())]),
        )
    }
}
