//! Writes outputs atomically: to a temporary file, synced, then renamed.

use std::{
    fs::{File, Permissions},
    io::{Read, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};
use oci::digest::{Digest, HashingReader};
use tempfile::NamedTempFile;

/// The list of digests next to files, as `sha256sum --check` reads it.
pub const SUMS: &str = "SHA256SUMS";
/// Prefixes of the names of outputs.
const PREFIXES: [&str; 5] = ["vmlinuz-", "initramfs-", "manifest-", "sbom-", "provenance-"];

/// Who may read an output, as permission bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Readers {
    All = 0o644,
    /// For files with secrets.
    Owner = 0o600,
}

/// Writes `bytes` to `to`, readable by all, independent of the umask.
pub fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    write_for(to, bytes, Readers::All)
}

/// Writes `bytes` to `to`, readable by `readers`, independent of the umask.
pub fn write_for(to: &Path, bytes: &[u8], readers: Readers) -> Result<()> {
    from_reader(to, &mut &*bytes, readers)
}

/// Copies `from` to `to`, readable by all, independent of the umask.
pub fn publish(from: &Path, to: &Path) -> Result<()> {
    let mut reader = File::open(from).with_context(|| format!("opening {}", from.display()))?;
    from_reader(to, &mut reader, Readers::All)
}

fn from_reader(to: &Path, reader: &mut dyn Read, readers: Readers) -> Result<()> {
    // The parent of a bare name is the empty path, which means the current directory here.
    let parent = to.parent().filter(|parent| *parent != Path::new(""));
    let folder = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut copy = || -> Result<()> {
        let mut file = NamedTempFile::with_prefix_in(".new-", folder)?;
        std::io::copy(reader, &mut file)?;
        file.flush()?;
        persist(file, to, readers)
    };
    copy().with_context(|| format!("writing {}", to.display()))
}

/// Renames a complete temporary file.
pub fn persist(file: NamedTempFile, to: &Path, readers: Readers) -> Result<()> {
    file.as_file().set_permissions(Permissions::from_mode(readers as u32))?;
    file.as_file().sync_all()?;
    let _renamed = file.persist(to)?;
    Ok(())
}

/// Removes a file, or a directory with its contents, if it exists.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

/// The SHA-256 of a file, in lower-case hexadecimal digits.
pub fn digest(path: &Path) -> Result<String> {
    let hash = || {
        let (hasher, _) = HashingReader::new(File::open(path)?).drain()?;
        std::io::Result::Ok(hex(hasher.finish()))
    };
    hash().with_context(|| format!("hashing {}", path.display()))
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal digits.
pub fn digest_of(bytes: &[u8]) -> String {
    hex(Digest::of(bytes))
}

/// Whether `text` is a SHA-256 in lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    format!("sha256:{text}").parse::<Digest>().is_ok()
}

fn hex(digest: Digest) -> String {
    digest.to_string().replace("sha256:", "")
}

/// Writes the digests of all outputs in `folder`.
pub fn write_sums(folder: &Path) -> Result<()> {
    // Users may have other files there.
    let is_output = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    write(&folder.join(SUMS), sums(folder, is_output)?.as_bytes())
}

/// The digests of the chosen files of `folder`, sorted by name, in the format of `sha256sum`.
pub fn sums(folder: &Path, is_chosen: impl Fn(&str) -> bool) -> Result<String> {
    let listing = || format!("listing {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(listing)? {
        names.push(entry.with_context(listing)?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| is_chosen(name));
    names.sort();
    names.iter().map(|name| Ok(format!("{}  {name}\n", digest(&folder.join(name))?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_whole_and_readable() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("below/name");
        write(&to, b"one").unwrap();
        write(&to, b"two").unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"two");
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(
            std::fs::read_dir(folder.path().join("below")).unwrap().count(),
            1,
            "a temporary file is left"
        );
    }

    #[test]
    fn leaves_the_old_file_where_the_new_one_fails() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the source broke"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("name");
        write(&to, b"old").unwrap();
        let error = format!("{:#}", from_reader(&to, &mut Broken, Readers::All).unwrap_err());
        assert!(error.contains("writing") && error.contains("the source broke"), "{error}");
        assert_eq!(std::fs::read(&to).unwrap(), b"old");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a temporary file is left"
        );
    }

    #[test]
    fn sums_list_our_outputs_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "vmlinuz-b",
            "initramfs-a",
            "manifest-b.json",
            "sbom-b.spdx.json",
            "provenance-b.intoto.json",
            "notes.txt",
            ".new-x",
            SUMS,
        ];
        for name in names {
            write(&folder.path().join(name), b"abc").unwrap();
        }
        write_sums(folder.path()).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            std::fs::read_to_string(folder.path().join(SUMS)).unwrap(),
            format!(
                "{abc}  initramfs-a\n{abc}  manifest-b.json\n{abc}  provenance-b.intoto.json\n{abc}  sbom-b.spdx.json\n{abc}  vmlinuz-b\n"
            )
        );
        assert_eq!(digest_of(b"abc"), abc);
    }
}
