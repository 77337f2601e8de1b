//! Installs a disk image from an OCI registry: words → options → plan → layer → pipeline → sink → done; events tell of it.

pub mod args;
pub mod disk;
pub mod format;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "image")]
pub mod image;
pub mod install;
pub mod machine;
pub mod plan;
pub mod prompt;
pub mod report;
pub mod trust;
pub mod write;
