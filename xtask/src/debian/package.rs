//! What apt says about a package, as a value. Pure.

use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;
use serde::Serialize;

/// A package as an archive offers it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Package {
    pub(super) name: String,
    /// With the epoch where it has one.
    pub(super) version: String,
    /// The path within the archive. Without the host: it is a mirror like any other.
    pub(super) origin: String,
    /// As apt names the downloaded file.
    pub(super) file_name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Reads a line of `apt-get download --print-uris`: `'URI' FILE-NAME SIZE SHA256:DIGEST`.
pub(super) fn parse(line: &str) -> Result<Package> {
    parse_fields(line)
        .with_context(|| format!("apt's line \"{line}\" is not 'URI' NAME SIZE SHA256:DIGEST"))
}

fn parse_fields(line: &str) -> Option<Package> {
    let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let mut fields = rest.split(' ');
    let file_name = fields.next()?;
    let size = fields.next()?.parse().ok()?;
    let sha256 = fields.next()?.strip_prefix("SHA256:")?;
    let digest = sha256.len() == 64
        && sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if !digest || file_name.contains('/') || fields.next().is_some() {
        return None;
    }
    // apt writes the epoch's colon as %3a, and nothing else of a version needs an escape.
    let mut parts = file_name.strip_suffix(".deb")?.splitn(3, '_');
    let (name, version, _arch) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Package {
        name: name.to_owned(),
        version: version.replace("%3a", ":"),
        origin: origin(uri),
        file_name: file_name.to_owned(),
        size,
        sha256: sha256.to_owned(),
    })
}

/// `pool/…` of a mirror's URI; the last segment of a URI without a pool.
fn origin(uri: &str) -> String {
    let path = match uri.find("/pool/") {
        Some(at) => uri.get(at + 1..),
        None => uri.rsplit('/').next(),
    };
    path.unwrap_or(uri).replace("%2b", "+").replace("%3a", ":").replace("%7e", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_prints() {
        let digest = "ab".repeat(32);
        let line = format!(
            "'http://mirror.example/debian/pool/main/b/busybox/busybox-static_1.35.0-4%2bb4_arm64.deb' busybox-static_1%3a1.35.0-4+b4_arm64.deb 803424 SHA256:{digest}"
        );
        let wanted = Package {
            name: "busybox-static".to_owned(),
            version: "1:1.35.0-4+b4".to_owned(),
            origin: "pool/main/b/busybox/busybox-static_1.35.0-4+b4_arm64.deb".to_owned(),
            file_name: "busybox-static_1%3a1.35.0-4+b4_arm64.deb".to_owned(),
            size: 803_424,
            sha256: digest,
        };
        assert_eq!(parse(&line).unwrap(), wanted);
    }

    #[test]
    fn refuses_every_other_line() {
        let digest = "ab".repeat(32);
        let lines = [
            String::new(),
            format!("http://m/pool/a_1_all.deb a_1_all.deb 1 SHA256:{digest}"),
            format!("'http://m/pool/a_1_all.deb' a_1_all.deb x SHA256:{digest}"),
            format!("'http://m/pool/a_1_all.deb' a_1_all.deb 1 SHA512:{digest}"),
            format!("'http://m/pool/a_1_all.deb' ../a_1_all.deb 1 SHA256:{digest}"),
            format!("'http://m/pool/a_1_all.deb' a.deb 1 SHA256:{digest}"),
            "'http://m/pool/a_1_all.deb' a_1_all.deb 1 SHA256:12".to_owned(),
        ];
        for line in lines {
            assert!(parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_repository_without_a_pool_gives_the_file_name() {
        assert_eq!(origin("http://m/flat/a_1_all.deb"), "a_1_all.deb");
    }
}
