//! Runs the host's apt with a private state below the cache: the host's archives and keys, but none of its lists, locks or installed packages.
//! So it needs no root, and a foreign architecture needs no change to the host.

use crate::arch::Arch;
use crate::cache::Cache;
use crate::cmd;
use crate::debian::complaints;
use crate::debian::memory;
use crate::debian::package;
use crate::debian::package::Package;
use crate::download::Progress;
use crate::output;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use xshell::Cmd;
use xshell::Shell;

/// Package lists older than this are read anew.
const FRESH: Duration = Duration::from_hours(24);

/// Where its state lies in the cache, one folder for each architecture.
pub(super) const FOLDER: &str = "apt";
const STAMP: &str = "updated";

/// Read after the host's own settings. Hooks of `update` are for the host's lists, and only lists of packages are wanted.
/// An archive that is down costs ten seconds, not minutes.
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

/// The host's apt for one architecture. Nobody else uses the same state until it is dropped.
#[derive(Debug)]
pub(super) struct Apt {
    arch: Arch,
    folder: PathBuf,
    shell: Shell,
    _lock: File,
}

impl Apt {
    pub(super) fn open(cache: &Cache, arch: Arch) -> Result<Self> {
        if cmd::find("apt-get").is_none() {
            bail!(
                "this host has no apt-get, and Debian's packages are got through it  hint: make the upstream hosts reachable, or bring their files with --source-dir"
            );
        }
        let lock = cache.lock(&format!("apt-{}", arch.oci()), "use of apt")?;
        let folder = cache.folder(Path::new(FOLDER).join(arch.oci()))?;
        for below in ["state/lists/partial", "cache/archives/partial"] {
            let path = folder.join(below);
            std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        }
        for (name, content) in [("settings", SETTINGS), ("status", "")] {
            let path = folder.join(name);
            std::fs::write(&path, content)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(Self { arch, folder, shell: Shell::new()?, _lock: lock })
    }

    /// What the archives offer under these names, from memory where the lists are fresh.
    pub(super) fn resolve(&self, names: &[&str]) -> Result<Vec<Package>> {
        let mut known = remembered(&self.folder);
        if names.iter().any(|name| !known.contains_key(*name)) {
            known.extend(self.asked(names)?);
            let text = serde_json::to_string_pretty(&known).context("writing down packages")?;
            std::fs::write(self.memory(), text)
                .with_context(|| format!("writing {}", self.memory().display()))?;
        }
        names
            .iter()
            .map(|name| {
                known.get(*name).cloned().ok_or_else(|| anyhow!("apt says nothing about '{name}'"))
            })
            .collect()
    }

    /// Reads the package lists anew. An archive that is down is only warned of: what is wanted may be in the others.
    pub(super) fn update(&self) -> Result<()> {
        report::step(format_args!(
            "reading the package lists of Debian's archive for {}",
            self.arch
        ));
        remove(&self.stamp())?;
        let output = self.apt("update").arg("-qq").ignore_status().output()?;
        for line in complaints::read(&output.stderr) {
            report::warn(format_args!("apt: {line}"));
        }
        if output.status.success() {
            // Not before: of an archive that is down, what was stored from it can still be told.
            remove(&self.memory())?;
            File::create(self.stamp())
                .with_context(|| format!("making {}", self.stamp().display()))?;
        }
        Ok(())
    }

    /// Downloads packages into the cache.
    pub(super) fn store(&self, cache: &Cache, packages: &[Package]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let folder = cache.temporary_folder()?;
        let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
        report::step(format_args!("fetching {} from Debian's archive", names.join(", ")));
        self.download(folder.path(), packages, &names)?;
        for package in packages {
            let path = folder.path().join(&package.file_name);
            let found = output::digest(&path)?;
            if found != package.sha256 {
                bail!(
                    "package '{}': sha256 is {found}, the archive's lists say {}",
                    package.name,
                    package.sha256
                );
            }
            let mut copy = cache.temporary_file()?;
            let mut original =
                File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            std::io::copy(&mut original, copy.as_file_mut())
                .with_context(|| format!("copying {}", path.display()))?;
            cache.store_source(copy, &found, &package.file_name)?;
        }
        Ok(())
    }

    fn download(&self, folder: &Path, packages: &[Package], names: &[&str]) -> Result<()> {
        let _inside = self.shell.push_dir(folder);
        let command = self.apt("download").arg("-qq").args(names);
        let text = command.to_string();
        let log = folder.join("log");
        let writer = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let second = writer.try_clone().context("sharing apt's log")?;
        let mut running = cmd::Background::start(command, |command| {
            command.stdout(Stdio::from(writer)).stderr(Stdio::from(second));
        })?;
        let what = names.join(", ");
        let mut progress =
            Progress::new(&what, Some(packages.iter().map(|package| package.size).sum()));
        let status = loop {
            if let Some(status) = running.child.try_wait().context("waiting for apt")? {
                break status;
            }
            progress.at(size_of_files(folder));
            std::thread::sleep(Duration::from_millis(50));
        };
        drop(progress);
        if !status.success() {
            let said = std::fs::read(&log).unwrap_or_default();
            bail!("`{text}` ended with {status}: {}", complaints::read(&said).join("; "));
        }
        Ok(())
    }

    fn asked(&self, names: &[&str]) -> Result<BTreeMap<String, Package>> {
        let fresh = are_fresh(&self.folder);
        if !fresh {
            self.update()?;
        }
        let ask = || {
            self.apt("download").args(["-qq", "--print-uris"]).args(names).ignore_status().output()
        };
        let mut output = ask()?;
        let are_damaged = complaints::tell_of_damage(&output.stderr);
        if !output.status.success() && (fresh || are_damaged) {
            if are_damaged {
                self.forget()?;
            }
            self.update()?;
            output = ask()?;
        }
        if !output.status.success() {
            let said = complaints::read(&output.stderr).join("; ");
            bail!(
                "{said}  hint: the archives of this host's apt need Debian 12 or newer, with updates; see /etc/apt/sources.list.d"
            );
        }
        let lines = String::from_utf8_lossy(&output.stdout);
        let packages: Result<Vec<_>> = lines.lines().map(package::parse).collect();
        Ok(packages?.into_iter().map(|package| (package.name.clone(), package)).collect())
    }

    /// Takes the lists away. As long as they are there and the archive's release is the same, an update leaves them as they are, damaged or not.
    fn forget(&self) -> Result<()> {
        let lists = self.folder.join("state/lists");
        report::warn(format_args!("{} is damaged and is replaced", lists.display()));
        std::fs::remove_dir_all(&lists)
            .and_then(|()| std::fs::create_dir_all(lists.join("partial")))
            .with_context(|| format!("emptying {}", lists.display()))
    }

    fn apt(&self, verb: &str) -> Cmd<'_> {
        let path =
            |option: &str, below: &str| format!("{option}={}", self.folder.join(below).display());
        // The environment stays, as it may name proxies; the language is fixed because complaints are looked for by their first letter.
        let apt = self.shell.cmd("apt-get").env("LC_ALL", "C").quiet();
        apt.arg("-c")
            .arg(self.folder.join("settings"))
            .args([
                "-o",
                &path("Dir::State", "state"),
                "-o",
                &path("Dir::State::status", "status"),
                "-o",
                &path("Dir::Cache", "cache"),
            ])
            .args([
                "-o",
                &format!("APT::Architecture={}", self.arch.oci()),
                "-o",
                &format!("APT::Architectures::={}", self.arch.oci()),
            ])
            .arg(verb)
    }

    /// Made when the lists were last read; its age is theirs.
    fn stamp(&self) -> PathBuf {
        self.folder.join(STAMP)
    }

    /// What apt said about packages, so that a build need not start it.
    fn memory(&self) -> PathBuf {
        self.folder.join(memory::NAME)
    }
}

fn remove(outdated: &Path) -> Result<()> {
    if outdated.exists() {
        std::fs::remove_file(outdated)
            .with_context(|| format!("removing {}", outdated.display()))?;
    }
    Ok(())
}

/// What is known of packages in the state that lies in `folder`, while its lists are fresh.
fn remembered(folder: &Path) -> BTreeMap<String, Package> {
    if are_fresh(folder) { memory::read(&folder.join(memory::NAME)) } else { BTreeMap::new() }
}

fn are_fresh(folder: &Path) -> bool {
    let modified = folder.join(STAMP).metadata().and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FRESH))
}

fn size_of_files(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    files
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}
