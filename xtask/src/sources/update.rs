//! `cargo xtask sources update`: moves pins to the newest patch release of their series. Goes in: a file with pins, and what their publisher offers. Comes
//! out: the files in the cache, their digests as published, and the same text with new versions and digests. A file is changed whole or not at all.

mod listing;
mod publisher;
mod release;
mod rewrite;
mod signature;

use crate::cache::Cache;
use crate::config;
use crate::download::Client;
use crate::output;
use crate::project;
use crate::report;
use crate::sources::Pin;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use publisher::Publisher;
use publisher::Site;
use signature::Trust;
use std::path::Path;
use std::path::PathBuf;

/// Pin the newest patch release of a series
///
/// Looks up what kernel.org has of the pinned series of Linux, and Alpine of its own; fetches what is newer into the cache, checks it against the publisher's
/// digests, and writes version and digest into kernel/kernel.toml and initramfs.toml. Another series, or an older release, is never chosen. The hosts are
/// those of the pinned URLs, so a mirror of the same layout does as well.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask sources update
      Both, from what their hosts say over HTTPS
  cargo xtask sources update linux --keyring autosigner.gpg
      With kernel.org's signature checked by gpgv. The key is exported by gpg --export autosigner@kernel.org
  cargo xtask sources update --dry-run
      Tell what would change")]
pub struct Args {
    /// Which pins [default: all]
    #[arg(value_enum)]
    which: Option<Publisher>,
    /// Fetch and check as always, but leave the files with the pins as they are
    #[arg(long)]
    dry_run: bool,
    /// The publisher's public key, as `gpg --export` writes it; may be given several times. Without it no signature is checked
    #[arg(long, value_name = "FILE")]
    keyring: Vec<PathBuf>,
}

/// What has become of a file with pins.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Outcome {
    /// There is nothing newer than this version.
    Newest {
        name: String,
        version: String,
    },
    Moved(Vec<Move>),
}

/// A pin before and after.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Move {
    old: Pin,
    new: Pin,
}

/// Whether a file with pins is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Write,
    Tell,
}

pub fn run(args: &Args) -> Result<()> {
    let trust = Trust::open(&args.keyring)?;
    let cache = Cache::open()?;
    let mode = if args.dry_run { Mode::Tell } else { Mode::Write };
    let mut outcomes = Vec::new();
    for publisher in Publisher::ALL {
        if args.which.is_some_and(|which| which != publisher) {
            continue;
        }
        let file = project::root().join(publisher.file());
        let site = Site::new(publisher, Client::default(), trust.clone());
        outcomes.push(
            update(&file, &site, &cache, mode)
                .map(|outcome| tell(&outcome, publisher.file(), mode))
                .with_context(|| format!("updating the pins of {}", publisher.file())),
        );
    }
    config::join_outcomes(outcomes)
}

fn tell(outcome: &Outcome, file: &str, mode: Mode) {
    let done = if mode == Mode::Write { "pinned in" } else { "not written to" };
    match outcome {
        Outcome::Newest { name, version } => {
            report::result(format_args!("{name} {version} is already the newest of its series"));
        }
        Outcome::Moved(moves) => {
            for Move { old, new } in moves {
                report::result(format_args!(
                    "{} {} -> {}, {done} {file}\n  {}\n  sha256 {} -> {}",
                    new.name, old.version, new.version, new.url, old.sha256, new.sha256
                ));
            }
        }
    }
}

/// Moves all pins of `file` that come from this publisher to its newest release.
fn update(file: &Path, site: &Site, cache: &Cache, mode: Mode) -> Result<Outcome> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let publisher = site.publisher();
    let pins = publisher.pins(&text)?;
    let (Some(first), newest) = (pins.first(), site.newest(&pins)?) else {
        bail!("{} pins nothing of {publisher}", file.display())
    };
    let Some(newest) = newest else {
        // Where nothing moves, that the pins are what is published is worth knowing all the same.
        for pin in &pins {
            verify_published(pin, site)?;
        }
        return Ok(Outcome::Newest { name: first.name.clone(), version: first.version.clone() });
    };
    let draft = rewrite::values(&text, &[(publisher.version_key(), newest)])?;
    let (mut moves, mut digests) = (Vec::new(), Vec::new());
    for (at, (old, mut new)) in pins.into_iter().zip(publisher.pins(&draft)?).enumerate() {
        new.sha256 = site.digest(&new)?;
        let path = obtain(&new, site, cache)?;
        site.verify_signature(&new, &path)?;
        digests.push((publisher.digest_key(at), new.sha256.clone()));
        moves.push(Move { old, new });
    }
    let draft = rewrite::values(&draft, &digests)?;
    publisher.pins(&draft).context("checking the new text")?;
    if mode == Mode::Write {
        output::write(file, draft.as_bytes())?;
    }
    Ok(Outcome::Moved(moves))
}

/// Fails where the publisher lists another digest than the pinned one.
fn verify_published(pin: &Pin, site: &Site) -> Result<()> {
    let published = site.digest(pin)?;
    if published != pin.sha256 {
        bail!(
            "{} {} is pinned with sha256 {}, and its publisher says {published}  hint: somebody changed the file or the list; find out who before you use either",
            pin.name,
            pin.version,
            pin.sha256
        );
    }
    Ok(())
}

/// The file of a pin whose digest was just published, from the cache or its URL.
fn obtain(pin: &Pin, site: &Site, cache: &Cache) -> Result<PathBuf> {
    if let Some(path) = cache.source(&pin.sha256, pin.file_name())? {
        return Ok(path);
    }
    let fetching = || format!("fetching {}", pin.url);
    report::step(fetching());
    let mut file = cache.temporary_file()?;
    site.client().fetch(&pin.url, &pin.name, file.as_file_mut()).with_context(fetching)?;
    let found = output::digest(file.path())?;
    if found != pin.sha256 {
        bail!(
            "sha256 of {} is {found}, its publisher says {}  hint: a broken transfer or a mirror at work: try again later, and pin nothing by hand",
            pin.url,
            pin.sha256
        );
    }
    cache.store_source(file, &found, pin.file_name())
}

#[cfg(test)]
mod tests;
