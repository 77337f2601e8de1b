//! Names, licences and packages of contents that are not crates.

use std::path::Path;

use anyhow::Result;

use super::manifest::Libc;
use crate::{config::Members, initramfs::parts::Archive};

/// The files in `initramfs.toml` that are from sources: prefix of the path in the image, name, and
/// the licence that its authors declare, as an SPDX expression.
const COMPONENTS: [(&str, &str, &str); 3] = [
    ("bin/busybox", "busybox", "GPL-2.0-only"),
    // Mozilla's list; bundling it adds nothing.
    ("etc/ssl/certs/ca-certificates.crt", "ca-certificates", "MPL-2.0"),
    ("lib/ld-musl-", "musl", "MIT"),
];

/// From the kernel's `COPYING`.
pub const KERNEL_LICENCE: &str = "GPL-2.0-only WITH Linux-syscall-note";
pub const RUST_LIBRARY_LICENCE: &str = "MIT OR Apache-2.0";
/// Rust's standard library consists of crates that no file of the build lists.
pub const RUST_LIBRARY_COMMENT: &str =
    "Holds the crates that library/Cargo.lock of its commit lists, each under its own licence.";
pub const DEBIAN_BUSYBOX_COMMENT: &str =
    "Linked statically with the glibc that Debian had when it built the package.";
pub const RING_COMMENT: &str =
    "Holds C and assembler code, in part from BoringSSL, which is compiled and linked too.";

/// Name and licence of the file at `path` of the image, if it is in the table.
pub fn at(path: &str) -> Option<(&'static str, &'static str)> {
    let (_, name, licence) = COMPONENTS.iter().find(|(prefix, ..)| path.starts_with(prefix))?;
    Some((name, licence))
}

/// Names and licences of the C library and the stack unwinder. Both are linked into every program,
/// because Rust's standard library is compiled to unwind.
pub fn runtime(libc: &Libc) -> [(&str, &'static str); 2] {
    match libc.name.as_str() {
        "musl" => [("musl", "MIT"), ("libunwind", "Apache-2.0 WITH LLVM-exception")],
        name => {
            [(name, "LGPL-2.1-or-later"), ("libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1")]
        }
    }
}

/// The text of apk's database in an Alpine root file system, or an empty one.
pub fn read_database(path: &Path) -> Result<String> {
    let archive = Archive::read_tar_gz(path)?;
    let found = ["./lib/apk/db/installed", "./usr/lib/apk/db/installed"]
        .iter()
        .find_map(|name| archive.get(&Members::One((*name).to_owned())).ok())
        .unwrap_or_default();
    Ok(String::from_utf8_lossy(&found).into_owned())
}

/// Name and version of the package that `member` of the archive belongs to.
pub fn owner<'a>(database: &'a str, member: &str) -> Option<(&'a str, &'a str)> {
    let (folder, file) = member.trim_start_matches("./").rsplit_once('/')?;
    database.split("\n\n").find_map(|entry| {
        let (mut name, mut version, mut is_in_folder, mut is_owner) = ("", "", false, false);
        // P: name, V: version, F: the directory of the following files, R: a file.
        for (key, value) in entry.lines().filter_map(|line| line.split_once(':')) {
            match key {
                "P" => name = value,
                "V" => version = value,
                "F" => is_in_folder = value == folder,
                "R" => is_owner |= is_in_folder && value == file,
                _ => {}
            }
        }
        is_owner.then_some((name, version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, host::arch::Arch};

    #[test]
    fn every_file_of_a_source_has_a_licence() {
        for arch in Arch::ALL {
            let config = config::read_image_config(arch).unwrap();
            assert!(!config.parts.is_empty());
            for part in &config.parts {
                assert!(at(&part.path).is_some(), "/{} is in no table", part.path);
            }
            for (prefix, name, _) in COMPONENTS {
                let is_used = config.parts.iter().any(|part| part.path.starts_with(prefix));
                assert!(is_used, "{name} is in no image");
            }
        }
        assert_eq!(at("etc/motd"), None);
    }

    #[test]
    fn finds_the_package_of_a_file() {
        let text = "C:Q1x=\nP:musl\nV:1.2.5-r21\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                    P:busybox\nV:1.37.0-r30\nF:bin\nR:busybox\na:0:0:755\nF:etc\nR:securetty\n";
        assert_eq!(owner(text, "./bin/busybox"), Some(("busybox", "1.37.0-r30")));
        assert_eq!(owner(text, "./lib/ld-musl-x86_64.so.1"), Some(("musl", "1.2.5-r21")));
        assert_eq!(owner(text, "./etc/busybox"), None);
        assert_eq!(owner(text, "busybox"), None);
        assert_eq!(owner("", "./bin/busybox"), None);
    }

    #[test]
    fn accepts_an_archive_without_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        let archive = tar::Builder::new(Vec::new()).into_inner().unwrap();
        std::fs::write(&path, archive::gzip::compress(&archive).unwrap()).unwrap();
        assert_eq!(owner(&read_database(&path).unwrap(), "./bin/busybox"), None);
    }
}
