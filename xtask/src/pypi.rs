//! Other people's programs in Python that judge us: fetched once by pip, and kept.

use crate::cmd;
use crate::output;
use crate::project;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;

/// The programs and all that they need, each by version and digest.
const REQUIREMENTS: &str = include_str!("pypi/requirements.txt");

/// The folder with them, for `PYTHONPATH`, filled where it is not there yet. Another list and another Python have another folder.
pub fn packages(shell: &Shell) -> Result<PathBuf> {
    let python = cmd::version("python3")?;
    let digest = output::digest_of(format!("{python}\n{REQUIREMENTS}").as_bytes());
    let folder = project::logs().join(format!("pypi-{}", digest.get(..12).unwrap_or_default()));
    if !folder.is_dir() {
        report::step("fetching zizmor, check-jsonschema and oras from PyPI");
        fetch(shell, &folder).context("fetching Python packages")?;
    }
    Ok(folder)
}

/// Whole or not at all: pip fills another folder, which is renamed then.
fn fetch(shell: &Shell, folder: &Path) -> Result<()> {
    let parent = project::logs();
    std::fs::create_dir_all(&parent).with_context(|| format!("making {}", parent.display()))?;
    let new = tempfile::Builder::new().prefix(".pypi-").tempdir_in(&parent)?;
    let list = new.path().join("requirements.txt");
    output::write(&list, REQUIREMENTS.as_bytes())?;
    // The list is complete, so nothing but what it names is fetched, and no package's own code runs.
    shell
        .cmd("python3")
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(new.path())
        // What pip warns of where root runs it does not matter for a folder of our own.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .quiet()
        .run()?;
    let filled = new.keep();
    std::fs::rename(&filled, folder)
        .with_context(|| format!("renaming {} to {}", filled.display(), folder.display()))
}
