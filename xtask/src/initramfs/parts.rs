//! Reads the files of the image that come from sources, all from one set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};

use anyhow::{Context as _, Result, anyhow, bail};
use flate2::read::MultiGzDecoder;

use crate::{
    config::{ImageConfig, Members, Part, Piece, nearest},
    host::arch::Arch,
    sources::{Source, SourceSet, Sources, debian},
};

#[derive(Debug)]
pub struct Parts {
    /// Each part of the set in use, and its bytes.
    pub files: Vec<(Part, Vec<u8>)>,
    pub set: SourceSet,
    pub sources: Vec<Source>,
}

impl Parts {
    /// The set's name, as `--sources` takes it.
    pub fn set_name(&self) -> &'static str {
        match self.set {
            SourceSet::Upstream => "upstream",
            SourceSet::Debian => "debian",
        }
    }
}

/// All parts of `config`, from upstream if it is reachable, otherwise from Debian.
pub fn obtain(config: &ImageConfig, arch: Arch, sources: &Sources) -> Result<Parts> {
    if let Some(parts) = obtain_upstream(config, sources)? {
        return Ok(parts);
    }
    let packages: Vec<&str> = names(config, SourceSet::Debian).into_iter().collect();
    pick(config, SourceSet::Debian, sources.debian(&packages, arch)?)
}

fn obtain_upstream(config: &ImageConfig, sources: &Sources) -> Result<Option<Parts>> {
    let (used, mut found) = (names(config, SourceSet::Upstream), Vec::new());
    for (_, pin) in config.upstream.iter().filter(|(name, _)| used.contains(name.as_str())) {
        let Some(source) = sources.upstream(pin)? else { return Ok(None) };
        found.push(source);
    }
    pick(config, SourceSet::Upstream, found).map(Some)
}

/// The piece of a part in this set.
pub fn piece(part: &Part, set: SourceSet) -> Option<&Piece> {
    match set {
        SourceSet::Upstream => part.upstream.as_ref(),
        SourceSet::Debian => part.debian.as_ref(),
    }
}

/// The names of the sources in this set that have a piece of the image.
fn names(config: &ImageConfig, set: SourceSet) -> BTreeSet<&str> {
    config.parts.iter().filter_map(|part| Some(piece(part, set)?.from.as_str())).collect()
}

/// The parts in this set, from its sources.
fn pick(config: &ImageConfig, set: SourceSet, sources: Vec<Source>) -> Result<Parts> {
    let read = match set {
        SourceSet::Upstream => Archive::read_tar_gz,
        SourceSet::Debian => Archive::read_deb,
    };
    let mut archives = BTreeMap::new();
    for source in &sources {
        archives.insert(source.name.as_str(), read(&source.path)?);
    }
    let mut files = Vec::new();
    for part in &config.parts {
        let Some(Piece { from, members }) = piece(part, set) else { continue };
        let archive = archives.get(from.as_str());
        let archive =
            archive.with_context(|| format!("unknown source '{from}' of '/{}'", part.path))?;
        let bytes = archive
            .get(members)
            .with_context(|| format!("reading the bytes of '/{}'", part.path))?;
        files.push((part.clone(), bytes));
    }
    Ok(Parts { files, set, sources })
}

/// Maximum length of a chain of links.
const MAX_LINKS: usize = 8;

/// The members of an archive, in memory. Links are followed inside it; nothing is written to disk.
#[derive(Debug)]
pub struct Archive {
    /// The file name, for errors.
    name: String,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File(Vec<u8>),
    /// A link to this member.
    Link(String),
}

impl Archive {
    pub fn read_tar_gz(path: &Path) -> Result<Self> {
        let reading = || format!("reading {}", path.display());
        let file = File::open(path).with_context(reading)?;
        let members =
            read_tar(MultiGzDecoder::new(std::io::BufReader::new(file))).with_context(reading)?;
        Ok(Self { name: file_name(path), members })
    }

    fn read_deb(path: &Path) -> Result<Self> {
        let members = read_tar(debian::read_tar(path)?.as_slice());
        let members = members.with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { name: file_name(path), members })
    }

    /// The bytes of the members that `wanted` describes.
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
            bail!("{} has no member '{prefix}*{suffix}'", self.name);
        }
        Ok(joined)
    }

    /// The file of this name, after following links.
    fn file(&self, wanted: &str) -> Result<&[u8]> {
        let mut name = plain(wanted).to_owned();
        for _ in 0..=MAX_LINKS {
            // Debian 13 has /bin, /sbin and /lib below /usr.
            match self.members.get(&name).or_else(|| self.members.get(&format!("usr/{name}"))) {
                Some(Member::File(bytes)) => return Ok(bytes),
                Some(Member::Link(target)) => name.clone_from(target),
                None => return Err(self.not_found(wanted, &name)),
            }
        }
        bail!("'{wanted}' in {} leads through more than {MAX_LINKS} links", self.name)
    }

    fn not_found(&self, wanted: &str, name: &str) -> anyhow::Error {
        let names: Vec<&str> = self.members.keys().map(String::as_str).collect();
        let archive = &self.name;
        if plain(wanted) != name {
            let fact = format!("links to './{name}', which the archive does not contain");
            return anyhow!("'{wanted}' in {archive} {fact}");
        }
        let near = nearest(name, &names).map(|near| format!(" (did you mean './{near}'?)"));
        anyhow!("{archive} has no file '{wanted}'{}", near.unwrap_or_default())
    }
}

/// Whether `name` is `prefix`, characters other than `/`, and `suffix`.
fn matches(name: &str, prefix: &str, suffix: &str) -> bool {
    name.strip_prefix(plain(prefix))
        .and_then(|rest| rest.strip_suffix(suffix))
        .is_some_and(|between| !between.contains('/'))
}

fn read_tar(tar: impl Read) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let name = plain(&String::from_utf8_lossy(&entry.path_bytes())).to_owned();
        let kind = entry.header().entry_type();
        let target =
            entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        match target {
            Some(target) if kind.is_symlink() => {
                drop(members.insert(name.clone(), Member::Link(resolve(&name, &target))));
            }
            Some(target) if kind.is_hard_link() => {
                drop(members.insert(name, Member::Link(plain(&target).to_owned())));
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

/// The target of the symbolic link `link` in the archive.
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

/// A name without the leading `./` or `/` of some archives.
fn plain(name: &str) -> &str {
    name.trim_start_matches("./").trim_start_matches('/')
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
