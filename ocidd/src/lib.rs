//! Installs a disk image from an OCI registry: words → options → plan → layer → pipeline → sink → done; events tell of it.

pub mod args;
mod classify;
pub mod diagnostic;
pub mod disk;
pub mod event;
pub mod failure;
pub mod format;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "image")]
mod image;
pub mod install;
pub mod machine;
pub mod pipeline;
pub mod plan;
pub mod post;
pub mod progress;
pub mod prompt;
pub mod report;
pub mod source;
mod sysfs;
pub mod trust;

/// Runs `ocidd image` if the arguments start with `image`. The initramfs is built without it.
#[cfg(feature = "image")]
pub use image::run as run_image;

#[cfg(not(feature = "image"))]
pub fn run_image(
    _arguments: impl Iterator<Item = std::ffi::OsString>,
) -> Option<std::process::ExitCode> {
    None
}
