//! Opens a published set of files: a directory, a URL or an artifact in a registry. Fetched files
//! are verified with the digests of the manifest.

mod artifact;

use crate::config::Profile;
use crate::describe;
use crate::host::arch::Arch;
use crate::host::output;
use crate::sources::download::Client;
use crate::verify::published::Published;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// Prefix of a reference to an artifact in a registry.
const OCI: &str = "oci://";

/// A published set.
#[derive(Debug)]
pub struct Set {
    /// As the user named it.
    name: String,
    directory: PathBuf,
    /// Source of files that are not in the directory yet.
    url: Option<String>,
    _temporary: Option<TempDir>,
}

/// Opens the set at `from`: `oci://…`, of which only `archs` are fetched, `https://…` or a
/// directory.
pub fn open(from: &str, archs: &[Arch]) -> Result<Set> {
    let set = |directory: PathBuf, url, temporary| Set {
        name: from.to_owned(),
        directory,
        url,
        _temporary: temporary,
    };
    if let Some(reference) = from.strip_prefix(OCI) {
        let directory =
            artifact::fetch(reference, archs).with_context(|| format!("fetching {from}"))?;
        return Ok(set(directory.path().to_owned(), None, Some(directory)));
    }
    if from.starts_with("https://") || from.starts_with("http://") {
        let directory = tempfile::tempdir().context("creating a directory for a published set")?;
        let url = from.trim_end_matches('/').to_owned();
        return Ok(set(directory.path().to_owned(), Some(url), Some(directory)));
    }
    ensure!(
        Path::new(from).is_dir(),
        "directory '{from}' not found  hint: expected a directory, an https:// URL or \
         {OCI}REGISTRY/REPOSITORY:TAG"
    );
    Ok(set(PathBuf::from(from), None, None))
}

impl Set {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parsed manifest of one build.
    pub fn published(&self, arch: Arch, profile: Profile) -> Result<Published> {
        let [name, ..] = describe::file_names(arch, profile);
        let path = self.file(&name)?;
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {name} of {}", self.name))?;
        let published =
            Published::parse(&text).with_context(|| format!("reading {name} of {}", self.name))?;
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
        Client::default()
            .fetch(&url, name, &mut file)
            .with_context(|| format!("fetching {url}"))?;
        Ok(path)
    }

    /// The bytes of a file of the set, verified with this digest.
    pub fn verified(&self, name: &str, sha256: &str) -> Result<Vec<u8>> {
        let path = self.file(name)?;
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let found = output::digest_of(&bytes);
        ensure!(
            found == sha256,
            "sha256 of the published '{name}' is {found}, its manifest contains {sha256}  hint: \
             the set is damaged or was changed; do not use it"
        );
        Ok(bytes)
    }
}

/// Whether a name is neither a path nor hidden.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
