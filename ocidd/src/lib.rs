//! Installs a disk image from an OCI registry.

pub mod disk;
pub mod format;
pub mod help;
#[cfg(feature = "image")]
pub mod image;
pub mod install;
pub mod machine;
pub mod plan;
pub mod prompt;
pub mod report;
pub mod request;
pub mod trust;
pub mod write;

use std::env::ArgsOs;
use std::iter::Skip;
use std::process::ExitCode;

/// Runs a subcommand with its arguments.
type Subcommand = fn(Skip<ArgsOs>) -> ExitCode;

/// `ocidd image`, which the initramfs does not contain.
#[cfg(feature = "image")]
pub const IMAGE: Option<Subcommand> = Some(image::command::run);
#[cfg(not(feature = "image"))]
pub const IMAGE: Option<Subcommand> = None;
