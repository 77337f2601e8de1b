//! `cargo xtask cache`: tells what the build cache holds, and makes it smaller. What a running build uses stays.

mod choice;
mod entries;
mod kernels;
mod remove;
mod sources;
mod store;
mod table;
#[cfg(test)]
pub mod tests;
mod units;

pub use entries::Entry;
pub use entries::Kind;
pub use entries::list;
pub use store::Cache;
pub use store::KERNEL_LOCK;
pub use table::totals;
pub use units::size;

use crate::cache::choice::Limits;
use crate::cache::remove::Outcome;
use crate::report;
use anyhow::Result;
use anyhow::bail;
use std::time::Duration;

/// Show or shrink the build cache
///
/// Sources, kernels, apt's package lists, ccache's object files and the room for builds at work lie in one folder: ocidd below
/// `XDG_CACHE_HOME`, else below ~/.cache. Everything in it is made anew where it is missing, so nothing is lost but time.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask cache ls
      What is there, how large it is and when a build last used it
  cargo xtask cache gc --dry-run
      What a month without use would cost it
  cargo xtask cache gc --max-size 5G
      Down to 5 GiB, what was not used for longest first
  cargo xtask cache rm 3d3fdbe9
      One source or kernel, by the beginning of its digest or key")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// List what is there
    Ls {
        /// Show digests and keys in full
        #[arg(long)]
        full: bool,
    },
    /// Remove what was not used for long, and what broken builds left behind
    Gc(GcArgs),
    /// Remove entries by name
    Rm(RmArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct GcArgs {
    /// Remove what no build used for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    max_age: u32,
    /// Then remove what was not used for longest, until the cache is no larger than this (500M, 5G)
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    max_size: Option<u64>,
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct RmArgs {
    /// Remove everything that xtask put there
    #[arg(long)]
    all: bool,
    /// The name of an entry, or the beginning of its digest or key
    #[arg(value_name = "KEY-OR-NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let cache = Cache::at(Cache::place()?);
    let entries = list(cache.root());
    match &args.action {
        Action::Ls { full } => {
            report::result(cache.root().display());
            report::result(table::render(&entries, *full));
            Ok(())
        }
        Action::Gc(args) => {
            let max_age = Duration::from_hours(24 * u64::from(args.max_age));
            let limits = Limits { max_age, max_size: args.max_size };
            let chosen = choice::expendable(&entries, limits);
            if args.dry_run {
                for entry in &chosen {
                    report::result(format_args!("would remove {}", table::line(entry)));
                }
                let bytes = chosen.iter().map(|entry| entry.bytes).sum();
                report::result(format_args!("would free {}", units::exact_size(bytes)));
                return Ok(());
            }
            remove_all(&cache, &chosen).map(drop)
        }
        Action::Rm(args) => {
            let chosen = if args.all {
                entries.iter().collect()
            } else {
                choice::named(&entries, &args.names)?
            };
            match remove_all(&cache, &chosen)? {
                0 => Ok(()),
                kept => bail!(
                    "{kept} of {} entries are in use by a running build  hint: try again when it has ended",
                    chosen.len()
                ),
            }
        }
    }
}

/// Removes these entries, tells of each, and gives the number of those that a running build uses.
fn remove_all(cache: &Cache, chosen: &[&Entry]) -> Result<usize> {
    let (mut freed, mut kept) = (0, 0);
    for entry in chosen {
        match remove::remove(cache, entry)? {
            Outcome::Removed => {
                freed += entry.bytes;
                report::result(format_args!("removed {}", table::line(entry)));
            }
            Outcome::InUse => {
                kept += 1;
                report::step(format_args!("a running build uses {}", table::line(entry)));
            }
        }
    }
    report::result(format_args!("freed {}", units::exact_size(freed)));
    Ok(kept)
}
