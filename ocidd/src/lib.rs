//! Installs a disk image from an OCI registry.

pub mod args;
pub mod disk;
pub mod format;
#[cfg(feature = "image")]
pub mod image;
pub mod install;
pub mod machine;
pub mod plan;
pub mod prompt;
pub mod report;
pub mod trust;
pub mod write;
