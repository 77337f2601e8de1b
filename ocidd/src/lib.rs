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
pub mod image;
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
