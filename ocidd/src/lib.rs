//! Installs a disk image from an OCI registry.

pub mod disk;
pub mod format;
pub mod help;
#[cfg(feature = "image")]
mod image;
pub mod install;
pub mod machine;
pub mod plan;
pub mod prompt;
pub mod report;
pub mod request;
pub mod trust;
pub mod write;

/// Runs `ocidd image` if the arguments start with `image`, and parses titles. Not in the initramfs.
#[cfg(feature = "image")]
pub use image::{parse_title, run as run_image};
