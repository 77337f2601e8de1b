//! Publishers' signatures, checked by gpgv against keys that the user brings. No key is ever fetched, and none of the user's own keyrings is read.

use super::listing;
use crate::cmd;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;
use xshell::Shell;

/// What makes a publisher's word believed.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// A signature by one of the keys in these files.
    Keyrings(Vec<PathBuf>),
    /// Nothing but the way it came here.
    Transport,
}

impl Trust {
    /// Checks that the keys can be used. Without keys the user is warned.
    pub(super) fn open(keyrings: &[PathBuf]) -> Result<Self> {
        if keyrings.is_empty() {
            report::warn(
                "without --keyring no signature is checked: digests are what the host says, and prove no more than that host's TLS certificate (over plain HTTP: nothing)",
            );
            return Ok(Self::Transport);
        }
        if cmd::find("gpgv").is_none() {
            bail!(
                "--keyring needs gpgv, which is not in PATH  hint: install it; Debian's package has the same name"
            );
        }
        keyrings.iter().map(|file| checked(file)).collect::<Result<_>>().map(Self::Keyrings)
    }

    /// The text inside a clear signature.
    pub(super) fn read_clear_signed(&self, signed: &str) -> Result<String> {
        let Self::Keyrings(keyrings) = self else {
            return listing::text_of_clear_signed(signed);
        };
        let folder = room()?;
        let (from, to) = (folder.path().join("signed"), folder.path().join("text"));
        std::fs::write(&from, signed).context("writing a signed text")?;
        // What gpgv gives out is what was signed. The file may hold more, before it and behind it.
        verify(keyrings, &folder, &[Path::new("--output"), &to, &from])?;
        std::fs::read_to_string(&to).context("reading a signed text")
    }

    /// Fails unless `signature` is one of `file`.
    pub(super) fn verify_detached(&self, file: &Path, signature: &str) -> Result<()> {
        let Self::Keyrings(keyrings) = self else { return Ok(()) };
        let folder = room()?;
        let beside = folder.path().join("signature");
        std::fs::write(&beside, signature).context("writing a signature")?;
        verify(keyrings, &folder, &[&beside, file])
    }
}

fn checked(keyring: &Path) -> Result<PathBuf> {
    let reading = || format!("reading --keyring {}", keyring.display());
    let bytes = std::fs::read(keyring).with_context(reading)?;
    if bytes.starts_with(b"-----BEGIN PGP") {
        bail!(
            "--keyring {} is in ASCII armor, which gpgv does not read  hint: gpg --dearmor < {0} > key.gpg",
            keyring.display()
        );
    }
    // gpgv looks for a bare name in its own folder.
    keyring.canonicalize().with_context(reading)
}

fn room() -> Result<TempDir> {
    tempfile::tempdir().context("making a folder for gpgv")
}

fn verify(keyrings: &[PathBuf], folder: &TempDir, words: &[&Path]) -> Result<()> {
    let shell = Shell::new()?;
    let mut gpgv = cmd::clean_env(shell.cmd("gpgv")).env("LC_ALL", "C").quiet();
    gpgv = gpgv.arg("--homedir").arg(folder.path());
    for keyring in keyrings {
        gpgv = gpgv.arg("--keyring").arg(keyring);
    }
    let output = gpgv.args(words).ignore_status().output().context("running gpgv")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> =
            said.lines().map(|line| line.strip_prefix("gpgv: ").unwrap_or(line).trim()).collect();
        bail!("no good signature by a key of --keyring: {}", said.join("; "));
    }
    Ok(())
}
