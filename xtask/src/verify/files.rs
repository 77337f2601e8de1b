//! A published set of files in a directory or at a URL.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{
    config::Profile,
    describe,
    host::{
        arch::Arch,
        output,
        output::{PREFIXES, SUMS},
        report::hinted,
    },
    publish::release::Release,
    sources::download::Client,
    verify::against::{Rebuild, Request, Set, boot_files},
};

/// Maximum size of a fetched document. A manifest has a few KiB, an SBOM less than a MiB.
const DOCUMENT_LIMIT_BYTES: u64 = 4 << 20;
const BOOT_FILE_LIMIT_BYTES: u64 = 1 << 30;

#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    /// Source of files that are not in the directory yet.
    url: Option<String>,
    _temporary: Option<TempDir>,
}

/// All files of builds but the list of digests. Boot files precede the documents about them.
fn names(archs: &[Arch], profile: Profile) -> Vec<String> {
    let files = archs.iter().flat_map(|arch| boot_files(*arch, profile));
    files.chain(archs.iter().flat_map(|arch| describe::file_names(*arch, profile))).collect()
}

impl Files {
    /// The set in a directory or at an `https://` URL.
    pub fn open(from: &str) -> Result<Self> {
        let is_url = from.starts_with("https://") || from.starts_with("http://");
        let temporary =
            is_url.then(tempfile::tempdir).transpose().context("creating a directory")?;
        let directory = temporary.as_ref().map_or(Path::new(from), TempDir::path).to_owned();
        if !directory.is_dir() {
            let hint = "pass a directory, an https:// URL or oci://REGISTRY/REPOSITORY:TAG";
            return Err(hinted(format!("directory '{from}' not found"), hint));
        }
        let url = is_url.then(|| from.trim_end_matches('/').to_owned());
        Ok(Self { directory, url, _temporary: temporary })
    }

    /// The bytes of one of the files that a build writes, fetched if necessary.
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.directory.join(name);
        if let Some(url) = self.url.as_ref().filter(|_| !path.is_file()) {
            let is_boot_file = ["vmlinuz-", "initramfs-"].iter().any(|kind| name.starts_with(kind));
            let limit = if is_boot_file { BOOT_FILE_LIMIT_BYTES } else { DOCUMENT_LIMIT_BYTES };
            let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
            Client::default().fetch(&format!("{url}/{name}"), name, &mut file, limit)?;
            let _kept: File = file.persist(&path)?;
        }
        ensure!(path.is_file(), "{} not found, or not a file", path.display());
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// Verifies that the list of digests has those of the published files, and that all names are
    /// those of builds. Returns the names of the files that are not `verified`.
    fn others(&self, verified: &[String]) -> Result<BTreeSet<String>> {
        let text = self.read(SUMS)?;
        let text = String::from_utf8_lossy(&text);
        let name = |line: &str| line.rsplit_once("  ").map_or(line, |(_, name)| name).to_owned();
        let mut sums: BTreeMap<_, _> =
            text.lines().map(|line| (name(line), format!("{line}\n"))).collect();
        for name in verified {
            let line = format!("{}  {name}\n", output::digest_of(&self.read(name)?));
            sums.insert(name.clone(), line);
        }
        let expected = sums.values().map(String::as_str).collect::<String>();
        if text != expected {
            let line =
                expected.lines().find(|line| !text.contains(line)).unwrap_or("another order");
            let fact = format!("{SUMS} differs from the files of the set, which give {line}");
            return Err(hinted(
                text::escape(&fact),
                "the set was damaged or changed; do not use it",
            ));
        }
        let mut others: BTreeSet<_> =
            sums.into_keys().filter(|name| !verified.contains(name)).collect();
        if self.url.is_none() {
            let listing = || format!("listing {}", self.directory.display());
            for entry in std::fs::read_dir(&self.directory).with_context(listing)? {
                let name = entry.with_context(listing)?.file_name().to_string_lossy().into_owned();
                if name != SUMS && !verified.contains(&name) {
                    others.insert(name);
                }
            }
        }
        let known = Profile::ALL.map(|profile| names(&Arch::ALL, profile)).concat();
        // Anything else that looks like an output might be booted instead of the verified one.
        let is_output = |name: &&String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        match others.iter().filter(is_output).find(|name| !known.contains(*name)) {
            Some(name) => bail!("no build has the published file '{}'", text::escape(name)),
            None => Ok(others),
        }
    }
}

impl Set for Files {
    fn check(&self, request: &Request<'_>) -> Result<()> {
        self.others(&names(request.archs, request.profile)).map(drop)
    }

    fn manifest(&self, arch: Arch, profile: Profile) -> Result<Vec<u8>> {
        let [name, ..] = describe::file_names(arch, profile);
        self.read(&name)
    }

    fn compare(&self, release: &Release, out: &Path, rebuild: &dyn Rebuild) -> Result<Vec<String>> {
        let archs: Vec<Arch> = release.builds.iter().map(|build| build.arch).collect();
        let verified = names(&archs, release.profile);
        let mut lines = Vec::new();
        for name in &verified {
            let path = out.join(name);
            let ours =
                std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            rebuild.require_equal(name, &ours, &self.read(name)?)?;
            lines.push(format!("{}  {name}", output::digest_of(&ours)));
        }
        let others = self.others(&verified)?;
        if !others.is_empty() {
            let names = others.into_iter().collect::<Vec<_>>().join(", ");
            lines.push(format!("not verified: {}", text::escape(&names)));
        }
        Ok(lines)
    }
}
