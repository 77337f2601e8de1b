//! Where the bytes of a build come from: pinned upstream files, or Debian's archive where upstream cannot be reached.
//! Goes in: pins and package names. Comes out: files in the cache whose digests were checked in this run. It never looks into them.

pub mod update;

use crate::arch::Arch;
use crate::cache::Cache;
pub use crate::config::Pin;
use crate::debian;
use crate::download;
use crate::download::Client;
use crate::download::DownloadError;
use crate::output;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use clap::ValueEnum;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use tempfile::NamedTempFile;

/// One of the two named sets of sources: upstream is pinned, Debian is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SourceSet {
    Upstream,
    Debian,
}

/// The flags that say where sources may come from; the same for every build subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SourceOptions {
    /// Take every source from this set [default: upstream; Debian's where upstream cannot be reached]
    #[arg(long, value_name = "SET")]
    pub sources: Option<SourceSet>,
    /// Take pinned upstream sources only, never Debian's
    #[arg(long)]
    pub locked: bool,
    /// Take upstream files from this folder, named as in their URLs
    #[arg(long, value_name = "DIR")]
    pub source_dir: Option<PathBuf>,
    /// Ask no host: take what the cache or --source-dir has, and crates that cargo has already
    #[arg(long)]
    pub offline: bool,
}

static OFFLINE: AtomicBool = AtomicBool::new(false);

/// Whether this run was told to use no network. For what is not a source of ours and has its own way there: cargo and rustup.
pub fn is_offline() -> bool {
    OFFLINE.load(Ordering::Relaxed)
}

/// A source that lies in the cache and was verified in this run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    pub name: String,
    pub version: String,
    /// The URL it came from, or would have come from; of Debian's packages the path within the archive.
    pub origin: String,
    pub sha256: String,
    pub path: PathBuf,
}

/// The sources of one run.
#[derive(Debug)]
pub struct Sources {
    options: SourceOptions,
    cache: Cache,
    client: Client,
    /// Hosts that could not be reached in this run, so that each costs one time-out only.
    unreachable: RefCell<BTreeSet<String>>,
    /// URLs that Debian's archive stands in for, so that each is warned of once.
    replaced: RefCell<BTreeSet<String>>,
}

impl Sources {
    pub fn open(options: &SourceOptions) -> Result<Self> {
        OFFLINE.store(options.offline, Ordering::Relaxed);
        Self::with(options, Cache::open()?, Client::default())
    }

    /// Sources in a cache of the caller's choice, fetched by this client.
    pub fn with(options: &SourceOptions, cache: Cache, client: Client) -> Result<Self> {
        if options.sources == Some(SourceSet::Debian) {
            if options.locked {
                bail!(
                    "--locked takes pinned sources only, and Debian's are not pinned  hint: leave out --locked or --sources debian"
                );
            }
            if options.source_dir.is_some() {
                bail!(
                    "--source-dir holds upstream files, and --sources debian takes none  hint: leave out one of them"
                );
            }
        }
        if let Some(folder) = options.source_dir.as_ref().filter(|folder| !folder.is_dir()) {
            bail!("--source-dir {} is not a folder", folder.display());
        }
        Ok(Self {
            options: options.clone(),
            cache,
            client,
            unreachable: RefCell::default(),
            replaced: RefCell::default(),
        })
    }

    /// The cache these sources lie in.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The pinned file, from the cache, the source folder or its URL.
    ///
    /// `None` means: use the Debian set instead. Either the user asked for it, or the host could not be reached and the user was warned.
    /// A wrong digest is always an error, and leaves the wrong file beside where the right one would be.
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

    /// The newest packages of these names in Debian's archive, as `.deb` files in the order asked for.
    pub fn debian(&self, packages: &[&str], arch: Arch) -> Result<Vec<Source>> {
        if self.options.offline {
            return debian::stored_packages(&self.cache, packages, arch)
                .with_context(|| format!("getting {} from the cache", packages.join(", ")));
        }
        debian::packages(&self.cache, packages, arch)
            .with_context(|| format!("getting {} from Debian's archive", packages.join(", ")))
    }

    fn obtain(&self, pin: &Pin) -> Result<Option<PathBuf>> {
        if let Some(path) = self.cache.source(&pin.sha256, pin.file_name())? {
            return Ok(Some(path));
        }
        match &self.options.source_dir {
            Some(folder) => self.copied(pin, folder).map(Some),
            None if self.options.offline => {
                let reason = format!("{} is not in the cache, and --offline asks no host", pin.url);
                self.fall_back(pin, &reason).map(|()| None)
            }
            None => self.fetched(pin),
        }
    }

    fn copied(&self, pin: &Pin, folder: &Path) -> Result<PathBuf> {
        let from = folder.join(pin.file_name());
        if !from.is_file() {
            bail!("{} is missing  hint: put the file of {} there", from.display(), pin.url);
        }
        let mut copy = self.cache.temporary_file()?;
        let mut original =
            std::fs::File::open(&from).with_context(|| format!("opening {}", from.display()))?;
        std::io::copy(&mut original, copy.as_file_mut())
            .with_context(|| format!("copying {}", from.display()))?;
        self.checked(pin, copy, &from.display().to_string())
    }

    fn fetched(&self, pin: &Pin) -> Result<Option<PathBuf>> {
        let host = download::host(&pin.url);
        if self.unreachable.borrow().contains(host) {
            return self.fall_back(pin, &format!("'{host}' cannot be reached")).map(|()| None);
        }
        report::step(format_args!("fetching {} {} from {}", pin.name, pin.version, pin.url));
        let mut file = self.cache.temporary_file()?;
        match self.client.fetch(&pin.url, &pin.name, file.as_file_mut()) {
            Ok(_) => self.checked(pin, file, &pin.url).map(Some),
            Err(error @ DownloadError::Unreachable { .. }) => {
                self.unreachable.borrow_mut().insert(host.to_owned());
                self.fall_back(pin, &error.to_string()).map(|()| None)
            }
            Err(error) => Err(error).with_context(|| format!("fetching {}", pin.url)),
        }
    }

    /// Warns that Debian's archive stands in for `pin`, where that is allowed.
    fn fall_back(&self, pin: &Pin, reason: &str) -> Result<()> {
        let flag = match (self.options.locked, self.options.sources) {
            (true, _) => "--locked",
            (false, Some(SourceSet::Upstream)) => "--sources upstream",
            (false, _) => {
                if self.replaced.borrow_mut().insert(pin.url.clone()) {
                    report::warn(format_args!(
                        "{reason}. Debian's archive stands in for '{}' {}: not pinned, so the outputs differ from a release's. --locked forbids it",
                        pin.name, pin.version
                    ));
                }
                return Ok(());
            }
        };
        let once = if self.options.offline { "run once without --offline, " } else { "" };
        Err(anyhow!(
            "{reason}, and {flag} allows no other source  hint: {once}bring {} on another way and pass its folder with --source-dir, or take --sources debian",
            pin.file_name()
        ))
    }

    /// Stores a file of the pinned digest; keeps any other as evidence and fails.
    fn checked(&self, pin: &Pin, file: NamedTempFile, from: &str) -> Result<PathBuf> {
        let found = output::digest(file.path())?;
        if found == pin.sha256 {
            return self.cache.store_source(file, &found, pin.file_name());
        }
        let evidence = self.cache.store_evidence(file, &pin.sha256, pin.file_name())?;
        bail!(
            "sha256 is {found}, pinned is {} (from {from}, kept as {})  hint: someone changed the file; find out why before you pin it anew",
            pin.sha256,
            evidence.display()
        )
    }
}

#[cfg(test)]
mod tests;
