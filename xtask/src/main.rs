//! Development tasks of ocidd, one subcommand per file.
#![expect(unreachable_pub, reason = "`pub` marks what a module exports to the others")]

mod arch;
mod authority;
mod bench;
mod binaries;
mod build;
mod build_initramfs;
mod cache;
mod cmd;
mod completions;
mod config;
mod debian;
mod demo;
mod describe;
mod diff;
mod download;
mod env;
mod fuzz;
#[cfg(test)]
mod golden;
mod kernel;
mod lint;
mod output;
mod overlay;
mod parts;
mod project;
mod publish;
mod pypi;
mod qemu;
mod registry;
mod report;
mod reproduce;
mod sample;
mod setup;
mod sources;
mod test;
mod test_boot;
mod toolchain;
mod tree_cmd;
mod verify;

use clap::Parser;
use clap::Subcommand;
use std::process::ExitCode;

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
    Setup(setup::Args),
    BuildKernel(build::KernelArgs),
    BuildInitramfs(build_initramfs::Args),
    Build(build::Args),
    Overlay(overlay::Args),
    Tree(tree_cmd::Args),
    Diff(diff::Args),
    Sources(sources::update::Args),
    Demo(demo::Args),
    Test(test::Args),
    TestBoot(test_boot::Args),
    Verify(verify::Args),
    Publish(publish::Args),
    Lint(lint::Args),
    Fuzz(fuzz::Args),
    Bench(bench::Args),
    Cache(cache::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    setup::set_consent(cli.yes);
    let outcome = match &cli.subcommand {
        Sub::Setup(args) => setup::run(args),
        Sub::BuildKernel(args) => build::run_kernel(args),
        Sub::BuildInitramfs(args) => build_initramfs::run(args),
        Sub::Build(args) => build::run(args),
        Sub::Overlay(args) => overlay::run(args),
        Sub::Tree(args) => tree_cmd::run(args),
        Sub::Diff(args) => return diff::run(args),
        Sub::Sources(args) => sources::update::run(args),
        Sub::Demo(args) => demo::run(args),
        Sub::Test(args) => test::run(args),
        Sub::TestBoot(args) => test_boot::run(args),
        Sub::Verify(args) => verify::run(args),
        Sub::Publish(args) => publish::run(args),
        Sub::Lint(args) => lint::run(args),
        Sub::Fuzz(args) => fuzz::run(args),
        Sub::Bench(args) => bench::run(args),
        Sub::Cache(args) => cache::run(args),
        Sub::Completions(args) => {
            completions::run(args);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}
