//! Who publishes sources, and how each lays out what it says of them: kernel.org and Alpine, or mirrors of them. URLs are those of the pins.

use super::listing;
use super::release::Release;
use super::signature::Trust;
use crate::arch::Arch;
use crate::config;
use crate::download::Client;
use crate::sources::Pin;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use clap::ValueEnum;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Publisher {
    /// The kernel, from kernel.org
    Linux,
    /// The minirootfs, from Alpine
    Alpine,
}

impl std::fmt::Display for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Linux => "linux",
            Self::Alpine => "alpine",
        })
    }
}

impl Publisher {
    pub(super) const ALL: [Self; 2] = [Self::Linux, Self::Alpine];

    /// The file of the project that has the pins.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Linux => config::KERNEL_FILE,
            Self::Alpine => config::IMAGE_FILE,
        }
    }

    /// The pins in such a file's text: of Alpine's one for each of [`Arch::ALL`]. All have the same version.
    pub(super) fn pins(self, text: &str) -> Result<Vec<Pin>> {
        match self {
            Self::Linux => Ok(vec![config::parse_kernel_config(text)?.upstream]),
            Self::Alpine => {
                let pin = |arch: Arch| {
                    let mut config = config::parse_image_config(text, arch)?;
                    config
                        .upstream
                        .remove("alpine")
                        .ok_or_else(|| anyhow!("{} has no upstream.alpine", self.file()))
                };
                Arch::ALL.into_iter().map(pin).collect()
            }
        }
    }

    /// Where such a file has the version.
    pub(super) fn version_key(self) -> Vec<&'static str> {
        match self {
            Self::Linux => vec!["upstream", "version"],
            Self::Alpine => vec!["upstream", "alpine", "version"],
        }
    }

    /// Where such a file has the digest of the pin at this place among [`Self::pins`].
    pub(super) fn digest_key(self, at: usize) -> Vec<&'static str> {
        match self {
            Self::Linux => vec!["upstream", "sha256"],
            Self::Alpine => {
                let arch = Arch::ALL.into_iter().nth(at).map(Arch::kernel);
                ["upstream", "alpine", "sha256"].into_iter().chain(arch).collect()
            }
        }
    }
}

/// What a publisher says, looked up at its hosts.
#[derive(Debug)]
pub(super) struct Site {
    publisher: Publisher,
    client: Client,
    trust: Trust,
    /// kernel.org's list, once it was read.
    sums: OnceCell<BTreeMap<String, String>>,
}

impl Site {
    pub(super) fn new(publisher: Publisher, client: Client, trust: Trust) -> Self {
        Self { publisher, client, trust, sums: OnceCell::new() }
    }

    pub(super) fn publisher(&self) -> Publisher {
        self.publisher
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The newest version that there is of every pin, where it is newer than the pinned one and of the same series.
    pub(super) fn newest(&self, pins: &[Pin]) -> Result<Option<String>> {
        let mut newest: Option<(Release, String)> = None;
        for pin in pins {
            let found = self.newest_of(pin)?;
            // What is out for one architecture only has to wait for the others.
            newest = match newest {
                Some(before) if before.0 <= found.0 => Some(before),
                _ => Some(found),
            };
        }
        let pinned = pins.first().and_then(|pin| Release::parse(&pin.version));
        Ok(newest.filter(|(release, _)| Some(*release) > pinned).map(|(_, version)| version))
    }

    fn newest_of(&self, pin: &Pin) -> Result<(Release, String)> {
        let pinned = Release::parse(&pin.version).ok_or_else(|| {
            anyhow!("version '{}' of {} is no release of a series", pin.version, pin.name)
        })?;
        let (before, after) = pin.file_name().split_once(&pin.version).ok_or_else(|| {
            anyhow!("the file name in {} does not hold the version '{}'", pin.url, pin.version)
        })?;
        let (list, names) = match self.publisher {
            Publisher::Linux => ("sha256sums.asc", self.sums(pin)?.keys().cloned().collect()),
            Publisher::Alpine => {
                let list = "latest-releases.yaml";
                (list, listing::files_of_yaml(&self.read(&beside(pin, list))?))
            }
        };
        let versions = names
            .iter()
            .filter_map(|name| name.strip_prefix(before)?.strip_suffix(after))
            .filter_map(|version| Some((Release::parse(version)?, version.to_owned())));
        versions.filter(|(release, _)| release.is_of_the_series_of(pinned)).max().ok_or_else(|| {
            anyhow!(
                "{} names no '{before}…{after}' of the series of {}  hint: has the series ended? Another one is chosen by hand",
                beside(pin, list),
                pin.version
            )
        })
    }

    /// The digest that the publisher tells of a pin's file.
    pub(super) fn digest(&self, pin: &Pin) -> Result<String> {
        let name = pin.file_name();
        let (list, digest) = match self.publisher {
            Publisher::Linux => (beside(pin, "sha256sums.asc"), self.sums(pin)?.get(name).cloned()),
            Publisher::Alpine => {
                let list = format!("{}.sha256", pin.url);
                let digest = listing::digests(&self.read(&list)?).remove(name);
                (list, digest)
            }
        };
        digest.ok_or_else(|| anyhow!("{list} has no digest of '{name}'"))
    }

    /// Fails where a file of Alpine's is not signed by a key of the user's. kernel.org's list is signed itself, and was checked when it was read.
    pub(super) fn verify_signature(&self, pin: &Pin, file: &Path) -> Result<()> {
        if self.publisher == Publisher::Linux || matches!(self.trust, Trust::Transport) {
            return Ok(());
        }
        let url = format!("{}.asc", pin.url);
        let signature = self.read(&url)?;
        self.trust
            .verify_detached(file, &signature)
            .with_context(|| format!("checking {} against {url}", pin.file_name()))
    }

    fn sums(&self, pin: &Pin) -> Result<&BTreeMap<String, String>> {
        if let Some(sums) = self.sums.get() {
            return Ok(sums);
        }
        let url = beside(pin, "sha256sums.asc");
        let signed = self.read(&url)?;
        let text =
            self.trust.read_clear_signed(&signed).with_context(|| format!("checking {url}"))?;
        Ok(self.sums.get_or_init(|| listing::digests(&text)))
    }

    fn read(&self, url: &str) -> Result<String> {
        let what = format!("{} releases", self.publisher);
        self.client.fetch_text(url, &what).with_context(|| format!("fetching {url}"))
    }
}

/// The URL of a file in the same folder as the pin's.
fn beside(pin: &Pin, name: &str) -> String {
    let folder = pin.url.strip_suffix(pin.file_name()).unwrap_or(&pin.url);
    format!("{folder}{name}")
}
