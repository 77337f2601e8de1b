//! `ocidd image`, the tool for authors: pushes disk images and boot files to registries and OCI
//! image layouts, and reads them.

mod command;
mod commands;
mod disk;
mod error;
mod meter;
mod options;

pub use command::run;
