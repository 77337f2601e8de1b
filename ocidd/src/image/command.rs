//! The command line of `ocidd image`.

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;
use registry::session::Session;

use crate::image::{commands::Command, meter::Console, options::Options};

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
    Some(match cli.command.run(&session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new().fail(&error.into_diagnostic());
            ExitCode::FAILURE
        }
    })
}
