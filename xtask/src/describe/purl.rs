//! Package URLs, which identify packages for scanners. <https://github.com/package-url/purl-spec>

use super::manifest::SourceEntry;

/// A package URL. `kind` is the type, with the namespace if there is one.
pub fn purl(kind: &str, name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| format!("{key}={}", escaped(value));
    let query = qualifiers.iter().map(pair).collect::<Vec<_>>().join("&");
    let separator = if query.is_empty() { "" } else { "?" };
    format!("pkg:{kind}/{}@{}{separator}{query}", escaped(name), escaped(version))
}

/// The package URL of a source: a package of Debian, or a file at a URL.
pub fn of_source(source: &SourceEntry) -> String {
    let SourceEntry { name, origin, sha256, version } = source;
    if is_url(origin) {
        let checksum = format!("sha256:{sha256}");
        let qualifiers = [("checksum", checksum.as_str()), ("download_url", origin)];
        return purl("generic", file_stem(source), version, &qualifiers);
    }
    let arch = origin.rsplit_once('_').and_then(|(_, end)| end.strip_suffix(".deb"));
    let qualifiers: Vec<_> = arch.map(|arch| ("arch", arch)).into_iter().collect();
    purl("deb/debian", name, version, &qualifiers)
}

/// Whether the origin of a source is a URL, and not a path in Debian's archive.
pub fn is_url(origin: &str) -> bool {
    origin.contains("://")
}

/// The file name in a URL up to the version: `alpine-minirootfs` for the source `alpine`.
fn file_stem(source: &SourceEntry) -> &str {
    let file = source.origin.rsplit('/').next().unwrap_or_default();
    match file.split_once(&format!("-{}", source.version)) {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => &source.name,
    }
}

/// Percent-encodes all bytes that a package URL cannot contain.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match char::from(byte) {
        letter if letter.is_ascii_alphanumeric() || "-._~:/".contains(letter) => letter.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
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
    fn identifies_each_kind_of_package() {
        assert_eq!(purl("cargo", "wasi", "1.0.0+wasi", &[]), "pkg:cargo/wasi@1.0.0%2Bwasi");
        assert_eq!(
            purl("apk/alpine", "busybox", "1.37.0-r30", &[("arch", "x86_64")]),
            "pkg:apk/alpine/busybox@1.37.0-r30?arch=x86_64"
        );
        assert_eq!(
            purl(
                "generic",
                "rust-std",
                "1.95.0",
                &[("vcs_url", "git+https://github.com/rust-lang/rust@abc")]
            ),
            "pkg:generic/rust-std@1.95.0?vcs_url=git%2Bhttps://github.com/rust-lang/rust%40abc"
        );
        for (source, expected) in [
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
                "pkg:generic/linux@6.12.1?checksum=sha256:ab\
                 &download_url=https://example.org/linux-6.12.1.tar.xz",
            ),
            (
                source("alpine", "3.1", "https://example.org/alpine-minirootfs-3.1-x86_64.tar.gz"),
                "pkg:generic/alpine-minirootfs@3.1?checksum=sha256:ab\
                 &download_url=https://example.org/alpine-minirootfs-3.1-x86_64.tar.gz",
            ),
            (
                source("x", "1", "https://example.org/latest.tar.gz"),
                "pkg:generic/x@1?checksum=sha256:ab&download_url=https://example.org/latest.tar.gz",
            ),
        ] {
            assert_eq!(of_source(&source), expected);
        }
    }
}
