//! What an archive holds, by name, with links followed inside it. Nothing is ever unpacked onto this machine's file system.

use crate::config::Members;
use crate::config::nearest;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How many links may follow each other; the kernel's own limit is 40.
const MAX_LINKS: usize = 8;

/// An archive in memory.
#[derive(Debug)]
pub struct Archive {
    /// The archive's file name, for errors.
    name: String,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File(Vec<u8>),
    /// A link, and the member it leads to.
    Link(String),
}

impl Archive {
    /// All of a `.tar.gz`.
    pub fn read_tar_gz(path: &Path) -> Result<Self> {
        let reading = || format!("reading {}", path.display());
        let file = File::open(path).with_context(reading)?;
        let members =
            read_tar(MultiGzDecoder::new(std::io::BufReader::new(file))).with_context(reading)?;
        Ok(Self { name: file_name(path), members })
    }

    /// The files of the archive at `path`, read already.
    pub fn of_files(path: &Path, files: BTreeMap<String, Vec<u8>>) -> Self {
        let members =
            files.into_iter().map(|(name, bytes)| (plain(&name), Member::File(bytes))).collect();
        Self { name: file_name(path), members }
    }

    /// The bytes that `wanted` describes.
    pub fn get(&self, wanted: &Members) -> Result<Vec<u8>> {
        match wanted {
            Members::One(name) => Ok(self.file(name)?.to_vec()),
            Members::Joined { prefix, suffix } => self.joined(prefix, suffix),
        }
    }

    fn joined(&self, prefix: &str, suffix: &str) -> Result<Vec<u8>> {
        let mut joined = Vec::new();
        for name in self.members.keys().filter(|name| matches(name, prefix, suffix)) {
            joined.extend_from_slice(self.file(name)?);
            if !joined.ends_with(b"\n") {
                joined.push(b'\n');
            }
        }
        if joined.is_empty() {
            bail!("{} has nothing that is named '{prefix}*{suffix}'", self.name);
        }
        Ok(joined)
    }

    /// The file of this name, or the one that a chain of links leads to.
    fn file(&self, wanted: &str) -> Result<&[u8]> {
        let mut name = plain(wanted);
        for _ in 0..=MAX_LINKS {
            // Debian 13 keeps below /usr what was in /bin, /sbin and /lib, and links these to there.
            match self.members.get(&name).or_else(|| self.members.get(&format!("usr/{name}"))) {
                Some(Member::File(bytes)) => return Ok(bytes),
                Some(Member::Link(target)) => name.clone_from(target),
                None => return Err(self.lacks(wanted, &name)),
            }
        }
        bail!("'{wanted}' in {} is a link that leads to more than {MAX_LINKS} others", self.name)
    }

    fn lacks(&self, wanted: &str, name: &str) -> anyhow::Error {
        let names: Vec<&str> = self.members.keys().map(String::as_str).collect();
        let hint = nearest(name, &names)
            .map(|near| format!("  hint: it has './{near}'"))
            .unwrap_or_default();
        if plain(wanted) == name {
            anyhow!("{} has no file '{wanted}'{hint}", self.name)
        } else {
            anyhow!(
                "'{wanted}' in {} is a link to './{name}', which the archive does not hold",
                self.name
            )
        }
    }
}

/// Whether a member of this name may be among those that `wanted` describes.
pub fn accepts(wanted: &Members, name: &str) -> bool {
    let name = plain(name);
    match wanted {
        Members::One(one) => {
            name == plain(one) || name.strip_prefix("usr/").is_some_and(|rest| rest == plain(one))
        }
        Members::Joined { prefix, suffix } => matches(&name, prefix, suffix),
    }
}

/// Whether `name` is `prefix`, some letters but no `/`, and `suffix`.
fn matches(name: &str, prefix: &str, suffix: &str) -> bool {
    let prefix = plain_prefix(prefix);
    name.strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(suffix))
        .is_some_and(|between| !between.contains('/'))
}

fn read_tar(tar: impl Read) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let name = plain(&String::from_utf8_lossy(&entry.path_bytes()));
        let kind = entry.header().entry_type();
        let target =
            entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        match target {
            Some(target) if kind.is_symlink() => {
                drop(members.insert(name.clone(), Member::Link(resolve(&name, &target))));
            }
            Some(target) if kind.is_hard_link() => {
                drop(members.insert(name, Member::Link(plain(&target))));
            }
            _ if kind.is_file() => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).with_context(|| format!("reading '{name}'"))?;
                members.insert(name, Member::File(bytes));
            }
            _ => {}
        }
    }
    Ok(members)
}

/// The member that a symbolic link at `link` leads to.
fn resolve(link: &str, target: &str) -> String {
    let base = if target.starts_with('/') {
        ""
    } else {
        link.rsplit_once('/').map_or("", |(folder, _)| folder)
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Names differ in a leading `./` or `/` from archive to archive.
fn plain(name: &str) -> String {
    plain_prefix(name).to_owned()
}

fn plain_prefix(name: &str) -> &str {
    name.trim_start_matches("./").trim_start_matches('/')
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
pub mod tests;
