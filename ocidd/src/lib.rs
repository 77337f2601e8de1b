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
