//! A registry as the installer needs it: resolve a reference to one layer, open that layer's bytes.
//!
//! The calls and their answers are the OCI distribution spec's, "Pulling manifests" and "Pulling blobs". A mirror is asked only for what a
//! digest names, and for signatures, which prove themselves: it can withhold bytes but never change them. What a tag means is the image's own
//! registry's to say.

use crate::auth::Access;
use crate::blob::Blob;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::http::Client;
use crate::observer::Observer;
use crate::retry;
use crate::retry::Backoff;
use crate::retry::RetryPolicy;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci::digest::Digest;
use oci::document;
use oci::index;
use oci::manifest;
use oci::manifest::Content;
use oci::manifest::Layer;
use oci::platform::Platform;
use oci::reference::Image;
use oci::reference::ManifestReference;
use oci::reference::Repository;
use oci::reference::Version;
use oci_spec::image::ImageIndex;
use std::sync::Arc;

/// The largest manifest that is read. The spec asks registries to take 4 MiB at least, so clients make none larger.
pub const MANIFEST_LIMIT_BYTES: u64 = 4 << 20;

/// What a reference leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    pub layer: Layer,
    /// The manifest that names the layer, and before it the index that names the manifest. A bare blob has neither.
    pub manifests: Vec<Digest>,
}

/// One repository, in its own registry and in mirrors of it.
#[derive(Debug)]
pub struct Registry {
    /// The mirrors in the order in which they are asked, then the repository's own registry.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) policy: RetryPolicy,
}

impl Registry {
    /// Asks nobody yet. `mirrors` are hosts; each machine asks them in an order of its own, so that a fleet spreads over them.
    pub fn new(
        repository: &Repository,
        mirrors: &[String],
        client: &Client,
        credentials: Credentials,
        policy: RetryPolicy,
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
        Self { endpoints: endpoints.collect(), policy }
    }

    /// The one disk layer that `image` names.
    pub fn resolve(
        &mut self,
        image: &Image,
        platform: &Platform,
        observer: &dyn Observer,
    ) -> Result<Resolved> {
        match image {
            Image::Blob(blob) => {
                Ok(Resolved { layer: Layer::of_blob(blob.digest), manifests: Vec::new() })
            }
            Image::Manifest(reference) => self
                .resolve_manifest(reference, platform, observer)
                .with_context(|| format!("resolving {reference}")),
        }
    }

    /// Asks for the layer's bytes. What comes is not verified yet.
    pub fn open<'a>(self, layer: &Layer, observer: &'a dyn Observer) -> Result<Blob<'a>> {
        Blob::open(self.endpoints, layer, Backoff::new(self.policy), observer)
    }

    fn resolve_manifest(
        &mut self,
        reference: &ManifestReference,
        platform: &Platform,
        observer: &dyn Observer,
    ) -> Result<Resolved> {
        match self.fetch_manifest(&reference.version, observer)? {
            (digest, Content::Disk(layer)) => Ok(Resolved { layer, manifests: vec![digest] }),
            (digest, Content::Index(index)) => {
                let mut resolved = self.follow(&index, platform, observer)?;
                resolved.manifests.insert(0, digest);
                Ok(resolved)
            }
        }
    }

    fn follow(
        &mut self,
        index: &ImageIndex,
        platform: &Platform,
        observer: &dyn Observer,
    ) -> Result<Resolved> {
        let entry = index::select(index, platform)?;
        let doing = || format!("following the image index to {}", entry.digest());
        let digest = document::digest_of(entry).with_context(doing)?;
        match self.fetch_manifest(&Version::Digest(digest), observer).with_context(doing)? {
            (digest, Content::Disk(layer)) => Ok(Resolved { layer, manifests: vec![digest] }),
            // Nobody publishes disk images so; an index may otherwise lead on for ever.
            (_, Content::Index(_)) => bail!(
                "{} leads to another image index; hint: name a manifest by its digest, as in oci.tag=…@sha256:…",
                doing()
            ),
        }
    }

    fn fetch_manifest(
        &mut self,
        version: &Version,
        observer: &dyn Observer,
    ) -> Result<(Digest, Content)> {
        let own = self.endpoints.len().saturating_sub(1);
        let mut current = if matches!(version, Version::Digest(_)) { 0 } else { own };
        let mut tries = Backoff::new(self.policy);
        loop {
            let endpoint = self.endpoints.get_mut(current).context("finding a registry")?;
            let host = endpoint.host().to_owned();
            match fetch_manifest_from(endpoint, version) {
                Ok(document) => return Ok(document),
                Err(error) if current < own => {
                    observer.warn(format!("mirror {host}: {error:#}; asking the next registry"));
                    current += 1;
                }
                Err(error) => {
                    tries.wait(error, &format!("asking {host} for a manifest"), observer)?;
                }
            }
        }
    }
}

/// A manifest and the digest of its bytes, whatever anybody says of them.
fn fetch_manifest_from(endpoint: &mut Endpoint, version: &Version) -> Result<(Digest, Content)> {
    let answer = fetch_answer(endpoint, version)?;
    let document = manifest::parse(&answer.bytes, &answer.media_type);
    if let Err(mismatch) = answer.verify(version) {
        // A web page in place of a manifest is better told as such.
        document?;
        return Err(mismatch);
    }
    Ok((answer.digest, document?))
}

/// A manifest or an image index as a registry sends it.
#[derive(Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    /// The `Content-Type`.
    pub media_type: String,
    pub digest: Digest,
    /// What the registry says the digest is.
    named: Option<String>,
}

impl Answer {
    /// Whether these are the bytes that were asked for.
    pub fn verify(&self, version: &Version) -> Result<()> {
        let wanted = match version {
            Version::Digest(digest) => Some(*digest),
            // The registry's own header is checked too: it tells a proxy that changes what it passes on.
            Version::Tag(_) => self
                .named
                .as_ref()
                .map(|text| text.parse())
                .transpose()
                .context("reading the header Docker-Content-Digest")?,
        };
        match wanted.filter(|wanted| *wanted != self.digest) {
            Some(wanted) => bail!("manifest digest is {}, it should be {wanted}", self.digest),
            None => Ok(()),
        }
    }
}

/// Asks for a manifest or an image index. Its digest is not verified yet.
pub fn fetch_answer(endpoint: &mut Endpoint, version: &Version) -> Result<Answer> {
    let response =
        endpoint.get(&format!("manifests/{version}"), &[("accept", manifest::ACCEPT)])?;
    if response.status() != 200 {
        return Err(endpoint.refused(response).into());
    }
    let header = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (media_type, named) = (header("content-type"), header("docker-content-digest"));
    let bytes =
        response.into_body().into_with_config().limit(MANIFEST_LIMIT_BYTES).read_to_vec().map_err(
            |error| crate::error::HttpError::broken(format!("reading the manifest: {error}")),
        )?;
    let digest = Digest::of(&bytes);
    Ok(Answer { bytes, media_type: media_type.unwrap_or_default(), digest, named })
}
