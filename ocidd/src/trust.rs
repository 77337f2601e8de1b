//! Trusted keys: those of `oci.verify_key`, otherwise those of the site.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use oci::{BASE64, signature::Key};

use crate::report::diagnostic::Diagnostic;

/// The keys of the site in an initramfs.
pub const KEYS_FOLDER: &str = "/etc/ocidd/keys.d";

/// The origin of a key in the parameter itself.
const PARAMETER: &str = "oci.verify_key";

/// Which keys are trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// The keys of the site. If it has none, no signature is required.
    Site,
    /// Only these keys.
    Named(Vec<Named>),
}

/// One key of the parameter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Named {
    File(PathBuf),
    Key(Key),
}

impl Trust {
    /// Parses the parameter: files and keys, separated by commas.
    pub fn parse(value: &str) -> Result<Self> {
        value.split(',').map(Named::parse).collect::<Result<_, _>>().map(Self::Named)
    }

    /// Reads the keys. Empty only if the site has no directory of keys; unreadable keys are errors.
    pub fn read(&self, folder: &Path) -> Result<Vec<Key>, Diagnostic> {
        match self {
            Self::Site => read_folder(folder),
            Self::Named(names) => {
                let keys = names.iter().map(|name| match name {
                    Named::File(file) => read_file(file),
                    Named::Key(key) => Ok(vec![key.clone()]),
                });
                Ok(keys.collect::<Result<Vec<_>>>()?.concat())
            }
        }
    }
}

impl Named {
    // The base64 of a DER key never begins with a slash.
    fn parse(text: &str) -> Result<Self> {
        if text.starts_with('/') {
            return Ok(Self::File(text.into()));
        }
        let der = BASE64.decode(text).ok().filter(|der| !der.is_empty());
        let der =
            der.with_context(|| format!("'{text}' is neither an absolute path nor a base64 key"))?;
        Key::parse_der(&der, PARAMETER).map(Self::Key).with_context(|| format!("'{text}'"))
    }
}

fn read_file(file: &Path) -> Result<Vec<Key>> {
    let doing = || format!("reading keys from {}", file.display());
    let pem = fs::read(file).with_context(doing)?;
    Key::parse_pem(&pem, &file.display().to_string()).with_context(doing)
}

fn read_folder(folder: &Path) -> Result<Vec<Key>, Diagnostic> {
    let doing = || format!("reading keys from {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(anyhow!(error).context(doing()).into()),
    };
    let files: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut files = files.with_context(doing)?;
    files.retain(|file| file.extension().is_some_and(|end| end == "pub" || end == "pem"));
    files.sort();
    // An existing directory means that signatures are required. A misnamed key must not disable this.
    if files.is_empty() {
        let message = format!("{} contains no key", folder.display());
        return Err(Diagnostic::new(message, "add PEM files named *.pub or *.pem"));
    }
    Ok(files.iter().map(|file| read_file(file)).collect::<Result<Vec<_>>>()?.concat())
}

#[cfg(test)]
#[path = "../../crates/oci/src/signature/tests/sample_keys.rs"]
mod sample_keys;

#[cfg(test)]
mod tests {
    use super::{
        sample_keys::{ED25519_PEM, P256_BASE64, P256_PEM},
        *,
    };

    fn read(value: &str) -> Result<Vec<String>, Diagnostic> {
        let keys = Trust::parse(value)?.read(Path::new("/nowhere"))?;
        Ok(keys.iter().map(Key::to_string).collect())
    }

    #[test]
    fn parses_files_and_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("any.name").display().to_string();
        fs::write(&file, [P256_PEM, ED25519_PEM].concat()).unwrap();
        let (p256, ed25519) = ("sha256:a801c6e492073156…", "sha256:e0bba83e0154a8dc…");
        for (value, wanted) in [
            (P256_BASE64.to_owned(), vec![format!("oci.verify_key ({p256})")]),
            (file.clone(), vec![format!("{file} ({p256})"), format!("{file} ({ed25519})")]),
        ] {
            assert_eq!(read(&value).unwrap(), wanted, "{value}");
        }
        let unpadded = P256_BASE64.trim_end_matches('=');
        assert_eq!(read(&format!("{unpadded},{file},{P256_BASE64}")).unwrap().len(), 4);
    }

    #[test]
    fn rejects_invalid_keys() {
        for (value, fault) in [
            ("", "'' is neither an absolute path nor a base64 key"),
            ("cosign.pub", "'cosign.pub' is neither"),
            (&format!("{P256_BASE64},"), "'' is neither"),
            ("AAAA", "'AAAA': found a key of an unknown kind, expected an ECDSA P-256 or Ed25519"),
            ("/no/such/key", "reading keys from /no/such/key: No such file"),
        ] {
            let error = read(value).unwrap_err().to_string();
            assert!(error.contains(fault), "{value}: {error}");
        }
    }

    #[test]
    fn reads_all_keys_of_a_directory_or_fails() {
        let site = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            let keys = folder.path().join("keys.d");
            for (name, text) in files {
                fs::create_dir_all(&keys).unwrap();
                fs::write(keys.join(name), text).unwrap();
            }
            let found = Trust::Site.read(&keys).map_err(|error| error.to_string());
            let names = |keys: Vec<Key>| keys.iter().map(Key::to_string).collect::<Vec<_>>();
            found.map(names).map_err(|error| error.replace(&*keys.to_string_lossy(), "KEYS"))
        };
        assert_eq!(site(&[]), Ok(vec![]));
        let good = site(&[("b.pem", P256_PEM), ("README", "x"), ("a.pub", ED25519_PEM)]).unwrap();
        assert!(good.len() == 2 && good[0].contains("/a.pub (") && good[1].contains("/b.pem ("));
        for (files, fault) in [
            (
                &[("site.key", P256_PEM)][..],
                "KEYS contains no key\nhint: add PEM files named *.pub",
            ),
            (
                &[("a.pub", P256_PEM), ("b.pub", "")],
                "reading keys from KEYS/b.pub: no public key found",
            ),
            (
                &[("a.pub", P256_PEM), ("b.pub", "-----BEGIN PUBLIC KEY-----")],
                "KEYS/b.pub: invalid PEM",
            ),
        ] {
            let error = site(files).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }

    #[test]
    fn rejects_an_unreadable_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Trust::Site.read(file.path()).unwrap_err();
        assert!(error.message.starts_with("reading keys from /"), "{error}");
    }
}
