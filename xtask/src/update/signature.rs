//! Signatures of publishers, verified by `gpgv` with the keys in the user's keyring files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

use crate::host::{cmd, report, report::hinted};

/// Keyring files with trusted keys. Without any, no signature is verified.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<PathBuf>);

impl TrustedKeys {
    /// Checks that gpgv can read the files. Warns if there are none.
    pub fn open(keyrings: &[PathBuf]) -> Result<Self> {
        if keyrings.is_empty() {
            report::warn(
                "without --keyring no signature is verified: the digests come from the same host",
            );
        }
        if !keyrings.is_empty() && cmd::find("gpgv").is_none() {
            return Err(hinted("gpgv not found in PATH", "install it, or omit --keyring"));
        }
        keyrings.iter().map(|file| checked(file)).collect::<Result<_>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text inside a clear signature. Without keys, the whole file.
    pub fn signed_text(&self, file: String) -> Result<String> {
        // The file may contain unsigned lines too. The output of gpgv is what was signed.
        if self.is_empty() {
            Ok(file)
        } else {
            self.gpgv(&file, &[Path::new("--output"), "-".as_ref()])
        }
    }

    /// Fails unless `signature` is a detached signature of `file`.
    pub fn verify_detached(&self, file: &Path, signature: &str) -> Result<()> {
        self.gpgv(signature, &["-".as_ref(), file]).map(drop)
    }

    fn gpgv(&self, input: &str, arguments: &[&Path]) -> Result<String> {
        let shell = Shell::new()?;
        let keyrings = self.0.iter().flat_map(|file| [Path::new("--keyring"), file]);
        let gpgv = cmd::clean_env(shell.cmd("gpgv")).env("LC_ALL", "C").quiet();
        let gpgv = gpgv.args(keyrings).args(arguments).stdin(input).ignore_status();
        let output = gpgv.output().context("running gpgv")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "no good signature by a key of --keyring: {}",
            errors.replace("gpgv: ", "").trim_end().replace('\n', "; ")
        );
        String::from_utf8(output.stdout).context("reading the signed text")
    }
}

fn checked(keyring: &Path) -> Result<PathBuf> {
    let reading = || format!("reading --keyring {}", keyring.display());
    let bytes = std::fs::read(keyring).with_context(reading)?;
    if bytes.starts_with(b"-----BEGIN PGP") {
        let file = keyring.display();
        return Err(hinted(
            format!("--keyring {file} is ASCII-armored, which gpgv cannot read"),
            format!("run gpg --dearmor < {file} > key.gpg"),
        ));
    }
    // gpgv looks for a bare name in its own directory.
    keyring.canonicalize().with_context(reading)
}
