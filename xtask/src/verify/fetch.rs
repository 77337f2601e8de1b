//! A published set of files, wherever it is: in a folder, below a URL, in a registry. Goes in: where. Comes out: the files in reach of this machine.
//! Nothing that is fetched is believed: the manifest says which digests its files must have.

use crate::arch::Arch;
use crate::cmd;
use crate::config::Profile;
use crate::download::Client;
use crate::output;
use crate::verify::published;
use crate::verify::published::Published;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use anyhow::ensure;
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;
use xshell::Shell;

/// How a reference to an artifact in a registry begins.
const OCI: &str = "oci://";
/// What names a layer's file (OCI image spec, "Pre-Defined Annotation Keys").
const TITLE: &str = "org.opencontainers.image.title";

/// A published set.
#[derive(Debug)]
pub(super) struct Set {
    /// As the user named it.
    name: String,
    folder: PathBuf,
    /// Where files come from that the folder lacks.
    url: Option<String>,
    _temporary: Option<TempDir>,
}

/// The set at `from`: `oci://…`, `https://…`, or a folder.
pub(super) fn open(from: &str) -> Result<Set> {
    let set = |folder: PathBuf, url, temporary| Set {
        name: from.to_owned(),
        folder,
        url,
        _temporary: temporary,
    };
    if let Some(reference) = from.strip_prefix(OCI) {
        let folder = fetch_artifact(reference).with_context(|| format!("fetching {from}"))?;
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
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the set's manifest for one build says.
    pub(super) fn published(&self, arch: Arch, profile: Profile) -> Result<Published> {
        let name = published::file_name(arch, profile);
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
    pub(super) fn file(&self, name: &str) -> Result<PathBuf> {
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
    pub(super) fn verified(&self, name: &str, sha256: &str) -> Result<Vec<u8>> {
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

/// The files of an artifact, by their titles, in a folder of their own.
fn fetch_artifact(reference: &str) -> Result<TempDir> {
    if cmd::find("skopeo").is_none() {
        bail!("skopeo is missing, which fetches artifacts  hint: cargo xtask setup");
    }
    let raw = tempfile::tempdir().context("making a folder for an artifact")?;
    let shell = Shell::new()?;
    // Signatures are the host's own affair: nothing here is run or installed.
    let mut copy = shell.cmd("skopeo").args(["--insecure-policy", "copy", "--quiet"]);
    copy = copy.arg("--preserve-digests");
    let host = reference.split(['/', ':']).next().unwrap_or_default();
    if matches!(host, "localhost" | "127.0.0.1") {
        copy = copy.arg("--src-tls-verify=false");
    }
    copy.arg(format!("docker://{reference}"))
        .arg(format!("dir:{}", raw.path().display()))
        .quiet()
        .run()
        .context("copying it with skopeo")?;
    let path = raw.path().join("manifest.json");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let files = tempfile::tempdir().context("making a folder for an artifact")?;
    for (title, digest) in layers(&text)? {
        // skopeo checked the digests, and names the files by them.
        let (from, to) = (raw.path().join(digest), files.path().join(title));
        std::fs::rename(&from, &to)
            .with_context(|| format!("moving {} to {}", from.display(), to.display()))?;
    }
    Ok(files)
}

/// The titles of an artifact's layers and the digits of their digests, of those that have a title.
fn layers(manifest: &str) -> Result<Vec<(String, String)>> {
    let manifest: Value = serde_json::from_str(manifest).context("parsing the OCI manifest")?;
    let layers = manifest
        .get("layers")
        .and_then(Value::as_array)
        .ok_or_else(|| anyhow!("the OCI manifest has no layers; an artifact is wanted"))?;
    let mut titled = Vec::new();
    for layer in layers {
        let Some(title) = layer
            .get("annotations")
            .and_then(|annotations| annotations.get(TITLE))
            .and_then(Value::as_str)
        else {
            continue;
        };
        ensure!(is_plain(title), "the title '{title}' of a layer is no name of a file");
        let digits = layer
            .get("digest")
            .and_then(Value::as_str)
            .and_then(|digest| digest.strip_prefix("sha256:"))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .with_context(|| format!("the layer '{title}' has no SHA-256"))?;
        titled.push((title.to_owned(), digits.to_owned()));
    }
    Ok(titled)
}

#[cfg(test)]
mod tests;
