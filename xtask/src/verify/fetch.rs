//! Opens a published set of files: a directory, a URL or an artifact in a registry. Fetched files
//! are verified with the digests of the manifest.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use oci::{
    document,
    document::{Descriptor, Document},
};
use oci_spec::image::ImageManifest;
use registry::{
    auth::Access,
    http::Tls,
    location::Location,
    session::{Session, Settings},
};
use tempfile::TempDir;

use crate::{
    config::Profile,
    describe,
    describe::Manifest,
    host::{
        arch::Arch,
        output,
        report::{Console, hinted},
    },
    publish::BUILD_MANIFEST,
    sources::download::Client,
    verify::published::Published,
};

/// Prefix of a reference to an artifact in a registry.
const OCI: &str = "oci://";
const CREATING: &str = "creating a directory for a published set";

#[derive(Debug)]
pub struct Set {
    /// As the user named it.
    pub name: String,
    directory: PathBuf,
    /// Source of files that are not in the directory yet.
    url: Option<String>,
    _temporary: Option<TempDir>,
}

/// Opens the set at `from`: `oci://…`, of which only `archs` are fetched, `https://…` or a
/// directory.
pub fn open(from: &str, archs: &[Arch]) -> Result<Set> {
    let is_url = from.starts_with("https://") || from.starts_with("http://");
    let temporary = match from.strip_prefix(OCI) {
        Some(reference) => {
            Some(fetch_artifact(reference, archs).with_context(|| format!("fetching {from}"))?)
        }
        None if is_url => Some(tempfile::tempdir().context(CREATING)?),
        None => None,
    };
    let directory = temporary.as_ref().map_or(Path::new(from), TempDir::path).to_owned();
    if !directory.is_dir() {
        let hint = format!("pass a directory, an https:// URL or {OCI}REGISTRY/REPOSITORY:TAG");
        return Err(hinted(format!("directory '{from}' not found"), hint));
    }
    let url = is_url.then(|| from.trim_end_matches('/').to_owned());
    Ok(Set { name: from.to_owned(), directory, url, _temporary: temporary })
}

impl Set {
    /// The parsed manifest of one build.
    pub fn published(&self, arch: Arch, profile: Profile) -> Result<Published> {
        let [name, ..] = describe::file_names(arch, profile);
        let path = self.file(&name)?;
        let reading = || format!("reading {name} of {}", self.name);
        let text = std::fs::read_to_string(&path).with_context(reading)?;
        let published = Published::parse(&text).with_context(reading)?;
        ensure!(
            (published.arch, published.profile) == (arch, profile),
            "{name} is about {}, profile {}",
            published.arch,
            published.profile
        );
        Ok(published)
    }

    /// A file of the set, fetched if necessary.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        ensure!(is_plain(name), "invalid file name '{name}'");
        let path = self.directory.join(name);
        if path.is_file() {
            return Ok(path);
        }
        let Some(url) = &self.url else { bail!("{} has no file '{name}'", self.name) };
        let url = format!("{url}/{name}");
        let mut file =
            File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        Client::default().fetch(&url, name, &mut file, u64::MAX)?;
        Ok(path)
    }

    /// The bytes of a file of the set, verified with this digest.
    pub fn verified(&self, name: &str, sha256: &str) -> Result<Vec<u8>> {
        let path = self.file(name)?;
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let found = output::digest_of(&bytes);
        if found != sha256 {
            let fact = format!("sha256 of the published '{name}' is {found}");
            let fact = format!("{fact}, its manifest contains {sha256}");
            return Err(hinted(fact, "the set is damaged or was changed; do not use it"));
        }
        Ok(bytes)
    }
}

/// Saves the files of the set in a temporary directory.
fn fetch_artifact(reference: &str, archs: &[Arch]) -> Result<TempDir> {
    let host = reference.split(['/', ':']).next().unwrap_or_default();
    let is_here = matches!(host, "localhost" | "127.0.0.1");
    let tls = if is_here { Tls::Plain } else { Tls::Required };
    let session = Session::new(Settings { tls, ..Settings::default() }, Box::new(Console));
    let mut place = Location::open(&session, reference, Access::Pull)?;
    let folder = tempfile::tempdir().context(CREATING)?;
    let found = place.resolve()?;
    match found.parse()? {
        Document::Manifest(_) => save(&mut place, &found.descriptor, folder.path())?,
        Document::Index(index) => {
            let wanted = |entry: &&Descriptor| {
                let platform = entry.platform().as_ref();
                let named = platform.map(|platform| platform.architecture().to_string());
                named.is_some_and(|named| archs.iter().any(|arch| arch.oci() == named))
            };
            let entries: Vec<_> = index.manifests().iter().filter(wanted).collect();
            ensure!(
                !entries.is_empty(),
                "the image index contains nothing for these architectures"
            );
            entries.into_iter().try_for_each(|entry| save(&mut place, entry, folder.path()))?;
        }
    }
    Ok(folder)
}

/// Saves the files of one manifest under the names in its build manifest, else under their titles.
fn save(place: &mut Location<'_>, manifest: &Descriptor, folder: &Path) -> Result<()> {
    let parsed = read_manifest(place, manifest)?;
    let Some((name, text)) = build_manifest(place, manifest)? else {
        for layer in parsed.layers() {
            let Some(title) = document::title_of(layer) else { continue };
            ensure!(is_plain(title), "the title '{title}' of a layer is not a valid file name");
            place.save_blob(layer, &folder.join(title))?;
        }
        return Ok(());
    };
    std::fs::write(folder.join(&name), &text).with_context(|| format!("writing {name}"))?;
    let build = Manifest::parse(&text).with_context(|| format!("reading {name}"))?;
    for (name, output) in &build.outputs {
        ensure!(is_plain(name), "invalid file name '{name}'");
        let digest = format!("sha256:{}", output.sha256);
        let layer = parsed.layers().iter().find(|layer| layer.digest().to_string() == digest);
        let layer = layer.with_context(|| {
            format!("layer {digest} for {name} of the build manifest not found in the manifest")
        })?;
        place.save_blob(layer, &folder.join(name))?;
    }
    Ok(())
}

fn read_manifest(place: &mut Location<'_>, manifest: &Descriptor) -> Result<ImageManifest> {
    match place.read_manifest(manifest)?.parse()? {
        Document::Manifest(parsed) => Ok(parsed),
        Document::Index(_) => bail!("expected a manifest, found an image index"),
    }
}

/// Name and text of the build manifest that refers to a published manifest.
fn build_manifest(
    place: &mut Location<'_>,
    about: &Descriptor,
) -> Result<Option<(String, String)>> {
    for referrer in place.referrers(&document::digest_of(about)?)? {
        let Document::Manifest(parsed) = place.read_manifest(&referrer)?.parse()? else { continue };
        let artifact_type = parsed.artifact_type().as_ref().map(ToString::to_string);
        let Some([layer]) = Some(parsed.layers().as_slice()) else { continue };
        if artifact_type.as_deref() != Some(BUILD_MANIFEST) {
            continue;
        }
        let name = document::title_of(layer).filter(|name| is_plain(name));
        let name = name.context("the build manifest has no name")?.to_owned();
        let text =
            String::from_utf8(place.read_blob(layer)?).context("reading the build manifest")?;
        return Ok(Some((name, text)));
    }
    Ok(None)
}

/// Whether a name is neither a path nor hidden.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
