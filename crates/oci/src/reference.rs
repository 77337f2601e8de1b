//! OCI references, `registry/repository[:tag][@digest]` (distribution spec, "Pulling manifests").
//! The registry is required, because clients disagree about its default.

use std::{fmt, net::Ipv6Addr, num::NonZeroU16, str::FromStr};

use crate::{
    digest::Digest,
    error::{Error, Result},
};

/// A registry's host with its optional port, and a repository in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repository {
    pub registry: String,
    pub name: String,
}

/// How a manifest is addressed. A digest wins over a tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Version {
    Tag(String),
    Digest(Digest),
}

/// `registry/repository:tag` or `registry/repository@digest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestReference {
    pub repository: Repository,
    pub version: Version,
}

/// `registry/repository@digest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlobReference {
    pub repository: Repository,
    pub digest: Digest,
}

impl FromStr for ManifestReference {
    type Err = Error;

    fn from_str(whole: &str) -> Result<Self> {
        let (repository, tag, digest) = split(whole)?;
        let version = match (tag, digest) {
            (_, Some(digest)) => Version::Digest(digest),
            (Some(tag), None) => Version::Tag(tag.to_owned()),
            (None, None) => return Err(Error::NoVersion(whole.to_owned())),
        };
        Ok(Self { repository, version })
    }
}

impl FromStr for BlobReference {
    type Err = Error;

    fn from_str(whole: &str) -> Result<Self> {
        match split(whole)? {
            (repository, None, Some(digest)) => Ok(Self { repository, digest }),
            (_, Some(_), Some(_)) => Err(Error::TagOnBlob(whole.to_owned())),
            (_, _, None) => Err(Error::NoDigest(whole.to_owned())),
        }
    }
}

fn split(whole: &str) -> Result<(Repository, Option<&str>, Option<Digest>)> {
    let invalid = |part, found: &str, expected| Error::ReferencePart {
        reference: whole.to_owned(),
        part,
        found: found.to_owned(),
        expected,
    };
    for scheme in ["https://", "http://", "docker://", "oci://"] {
        if whole.starts_with(scheme) {
            return Err(Error::Scheme { reference: whole.to_owned(), scheme });
        }
    }
    let (rest, digest) = match whole.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse()?)),
        None => (whole, None),
    };
    // Clients disagree whether a first component without dot and colon is a host.
    let (registry, rest) = rest
        .split_once('/')
        .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost")
        .ok_or_else(|| Error::NoRegistry(whole.to_owned()))?;
    if !is_registry(registry) {
        return Err(invalid("registry", registry, "a host name with an optional port"));
    }
    let (name, tag) = match rest.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (rest, None),
    };
    if !name.split('/').all(is_name_component) {
        let expected = "lower-case letters, digits, and single '.', '_', '-', '/' between them";
        return Err(invalid("repository name", name, expected));
    }
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        let expected = "up to 128 letters, digits, '_', '.', '-', not starting with '.' or '-'";
        return Err(invalid("tag", tag, expected));
    }
    Ok((Repository { registry: registry.to_owned(), name: name.to_owned() }, tag, digest))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // Otherwise the colon is in an IPv6 address without a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host(host),
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<NonZeroU16>().is_ok();
    is_host && port.is_none_or(is_port)
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
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
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

/// The location of a disk image.
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
    fn splits_references() {
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
    fn digest_wins_over_tag() {
        let reference: ManifestReference = format!("r.example/os:1@{DIGEST}").parse().unwrap();
        assert_eq!(reference.to_string(), format!("r.example/os@{DIGEST}"));
    }

    #[test]
    fn blob_requires_digest_and_no_tag() {
        let text = format!("r.example:5000/os@{DIGEST}");
        assert_eq!(text.parse::<BlobReference>().unwrap().to_string(), text);
        let error = "r.example/os:1".parse::<BlobReference>().unwrap_err();
        assert!(matches!(error, Error::NoDigest(text) if text == "r.example/os:1"));
        let both = format!("r.example/os:1@{DIGEST}");
        let error = both.parse::<BlobReference>().unwrap_err();
        assert!(matches!(error, Error::TagOnBlob(text) if text == both));
    }

    #[test]
    fn rejects_what_the_grammar_excludes() {
        for (text, found) in [
            ("", "does not name a registry"),
            ("os:1", "does not name a registry"),
            ("library/os:1", "does not name a registry"),
            ("https://r.example/os:1", "unexpected scheme"),
            ("docker://r.example/os:1", "unexpected scheme"),
            ("r.example:0/os:1", "expected a host name"),
            ("r.example:99999/os:1", "expected a host name"),
            ("r.example:+1/os:1", "expected a host name"),
            ("-r.example/os:1", "expected a host name"),
            ("r..example/os:1", "expected a host name"),
            ("[::1/os:1", "expected a host name"),
            ("[::1]x/os:1", "expected a host name"),
            ("r.example/:1", "invalid repository name"),
            ("r.example/OS:1", "invalid repository name"),
            ("r.example/a//b:1", "invalid repository name"),
            ("r.example/a..b:1", "invalid repository name"),
            ("r.example/a___b:1", "invalid repository name"),
            ("r.example/a-:1", "invalid repository name"),
            ("r.example/../v2:1", "invalid repository name"),
            ("r.example/os", "neither tag nor digest"),
            ("r.example/os:", "invalid tag"),
            ("r.example/os:-1", "invalid tag"),
            ("r.example/os:a/b", "invalid tag"),
            ("r.example/os:1@sha256:12", "lower-case hexadecimal"),
            ("r.example/os:1@", "lower-case hexadecimal"),
        ] {
            let error = text.parse::<ManifestReference>().unwrap_err().to_string();
            assert!(error.contains(found), "{text}: {error}");
        }
    }
}
