//! Installs a disk image from an OCI registry: words → options → plan → layer → pipeline → sink → summary.

pub mod args;
pub mod digest;
pub mod disk;
pub mod failure;
pub mod install;
pub mod pipeline;
pub mod plan;
pub mod progress;
pub mod prompt;
pub mod reference;
pub mod registry;
pub mod report;
pub mod size;
pub mod source;
