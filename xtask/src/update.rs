//! `cargo xtask sources update`: moves pins to the newest patch release of their series.

mod publisher;
mod signature;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use publisher::{List, Publisher, Site};
use signature::TrustedKeys;
use toml_edit::{DocumentMut, Item, Value};

use crate::{
    config::Pin,
    host::{output, project, report, report::hinted},
    sources::{cache::Cache, download::Client},
};

/// Work with the pins of the upstream sources
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    subcommand: Subcommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Subcommand {
    /// Pin the newest patch release of a series
    ///
    /// Looks for newer releases of the pinned series of Linux and Alpine, downloads them into the
    /// cache, verifies the publisher's digests, and writes version and digest into
    /// kernel/kernel.toml and initramfs.toml. Never changes to another series or an older release.
    /// Uses the hosts of the pinned URLs, so a mirror with the same layout works too.
    #[command(after_help = "Examples:
  cargo xtask sources update
      Update both, trusting their hosts over HTTPS
  cargo xtask sources update linux --keyring autosigner.gpg
      Verify kernel.org's signature with a key from gpg --export autosigner@kernel.org
  cargo xtask sources update --dry-run
      Print what would change")]
    Update {
        /// Pins to update [default: all]
        #[arg(value_enum)]
        which: Option<Publisher>,
        /// Download and verify, but do not change the files with the pins
        #[arg(long)]
        dry_run: bool,
        /// File with the publisher's public key, from `gpg --export`; repeatable. Without it,
        /// signatures are not verified
        #[arg(long, value_name = "FILE")]
        keyring: Vec<PathBuf>,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Outcome {
    /// No release is newer than this pin.
    Newest(Pin),
    /// Pins before and after.
    Moved(Vec<(Pin, Pin)>),
}

/// Whether the file with the pins is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Write,
    DryRun,
}

pub fn run(args: &Args) -> Result<()> {
    let Subcommand::Update { which, dry_run, keyring } = &args.subcommand;
    let keys = TrustedKeys::open(keyring)?;
    let cache = Cache::open()?;
    let mode = if *dry_run { Mode::DryRun } else { Mode::Write };
    let chosen = |publisher: &Publisher| which.is_none_or(|which| which == *publisher);
    let outcomes = Publisher::ALL.into_iter().filter(chosen).map(|publisher| {
        let site = Site { publisher, client: Client::default(), keys: keys.clone() };
        let file = publisher.file();
        update(&project::root().join(file), &site, &cache, mode)
            .map(|outcome| print(&outcome, file, mode))
            .with_context(|| format!("updating the pins of {file}"))
    });
    report::join_outcomes(outcomes.collect::<Vec<_>>())
}

fn print(outcome: &Outcome, file: &str, mode: Mode) {
    let done = if mode == Mode::Write { "pinned in" } else { "not written to" };
    match outcome {
        Outcome::Newest(Pin { name, version, .. }) => {
            report::result(format_args!("{name} {version} is already the newest of its series"));
        }
        Outcome::Moved(moves) => {
            for (old, new) in moves {
                report::result(format_args!(
                    "{} {} -> {}, {done} {file}\n  {}\n  sha256 {} -> {}",
                    new.name, old.version, new.version, new.url, old.sha256, new.sha256
                ));
            }
        }
    }
}

/// Moves all pins of this publisher in `file` to its newest release. Writes all changes or none.
fn update(file: &Path, site: &Site, cache: &Cache, mode: Mode) -> Result<Outcome> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let publisher = site.publisher;
    let pins = publisher.pins(&text)?;
    let lists: Vec<List> = pins.iter().map(|pin| site.list(pin)).collect::<Result<_>>()?;
    let Some(newest) = publisher::newest(&pins, &lists)? else {
        for (pin, list) in pins.iter().zip(&lists) {
            verify_pin(pin, &site.digest(pin, list)?)?;
        }
        let pin = pins.into_iter().next();
        return pin
            .map(Outcome::Newest)
            .with_context(|| format!("{} pins nothing", file.display()));
    };
    let (version_key, digest_keys) = publisher.keys();
    let draft = with_values(&text, &[(version_key.to_owned(), newest)])?;
    let (mut moves, mut digests) = (Vec::new(), Vec::new());
    let olds = pins.into_iter().zip(&lists).zip(digest_keys);
    for (((old, list), key), mut new) in olds.zip(publisher.pins(&draft)?) {
        new.sha256 = site.digest(&new, list)?;
        let path = download(&new, site, cache)?;
        site.verify_signature(&new, &path)?;
        digests.push((key, new.sha256.clone()));
        moves.push((old, new));
    }
    let draft = with_values(&draft, &digests)?;
    publisher.pins(&draft).context("checking the new text")?;
    if mode == Mode::Write {
        output::write(file, draft.as_bytes())?;
    }
    Ok(Outcome::Moved(moves))
}

/// Fails if the published digest is not the pinned one.
fn verify_pin(pin: &Pin, published: &str) -> Result<()> {
    let Pin { name, version, sha256, .. } = pin;
    if published == sha256 {
        return Ok(());
    }
    Err(hinted(
        format!(
            "{name} {version} is pinned with sha256 {sha256}, the published one is {published}"
        ),
        "find out whether the file or the list was changed before you use either",
    ))
}

/// The file with the published digest in `pin`, from the cache or its URL.
fn download(pin: &Pin, site: &Site, cache: &Cache) -> Result<PathBuf> {
    if let Some(path) = cache.source(&pin.sha256, pin.file_name())? {
        return Ok(path);
    }
    report::step(format_args!("fetching {}", pin.url));
    let mut file = cache.temporary_file()?;
    site.client.fetch(&pin.url, &pin.name, file.as_file_mut(), u64::MAX)?;
    let found = output::digest(file.path())?;
    if found != pin.sha256 {
        let Pin { url, sha256, .. } = pin;
        let fact = format!("sha256 of {url} is {found}, the published one is {sha256}");
        return Err(hinted(fact, "try again later; a mirror may be updating"));
    }
    cache.store_source(file, &found, pin.file_name())
}

/// `text` with other strings for these existing keys. Comments, order and layout are kept.
fn with_values(text: &str, changes: &[(String, String)]) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("parsing TOML")?;
    for (key, new) in changes {
        let value = key
            .split('.')
            .try_fold(document.as_item_mut(), |item: &mut Item, name| item.get_mut(name))
            .and_then(Item::as_value_mut)
            .ok_or_else(|| anyhow!("key '{key}' not found"))?;
        let around = value.decor().clone();
        *value = Value::from(new.as_str());
        *value.decor_mut() = around;
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests;
