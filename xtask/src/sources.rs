//! Sources of a build: pinned upstream files, or Debian packages if upstream is unreachable. Their
//! digests are verified in every run.

pub mod cache;
pub mod debian;
pub mod download;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use tempfile::NamedTempFile;

use crate::{
    config::Pin,
    host::{arch::Arch, output, report, report::hinted},
    sources::{
        cache::Cache,
        download::{Client, DownloadError},
    },
};

/// The sets of sources. Upstream is pinned, Debian is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SourceSet {
    Upstream,
    Debian,
}

/// Flags for sources, shared by all subcommands that build.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SourceOptions {
    /// Use this set of sources [default: upstream, or debian if upstream is unreachable]
    #[arg(long, value_name = "SET")]
    pub sources: Option<SourceSet>,
    /// Use only pinned sources, never Debian's
    #[arg(long)]
    pub locked: bool,
    /// Use upstream files in this directory, named as in their URLs
    #[arg(long, value_name = "DIR")]
    pub source_dir: Option<PathBuf>,
    /// Use no network, only the cache, --source-dir and crates that cargo has downloaded
    #[arg(long)]
    pub offline: bool,
}

static OFFLINE: AtomicBool = AtomicBool::new(false);

/// Whether `--offline` was given. For cargo and rustup, which have their own network access.
pub fn is_offline() -> bool {
    OFFLINE.load(Ordering::Relaxed)
}

/// A source in the cache, verified in this run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    pub name: String,
    pub version: String,
    /// The URL; for Debian packages the path within the archive.
    pub origin: String,
    pub sha256: String,
    pub path: PathBuf,
}

#[derive(Debug)]
pub struct Sources {
    options: SourceOptions,
    pub cache: Cache,
    client: Client,
    /// Unreachable hosts, so that each costs one timeout.
    unreachable: RefCell<BTreeSet<String>>,
    /// URLs replaced by Debian packages, so that each is reported once.
    replaced: RefCell<BTreeSet<String>>,
}

impl Sources {
    pub fn open(options: &SourceOptions) -> Result<Self> {
        OFFLINE.store(options.offline, Ordering::Relaxed);
        Self::with(options, Cache::open()?, Client::default())
    }

    /// Sources in this cache, fetched by this client.
    pub fn with(options: &SourceOptions, cache: Cache, client: Client) -> Result<Self> {
        if options.sources == Some(SourceSet::Debian) {
            if options.locked {
                bail!("--locked and --sources debian exclude each other: packages are not pinned");
            }
            if options.source_dir.is_some() {
                bail!("--source-dir contains upstream files, which --sources debian excludes");
            }
        }
        if let Some(folder) = options.source_dir.as_ref().filter(|folder| !folder.is_dir()) {
            bail!("--source-dir {} is not a directory", folder.display());
        }
        Ok(Self {
            options: options.clone(),
            cache,
            client,
            unreachable: RefCell::default(),
            replaced: RefCell::default(),
        })
    }

    /// The pinned file, from the cache, `--source-dir` or its URL.
    ///
    /// `None` means to use the Debian set: the user chose it, or the host is unreachable, which is
    /// a warning. A wrong digest is always an error; the wrong file is kept for inspection.
    pub fn upstream(&self, pin: &Pin) -> Result<Option<Source>> {
        if self.options.sources == Some(SourceSet::Debian) {
            return Ok(None);
        }
        let found = self.obtain(pin).with_context(|| format!("source '{}'", pin.name))?;
        Ok(found.map(|path| Source {
            name: pin.name.clone(),
            version: pin.version.clone(),
            origin: pin.url.clone(),
            sha256: pin.sha256.clone(),
            path,
        }))
    }

    /// The newest Debian packages of these names, as `.deb` files in the same order.
    pub fn debian(&self, packages: &[&str], arch: Arch) -> Result<Vec<Source>> {
        if self.options.offline {
            return debian::stored_packages(&self.cache, packages, arch)
                .with_context(|| format!("reading {} from the cache", packages.join(", ")));
        }
        debian::packages(&self.cache, packages, arch)
            .with_context(|| format!("fetching {} from Debian's archive", packages.join(", ")))
    }

    fn obtain(&self, pin: &Pin) -> Result<Option<PathBuf>> {
        if let Some(path) = self.cache.source(&pin.sha256, pin.file_name())? {
            return Ok(Some(path));
        }
        match &self.options.source_dir {
            Some(folder) => self.copied(pin, folder).map(Some),
            None if self.options.offline => {
                let reason =
                    format!("{} is not in the cache, and --offline forbids downloads", pin.url);
                self.fall_back(pin, &reason)
            }
            None => self.fetched(pin),
        }
    }

    fn copied(&self, pin: &Pin, folder: &Path) -> Result<PathBuf> {
        let from = folder.join(pin.file_name());
        if !from.is_file() {
            let hint = format!("download it from {}", pin.url);
            return Err(hinted(format!("{} not found", from.display()), hint));
        }
        self.verified(pin, self.cache.temporary_copy(&from)?, &from.display().to_string())
    }

    fn fetched(&self, pin: &Pin) -> Result<Option<PathBuf>> {
        let host = download::host(&pin.url);
        if self.unreachable.borrow().contains(host) {
            return self.fall_back(pin, &format!("'{host}' cannot be reached"));
        }
        report::step(format_args!("fetching {} {} from {}", pin.name, pin.version, pin.url));
        let mut file = self.cache.temporary_file()?;
        match self.client.try_fetch(&pin.url, &pin.name, file.as_file_mut(), u64::MAX) {
            Ok(_) => self.verified(pin, file, &pin.url).map(Some),
            Err(error @ DownloadError::Unreachable { .. }) => {
                self.unreachable.borrow_mut().insert(host.to_owned());
                self.fall_back(pin, &error.to_string())
            }
            Err(error) => Err(error.into_anyhow().context(format!("fetching {}", pin.url))),
        }
    }

    /// Warns that the Debian set replaces `pin`, or fails if that is forbidden.
    fn fall_back(&self, pin: &Pin, reason: &str) -> Result<Option<PathBuf>> {
        let flag = match (self.options.locked, self.options.sources) {
            (true, _) => "--locked",
            (false, Some(SourceSet::Upstream)) => "--sources upstream",
            (false, _) => {
                if self.replaced.borrow_mut().insert(pin.url.clone()) {
                    report::warn(format_args!(
                        "{reason}; using Debian packages instead of '{}' {}. They are not pinned, \
                         so the outputs differ from a release (forbid with --locked)",
                        pin.name, pin.version
                    ));
                }
                return Ok(None);
            }
        };
        let once = if self.options.offline { "run once without --offline, " } else { "" };
        Err(hinted(
            format!("{reason}, and {flag} allows no other source"),
            format!(
                "{once}pass the directory of {} with --source-dir, or use --sources debian",
                pin.file_name()
            ),
        ))
    }

    /// Stores a file with the pinned digest. Keeps any other for inspection and fails.
    fn verified(&self, pin: &Pin, file: NamedTempFile, from: &str) -> Result<PathBuf> {
        let found = output::digest(file.path())?;
        if found == pin.sha256 {
            return self.cache.store_source(file, &found, pin.file_name());
        }
        let evidence = self.cache.store_evidence(file, &pin.sha256, pin.file_name())?;
        let (expected, kept) = (&pin.sha256, evidence.display());
        let fact = format!("sha256 is {found}, expected {expected} (from {from}, kept as {kept})");
        Err(hinted(fact, "the upstream file changed; find out why before you update the pin"))
    }
}

#[cfg(test)]
mod tests;
