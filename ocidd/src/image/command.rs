//! The command line of `ocidd image`.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use registry::session::Session;

use crate::image::{
    commands,
    commands::{
        attach::Attach,
        build::Build,
        copy::Copy,
        inspect::Inspect,
        list::List,
        pull::Pull,
        push::Push,
        referrers::Referrers,
        store::{Rm, Tag, Untag},
        url::Url,
    },
    error::Result,
    meter::Console,
    options::Options,
};

/// Push disk images and boot files to registries, and inspect them
#[derive(Debug, Parser)]
#[command(
    name = "ocidd image",
    bin_name = "ocidd image",
    after_help = "Examples:\n  ocidd image push disk.raw registry.example/os:1\n  \
    ocidd image push --platform linux/arm64 disk-arm64.raw registry.example/os:1\n  \
    ocidd image inspect registry.example/os:1\n  \
    ocidd image copy registry.example/os:1 oci:/srv/images:os-1\n\n\
    Credentials are shared with podman and docker (`podman login registry.example`)."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Push(Push),
    Build(Build),
    List(List),
    Tag(Tag),
    Untag(Untag),
    Inspect(Inspect),
    Pull(Pull),
    Url(Url),
    Copy(Copy),
    Attach(Attach),
    Referrers(Referrers),
    Rm(Rm),
    /// Remove blobs from the store that no image uses
    Gc,
}

/// Runs `ocidd image` if the first argument is `image`. Exit codes: 0 success, 1 failure, 2 invalid
/// arguments.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let first = arguments.next().filter(|first| first == "image")?;
    let cli = match Cli::try_parse_from([first].into_iter().chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // If printing fails, the message is lost.
            error.print().ok();
            return Some(ExitCode::from(if error.use_stderr() { 2 } else { 0 }));
        }
    };
    let session = Session::new(cli.options.into(), Box::new(Console::new()));
    Some(match dispatch(&cli.command, &session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new().fail(&error.into_diagnostic());
            ExitCode::FAILURE
        }
    })
}

fn dispatch(command: &Command, session: &Session) -> Result<()> {
    match command {
        Command::Push(args) => commands::push::run(args, session),
        Command::Build(args) => commands::build::run(args, session),
        Command::List(args) => commands::list::run(args, session),
        Command::Tag(args) => commands::store::tag(args, session),
        Command::Untag(args) => commands::store::untag(args, session),
        Command::Inspect(args) => commands::inspect::run(args, session),
        Command::Pull(args) => commands::pull::run(args, session),
        Command::Url(args) => commands::url::run(args, session),
        Command::Copy(args) => commands::copy::run(args, session),
        Command::Attach(args) => commands::attach::run(args, session),
        Command::Referrers(args) => commands::referrers::run(args, session),
        Command::Rm(args) => commands::store::remove(args, session),
        Command::Gc => commands::store::collect(session),
    }
}
