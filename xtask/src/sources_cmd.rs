//! `cargo xtask sources`: what is done to the pins themselves. Builds use them through `sources`.

use crate::sources::update;
use anyhow::Result;

/// Work on the pins of the upstream sources
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    Update(update::Args),
}

pub fn run(args: &Args) -> Result<()> {
    match &args.verb {
        Verb::Update(args) => update::run(args),
    }
}
