//! Development tasks of ocidd, one subcommand per file.
#![expect(unreachable_pub, reason = "`pub` marks what a module exports to the others")]

mod build;
mod cache_cmd;
mod completions;
mod config;
mod describe;
mod host;
mod initramfs;
mod inspect;
mod kernel;
mod overlay;
mod publish;
mod sources;
mod test;
mod testbed;
mod update;
mod verify;

use std::{process::ExitCode, sync::atomic::Ordering};

use clap::{Parser, Subcommand};

/// Build and test ocidd, the installer that boots
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// Install missing packages without asking
    #[arg(long, short, global = true)]
    yes: bool,
    #[command(subcommand)]
    subcommand: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Setup(host::setup::Args),
    BuildKernel(build::KernelArgs),
    BuildInitramfs(initramfs::Args),
    Build(build::Args),
    Overlay(overlay::Args),
    Tree(inspect::tree::Args),
    Diff(inspect::diff::Args),
    Sources(update::Args),
    Demo(test::demo::Args),
    Test(test::Args),
    TestBoot(test::boot::Args),
    Verify(verify::Args),
    Publish(publish::Args),
    Lint(test::lint::Args),
    Fuzz(test::fuzz::Args),
    Bench(test::bench::Args),
    Cache(cache_cmd::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    host::setup::CONSENT.store(cli.yes, Ordering::Relaxed);
    let outcome = match &cli.subcommand {
        Sub::Setup(args) => host::setup::run(args),
        Sub::BuildKernel(args) => build::run_kernel(args),
        Sub::BuildInitramfs(args) => initramfs::run(args),
        Sub::Build(args) => build::run(args),
        Sub::Overlay(args) => overlay::run(args),
        Sub::Tree(args) => inspect::tree::run(args),
        Sub::Diff(args) => return inspect::diff::run(args),
        Sub::Sources(args) => update::run(args),
        Sub::Demo(args) => test::demo::run(args),
        Sub::Test(args) => test::run(args),
        Sub::TestBoot(args) => test::boot::run(args),
        Sub::Verify(args) => verify::run(args),
        Sub::Publish(args) => publish::run(args),
        Sub::Lint(args) => test::lint::run(args),
        Sub::Fuzz(args) => test::fuzz::run(args),
        Sub::Bench(args) => test::bench::run(args),
        Sub::Cache(args) => cache_cmd::run(args),
        Sub::Completions(args) => {
            completions::run(args);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            host::report::failure(&error);
            ExitCode::FAILURE
        }
    }
}
