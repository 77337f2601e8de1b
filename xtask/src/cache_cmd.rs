//! `cargo xtask cache`: manages the build cache.

pub mod prune;

use crate::sources::cache::Cache;
use anyhow::Result;
use std::time::Duration;

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
    prune::prune(&Cache::at(Cache::location()?), max_age)
}
