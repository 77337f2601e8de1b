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

/// Runs `ocidd image` if the arguments start with `image`.
pub use image::run as run_image;

/// The initramfs is built without it.
#[cfg(not(feature = "image"))]
mod image {
    pub fn run(_: impl Iterator<Item = std::ffi::OsString>) -> Option<std::process::ExitCode> {
        None
    }
}
