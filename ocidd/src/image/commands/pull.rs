//! `pull`: writes the layers of an image to files.

use std::{
    collections::BTreeSet,
    fs,
    fs::File,
    io,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use oci::{
    digest::{Digest, HashingReader},
    document,
    platform::Platform,
};
use oci_spec::image::Descriptor;
use registry::{auth::Access, error::During as _, location::Location, session::Session};

use super::{layer_name, print, resolve_manifest};
use crate::image::error::{Error, Result};

/// Download the files of an image, named by their titles
#[derive(Args, Debug)]
pub(in crate::image) struct Pull {
    /// registry/repository:tag or oci:DIR:NAME
    #[arg(value_name = "REF")]
    image: String,
    /// Directory to write to
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Platform to select from an image index [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Replace existing files that differ
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Pull, session: &Session) -> Result<()> {
    let mut place = Location::open(session, &args.image, Access::Pull)?;
    let (_, manifest) = resolve_manifest(&mut place, args.platform.as_ref())?;
    let mut files: Vec<(&Descriptor, PathBuf)> = Vec::new();
    let mut seen = BTreeSet::new();
    for layer in manifest.layers() {
        let Some(name) = layer_name(layer) else { continue };
        let path = parse_title(name)?;
        if !seen.insert(path.clone()) {
            let message = format!("two layers have the name '{name}'");
            return Err(Error::new(message, "`ocidd image url` prints the URL of each layer"));
        }
        files.push((layer, path));
    }
    if files.is_empty() {
        return Err(anyhow!("'{}' has no layer with a title", args.image).into());
    }
    for (layer, path) in files {
        pull_file(&mut place, layer, &args.output, &path, args.force)?;
        print(&format!("{}\n", args.output.join(&path).display()))?;
    }
    Ok(())
}

/// A title as a path that stays below the output directory.
fn parse_title(title: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(title);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || title.is_empty() || title.contains(['\0', '\\']) || title.ends_with('/') {
        bail!(
            "the title '{}' of a layer is not a file name below the directory",
            title.escape_debug()
        );
    }
    Ok(path.to_owned())
}

fn pull_file(
    place: &mut Location<'_>,
    layer: &Descriptor,
    folder: &Path,
    path: &Path,
    force: bool,
) -> Result<()> {
    let digest = document::digest_of(layer)?;
    let target = folder.join(path);
    let doing = || format!("pulling {}", target.display());
    create_directories(folder, path).with_context(doing)?;
    if let Ok(metadata) = fs::symlink_metadata(&target) {
        if metadata.is_file() && digest_of_file(&target).with_context(doing)? == digest {
            return Ok(());
        }
        if !force || metadata.is_dir() {
            let message = format!("'{}' exists and differs", target.display());
            return Err(Error::new(message, "--force replaces it"));
        }
    }
    Ok(place.save_blob(layer, &target).during(doing)?)
}

/// Creates the directories of a title. Symbolic links are rejected.
fn create_directories(folder: &Path, path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut below = folder.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        below.push(part);
        match fs::symlink_metadata(&below) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => bail!("'{}' is not a directory", below.display()),
            Err(_) => fs::create_dir(&below)?,
        }
    }
    Ok(())
}

fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let (hasher, _) = HashingReader::new(File::open(path)?).drain()?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_stays_below_the_directory() {
        for title in ["a", "a/b", "a b.raw.gz", ".hidden", "a..b"] {
            assert_eq!(parse_title(title).unwrap(), Path::new(title));
        }
        for title in ["", "/", "/a", "..", "../a", "a/../../b", "a/..", "./a", "a/", "a\0b", "a\\b"]
        {
            parse_title(title).unwrap_err();
        }
    }
}
