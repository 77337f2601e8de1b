//! `cargo xtask overlay`: packs a site's folder into an archive that goes behind the initramfs. The same folder gives the same bytes, whoever
//! packs it and when. Nothing is packed that the installer would not read.

mod check;
mod keys;

use crate::gzip;
use crate::newc;
use crate::output;
use crate::output::Readers;
use crate::project;
use crate::report;
use crate::tree::Entry;
use crate::tree::Kind;
use crate::tree::Tree;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use std::path::Path;
use std::path::PathBuf;

/// Pack a site's parameters, certificate authorities, keys, logins, hooks and firmware into an archive to boot with
///
/// DIR may hold: parameters (parameters of the installer, one per line, '#' starts a comment), ca.d/*.pem (certificate authorities), keys.d/*.pub and
/// keys.d/*.pem (public keys: only what one of them has signed is installed), auth.json (logins, as docker's config.json has them) and
/// hooks/before, hooks/after, hooks/failed (scripts; the initramfs has /bin/sh): all of it goes to /etc/ocidd. What is below firmware/ goes to
/// /lib/firmware, where the kernel looks for what network cards ask for. Hidden files are passed over, anything else is refused. The same DIR
/// gives the same bytes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask overlay site
      Writes out/overlay.cpio.gz
  cat out/initramfs-amd64.gz out/overlay.cpio.gz > initramfs-site.gz
      Put it behind the initramfs; boot loaders that load several files take it as a second one
  zcat out/overlay.cpio.gz | cpio -itv
      Look inside

Whoever can fetch the overlay can read the logins in it: give them no right but to pull.")]
pub struct Args {
    /// The site's folder
    dir: PathBuf,
    /// Where to write the archive [default: out/overlay.cpio.gz]
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Where everything of a site but firmware lies in the initramfs.
const HOME: &str = "etc/ocidd";
/// Where the kernel looks for firmware (Documentation/driver-api/firmware/fw_search_path.rst).
const FIRMWARE_HOME: &str = "lib/firmware";

/// Anything fixed gives the same bytes for the same folder. An overlay has no commit whose time it could carry, and that of this project's
/// would change it with every update of the installer. init takes the earliest time of its clock from its own file and not from these.
const MTIME: u32 = 0;

const PARAMETERS: &str = "parameters";
const LOGINS: &str = "auth.json";
const AUTHORITIES: &str = "ca.d";
const KEYS: &str = "keys.d";
const FIRMWARE: &str = "firmware";
const HOOKS: &str = "hooks";
const HOOK_NAMES: [&str; 3] = ["before", "after", "failed"];

/// An overlay, finished.
#[derive(Debug)]
pub struct Overlay {
    tree: Tree,
    pub bytes: Vec<u8>,
}

pub fn run(args: &Args) -> Result<()> {
    let overlay = pack(&args.dir)?;
    let path = args.output.clone().unwrap_or_else(|| project::out().join("overlay.cpio.gz"));
    let readers = if overlay.holds_logins() { Readers::Owner } else { Readers::All };
    output::write_for(&path, &overlay.bytes, readers)?;
    report::result(format_args!(
        "{}: {} bytes, sha256 {}",
        path.display(),
        overlay.bytes.len(),
        output::digest_of(&overlay.bytes)
    ));
    for line in overlay.listing() {
        report::result(format_args!("  {line}"));
    }
    if readers == Readers::Owner {
        report::warn(
            "the overlay holds logins, so only you may read it; whoever can boot from it can read them too",
        );
    }
    Ok(())
}

/// Packs `folder`; or tells everything that is wrong with it, one line each.
pub fn pack(folder: &Path) -> Result<Overlay> {
    let mut site = Site { folder, entries: Vec::new(), faults: Vec::new() };
    site.add_folder().with_context(|| format!("reading {}", folder.display()))?;
    if !site.faults.is_empty() {
        bail!("packing {}: {}", folder.display(), site.faults.join("\n  "));
    }
    if site.entries.is_empty() {
        bail!("packing {}: nothing is in it; hint: it may hold {}", folder.display(), known());
    }
    let tree = Tree::new(site.entries)?;
    let bytes = gzip::compress(&newc::write(&tree, MTIME)?)?;
    Ok(Overlay { tree, bytes })
}

impl Overlay {
    /// The files in it: mode, size, path.
    fn listing(&self) -> Vec<String> {
        let line = |(path, entry): (&str, &Entry)| match &entry.kind {
            Kind::File(bytes) => Some(format!("{:04o} {:>8} /{path}", entry.mode, bytes.len())),
            _ => None,
        };
        self.tree.entries().filter_map(line).collect()
    }

    fn holds_logins(&self) -> bool {
        let logins = format!("{HOME}/{LOGINS}");
        self.tree.entries().any(|(path, _)| path == logins)
    }
}

/// A folder that is being read, and what was wrong so far.
struct Site<'a> {
    folder: &'a Path,
    entries: Vec<(String, Entry)>,
    faults: Vec<String>,
}

/// What becomes of a file: its mode in the initramfs, and what it must be.
type Rule = (u32, fn(&[u8]) -> Result<(), String>);

impl Site<'_> {
    fn add_folder(&mut self) -> Result<()> {
        for name in names_in(self.folder)? {
            match name.as_str() {
                PARAMETERS => self.add_file(&name, (0o644, check::words))?,
                LOGINS => self.add_file(&name, (0o600, check::logins))?,
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
                _ => self.refuse(&name),
            }
        }
        Ok(())
    }

    /// The installer refuses to start where a folder of keys has none.
    fn add_keys(&mut self) -> Result<()> {
        let (entries, faults) = (self.entries.len(), self.faults.len());
        self.add_below(KEYS, |name| {
            let is_key = [".pub", ".pem"].iter().any(|end| name.ends_with(end));
            is_key.then_some((0o644, keys::check))
        })?;
        if (self.entries.len(), self.faults.len()) == (entries, faults) {
            self.faults.push(format!("'{KEYS}' holds no key; hint: put one in, or take it away"));
        }
        Ok(())
    }

    /// Every file below `firmware`, by whatever name the driver asks for it. Of a link the file behind it is taken.
    fn add_firmware(&mut self) -> Result<()> {
        let folder = self.folder.join(FIRMWARE);
        if !folder.is_dir() {
            self.refuse_file(FIRMWARE);
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
                below.to_str().ok_or_else(|| anyhow!("'{}' is no UTF-8", below.display()))?;
            let bytes = std::fs::read(entry.path())
                .with_context(|| format!("reading {}", entry.path().display()))?;
            self.entries.push((format!("{FIRMWARE_HOME}/{below}"), Entry::file(0o644, bytes)));
        }
        Ok(())
    }

    fn add_below(&mut self, folder: &str, rule: impl Fn(&str) -> Option<Rule>) -> Result<()> {
        if !self.folder.join(folder).is_dir() {
            self.refuse_file(folder);
            return Ok(());
        }
        for name in names_in(&self.folder.join(folder))? {
            let path = format!("{folder}/{name}");
            match rule(&name) {
                Some(rule) => self.add_file(&path, rule)?,
                None => self.refuse(&path),
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &str, (mode, check): Rule) -> Result<()> {
        let file = self.folder.join(path);
        if !file.is_file() {
            self.faults.push(format!("'{path}' is no file"));
            return Ok(());
        }
        let bytes = std::fs::read(&file).with_context(|| format!("reading {path}"))?;
        match check(&bytes) {
            Ok(()) => self.entries.push((format!("{HOME}/{path}"), Entry::file(mode, bytes))),
            Err(fault) => self.faults.push(format!("{path}: {fault}")),
        }
        Ok(())
    }

    fn refuse_file(&mut self, folder: &str) {
        self.faults.push(format!("'{folder}' is no folder; hint: DIR may hold {}", known()));
    }

    fn refuse(&mut self, path: &str) {
        self.faults.push(format!("'{path}' is not known; hint: known are {}", known()));
    }
}

fn known() -> String {
    let hooks = HOOK_NAMES.join(",");
    format!(
        "{PARAMETERS}, {AUTHORITIES}/*.pem, {KEYS}/*.pub, {KEYS}/*.pem, {LOGINS}, {HOOKS}/{{{hooks}}} and {FIRMWARE}/"
    )
}

fn is_hidden(entry: &walkdir::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// The names in a folder, in order. Hidden ones are left to whoever keeps the folder, as git does.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?
    {
        let name = entry?.file_name();
        let name = name.to_str().ok_or_else(|| anyhow!("'{}' is no UTF-8", name.display()))?;
        if !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
