//! Which of Alpine's packages a file of its root file system belongs to. Goes in: the archive, with apk's database in it. Comes out: names and versions,
//! which the archive's own version says nothing about.

use crate::config::Members;
use crate::parts::Archive;
use anyhow::Result;
use std::path::Path;

/// Where the database may lie.
const DATABASES: [&str; 2] = ["./lib/apk/db/installed", "./usr/lib/apk/db/installed"];

/// What apk says is installed.
#[derive(Clone, Debug, Default)]
pub struct Database {
    text: String,
}

/// A package of Alpine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
}

impl Database {
    /// The database in the archive at `path`; an empty one where the archive has none.
    pub fn read(path: &Path) -> Result<Self> {
        let archive = Archive::read_tar_gz(path)?;
        let found = DATABASES
            .iter()
            .find_map(|name| archive.get(&Members::One((*name).to_owned())).ok())
            .unwrap_or_default();
        Ok(Self { text: String::from_utf8_lossy(&found).into_owned() })
    }

    /// The package that `member` of the archive belongs to.
    pub fn owner(&self, member: &str) -> Option<Package<'_>> {
        let (folder, file) = member.trim_start_matches("./").rsplit_once('/')?;
        self.text.split("\n\n").find_map(|entry| {
            let (mut package, mut is_in_folder, mut is_owner) = (Package::default(), false, false);
            // P: name, V: version, F: the folder of the files that follow, R: a file.
            for (key, value) in entry.lines().filter_map(|line| line.split_once(':')) {
                match key {
                    "P" => package.name = value,
                    "V" => package.version = value,
                    "F" => is_in_folder = value == folder,
                    "R" => is_owner |= is_in_folder && value == file,
                    _ => {}
                }
            }
            is_owner.then_some(package)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_package_of_a_file() {
        let text = "C:Q1x=\nP:musl\nV:1.2.5-r21\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                    P:busybox\nV:1.37.0-r30\nF:bin\nR:busybox\na:0:0:755\nF:etc\nR:securetty\n";
        let database = Database { text: text.to_owned() };
        let busybox = Package { name: "busybox", version: "1.37.0-r30" };
        assert_eq!(database.owner("./bin/busybox"), Some(busybox));
        assert_eq!(database.owner("./lib/ld-musl-x86_64.so.1").unwrap().version, "1.2.5-r21");
        assert_eq!(database.owner("./etc/busybox"), None);
        assert_eq!(database.owner("busybox"), None);
        assert_eq!(Database::default().owner("./bin/busybox"), None);
    }

    #[test]
    fn an_archive_without_a_database_has_no_packages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        let archive = tar::Builder::new(Vec::new()).into_inner().unwrap();
        std::fs::write(&path, crate::gzip::compress(&archive).unwrap()).unwrap();
        assert_eq!(Database::read(&path).unwrap().owner("./bin/busybox"), None);
    }
}
