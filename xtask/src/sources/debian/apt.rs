//! Runs the host's apt with a private state in the cache: the host's archives and keys, but not its
//! lists, locks and installed packages. Needs no root, and fetches foreign architectures.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use xshell::{Cmd, Shell};

use crate::{
    host::{arch::Arch, cmd, output, report, report::hinted},
    sources::cache::{Cache, Usage},
};

/// Package lists older than this are updated.
const FRESH: Duration = Duration::from_hours(24);

/// Contains the state, one directory per architecture.
const FOLDER: &str = "apt";
/// Created when the lists were last updated.
const STAMP: &str = "updated";
/// What apt reported about packages, so that a build need not start it.
const PACKAGES: &str = "packages.json";

/// Read after the host's own settings. Disables hooks of `update`, which are for the host's lists,
/// and lists of anything but packages. An unreachable archive costs ten seconds, not minutes.
const SETTINGS: &str = r#"#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large-hidpi;
#clear Acquire::IndexTargets::deb::Contents-deb;
#clear Acquire::IndexTargets::deb::Contents-udeb;
#clear Acquire::IndexTargets::deb::CNF;
#clear Acquire::Languages;
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
APT::Sandbox::User "root";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
"#;

/// A package as an archive offers it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Package {
    pub name: String,
    /// With the epoch where it has one.
    pub version: String,
    /// The path within the archive, without the host, which is one of many mirrors.
    pub origin: String,
    /// The name of the file that apt downloads.
    pub file_name: String,
    pub size: u64,
    pub sha256: String,
}

/// The host's apt for one architecture, with a lock on its state.
#[derive(Debug)]
pub struct Apt {
    arch: Arch,
    folder: PathBuf,
    shell: Shell,
    _lock: File,
}

impl Apt {
    pub fn open(cache: &Cache, arch: Arch) -> Result<Self> {
        if cmd::find("apt-get").is_none() {
            return Err(hinted(
                "apt-get not found in PATH; Debian's packages need it",
                "make the upstream hosts reachable, or pass their files with --source-dir",
            ));
        }
        let lock = cache.lock(&format!("apt-{}", arch.oci()), "use of apt")?;
        let folder = cache.folder(Path::new(FOLDER).join(arch.oci()))?;
        for below in ["state/lists/partial", "cache/archives/partial"] {
            cache.folder(folder.join(below))?;
        }
        let (root, name) = (folder.display(), arch.oci());
        let settings = format!(
            "{SETTINGS}Dir::State \"{root}/state\";\nDir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}/cache\";\n\
             APT::Architecture \"{name}\";\nAPT::Architectures:: \"{name}\";\n"
        );
        for (name, content) in [("settings", settings.as_str()), ("status", "")] {
            output::write(&folder.join(name), content.as_bytes())?;
        }
        Ok(Self { arch, folder, shell: Shell::new()?, _lock: lock })
    }

    /// The packages of these names in the archives. Starts apt only if the lists are old or a name
    /// is new.
    pub fn resolve(&self, names: &[&str]) -> Result<Vec<Package>> {
        let path = self.folder.join(PACKAGES);
        let mut known =
            if are_fresh(&self.folder) { read_packages(&path) } else { BTreeMap::new() };
        if names.iter().any(|name| !known.contains_key(*name)) {
            known.extend(self.query(names)?);
            let text = serde_json::to_string_pretty(&known).context("serializing packages")?;
            output::write(&path, text.as_bytes())?;
        }
        let found = |name: &&str| {
            let package = known.get(*name).cloned();
            package.ok_or_else(|| anyhow!("apt did not report package '{name}'"))
        };
        names.iter().map(found).collect()
    }

    /// Updates the package lists. An unreachable archive is a warning: others may have the
    /// packages.
    pub fn update(&self) -> Result<()> {
        report::step(format_args!(
            "updating the package lists of Debian's archive for {}",
            self.arch
        ));
        let stamp = self.folder.join(STAMP);
        output::remove(&stamp)?;
        let output = self.apt("update").arg("-qq").ignore_status().output()?;
        for line in messages(&output.stderr) {
            report::warn(format_args!("apt: {line}"));
        }
        if output.status.success() {
            // Only then: `--offline` uses the old reports if an archive is unreachable.
            output::remove(&self.folder.join(PACKAGES))?;
            File::create(&stamp).with_context(|| format!("creating {}", stamp.display()))?;
        }
        Ok(())
    }

    /// Downloads packages into the cache, unless they are there.
    pub fn store(&self, cache: &Cache, packages: &[Package]) -> Result<()> {
        let mut missing = Vec::new();
        for package in packages {
            if cache.source(&package.sha256, &package.file_name)?.is_none() {
                missing.push(package);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let folder = cache.temporary_folder()?;
        let names: Vec<_> = missing.iter().map(|package| package.name.as_str()).collect();
        report::step(format_args!("fetching {} from Debian's archive", names.join(", ")));
        let total = missing.iter().map(|package| package.size).sum();
        self.download(folder.path(), &names, total)?;
        for package in missing {
            let path = folder.path().join(&package.file_name);
            let found = output::digest(&path)?;
            if found != package.sha256 {
                bail!(
                    "package '{}': sha256 is {found}, expected {} (from the archive's lists)",
                    package.name,
                    package.sha256
                );
            }
            cache.store_source(cache.temporary_copy(&path)?, &found, &package.file_name)?;
        }
        Ok(())
    }

    fn download(&self, folder: &Path, names: &[&str], total_bytes: u64) -> Result<()> {
        let _inside = self.shell.push_dir(folder);
        let command = self.apt("download").arg("-qq").args(names);
        let text = command.to_string();
        let log = folder.join("log");
        let writer = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let second = writer.try_clone().context("sharing apt's log")?;
        let mut running = cmd::Background::start(command, |command| {
            command.stdout(Stdio::from(writer)).stderr(Stdio::from(second));
        })?;
        let bar = report::progress_bar(&names.join(", "), Some(total_bytes));
        let status = loop {
            if let Some(status) = running.child.try_wait().context("waiting for apt")? {
                break status;
            }
            bar.0.set_position(Usage::of(folder).map_or(0, |usage| usage.bytes));
            std::thread::sleep(Duration::from_millis(50));
        };
        drop(bar);
        if !status.success() {
            let output = std::fs::read(&log).unwrap_or_default();
            bail!("`{text}` ended with {status}: {}", messages(&output).join("; "));
        }
        Ok(())
    }

    fn query(&self, names: &[&str]) -> Result<BTreeMap<String, Package>> {
        let fresh = are_fresh(&self.folder);
        if !fresh {
            self.update()?;
        }
        let ask = || {
            self.apt("download").args(["-qq", "--print-uris"]).args(names).ignore_status().output()
        };
        let mut output = ask()?;
        let are_damaged = lists_are_damaged(&output.stderr);
        if !output.status.success() && (fresh || are_damaged) {
            if are_damaged {
                self.remove_lists()?;
            }
            self.update()?;
            output = ask()?;
        }
        if !output.status.success() {
            return Err(hinted(
                messages(&output.stderr).join("; "),
                "use the archives of Debian 12 or newer, with updates, in /etc/apt",
            ));
        }
        let lines = String::from_utf8_lossy(&output.stdout);
        let packages: Result<Vec<_>> = lines.lines().map(parse).collect();
        Ok(packages?.into_iter().map(|package| (package.name.clone(), package)).collect())
    }

    /// Removes the lists. An update keeps existing lists of an unchanged release, damaged or not.
    fn remove_lists(&self) -> Result<()> {
        let lists = self.folder.join("state/lists");
        report::warn(format_args!("{} is damaged and is replaced", lists.display()));
        std::fs::remove_dir_all(&lists)
            .and_then(|()| std::fs::create_dir_all(lists.join("partial")))
            .with_context(|| format!("emptying {}", lists.display()))
    }

    fn apt(&self, verb: &str) -> Cmd<'_> {
        // The environment is inherited for proxies. The language is fixed because messages are
        // parsed.
        let apt = self.shell.cmd("apt-get").env("LC_ALL", "C").quiet();
        apt.arg("-c").arg(self.folder.join("settings")).arg(verb)
    }
}

/// What apt last reported about packages for `arch`, of any age.
pub fn last_known(cache: &Cache, arch: Arch) -> Result<BTreeMap<String, Package>> {
    let _lock = cache.lock(&format!("apt-{}", arch.oci()), "use of apt")?;
    Ok(read_packages(&cache.folder(Path::new(FOLDER).join(arch.oci()))?.join(PACKAGES)))
}

/// The packages in this file; none if it is missing or invalid.
fn read_packages(path: &Path) -> BTreeMap<String, Package> {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn are_fresh(folder: &Path) -> bool {
    let modified = folder.join(STAMP).metadata().and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FRESH))
}

/// Prefixes of errors and warnings, in versions before 3 and since.
const PREFIXES: [&str; 4] = ["E: ", "W: ", "Error: ", "Warning: "];

/// Errors and warnings of apt, without prefixes and repetitions.
fn messages(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let message = |line: &str| {
        PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix)).map(str::to_owned)
    };
    // An unknown package is reported as a name, as a glob and as a regular expression.
    let mut lines: Vec<String> = text
        .lines()
        .filter_map(message)
        .filter(|line| !line.starts_with("Couldn't find any package by"))
        .collect();
    lines.dedup();
    lines
}

/// Whether apt could not read its own lists. The text is that of apt 2.6 (Debian 12).
fn lists_are_damaged(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    text.contains("The package lists or status file could not be parsed or opened")
}

/// Parses a line of `apt-get download --print-uris`: `'URI' FILE-NAME SIZE SHA256:DIGEST`.
fn parse(line: &str) -> Result<Package> {
    parse_fields(line)
        .with_context(|| format!("apt's line \"{line}\" is not 'URI' NAME SIZE SHA256:DIGEST"))
}

fn parse_fields(line: &str) -> Option<Package> {
    let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let mut fields = rest.split(' ');
    let file_name = fields.next()?;
    let size = fields.next()?.parse().ok()?;
    let sha256 = fields.next()?.strip_prefix("SHA256:")?;
    if !output::is_sha256(sha256) || file_name.contains('/') || fields.next().is_some() {
        return None;
    }
    // apt escapes only the colon after the epoch, as %3a.
    let mut parts = file_name.strip_suffix(".deb")?.splitn(3, '_');
    let (name, version, _arch) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Package {
        name: name.to_owned(),
        version: version.replace("%3a", ":"),
        origin: origin(uri),
        file_name: file_name.to_owned(),
        size,
        sha256: sha256.to_owned(),
    })
}

/// The path of a URI from `pool/` on, or the last segment of a URI without it.
fn origin(uri: &str) -> String {
    let path = match uri.find("/pool/") {
        Some(at) => uri.get(at + 1..),
        None => uri.rsplit('/').next(),
    };
    path.unwrap_or(uri).replace("%2b", "+").replace("%3a", ":").replace("%7e", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn messages_are_errors_and_warnings_once() {
        let said = b"Hit:1 http://m stable\nE: Unable to locate package x\nE: Couldn't find any package by glob 'x'\nW: old\nWarning: old\n";
        assert_eq!(messages(said), ["Unable to locate package x", "old"]);
    }

    #[test]
    fn unknown_package_is_no_damage_of_lists() {
        let unreadable = b"E: LZ4F: x_Packages.lz4 Unexpected end of file\nE: The package lists or status file could not be parsed or opened.\n";
        assert!(lists_are_damaged(unreadable));
        assert!(!lists_are_damaged(b"E: Unable to locate package x\n"));
    }
    #[test]
    fn parses_output_of_apt() {
        let digest = "ab".repeat(32);
        let line = format!(
            "'http://mirror.example/debian/pool/main/b/busybox/busybox-static_1.35.0-4%2bb4_arm64.deb' busybox-static_1%3a1.35.0-4+b4_arm64.deb 803424 SHA256:{digest}"
        );
        let wanted = Package {
            name: "busybox-static".to_owned(),
            version: "1:1.35.0-4+b4".to_owned(),
            origin: "pool/main/b/busybox/busybox-static_1.35.0-4+b4_arm64.deb".to_owned(),
            file_name: "busybox-static_1%3a1.35.0-4+b4_arm64.deb".to_owned(),
            size: 803_424,
            sha256: digest,
        };
        assert_eq!(parse(&line).unwrap(), wanted);
    }

    #[test]
    fn rejects_other_lines() {
        let digest = "ab".repeat(32);
        let lines = [
            String::new(),
            format!("http://m/pool/a_1_all.deb a_1_all.deb 1 SHA256:{digest}"),
            format!("'http://m/pool/a_1_all.deb' a_1_all.deb x SHA256:{digest}"),
            format!("'http://m/pool/a_1_all.deb' a_1_all.deb 1 SHA512:{digest}"),
            format!("'http://m/pool/a_1_all.deb' ../a_1_all.deb 1 SHA256:{digest}"),
            format!("'http://m/pool/a_1_all.deb' a.deb 1 SHA256:{digest}"),
            "'http://m/pool/a_1_all.deb' a_1_all.deb 1 SHA256:12".to_owned(),
        ];
        for line in lines {
            assert!(parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn repository_without_pool_gives_the_file_name() {
        assert_eq!(origin("http://m/flat/a_1_all.deb"), "a_1_all.deb");
    }
}
