//! A published set of files, wherever it is: in a folder, below a URL, in a registry. Goes in: where. Comes out: the files in reach of this machine.
//! Nothing that is fetched is believed: the manifest says which digests its files must have.

mod artifact;

use crate::arch::Arch;
use crate::config::Profile;
use crate::describe;
use crate::download::Client;
use crate::output;
use crate::verify::published::Published;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// How a reference to an artifact in a registry begins.
const OCI: &str = "oci://";
/// A published set.
#[derive(Debug)]
pub struct Set {
    /// As the user named it.
    name: String,
    folder: PathBuf,
    /// Where files come from that the folder lacks.
    url: Option<String>,
    _temporary: Option<TempDir>,
}

/// The set at `from`: `oci://…`, of which only `archs` are fetched, `https://…`, or a folder.
pub fn open(from: &str, archs: &[Arch]) -> Result<Set> {
    let set = |folder: PathBuf, url, temporary| Set {
        name: from.to_owned(),
        folder,
        url,
        _temporary: temporary,
    };
    if let Some(reference) = from.strip_prefix(OCI) {
        let folder =
            artifact::fetch(reference, archs).with_context(|| format!("fetching {from}"))?;
        return Ok(set(folder.path().to_owned(), None, Some(folder)));
    }
    if from.starts_with("https://") || from.starts_with("http://") {
        let folder = tempfile::tempdir().context("making a folder for a published set")?;
        let url = from.trim_end_matches('/').to_owned();
        return Ok(set(folder.path().to_owned(), Some(url), Some(folder)));
    }
    ensure!(
        Path::new(from).is_dir(),
        "'{from}' is no folder  hint: name a folder, a URL as https://boot.example/ocidd, or {OCI}REGISTRY/REPOSITORY:TAG"
    );
    Ok(set(PathBuf::from(from), None, None))
}

impl Set {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the set's manifest for one build says.
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

    /// A file of the set, fetched where it is not here yet.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        ensure!(is_plain(name), "'{name}' is no name of a file");
        let path = self.folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        let Some(url) = &self.url else { bail!("{} has no file '{name}'", self.name) };
        let url = format!("{url}/{name}");
        let mut file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        Client::default()
            .fetch(&url, name, &mut file)
            .with_context(|| format!("fetching {url}"))?;
        Ok(path)
    }

    /// A file of the set, which must have this digest.
    pub fn verified(&self, name: &str, sha256: &str) -> Result<Vec<u8>> {
        let path = self.file(name)?;
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let found = output::digest_of(&bytes);
        ensure!(
            found == sha256,
            "sha256 of the published '{name}' is {found}, its own manifest says {sha256}  hint: the set is damaged, or somebody changed it; there is no use in rebuilding it"
        );
        Ok(bytes)
    }
}

/// Neither a path nor hidden.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
