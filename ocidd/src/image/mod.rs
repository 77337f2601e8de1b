//! `ocidd image`: the author's side. Pushes disk images and boot files to registries and OCI image layouts, and reads them. The initramfs is
//! built without it.

pub mod command;
mod commands;
mod disk;
mod error;
mod meter;
mod options;
