//! `cargo xtask cache`: removes entries that no build has used for a while. Entries in use stay.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use oci::size::Bytes;

use crate::{
    host::{arch::Arch, output, output::SUMS, report},
    sources::cache::{ABANDONED, Cache, KERNEL_LOCK, KERNELS, SOURCES, Usage, children},
};

/// Manage the build cache
///
/// Sources, kernels, the package lists of apt, the object files of ccache and temporary files are
/// in the directory 'ocidd' below `XDG_CACHE_HOME` (default: ~/.cache). A build creates again what
/// is missing, so removing it costs only time.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask cache prune
      Remove what no build has used for a month
  cargo xtask cache prune --older-than 0
      Remove everything that no running build uses")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Remove old entries and what interrupted builds left
    Prune {
        /// Remove what no build has used for this many days
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        older_than: u32,
    },
}

pub fn run(args: &Args) -> Result<()> {
    let Action::Prune { older_than } = args.action;
    let max_age = Duration::from_hours(24 * u64::from(older_than));
    prune(&Cache::at(Cache::location()?), max_age)
}

/// A file or directory that is kept or removed as a whole.
#[derive(Debug)]
pub struct Entry {
    pub path: PathBuf,
    pub usage: Usage,
    in_use: InUse,
    /// Remove it after this time, whatever the user chose.
    max_age: Option<Duration>,
}

/// How to find out whether a build uses an entry.
#[derive(Debug)]
enum InUse {
    /// The build holds a lock on this file.
    File(PathBuf),
    /// The build holds the lock of this name.
    Lock(String),
}

/// Removes what was not used for `max_age`, and the remains of interrupted builds.
pub fn prune(cache: &Cache, max_age: Duration) -> Result<()> {
    let mut freed = 0;
    for entry in entries(cache) {
        if entry.usage.unused < entry.max_age.unwrap_or(max_age) {
            continue;
        }
        let name = entry.path.strip_prefix(&cache.root).unwrap_or(&entry.path).display();
        if remove(cache, &entry)? {
            freed += entry.usage.bytes;
            report::result(format_args!("removed {name}: {}", Bytes(entry.usage.bytes)));
        } else {
            report::step(format_args!("kept {name}: in use by a running build"));
        }
    }
    report::result(format_args!("freed {}", Bytes(freed)));
    Ok(())
}

/// Everything that xtask has stored, and nothing else. Changes nothing.
pub fn entries(cache: &Cache) -> Vec<Entry> {
    let root = &cache.root;
    let mut entries = Vec::new();
    let mut add = |path: PathBuf, in_use, max_age| {
        let usage = Usage::of(&path);
        entries.extend(usage.map(|usage| Entry { path, usage, in_use, max_age }));
    };
    let digests = |below| children(&root.join(below)).filter(|(name, _)| output::is_sha256(name));
    for (_, folder) in digests(SOURCES) {
        for (_, path) in children(&folder).filter(|(_, path)| path.is_file()) {
            add(path.clone(), InUse::File(path), None);
        }
    }
    for (_, folder) in digests(KERNELS) {
        add(folder.clone(), InUse::File(folder.join(SUMS)), None);
    }
    for arch in Arch::ALL.map(Arch::oci) {
        add(root.join("apt").join(arch), InUse::Lock(format!("apt-{arch}")), None);
    }
    for (name, max_age) in [("ccache", None), ("configs", None), ("build", Some(Duration::ZERO))] {
        add(root.join(name), InUse::Lock(KERNEL_LOCK.to_owned()), max_age);
    }
    for path in cache.temporaries() {
        add(path.clone(), InUse::File(path), Some(ABANDONED));
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

/// Removes an entry and returns true, unless a running build uses it. Never waits for a build.
pub fn remove(cache: &Cache, entry: &Entry) -> Result<bool> {
    match &entry.in_use {
        InUse::File(mark) => {
            let _changing = cache.changing()?;
            let is_removed = cache.remove_unlocked(&entry.path, mark)?;
            let sources = cache.root.join(SOURCES);
            if let Some(digest) = entry.path.parent().filter(|parent| parent.starts_with(sources)) {
                // This fails, as intended, if the directory contains another file.
                std::fs::remove_dir(digest).ok();
            }
            Ok(is_removed)
        }
        InUse::Lock(name) => {
            let Some(_lock) = cache.try_lock(name)? else { return Ok(false) };
            cache.delete(&entry.path).map(|()| true)
        }
    }
}
