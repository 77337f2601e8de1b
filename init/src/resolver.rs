//! Links `/etc/resolv.conf` to the name servers that the kernel knows from DHCP or `ip=`. A module of
//! its own, because nothing else of init is about names.

use std::{fs, io::ErrorKind, os::unix::fs::symlink, path::Path};

use anyhow::Context as _;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const PNP: &str = "/proc/net/pnp";

/// Creates the link. A file or link of the site stays.
pub(crate) fn link() -> anyhow::Result<()> {
    link_unless_exists(Path::new(RESOLV_CONF))
}

fn link_unless_exists(link: &Path) -> anyhow::Result<()> {
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    match symlink(PNP, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result.with_context(|| format!("linking {} to {PNP}", link.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_if_nothing_exists() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("etc/resolv.conf");
        link_unless_exists(&link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(PNP));
        link_unless_exists(&link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(PNP));
    }

    #[test]
    fn keeps_files_and_links_of_the_site() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("resolv.conf");
        fs::write(&file, "nameserver 192.0.2.1\n").unwrap();
        link_unless_exists(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "nameserver 192.0.2.1\n");

        let dangling = root.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        link_unless_exists(&dangling).unwrap();
        assert_eq!(fs::read_link(&dangling).unwrap(), Path::new("nowhere"));
    }
}
