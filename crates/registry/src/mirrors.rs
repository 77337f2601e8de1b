//! Resolves references and opens layers (OCI distribution spec, "Pulling manifests" and "Pulling
//! blobs"). Mirrors are asked only for content addressed by digest and for signatures, which they
//! cannot change. Tags are resolved by the repository's own registry.

use std::sync::Arc;

use oci::{
    digest::{Digest, Hasher},
    document, index, manifest,
    manifest::{Content, Layer},
    platform::Platform,
    reference::{Image, ManifestReference, Repository, Version},
};

use crate::{
    auth::Access,
    blob::Blob,
    credentials::Credentials,
    endpoint::Endpoint,
    error::{During as _, Error, Result},
    http::{Client, header},
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
    /// The mirrors in the order in which they are asked, then the own registry.
    pub(crate) endpoints: Vec<Endpoint>,
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
        let mut hosts: Vec<(u32, &String)> =
            mirrors.iter().map(|host| (retry::random(), host)).collect();
        hosts.sort_unstable();
        let hosts = hosts.into_iter().map(|(_, host)| host).chain([&repository.registry]);
        let credentials = Arc::new(credentials);
        let endpoints = hosts.map(|host| {
            let repository = Repository { registry: host.clone(), name: repository.name.clone() };
            Endpoint::new(client.clone(), repository, Arc::clone(&credentials), Access::Pull)
        });
        Self { endpoints: endpoints.collect(), policy, observer }
    }

    /// Finds the disk layer of `image`.
    pub fn resolve(&mut self, image: &Image, platform: &Platform) -> Result<Resolved> {
        match image {
            Image::Blob(blob) => {
                Ok(Resolved { layer: Layer::of_blob(blob.digest), manifests: Vec::new() })
            }
            Image::Manifest(reference) => self
                .resolve_manifest(reference, platform)
                .during(|| format!("resolving {reference}")),
        }
    }

    /// Begins to download the layer. Its bytes are not verified.
    pub fn open(self, layer: &Layer) -> Result<Blob<'a>> {
        let backoff = Backoff::new(self.policy, self.observer);
        Blob::open(self.endpoints, layer, backoff, (0, Hasher::default()))
    }

    fn resolve_manifest(
        &mut self,
        reference: &ManifestReference,
        platform: &Platform,
    ) -> Result<Resolved> {
        let (found, index) = match self.fetch_manifest(&reference.version)? {
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
        let own = self.endpoints.len().saturating_sub(1);
        let mut current = if matches!(version, Version::Digest(_)) { 0 } else { own };
        let mut backoff = Backoff::new(self.policy, self.observer);
        loop {
            let endpoint = self.endpoints.get_mut(current).ok_or(Error::NoEndpoint)?;
            let host = endpoint.host().to_owned();
            match fetch_manifest_from(endpoint, version) {
                Ok(document) => return Ok(document),
                Err(error) if current < own => {
                    warn_of_mirror(self.observer, &host, &error);
                    current += 1;
                }
                Err(error) => backoff.wait(error, &format!("asking {host} for a manifest"))?,
            }
        }
    }
}

pub(crate) fn warn_of_mirror(observer: &dyn Observer, host: &str, error: &Error) {
    observer.warn(format!("mirror {host}: {}; asking the next registry", error.to_line()));
}

/// Fetches and parses a manifest. The digest is that of its bytes.
fn fetch_manifest_from(endpoint: &mut Endpoint, version: &Version) -> Result<(Digest, Content)> {
    let answer = fetch_answer(endpoint, version)?;
    let document = manifest::parse(&answer.bytes, &answer.media_type);
    if let Err(mismatch) = answer.verify(version) {
        // If this is a web page, that is the better error.
        document?;
        return Err(mismatch);
    }
    Ok((answer.digest, document?))
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
        let expected: Option<Digest> = match (version, &self.announced) {
            (Version::Digest(digest), _) => Some(*digest),
            // Reveals a proxy that changes what it passes on.
            (Version::Tag(_), Some(text)) => {
                let digest = text.parse::<Digest>();
                Some(digest.during(|| "reading the header Docker-Content-Digest")?)
            }
            (Version::Tag(_), None) => None,
        };
        match expected.filter(|expected| *expected != self.digest) {
            Some(expected) => Err(Error::ManifestDigest { found: self.digest, expected }),
            None => Ok(()),
        }
    }
}

/// Fetches a manifest or an image index without verifying its digest.
pub fn fetch_answer(endpoint: &mut Endpoint, version: &Version) -> Result<Answer> {
    let response =
        endpoint.get(&format!("manifests/{version}"), &[("accept", manifest::ACCEPT)])?;
    let response = endpoint.expect(200, response)?;
    let media_type = header(&response, "content-type").unwrap_or_default().to_owned();
    let announced = header(&response, "docker-content-digest").map(str::to_owned);
    let body = response.into_body().into_with_config().limit(MANIFEST_LIMIT_BYTES).read_to_vec();
    let bytes =
        body.map_err(|error| Error::Interrupted(format!("reading the manifest: {error}")))?;
    let digest = Digest::of(&bytes);
    Ok(Answer { bytes, media_type, digest, announced })
}
