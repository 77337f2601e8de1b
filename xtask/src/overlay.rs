//! `cargo xtask overlay`: archives a site's directory, to be appended to the initramfs. The same
//! directory gives the same bytes. Files that the installer does not read are rejected.

mod check;
mod keys;

use crate::host::output;
use crate::host::output::Readers;
use crate::host::project;
use crate::host::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use archive::gzip;
use archive::newc;
use archive::tree::Entry;
use archive::tree::Kind;
use archive::tree::Tree;
use std::path::Path;
use std::path::PathBuf;

/// Archive a site's parameters, CAs, keys, credentials, hooks and firmware for the initramfs
///
/// DIR can contain: parameters (installer parameters, one per line; '#' starts a comment line),
/// ca.d/*.pem (certificate authorities), keys.d/*.pub and keys.d/*.pem (public keys; only images
/// signed with one of them are installed), auth.json (credentials in the format of Docker's
/// config.json), and the scripts hooks/before, hooks/after and hooks/failed (the initramfs has
/// /bin/sh). They are placed in /etc/ocidd. Files in firmware/ are placed in /lib/firmware, where
/// the kernel looks for the firmware of network cards. Hidden files are ignored, others rejected.
/// The same DIR gives the same bytes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask overlay site
      Writes out/overlay.cpio.gz
  cat out/initramfs-amd64.gz out/overlay.cpio.gz > initramfs-site.gz
      Append it to the initramfs. Boot loaders with several initrd files can load it separately
  zcat out/overlay.cpio.gz | cpio -itv
      List its content

Everyone who can fetch the overlay can read its credentials: restrict them to pulling.")]
pub struct Args {
    /// The site's directory
    dir: PathBuf,
    /// The archive to write [default: out/overlay.cpio.gz]
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// The directory of a site's files in the initramfs, firmware excepted.
const HOME: &str = "etc/ocidd";
/// The firmware directory of the kernel (Documentation/driver-api/firmware/fw_search_path.rst).
const FIRMWARE_HOME: &str = "lib/firmware";

/// A constant, so that the bytes depend on the directory only: with the commit time of this
/// project, they would change with every update. init takes the minimum of its clock from its own file.
const MTIME: u32 = 0;

const PARAMETERS: &str = "parameters";
const CREDENTIALS: &str = "auth.json";
const AUTHORITIES: &str = "ca.d";
const KEYS: &str = "keys.d";
const FIRMWARE: &str = "firmware";
const HOOKS: &str = "hooks";
const HOOK_NAMES: [&str; 3] = ["before", "after", "failed"];

/// A finished overlay.
#[derive(Debug)]
pub struct Overlay {
    tree: Tree,
    pub bytes: Vec<u8>,
}

pub fn run(args: &Args) -> Result<()> {
    let overlay = pack(&args.dir)?;
    let path = args.output.clone().unwrap_or_else(|| project::out().join("overlay.cpio.gz"));
    let readers = if overlay.has_credentials() { Readers::Owner } else { Readers::All };
    output::write_for(&path, &overlay.bytes, readers)?;
    let (size, digest) = (overlay.bytes.len(), output::digest_of(&overlay.bytes));
    report::result(format_args!("{}: {size} bytes, sha256 {digest}", path.display()));
    for line in overlay.listing() {
        report::result(format_args!("  {line}"));
    }
    if readers == Readers::Owner {
        report::warn(
            "the file contains credentials: only you and machines that boot it can read them",
        );
    }
    Ok(())
}

/// Archives `folder`. The error has one line per problem.
pub fn pack(folder: &Path) -> Result<Overlay> {
    let mut site = Site { folder, entries: Vec::new(), problems: Vec::new() };
    site.add_folder().with_context(|| format!("reading {}", folder.display()))?;
    if !site.problems.is_empty() {
        bail!("packing {}: {}", folder.display(), site.problems.join("\n  "));
    }
    if site.entries.is_empty() {
        bail!("packing {}: no files found; hint: it can contain {}", folder.display(), known());
    }
    let tree = Tree::new(site.entries)?;
    let bytes = gzip::compress(&newc::write(&tree, MTIME)?)?;
    Ok(Overlay { tree, bytes })
}

impl Overlay {
    /// Mode, size and path of each file.
    fn listing(&self) -> Vec<String> {
        let line = |(path, entry): (&str, &Entry)| match &entry.kind {
            Kind::File(bytes) => Some(format!("{:04o} {:>8} /{path}", entry.mode, bytes.len())),
            _ => None,
        };
        self.tree.entries().filter_map(line).collect()
    }

    fn has_credentials(&self) -> bool {
        let credentials = format!("{HOME}/{CREDENTIALS}");
        self.tree.entries().any(|(path, _)| path == credentials)
    }
}

/// A directory that is being read.
struct Site<'a> {
    folder: &'a Path,
    entries: Vec<(String, Entry)>,
    problems: Vec<String>,
}

/// The mode of a file in the initramfs, and its check.
type Rule = (u32, fn(&[u8]) -> Result<(), String>);

impl Site<'_> {
    fn add_folder(&mut self) -> Result<()> {
        for name in names_in(self.folder)? {
            match name.as_str() {
                PARAMETERS => self.add_file(&name, (0o644, check::words))?,
                CREDENTIALS => self.add_file(&name, (0o600, check::logins))?,
                AUTHORITIES => self.add_below(&name, |name| {
                    let is_pem =
                        Path::new(name).extension().is_some_and(|extension| extension == "pem");
                    is_pem.then_some((0o644, check::authorities))
                })?,
                KEYS => self.add_keys()?,
                HOOKS => self.add_below(&name, |name| {
                    HOOK_NAMES.contains(&name).then_some((0o755, check::hook))
                })?,
                FIRMWARE => self.add_firmware()?,
                _ => self.reject(&name),
            }
        }
        Ok(())
    }

    /// The installer rejects an empty directory of keys.
    fn add_keys(&mut self) -> Result<()> {
        let (entries, problems) = (self.entries.len(), self.problems.len());
        self.add_below(KEYS, |name| {
            let is_key = [".pub", ".pem"].iter().any(|end| name.ends_with(end));
            is_key.then_some((0o644, keys::check))
        })?;
        if (self.entries.len(), self.problems.len()) == (entries, problems) {
            self.problems
                .push(format!("no key found in '{KEYS}'; hint: add one, or remove the directory"));
        }
        Ok(())
    }

    /// Adds all files below `firmware`, with any name. Links are replaced by their files.
    fn add_firmware(&mut self) -> Result<()> {
        let folder = self.folder.join(FIRMWARE);
        if !folder.is_dir() {
            self.reject_non_directory(FIRMWARE);
            return Ok(());
        }
        let walk = walkdir::WalkDir::new(&folder).follow_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry))
        {
            let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let below = entry.path().strip_prefix(&folder).unwrap_or(entry.path());
            let below =
                below.to_str().ok_or_else(|| anyhow!("'{}' is not UTF-8", below.display()))?;
            let bytes = std::fs::read(entry.path())
                .with_context(|| format!("reading {}", entry.path().display()))?;
            self.entries.push((format!("{FIRMWARE_HOME}/{below}"), Entry::file(0o644, bytes)));
        }
        Ok(())
    }

    fn add_below(&mut self, folder: &str, rule: impl Fn(&str) -> Option<Rule>) -> Result<()> {
        if !self.folder.join(folder).is_dir() {
            self.reject_non_directory(folder);
            return Ok(());
        }
        for name in names_in(&self.folder.join(folder))? {
            let path = format!("{folder}/{name}");
            match rule(&name) {
                Some(rule) => self.add_file(&path, rule)?,
                None => self.reject(&path),
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &str, (mode, check): Rule) -> Result<()> {
        let file = self.folder.join(path);
        if !file.is_file() {
            self.problems.push(format!("'{path}' is not a file"));
            return Ok(());
        }
        let bytes = std::fs::read(&file).with_context(|| format!("reading {path}"))?;
        match check(&bytes) {
            Ok(()) => self.entries.push((format!("{HOME}/{path}"), Entry::file(mode, bytes))),
            Err(problem) => self.problems.push(format!("{path}: {problem}")),
        }
        Ok(())
    }

    fn reject_non_directory(&mut self, folder: &str) {
        self.problems.push(format!("'{folder}' is not a directory; hint: expected {}", known()));
    }

    fn reject(&mut self, path: &str) {
        self.problems.push(format!("unknown file '{path}'; hint: expected {}", known()));
    }
}

fn known() -> String {
    let hooks = HOOK_NAMES.join(",");
    format!(
        "{PARAMETERS}, {AUTHORITIES}/*.pem, {KEYS}/*.pub, {KEYS}/*.pem, {CREDENTIALS}, \
         {HOOKS}/{{{hooks}}} and {FIRMWARE}/"
    )
}

fn is_hidden(entry: &walkdir::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// The sorted names in a directory without hidden ones, which belong to tools like git.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?
    {
        let name = entry?.file_name();
        let name = name.to_str().ok_or_else(|| anyhow!("'{}' is not UTF-8", name.display()))?;
        if !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
