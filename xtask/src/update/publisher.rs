//! The publishers of sources, and their lists of files. The lists are next to the pinned URLs, so a
//! mirror with the same layout works too.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;

use super::signature::TrustedKeys;
use crate::{
    config,
    config::{ImageConfig, KernelConfig, Pin},
    host::{arch::Arch, output, project, report::hinted},
    sources::download::Client,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Publisher {
    /// The kernel, from kernel.org
    Linux,
    /// The minirootfs, from Alpine
    Alpine,
}

impl Publisher {
    pub const ALL: [Self; 2] = [Self::Linux, Self::Alpine];

    /// The project file that contains the pins.
    pub fn file(self) -> &'static str {
        match self {
            Self::Linux => config::KERNEL_FILE,
            Self::Alpine => config::IMAGE_FILE,
        }
    }

    /// The pins in the text of such a file. Alpine has one for each of [`Arch::ALL`], all of the
    /// same version.
    pub fn pins(self, text: &str) -> Result<Vec<Pin>> {
        let alpine = |arch| {
            let pin = ImageConfig::parse(text, arch, &project::root())?.upstream.remove("alpine");
            pin.ok_or_else(|| anyhow!("{} has no upstream.alpine", self.file()))
        };
        match self {
            Self::Linux => Ok(vec![KernelConfig::parse(text, &project::root())?.upstream]),
            Self::Alpine => Arch::ALL.into_iter().map(alpine).collect(),
        }
    }

    /// The keys, in such a file, of the version and of the digest of each of [`Self::pins`].
    pub fn keys(self) -> (&'static str, Vec<String>) {
        match self {
            Self::Linux => ("upstream.version", vec!["upstream.sha256".to_owned()]),
            Self::Alpine => {
                let digest = |arch| format!("upstream.alpine.sha256.{arch}");
                ("upstream.alpine.version", Arch::ALL.map(digest).to_vec())
            }
        }
    }
}

#[derive(Debug)]
pub struct List {
    url: String,
    text: String,
}

impl List {
    /// The digest of a file, from a line of `sha256sum`.
    pub fn digest(&self, name: &str) -> Result<String> {
        let digest = |line: &str| {
            let (digest, file) = line.split_once(char::is_whitespace)?;
            // sha256sum prints a star before the name of a file that it read as binary.
            let file = file.trim().trim_start_matches('*');
            (output::is_sha256(digest) && !file.is_empty() && file == name)
                .then(|| digest.to_owned())
        };
        let found = self.text.lines().find_map(digest);
        found.ok_or_else(|| anyhow!("{} has no digest of '{name}'", self.url))
    }

    /// The newest version in the series of `pin`, from the file names in the text.
    fn newest(&self, pin: &Pin) -> Result<(Release, String)> {
        let pinned = release(&pin.version).ok_or_else(|| {
            anyhow!("version '{}' of {} is not a release of a series", pin.version, pin.name)
        })?;
        let (before, after) = pin.file_name().split_once(&pin.version).ok_or_else(|| {
            anyhow!("the file name in {} does not contain the version '{}'", pin.url, pin.version)
        })?;
        let series = |[major, minor, _]: Release| (major, minor);
        let words =
            self.text.split(|letter: char| letter.is_whitespace() || "\"'*".contains(letter));
        words
            .filter_map(|name| name.strip_prefix(before)?.strip_suffix(after))
            .filter_map(|version| Some((release(version)?, version.to_owned())))
            .filter(|(release, _)| series(*release) == series(pinned))
            .max()
            .ok_or_else(|| {
                let (url, version) = (&self.url, &pin.version);
                hinted(
                    format!("{url} lists no '{before}…{after}' of the series of {version}"),
                    "if the series has ended, pin another one by hand",
                )
            })
    }
}

/// What a publisher offers on its hosts.
#[derive(Debug)]
pub struct Site {
    pub publisher: Publisher,
    pub client: Client,
    pub keys: TrustedKeys,
}

impl Site {
    /// The list of the files next to that of `pin`. Verifies the signature of kernel.org's.
    pub fn list(&self, pin: &Pin) -> Result<List> {
        let directory = pin.url.strip_suffix(pin.file_name()).unwrap_or(&pin.url);
        match self.publisher {
            Publisher::Linux => {
                let List { url, text } = self.read(format!("{directory}sha256sums.asc"))?;
                let text =
                    self.keys.signed_text(text).with_context(|| format!("verifying {url}"))?;
                Ok(List { url, text })
            }
            Publisher::Alpine => self.read(format!("{directory}latest-releases.yaml")),
        }
    }

    /// The published digest of a pin's file. `list` is that of [`Self::list`].
    pub fn digest(&self, pin: &Pin, list: &List) -> Result<String> {
        match self.publisher {
            Publisher::Linux => list.digest(pin.file_name()),
            Publisher::Alpine => self.read(format!("{}.sha256", pin.url))?.digest(pin.file_name()),
        }
    }

    /// Verifies the signature of a file of Alpine. The list of kernel.org is signed instead.
    pub fn verify_signature(&self, pin: &Pin, file: &Path) -> Result<()> {
        if self.publisher == Publisher::Linux || self.keys.is_empty() {
            return Ok(());
        }
        let List { url, text } = self.read(format!("{}.asc", pin.url))?;
        self.keys
            .verify_detached(file, &text)
            .with_context(|| format!("verifying {} with {url}", pin.file_name()))
    }

    fn read(&self, url: String) -> Result<List> {
        Ok(List { text: self.client.fetch_text(&url, "the list of releases")?, url })
    }
}

/// The newest version that all pins can move to, if it is newer than the pinned one.
pub fn newest(pins: &[Pin], lists: &[List]) -> Result<Option<String>> {
    let newest: Vec<_> =
        pins.iter().zip(lists).map(|(pin, list)| list.newest(pin)).collect::<Result<_>>()?;
    let pinned = pins.first().and_then(|pin| release(&pin.version));
    // A release may exist for one architecture only.
    let newest = newest.into_iter().min().filter(|(release, _)| Some(*release) > pinned);
    Ok(newest.map(|(_, version)| version))
}

/// Two numbers of the series and one of the patch release.
type Release = [u32; 3];

/// Parses two or three numbers. Anything else, such as `6.13-rc1`, is not a release.
fn release(version: &str) -> Option<Release> {
    let number = |digits: &str| {
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        if is_plain { digits.parse().ok() } else { None }
    };
    match version.split('.').map(number).collect::<Option<Vec<u32>>>()?.as_slice() {
        [major, minor] => Some([*major, *minor, 0]),
        [major, minor, patch] => Some([*major, *minor, *patch]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: String) -> List {
        List { url: "https://publisher.example/list".to_owned(), text }
    }

    #[test]
    fn reads_lists_of_digests() {
        let (a, b) = ("a1".repeat(32), "b2".repeat(32));
        let list = list(format!(
            "# a comment\n{a}  linux-6.12.tar.xz\n{b} *patch.xz\n{a}  \nA{a}  no\n\nHash: SHA256\n"
        ));
        assert_eq!(list.digest("linux-6.12.tar.xz").unwrap(), a);
        assert_eq!(list.digest("patch.xz").unwrap(), b);
        for name in ["", "no", "SHA256", "comment"] {
            assert!(list.digest(name).is_err(), "{name}");
        }
    }

    #[test]
    fn finds_newest_release_of_the_series() {
        let pin = |version: &str| Pin {
            name: "linux".to_owned(),
            version: version.to_owned(),
            url: format!("https://publisher.example/linux-{version}.tar.xz"),
            sha256: String::new(),
        };
        let list = list(
            "12  linux-6.12.9.tar.xz\n34 *linux-6.12.10.tar.xz\nfile: \"linux-6.13.1.tar.xz\"\n\
             linux-6.12.11-rc1.tar.xz linux-6.12.12.tar.gz xlinux-6.12.13.tar.xz\n"
                .to_owned(),
        );
        for (pinned, newest) in [
            ("6.12", Some("6.12.10")),
            ("6.12.200", Some("6.12.10")),
            ("6.13", Some("6.13.1")),
            ("7.12.1", None),
        ] {
            let found = list.newest(&pin(pinned)).ok().map(|(_, version)| version);
            assert_eq!(found.as_deref(), newest, "{pinned}");
        }
    }

    #[test]
    fn compares_releases_by_number() {
        assert!(release("6.12.10") > release("6.12.9") && release("6.12.1") > release("6.12"));
    }

    #[test]
    fn rejects_versions_that_are_not_releases() {
        for version in [
            "",
            "6",
            "6.12.",
            "6.12-rc1",
            "3.23.0_rc2",
            "6.12.1.1",
            "6.+12",
            "6.012",
            "6.12.x",
            "99999999999.1",
        ] {
            assert_eq!(release(version), None, "{version}");
        }
    }
}
