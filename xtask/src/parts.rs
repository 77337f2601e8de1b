//! The files of the image that come out of sources. Goes in: what `initramfs.toml` asks for. Comes out: bytes, all from one set of sources, and which sources
//! they were.

pub mod archive;

use crate::arch::Arch;
use crate::config::ImageConfig;
use crate::config::Members;
use crate::config::Part;
use crate::config::Piece;
use crate::debian;
use crate::sources::Source;
use crate::sources::SourceSet;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use archive::Archive;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The parts of one image.
#[derive(Debug)]
pub struct Parts {
    /// Each part that the set in use has a piece for, and its bytes.
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

/// Gets every part of `config`, from upstream if all of it can be had there, else from Debian.
pub fn obtain(config: &ImageConfig, arch: Arch, sources: &Sources) -> Result<Parts> {
    match obtain_upstream(config, sources)? {
        Some(parts) => Ok(parts),
        None => obtain_debian(config, arch, sources),
    }
}

fn obtain_upstream(config: &ImageConfig, sources: &Sources) -> Result<Option<Parts>> {
    let used: BTreeSet<&String> = config
        .parts
        .iter()
        .filter_map(|part| part.upstream.as_ref())
        .map(|piece| &piece.from)
        .collect();
    let (mut archives, mut found) = (BTreeMap::new(), Vec::new());
    for (name, pin) in config.upstream.iter().filter(|(name, _)| used.contains(name)) {
        let Some(source) = sources.upstream(pin)? else { return Ok(None) };
        archives.insert(name.clone(), Archive::read_tar_gz(&source.path)?);
        found.push(source);
    }
    let files = pick(&config.parts, |part| part.upstream.as_ref(), &archives)?;
    Ok(Some(Parts { files, set: SourceSet::Upstream, sources: found }))
}

fn obtain_debian(config: &ImageConfig, arch: Arch, sources: &Sources) -> Result<Parts> {
    let pieces: Vec<&Piece> = config.parts.iter().filter_map(|part| part.debian.as_ref()).collect();
    let packages: BTreeSet<&str> = pieces.iter().map(|piece| piece.from.as_str()).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    let found = sources.debian(&packages, arch)?;
    let mut archives = BTreeMap::new();
    for (package, source) in packages.iter().zip(&found) {
        let wanted: Vec<&Members> = pieces
            .iter()
            .filter(|piece| piece.from == *package)
            .map(|piece| &piece.members)
            .collect();
        let members = debian::read_members(&source.path, |name| {
            wanted.iter().any(|members| archive::accepts(members, name))
        })?;
        archives.insert((*package).to_owned(), Archive::of_files(&source.path, members));
    }
    let files = pick(&config.parts, |part| part.debian.as_ref(), &archives)?;
    Ok(Parts { files, set: SourceSet::Debian, sources: found })
}

/// The bytes of each part that has a piece in this set.
fn pick(
    parts: &[Part],
    piece: impl Fn(&Part) -> Option<&Piece>,
    archives: &BTreeMap<String, Archive>,
) -> Result<Vec<(Part, Vec<u8>)>> {
    let mut files = Vec::new();
    for part in parts {
        let Some(piece) = piece(part) else { continue };
        let Some(archive) = archives.get(&piece.from) else {
            bail!("there is no source '{}' for '/{}'", piece.from, part.path)
        };
        let bytes = archive
            .get(&piece.members)
            .with_context(|| format!("finding the bytes of '/{}'", part.path))?;
        files.push((part.clone(), bytes));
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
