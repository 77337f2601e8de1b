//! Paths of the project, independent of the current directory.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use xshell::{Cmd, Shell};

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

/// The output of git for the repository in `root`, even in a hook of another one. An error without
/// a repository: an unpacked archive of the project may be inside another one.
pub fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    ensure!(root.join(".git").exists(), "the project is not in a repository of git");
    let shell = Shell::new()?;
    shell.change_dir(root);
    let git = ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"]
        .iter()
        .fold(shell.cmd("git"), Cmd::env_remove);
    Ok(git.args(arguments).quiet().read()?)
}
