//! Shows and compares initramfs files.

pub mod diff;
pub mod tree;
