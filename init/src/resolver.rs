//! Name servers: lets `/etc/resolv.conf` lead to what the kernel learned from DHCP or its `ip=` parameter. Asks no server.

use anyhow::Context as _;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const PNP: &str = "/proc/net/pnp";

/// Makes the link. Whatever is there already, a site's own file or link, stays.
pub(crate) fn link() -> anyhow::Result<()> {
    link_unless_there(Path::new(RESOLV_CONF))
}

fn link_unless_there(link: &Path) -> anyhow::Result<()> {
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
    fn links_where_there_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("etc/resolv.conf");
        link_unless_there(&link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(PNP));
        link_unless_there(&link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(PNP));
    }

    #[test]
    fn keeps_what_a_site_ships() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("resolv.conf");
        fs::write(&file, "nameserver 192.0.2.1\n").unwrap();
        link_unless_there(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "nameserver 192.0.2.1\n");

        let dangling = root.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        link_unless_there(&dangling).unwrap();
        assert_eq!(fs::read_link(&dangling).unwrap(), Path::new("nowhere"));
    }
}
