//! Third-party Python programs for checks and tests, downloaded once by pip.

use crate::host::cmd;
use crate::host::output;
use crate::host::project;
use crate::host::report;
use anyhow::Context as _;
use anyhow::Result;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;

/// The programs and their dependencies, each with version and digest.
const REQUIREMENTS: &str = include_str!("pypi/requirements.txt");

/// Their directory for `PYTHONPATH`, filled on first use; one for each list and Python version.
pub fn packages(shell: &Shell) -> Result<PathBuf> {
    let python = cmd::version("python3")?;
    let digest = output::digest_of(format!("{python}\n{REQUIREMENTS}").as_bytes());
    let directory = project::logs().join(format!("pypi-{}", digest.get(..12).unwrap_or_default()));
    if !directory.is_dir() {
        report::step("fetching zizmor, check-jsonschema and oras from PyPI");
        fetch(shell, &directory).context("fetching Python packages")?;
    }
    Ok(directory)
}

/// pip fills a temporary directory, which is then renamed, so that it is complete.
fn fetch(shell: &Shell, directory: &Path) -> Result<()> {
    let parent = project::logs();
    std::fs::create_dir_all(&parent).with_context(|| format!("creating {}", parent.display()))?;
    let new = tempfile::Builder::new().prefix(".pypi-").tempdir_in(&parent)?;
    let list = new.path().join("requirements.txt");
    output::write(&list, REQUIREMENTS.as_bytes())?;
    // The list is complete: nothing else is downloaded, and no package runs its own code.
    shell
        .cmd("python3")
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(new.path())
        // pip's warning for root does not matter with --target.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .quiet()
        .run()?;
    let filled = new.keep();
    std::fs::rename(&filled, directory)
        .with_context(|| format!("renaming {} to {}", filled.display(), directory.display()))
}
