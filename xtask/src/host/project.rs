//! Paths of the project, independent of the current directory.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::Shell;

/// The absolute path of the workspace.
pub fn root() -> PathBuf {
    // cargo sets the variable; a debugger does not.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

pub fn out() -> PathBuf {
    root().join("out")
}

pub fn logs() -> PathBuf {
    root().join("target/xtask")
}

/// A shell in the project, where rustup reads `rust-toolchain.toml`.
pub fn shell() -> Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(root());
    Ok(shell)
}
