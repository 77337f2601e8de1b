//! Signatures of publishers, verified by `gpgv` with the keys in the user's keyring files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

use crate::host::{cmd, report, report::hinted};

/// Keyring files with trusted keys. Without any, which only tests have, no signature is verified.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<PathBuf>);

impl TrustedKeys {
    /// The keys in these files, by default in that of the project. Checks that gpgv can read them.
    pub fn open(keyrings: &[PathBuf], project: &Path) -> Result<Self> {
        if cmd::find("gpgv").is_none() {
            return Err(hinted("gpgv not found in PATH", "install it"));
        }
        if keyrings.is_empty() && !project.is_file() {
            let fact = format!("{} not found: signatures cannot be verified", project.display());
            return Err(hinted(
                fact,
                "add the publisher's key (xtask/README.md) or pass --keyring",
            ));
        }
        let project = keyrings.is_empty().then_some(project);
        let files = keyrings.iter().map(PathBuf::as_path).chain(project);
        files.map(checked).collect::<Result<_>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text inside a clear signature. Without keys, the whole file.
    pub fn signed_text(&self, file: String, what: &str) -> Result<String> {
        // The file may contain unsigned lines too. The output of gpgv is what was signed.
        if self.is_empty() {
            Ok(file)
        } else {
            self.gpgv(&file, &[Path::new("--output"), "-".as_ref()], what)
        }
    }

    /// Fails unless `signature` is a detached signature of `file`.
    pub fn verify_detached(&self, file: &Path, signature: &str, what: &str) -> Result<()> {
        self.gpgv(signature, &["-".as_ref(), file], what).map(drop)
    }

    /// Returns the signed text. Prints the key that verified `what`, for the reviewer of new pins.
    fn gpgv(&self, input: &str, arguments: &[&Path], what: &str) -> Result<String> {
        let shell = Shell::new()?;
        let keyrings = self.0.iter().flat_map(|file| [Path::new("--keyring"), file]);
        let gpgv = cmd::clean_env(shell.cmd("gpgv")).env("LC_ALL", "C").quiet();
        let gpgv = gpgv
            .args(["--status-fd", "2"])
            .args(keyrings)
            .args(arguments)
            .stdin(input)
            .ignore_status();
        let output = gpgv.output().context("running gpgv")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let (status, errors): (Vec<_>, Vec<_>) =
            errors.lines().partition(|line| line.starts_with("[GNUPG:] "));
        let errors = errors.join("; ").replace("gpgv: ", "");
        ensure!(output.status.success(), "no good signature by a key of --keyring: {errors}");
        let key = status.iter().find_map(|line| line.strip_prefix("[GNUPG:] VALIDSIG "));
        // The last field is the fingerprint of the primary key (doc/DETAILS of GnuPG).
        let key = key.and_then(|fields| fields.split(' ').next_back()).unwrap_or("unknown");
        report::result(format_args!("{what}: good signature by key {key}"));
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
