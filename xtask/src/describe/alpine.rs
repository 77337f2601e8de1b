//! Finds the Alpine package that a file of the minirootfs belongs to, in apk's database in it.

use crate::config::Members;
use crate::initramfs::parts::Archive;
use anyhow::Result;
use std::path::Path;

/// Possible locations of the database.
const DATABASES: [&str; 2] = ["./lib/apk/db/installed", "./usr/lib/apk/db/installed"];

/// The text of the database in the archive at `path`, or an empty one.
pub fn read_database(path: &Path) -> Result<String> {
    let archive = Archive::read_tar_gz(path)?;
    let found = DATABASES
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
