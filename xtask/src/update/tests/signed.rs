//! Signatures by keys that are made for a test, good ones and all kinds of bad ones.

use tempfile::TempDir;
use xshell::{Cmd, Shell};

use super::{upstreams::Upstream, *};
use crate::host::cmd;

/// A publisher's key, in a keyring of its own.
struct Signer {
    home: TempDir,
    shell: Shell,
}

impl Signer {
    fn new() -> Self {
        let signer = Self { home: tempfile::tempdir().unwrap(), shell: Shell::new().unwrap() };
        let words = ["--passphrase", "", "--quick-generate-key", "publisher@example", "ed25519"];
        signer.gpg(&words).args(["sign", "never"]).run().unwrap();
        let export = signer.gpg(&["--export"]).output().unwrap().stdout;
        std::fs::write(signer.keyring(), export).unwrap();
        signer
    }

    fn keyring(&self) -> PathBuf {
        self.home.path().join("public.gpg")
    }

    fn keys(&self) -> TrustedKeys {
        TrustedKeys::open(&[self.keyring()]).unwrap()
    }

    fn gpg(&self, words: &[&str]) -> Cmd<'_> {
        let gpg = cmd::clean_env(self.shell.cmd("gpg")).env("GNUPGHOME", self.home.path());
        gpg.args(["--batch", "--quiet", "--yes"]).args(words).quiet().ignore_stderr()
    }

    fn clear_signed(&self, text: &str) -> Vec<u8> {
        self.gpg(&["--clear-sign"]).stdin(text).output().unwrap().stdout
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        self.gpg(&["--armor", "--detach-sign"]).stdin(bytes).output().unwrap().stdout
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // gpg leaves an agent behind that keeps the key.
        let gpgconf = cmd::clean_env(self.shell.cmd("gpgconf")).env("GNUPGHOME", self.home.path());
        gpgconf.args(["--kill", "all"]).quiet().run().ok();
    }
}

fn updated_by(signer: &Signer, upstream: &Upstream) -> Result<Outcome> {
    let (_folder, cache) = empty();
    let site =
        Site { publisher: upstream.publisher, client: Client::default(), keys: signer.keys() };
    update(&upstream.file, &site, &cache, Mode::Write)
}

#[test]
fn rejects_unsigned_or_wrongly_signed_list_of_kernel_org() {
    let (signer, other) = (Signer::new(), Signer::new());
    let text = |signed: &[u8]| String::from_utf8(signed.to_vec()).unwrap();
    let upstream = Upstream::linux("6.12.109");
    let list = upstream.put_linux(&["6.12.110"]);
    let good = signer.clear_signed(&list);
    let before = upstream.text();
    let unsigned_more =
        format!("{}  linux-6.12.200.tar.xz\n{}", output::digest_of(b"evil"), text(&good));
    for (case, bytes) in [
        ("another key", other.clear_signed(&list)),
        ("changed", text(&good).replacen("6.12.110", "6.12.111", 2).into_bytes()),
        ("unsigned", list.clone().into_bytes()),
        ("cut", good[..good.len() / 2].to_vec()),
    ] {
        upstream.answer("sha256sums.asc", Answer::File(bytes));
        let error = format!("{:#}", updated_by(&signer, &upstream).unwrap_err());
        assert!(error.contains("no good signature by a key of --keyring: "), "{case}: {error}");
        assert_eq!(upstream.text(), before, "{case}");
    }
    // What stands outside the signature is not in the list.
    upstream.answer("sha256sums.asc", Answer::File(unsigned_more.into_bytes()));
    assert!(matches!(updated_by(&signer, &upstream).unwrap(), Outcome::Moved(_)));
    assert_eq!(upstream.text().matches("6.12.110").count(), 1);
}

#[test]
fn rejects_unsigned_or_wrongly_signed_archive_of_alpine() {
    let (signer, other) = (Signer::new(), Signer::new());
    let upstream = Upstream::alpine("3.23.4");
    let (x86, x86_bytes) = upstream.publish_alpine("x86_64", "3.23.5");
    let (arm, arm_bytes) = upstream.publish_alpine("aarch64", "3.23.5");
    let before = upstream.text();
    upstream.answer(&format!("{x86}.asc"), Answer::File(signer.signature(&x86_bytes)));
    for (answer, said) in [
        (Answer::Status(404), "the server answered 404"),
        (Answer::File(other.signature(&arm_bytes)), "no good signature by a key of --keyring: "),
        (Answer::File(signer.signature(&x86_bytes)), "no good signature by a key of --keyring: "),
        (Answer::File(b"none".to_vec()), "no good signature by a key of --keyring: "),
    ] {
        upstream.answer(&format!("{arm}.asc"), answer);
        let error = format!("{:#}", updated_by(&signer, &upstream).unwrap_err());
        assert!(error.contains(said), "{error}");
        assert_eq!(upstream.text(), before);
    }
    upstream.answer(&format!("{arm}.asc"), Answer::File(signer.signature(&arm_bytes)));
    assert!(matches!(updated_by(&signer, &upstream).unwrap(), Outcome::Moved(_)));
}

#[test]
fn rejects_keyring_that_gpgv_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let armored = folder.path().join("key.asc");
    std::fs::write(&armored, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n").unwrap();
    for (keyring, said) in
        [(armored, "gpg --dearmor"), (folder.path().join("none"), "reading --keyring")]
    {
        let error = report::lines(&TrustedKeys::open(&[keyring]).unwrap_err());
        assert!(error.contains(said), "{error}");
    }
}
