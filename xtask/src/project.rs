//! Where the project lies. Every path of the project is reached through here, so that xtask works from any directory.

use std::path::Path;
use std::path::PathBuf;

/// The workspace's folder, absolute.
pub fn root() -> PathBuf {
    // cargo sets the variable for what it runs; the other value is for a debugger, which starts the binary itself.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where outputs go: kernels, initramfs files, manifests, sums.
pub fn out() -> PathBuf {
    root().join("out")
}

/// Where logs go: of builds, of guests, of registries.
pub fn logs() -> PathBuf {
    root().join("target/xtask")
}
