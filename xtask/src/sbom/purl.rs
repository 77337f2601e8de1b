//! Package URLs: the names under which scanners know what an SBOM lists. Pure. <https://github.com/package-url/purl-spec>

use crate::manifest::SourceEntry;
use std::fmt::Write as _;

/// A crate of crates.io.
pub fn of_crate(name: &str, version: &str) -> String {
    format!("pkg:cargo/{}@{}", escaped(name), escaped(version))
}

/// A package of Alpine Linux.
pub fn of_alpine(name: &str, version: &str, cpu: &str) -> String {
    format!("pkg:apk/alpine/{}@{}?arch={cpu}", escaped(name), escaped(version))
}

/// Rust's standard library, as `commit` has it.
pub fn of_rust_library(version: &str, commit: &str) -> String {
    let repository = escaped(&format!("git+https://github.com/rust-lang/rust@{commit}"));
    format!("pkg:generic/rust-std@{}?vcs_url={repository}", escaped(version))
}

/// A source: a package of Debian, or a file at a URL.
pub fn of_source(source: &SourceEntry) -> String {
    let version = escaped(&source.version);
    if is_url(&source.origin) {
        let name = escaped(file_stem(source));
        let (digest, url) = (&source.sha256, escaped(&source.origin));
        return format!("pkg:generic/{name}@{version}?checksum=sha256:{digest}&download_url={url}");
    }
    let arch = source.origin.rsplit_once('_').and_then(|(_, end)| end.strip_suffix(".deb"));
    let arch = arch.map(|arch| format!("?arch={arch}")).unwrap_or_default();
    format!("pkg:deb/debian/{}@{version}{arch}", escaped(&source.name))
}

/// Whether a source's origin is a URL, and not a path within Debian's archive.
pub fn is_url(origin: &str) -> bool {
    origin.contains("://")
}

/// What stands before the version in a URL's last segment: `alpine-minirootfs`, where the source is called `alpine`.
fn file_stem(source: &SourceEntry) -> &str {
    let file = source.origin.rsplit('/').next().unwrap_or_default();
    match file.split_once(&format!("-{}", source.version)) {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => &source.name,
    }
}

/// Everything but what a package URL may hold as it is becomes `%XX`.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(escaped, "%{byte:02X}").ok();
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, version: &str, origin: &str) -> SourceEntry {
        SourceEntry {
            name: name.to_owned(),
            version: version.to_owned(),
            origin: origin.to_owned(),
            sha256: "ab".to_owned(),
        }
    }

    #[test]
    fn names_each_kind_of_package() {
        assert_eq!(of_crate("wasi", "1.0.0+wasi"), "pkg:cargo/wasi@1.0.0%2Bwasi");
        assert_eq!(
            of_alpine("busybox", "1.37.0-r30", "x86_64"),
            "pkg:apk/alpine/busybox@1.37.0-r30?arch=x86_64"
        );
        assert_eq!(
            of_rust_library("1.95.0", "abc"),
            "pkg:generic/rust-std@1.95.0?vcs_url=git%2Bhttps://github.com/rust-lang/rust%40abc"
        );
        for (source, wanted) in [
            (
                source(
                    "busybox-static",
                    "1:1.35.0-4+b4",
                    "pool/b/busybox-static_1.35.0-4+b4_arm64.deb",
                ),
                "pkg:deb/debian/busybox-static@1:1.35.0-4%2Bb4?arch=arm64",
            ),
            (
                source("linux", "6.12.1", "https://example.org/linux-6.12.1.tar.xz"),
                "pkg:generic/linux@6.12.1?checksum=sha256:ab&download_url=https://example.org/linux-6.12.1.tar.xz",
            ),
            (
                source("alpine", "3.1", "https://example.org/alpine-minirootfs-3.1-x86_64.tar.gz"),
                "pkg:generic/alpine-minirootfs@3.1?checksum=sha256:ab&download_url=https://example.org/alpine-minirootfs-3.1-x86_64.tar.gz",
            ),
            (
                source("x", "1", "https://example.org/latest.tar.gz"),
                "pkg:generic/x@1?checksum=sha256:ab&download_url=https://example.org/latest.tar.gz",
            ),
        ] {
            assert_eq!(of_source(&source), wanted);
        }
    }
}
