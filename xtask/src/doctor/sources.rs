//! Where a build that is told nothing would take its sources from, and why. Asks the hosts whether they are there and fetches nothing.

use crate::arch::Arch;
use crate::cache::Cache;
use crate::cmd;
use crate::config;
use crate::config::ImageConfig;
use crate::config::KernelConfig;
use crate::debian;
use crate::doctor::Section;
use crate::doctor::Trouble;
use crate::download;
use crate::download::DownloadError;
use crate::output;
use crate::sources::Pin;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use xshell::Shell;

/// Fetches a file as apt would: through the host's proxies and with its certificates.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// What a build would find out about a pinned file.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Pinned {
    /// In the cache, with the right digest.
    Stored,
    Answers,
    Unreachable(String),
    /// Somebody answers, and not as he should. A build ends there.
    Refused(String),
}

/// What a build would find out about packages.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Archive {
    Stored,
    Answers,
    Closed(String),
}

pub(super) fn section(arch: Arch, cache: &Cache) -> Section {
    let title = "sources";
    let configs = config::read_image_config(arch)
        .and_then(|image| Ok((image, config::read_kernel_config()?)));
    let (image, kernel) = match configs {
        Ok(configs) => configs,
        Err(error) => {
            let fact = format!("{error:#}");
            let remedy = format!("mend {} or {}", config::IMAGE_FILE, config::KERNEL_FILE);
            let troubles = vec![Trouble { fact: fact.clone(), remedy }];
            return Section { title, lines: vec![fact], troubles };
        }
    };
    let apt = ask_archives();
    let mut lines = vec![match &apt {
        Ok(said) => format!("Debian's archive: {said}"),
        Err(error) => format!("Debian's archive: {error:#}"),
    }];
    let mut troubles = Vec::new();
    for (what, pins, packages) in [image_needs(&image), kernel_needs(&kernel)] {
        let pins: Vec<_> = pins.into_iter().map(|pin| (label(pin), look(pin, cache))).collect();
        // The kernel's package is for all architectures, and a build asks for this machine's.
        let asked = if what == KERNEL { Arch::host().unwrap_or(arch) } else { arch };
        let archive = match &apt {
            _ if debian::are_stored(cache, &packages, asked) => Archive::Stored,
            Ok(_) => Archive::Answers,
            Err(error) => Archive::Closed(format!("{error:#}")),
        };
        match choose(&pins, &archive) {
            Ok(choice) => lines.push(format!("{what}: {choice}")),
            Err(fact) => {
                lines.push(format!("{what}: {fact}"));
                troubles.push(Trouble {
                    fact: format!("there is no source for the {what}"),
                    remedy: "make a host reachable, or bring the upstream files on another way and pass --source-dir".to_owned(),
                });
            }
        }
    }
    Section { title, lines, troubles }
}

/// What something is made of: its name, the pinned files, and the packages that stand in for them.
type Needs<'a> = (&'static str, Vec<&'a Pin>, Vec<&'a str>);

const KERNEL: &str = "kernel";

fn image_needs(config: &ImageConfig) -> Needs<'_> {
    let pieces = || config.parts.iter().filter_map(|part| part.upstream.as_ref());
    let used: BTreeSet<&str> = pieces().map(|piece| piece.from.as_str()).collect();
    let pins = config.upstream.iter().filter(|(name, _)| used.contains(name.as_str()));
    let packages: BTreeSet<&str> = config
        .parts
        .iter()
        .filter_map(|part| part.debian.as_ref())
        .map(|piece| piece.from.as_str())
        .collect();
    ("initramfs", pins.map(|(_, pin)| pin).collect(), packages.into_iter().collect())
}

fn kernel_needs(config: &KernelConfig) -> Needs<'_> {
    (KERNEL, vec![&config.upstream], vec![config.debian_package.as_str()])
}

fn label(pin: &Pin) -> String {
    format!("{} {}", pin.name, pin.version)
}

fn look(pin: &Pin, cache: &Cache) -> Pinned {
    let path = cache.source_path(&pin.sha256, pin.file_name());
    if output::digest(&path).is_ok_and(|found| found == pin.sha256) {
        return Pinned::Stored;
    }
    match download::probe(&pin.url) {
        Ok(()) => Pinned::Answers,
        Err(error @ DownloadError::Unreachable { .. }) => Pinned::Unreachable(error.to_string()),
        Err(error) => Pinned::Refused(error.to_string()),
    }
}

/// The set that a build would use, and why; or why there is none. The same rules as those of `Sources::upstream`.
fn choose(pins: &[(String, Pinned)], archive: &Archive) -> Result<String, String> {
    let refused = pins.iter().find_map(|(name, pinned)| match pinned {
        Pinned::Refused(reason) => Some(format!("{name}: {reason}")),
        _ => None,
    });
    if let Some(reason) = refused {
        return Err(reason);
    }
    let unreachable = pins.iter().find_map(|(name, pinned)| match pinned {
        Pinned::Unreachable(reason) => Some(format!("{name} is not in the cache, and {reason}")),
        _ => None,
    });
    match (unreachable, archive) {
        (None, _) => {
            let reason = |(name, pinned): &(String, Pinned)| match pinned {
                Pinned::Stored => format!("{name} is in the cache"),
                _ => format!("{name} will be fetched, as its host answers"),
            };
            let reasons: Vec<String> = pins.iter().map(reason).collect();
            Ok(format!("from upstream, pinned: {}", reasons.join("; ")))
        }
        (Some(reason), Archive::Stored) => {
            Ok(format!("from Debian, not pinned, out of the cache: {reason}"))
        }
        (Some(reason), Archive::Answers) => Ok(format!("from Debian, not pinned: {reason}")),
        (Some(reason), Archive::Closed(why)) => Err(format!("{reason}; Debian's archive: {why}")),
    }
}

/// Which of the archives that the host's apt knows answer. An error where none does.
fn ask_archives() -> Result<String> {
    if cmd::find("apt-get").is_none() {
        bail!("there is no apt-get, which its packages are got through");
    }
    let shell = Shell::new()?;
    let uris = shell.cmd("apt-get").args(["update", "--print-uris"]).quiet().ignore_stderr().read();
    let uris = uris.context("asking apt for its archives")?;
    let releases = releases(&uris);
    let folder = tempfile::tempdir().context("making a folder")?;
    let (mut answering, mut silent) = (Vec::new(), Vec::new());
    for (host, uri) in &releases {
        let fetch = shell
            .cmd(APT_HELPER)
            .args(["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5"])
            .args(["-o", "Acquire::https::Timeout=5", "-o", "APT::Sandbox::User=root"])
            .args(["download-file", uri])
            .arg(folder.path().join("release"));
        let said = fetch.quiet().ignore_status().output();
        let answers = said.with_context(|| format!("running {APT_HELPER}"))?.status.success();
        if answers { answering.push(*host) } else { silent.push(*host) }
    }
    match (answering.join(", "), silent.join(", ")) {
        (answering, silent) if answering.is_empty() && silent.is_empty() => {
            bail!("the host's apt knows none; see /etc/apt/sources.list.d")
        }
        (answering, silent) if answering.is_empty() => bail!("no answer to apt from {silent}"),
        (answering, silent) if silent.is_empty() => Ok(format!("{answering} answers apt")),
        (answering, silent) => Ok(format!("{answering} answers apt; {silent} does not")),
    }
}

/// The first release file of each host among the lines of `apt-get update --print-uris`: `'URI' FILE-NAME SIZE`.
fn releases(lines: &str) -> BTreeMap<&str, &str> {
    let mut releases = BTreeMap::new();
    let uris = lines.lines().filter_map(|line| Some(line.strip_prefix('\'')?.split_once('\'')?.0));
    for uri in uris.filter(|uri| uri.ends_with("/InRelease")) {
        releases.entry(download::host(uri)).or_insert(uri);
    }
    releases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_as_a_build_does() {
        let unreachable = || Pinned::Unreachable("'a.example' cannot be reached".to_owned());
        let closed = || Archive::Closed("there is no apt-get".to_owned());
        for (pins, archive, wanted) in [
            (vec![Pinned::Stored], closed(), Ok("from upstream, pinned: part 0 is in the cache")),
            (
                vec![Pinned::Stored, Pinned::Answers],
                Archive::Answers,
                Ok(
                    "from upstream, pinned: part 0 is in the cache; part 1 will be fetched, as its host answers",
                ),
            ),
            (
                vec![Pinned::Stored, unreachable()],
                Archive::Answers,
                Ok(
                    "from Debian, not pinned: part 1 is not in the cache, and 'a.example' cannot be reached",
                ),
            ),
            (
                vec![unreachable()],
                Archive::Stored,
                Ok(
                    "from Debian, not pinned, out of the cache: part 0 is not in the cache, and 'a.example' cannot be reached",
                ),
            ),
            (
                vec![unreachable()],
                closed(),
                Err(
                    "part 0 is not in the cache, and 'a.example' cannot be reached; Debian's archive: there is no apt-get",
                ),
            ),
            (
                vec![unreachable(), Pinned::Refused("the server answered 404".to_owned())],
                Archive::Stored,
                Err("part 1: the server answered 404"),
            ),
        ] {
            let pins: Vec<_> = pins
                .into_iter()
                .enumerate()
                .map(|(index, pinned)| (format!("part {index}"), pinned))
                .collect();
            let found = choose(&pins, &archive);
            assert_eq!(found.as_deref().map_err(String::as_str), wanted);
        }
    }

    #[test]
    fn asks_each_host_once() {
        let lines = "'http://a.example/debian/dists/x/InRelease' a_x 0 \n'http://a.example/debian/dists/y/InRelease' a_y 0 \n\
                     'https://b.example/InRelease' b 0 \n'http://c.example/Packages.xz' c 0 \nnoise\n";
        assert_eq!(
            releases(lines),
            BTreeMap::from([
                ("a.example", "http://a.example/debian/dists/x/InRelease"),
                ("b.example", "https://b.example/InRelease"),
            ])
        );
    }

    #[test]
    fn a_pinned_file_counts_as_stored_only_when_it_is_whole() {
        let (_folder, cache) = crate::cache::tests::empty();
        let pin = Pin {
            name: "part".to_owned(),
            version: "1".to_owned(),
            url: download::tests::refusing_url(),
            sha256: output::digest_of(b"hello"),
        };
        let path = cache.source_path(&pin.sha256, pin.file_name());
        assert!(matches!(look(&pin, &cache), Pinned::Unreachable(_)));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "hello").unwrap();
        assert_eq!(look(&pin, &cache), Pinned::Stored);
        std::fs::write(&path, "hellp").unwrap();
        assert!(matches!(look(&pin, &cache), Pinned::Unreachable(_)));
        assert!(path.exists(), "a look removed it");
    }
}
