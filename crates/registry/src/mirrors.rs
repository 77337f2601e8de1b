//! Resolves references and opens layers (OCI distribution spec, "Pulling manifests" and "Pulling
//! blobs"). Mirrors are asked only for content addressed by digest and for signatures, which they
//! cannot change. Tags are resolved by the repository's own registry.

use std::sync::Arc;

use oci::{
    digest::{Digest, Hasher},
    document, index, manifest,
    manifest::{Content, Layer},
    platform::Platform,
    reference::{Image, Repository, Version},
};

use crate::{
    blob::Blob,
    credentials::Credentials,
    endpoint::{Access, Endpoint},
    error::{During as _, Error, Result},
    http::{Client, header, read_body},
    observer::Observer,
    retry,
    retry::{Backoff, RetryPolicy},
};

/// Maximum size of a manifest. The spec requires registries to accept 4 MiB, so clients create none
/// larger.
pub const MANIFEST_LIMIT_BYTES: u64 = 4 << 20;

/// What a reference resolves to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    pub layer: Layer,
    /// The index, if there is one, and the manifest of the layer. Empty for a bare blob.
    pub manifests: Vec<Digest>,
}

/// One repository, in its own registry and in mirrors.
#[derive(Debug)]
pub struct Registry<'a> {
    /// In the order in which they are asked.
    pub(crate) mirrors: Vec<Endpoint>,
    pub(crate) own: Endpoint,
    pub(crate) policy: RetryPolicy,
    pub(crate) observer: &'a dyn Observer,
}

impl<'a> Registry<'a> {
    /// Sends no request. `mirrors` are hosts; they are shuffled to spread a fleet over them.
    pub fn new(
        repository: &Repository,
        mirrors: &[String],
        client: &Client,
        credentials: Credentials,
        policy: RetryPolicy,
        observer: &'a dyn Observer,
    ) -> Self {
        let mut mirrors = mirrors.to_vec();
        mirrors.sort_by_cached_key(|_| retry::random());
        let credentials = Arc::new(credentials);
        let endpoint = |registry| {
            let repository = Repository { registry, name: repository.name.clone() };
            Endpoint::new(client.clone(), repository, Arc::clone(&credentials), Access::Pull)
        };
        let own = endpoint(repository.registry.clone());
        Self { mirrors: mirrors.into_iter().map(endpoint).collect(), own, policy, observer }
    }

    /// Finds the disk layer of `image`.
    pub fn resolve(&mut self, image: &Image, platform: &Platform) -> Result<Resolved> {
        match image {
            Image::Blob(blob) => {
                Ok(Resolved { layer: Layer::of_blob(blob.digest), manifests: Vec::new() })
            }
            Image::Manifest(reference) => self
                .resolve_manifest(&reference.version, platform)
                .during(|| format!("resolving {reference}")),
        }
    }

    /// Begins to download the layer. Its bytes are not verified.
    pub fn open(self, layer: &Layer) -> Result<Blob<'a>> {
        let backoff = Backoff::new(self.policy, self.observer);
        Blob::open(self.mirrors, self.own, layer, backoff, (0, Hasher::default()))
    }

    fn resolve_manifest(&mut self, version: &Version, platform: &Platform) -> Result<Resolved> {
        let (found, index) = match self.fetch_manifest(version)? {
            (digest, Content::Disk(layer)) => {
                return Ok(Resolved { layer, manifests: vec![digest] });
            }
            (digest, Content::Index(index)) => (digest, index),
        };
        let entry = index::select(&index, platform)?;
        let doing = || format!("following the image index to {}", entry.digest());
        let digest = document::digest_of(entry).during(doing)?;
        match self.fetch_manifest(&Version::Digest(digest)).during(doing)? {
            (_, Content::Disk(layer)) => Ok(Resolved { layer, manifests: vec![found, digest] }),
            // Disk images are not published like this, and indexes could form a cycle.
            (_, Content::Index(_)) => Err(Error::NestedIndex { digest }),
        }
    }

    fn fetch_manifest(&mut self, version: &Version) -> Result<(Digest, Content)> {
        let is_digest = matches!(version, Version::Digest(_));
        for mirror in self.mirrors.iter_mut().filter(|_| is_digest) {
            match fetch_manifest_from(mirror, version) {
                Err(error) => warn_of_mirror(self.observer, mirror.host(), &error),
                found => return found,
            }
        }
        let doing = format!("asking {} for a manifest", self.own.host());
        let fetch = || fetch_manifest_from(&mut self.own, version);
        Backoff::new(self.policy, self.observer).run(&doing, fetch)
    }
}

pub(crate) fn warn_of_mirror(observer: &dyn Observer, host: &str, error: &Error) {
    observer.warn(format!("mirror {host}: {}; asking the next registry", error.to_line()));
}

/// Fetches and parses a manifest. The digest is that of its bytes.
fn fetch_manifest_from(endpoint: &mut Endpoint, version: &Version) -> Result<(Digest, Content)> {
    let answer = fetch_answer(endpoint, version)?;
    // If this is a web page, that is the better error.
    let document = manifest::parse(&answer.bytes, &answer.media_type)?;
    answer.verify(version)?;
    Ok((answer.digest, document))
}

/// A manifest or an image index as sent by a registry.
#[derive(Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    /// The `Content-Type`.
    pub media_type: String,
    pub digest: Digest,
    /// The header `Docker-Content-Digest`.
    announced: Option<String>,
}

impl Answer {
    /// Compares the digest with the requested one, or for a tag with the announced one.
    pub fn verify(&self, version: &Version) -> Result<()> {
        let expected = match (version, &self.announced) {
            (Version::Digest(digest), _) => *digest,
            // Reveals a proxy that changes what it passes on.
            (Version::Tag(_), Some(text)) => {
                text.parse().during(|| "reading the header Docker-Content-Digest")?
            }
            (Version::Tag(_), None) => return Ok(()),
        };
        if self.digest == expected {
            return Ok(());
        }
        Err(Error::ManifestDigest { found: self.digest, expected })
    }
}

/// Fetches a manifest or an image index without verifying its digest.
pub fn fetch_answer(endpoint: &mut Endpoint, version: &Version) -> Result<Answer> {
    let response =
        endpoint.get(&format!("manifests/{version}"), &[("accept", manifest::ACCEPT)])?;
    let response = endpoint.expect(200, response)?;
    let media_type = header(&response, "content-type").unwrap_or_default().to_owned();
    let announced = header(&response, "docker-content-digest").map(str::to_owned);
    let bytes = read_body(response, MANIFEST_LIMIT_BYTES, "the manifest")?;
    let digest = Digest::of(&bytes);
    Ok(Answer { bytes, media_type, digest, announced })
}
