//! References as OCI writes them, `registry/repository[:tag][@digest]`, taken apart and checked. Pure.
//!
//! The grammar is the distribution spec's ("Pulling manifests"); the registry must be named, since what an unnamed one means differs between clients.

use crate::digest::BadDigest;
use crate::digest::Digest;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Where something lies: a registry's host with its port, and a repository in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repository {
    pub registry: String,
    pub name: String,
}

/// What a manifest is asked for by. A digest wins over a tag, as in `REF@sha256:…`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Version {
    Tag(String),
    Digest(Digest),
}

/// A manifest: `oci.tag`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestReference {
    pub repository: Repository,
    pub version: Version,
}

/// A blob: `oci.blob`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlobReference {
    pub repository: Repository,
    pub digest: Digest,
}

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadReference {
    #[error("'{0}' holds a scheme; hint: leave '{1}' out, and say oci.allow_no_tls for plain HTTP")]
    Scheme(String, String),
    #[error(
        "'{0}' names no registry; hint: write its host with a domain or a port, as in registry.example/os:1 or localhost:5000/os:1"
    )]
    NoRegistry(String),
    #[error("'{registry}' in '{whole}' is no host name with an optional port")]
    Registry { whole: String, registry: String },
    #[error(
        "'{name}' in '{whole}' is no repository name: lower-case letters, digits, and single '.', '_', '-', '/' between them"
    )]
    Name { whole: String, name: String },
    #[error(
        "'{tag}' in '{whole}' is no tag: up to 128 letters, digits, '_', '.', '-', the first no '.' or '-'"
    )]
    Tag { whole: String, tag: String },
    #[error("'{0}' has neither tag nor digest; hint: add a tag, as in {0}:latest")]
    NoVersion(String),
    #[error(
        "'{0}' has no digest; hint: a blob is named as registry/repository@sha256:…, a tag goes into oci.tag"
    )]
    NoDigest(String),
    #[error("'{0}' has a tag and a digest; hint: a blob is named by its digest alone")]
    TagOnBlob(String),
    #[error(transparent)]
    Digest(#[from] BadDigest),
}

impl FromStr for ManifestReference {
    type Err = BadReference;

    fn from_str(whole: &str) -> Result<Self, BadReference> {
        let (repository, tag, digest) = split(whole)?;
        let version = match (tag, digest) {
            (_, Some(digest)) => Version::Digest(digest),
            (Some(tag), None) => Version::Tag(tag.to_owned()),
            (None, None) => return Err(BadReference::NoVersion(whole.to_owned())),
        };
        Ok(Self { repository, version })
    }
}

impl FromStr for BlobReference {
    type Err = BadReference;

    fn from_str(whole: &str) -> Result<Self, BadReference> {
        match split(whole)? {
            (repository, None, Some(digest)) => Ok(Self { repository, digest }),
            (_, Some(_), Some(_)) => Err(BadReference::TagOnBlob(whole.to_owned())),
            (_, _, None) => Err(BadReference::NoDigest(whole.to_owned())),
        }
    }
}

fn split(whole: &str) -> Result<(Repository, Option<&str>, Option<Digest>), BadReference> {
    for scheme in ["https://", "http://", "docker://", "oci://"] {
        if whole.starts_with(scheme) {
            return Err(BadReference::Scheme(whole.to_owned(), scheme.to_owned()));
        }
    }
    let (rest, digest) = match whole.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse()?)),
        None => (whole, None),
    };
    // A first part that looks like no host is a Docker Hub name to some clients and a host to others.
    let (registry, rest) = rest
        .split_once('/')
        .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost")
        .ok_or_else(|| BadReference::NoRegistry(whole.to_owned()))?;
    if !is_registry(registry) {
        return Err(BadReference::Registry {
            whole: whole.to_owned(),
            registry: registry.to_owned(),
        });
    }
    let (name, tag) = match rest.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (rest, None),
    };
    if !name.split('/').all(is_name_component) {
        return Err(BadReference::Name { whole: whole.to_owned(), name: name.to_owned() });
    }
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(BadReference::Tag { whole: whole.to_owned(), tag: tag.to_owned() });
    }
    Ok((Repository { registry: registry.to_owned(), name: name.to_owned() }, tag, digest))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, "")) => (is_ipv6(address), None),
        Some((address, port)) => {
            (is_ipv6(address), Some(port.strip_prefix(':').unwrap_or("no port")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (is_host(host), Some(port)),
            None => (is_host(text), None),
        },
    };
    host && port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_host(text: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.split('.').all(label)
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of the distribution spec.
fn is_name_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_separator =
        |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    let ends = |b: Option<u8>| b.is_some_and(alphanumeric);
    ends(text.bytes().next())
        && ends(text.bytes().next_back())
        && text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(is_separator)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` of the distribution spec.
fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for ManifestReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Version::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

impl fmt::Display for BlobReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

/// What holds the disk image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Image {
    Manifest(ManifestReference),
    Blob(BlobReference),
}

impl Image {
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Manifest(reference) => &reference.repository,
            Self::Blob(reference) => &reference.repository,
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(reference) => reference.fmt(f),
            Self::Blob(reference) => reference.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn takes_tags_and_digests_apart() {
        for (text, registry, name, version) in [
            ("registry.example/os:1", "registry.example", "os", "1"),
            ("localhost/os:1", "localhost", "os", "1"),
            ("10.0.2.2:5000/a/b_c/d-e.f:v1.2_x-Y", "10.0.2.2:5000", "a/b_c/d-e.f", "v1.2_x-Y"),
            ("[fd00::1]:5000/os:1", "[fd00::1]:5000", "os", "1"),
            ("r.example/a__b---c:latest", "r.example", "a__b---c", "latest"),
        ] {
            let reference: ManifestReference = text.parse().unwrap();
            assert_eq!(
                (reference.repository.registry.as_str(), reference.repository.name.as_str()),
                (registry, name)
            );
            assert_eq!(reference.version, Version::Tag(version.to_owned()));
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let reference: ManifestReference = format!("r.example/os:1@{DIGEST}").parse().unwrap();
        assert_eq!(reference.to_string(), format!("r.example/os@{DIGEST}"));
    }

    #[test]
    fn a_blob_is_named_by_its_digest_alone() {
        let text = format!("r.example:5000/os@{DIGEST}");
        assert_eq!(text.parse::<BlobReference>().unwrap().to_string(), text);
        assert_eq!(
            "r.example/os:1".parse::<BlobReference>(),
            Err(BadReference::NoDigest("r.example/os:1".to_owned()))
        );
        let both = format!("r.example/os:1@{DIGEST}");
        assert_eq!(both.parse::<BlobReference>(), Err(BadReference::TagOnBlob(both)));
    }

    #[test]
    fn refuses_what_the_grammar_does_not_hold() {
        for (text, found) in [
            ("", "names no registry"),
            ("os:1", "names no registry"),
            ("library/os:1", "names no registry"),
            ("https://r.example/os:1", "holds a scheme"),
            ("docker://r.example/os:1", "holds a scheme"),
            ("r.example:0/os:1", "is no host name"),
            ("r.example:99999/os:1", "is no host name"),
            ("r.example:+1/os:1", "is no host name"),
            ("-r.example/os:1", "is no host name"),
            ("r..example/os:1", "is no host name"),
            ("[::1/os:1", "is no host name"),
            ("[::1]x/os:1", "is no host name"),
            ("r.example/:1", "is no repository name"),
            ("r.example/OS:1", "is no repository name"),
            ("r.example/a//b:1", "is no repository name"),
            ("r.example/a..b:1", "is no repository name"),
            ("r.example/a___b:1", "is no repository name"),
            ("r.example/a-:1", "is no repository name"),
            ("r.example/../v2:1", "is no repository name"),
            ("r.example/os", "neither tag nor digest"),
            ("r.example/os:", "is no tag"),
            ("r.example/os:-1", "is no tag"),
            ("r.example/os:a/b", "is no tag"),
            ("r.example/os:1@sha256:12", "lower-case hexadecimal"),
            ("r.example/os:1@", "lower-case hexadecimal"),
        ] {
            let error = text.parse::<ManifestReference>().unwrap_err().to_string();
            assert!(error.contains(found), "{text}: {error}");
        }
    }
}
